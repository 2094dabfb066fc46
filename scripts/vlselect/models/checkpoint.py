"""Finetuned models on disk: a LoRA adapter or a whole model.

Both are safetensors with a JSON config; the processor stays with the base model. peft is slow to
import, so it is imported only for adapters.
"""

import hashlib
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from transformers import AutoModelForImageTextToText, PreTrainedModel

from vlselect.core.digests import file_digest
from vlselect.core.errors import InputError, MissingFileError
from vlselect.models.loading import is_quantised
from vlselect.models.vlm import VLM
from vlselect.models.weights import load_pretrained

if TYPE_CHECKING:
    from peft import PeftModel

logger = logging.getLogger(__name__)

ADAPTER_CONFIG = "adapter_config.json"


def save_checkpoint(model: "PreTrainedModel | PeftModel", directory: str | Path) -> None:
    """Write the trained weights and their config into an existing directory; keep its other files.

    Of a PeftModel, only the adapter and fully trained modules are saved.
    """
    model.save_pretrained(directory)
    (Path(directory) / "README.md").unlink(missing_ok=True)  # peft's empty model card
    open_to_readers(directory)


def open_to_readers(directory: str | Path) -> None:
    """Set the permissions of a new directory's files by the umask; safetensors does not."""
    allowed = Path(directory).stat().st_mode & 0o666
    for file in filter(Path.is_file, Path(directory).rglob("*")):
        file.chmod(allowed)


def weights_digest(directory: str | Path) -> str:
    """Return the sha256 (hex) of a checkpoint's weights; of several files, of their digests."""
    digests = [file_digest(path) for path in sorted(Path(directory).glob("*.safetensors"))]
    several = hashlib.sha256("".join(digests).encode()).hexdigest()
    return digests[0] if len(digests) == 1 else several


def merge_adapter(vlm: VLM) -> VLM:
    """Merge a LoRA adapter into the weights it adapts; return the VLM without adapter.

    The sum is rounded to the base model's dtype. A model without an adapter is returned unchanged.
    Raises ValueError if the base model is quantised, or a merged weight would be NaN or infinite.
    """
    from peft import PeftModel

    if not isinstance(vlm.model, PeftModel):
        return vlm
    if is_quantised(vlm.model):
        raise InputError(f"{vlm.path}: an adapter cannot be merged into quantised weights")
    vlm.model = vlm.model.merge_and_unload(safe_merge=True).eval()
    return vlm


def load_checkpoint(vlm: VLM, directory: str | Path) -> VLM:
    """Load a checkpoint of `save_checkpoint` onto its base model, which is modified.

    Returns
    -------
    VLM
        The finetuned model with the base model's processor and batch sizes.

    Raises
    ------
    MissingFileError
        If the directory holds neither an adapter nor a model.
    WeightsError
        If weights are missing or do not belong to the adapter or the model.
    """
    directory = Path(directory)
    if (directory / ADAPTER_CONFIG).is_file():
        from vlselect.models.lora import load_adapter

        return load_adapter(vlm, directory)
    if not (directory / "config.json").is_file():
        raise MissingFileError(f"{directory} holds neither {ADAPTER_CONFIG} nor config.json")
    base = vlm.model
    model = load_pretrained(
        *(AutoModelForImageTextToText, str(directory)),
        device=base.device,
        dtype=base.dtype,
        attn_implementation=base.config._attn_implementation,
    )
    logger.info("loaded %s (%d weights)", directory, model.num_parameters())
    vlm.model = model.eval()
    return vlm

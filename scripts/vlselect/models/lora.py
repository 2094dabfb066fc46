"""Attach and load LoRA adapters on a vision-language model.

By default every linear layer of the language model is adapted, but not the vision tower, the
projector and the output layer. The model itself says where its language model is, so no names of
any architecture appear here.
"""

import math
import re
from collections.abc import Sequence
from pathlib import Path

import torch
from peft import (
    LoraConfig,
    PeftConfig,
    PeftModel,
    get_peft_model,
    get_peft_model_state_dict,
    set_peft_model_state_dict,
)
from peft.utils.transformers_weight_conversion import (
    convert_peft_adapter_state_dict_for_transformers,
)
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from vlselect.core.errors import LIBRARY_ERRORS, InputError, MissingFileError, one_line
from vlselect.models.vlm import VLM
from vlselect.models.weights import WeightsError, require_same

WEIGHTS = "adapter_model.safetensors"
MOMENTS = "second_moments.safetensors"  # of the warm-up's optimiser, beside its adapter


def attach_lora(
    model: nn.Module,
    *,
    rank: int,
    alpha: float,
    dropout: float,
    target_modules: str | Sequence[str] | None,
    modules_to_save: Sequence[str],
    seed: int,
) -> PeftModel:
    """Wrap a model with a new LoRA adapter, in float32, and freeze everything else.

    Parameters
    ----------
    model : PreTrainedModel
        Modified in place, as by peft.
    rank, alpha : int, float
        The update of a weight is alpha / rank · B A.
    dropout : float
        On the adapter's inputs, during training.
    target_modules : str, sequence of str or None
        A regular expression that matches whole module names, or suffixes of module names; None
        adapts every linear layer of the language model.
    modules_to_save : sequence of str
        Suffixes of names of modules that are fully trained and saved with the adapter.
    seed : int
        Determines A, independent of any random state; B is zero.

    Raises
    ------
    ValueError
        If no linear layer of a language model is found, or nothing matches `target_modules`.

    References
    ----------
    Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", arXiv 2106.09685, equation 3.
    """
    config = LoraConfig(
        r=rank,
        lora_alpha=alpha,
        lora_dropout=dropout,
        target_modules=_pattern(target_modules) if target_modules else language_linears(model),
        modules_to_save=list(modules_to_save) or None,
        bias="none",
    )
    with torch.random.fork_rng():  # peft draws its own A, which must not move the global generator
        adapted = get_peft_model(model, config)
    _initialise(adapted, seed)
    return adapted


def language_linears(model: nn.Module) -> str:
    """Return a regular expression for the names of all linear layers of the language model.

    Layer numbers are wildcards, so that the expression stays readable in adapter_config.json.
    Raises ValueError if there are no such layers, or the expression also matches another module.
    """
    decoder, head = model.get_decoder(), model.get_output_embeddings()
    inside = {id(module) for module in decoder.modules() if module is not head}
    linear = {
        name
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and id(module) in inside
    }
    if not linear:
        raise InputError(
            f"{type(model).__name__} has no linear layer in its language model; set target_modules"
        )
    patterns = {re.sub(r"(?<=\\\.)\d+(?=\\\.)", r"\\d+", re.escape(name)) for name in linear}
    pattern = "|".join(sorted(patterns))
    matched = {name for name, _ in model.named_modules() if re.fullmatch(pattern, name)}
    if matched != linear:
        raise InputError(
            f"{sorted(matched - linear)[0]!r} has the name of an adapted layer, but is not a "
            "linear layer of the language model; set target_modules"
        )
    return pattern


def load_adapter(vlm: VLM, folder: str | Path, *, as_model: bool = False) -> VLM:
    """Load a saved LoRA adapter onto a VLM's model, frozen and in evaluation mode; return the VLM.

    The adapter is float32 or, with `as_model`, has the dtype of the layers that it adapts (float32
    on quantised ones).

    Raises
    ------
    MissingFileError
        If the folder has no safetensors adapter (peft would unpickle another format).
    InputError
        If its config is not that of a LoRA adapter of this model.
    WeightsError
        If weights are missing, broken, or do not belong to the adapter.
    """
    path = _require_adapter(folder)
    model = _wrap(vlm.model, Path(folder), as_model)
    try:
        given = load_file(path, device=str(vlm.device))
    except SafetensorError as error:
        cure = "delete it to train it again, or copy it again"
        raise WeightsError(f"{path} is broken or cut off ({one_line(error)}): {cure}") from error
    embeddings = any(".base_layer." in name for name in given)  # peft saves adapted embeddings
    own = get_peft_model_state_dict(model, save_embedding_layers=embeddings)
    given_names = convert_peft_adapter_state_dict_for_transformers(
        model, model.active_peft_config, given
    )
    require_same(path, given_names, own)
    set_peft_model_state_dict(model, given)
    vlm.model = model.eval()
    return vlm


def _wrap(model: nn.Module, folder: Path, as_model: bool) -> PeftModel:
    """Wrap a model with the frozen adapter that a folder's config describes.

    Of what else the config names, such as a base model or a module, nothing is opened.
    """
    try:
        config = PeftConfig.from_pretrained(str(folder))
        if not isinstance(config, LoraConfig):
            raise TypeError(f"an adapter of the kind {config.peft_type}, not LORA")
        config.inference_mode = True  # frozen
        return PeftModel(model, config, autocast_adapter_dtype=not as_model)
    except (OSError, *LIBRARY_ERRORS) as error:
        cure = "delete the checkpoint to train it again, or copy it again"
        path = folder / "adapter_config.json"
        raise InputError(f"{path} describes no LoRA adapter ({one_line(error)}): {cure}") from error


def _pattern(names: str | Sequence[str]) -> str:
    """Turn suffixes of module names into an expression; peft stores a list in arbitrary order."""
    if isinstance(names, str):
        return names
    return rf"(?:.*\.)?(?:{'|'.join(sorted(map(re.escape, names)))})"


def _require_adapter(folder: str | Path) -> Path:
    path = Path(folder) / WEIGHTS
    if not path.is_file():
        raise MissingFileError(f"{folder} holds no LoRA adapter: there is no {WEIGHTS}")
    return path


@torch.no_grad()
def _initialise(model: PeftModel, seed: int) -> None:
    """Draw every A as LoRA's authors do, on the CPU with a separate generator; set B to zero."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        if ".lora_A." in name:
            values = torch.empty(parameter.shape)
            nn.init.kaiming_uniform_(values, a=math.sqrt(5), generator=generator)
            parameter.copy_(values)
        elif ".lora_B." in name:
            parameter.zero_()

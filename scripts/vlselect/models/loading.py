"""Load a vision-language model: flags, device, quantisation, local directories, the hub.

A model that cannot be loaded is an error that says what to do; nothing is silently replaced.
"""

import argparse
import importlib.util
import logging
import os

import torch
from transformers import (
    AutoConfig,
    AutoModelForImageTextToText,
    BitsAndBytesConfig,
    ProcessorMixin,
)

from vlselect.core.errors import InputError
from vlselect.core.kept_memory import keep_freed_memory
from vlselect.models.failures import explained, require_plain
from vlselect.models.processors import load_processor, require_image_tokens
from vlselect.models.template_date import fix_date
from vlselect.models.vlm import AUTO, VLM
from vlselect.models.weights import load_pretrained

logger = logging.getLogger(__name__)

QUANTISATIONS = ("4bit", "8bit")
NO_BATCHES = {"batch_size": None, "batch_tokens": None, "workers": 0}


def add_processor_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags that say which model encodes samples: no more than `load_without_weights`."""
    parser.add_argument("--model", required=True, help="local directory, or hub id with --revision")
    parser.add_argument("--revision", help="commit of the hub repository; absent for a directory")
    parser.add_argument("--max-length", type=int, help="tokens of a sample; longer ones are cut")
    what = "day that chat templates take for today, YYYY-MM-DD"
    parser.add_argument("--template-date", required=True, help=what)
    parser.add_argument("--threads", type=int, required=True, help="CPU threads; sums depend on it")
    parser.add_argument("--trust-remote-code", action="store_true", help="run the hub's own code")


def add_loading_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags that say which model to load, where and how."""
    add_processor_arguments(parser)
    parser.add_argument("--dtype", required=True, choices=["float32", "bfloat16", "float16"])
    parser.add_argument("--tf32", action="store_true", help="multiply float32 in TF32 on GPUs")
    parser.add_argument("--device", required=True, help="auto, cpu, cuda or cuda:<n>")
    parser.add_argument("--attention", help="eager, sdpa or flash_attention_2")
    parser.add_argument("--quantisation", choices=QUANTISATIONS, help="needs bitsandbytes")


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of a model that is run on batches of samples."""
    add_loading_arguments(parser)
    parser.add_argument("--batch-size", type=int, required=True, help="samples in a batch")
    about = "most tokens in a batch, with padding; auto: by memory"
    parser.add_argument("--batch-tokens", type=number_or_auto, help=about)
    what = "processes that encode samples while the model runs"
    parser.add_argument("--workers", type=int, default=0, help=what)


def number_or_auto(text: str) -> int | str:
    """Read the value of --batch-tokens."""
    return AUTO if text == AUTO else int(text)


def load_from_arguments(arguments: argparse.Namespace) -> VLM:
    """Load the model that the flags name, those for batches if there are; see `prepare_device`."""
    device = prepare_device(arguments)
    batches = {key: getattr(arguments, key, value) for key, value in NO_BATCHES.items()}
    return load_vlm(
        arguments.model,
        revision=arguments.revision,
        dtype=arguments.dtype,
        device=str(device),
        attention=arguments.attention,
        quantisation=arguments.quantisation,
        trust_remote_code=arguments.trust_remote_code,
        max_length=arguments.max_length,
        template_date=arguments.template_date,
        **batches,
    )


def prepare_device(arguments: argparse.Namespace) -> torch.device:
    """Set this process's threads and whether it multiplies in TF32, and pick its device.

    Only a float32 model on a GPU does so. On a CPU, freed memory is kept.
    """
    torch.set_num_threads(arguments.threads)
    device = pick_device(arguments.device)
    tf32 = arguments.tf32 and arguments.dtype == "float32" and device.type == "cuda"
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32
    if device.type == "cpu":
        keep_freed_memory()
    return device


def number_format(dtype: torch.dtype) -> str:
    """Return the name of a dtype for headers: tf32 for float32 where products are in TF32."""
    rounded = dtype == torch.float32 and torch.backends.cuda.matmul.allow_tf32
    return "tf32" if rounded else str(dtype).removeprefix("torch.")


def pick_device(device: str) -> torch.device:
    """Resolve ``auto`` to a GPU if there is one, else the CPU; an explicit GPU has to exist.

    Each process started by `accelerate launch` gets its own GPU, by its local rank.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise InputError(f"device {device!r} was asked for, but torch sees no GPU")
    if device == "cuda" and "LOCAL_RANK" in os.environ:
        device = f"cuda:{int(os.environ['LOCAL_RANK'])}"
    return torch.device(device)


def load_vlm(
    path: str,
    *,
    revision: str | None,
    dtype: str,
    device: str,
    attention: str | None,
    quantisation: str | None,
    trust_remote_code: bool,
    batch_size: int | None,
    batch_tokens: int | str | None,
    max_length: int | None,
    workers: int,
    template_date: str,
) -> VLM:
    """Load model and processor from a local directory, or from the hub at a fixed revision.

    Parameters
    ----------
    path, revision : str, str or None
        A directory without a revision, or a hub id and a commit.
    dtype, device, attention : str
        As in `add_model_arguments`.
    quantisation : {"4bit", "8bit"} or None
        Hold the weights of linear layers in NF4 or LLM.int8; all others keep `dtype`.
    trust_remote_code : bool
        Run code that comes with the model.
    batch_size, batch_tokens, max_length, workers
        See `VLM`; a model that is not run on batches needs no size.
    template_date : str
        Day that chat templates take for today, YYYY-MM-DD.

    Raises
    ------
    MissingFileError
        If there is no such directory and no revision, or the hub's files are not available.
    InputError
        If the model cannot be loaded: it needs code of its own and the config does not allow it,
        files are broken, the architecture is another kind of model, the processor's settings are
        not those of the model, or quantisation is not as asked for or needs bitsandbytes.
    WeightsError
        If weights are missing or do not belong to the model.

    References
    ----------
    Dettmers et al., QLoRA, arXiv 2305.14314 (NF4), and LLM.int8(), arXiv 2208.07339.
    """
    target = pick_device(device)
    options = {"dtype": getattr(torch, dtype), "attn_implementation": attention}
    if quantisation:
        options["quantization_config"] = _quantisation_config(quantisation, options["dtype"])
    where = {"revision": revision or "main", "trust_remote_code": trust_remote_code}
    with explained(path, revision, own_code=trust_remote_code):
        if not quantisation:
            require_plain(path, AutoConfig.from_pretrained(path, **where))
        processor = load_processor(path, **where)
        model = load_pretrained(
            *(AutoModelForImageTextToText, path), device=target, **options, **where
        )
    _require_quantisation(model, path, quantisation)
    _prepare_processor(processor, model, path, template_date)
    logger.info("loaded %s (%s parameters) on %s", path, model.num_parameters(), model.device)
    return VLM(
        model,
        processor,
        path=path,
        revision=revision or "",
        batch_size=batch_size,
        batch_tokens=batch_tokens,
        max_length=max_length,
        workers=workers,
    )


def load_without_weights(arguments: argparse.Namespace) -> VLM:
    """Load processor and architecture only: enough to encode samples, not to run the model.

    Flags as `add_processor_arguments` adds them, errors as of `load_from_arguments`.
    """
    torch.set_num_threads(arguments.threads)
    path, revision = arguments.model, arguments.revision
    trust = {"trust_remote_code": arguments.trust_remote_code}
    with explained(path, revision, own_code=arguments.trust_remote_code):
        processor = load_processor(path, revision=revision or "main", **trust)
        config = AutoConfig.from_pretrained(path, revision=revision or "main", **trust)
        with torch.device("meta"):
            model = AutoModelForImageTextToText.from_config(config, **trust)
    _prepare_processor(processor, model, path, arguments.template_date)
    return VLM(
        *(model, processor),
        path=path,
        revision=revision or "",
        max_length=arguments.max_length,
        **NO_BATCHES,
    )


def _prepare_processor(
    processor: ProcessorMixin, model: torch.nn.Module, path: str, template_date: str
) -> None:
    """Check a processor's settings against its model's, and fix the date of its template."""
    require_image_tokens(processor, model, path)
    fix_date(processor, template_date)


def is_quantised(model: torch.nn.Module) -> bool:
    """Return whether a model's weights are quantised."""
    return getattr(model.config, "quantization_config", None) is not None


def _require_quantisation(model: torch.nn.Module, path: str, quantisation: str | None) -> None:
    """Check that a model is quantised just where the config says so."""
    if bool(quantisation) != is_quantised(model):
        raise InputError(
            f"model {path!r} {'stayed' if quantisation else 'is saved'} "
            f"{'un' if quantisation else ''}quantised, but `quantisation` is {quantisation!r}"
        )


def _quantisation_config(quantisation: str, dtype: torch.dtype) -> BitsAndBytesConfig:
    """Return the options of bitsandbytes, which must be installed."""
    if quantisation not in QUANTISATIONS:
        raise InputError(f"quantisation {quantisation!r} is not one of {QUANTISATIONS}")
    if importlib.util.find_spec("bitsandbytes") is None:
        raise InputError(
            f"quantisation {quantisation!r} needs bitsandbytes, which is not installed in this "
            "environment: `pip install bitsandbytes` (0.50.2 is known to work, without a GPU too),"
            " or set `quantisation: null` in this model's entry under `models` in the config"
        )
    if quantisation == "8bit":
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=dtype
    )

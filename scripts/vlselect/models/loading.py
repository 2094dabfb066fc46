"""Load a vision-language model: flags, device, quantisation, local directories, the hub.

A model that cannot be loaded is an error that says what to do; nothing is silently replaced.
"""

import argparse
import importlib.util
import logging
import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from transformers import (
    AutoConfig,
    AutoModelForImageTextToText,
    BitsAndBytesConfig,
)

from vlselect.core.errors import InputError, MissingFileError
from vlselect.core.kept_memory import keep_freed_memory
from vlselect.models.processors import load_processor
from vlselect.models.vlm import VLM
from vlselect.models.weights import load_pretrained

logger = logging.getLogger(__name__)

QUANTISATIONS = ("4bit", "8bit")
BATCHES = ("batch_size", "batch_tokens", "workers")


def add_processor_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags that say which model encodes samples: no more than `load_without_weights`."""
    parser.add_argument("--model", required=True, help="local directory, or hub id with --revision")
    parser.add_argument("--revision", help="commit of the hub repository; absent for a directory")
    parser.add_argument("--max-length", type=int, help="tokens of a sample; longer ones are cut")
    parser.add_argument("--threads", type=int, required=True, help="CPU threads; sums depend on it")
    parser.add_argument("--trust-remote-code", action="store_true", help="run the hub's own code")


def add_loading_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags that say which model to load, where and how."""
    add_processor_arguments(parser)
    parser.add_argument("--dtype", required=True, choices=["float32", "bfloat16", "float16"])
    parser.add_argument("--device", required=True, help="auto, cpu, cuda or cuda:<n>")
    parser.add_argument("--attention", help="eager, sdpa or flash_attention_2")
    parser.add_argument("--quantisation", choices=QUANTISATIONS, help="needs bitsandbytes")


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of a model that is run on batches of samples."""
    add_loading_arguments(parser)
    parser.add_argument("--batch-size", type=int, required=True, help="samples in a batch")
    parser.add_argument("--batch-tokens", type=int, help="most tokens in a batch, with padding")
    what = "processes that encode samples while the model runs"
    parser.add_argument("--workers", type=int, default=0, help=what)


def load_from_arguments(arguments: argparse.Namespace) -> VLM:
    """Load the model that the flags name, those for batches if there are; see `prepare_device`."""
    device = prepare_device(arguments)
    batches = {key: value for key, value in vars(arguments).items() if key in BATCHES}
    return load_vlm(
        arguments.model,
        revision=arguments.revision,
        dtype=arguments.dtype,
        device=str(device),
        attention=arguments.attention,
        quantisation=arguments.quantisation,
        trust_remote_code=arguments.trust_remote_code,
        max_length=arguments.max_length,
        **batches,
    )


def prepare_device(arguments: argparse.Namespace) -> torch.device:
    """Set this process's number of threads and pick its device; on a CPU, keep freed memory."""
    torch.set_num_threads(arguments.threads)
    device = pick_device(arguments.device)
    if device.type == "cpu":
        keep_freed_memory()
    return device


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
    revision: str | None = None,
    dtype: str = "float32",
    device: str = "auto",
    attention: str | None = None,
    quantisation: str | None = None,
    trust_remote_code: bool = False,
    batch_size: int = 64,
    batch_tokens: int | None = None,
    max_length: int | None = None,
    workers: int = 0,
) -> VLM:
    """Load model and processor from a local directory, or from the hub at a fixed revision.

    Parameters
    ----------
    path, revision : str, str or None
        A directory without a revision, or a hub id and a commit.
    dtype, device, attention : str
        As in `add_model_arguments`.
    quantisation : {"4bit", "8bit"}, optional
        Hold the weights of linear layers in NF4 or LLM.int8; all others keep `dtype`.
    trust_remote_code : bool
        Run code that comes with the model.
    batch_size, batch_tokens, max_length, workers
        See `VLM`.

    Raises
    ------
    MissingFileError
        If there is no such directory and no revision, or the hub's files are not available.
    InputError
        If the model needs code of its own and the config does not allow it, or if quantisation is
        requested and bitsandbytes is not installed.
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
        options["device_map"] = {"": target}
    where = {"revision": revision or "main", "trust_remote_code": trust_remote_code}
    with explained(path, revision):
        processor = load_processor(path, **where)
        model = load_pretrained(AutoModelForImageTextToText, path, **options, **where)
    if bool(quantisation) != is_quantised(model):
        raise InputError(
            f"model {path!r} {'stayed' if quantisation else 'is saved'} "
            f"{'un' if quantisation else ''}quantised, but `quantisation` is {quantisation!r}"
        )
    model = model if quantisation else model.to(target)
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
    with explained(path, revision):
        processor = load_processor(path, revision=revision or "main", **trust)
        config = AutoConfig.from_pretrained(path, revision=revision or "main", **trust)
        with torch.device("meta"):
            model = AutoModelForImageTextToText.from_config(config, **trust)
    return VLM(
        *(model, processor),
        path=path,
        revision=revision or "",
        max_length=arguments.max_length,
    )


@contextmanager
def explained(path: str, revision: str | None) -> Iterator[None]:
    """Convert errors of transformers in the block to those of `load_vlm`, which say what to do."""
    if revision is None and not Path(path).is_dir():
        raise MissingFileError(
            f"model {path!r} is not a directory; a hub id needs a `revision` in the config"
        )
    try:
        yield
    except OSError as error:
        if revision is None:
            raise MissingFileError(f"cannot load the model in {path!r}: {error}") from error
        command = f"hf download {shlex.quote(path)} --revision {shlex.quote(revision)}"
        raise MissingFileError(
            f"cannot load model {path!r} at revision {revision!r}: {error}. Without a network, run "
            f"`{command}` on a machine that has one and shares this machine's Hugging Face cache "
            f"(HF_HOME); or run `{command} --local-dir <folder>`, copy the folder here, and set "
            "`path` to it and `revision` to null"
        ) from error
    except ValueError as error:
        if "trust_remote_code" not in str(error):
            raise
        raise InputError(
            f"model {path!r} needs its own Python code, which is not run by default: its "
            "architecture is not in transformers. If you have read and trust that code, set "
            "`trust_remote_code: true` in this model's entry under `models` in the config"
        ) from error


def is_quantised(model: torch.nn.Module) -> bool:
    """Return whether a model's weights are quantised."""
    return getattr(model.config, "quantization_config", None) is not None


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

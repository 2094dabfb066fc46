"""Why a model cannot be loaded, and what to do: a line in place of a library's traceback."""

import json
import re
import resource
import shlex
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import transformers
from jinja2 import TemplateError, TemplateSyntaxError
from safetensors import SafetensorError, safe_open
from transformers import PreTrainedConfig

from vlselect.core.errors import LIBRARY_ERRORS, InputError, MissingFileError, one_line
from vlselect.models.chat import MaskError

SLOWEST = 60  # seconds that a chat template may take for one conversation
HEAVIEST = 4 << 30  # and bytes
_STATM = Path("/proc/self/statm")
_POINTER = b"version https://git-lfs"
_OBJECTS = {
    *("config.json", "generation_config.json", "processor_config.json"),
    *("preprocessor_config.json", "tokenizer.json", "tokenizer_config.json"),
}
_COPY = "compare its size with the original's, and copy it again"
_READ = (".json", ".jinja", ".model", ".safetensors", ".txt")  # what libraries read if it is there
_UNCHECKED = (  # and what they take as it is, or do without where they cannot read it
    *("chat_template.jinja", "generation_config.json", "merges.txt", "vocab.txt"),
)
_NEEDED = {  # files, one of which a model's folder has
    "tokenizer": ("tokenizer.json", "tokenizer.model", "vocab.json", "spiece.model", "vocab.txt"),
    "processor": ("preprocessor_config.json", "processor_config.json"),
    "settings of a tokenizer": ("tokenizer_config.json",),
}


@contextmanager
def explained(path: str, revision: str | None, *, own_code: bool) -> Iterator[None]:
    """Convert errors of libraries in the block to those of `load_vlm`, which say what to do.

    With `own_code`, errors without a fault in the files stay as they are: the model's own code may
    raise them.
    """
    if revision is None:
        _require_model_folder(path)
    try:
        yield
    except InputError:
        raise
    except OSError as error:
        if revision is None:
            reason = find_fault(Path(path)) or one_line(error)
            raise MissingFileError(f"cannot load the model in {path!r}: {reason}") from error
        command = f"hf download {shlex.quote(path)} --revision {shlex.quote(revision)}"
        raise MissingFileError(
            f"cannot load model {path!r} at revision {revision!r}: {error}. Without a network, run "
            f"`{command}` on a machine that has one and shares this machine's Hugging Face cache "
            f"(HF_HOME); or run `{command} --local-dir <folder>`, copy the folder here, and set "
            "`path` to it and `revision` to null"
        ) from error
    except Exception as error:
        fault = find_fault(Path(path)) if revision is None else None
        if own_code and fault is None:
            raise
        raise InputError(f"model {path!r} {_cause(error, fault)}") from error


@contextmanager
def rendering(path: str) -> Iterator[None]:
    """Convert what goes wrong while a chat template renders in the block; bound time and memory.

    A template is a program that comes with the model. transformers runs it in a sandbox, without
    files or the network, but without an end. It is bounded in main threads only, where a signal can
    stop it; those render in all our programs.

    Raises
    ------
    MaskError
        If it cannot render the conversation.
    InputError
        If it is broken, takes over `SLOWEST` seconds or `HEAVIEST` bytes, or more memory than there
        is.
    """
    own = threading.current_thread() is threading.main_thread()

    def stop(number: int, frame: object) -> None:
        raise InputError(
            f"{path}: its chat template takes over {SLOWEST:g} s for a conversation: compare the "
            "file with the original's"
        )

    before = signal.signal(signal.SIGALRM, stop) if own else None
    try:
        if own:
            signal.setitimer(signal.ITIMER_REAL, SLOWEST)
        with _bounded_memory() if own else nullcontext():
            yield
    except InputError:
        raise
    except TemplateSyntaxError as error:
        raise InputError(
            f"{path}: its chat template is broken or cut off ({one_line(error)}): compare the file "
            "with the original's, and copy it again"
        ) from error
    except MemoryError as error:
        raise InputError(
            f"{path}: its chat template takes over {HEAVIEST >> 30} GiB of memory for a "
            "conversation, or more than there is: compare the file with the original's"
        ) from error
    except (TemplateError, *LIBRARY_ERRORS) as error:
        what = f"the chat template cannot render the conversation: {one_line(error)}"
        raise MaskError(what) from error
    finally:
        if own:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)


@contextmanager
def _bounded_memory() -> Iterator[None]:
    """Let this process take `HEAVIEST` bytes more in the block, where the system says what it has.

    What counts are its own pages that can be written, not what a GPU or a file is mapped to.
    """
    before = soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    pages = int(_STATM.read_text().split()[5]) if _STATM.exists() else 0  # of data and stack
    if pages:
        most = pages * resource.getpagesize() + HEAVIEST
        lowest = min(limit for limit in (most, *before) if limit != resource.RLIM_INFINITY)
        resource.setrlimit(resource.RLIMIT_DATA, (lowest, hard))
    try:
        yield
    finally:
        if pages:
            resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def find_fault(folder: Path) -> str | None:
    """Return which file a folder lacks or which is broken, and what to do; None if it is sound."""
    names = {path.name for path in folder.iterdir()}
    if not any(name.endswith((".safetensors", ".bin")) for name in names):
        return "it has no weights: put its *.safetensors into the folder; GGUF is not read"
    broken = (_broken(path) for path in sorted(folder.iterdir()) if path.suffix in (*_READ, ".bin"))
    return next(filter(None, broken), None) or _lack(folder, names)


def _lack(folder: Path, names: set[str]) -> str | None:
    """Return which file a folder lacks, whose files are sound; None if it lacks none."""
    for what, files in _NEEDED.items():
        if names.isdisjoint(files):
            return f"it has no {what}: put {files[0]} of the checkpoint into the folder"
    lacks = [("vocab.json", "merges.txt")] * ("tokenizer.json" not in names)
    if "image_processor" not in _read_object(folder / "processor_config.json"):
        lacks.append(("processor_config.json", "preprocessor_config.json"))
    for index in sorted(folder.glob("*.index.json")):
        shards = sorted(set(_read_object(index).get("weight_map", {}).values()))
        lacks += [(index.name, shard) for shard in shards]
    for beside, name in lacks:
        if beside in names and name not in names:
            return f"it has {beside}, but no {name}: put that of the checkpoint into the folder"
    return None


def _read_object(path: Path) -> dict:
    """Return the object in a sound JSON file; an empty one if there is none."""
    value = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return value if isinstance(value, dict) else {}


def _broken(path: Path) -> str | None:
    """Return what is wrong with one file of a model, and what to do; None if it is sound."""
    try:
        if _begins_with(path, _POINTER):
            return f"{path.name} is a pointer of Git LFS: run `git lfs pull` in the folder"
        if path.suffix == ".json":
            value = json.loads(path.read_text(encoding="utf-8"))
            if path.name in _OBJECTS and not isinstance(value, dict):
                return f"{path.name} holds no JSON object: {_COPY}"
        elif path.suffix == ".safetensors":
            with safe_open(path, framework="pt"):
                pass
    except (OSError, ValueError, SafetensorError) as error:
        return f"{path.name} is broken, cut off or not readable ({one_line(error)}): {_COPY}"
    return None


def _begins_with(path: Path, start: bytes) -> bool:
    with path.open("rb") as file:
        return file.read(len(start)) == start


def _cause(error: Exception, fault: str | None) -> str:
    """Return why a library cannot load a model, and what to do."""
    if "trust_remote_code" in str(error):
        return (
            "needs its own Python code, which is not run by default: its architecture is not in "
            "transformers. If you have read and trust that code, set `trust_remote_code: true` in "
            "this model's entry under `models` in the config"
        )
    if found := re.search(r"Unrecognized configuration class .*?(\w+)Config", str(error)):
        return (
            f"is a {found[1]}, not a vision-language model that holds conversations; name one, "
            "such as a LLaVA or Qwen2.5-VL, in `models`"
        )
    if isinstance(error, ImportError):
        return f"needs a library that is not installed: {one_line(error)}"
    if "out of memory" in str(error):
        return (
            f"does not fit into memory: {one_line(error)}. Set `dtype: bfloat16` or `quantisation` "
            "in its entry, or use a larger machine"
        )
    if "does not recognize this architecture" in str(error):
        return (
            f"is of an architecture that transformers {transformers.__version__} does not know; "
            "choose another, or install a version that knows it"
        )
    if fault:
        return f"cannot be loaded: {fault}"
    return (
        f"cannot be loaded: {one_line(error)}. A file of it is broken or does not belong to it: "
        "compare the files with the original, or copy it again"
    )


def _require_model_folder(path: str) -> None:
    """Check that a directory holds a model, and what libraries would not miss in it."""
    folder = Path(path)
    if not folder.is_dir():
        raise MissingFileError(
            f"model {path!r} is not a directory; a hub id needs a `revision` in the config"
        )
    try:
        _require_sound_files(folder)
    except PermissionError as error:
        raise InputError(
            f"the model's folder {path!r} is not readable: ask its owner for `chmod -R a+rX`"
        ) from error
    if (folder / "config.json").exists():
        return
    if (folder / "adapter_config.json").exists():
        raise InputError(
            f"model {path!r} is an adapter alone: name its base model, or merge the adapter into "
            "it (`merge_and_unload` of peft) and save the whole with its processor"
        )
    if any(folder.glob("*.gguf")):
        raise InputError(
            f"model {path!r} holds GGUF files, which have neither processor nor config.json: use "
            "the checkpoint that they were made from"
        )
    below = [*folder.glob("snapshots/*/config.json"), *folder.glob("*/config.json")]
    if below:
        raise MissingFileError(
            f"model {path!r} has no config.json, but {str(below[0].parent)!r} has: name that folder"
        )
    what = "has no config.json" if any(folder.iterdir()) else "is empty"
    raise MissingFileError(
        f"the model's folder {path!r} {what}: put all files of the checkpoint there, as "
        f"`hf download <hub id> --local-dir {shlex.quote(path)}` does"
    )


def _require_sound_files(folder: Path) -> None:
    """Check for files that libraries skip or take for others, and so load another model."""
    for path in sorted(folder.iterdir()):
        if path.suffix in _READ and path.is_symlink() and not path.exists():
            raise MissingFileError(
                f"model {str(folder)!r}: {path.name} is a link to {str(path.readlink())!r}, which "
                "is not there; copy the files themselves (`cp -rL`), or download them again"
            )
    for path in (folder / name for name in _UNCHECKED):
        if path.is_file() and (fault := _broken(path)):
            raise InputError(f"model {str(folder)!r}: {fault}")
    merges = folder / "merges.txt"
    if merges.is_file() and not merges.stat().st_size and (folder / "vocab.json").exists():
        raise InputError(f"model {str(folder)!r}: merges.txt is empty: {_COPY}")


def require_plain(path: str, config: PreTrainedConfig) -> None:
    """Check that neither a model nor its text model is saved quantised."""
    for part in (config, config.get_text_config()):
        saved = getattr(part, "quantization_config", None) or {}
        if saved and not saved.get("dequantize"):  # which makes plain numbers of them
            method = saved.get("quant_method", "an unknown method")
            raise InputError(
                f"model {path!r} is saved quantised ({method}), but `quantisation` is null: use "
                "the checkpoint in full precision, or set `quantisation` if bitsandbytes saved it. "
                "If its weights are plain numbers, as of a text model that was loaded from GGUF, "
                "delete `quantization_config` from its config.json"
            )

"""Load a model's processor, even if torchvision, which decodes videos, is not installed.

Processors of models that also accept videos (Qwen-VL, OneVision, InternVL) require torchvision as
soon as they are loaded. This pipeline has no videos: without torchvision, a stand-in replaces the
video processor, and everything else is loaded as usual.
"""

import json
import logging
import re
from typing import Any

from torch import nn
from transformers import (
    PROCESSOR_MAPPING,
    AutoConfig,
    AutoImageProcessor,
    AutoProcessor,
    AutoTokenizer,
    BaseVideoProcessor,
    ProcessorMixin,
)
from transformers.utils import PushToHubMixin, is_torchvision_available

from vlselect.core.errors import InputError, MissingLibraryError, one_line

logger = logging.getLogger(__name__)

_LOADERS = {"tokenizer": AutoTokenizer, "image_processor": AutoImageProcessor}
_STRATEGY = "vision_feature_select_strategy"
_CURE = (
    "`pip install -r envs/requirements-families.txt` installs what processors of some models need"
)


class NoVideos(BaseVideoProcessor, PushToHubMixin):
    """Keeps the settings of a video processor so that they are saved again; decodes nothing."""

    _auto_class = None
    model_input_names: list[str] = []
    num_frames = fps = None

    def __init__(self, settings: dict[str, Any]):
        self.settings = dict(settings)

    def to_dict(self) -> dict[str, Any]:
        """Return the settings, for the processor's file."""
        return self.settings

    def __call__(self, *args: object, **kwargs: object):
        raise ImportError("videos need torchvision, which is not installed")


def without_videos(kind: type[ProcessorMixin]) -> type[ProcessorMixin]:
    """Make a processor class accept `NoVideos`; its own type check needs torchvision."""

    def check(self, argument_name: str, argument: object):
        if isinstance(argument, NoVideos):
            return NoVideos
        return kind.check_argument_for_proper_class(self, argument_name, argument)

    # The name is kept, since it is saved with the model.
    return type(kind.__name__, (kind,), {"check_argument_for_proper_class": check})


def load_processor(path: str, **where: Any) -> ProcessorMixin:
    """Load the processor of a model, with or without torchvision.

    `where` is revision and trust_remote_code. Raises MissingLibraryError, naming the library, if
    the processor needs another optional library, or torchvision for more than videos; InputError if
    the files make no processor, or one without a vocabulary, which libraries would let pass.
    """
    processor = _load(path, **where)
    tokenizer = getattr(processor, "tokenizer", None)
    if tokenizer is None:
        raise InputError(
            f"model {path!r} has no processor of images and texts, only a "
            f"{type(processor).__name__}: put its processor_config.json or "
            "preprocessor_config.json, with the right `processor_class`, into the folder"
        )
    if not getattr(tokenizer, "vocab_size", True):
        raise InputError(
            f"model {path!r} has no vocabulary: put its tokenizer.json, or vocab.json and "
            "merges.txt, into the folder"
        )
    return processor


def _load(path: str, **where: Any) -> ProcessorMixin:
    try:
        return AutoProcessor.from_pretrained(path, **where)
    except ImportError as error:
        try:
            processor = _load_for_images(path, **where)
        except ImportError as other:
            raise _missing(path, other) from other
        except AttributeError as other:  # it reads settings that only a video processor knows
            raise _missing(path, ImportError(f"it needs torchvision: {other}")) from other
        if processor is None:
            raise _missing(path, error) from error
        return processor


def _load_for_images(path: str, **where: Any) -> ProcessorMixin | None:
    """Load a processor with a stand-in for its video processor; None if it lacks something else."""
    kind = PROCESSOR_MAPPING.get(type(AutoConfig.from_pretrained(path, **where)), None)
    parts = kind.get_attributes() if kind is not None else []
    known = {*_LOADERS, "video_processor"}
    if is_torchvision_available() or "video_processor" not in parts or set(parts) - known:
        return None
    settings, _ = kind.get_processor_dict(path, **where)
    loaded = [
        NoVideos(settings.get(part, {}))
        if part == "video_processor"
        else _LOADERS[part].from_pretrained(path, **where)
        for part in parts
    ]
    logger.info("torchvision is not installed: %s accepts images only", kind.__name__)
    return without_videos(kind).from_args_and_dict(loaded, settings)


def require_image_tokens(processor: ProcessorMixin, model: nn.Module, path: str) -> None:
    """Check that a processor of the LLaVA family counts an image's tokens as its model does.

    Older files lack some of the settings by which it counts. Raises InputError with the right ones.
    """
    vision = getattr(model.config, "vision_config", None)
    if "llava" not in model.config.model_type or not hasattr(vision, "patch_size"):
        return
    parts = {name.rpartition(".")[2] for name, _ in model.named_parameters()}
    right = {
        "patch_size": vision.patch_size,
        "num_image_tokens": (vision.image_size // vision.patch_size) ** 2,
        "num_additional_image_tokens": int(not parts.isdisjoint(("class_embedding", "cls_token"))),
        _STRATEGY: getattr(model.config, _STRATEGY, None),
    }
    wrong = {
        name: value
        for name, value in right.items()
        if value is not None and getattr(processor, name, value) != value
    }
    if wrong:
        raise InputError(
            f"{path}: by its processor's settings, which older files lack in part, an image has "
            f"another number of tokens than the model makes of it; write {json.dumps(wrong)[1:-1]} "
            "into processor_config.json"
        )


def _missing(path: str, error: ImportError) -> MissingLibraryError:
    text = one_line(error)
    short = re.match(r"\w+ requires the \w+ library", text)
    reason = f"{short[0]}, which is not installed" if short else text
    return MissingLibraryError(f"the processor of {path!r} cannot be loaded: {reason}. {_CURE}")

"""Load a model's processor, even if torchvision, which decodes videos, is not installed.

Processors of models that also accept videos (Qwen-VL, OneVision, InternVL) require torchvision as
soon as they are loaded. This pipeline has no videos: without torchvision, a stand-in replaces the
video processor, and everything else is loaded as usual.
"""

import logging
from typing import Any

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

logger = logging.getLogger(__name__)

_LOADERS = {"tokenizer": AutoTokenizer, "image_processor": AutoImageProcessor}


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

    `where` is revision and trust_remote_code. Raises ImportError, naming the library, if the
    processor needs another optional library, or torchvision for more than videos.
    """
    try:
        return AutoProcessor.from_pretrained(path, **where)
    except ImportError as error:
        kind = PROCESSOR_MAPPING.get(type(AutoConfig.from_pretrained(path, **where)), None)
        parts = kind.get_attributes() if kind is not None else []
        known = {*_LOADERS, "video_processor"}
        if is_torchvision_available() or "video_processor" not in parts or set(parts) - known:
            raise ImportError(f"the processor of {path!r} cannot be loaded: {error}") from error
    settings, _ = kind.get_processor_dict(path, **where)
    loaded = [
        NoVideos(settings.get(part, {}))
        if part == "video_processor"
        else _LOADERS[part].from_pretrained(path, **where)
        for part in parts
    ]
    logger.info("torchvision is not installed: %s accepts images only", kind.__name__)
    return without_videos(kind).from_args_and_dict(loaded, settings)

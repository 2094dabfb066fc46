"""Load a model's processor, also where the library that decodes its videos is not installed.

Processors of models that also see videos (Qwen-VL, OneVision, InternVL) ask for torchvision before
they look at a single image. This pipeline has no videos: without torchvision, a stand-in takes the
place of the part that would decode them, and everything else is loaded as ever.
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
    """Holds the settings of a video processor, so that they are saved again; decodes nothing."""

    _auto_class = None
    model_input_names: list[str] = []
    num_frames = fps = None

    def __init__(self, settings: dict[str, Any]):
        self.settings = dict(settings)

    def to_dict(self) -> dict[str, Any]:
        """Give the settings, for the processor's own file."""
        return self.settings

    def __call__(self, *args: object, **kwargs: object):
        raise ImportError("videos need torchvision, which is not installed")


def without_videos(kind: type[ProcessorMixin]) -> type[ProcessorMixin]:
    """Make a processor class accept `NoVideos`: its check needs torchvision even to say no."""

    def check(self, argument_name: str, argument: object):
        if isinstance(argument, NoVideos):
            return NoVideos
        return kind.check_argument_for_proper_class(self, argument_name, argument)

    # The name is kept, since it is saved beside the model.
    return type(kind.__name__, (kind,), {"check_argument_for_proper_class": check})


def load_processor(path: str, **where: Any) -> ProcessorMixin:
    """Load the processor of a model, with or without torchvision.

    Parameters
    ----------
    path : str
        Local directory or hub id.
    **where
        revision, trust_remote_code.

    Raises
    ------
    ImportError
        If the processor needs an optional library other than torchvision, or needs torchvision for
        more than videos; the message names it.
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
    logger.info("torchvision is not installed: %s sees images only", kind.__name__)
    return without_videos(kind).from_args_and_dict(loaded, settings)

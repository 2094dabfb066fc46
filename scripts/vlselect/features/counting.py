"""What a model makes of a sample before any weight is used: its tokens, or a refusal."""

import argparse
from collections.abc import Sequence

from PIL import Image
from transformers import AutoConfig, CLIPConfig

from vlselect.features.clip import CLIP
from vlselect.features.refusals import Count
from vlselect.models import loading
from vlselect.models.chat import Refused
from vlselect.models.failures import explained
from vlselect.models.vlm import VLM
from vlselect.pool.records import Record


def load_counters(arguments: argparse.Namespace) -> tuple[Count, Count]:
    """Return what counts the tokens of whole samples, and of prompts; no weights are loaded.

    A CLIP has no prompts: both count the tokens of its text tower. Flags and errors as for
    `loading.load_without_weights`.
    """
    where = {"revision": arguments.revision or "main"}
    where |= {"trust_remote_code": arguments.trust_remote_code}
    with explained(arguments.model, arguments.revision, own_code=where["trust_remote_code"]):
        kind = AutoConfig.from_pretrained(arguments.model, **where).model_type
    if kind == CLIPConfig.model_type:
        clip = CLIP.load_without_weights(arguments)
        return clip.count, clip.count
    vlm = loading.load_without_weights(arguments)
    return _whole(vlm), _prompt(vlm)


def _whole(vlm: VLM) -> Count:
    def count(record: Record, pictures: Sequence[Image.Image]) -> tuple[int, int]:
        encoded = vlm.encode(record, pictures)
        _require_image_tokens(record, bool(encoded.image.any()))
        return len(encoded), int(encoded.response.sum())

    return count


def _prompt(vlm: VLM) -> Count:
    def count(record: Record, pictures: Sequence[Image.Image]) -> tuple[int, int]:
        encoded = vlm.encode_prompt(record, pictures)
        _require_image_tokens(record, bool(encoded.image.any()))
        return len(encoded), 0

    return count


def _require_image_tokens(record: Record, found: bool) -> None:
    """Refuse a sample that has images but no image tokens, or the reverse."""
    if found != bool(record.images):
        what = f"has {len(record.images)} images, but {'an' if found else 'no'} image token"
        raise Refused("image_token", f"sample {record.sample_id!r} {what}")

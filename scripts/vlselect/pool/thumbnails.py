"""Shrink images and texts so that they fit into a table."""

import base64
import io

from PIL import Image

THUMBNAIL = 96  # pixels, the longer side
TEXT = 160  # characters


def shorten(text: str, length: int = TEXT) -> str:
    """Put a text on one line and cut it to `length` characters, with an ellipsis."""
    line = " ".join(text.split())
    return line if len(line) <= length else line[: length - 1].rstrip() + "…"


def encode_thumbnail(image: Image.Image, size: int = THUMBNAIL) -> str:
    """Return an image as base64 PNG, shrunk to at most `size` pixels a side."""
    small = image.convert("RGB")
    small.thumbnail((size, size))
    buffer = io.BytesIO()
    small.save(buffer, format="PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def decode_thumbnail(text: str) -> Image.Image:
    """Return the RGB image that `encode_thumbnail` encoded."""
    with Image.open(io.BytesIO(base64.b64decode(text, validate=True)), formats=["PNG"]) as image:
        return image.convert("RGB")

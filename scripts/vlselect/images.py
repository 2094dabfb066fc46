"""Images of records, loaded safely: inside their root, of a bounded size, whole, as RGB.

An image file is input from outside: its path must not lead out of the image root (by ``..``, an
absolute path or a link), its size is checked before any pixel is decoded, and only plain raster
formats are opened (Pillow would start Ghostscript for a PostScript file).
"""

import os
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from vlselect.records import Rejection

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM")
# What Pillow's decoders raise on broken data.
_BROKEN = (OSError, SyntaxError, ValueError, LookupError, TypeError, EOFError, OverflowError)
_BROKEN += (struct.error, zlib.error)


class ImageError(Rejection):
    """An image cannot be used; `reason` and `detail` as for a record, the detail names the path."""


def require_root(root: str | Path) -> None:
    """Refuse an image root that is no folder: else every image would be called missing.

    Raises
    ------
    NotADirectoryError
        Naming it.
    """
    if not Path(root).is_dir():
        raise NotADirectoryError(f"the image root {str(root)!r} is not a folder")


def resolve(root: str | Path, name: str) -> Path:
    """Find an image below its root.

    Parameters
    ----------
    root : str or Path
        Folder that no image may lie outside of.
    name : str
        Path relative to it.

    Returns
    -------
    Path
        The file, with links followed.

    Raises
    ------
    ImageError
        ``image_outside_root`` or ``missing_image``.
    """
    if "\0" in name:
        raise ImageError("missing_image", f"{name!r}: a path holds no null character")
    root = os.path.realpath(root)
    real = os.path.realpath(os.path.join(root, name))  # noqa: PTH118 (as realpath takes it)
    if Path(name).is_absolute() or not Path(real).is_relative_to(root):
        raise ImageError("image_outside_root", f"{name!r} is not a path inside the image root")
    if not os.path.isfile(real):  # noqa: PTH113 (never raises, on names too long either)
        raise ImageError("missing_image", f"{name!r}: no such file in the image root")
    return Path(real)


def load(root: str | Path, name: str, max_pixels: int) -> Image.Image:
    """Load one image, whole, upright and as RGB.

    Parameters
    ----------
    root, name
        As for `resolve`.
    max_pixels : int
        Most pixels (width x height) that are decoded. Pillow's own limit, about 179 million,
        holds as well.

    Returns
    -------
    PIL.Image.Image
        Mode RGB: see `to_rgb`.

    Raises
    ------
    ImageError
        As `resolve`; ``oversized_image``, ``unreadable_image`` or ``truncated_image``.
    """
    path = resolve(root, name)
    try:
        with Image.open(path, formats=FORMATS) as image:
            pixels = image.width * image.height
            if pixels > max_pixels:
                detail = f"{name!r}: {image.width} x {image.height} pixels, over {max_pixels}"
                raise ImageError("oversized_image", detail)
            image.load()
            return to_rgb(image)
    except Image.DecompressionBombError as error:
        raise ImageError("oversized_image", f"{name!r}: {error}") from error
    except UnidentifiedImageError as error:
        detail = f"{name!r} ({path.stat().st_size} bytes) is not one of {', '.join(FORMATS)}"
        raise ImageError("unreadable_image", detail) from error
    except _BROKEN as error:
        cut_short = isinstance(error, EOFError) or "truncated" in str(error).lower()
        reason = "truncated_image" if cut_short else "unreadable_image"
        raise ImageError(reason, f"{name!r}: {error}") from error


def problem(root: str | Path, name: str, max_pixels: int) -> tuple[str, str] | None:
    """Check one image as `load` does, and its checksums where the format has them.

    Returns
    -------
    (str, str) or None
        Reason and detail; nothing where the image is good. (Values, not the error itself, since
        these are kept and an error keeps its whole call stack.)
    """
    try:
        load(root, name, max_pixels)
        with Image.open(resolve(root, name), formats=FORMATS) as image:
            image.verify()
    except ImageError as error:
        return error.reason, error.detail
    except _BROKEN as error:
        return "unreadable_image", f"{name!r}: {error}"
    return None


def to_rgb(image: Image.Image) -> Image.Image:
    """Turn an image of any mode into RGB, upright.

    The EXIF orientation is applied. What is transparent shows white: diagrams with black text on
    a transparent ground would be all black otherwise. Sixteen-bit grey is scaled to eight bits;
    32-bit grey, whose range no file states, is stretched from its least to its largest value.
    """
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I;16"):
        values = np.asarray(image).astype(np.uint16)  # native byte order, (H, W)
        image = Image.fromarray((values >> 8).astype(np.uint8))
    elif image.mode in ("I", "F"):
        values = np.asarray(image).astype(np.float64)
        values = np.nan_to_num(values - np.nanmin(values))
        values *= 255 / max(values.max(), 1e-12)
        image = Image.fromarray(np.rint(values).astype(np.uint8))
    elif image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, image)
    return image.convert("RGB")

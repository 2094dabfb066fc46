"""Load images of records safely: inside their root, of bounded size, complete, as RGB.

An image file is untrusted input: `image_roots` bounds where it may be, its size is checked before
any pixel is decoded, and only plain raster formats are opened (Pillow would start Ghostscript for
a PostScript file).
"""

import io
import struct
import zlib
from contextlib import nullcontext
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, PngImagePlugin, UnidentifiedImageError

from vlselect.core.compressed import not_fetched
from vlselect.core.errors import lacks_memory
from vlselect.pool.image_roots import ImageError, ImageRoots
from vlselect.pool.records import Record

CHECKED = 64 << 20  # bytes of a file that its checksum goes over
LARGEST_METADATA = 16 << 20  # bytes of one text or colour profile of a PNG, decompressed
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM")
_TURNS = {  # by EXIF's orientation; 1 is upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# Raised by Pillow's decoders on broken data.
_BROKEN = (OSError, SyntaxError, ValueError, LookupError, TypeError, EOFError, OverflowError)
_BROKEN += (struct.error, zlib.error)


def load_all(roots: ImageRoots | str | Path, record: Record, max_pixels: int) -> list[Image.Image]:
    """Load a record's images, each of which has to be the one that was read at first.

    Raises ImageError as `load` does, and ``unreadable_image`` for a file that has changed.
    """
    known = record.checksums or (None,) * len(record.images)
    pairs = zip(record.images, known, strict=True)
    return [load(roots, reference, max_pixels, checksum) for reference, checksum in pairs]


def load(
    roots: ImageRoots | str | Path, reference: str, max_pixels: int, checksum: int | None = None
) -> Image.Image:
    """Load one complete image, upright and as RGB (see `to_rgb`).

    Parameters
    ----------
    roots : ImageRoots, str or Path
        Where the images are; a single location may be given as a path.
    reference : str
        The image, as named in the sample.
    max_pixels : int
        Most pixels (width x height) that are decoded. Pillow's own limit, about 179 million,
        applies as well.
    checksum : int, optional
        What `inspect` found, to be compared with.

    Raises
    ------
    ImageError
        As `ImageRoots.path` and `ImageRoots.read`; ``oversized_image``, ``unreadable_image`` or
        ``truncated_image``.
    """
    source = _find(roots, reference)
    if checksum is not None and _checksum(source, reference) != checksum:
        detail = f"{reference!r} is another file than when its record was read"
        cure = "`--forcerun prepare_pool prepare_task` reads all anew"
        raise ImageError("unreadable_image", f"{detail}; {cure}")
    return _decode(source, reference, max_pixels)


def inspect(
    roots: ImageRoots | str | Path, reference: str, max_pixels: int
) -> int | tuple[str, str]:
    """Check one image as `load` does, and the checksums inside it.

    Returns
    -------
    int or (str, str)
        CRC-32 of the file's first 64 MiB and of its size; or reason and detail if the image cannot
        be used: strings instead of the error, which would keep its call stack alive.
    """
    try:
        source = _find(roots, reference)
        _decode(source, reference, max_pixels)
        with _open(source) as image:
            image.verify()
        return _checksum(source, reference)
    except ImageError as error:
        return error.reason, error.detail
    except _BROKEN as error:
        _end_without_memory(error)
        return "unreadable_image", f"{reference!r}: {error}"


def _find(roots: ImageRoots | str | Path, reference: str) -> Path | io.BytesIO:
    roots = ImageRoots.parse(roots)
    return roots.path(reference) or io.BytesIO(roots.read(reference))


def _checksum(source: Path | io.BytesIO, reference: str) -> int:
    found, left = 0, CHECKED
    try:
        with source.open("rb") if isinstance(source, Path) else nullcontext(source) as file:
            size = file.seek(0, io.SEEK_END)
            file.seek(0)
            while left and (part := file.read(min(left, 1 << 20))):
                found, left = zlib.crc32(part, found), left - len(part)
            file.seek(0)
    except OSError as error:
        raise ImageError("unreadable_image", f"{reference!r}: {error}") from error
    return zlib.crc32(size.to_bytes(8, "little"), found)


def _open(source: Path | io.BytesIO) -> Image.Image:
    """Open an image without decoding it.

    Pillow's own limit on each piece of a PNG's metadata is a megabyte, which profiles of printers
    exceed; its limit on all texts of an image together, 64 MiB, stays.
    """
    PngImagePlugin.MAX_TEXT_CHUNK = LARGEST_METADATA
    return Image.open(source, formats=FORMATS)


def _decode(source: Path | io.BytesIO, reference: str, max_pixels: int) -> Image.Image:
    try:
        with _open(source) as image:
            pixels = image.width * image.height
            if pixels > max_pixels:
                detail = f"{reference!r}: {image.width} x {image.height} pixels, over {max_pixels}"
                raise ImageError("oversized_image", detail)
            image.load()
            return to_rgb(image)
    except ImageError:
        raise
    except Image.DecompressionBombError as error:
        raise ImageError("oversized_image", f"{reference!r}: {error}") from error
    except UnidentifiedImageError as error:
        with source.open("rb") if isinstance(source, Path) else source as file:
            file.seek(0)
            start, size = file.read(64), file.seek(0, io.SEEK_END)
        what = not_fetched(start) or f"not one of {', '.join(FORMATS)}"
        detail = f"{reference!r} ({size} bytes) is {what}"
        raise ImageError("unreadable_image", detail) from error
    except _BROKEN as error:
        _end_without_memory(error)
        if "MAX_TEXT" in str(error):  # Pillow has no other sign
            most = f"{LARGEST_METADATA >> 20} MiB in a piece or 64 in all"
            detail = f"{reference!r}: its texts or colour profile take over {most}"
            raise ImageError("oversized_image", detail) from error
        cut_short = isinstance(error, EOFError) or "truncated" in str(error).lower()
        reason = "truncated_image" if cut_short else "unreadable_image"
        raise ImageError(reason, f"{reference!r}: {error}") from error


def _end_without_memory(error: Exception) -> None:
    """Raise MemoryError if it is this process that lacks memory: the image may be whole."""
    if lacks_memory(error):
        raise MemoryError(str(error)) from error


def to_rgb(image: Image.Image) -> Image.Image:
    """Convert an image of any mode to RGB, upright.

    The EXIF orientation is applied. Transparent pixels become white, since diagrams with black text
    on a transparent background would otherwise be all black. Sixteen-bit grey is scaled to eight
    bits; 32-bit grey, whose range no file states, is stretched from its minimum to its maximum.
    """
    image = _upright(image)
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


def _upright(image: Image.Image) -> Image.Image:
    """Turn an image as its EXIF says. What else is in there may be broken: it says nothing."""
    try:
        turn = _TURNS.get(image.getexif().get(ExifTags.Base.Orientation))
    except _BROKEN:
        return image
    return image if turn is None else image.transpose(turn)

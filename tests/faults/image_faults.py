"""Trials of mutated images in ten formats: `images.inspect` and `images.load` agree on each.

An image without a problem is loaded, as RGB and no larger than allowed. The reason of any other is
one of the known ones. Formats that are not read (ICO, TGA, JPEG 2000) are never read.
"""

import io
import struct
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from random import Random

import byte_mutations
import numpy as np
from fault_trials import READ, REFUSED, Trials
from PIL import Image

from vlselect.pool import images

READ_FORMATS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM")
FORMATS = (*READ_FORMATS, "ICO", "TGA", "JPEG2000")
MODES = {
    "PNG": ("RGB", "RGBA", "P", "1", "L", "LA", "I;16"),
    "TIFF": ("RGB", "RGBA", "P", "1", "L", "F", "I;16", "CMYK", "I"),
    "JPEG": ("RGB", "L", "CMYK"),
    "GIF": ("P", "L"),
    "BMP": ("RGB", "P", "1", "L"),
    "PPM": ("RGB", "L", "1"),
    "WEBP": ("RGB", "RGBA"),
}
COMPRESSIONS = (None, "tiff_lzw", "tiff_deflate", "packbits", "jpeg", "group4")
REASONS = ("unreadable_image", "truncated_image", "oversized_image")
MOST = 1 << 20  # pixels
SIZES = (0, 1, 1023, 65_535, 65_536, 2**31 - 1, 2**32 - 1)


def kind_of(number: int) -> str:
    """Return the format of an image."""
    return FORMATS[number % len(FORMATS)]


class ImageTrials(Trials):
    """Trials on single images; `seed` and a trial's number are all that it depends on."""

    def __init__(self, folder: Path, seed: int):
        self._folder, self._seed = folder, seed
        folder.mkdir(parents=True)

    def __call__(self, number: int) -> str:
        random = Random(f"{self._seed} {number}")
        path = self._folder / "image.bin"
        path.write_bytes(mutated(kind_of(number), random))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = images.inspect(self._folder, path.name, MOST)
            try:
                image = images.load(self._folder, path.name, MOST)
            except images.ImageError as error:
                # The check also verifies checksums, so it may find more than loading does.
                assert not isinstance(found, int) and error.reason in REASONS
                assert path.name in error.detail and len(error.detail) < 1000
                return REFUSED
        assert image.mode == "RGB" and image.width * image.height <= MOST
        if isinstance(found, int):
            assert images.load(self._folder, path.name, MOST, found) == image
            return READ
        assert found[0] in REASONS and path.name in found[1], found
        return REFUSED


def good(form: str, random: Random) -> bytes:
    """Return the file of a small image."""
    mode = random.choice(MODES.get(form, ("RGB",)))
    values = np.random.default_rng(random.randrange(2**32)).integers(0, 255, (16, 24, 3), np.uint8)
    image = Image.fromarray(values)
    image = (
        Image.fromarray(values[..., 0].astype(np.uint16)) if mode == "I;16" else image.convert(mode)
    )
    options = {}
    if form == "TIFF" and random.random() < 0.6:
        options["compression"] = "group4" if mode == "1" else random.choice(COMPRESSIONS[:4])
    if form == "PNG" and random.random() < 0.3:
        options["icc_profile"] = random.randbytes(500)
    if form in ("JPEG", "PNG", "WEBP") and random.random() < 0.3:
        exif = Image.Exif()
        exif[0x0112], exif[0x010E] = random.randrange(10), "x" * 50
        options["exif"] = exif.tobytes()
    if form == "JPEG":
        options["progressive"] = random.random() < 0.4
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def mutated(form: str, random: Random) -> bytes:
    """Return the file of an image with one mutation, or a few."""
    content = good(form, random)
    special: dict[str, Callable[[bytes, Random], bytes]] = {
        "PNG": _png_chunk,
        "BMP": _bmp_field,
        "GIF": _gif_field,
        "TIFF": _tiff_entry,
        "JPEG": _jpeg_frame,
        "PPM": _ppm_header,
    }
    what = random.choice(["bytes", "bytes", "bytes", "special", "special", "other's end", "suffix"])
    if what == "special" and form in special:
        return special[form](content, random)
    if what == "other's end":
        other = good(random.choice(FORMATS), random)
        at = random.choice([4, 16, 64])
        return content[:at] + other[at:]
    if what == "suffix":
        return content + random.choice([content, bytes(1 << 20), random.randbytes(100)])
    for _ in range(random.choice([1, 1, 3])):
        content = byte_mutations.mutate(content, random)[1]
    return content


def _png_chunk(content: bytes, random: Random) -> bytes:
    """Change a chunk of a PNG, whose checksum is made right again, or add one."""
    chunks, place = [], 8
    while place < len(content):
        (size,) = struct.unpack(">I", content[place : place + 4])
        chunks.append((content[place + 4 : place + 8], content[place + 8 : place + 8 + size]))
        place += 12 + size
    i = random.randrange(len(chunks))
    name, data = chunks[i]
    if name == b"IHDR" and random.random() < 0.7:
        fields = [random.choice(SIZES), random.choice(SIZES)]
        chunks[i] = name, struct.pack(">II", *fields) + data[8:]
    elif random.random() < 0.5 and data:
        chunks[i] = name, byte_mutations.mutate(data, random)[1]
    else:
        kind = random.choice(
            [b"tEXt", b"zTXt", b"iTXt", b"iCCP", b"tRNS", b"acTL", b"fcTL", b"PLTE", b"eXIf"]
        )
        flood = zlib.compress(bytes(1 << 24))
        data = random.choice([b"", b"a\0" + flood, b"a\0\0" + flood, random.randbytes(30), data])
        chunks.insert(random.randrange(len(chunks) + 1), (kind, data))
    packed = (
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )
    return content[:8] + b"".join(packed)


def _bmp_field(content: bytes, random: Random) -> bytes:
    at = random.choice([10, 14, 18, 22, 26, 28, 30, 34, 46, 50])
    return content[:at] + struct.pack("<I", random.choice(SIZES)) + content[at + 4 :]


def _gif_field(content: bytes, random: Random) -> bytes:
    at = random.choice([6, 8, 10, 11, 12, content.find(b",") + 1, content.find(b",") + 5])
    return content[:at] + struct.pack("<H", random.choice(SIZES) & 0xFFFF) + content[at + 2 :]


def _tiff_entry(content: bytes, random: Random) -> bytes:
    """Change tag, type, count or value of one entry of a TIFF's directory."""
    (start,) = struct.unpack("<I", content[4:8])
    (n,) = struct.unpack("<H", content[start : start + 2])
    at = start + 2 + 12 * random.randrange(n)
    field, width = random.choice([(0, 2), (2, 2), (4, 4), (8, 4), (8, 4), (8, 4)])
    value = random.choice([*SIZES, *range(20)]) & (2 ** (8 * width) - 1)
    return content[: at + field] + value.to_bytes(width, "little") + content[at + field + width :]


def _jpeg_frame(content: bytes, random: Random) -> bytes:
    """Change the height, width or components in a JPEG's frame, or a segment's length."""
    at = max(content.find(b"\xff\xc0"), content.find(b"\xff\xc2"))
    field = random.choice([2, 5, 7, 9, 10, 11, 12])
    value = random.choice(SIZES) & 0xFFFF
    return content[: at + field] + struct.pack(">H", value) + content[at + field + 2 :]


def _ppm_header(content: bytes, random: Random) -> bytes:
    numbers = [
        random.choice([b"24", b"16", b"0", b"-1", b"9" * 5000, b"99999", b"#", b"1e3"])
        for _ in "123"
    ]
    magic = random.choice([b"P1", b"P2", b"P3", b"P4", b"P5", b"P6", b"P7", b"Pf", b"PF", b"Py"])
    return magic + b"\n" + b" ".join(numbers) + b"\n" + content[15:]

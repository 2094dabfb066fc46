"""Trials of hostile tars as places of images: their index is read, or refused by name.

What is found lies in the file, every image is read or refused, and no name leads out.
"""

import io
import tarfile
from pathlib import Path
from random import Random

import byte_mutations
from fault_trials import READ, REFUSED, Trials
from PIL import Image

from vlselect.core.errors import InputError
from vlselect.pool import images
from vlselect.pool.image_roots import ImageRoots

NAMES = (
    "a.png",
    "../a.png",
    "/etc/passwd",
    "b/../../c.png",
    "./d.png",
    "n" * 300,
    "é.png",
    "a\nb",
    ".",
)
NUMBERS = (
    b"-1",
    b"-513",
    b"99999999999",
    b"9" * 5000,
    b"0x10",
    b"",
    b"1_0",
    "١".encode(),
    b"1e3",
    b"512",
)
KINDS = ("bytes", "header", "pax", "types", "sizes")


def kind_of(number: int) -> str:
    """Return what is changed."""
    return KINDS[number % len(KINDS)]


class TarTrials(Trials):
    """Trials on tars; `seed` and a trial's number are all that it depends on."""

    def __init__(self, folder: Path, seed: int):
        self._folder, self._seed = folder, seed
        folder.mkdir(parents=True)

    def __call__(self, number: int) -> str:
        random = Random(f"{self._seed} {number}")
        path = self._folder / f"{number}.tar"
        path.write_bytes(mutated(kind_of(number), random))
        try:
            roots = ImageRoots({None: path})
            try:
                roots.require()
            except InputError as error:
                assert str(path) in str(error) and len(str(error)) < 2000, str(error)[:500]
                return REFUSED
            for name in (*NAMES, "none.png", "good.png"):
                found = images.inspect(roots, name, 1 << 20)
                good = isinstance(found, int)
                assert not good or not name.startswith(("/", "..")), name
                assert good or len(found[1]) < 2000
            return READ
        finally:
            path.unlink()


def mutated(what: str, random: Random) -> bytes:
    """Return a tar with good members and odd ones."""
    file = io.BytesIO()
    form = random.choice([tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT])
    picture = io.BytesIO()
    Image.new("RGB", (8, 8)).save(picture, "PNG")
    with tarfile.open(fileobj=file, mode="w", format=form) as tar:
        for name in ("good.png", *random.sample(NAMES, 3)):
            _add(
                tar,
                name if form != tarfile.USTAR_FORMAT else name[:90],
                picture.getvalue(),
                what,
                random,
            )
    content = bytearray(file.getvalue())
    if what == "bytes":
        return byte_mutations.mutate(bytes(content), random)[1]
    if what == "header":
        _change_header(content, random)
    return bytes(content)


def _add(tar: tarfile.TarFile, name: str, data: bytes, what: str, random: Random) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    if what == "types" and random.random() < 0.7:
        kinds = [
            tarfile.SYMTYPE,
            tarfile.LNKTYPE,
            tarfile.CHRTYPE,
            tarfile.BLKTYPE,
            tarfile.FIFOTYPE,
        ]
        kinds += [tarfile.DIRTYPE, tarfile.CONTTYPE, tarfile.GNUTYPE_SPARSE, b"V", b"M", b"z"]
        member.type = random.choice(kinds)
        member.linkname = random.choice(["/etc/passwd", "good.png", "../x"])
        member.size = 0 if member.type in kinds[:6] else member.size
    elif what == "sizes":
        member.size = random.choice([0, 10, 2**33, 2**62, 2**80, len(data)])
        data = data if member.size == len(data) else b""
        tar.fileobj.write(member.tobuf(tarfile.GNU_FORMAT) + data + bytes(-len(data) % 512))
        return
    elif what == "pax":
        key = random.choice(
            ["path", "size", "GNU.sparse.major", "GNU.sparse.realsize", "linkpath", "é"]
        )
        value = random.choice([*NUMBERS, *(n.encode() for n in NAMES), b"\xff\xfe"])
        _add_pax(tar, key.encode(), value, random)
    tar.addfile(member, io.BytesIO(data))


def _add_pax(tar: tarfile.TarFile, key: bytes, value: bytes, random: Random) -> None:
    line = b" " + key + b"=" + value + b"\n"
    size = len(line) + 1
    while len(str(size)) + len(line) != size:
        size += 1
    length = random.choice([str(size).encode()] * 8 + [b"0", b"9" * 5000, b"-5", "٣".encode()])
    data = length + line
    header = tarfile.TarInfo("pax")
    header.type, header.size = random.choice([b"x", b"x", b"g"]), len(data)
    tar.fileobj.write(header.tobuf(tarfile.USTAR_FORMAT) + data + bytes(-len(data) % 512))


def _change_header(content: bytearray, random: Random) -> None:
    """Change a number of the first header and make its checksum right again."""
    start, width = random.choice(
        [(124, 12), (124, 12), (124, 12), (156, 1), (100, 8), (136, 12), (0, 100)]
    )
    fields = [
        b"-0000001000\0",
        b"-7777777777\0",
        b"0o7\0",
        b"7_7\0",
        b"\x80" + b"\xff" * 11,
        b"\xff" * 12,
    ]
    fields += [
        b"\x80" + bytes(7) + b"\x40\0\0\0",
        b" " * 12,
        b"\0" * 12,
        random.randbytes(12),
        b"+100\0",
    ]
    content[start : start + width] = random.choice(fields)[:width].ljust(width, b"\0")
    content[148:156] = b" " * 8
    content[148:156] = b"%06o\0 " % sum(content[:512])

"""Images: a loaded image is RGB and inside the root, and each defect has its own reason."""

import errno
import re
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageFile, ImageOps, PngImagePlugin

from vlselect.pool.image_roots import ImageError, ImageRoots
from vlselect.pool.images import inspect, load, to_rgb

PIXELS = np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8)


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "images"
    (folder / "a").mkdir(parents=True)
    Image.fromarray(PIXELS).save(folder / "a/good.png")
    Image.fromarray(PIXELS).save(folder / "a/good.jpg")
    return folder


def reason(root, name, max_pixels=10_000):
    """Return the reason that both loading and checking report."""
    with pytest.raises(ImageError) as caught:
        load(root, name, max_pixels)
    assert inspect(root, name, max_pixels) == (caught.value.reason, caught.value.detail)
    assert repr(name) in caught.value.detail
    return caught.value.reason


def test_a_good_image(root):
    image = load(root, "a/good.png", 60 * 40)
    assert image.mode == "RGB"
    np.testing.assert_array_equal(np.asarray(image), PIXELS)
    assert isinstance(inspect(root, "a/good.png", 60 * 40), int)
    assert isinstance(inspect(root, "a/../a/good.jpg", 60 * 40), int)


def test_a_file_of_another_size_or_with_another_byte_is_not_the_image_that_was_read(root):
    known = inspect(root, "a/good.jpg", 10_000)
    same = load(root, "a/good.jpg", 10_000, known)
    assert same == load(root, "a/good.jpg", 10_000)
    content = (root / "a/good.jpg").read_bytes()
    assert known == zlib.crc32(len(content).to_bytes(8, "little"), zlib.crc32(content))
    for other in (content + b"\0", content[:-9] + b"\0" + content[-8:]):
        (root / "a/good.jpg").write_bytes(other)
        load(root, "a/good.jpg", 10_000)
        with pytest.raises(ImageError, match="'a/good.jpg' is another file") as caught:
            load(root, "a/good.jpg", 10_000, known)
        assert caught.value.reason == "unreadable_image"


def test_links_inside_the_root_are_followed(root):
    (root / "b").symlink_to(root / "a")
    assert ImageRoots.parse(root).path("b/good.png") == (root / "a/good.png").resolve()
    (root.parent / "link").symlink_to(root)
    linked = ImageRoots.parse(root.parent / "link")
    assert linked.path("a/good.png") == (root / "a/good.png").resolve()


def test_no_path_leaves_the_root(root):
    outside = root.parent / "outside"
    outside.mkdir()
    Image.fromarray(PIXELS).save(outside / "x.png")
    (root / "link.png").symlink_to(outside / "x.png")
    (root / "folder").symlink_to(outside)
    (root.parent / "images2").symlink_to(outside)  # begins with the root's name
    bad = ["../outside/x.png", "a/../../outside/x.png", str(outside / "x.png")]
    bad += ["../images2/x.png", str(root.parent / "images2/x.png"), "../none.png"]
    assert [reason(root, name) for name in bad] == ["image_outside_root"] * len(bad)
    strict = ImageRoots({None: root}, None)
    assert [reason(strict, name) for name in ("link.png", "folder/x.png")] == [
        "image_outside_root"
    ] * 2


def test_missing(root):
    (root / "loop.png").symlink_to(root / "loop.png")
    for name in ["none.png", "a", "a/good.png/x", "x" * 5000, "a\0b", "loop.png", "http://x/y.png"]:
        assert reason(root, name) == "missing_image"


def test_unreadable(root):
    (root / "empty.png").write_bytes(b"")
    (root / "text.jpg").write_text("not an image")
    (root / "page.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    for name in ["empty.png", "text.jpg", "page.png"]:
        assert reason(root, name) == "unreadable_image"


def test_a_broken_checksum_is_found_by_the_check(root):
    content = bytearray((root / "a/good.png").read_bytes())
    content[content.index(b"IEND") - 5] ^= 255  # in the pixels' checksum, which ends there
    (root / "sum.png").write_bytes(content)
    load(root, "sum.png", 10_000)
    assert inspect(root, "sum.png", 10_000)[0] == "unreadable_image"


@pytest.mark.parametrize(
    "error",
    [
        OSError("out of memory when reading image file"),  # Pillow's, without a number
        OSError(errno.ENOMEM, "Cannot allocate memory"),
    ],
    ids=str,
)
def test_want_of_memory_is_no_fault_of_an_image(root, monkeypatch, error):
    def fail(image):
        raise error

    monkeypatch.setattr(Image.Image, "load", fail)
    monkeypatch.setattr(ImageFile.ImageFile, "load", fail)
    for check in (load, inspect):
        with pytest.raises(MemoryError):
            check(root, "a/good.png", 10_000)


@pytest.mark.parametrize("suffix", ["png", "jpg", "gif", "bmp"])
def test_truncated(root, suffix):
    Image.fromarray(PIXELS).save(root / f"whole.{suffix}")
    content = (root / f"whole.{suffix}").read_bytes()
    (root / f"cut.{suffix}").write_bytes(content[: len(content) * 2 // 3])
    assert reason(root, f"cut.{suffix}") == "truncated_image"


def test_oversized_before_decoding(root):
    assert reason(root, "a/good.png", 60 * 40 - 1) == "oversized_image"
    # A header that promises more pixels than memory holds, and no pixels.
    header = struct.pack(">IIBBBBB", 2**31 - 1, 2**31 - 1, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    png = (
        b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    )
    (root / "bomb.png").write_bytes(png + struct.pack(">I", 0) + b"IDAT" + b"\0" * 4)
    assert reason(root, "bomb.png", 10**12) == "oversized_image"
    assert reason(root, "bomb.png") == "oversized_image"


def with_text(size, compressed=True, international=False):
    text = PngImagePlugin.PngInfo()
    (text.add_itxt if international else text.add_text)("note", "x" * size, zip=compressed)
    return {"pnginfo": text}


@pytest.mark.parametrize(
    "metadata",
    [
        lambda size: {"icc_profile": np.random.default_rng(0).bytes(size)},
        lambda size: {"icc_profile": bytes(size)},
        with_text,
        lambda size: with_text(size, international=True),
        lambda size: with_text(size, international=True, compressed=False),
    ],
    ids=["random profile", "profile", "zTXt", "iTXt", "iTXt as it is"],
)
def test_a_png_with_large_metadata_is_sound(root, metadata):
    Image.fromarray(PIXELS).save(root / "large.png", **metadata(2 << 20))
    assert isinstance(inspect(root, "large.png", 10_000), int)
    np.testing.assert_array_equal(np.asarray(load(root, "large.png", 10_000)), PIXELS)


@pytest.mark.parametrize("size", [(17 << 20,), (15 << 20,) * 5], ids=["one", "many"])
@pytest.mark.parametrize("kind", ["profile", "text"])
def test_metadata_that_unpack_to_a_flood_are_refused(root, size, kind):
    """A chunk of 17 MiB of zeros is 17 kB in the file; memory is bounded by the limit."""
    text = PngImagePlugin.PngInfo()
    for i, n in enumerate(size):
        text.add_text(f"note {i}", "x" * n, zip=True)
    keys = {"icc_profile": bytes(size[0] + (2 << 20))} if kind == "profile" else {"pnginfo": text}
    Image.fromarray(PIXELS).save(root / "flood.png", **keys)
    del text, keys
    assert (root / "flood.png").stat().st_size < 200_000
    assert reason(root, "flood.png") == "oversized_image"


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGBA", "CMYK", "YCbCr", "I;16", "I", "F"])
def test_every_mode_becomes_rgb(mode):
    if mode == "I;16":
        image = Image.fromarray(PIXELS[..., 0].astype(np.uint16) * 257)
    else:
        image = Image.fromarray(PIXELS).convert(mode)
    assert image.mode == mode
    found = to_rgb(image)
    assert found.mode == "RGB" and found.size == (60, 40)
    if mode in ("I;16", "L", "F", "I"):
        assert np.asarray(found).std() > 30  # not clipped to white


def test_sixteen_bits_become_eight(root):
    values = np.array([[0, 255, 256, 65535]], dtype=np.uint16)
    Image.fromarray(values).save(root / "deep.png")
    found = np.asarray(load(root, "deep.png", 100))[0, :, 0]
    np.testing.assert_array_equal(found, [0, 0, 1, 255])


def test_a_flat_or_broken_float_image_is_black():
    assert not np.asarray(to_rgb(Image.fromarray(np.full((2, 2), 7, np.float32)))).any()
    values = np.array([[1, np.nan], [2, 3]], np.float32)
    assert np.asarray(to_rgb(Image.fromarray(values)))[..., 0].tolist() == [[0, 0], [128, 255]]


def test_transparent_shows_white(root):
    image = Image.new("RGBA", (3, 1), (0, 0, 0, 0))
    image.putpixel((1, 0), (255, 0, 0, 255))
    image.putpixel((2, 0), (0, 0, 0, 128))
    white, red, grey = np.asarray(to_rgb(image))[0].tolist()
    assert (white, red) == ([255, 255, 255], [255, 0, 0])
    assert abs(grey[0] - 127) <= 1
    palette = Image.new("P", (2, 1), 0)
    palette.putpalette([0, 0, 0, 0, 255, 0])
    palette.putpixel((1, 0), 1)
    palette.save(root / "palette.png", transparency=0)
    found = np.asarray(load(root, "palette.png", 10))[0].tolist()
    assert found == [[255, 255, 255], [0, 255, 0]]


def test_orientation_is_applied(root):
    image = Image.fromarray(PIXELS)
    exif = image.getexif()
    exif[0x0112] = 6  # rotated by 90 degrees
    image.save(root / "turned.png", exif=exif)
    found = np.asarray(load(root, "turned.png", 10_000))
    np.testing.assert_array_equal(found, np.rot90(PIXELS, -1))


@pytest.mark.parametrize("turn", range(1, 9))
def test_every_orientation_is_that_of_pillow(turn):
    image = Image.fromarray(PIXELS)
    image.getexif()[0x0112] = turn
    expected = np.asarray(ImageOps.exif_transpose(image))
    np.testing.assert_array_equal(np.asarray(to_rgb(image)), expected)


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
def test_broken_exif_does_not_make_a_sound_image_bad(root, suffix):
    Image.fromarray(PIXELS).save(root / f"x.{suffix}", exif=b"garbage", lossless=True)
    assert isinstance(inspect(root, f"x.{suffix}", 10_000), int)
    if suffix != "jpg":
        np.testing.assert_array_equal(np.asarray(load(root, f"x.{suffix}", 10_000)), PIXELS)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:a\n", "git lfs pull"),
        (b"<!DOCTYPE html><html>Not found</html>", "a web page .*; download it again"),
        (b"\n<html>Not found</html>", "a web page .*; download it again"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not one of JPEG"),
    ],
)
def test_what_a_download_left_in_place_of_an_image_is_named(root, content, expected):
    (root / "x.jpg").write_bytes(content)
    reason, detail = inspect(root, "x.jpg", 10_000)
    assert reason == "unreadable_image"
    assert re.search(expected, detail)


@pytest.mark.parametrize("suffix", ["ppm", "pgm", "jpg", "png", "webp", "gif", "bmp", "tif"])
def test_every_format_that_is_named_opens(tmp_path, suffix):
    Image.new("L" if suffix == "pgm" else "RGB", (8, 8)).save(tmp_path / f"x.{suffix}")
    assert isinstance(inspect(tmp_path, f"x.{suffix}", 10**6), int)


def test_the_error_for_an_unknown_format_lists_the_known_ones(tmp_path):
    (tmp_path / "x.png").write_bytes(b"%!PS-Adobe-3.0")
    reason, detail = inspect(tmp_path, "x.png", 10**6)
    assert reason == "unreadable_image" and "(14 bytes) is not one of JPEG" in detail

"""Image roots: the same bytes from every kind of location, and no way out of any."""

import argparse
import io
import json
import tarfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from record_forms import IMAGE, write_saved, write_tar
from special_files import KINDS, special, within

from vlselect.core.errors import InputError
from vlselect.pool import images
from vlselect.pool.embedded import content_name, locate
from vlselect.pool.image_roots import ImageError, ImageRoots, add_images_argument
from vlselect.pool.table_stream import read_rows

NAMES = ("a/1.png", "a/2.png", "b/é 3.png")


def picture(seed: int) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 255, (6, 8, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


CONTENT = {name: picture(seed) for seed, name in enumerate(NAMES)}


@pytest.fixture
def folder(tmp_path):
    for name, content in CONTENT.items():
        path = tmp_path / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return tmp_path / "images"


def rows():
    """Two images in the first row, one in the second, none in the third."""
    first = [{"bytes": CONTENT[name], "path": name} for name in NAMES[:2]]
    last = {"bytes": CONTENT[NAMES[2]], "path": None}
    return [{"images": first}, {"images": [last]}, {"images": []}]


def references(files) -> list[str]:
    found = [json.loads(raw) for _, raw in read_rows(files)]
    return [image["bytes"] for row in found for image in row["images"]]


def reason(roots, reference):
    """Return the reason that loading and checking report."""
    roots = ImageRoots.parse(roots)
    with pytest.raises(ImageError) as caught:
        images.load(roots, reference, 10**6)
    assert images.inspect(roots, reference, 10**6) == (caught.value.reason, caught.value.detail)
    return caught.value.reason


def outside(roots, reference):
    """Return whether path, reading and loading all say that a reference leads out of its root."""
    roots = ImageRoots.parse(roots)
    for give in (roots.path, roots.read, lambda name: images.load(roots, name, 10**6)):
        with pytest.raises(ImageError) as caught:
            give(reference)
        if caught.value.reason != "image_outside_root":
            return False
    return True


def test_a_folder_gives_files(folder):
    roots = ImageRoots.parse(folder)
    assert roots.folder == folder
    for name in NAMES:
        assert roots.path(name) == folder / name and roots.read(name) == CONTENT[name]


@pytest.mark.parametrize("prefix", ["", "./", "x/../"])
def test_a_tar_is_read_in_place(tmp_path, prefix):
    members = {prefix + name: content for name, content in CONTENT.items()}
    roots = ImageRoots.parse(write_tar(members, tmp_path / "x.tar"))
    roots.require()
    assert roots.folder is None
    for name in NAMES:
        for asked in (name, f"./{name}", f"a/../{name}"):
            assert roots.path(asked) is None and roots.read(asked) == CONTENT[name]
        loaded = images.load(roots, name, 10**6)
        expected = Image.open(io.BytesIO(CONTENT[name]))
        np.testing.assert_array_equal(np.asarray(loaded), np.asarray(expected))
        assert isinstance(images.inspect(roots, name, 10**6), int)


def test_shards_of_tars(tmp_path):
    for i, name in enumerate(NAMES):
        write_tar({name: CONTENT[name], "readme": b"", f"own-{i}": b"x"}, tmp_path / f"{i}.tar")
    roots = ImageRoots.parse(str(tmp_path / "?.tar"))
    assert [roots.read(name) for name in NAMES] == [CONTENT[name] for name in NAMES]
    assert roots.read("own-1") == b"x"
    assert reason(roots, "readme") == "unreadable_image"
    assert reason(roots, "none") == "missing_image"


@pytest.mark.parametrize("kind", ["parquet", "saved"])
def test_tables_are_read_in_place(tmp_path, kind):
    if kind == "saved":
        location = write_saved(rows(), tmp_path / "set")
        files = [str(location / f"data-0000{i}-of-00002.arrow") for i in range(2)]
    else:
        schema = pa.schema({"images": pa.list_(IMAGE), "other": pa.int64()})
        for i, row in enumerate(rows()):
            pq.write_table(pa.Table.from_pylist([row], schema), tmp_path / f"{i}.parquet")
        location = str(tmp_path / "*.parquet")
        files = [tmp_path / f"{i}.parquet" for i in range(3)]
    found = references(files)
    assert [locate(reference)[:2] for reference in found] == [(0, 0), (0, 1), (1, 0)]
    assert all(reference.endswith(".png") for reference in found)
    roots = ImageRoots.parse(location)
    roots.require()
    for reference, name in [*zip(found, NAMES, strict=True)] * 2:
        assert roots.path(reference) is None and roots.read(reference) == CONTENT[name]
        assert isinstance(images.inspect(roots, reference, 10**6), int)
    for bad in ("row-3", "row-0/2", "row-2/0", "row-99/0"):
        end = found[0].split("/")[-1]
        reference = f"{bad}/0/{end}" if bad == "row-3" else f"{bad}/{end}"
        assert reason(roots, reference) == "missing_image"


def test_any_column_may_hold_bytes(tmp_path):
    part = {"type": "image", "image": {"bytes": CONTENT[NAMES[1]], "path": None}}
    row = {"first": CONTENT[NAMES[0]], "text": "x", "messages": [{"content": [part]}]}
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "x.parquet")
    [(_, raw)] = read_rows([tmp_path / "x.parquet"])
    value = json.loads(raw)
    roots = ImageRoots.parse(tmp_path / "x.parquet")
    assert roots.read(value["first"]["bytes"]) == CONTENT[NAMES[0]]
    image = value["messages"][0]["content"][0]["image"]
    assert roots.read(image["bytes"]) == CONTENT[NAMES[1]]


def test_a_table_that_changed_is_noticed(tmp_path):
    path = tmp_path / "x.parquet"
    pq.write_table(pa.Table.from_pylist(rows()), path)
    found = references([path])
    pq.write_table(pa.Table.from_pylist([rows()[1], rows()[0]]), path)
    assert reason(ImageRoots({None: path}), found[0]) == "unreadable_image"


def test_a_table_that_broke_is_named(tmp_path):
    path = tmp_path / "x.parquet"
    pq.write_table(pa.Table.from_pylist(rows()), path, compression="zstd")
    found, roots = references([path]), ImageRoots({None: path})
    roots.require()
    content = bytearray(path.read_bytes())
    for place in range(4, len(content) // 2):
        content[place] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"x\.parquet"):
        roots.read(found[0])


def test_row_groups_that_do_not_fit_are_read_again(tmp_path, monkeypatch):
    monkeypatch.setattr("vlselect.pool.row_bytes.KEPT", 1)
    path = tmp_path / "x.parquet"
    pq.write_table(pa.Table.from_pylist(rows()), path, row_group_size=1)
    found = references([path])
    roots = ImageRoots({None: path})
    for i in (0, 2, 1, 2, 0, 0):
        assert roots.read(found[i]) == CONTENT[NAMES[i]]


def test_parts_have_their_own_roots(tmp_path, folder):
    tar = write_tar({"a/1.png": CONTENT[NAMES[2]]}, tmp_path / "x.tar")
    roots = ImageRoots.parse([f"one={folder}", f"two={tar}"])
    assert roots.folder is None
    assert roots.path("one:a/1.png") == folder / "a/1.png" and roots.path("two:a/1.png") is None
    assert roots.read("one:a/1.png") == CONTENT["a/1.png"]
    assert roots.read("two:a/1.png") == CONTENT[NAMES[2]]
    for bad in ("a/1.png", "three:a/1.png", ""):
        with pytest.raises(ValueError, match="none of the parts one, two"):
            roots.path(bad)
    with pytest.raises(ValueError, match="given twice"):
        ImageRoots.parse([f"one={folder}", f"one={tar}"])
    with pytest.raises(ValueError, match="names no part"):
        ImageRoots.parse([f"one={folder}", str(tar)])


def test_the_flag(folder, monkeypatch):
    parser = argparse.ArgumentParser()
    add_images_argument(parser, required=True)
    assert parser.parse_args(["--images", str(folder)]).images.read("a/1.png")
    named = parser.parse_args(["--images", f"x={folder}"]).images
    assert named.read("x:a/1.png") == CONTENT["a/1.png"]
    odd = folder.rename(folder.with_name("x=y"))
    monkeypatch.chdir(odd.parent)
    assert parser.parse_args(["--images", "x=y"]).images.read("a/1.png") == CONTENT["a/1.png"]


OUT = ("../secret.png", "a/../../secret.png", "/secret.png", "..", "a/../..")


def test_no_reference_leaves_a_folder(folder):
    (folder.parent / "secret.png").write_bytes(CONTENT[NAMES[0]])
    (folder / "link.png").symlink_to(folder.parent / "secret.png")
    for name in (*OUT, str(folder.parent / "secret.png")):
        assert outside(folder, name) and outside([f"part={folder}"], f"part:{name}")
    assert outside(ImageRoots({None: folder}, None), "link.png")


def test_paths_are_located_by_part(folder, tmp_path):
    tar = write_tar(CONTENT, tmp_path / "x.tar")
    roots = ImageRoots({"one": folder, "two": tar}, None)
    near = roots.locator("one", tmp_path / "records.json")
    assert near(str(folder / "a/1.png")) == "a/1.png" and near("a/1.png") == "a/1.png"
    (tmp_path / "deep").mkdir()
    climbing = roots.locator("one", tmp_path / "deep/records.json")
    assert climbing("../images/a/1.png") == "a/1.png"
    for i in (1, 2):  # records of two folders: which of them is meant is not known
        (tmp_path / f"{i}").mkdir()
        (tmp_path / f"{i}/x.json").touch()
    several = roots.locator("one", tmp_path / "?/x.json")
    assert several("../images/a/1.png") == "../images/a/1.png"
    in_tar = roots.locator("two", tmp_path / "records.json")
    assert in_tar(f"{tar}/a/1.png") == f"{tar}/a/1.png"


def test_no_reference_leaves_a_tar(tmp_path):
    secret = tmp_path / "secret.png"
    secret.write_bytes(CONTENT[NAMES[0]])
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        for name in (*OUT, str(secret)):
            member = tarfile.TarInfo(name)
            member.size = len(CONTENT[NAMES[0]])
            tar.addfile(member, io.BytesIO(CONTENT[NAMES[0]]))
        for name, kind, target in [
            ("soft", tarfile.SYMTYPE, str(secret)),
            ("hard", tarfile.LNKTYPE, str(secret)),
            ("up", tarfile.SYMTYPE, "../secret.png"),
        ]:
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, target
            tar.addfile(member)
    for name in (*OUT, str(secret), f"file://{secret}", "soft", "hard", "up"):
        assert outside(tmp_path / "x.tar", name)
    for name in ("secret.png", str(secret).lstrip("/"), "a\0b", ""):
        assert reason(tmp_path / "x.tar", name) == "missing_image"


def test_no_reference_leaves_a_table(tmp_path):
    path = tmp_path / "x.parquet"
    pq.write_table(pa.Table.from_pylist(rows()), path)
    (tmp_path / "secret.png").write_bytes(CONTENT[NAMES[0]])
    for name in OUT:
        assert outside(path, name)
    for name in ("secret.png", "a/1.png", "row-0/0/x.png"):  # a path, and no bytes
        assert reason(path, name) == "missing_image"


def test_a_cut_tar_has_truncated_images(tmp_path):
    path = write_tar({"1.png": CONTENT[NAMES[0]], "2.png": picture(9) * 50}, tmp_path / "x.tar")
    with path.open("r+b") as file:
        file.truncate(2200)
    roots = ImageRoots({None: path})
    assert roots.read("1.png") == CONTENT[NAMES[0]]
    assert reason(roots, "2.png") == "truncated_image"
    whole = write_tar({"cut.png": CONTENT[NAMES[0]][:150], "no.png": b"no"}, tmp_path / "y.tar")
    assert reason(whole, "cut.png") == "truncated_image"
    assert reason(whole, "no.png") == "unreadable_image"


def test_too_large_a_member_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr("vlselect.pool.image_roots.LARGEST", 10)
    path = write_tar({"1.png": CONTENT[NAMES[0]]}, tmp_path / "x.tar")
    assert reason(path, "1.png") == "oversized_image"


def test_what_is_not_there_is_named(tmp_path):
    (tmp_path / "x.tar.gz").write_bytes(b"\x1f\x8b" + bytes(600))
    (tmp_path / "x.parquet").write_bytes(b"no table")
    missing = {
        "nowhere": FileNotFoundError,
        "no.tar": FileNotFoundError,
        "no-*.tar": FileNotFoundError,
        "no.parquet": ValueError,
        "x.parquet": ValueError,
        "x.tar.gz": ValueError,
    }
    for name, error in missing.items():
        with pytest.raises(error, match=name.replace("*", r"\*")):
            ImageRoots.parse(str(tmp_path / name)).require()


def test_content_names_of_images():
    reference = "row-7/0/" + "ab" * 16 + ".jpg"
    assert content_name(reference) == content_name(f"part:{reference}") == "ab" * 16 + ".jpg"
    assert content_name("part:a/1.png") == "part:a/1.png"
    assert content_name("row-7/0/1.jpg") == "row-7/0/1.jpg"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["x.parquet", "x.arrow", "x.tar", "x"])
def test_a_pipe_or_a_device_holds_no_images(tmp_path, name, kind):
    refused = pytest.raises(InputError, match=rf"{name}\b.* is (no plain file|not a folder)")
    with special(tmp_path / name, kind) as path, refused:
        within(5, ImageRoots.parse(path).require)

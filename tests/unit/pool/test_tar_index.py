"""Tars: the members found agree with the standard library, and errors name the file."""

import gzip
import io
import random
import tarfile
import time

import pytest

from vlselect.pool.tar_index import TarError, read_index

FORMATS = {"ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}


def add(tar, name, content=b"", **keys):
    member = tarfile.TarInfo(name)
    member.size = len(content)
    for key, value in keys.items():
        setattr(member, key, value)
    tar.addfile(member, io.BytesIO(content))


def make(path, kind="pax", n=40):
    """Make files of random sizes under short and long names, with folders and links."""
    rng = random.Random(n)
    with tarfile.open(path, "w", format=FORMATS[kind]) as tar:
        add(tar, "folder", type=tarfile.DIRTYPE)
        for i in range(n):
            name = f"folder/{'long' * rng.choice([0, 1, 22])}/{i}.jpg"
            if kind != "ustar":
                name = f"{'é' * rng.choice([0, 3, 90])}{name}{'x' * rng.choice([0, 300])}"
            add(tar, name, rng.randbytes(rng.choice([0, 1, 511, 512, 513, 5000])), mtime=i + 0.5)
        add(tar, "soft", type=tarfile.SYMTYPE, linkname="/etc/passwd")
        add(tar, "hard", type=tarfile.LNKTYPE, linkname="folder/" + "l" * 200 * (kind != "ustar"))
        add(tar, "pipe", type=tarfile.FIFOTYPE)
        add(tar, "last", b"end")
    return path


@pytest.mark.parametrize("kind", FORMATS)
def test_it_finds_what_the_standard_library_finds(tmp_path, kind):
    path = make(tmp_path / "a.tar", kind)
    with tarfile.open(path) as tar:
        expected = {m.name: (m.offset_data, m.size) for m in tar if m.isfile()}
    found = read_index(path)
    assert found.pop("soft")[1] == found.pop("hard")[1] == -1
    assert found == expected and len(found) == 41


def test_of_two_members_of_a_name_the_last_holds(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        add(tar, "x", b"old")
        add(tar, "x", b"new!")
    start, size = read_index(tmp_path / "a.tar")["x"]
    assert (tmp_path / "a.tar").read_bytes()[start : start + size] == b"new!"


def test_sizes_over_the_octal_field(tmp_path):
    with (tmp_path / "a.tar").open("wb") as file:
        member = tarfile.TarInfo("huge")
        member.size = 1 << 34
        file.write(member.tobuf(tarfile.GNU_FORMAT))
        file.truncate(512 + (1 << 34))  # a hole
        file.seek(0, 2)
        small = tarfile.TarInfo("small")
        file.write(small.tobuf(tarfile.PAX_FORMAT) + bytes(1024))
    assert read_index(tmp_path / "a.tar") == {
        "huge": (512, 1 << 34),
        "small": (1024 + (1 << 34), 0),
    }


@pytest.mark.parametrize("end", [0, 512, 1024])
def test_the_end_may_be_short(tmp_path, end):
    whole = make(tmp_path / "a.tar").read_bytes().rstrip(b"\0")
    (tmp_path / "b.tar").write_bytes(whole + bytes(-len(whole) % 512) + bytes(end))
    assert read_index(tmp_path / "b.tar") == read_index(tmp_path / "a.tar")


@pytest.mark.parametrize("suffix", ["gz", "bz2", "xz"])
def test_a_compressed_tar_is_refused(tmp_path, suffix):
    with tarfile.open(tmp_path / "a.tar", f"w:{suffix}") as tar:
        add(tar, "x", b"x" * 3000)
    with pytest.raises(TarError, match=r"a\.tar is compressed"):
        read_index(tmp_path / "a.tar")
    (tmp_path / "b.tar").write_bytes(gzip.compress(b"x"))  # shorter than a header
    with pytest.raises(TarError, match=r"b\.tar is compressed"):
        read_index(tmp_path / "b.tar")


def test_a_tar_that_was_not_fetched_is_named(tmp_path):
    path = tmp_path / "x.tar"
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 9\n")
    with pytest.raises(TarError, match=r"x\.tar is a pointer of Git LFS.*git lfs pull"):
        read_index(path)


def test_what_is_broken_is_named_with_its_byte(tmp_path):
    path = make(tmp_path / "a.tar")
    with tarfile.open(path) as tar:
        third = tar.getmembers()[2].offset
    content = bytearray(path.read_bytes())
    content[third + 3] ^= 1
    path.write_bytes(content)
    with pytest.raises(TarError, match=rf"a\.tar, byte {third}: not the header"):
        read_index(path)
    for name, bad in [("text", b"hello" * 300), ("short", b"x"), ("empty", b"")]:
        (tmp_path / name).write_bytes(bad)
    for name in ("text", "short"):
        with pytest.raises(TarError, match=f"{name}, byte 0"):
            read_index(tmp_path / name)
    assert read_index(tmp_path / "empty") == {}


def test_sparse_files_are_refused(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        add(tar, "x", type=b"S")
    with pytest.raises(TarError, match="sparse"):
        read_index(tmp_path / "a.tar")
    with tarfile.open(tmp_path / "b.tar", "w", format=tarfile.PAX_FORMAT) as tar:
        add(tar, "x", b"x", pax_headers={"GNU.sparse.major": "1"})
    with pytest.raises(TarError, match="sparse"):
        read_index(tmp_path / "b.tar")


PAX = [b"9 path=x", b"x path=x", b"10path=xx", b"3", b"9" * 5000 + b" path=x\n"]
PAX += [b"13 size=-512\n", b"11 size=0x9\n", b"11 size=1e3\n", b"8 size=\n"]


@pytest.mark.parametrize("header", PAX, ids=lambda header: header[:12].decode())
def test_a_broken_pax_header_is_refused(tmp_path, header):
    with tarfile.open(tmp_path / "a.tar", "w", format=tarfile.USTAR_FORMAT) as tar:
        add(tar, "x", header, type=b"x")
    with pytest.raises(TarError, match="pax"):
        read_index(tmp_path / "a.tar")


def test_a_pax_header_of_many_entries_is_read_in_one_pass(tmp_path):
    taken = []
    for n in (1 << 16, 1 << 19):
        with tarfile.open(tmp_path / "a.tar", "w", format=tarfile.USTAR_FORMAT) as tar:
            add(tar, "x", b"2 " * n, type=b"x")
            add(tar, "y")
        start = time.process_time()
        assert set(read_index(tmp_path / "a.tar")) == {"y"}
        taken.append(time.process_time() - start)
    assert taken[1] < 14 * taken[0]  # 8 times the entries; by copies of the rest, over 20 times


@pytest.mark.parametrize("kind", [b"0", b"x", b"L"])
@pytest.mark.parametrize("size", [b"-0000001000", b"-7777777777", b"0o7", b"7_7", b"\xff" * 12])
def test_a_size_that_is_none_is_refused(tmp_path, kind, size):
    """A negative size once led back to the same header, for ever."""
    header = bytearray(tarfile.TarInfo("x").tobuf(tarfile.USTAR_FORMAT))
    header[156:157] = kind
    header[124:136] = size.ljust(12, b"\0")
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    (tmp_path / "a.tar").write_bytes(header + bytes(4096))
    with pytest.raises(TarError, match=r"a\.tar, byte 0: .*size"):
        read_index(tmp_path / "a.tar")


@pytest.mark.parametrize("size", [2**33, 2**62, 2**80])
def test_a_member_may_claim_to_be_larger_than_its_tar(tmp_path, size):
    member = tarfile.TarInfo("x")
    member.size = size
    (tmp_path / "a.tar").write_bytes(member.tobuf(tarfile.GNU_FORMAT) + bytes(1024))
    assert read_index(tmp_path / "a.tar") == {"x": (512, size)}

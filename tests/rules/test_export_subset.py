"""The entry export_subset on pools with images in tars, tables and several folders."""

import io
import json
import tarfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from export_pool import RECORDS, choose, draw, expected, export, prepare, read_back

from vlselect.subsets.exports.image_files import file_name

FORMATS = ["llava", "llama_factory", "ms_swift", "trl"]
ROWS = [1, 3, 4, 7]


def pack(folder, tar):
    """Pack all files of a folder into a tar."""
    with tarfile.open(tar, "w") as archive:
        for path in sorted(folder.rglob("*.png")):
            archive.add(path, path.relative_to(folder).as_posix())


def written(out):
    """Return the files in the export's images/, by path."""
    folder = out / "images"
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@pytest.mark.parametrize("form", FORMATS)
def test_chosen_images_of_a_tar_become_files(tmp_path, form):
    draw(tmp_path / "images")
    pack(tmp_path / "images", tmp_path / "images.tar")
    images = [str(tmp_path / "images.tar")]
    samples = prepare(tmp_path, images, RECORDS)
    subset = choose(samples, ROWS, tmp_path / "s.parquet")
    out = export(form, samples, subset, images, tmp_path / "out")

    def read(reference):
        return (tmp_path / "images" / reference).read_bytes()

    assert read_back(form, out) == expected(samples, ROWS, read)
    names = ["a/1.png", "a/2.png", "b/3.png"]
    assert written(out) == {name: read(name) for name in names}


@pytest.mark.parametrize("form", FORMATS)
def test_images_of_a_mixture_come_from_their_own_parts(tmp_path, form):
    draw(tmp_path / "images")
    (tmp_path / "other/a").mkdir(parents=True)
    (tmp_path / "other/a/1.png").write_bytes((tmp_path / "images/c/2.png").read_bytes())
    pack(tmp_path / "other", tmp_path / "other.tar")
    images = [f"files={tmp_path / 'images'}", f"tar={tmp_path / 'other.tar'}"]
    samples = prepare(tmp_path, images, {"files": RECORDS[:4], "tar": [{**RECORDS[1], "id": "t"}]})
    subset = choose(samples, [1, 3, 4], tmp_path / "s.parquet")
    out = export(form, samples, subset, images, tmp_path / "out")
    back = read_back(form, out)
    assert [sample.name for sample in back] == ["files:one", "files:two", "tar:t"]
    one, three, other = ((tmp_path / f"images/{n}.png").read_bytes() for n in ("a/1", "b/3", "c/2"))
    assert [sample.images for sample in back] == [(one,), (one, three), (other,)]
    assert written(out) == {"tar:a/1.png": other}


@pytest.mark.parametrize("form", FORMATS)
def test_content_parts_and_bytes_in_a_table(tmp_path, form):
    draw(tmp_path / "images")
    one, two = ((tmp_path / f"images/a/{n}.png").read_bytes() for n in (1, 2))
    say = {"type": "text", "text": "Is it "}
    rows = [
        {"messages": turns("Why?"), "images": []},
        {
            "messages": [
                {"role": "system", "content": [{"type": "text", "text": "Be brief."}]},
                {"role": "user", "content": [say, {"type": "image", "text": None}, say]},
                {"role": "assistant", "content": [{"type": "text", "text": "Yes 汉."}]},
            ],
            "images": [{"bytes": one, "path": None}],
        },
        {
            "messages": [
                {"role": "user", "content": [{"type": "image", "text": None}] * 2 + [say]},
                {"role": "assistant", "content": [{"type": "text", "text": "No."}]},
            ],
            "images": [{"bytes": two, "path": "x.png"}, {"bytes": one, "path": None}],
        },
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "t.parquet")
    images = [str(tmp_path / "t.parquet")]
    samples = prepare(tmp_path, images, tmp_path / "t.parquet")
    assert len(samples) == 3
    subset = choose(samples, [1, 2], tmp_path / "s.parquet")
    out = export(form, samples, subset, images, tmp_path / "out")
    first, second = read_back(form, out)
    assert first.turns == tuple((turn.role, turn.text) for turn in samples.records([1])[0].turns)
    assert [turn[0] for turn in first.turns] == ["system", "user", "assistant"]
    assert first.turns[1][1].split("<image>") == ["Is it ", "Is it "]
    assert second.turns[0][1].count("<image>") == 2
    assert (first.images, second.images) == ((one,), (two, one))
    assert len(written(out)) == 3


def turns(text):
    """Return a question and its answer as content parts."""
    return [
        {"role": role, "content": [{"type": "text", "text": said}]}
        for role, said in (("user", text), ("assistant", "So."))
    ]


def test_nothing_is_left_of_an_export_that_fails(tmp_path):
    draw(tmp_path / "images")
    images = [str(tmp_path / "images")]
    samples = prepare(tmp_path, images, RECORDS)
    subset = choose(samples, ROWS, tmp_path / "s.parquet")
    export("llava", samples, subset, images, tmp_path / "out/llava")
    before = (tmp_path / "out/llava/train.json").read_bytes()
    (tmp_path / "images/b/3.png").unlink()
    with pytest.raises(Exception, match=r"b/3\.png"):
        export("llava", samples, subset, images, tmp_path / "out/llava")
    assert (tmp_path / "out/llava/train.json").read_bytes() == before
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["llava"]


def test_names_of_written_images_stay_in_the_folder():
    assert file_name("coco:train 1/ä.jpg") == "coco:train 1/ä.jpg"
    odd = ["../a.png", "/a.png", "a//b.png", "a/./b.png", "a/..", "x\n.png", "y" * 300, ""]
    names = [file_name(name) for name in odd]
    assert len(set(names)) == len(odd)
    assert all(len(name) == 32 and name.isalnum() for name in names)


def test_a_tars_detours_are_written_too(tmp_path):
    with tarfile.open(tmp_path / "t.tar", "w") as archive:
        draw(tmp_path / "images")
        content = (tmp_path / "images/a/1.png").read_bytes()
        member = tarfile.TarInfo("a/1.png")
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    images = [str(tmp_path / "t.tar")]
    samples = prepare(tmp_path, images, [{**RECORDS[1], "image": "b/../a/1.png"}])
    out = export(
        "llava", samples, choose(samples, [0], tmp_path / "s.parquet"), images, tmp_path / "o"
    )
    (name,) = written(out)
    assert name == file_name("b/../a/1.png") and written(out)[name] == content
    assert json.loads((out / "train.json").read_text())[0]["image"] == f"images/{name}"

"""Exports in every format hold the pool's turns, images and ids, in its order."""

import json
import os
import tracemalloc
import unicodedata

import export_pool
import pandas as pd
import pytest
from export_pool import RECORDS, choose, draw, expected, export, prepare, read_back, sharegpt
from record_forms import write_tar

from vlselect.config.checks import ConfigError, check_formats
from vlselect.core import registry
from vlselect.pool.records import Record, Turn
from vlselect.subsets.exports import json_lines
from vlselect.subsets.exports.trl import parts

FORMATS = ["llava", "llama_factory", "ms_swift", "trl"]
N = len(RECORDS)


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    """Write images/, samples.parquet, and a subset ranked in another order; return the folder."""
    folder = tmp_path_factory.mktemp("pool")
    draw(folder / "images")
    samples = prepare(folder, [str(folder / "images")], RECORDS)
    assert len(samples) == N
    choose(samples, list(range(N))[::-1], folder / "all.parquet")
    return folder, samples


@pytest.mark.parametrize("form", FORMATS)
def test_every_kind_of_record_is_read_back(pool, tmp_path, form):
    folder, samples = pool
    images = folder / "images"
    out = export(form, samples, folder / "all.parquet", [str(images)], tmp_path / "out")
    wanted = expected(samples, range(N), lambda reference: (images / reference).read_bytes())
    assert read_back(form, out, images if form == "llava" else None) == wanted
    assert not (out / "images").exists()  # files stay where they are
    assert {path.name for path in tmp_path.iterdir()} == {"out"}


@pytest.mark.parametrize("form", FORMATS)
def test_a_part_of_the_pool_comes_in_the_pools_order(pool, tmp_path, form):
    folder, samples = pool
    rows = [1, 3, 8, 11]
    subset = choose(samples, [8, 1, 11, 3], tmp_path / "s.parquet")
    out = export(form, samples, subset, [str(folder / "images")], tmp_path / "out")
    names = samples.frame(["sample_id"])["sample_id"].iloc[rows].tolist()
    back = read_back(form, out, folder / "images")
    assert [sample.name for sample in back] == names


def test_llava_paths_are_the_records_own_where_there_is_one_folder(pool, tmp_path):
    folder, samples = pool
    out = export("llava", samples, folder / "all.parquet", [str(folder / "images")], tmp_path / "o")
    entries = {entry["id"]: entry for entry in json.loads((out / "train.json").read_text())}
    assert entries["one"]["image"] == "a/1.png"
    assert entries["two"]["image"] == ["a/1.png", "b/3.png"]
    assert "image" not in entries["text"] and "image" not in entries["no images"]
    assert entries["text system"]["conversations"][0]["value"] == "Be brief.\n\nWhy?"


CLASHING = ["a", "a/b.png", "A/B.png", "c.png", "C.png", "d/\u00e9.png", "D/e\u0301.png", "d"]


@pytest.mark.parametrize("names", [CLASHING, CLASHING[::-1]], ids=["forward", "backward"])
@pytest.mark.parametrize("form", FORMATS)
def test_members_of_a_tar_whose_names_exclude_each_other_are_all_written(
    pool, tmp_path, form, names
):
    pictures = sorted((pool[0] / "images").rglob("*.png"))
    files = {name: path.read_bytes() for name, path in zip(names, pictures, strict=False)}
    tar = str(write_tar(files, tmp_path / "x.tar"))
    records = [
        export_pool.llava(f"r{i}", "<image><image>?", "Yes.", image=[name, names[0]])
        for i, name in enumerate(names)
    ]
    samples = prepare(tmp_path, [tar], records)
    rows = list(range(len(names)))
    subset = choose(samples, rows, tmp_path / "s.parquet")
    out = export(form, samples, subset, [tar], tmp_path / "o")
    assert read_back(form, out) == expected(samples, rows, files.__getitem__)
    written = [path for path in (out / "images").rglob("*") if path.is_file()]
    own = {str(path.relative_to(out / "images")) for path in written} & set(names)
    kept = {"a", "c.png", "d/\u00e9.png"} if names == CLASHING else {"d", "C.png", "A/B.png"}
    assert own == kept  # the first of those that exclude each other
    plain = {unicodedata.normalize("NFC", str(path)).casefold() for path in written}
    assert len(plain) == len(written) == len(names)


def test_llama_factory_is_told_where_everything_is(pool, tmp_path):
    folder, samples = pool
    images = [str(folder / "images")]
    out = export("llama_factory", samples, folder / "all.parquet", images, tmp_path / "o")
    (info,) = json.loads((out / "dataset_info.json").read_text()).values()
    line = json.loads((out / info["file_name"]).read_bytes().splitlines()[1])
    assert set(info["columns"].values()) <= set(line)
    tags = info["tags"]
    assert set(line["messages"][0]) == {tags["role_tag"], tags["content_tag"]}
    assert [m[tags["role_tag"]] for m in line["messages"]] == [tags["user_tag"], "assistant"]
    assert not os.path.isabs(line["images"][0])  # noqa: PTH117


def test_relative_paths_hold_where_a_link_lies_on_the_way(pool, tmp_path):
    folder, samples = pool
    (tmp_path / "far/away").mkdir(parents=True)
    (tmp_path / "results").symlink_to(tmp_path / "far/away")
    images = [str(folder / "images")]
    out = tmp_path / "results/o"
    export("llama_factory", samples, folder / "all.parquet", images, out)
    wanted = expected(samples, range(N), lambda name: (folder / "images" / name).read_bytes())
    assert read_back("llama_factory", out) == wanted


def test_llama_factory_is_warned_of_what_it_takes_for_a_video(tmp_path, capsys):
    samples = prepare(tmp_path, [str(tmp_path)], [RECORDS[0], sharegpt("A <video>?", "B", id="v")])
    subset = choose(samples, [0, 1], tmp_path / "s.parquet")
    export("llama_factory", samples, subset, [str(tmp_path)], tmp_path / "o")
    assert "1 records have <video> or <audio> in their texts, the first is 'v'" in read_log(capsys)
    export("ms_swift", samples, subset, [str(tmp_path)], tmp_path / "o")
    assert "<video>" not in read_log(capsys)


def read_log(capsys):
    return capsys.readouterr().err


def test_the_first_image_comes_before_the_types_are_decided(tmp_path, monkeypatch):
    def record(i, n_images):
        turns = (Turn("user", "<image>" * n_images + "x" * 50), Turn("assistant", "é"))
        return Record(f"r{i}", "s", tuple(f"{i}.png" for _ in range(n_images)), turns)

    def order(records):
        json_lines.write_messages(records, lambda name: f"/{name}", tmp_path / "t.jsonl")
        lines = [json.loads(line) for line in (tmp_path / "t.jsonl").read_bytes().splitlines()]
        assert [path.name for path in tmp_path.iterdir()] == ["t.jsonl"]
        return [line["id"] for line in lines]

    monkeypatch.setattr(json_lines, "EARLY", 1000)
    late = [record(i, 2 * (i >= 17)) for i in range(20)]
    assert order(late) == ["r17", *(f"r{i}" for i in range(17)), "r18", "r19"]
    assert order(late[12:]) == [f"r{i}" for i in range(12, 20)]
    assert order(late[:17]) == [f"r{i}" for i in range(17)]  # no image at all
    assert order([]) == []


def test_ids_are_lines(pool, tmp_path):
    folder, samples = pool
    rows = [0, 9, 5]
    subset = choose(samples, rows, tmp_path / "s.parquet")
    out = export("ids", samples, subset, [str(folder / "images")], tmp_path / "o")
    assert (out / "ids.txt").read_text() == "text\nmiddle\n12\n"
    broken = [sharegpt("a", "b", id="x\ny")]
    with pytest.raises(ValueError, match="bad_id: 1"):  # a pool has no id of two lines
        prepare(tmp_path, [str(tmp_path)], broken)


@pytest.mark.parametrize("form", [*FORMATS, "ids"])
def test_an_empty_subset(pool, tmp_path, form):
    folder, samples = pool
    subset = choose(samples, [], tmp_path / "s.parquet")
    out = export(form, samples, subset, [str(folder / "images")], tmp_path / "o")
    if form != "ids":
        assert read_back(form, out) == []


@pytest.mark.parametrize("form", [*FORMATS, "ids"])
def test_two_exports_are_the_same_bytes(pool, tmp_path, form):
    folder, samples = pool
    files = []
    for _ in range(2):  # the second replaces the first
        out = export(
            form, samples, folder / "all.parquet", [str(folder / "images")], tmp_path / "o"
        )
        files.append({path.name: path.read_bytes() for path in out.iterdir()})
    assert files[0] == files[1] and files[0]


def test_a_subset_of_another_pool_is_refused(pool, tmp_path):
    folder, samples = pool
    frame = pd.DataFrame({"row": [0, 1], "sample_id": ["text", "nobody"]})
    frame.to_parquet(tmp_path / "s.parquet")
    with pytest.raises(ValueError, match="sample 'one' where the subset has 'nobody'"):
        export("ids", samples, tmp_path / "s.parquet", [str(folder / "images")], tmp_path / "o")
    assert [path.name for path in tmp_path.iterdir()] == ["s.parquet"]


def test_parts_joined_are_the_text():
    assert parts("<image>") == [{"type": "image", "text": None}]
    assert [part["text"] for part in parts(" a<image> <image>\n")] == [" a", None, " ", None, "\n"]


def test_a_config_may_name_just_the_formats():
    check_formats(registry.names("export"))
    with pytest.raises(ConfigError, match="export: no format 'json_lines'; there are ids, "):
        check_formats(["ids", "json_lines"])


@pytest.mark.parametrize("form", FORMATS)
def test_memory_does_not_grow_with_the_subset(pool, tmp_path, monkeypatch, form):
    folder, _ = pool
    monkeypatch.setattr("export_subset.ROW_GROUP", 64)
    monkeypatch.setattr("vlselect.pool.samples.ROW_GROUP", 64)
    monkeypatch.setattr("vlselect.pool.samples.KEPT_GROUPS", 2)
    monkeypatch.setattr("vlselect.subsets.exports.trl.ROW_GROUP", 64)
    long = [
        export_pool.llava(f"r{i}", "<image>" + "x" * 20_000, "y", image="a/1.png")
        for i in range(500)
    ]
    samples = prepare(tmp_path, [str(folder / "images")], long)
    registry.load("export", form)

    def peak(n):
        subset = choose(samples, list(range(n)), tmp_path / "s.parquet")
        tracemalloc.start()
        export(form, samples, subset, [str(folder / "images")], tmp_path / "o")
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    assert peak(500) - peak(150) < 1e6  # 7 MB of texts

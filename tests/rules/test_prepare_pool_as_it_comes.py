"""prepare_pool on files as people have them: ids, missing images, paths, links, compressed text."""

import gzip
import json

import pandas as pd
import prepare_pool
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from usual_flags import usual

from vlselect.pool.records import content_digest
from vlselect.pool.samples import Samples

ASKED = [{"from": "human", "value": "<image>\nWho?"}, {"from": "gpt", "value": "Two."}]
TALK = [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello"}]


@pytest.fixture
def folder(tmp_path):
    """A folder with data/images/coco/a.png; records are written beside the images."""
    (tmp_path / "data/images/coco").mkdir(parents=True)
    Image.effect_noise((8, 8), 90).save(tmp_path / "data/images/coco/a.png")
    return tmp_path / "data"


def run(folder, records, *flags):
    """Run the script on records, a text or a file; return samples, rejections and the summary."""
    path = records
    if isinstance(records, list):
        records = json.dumps(records)
    if isinstance(records, str):
        path = folder / "records.json"
        path.write_text(records)
    out = {name: folder / f"out.{name}" for name in ("samples", "rejected", "summary")}
    argv = [*usual(prepare_pool), "--records", str(path), "--images", str(folder / "images")]
    argv += [text for key, value in out.items() for text in (f"--{key}", str(value))]
    prepare_pool.main([*argv, *flags])
    rejected = pd.read_csv(out["rejected"], keep_default_na=False)
    return Samples(out["samples"]), rejected, json.loads(out["summary"].read_text())


def test_records_without_ids(folder):
    records = [
        {"sample_id": 7, "conversations": ASKED, "image": ["coco/a.png"], "choice_list": None},
        {"conversations": ASKED, "images": ["coco/a.png"]},
        {"conversations": ASKED, "image": "coco/a.png"},
        {"conversations": ASKED, "image": "coco/none.png", "sample_id": 9},
        {"conversations": TALK},
    ]
    samples, rejected, _ = run(folder, records, "--id-key", "sample_id")
    made = [content_digest(r.images, r.turns)[:16] for r in samples.records([1, 2])]
    assert samples.frame()["sample_id"].tolist() == ["7", *made]
    assert rejected["reason"].tolist() == ["duplicate_id", "missing_image"]
    assert rejected["sample_id"].tolist() == [made[0], "9"]
    assert run(folder, records)[0].frame()["sample_id"].tolist() == made  # 7 says the same


def test_a_misspelt_key_of_ids_is_named(folder):
    records = [{"sample_id": "a", "conversations": TALK}]
    with pytest.raises(ValueError, match="no record has 'sample_ids', the key of ids"):
        run(folder, records, "--id-key", "sample_ids")
    assert len(run(folder, records, "--id-key", "id")[0]) == 1  # may be missing


def test_a_misspelt_key_of_sources_is_named(folder):
    records = [{"id": 1, "task": "vqa", "conversations": TALK}, {"id": 2, "conversations": TALK}]
    with pytest.raises(ValueError, match="no record has 'tasks', the key of sources"):
        run(folder, records, "--source-key", "tasks")
    assert run(folder, records, "--source-key", "tasks", "--trial", "1")  # may miss those with it
    samples = run(folder, records, "--source-key", "task")[0]  # some may lack it
    assert samples.frame()["source"].tolist() == ["vqa", "text"]


def test_text_only_rows_as_pandas_writes_them(folder):
    rows = [{"id": i, "conversations": TALK} for i in range(9)]
    rows[3] = {"id": 3, "conversations": ASKED, "image": "coco/a.png"}
    frame = pd.DataFrame(rows)
    raw = json.dumps(frame.to_dict("records"))
    assert raw.count("NaN") == 8
    samples, rejected, summary = run(folder, raw)
    assert len(samples) == 9 and summary["n_text_only"] == 8 and rejected.empty
    texts = [json.loads(text, parse_constant=pytest.fail) for text in samples.raw(range(9))]
    assert [text["image"] for text in texts] == [None] * 3 + ["coco/a.png"] + [None] * 5
    frame["image"] = None
    _, rejected, _ = run(folder, json.dumps(frame.to_dict("records")))
    assert rejected[["position", "reason"]].to_numpy().tolist() == [[3, "missing_image"]]


def test_text_only_rows_of_a_table(folder):
    kind = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    rows = [{"id": i, "conversations": TALK, "image": None} for i in range(3)]
    rows[1]["image"] = {"bytes": None, "path": None}
    rows[2] |= {"conversations": ASKED, "image": {"bytes": None, "path": ""}}
    table = pa.Table.from_pylist(rows).drop_columns("image")
    table = table.append_column("image", pa.array([row["image"] for row in rows], kind))
    pq.write_table(table, folder / "x.parquet")
    samples, rejected, _ = run(folder, folder / "x.parquet")
    assert len(samples) == 2 and rejected["reason"].tolist() == ["missing_image"]


def test_urls_are_counted_and_named(folder, capsys):
    records = [{"id": i, "conversations": ASKED, "image": f"https://x.org/{i}"} for i in range(3)]
    records.append({"id": 3, "conversations": ASKED, "image": "coco/a.png"})
    samples, rejected, summary = run(folder, records)
    assert len(samples) == 1 and summary["rejected_by_reason"] == {"image_url": 3}
    assert rejected["detail"].str.contains("'https://x.org/.*'; nothing is downloaded").all()
    assert "image_url: 3, first record 0, id '0': 'image' names" in capsys.readouterr().err
    with pytest.raises(ValueError, match="image_url: 3, first .* save it below the image root"):
        run(folder, records[:3])


def test_paths_in_other_forms_are_those_below_the_images(folder, monkeypatch):
    monkeypatch.chdir(folder)
    root = folder / "images"
    paths = [
        "coco/a.png",
        f"{root}/coco/a.png",
        f"file://{root}/coco/a.png",
        "../images/coco/a.png",
    ]
    records = [{"id": i, "conversations": ASKED, "image": path} for i, path in enumerate(paths)]
    (folder / "json").mkdir()
    (folder / "json/records.json").write_text(json.dumps(records))
    (folder / "other").symlink_to(root)
    for images in (root, "images", folder / "other"):
        samples, _, _ = run(folder, folder / "json/records.json", "--images", str(images))
        frame = samples.frame()
        assert frame["images"].map(list).tolist() == [["coco/a.png"]] * 4
        assert set(frame["source"]) == {"coco"} and frame["digest"].nunique() == 1
    trial, _, _ = run(folder, folder / "json/records.json", "--trial", "2")
    assert len(trial) == 2 and set(trial.frame()["source"]) == {"coco"}


def test_links_are_followed_where_the_flag_says_so(folder):
    (folder / "images/link").symlink_to("../far")
    (folder / "far").mkdir()
    (folder / "images/coco/a.png").rename(folder / "far/a.png")
    records = [
        {"id": 0, "conversations": ASKED, "image": "link/a.png"},
        {"id": 1, "conversations": TALK},
    ]
    samples, _, _ = run(folder, records, "--follow-links", "root")
    assert len(samples) == 2
    samples, rejected, _ = run(folder, records)
    assert len(samples) == 1 and rejected["reason"].tolist() == ["image_outside_root"]
    assert "by the link" in rejected["detail"][0] and "follow_links is off" in rejected["detail"][0]


@pytest.mark.parametrize("name", ["r.json.gz", "r.jsonl.gz", "r.jsonl.zst"])
def test_compressed_files_are_pools(folder, name):
    records = [{"id": i, "conversations": TALK} for i in range(5)]
    lines = "\n".join(map(json.dumps, records)) if "jsonl" in name else json.dumps(records)
    packed = gzip.compress(lines.encode())
    if name.endswith("zst"):
        packed = pa.compress(lines.encode(), codec="zstd", asbytes=True)
    (folder / name).write_bytes(packed)
    samples, rejected, _ = run(folder, folder / name)
    assert samples.frame()["sample_id"].tolist() == list("01234") and rejected.empty
    assert len(run(folder, folder / name, "--trial", "2")[0]) == 2

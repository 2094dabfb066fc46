"""A trial's intake: few records, each source in its share, nothing else of the files told apart."""

import json
import shutil
from collections import Counter

import prepare_pool
import prepare_task
import pytest
from tiny_inputs import make_records, write_images
from usual_flags import usual

from vlselect.pool.samples import Samples

N = 120


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Folder with images of all records but one, which the pool then refuses."""
    folder = tmp_path_factory.mktemp("data")
    records = make_records(N)
    write_images(folder / "images", records, size=8)
    (folder / "images" / records[0]["image"]).unlink()
    return folder, records


def pool(out, images, records, *flags):
    """Prepare a trial of these records; return its samples, rejected ids and summary."""
    out.mkdir()
    (out / "records.json").write_text(json.dumps(records))
    argv = ["--records", out / "records.json", "--images", images, "--source-key", "task"]
    argv += ["--samples", out / "samples.parquet", "--rejected", out / "rejected.csv"]
    argv += ["--summary", out / "summary.json", *flags]
    prepare_pool.main([*usual(prepare_pool), *map(str, argv)])
    rejected = (out / "rejected.csv").read_text().splitlines()[1:]
    summary = json.loads((out / "summary.json").read_text())
    return Samples(out / "samples.parquet").frame(), rejected, summary


def test_a_trial_keeps_shares_order_and_counts(data, tmp_path):
    folder, records = data
    mixed = [r for r in records if r["task"] != "y"] + [r for r in records if r["task"] == "y"][:4]
    samples, rejected, summary = pool(tmp_path / "a", folder / "images", mixed, "--trial", 21)
    assert summary["read"] == len(mixed) == 84 and summary["taken"] == 21
    assert summary["accepted"] + summary["rejected"] == 21
    assert summary["accepted"] == len(samples) and summary["rejected"] == len(rejected)
    missing = int(any("sample-000" in line for line in rejected))
    assert len(rejected) == missing
    found = Counter(samples["source"]) + Counter({"x": missing})
    assert found == {"x": 10, "z": 10, "y": 1}
    ids = [record["id"] for record in mixed]
    places = [ids.index(name) for name in samples["sample_id"]]
    assert places == sorted(places)


def test_the_choice_is_the_same_in_any_order_and_is_no_prefix(data, tmp_path):
    folder, records = data
    one = pool(tmp_path / "a", folder / "images", records, "--trial", 30)[0]
    other = pool(tmp_path / "b", folder / "images", records[::-1], "--trial", 30)[0]
    assert set(one["sample_id"]) == set(other["sample_id"])
    assert set(one["sample_id"]) != {record["id"] for record in records[:30]}


def test_a_trial_of_all_is_the_pool(data, tmp_path):
    folder, records = data
    whole, _, counts = pool(tmp_path / "a", folder / "images", records)
    same, _, more = pool(tmp_path / "b", folder / "images", records, "--trial", 10 * N)
    read, again = (list(summary.pop("files_sha256").values()) for summary in (counts, more))
    assert read == again  # the whole file's
    assert whole.equals(same) and more == counts | {"taken": N}
    assert (counts["accepted"], counts["rejected"], counts["read"]) == (N - 1, 1, N)


def test_images_of_records_left_out_are_not_opened(data, tmp_path):
    folder, records = data
    chosen = pool(tmp_path / "a", folder / "images", records, "--trial", 30)[0]
    for name in chosen["images"]:
        for image in name:
            target = tmp_path / "few" / image
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(folder / "images" / image, target)
    again = pool(tmp_path / "b", tmp_path / "few", records, "--trial", 30)[0]
    assert chosen.equals(again)


def test_parts_of_a_mixture_are_cut_together(data, tmp_path):
    folder, records = data
    argv, sizes = [], {"big": records[:100], "small": records[100:]}
    for name, part in sizes.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(part))
    argv += ["--records", *(f"{name}={tmp_path / name}.json" for name in sizes)]
    argv += ["--images", *(f"{name}={folder / 'images'}" for name in sizes)]
    argv += ["--samples", tmp_path / "s.parquet", "--rejected", tmp_path / "r.csv"]
    argv += ["--summary", tmp_path / "summary.json", "--trial", 24]
    prepare_pool.main([*usual(prepare_pool), *map(str, argv)])
    summary = json.loads((tmp_path / "summary.json").read_text())
    parts = {name: counts["read"] for name, counts in summary["parts"].items()}
    assert parts == {"big": 20, "small": 4} and (summary["read"], summary["taken"]) == (N, 24)
    assert summary["accepted"] + summary["rejected"] == 24


def test_a_tasks_sets_are_cut_to_a_share_each(data, tmp_path):
    folder, records = data
    (tmp_path / "v.json").write_text(json.dumps(records[6:26]))
    (tmp_path / "t.json").write_text(json.dumps(records[30:111]))
    argv = ["--task", "a", "--validation", tmp_path / "v.json", "--test", tmp_path / "t.json"]
    argv += ["--images", folder / "images", "--out-validation", tmp_path / "v.parquet"]
    argv += ["--out-test", tmp_path / "t.parquet", "--rejected", tmp_path / "r.csv"]
    argv += ["--source-key", "task", "--share", 0.1]
    prepare_task.main([*usual(prepare_task), *map(str, argv)])
    test = Samples(tmp_path / "t.parquet").frame()
    assert len(Samples(tmp_path / "v.parquet")) == 2 and len(test) == 9
    assert set(test["source"].value_counts()) == {3}

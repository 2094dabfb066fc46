"""Real records of five tasks, with and without every kind of bad record among them."""

import csv
import json
from pathlib import Path

import pandas as pd
import pytest
from broken_copy import spoil
from running import HERE, REAL_VQA, snakemake, succeeded
from tiny_models import bpe_tokenizer, save_llava

CONFIG = HERE / "real_vqa.yaml"
TASKS = ("nlvr", "vqarad", "scienceqa", "easyvqa", "coco_objects")
METHODS = ("random", "icons", "coincide", "scalselect")

pytestmark = pytest.mark.skipif(
    not REAL_VQA.is_dir(), reason=f"real records are tested where {REAL_VQA} is, and it is not here"
)


@pytest.fixture(scope="module")
def mixture():
    """The records unchanged."""
    return json.loads((REAL_VQA / "mixture.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def run(tmp_path_factory, mixture):
    """Run the workflow up to the subsets; the image root is a link to a folder outside."""
    folder = tmp_path_factory.mktemp("real_vqa")
    (folder / "data").mkdir()
    (folder / "data/real_vqa").symlink_to(REAL_VQA)
    texts = (turn["value"] for record in mixture for turn in record["conversations"])
    save_llava(folder / "data/model", bpe_tokenizer(texts), layers=2, positions=2048)
    succeeded(snakemake(folder, CONFIG, "--cores", "2", "subsets"))
    return folder / "results/real_vqa"


def test_every_record_is_accepted(run, mixture):
    summary = json.loads((run / "pool/summary.json").read_text())
    assert (summary["read"], summary["accepted"], summary["rejected"]) == (2406, 2406, 0)
    n_text_only = sum("image" not in record for record in mixture)
    assert summary["n_text_only"] == n_text_only == 400
    assert summary["n_multi_turn"] == sum(len(r["conversations"]) > 2 for r in mixture)
    sizes = {"nlvr": 700, "vqarad": 511, "scienceqa": 826, "easyvqa": 250, "coco_objects": 119}
    assert summary["accepted_by_source"] == sizes
    for task in TASKS:
        for split, n in (("validation", 50), ("test", 100)):
            assert len(pd.read_parquet(run / f"tasks/{task}/{split}.parquet")) == n


@pytest.mark.parametrize("method", METHODS)
def test_subsets_are_the_records_verbatim(run, mixture, method):
    subset = run / f"subsets/{method}/ratio-0.2_seed-0.json"
    chosen = json.loads(subset.read_text(encoding="utf-8"))
    rows = pd.read_parquet(subset.with_suffix(".parquet"))["row"]
    assert len(chosen) == 481 and rows.is_unique and rows.is_monotonic_increasing
    expected = [json.dumps(mixture[row]) for row in rows]
    assert [json.dumps(record) for record in chosen] == expected


def test_all_tasks_vote(run):
    votes = pd.read_parquet(run / "votes/seed-0.parquet")
    assert set(TASKS) <= set(votes.columns) and len(votes) == 2406
    assert (votes["votes"] == votes[list(TASKS)].sum(axis=1)).all()
    for task in TASKS:
        assert votes[task].sum() == pytest.approx(0.2 * 2406, abs=1)
        influence = pd.read_parquet(run / f"influence/seed-0/{task}.parquet")["influence"]
        assert influence.nunique() > 2000  # samples have different values


def test_text_only_samples_have_no_visual_score_and_their_share_of_the_subset(run, mixture):
    text_only = pd.Series(["image" not in record for record in mixture])
    scores = pd.read_parquet(run / "scores/scalselect/seed-0.parquet")["score"]
    assert (scores.isna() == text_only).all()
    chosen = pd.read_parquet(run / "subsets/scalselect/ratio-0.2_seed-0.parquet")["row"]
    assert text_only[chosen].sum() == round(481 * 400 / 2406)


@pytest.mark.parametrize("lines", [False, True], ids=["json", "jsonl"])
def test_bad_records_are_named_and_good_ones_kept(tmp_path, lines):
    data = tmp_path / "data/real_vqa"
    good, bad = spoil(REAL_VQA / "mixture.json", REAL_VQA / "images", data, lines=lines)
    (data / "tasks").symlink_to(REAL_VQA / "tasks")
    (tmp_path / "data/model").mkdir()
    results = Path("results/real_vqa/pool")
    done = snakemake(tmp_path, CONFIG, "--cores", "2", str(results / "samples.parquet"))
    succeeded(done)
    with (tmp_path / results / "rejected.csv").open(newline="", encoding="utf-8") as stream:
        rejected = list(csv.DictReader(stream))
    found = [(row["position"], row["sample_id"], row["reason"]) for row in rejected]
    assert found == [(str(place), name, reason) for place, name, reason in bad]
    assert all(row["detail"] for row in rejected)
    kept = pd.read_parquet(tmp_path / results / "samples.parquet")
    assert [json.loads(text) for text in kept["record"]] == good
    summary = json.loads((tmp_path / results / "summary.json").read_text())
    assert summary["accepted"] + summary["rejected"] == summary["read"] == len(good) + len(bad)


def test_a_mixture_that_is_not_json_fails_with_the_position(tmp_path):
    data = tmp_path / "data/real_vqa"
    data.mkdir(parents=True)
    text = (REAL_VQA / "mixture.json").read_bytes()
    (data / "mixture.json").write_bytes(text[:100_000])
    for name in ("images", "tasks"):
        (data / name).symlink_to(REAL_VQA / name)
    (tmp_path / "data/model").mkdir()
    done = snakemake(tmp_path, CONFIG, "-c2", "results/real_vqa/pool/samples.parquet")
    assert done.returncode != 0
    log = (tmp_path / "results/real_vqa/logs/prepare_pool.log").read_text()
    assert "mixture.json" in log.splitlines()[-1] and "byte" in log.splitlines()[-1]
    assert not (tmp_path / "results/real_vqa/pool/samples.parquet").exists()

"""The entry tabulate_votes on the tiny pool."""

import json

import numpy as np
import pandas as pd
import pytest
import tabulate_votes

from vlselect import tables
from vlselect.thumbnails import decode_thumbnail

N, TASKS = 24, ["p", "q"]


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    influence = pd.DataFrame({task: rng.normal(size=N).astype(np.float32) for task in TASKS})
    votes = (influence >= influence.quantile(0.7)).astype(np.uint8)
    table = votes.assign(row=range(N), votes=votes.sum(axis=1), mean_rank=rng.random(N))
    table[["row", *TASKS, "votes", "mean_rank"]].to_parquet(tmp_path / "votes.parquet")
    for task in TASKS:
        frame = pd.DataFrame({"row": range(N), "influence": influence[task]})
        frame.to_parquet(tmp_path / f"{task}.parquet")
    (tmp_path / "icons").mkdir()
    rows = table["votes"].sort_values(ascending=False, kind="stable").index[:5]
    pd.DataFrame({"row": sorted(rows)}).to_parquet(tmp_path / "icons/ratio-0.2_seed-0.parquet")
    return tmp_path


def run(pool, folder, *more):
    tabulate_votes.main(
        [
            *("--samples", str(pool / "samples.parquet"), "--images", str(pool / "images")),
            *("--max-pixels", "10000", "--votes", str(folder / "votes.parquet")),
            *("--influence", *(str(folder / f"{task}.parquet") for task in reversed(TASKS))),
            *("--subsets", str(folder), "--runs", "icons/ratio-0.2_seed-0"),
            *("--out-histogram", str(folder / "h.csv"), "--out-agreement", str(folder / "a.csv")),
            *("--out-extremes", str(folder / "e.csv"), *more),
        ]
    )


def test_tables(tiny_pool, folder):
    run(tiny_pool, folder, "--count", "3")
    histogram = tables.read_table(folder / "h.csv", "votes_histogram")
    assert histogram["n"].sum() == N and histogram["selected"].sum() == 5
    agreement = tables.read_table(folder / "a.csv", "task_agreement")
    assert agreement[["task_a", "task_b"]].to_numpy().tolist() == [
        ["p", "p"],
        ["p", "q"],
        ["q", "q"],
    ]


def test_extremes_show_samples_with_images_as_they_are(tiny_pool, folder):
    run(tiny_pool, folder, "--count", "3")
    extremes = tables.read_table(folder / "e.csv", "vote_extremes")
    assert extremes["extreme"].tolist() == ["most"] * 3 + ["least"] * 3
    assert extremes["votes"].iloc[:3].min() >= extremes["votes"].iloc[3:].max()
    records = {r["id"]: r for r in json.loads((tiny_pool / "mixture.json").read_text())}
    for row in extremes.to_dict("records"):
        record = records[row["sample_id"]]
        assert record["image"] and record["task"] == row["source"]
        question, answer = (turn["value"] for turn in record["conversations"][:2])
        assert row["question"] == " ".join(question.replace("<image>", "").split())
        assert row["answer"] == answer
        assert decode_thumbnail(row["thumbnail"]).size == (40, 40)


def test_same_bytes_twice(tiny_pool, folder):
    run(tiny_pool, folder)
    first = {name: (folder / name).read_bytes() for name in ("h.csv", "a.csv", "e.csv")}
    run(tiny_pool, folder)
    assert first == {name: (folder / name).read_bytes() for name in first}

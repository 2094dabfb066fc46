"""The entry tabulate_votes on the tiny pool."""

import json

import numpy as np
import pandas as pd
import pytest
import tabulate_votes

from vlselect.pool.thumbnails import decode_thumbnail
from vlselect.tables import declarations

N, TASKS = 24, ["p", "q"]


RUNS = {f"icons/ratio-0.2_seed-{seed}": seed for seed in ("0", "1")}  # each with its own votes


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "icons").mkdir()
    for name, seed in RUNS.items():
        rng = np.random.default_rng(int(seed))
        influence = pd.DataFrame({task: rng.normal(size=N).astype(np.float32) for task in TASKS})
        votes = (influence >= influence.quantile(0.7)).astype(np.uint8)
        table = votes.assign(row=range(N), votes=votes.sum(axis=1), mean_rank=rng.random(N))
        table[["row", *TASKS, "votes", "mean_rank"]].to_parquet(tmp_path / f"votes-{seed}.parquet")
        for task in TASKS:
            frame = pd.DataFrame({"row": range(N), "influence": influence[task]})
            (tmp_path / seed).mkdir(exist_ok=True)
            frame.to_parquet(tmp_path / seed / f"{task}.parquet")
        rows = table["votes"].sort_values(ascending=False, kind="stable").index[:5]
        pd.DataFrame({"row": sorted(rows)}).to_parquet(tmp_path / f"{name}.parquet")
    return tmp_path


def seeded(folder):
    """Return the flags for the votes and influences of both seeds."""
    for seed in RUNS.values():
        yield from ("--votes", seed, str(folder / f"votes-{seed}.parquet"))
        paths = (str(folder / seed / f"{task}.parquet") for task in reversed(TASKS))
        yield from ("--influence", seed, *paths)


def run(pool, folder, *more):
    tabulate_votes.main(
        [
            *("--samples", str(pool / "samples.parquet"), "--images", str(pool / "images")),
            *("--max-pixels", "10000", *seeded(folder)),
            *("--subsets", str(folder), "--runs", *RUNS, "--seeds", *RUNS.values()),
            *("--out-histogram", str(folder / "h.csv"), "--out-agreement", str(folder / "a.csv")),
            *("--out-extremes", str(folder / "e.csv"), *more),
        ]
    )


def test_tables(tiny_pool, folder):
    run(tiny_pool, folder, "--count", "3")
    histogram = declarations.read_table(folder / "h.csv", "votes_histogram")
    agreement = declarations.read_table(folder / "a.csv", "task_agreement")
    for seed in RUNS.values():
        own = histogram[histogram["seed"] == seed]
        votes = pd.read_parquet(folder / f"votes-{seed}.parquet")
        assert own["n"].tolist() == [(votes["votes"] == count).sum() for count in range(3)]
        assert own["selected"].sum() == 5
        pairs = agreement[agreement["seed"] == seed].set_index(["task_a", "task_b"])
        assert pairs.index.tolist() == [("p", "p"), ("p", "q"), ("q", "q")]
        first, second = votes["p"] == 1, votes["q"] == 1
        expected = (first & second).sum() / (first | second).sum()
        assert pairs.loc[("p", "q"), "jaccard"] == pytest.approx(expected, rel=1e-5)


def test_extremes_show_samples_with_images_as_they_are(tiny_pool, folder):
    run(tiny_pool, folder, "--count", "3")
    extremes = declarations.read_table(folder / "e.csv", "vote_extremes")
    assert extremes["seed"].tolist() == ["0"] * 6 + ["1"] * 6
    assert extremes["extreme"].tolist() == (["most"] * 3 + ["least"] * 3) * 2
    for _, own in extremes.groupby("seed"):
        assert own["votes"].iloc[:3].min() >= own["votes"].iloc[3:].max()
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

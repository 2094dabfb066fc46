import json

import numpy as np
import pandas as pd
import pytest
import train_score_net
from array_files import write_shards
from config_defaults import FINETUNE
from usual_flags import usual

SETTINGS = {"rank": 2, "alpha": 4, "batch_size": 4, "gradient_accumulation": 1}


@pytest.fixture
def run(tiny_vlm, tiny_pool, tmp_path):
    """Run the entry; return the folder of its outputs."""
    features = np.random.default_rng(0).normal(size=(24, 6)).astype(np.float16)
    shards = [str(path) for path in write_shards(tmp_path, features)]

    def run(name, *more, seed=0, clip=shards, **settings):
        out = tmp_path / name
        train_score_net.main(
            [
                *usual(train_score_net),
                *("--samples", str(tiny_pool / "samples.parquet"), "--clip", *clip),
                *("--images", str(tiny_pool / "images"), "--net-learning-rate", "0.05"),
                *("--variant", "paper"),
                *("--settings", json.dumps(FINETUNE | SETTINGS | settings), "--seed", str(seed)),
                *("--out", str(out / "scores.parquet"), "--log", str(out / "log.csv")),
                *("--model", str(tiny_vlm), "--device", "cpu", *more),
            ]
        )
        return out

    return run


def test_every_sample_gets_a_score_and_every_step_a_line(run):
    out = run("out", "--fraction", "0.5")
    assert {path.name for path in out.iterdir()} == {"scores.parquet", "log.csv"}
    scores = pd.read_parquet(out / "scores.parquet")
    assert scores["row"].tolist() == list(range(24))
    assert scores.dtypes.astype(str).tolist() == ["int64", "float32"]
    assert scores["score"].nunique() == 24
    steps = pd.read_csv(out / "log.csv")
    assert steps.columns.tolist() == ["step", "epoch", "loss", "learning_rate", "seconds"]
    assert len(steps) == 3  # 12 samples, four in each step


def test_same_seed_gives_the_same_bytes_and_another_one_does_not(run):
    files = [(run(str(i), seed=i // 2) / "scores.parquet").read_bytes() for i in range(3)]
    assert files[0] == files[1] != files[2]


def test_the_number_of_shards_does_not_matter(run, tmp_path):
    features = np.random.default_rng(1).normal(size=(24, 6)).astype(np.float16)
    bounds = [(0, 24)], [(0, 7), (7, 24)]
    outputs = []
    for cuts in bounds:
        paths = []
        for start, stop in cuts:
            (tmp_path / f"{start}-{stop}").mkdir()
            rows = {"rows": f"{start}:{stop}"}
            paths += write_shards(tmp_path / f"{start}-{stop}", features[start:stop], **rows)
        out = run(str(len(cuts)), "--fraction", "0.5", clip=list(map(str, paths)))
        outputs.append((out / "scores.parquet").read_bytes())
    assert outputs[0] == outputs[1]


def test_the_length_can_be_limited(run):
    assert len(pd.read_csv(run("out", max_steps=2) / "log.csv")) == 2


def test_rows_are_another_draw_than_the_warm_ups_and_follow_the_sample():
    names = [f"s{i}" for i in range(500)]
    rows = train_score_net.draw_rows(names, "0.1", 0)
    assert len(set(rows.tolist())) == 50
    assert sorted(499 - train_score_net.draw_rows(names[::-1], 0.1, 0)) == rows.tolist()
    assert train_score_net.draw_rows(names, 1, 3).tolist() == list(range(500))


@pytest.mark.parametrize(
    ("settings", "flags", "message"),
    [
        ({"adapter": "none"}, [], "LoRA"),
        ({"ranks": 3}, [], "ranks"),
        ({"batch_size": 1}, [], "batch_size"),
        ({}, ["--fraction", "0"], "ratio"),
    ],
)
def test_bad_settings_are_named_and_leave_nothing(run, tmp_path, settings, flags, message):
    with pytest.raises(ValueError, match=message):
        run("out", *flags, **settings)
    out = tmp_path / "out"
    assert not out.exists() or not list(out.iterdir())

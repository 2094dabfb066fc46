"""Weighted sums of scores, compared with numerical derivatives."""

import numpy as np
import pandas as pd
import pytest

from vlselect.tables import contrasts
from vlselect.tables.declarations import Run

GROUPS = {"m1": "both", "m2": "both"}
TASKS = ["x", "m1", "m2", "zero"]
METHODS = [("full", "1.0"), ("random", "0.2"), ("a", "0.2"), ("majority", "")]


def scores(seeds=("0", "1", "2")):
    generator = np.random.default_rng(0)
    rows = []
    for method, ratio in METHODS:
        for seed in [""] if method == "majority" else seeds:
            for task in TASKS:
                value = 0.0 if task == "zero" and method == "full" else generator.uniform(20, 80)
                names = {"method": method, "ratio": ratio, "seed": seed, "task": task}
                rows.append({"model": "" if method == "majority" else "m", **names, "score": value})
    return pd.DataFrame(rows)


def relative(means, row):
    """Compute mean relative performance by its definition; a task with 0 for `full` is left out."""
    merged = np.stack([means[:, 0], means[:, 1:3].mean(axis=1)], axis=1)
    return float((100 * merged[row] / merged[0]).mean())


@pytest.mark.parametrize("row", [1, 2, 3])
def test_weights_are_the_derivatives_of_relative_performance(row):
    of_model = contrasts.by_model(scores(), GROUPS)["m"]
    weights = of_model.relative(*METHODS[row])
    numerical, step = np.zeros(weights.shape), 1e-4
    for place in np.ndindex(weights.shape):
        for sign in (1, -1):
            moved = of_model.means.copy()
            moved[place] += sign * step
            numerical[place] += sign * relative(moved, row) / (2 * step)
    np.testing.assert_allclose(weights, numerical, atol=1e-7)


def test_the_mean_is_made_of_the_benchmarks():
    of_model = contrasts.by_model(scores(), GROUPS)["m"]
    parts = [of_model.relative("a", "0.2", name) for name in ("x", "both")]
    np.testing.assert_allclose(of_model.relative("a", "0.2"), sum(parts) / 2)
    assert not of_model.relative("a", "0.2", "zero").any()


def test_full_is_what_it_is_measured_against():
    of_model = contrasts.by_model(scores(), GROUPS)["m"]
    np.testing.assert_allclose(of_model.relative("full", "1.0"), 0.0, atol=1e-12)
    assert of_model.interval(of_model.relative("full", "1.0")).levels == "none"


def test_what_is_never_finetuned_has_no_seeds_of_its_own():
    """Its relative performance varies only with the seeds of `full`."""
    of_model = contrasts.by_model(scores(), GROUPS)["m"]
    weights = of_model.relative("majority", "")
    variance = of_model.interval(weights).error ** 2
    w = weights[0]
    assert variance == pytest.approx(w @ of_model.seeds.covariance @ w / 3)


def test_questions_are_read_by_run_and_task(tmp_path):
    name = "m/a/samples-9_seed-4"
    (tmp_path / name).mkdir(parents=True)
    table = {"unit": [1, 0, 1, -1], "unit_score": [50.0, 100.0, 50.0, np.nan]}
    pd.DataFrame(table).to_parquet(tmp_path / name / "x.parquet")
    pd.DataFrame(table).assign(unit=-1).to_parquet(tmp_path / name / "y.parquet")
    read = contrasts.unit_score_reader(tmp_path, [name], {"samples-9": "0.3"})
    run = Run("m", "a", "0.3", "4")
    assert read(run, "x").to_dict() == {0: 100.0, 1: 50.0}
    assert read(run, "y") is None


def test_questions_need_to_be_the_same_everywhere():
    generator = np.random.default_rng(1)

    def read(run, task):
        return pd.Series(generator.normal(size=5 if run.method == "a" else 6))

    with pytest.raises(ValueError, match=r"m/a/0.2/0, x: has other questions than the other runs"):
        contrasts.by_model(scores(), GROUPS, read)

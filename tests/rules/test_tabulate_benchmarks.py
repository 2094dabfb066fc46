"""The entries tabulate_benchmarks and tabulate_comparisons: from JSON files to four tables."""

import json

import numpy as np
import pandas as pd
import pytest
import tabulate_benchmarks
import tabulate_comparisons

from vlselect.tables import declarations

RUNS = {
    "target/full/ratio-1.0_seed-0": (80.0, 40.0),
    "target/full/ratio-1.0_seed-1": (90.0, 60.0),
    "target/random/ratio-0.20_seed-0": (75.0, 12.0),
    "target/random/ratio-0.20_seed-1": (60.0, 25.0),
    "target/icons/ratio-0.20_seed-0": (85.0, 20.0),
    "target/icons/ratio-0.20_seed-1": (68.0, 30.0),
    "target/pretrained/ratio-0.0_seed-0": (17.0, 5.0),
    "majority": (34.0, 10.0),
}


def write_units(path, score, n=50):
    """Write units whose mean is the score, the first ones right; a last sample does not count."""
    values = np.clip(score / 100 * n - np.arange(n), 0.0, 1.0) * 100
    unit, values = [*range(n), -1], [*values, np.nan]
    pd.DataFrame({"unit": unit, "unit_score": values}).to_parquet(path)


@pytest.fixture
def benchmarks(tmp_path):
    for run, scores in RUNS.items():
        (tmp_path / run).mkdir(parents=True)
        for task, score in zip(("counting", "reading"), scores, strict=True):
            content = {"task": task, "metric": "exact_match", "score": score, "n": 50, "more": {}}
            (tmp_path / run / f"{task}.json").write_text(json.dumps(content))
            write_units(tmp_path / run / f"{task}.parquet", score)
    return tmp_path


def run(folder, *more):
    out = folder / "tables"
    tabulate_benchmarks.main(
        [
            *("--benchmarks", str(folder), "--runs", *RUNS, "--tasks", "counting", "reading"),
            *("--out", str(out / "s.csv")),
        ]
    )
    tabulate_comparisons.main(
        [
            *("--scores", str(out / "s.csv"), "--out-seeds", str(out / "b.csv")),
            *("--benchmarks", str(folder), "--runs", *RUNS),
            *("--out-relative", str(out / "r.csv"), "--out-comparison", str(out / "c.csv"), *more),
        ]
    )
    return (
        declarations.read_table(out / "s.csv", "benchmark_scores"),
        declarations.read_table(out / "b.csv", "relative_by_seed"),
        declarations.read_table(out / "r.csv", "relative_performance"),
    )


def test_tables(benchmarks):
    scores, by_seed, performance = run(benchmarks)
    assert len(scores) == 16 and set(scores["n"]) == {50}
    assert scores["ratio"].unique().tolist() == ["1.0", "0.20", "0.0", ""]
    assert len(by_seed) == 8 * 3
    means = performance[performance["task"] == "mean"].set_index("method")
    assert means.index.tolist() == ["full", "random", "icons", "pretrained", "majority"]
    assert means["relative"].tolist() == pytest.approx(
        [100.0, 4225 / 72, 70.0, 15.0, 30.0], rel=1e-2
    )
    assert means["n_seeds"].tolist() == [2, 2, 2, 1, 1]
    assert means["low"].isna().tolist() == [True, False, False, False, False]
    assert means["interval"].tolist() == ["none", *["seeds and questions"] * 4]
    inside = means[["low", "question_low", "relative", "question_high", "high"]].iloc[1:]
    assert (inside.diff(axis=1).iloc[:, 1:] > 0).all(axis=None)


def test_comparison_with_random(benchmarks):
    _, by_seed, _ = run(benchmarks)
    compared = declarations.read_table(benchmarks / "tables/c.csv", "comparison_with_random")
    assert compared["method"].tolist() == ["icons"] and compared["n_seeds"].tolist() == [2]
    means = by_seed[by_seed["task"] == "mean"].set_index(["method", "seed"])["relative"]
    differences = [means["icons", seed] - means["random", seed] for seed in "01"]
    assert compared.loc[0, "difference"] == pytest.approx(sum(differences) / 2, abs=1e-3)
    assert (compared.loc[0, "verdict"] == "higher") == (compared.loc[0, "low"] > 0)


def test_runs_with_other_questions_are_an_error(benchmarks):
    write_units(benchmarks / "majority/reading.parquet", 10.0, n=49)
    with pytest.raises(ValueError, match="majority.*reading: has other questions than"):
        run(benchmarks)


def test_a_run_whose_questions_are_not_known_leaves_the_seeds(benchmarks, capsys):
    path = benchmarks / "target/icons/ratio-0.20_seed-1/reading.parquet"
    pd.read_parquet(path).assign(unit=-1).to_parquet(path)
    _, _, performance = run(benchmarks)
    levels = performance.set_index(["method", "task"])["interval"]
    assert levels["icons", "counting"] == "seeds and questions"
    assert levels["icons", "reading"] == levels["random", "mean"] == "seeds"
    assert "target/icons/0.20/1" in capsys.readouterr().err


def test_subtasks_of_a_group_become_one_benchmark(benchmarks):
    groups = json.dumps({"counting": "both", "reading": "both"})
    _, _, performance = run(benchmarks, "--groups", groups)
    assert performance["task"].unique().tolist() == ["both", "mean"]


def test_full_at_zero_leaves_the_relative_score_empty(benchmarks):
    for seed in "01":
        path = benchmarks / f"target/full/ratio-1.0_seed-{seed}/reading.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"score": 0}))
    scores, _, performance = run(benchmarks)
    relative = performance.set_index(["method", "task"])["relative"]
    assert relative["icons"].isna().to_dict() == {"counting": False, "reading": True, "mean": False}
    assert relative["icons", "mean"] == relative["icons", "counting"]
    assert len(scores) == 2 * len(RUNS)


def test_a_missing_score_names_the_file(benchmarks):
    (benchmarks / "majority/reading.json").unlink()
    with pytest.raises(FileNotFoundError, match="majority/reading.json"):
        run(benchmarks)

"""The shipped cached run: figures from tables only; nothing else runs."""

import hashlib
import shutil

import import_published
import pandas as pd
import pytest
from running import ROOT, jobs, snakemake, succeeded

from vlselect.tables import declarations

CONFIG = ROOT / "configs/published.yaml"
TABLES = ROOT / "results/published/tables"
FIGURES = ["relative_performance", "performance_by_ratio", "cost"]
REL = {  # the column Rel. as published
    "full": 100.0,
    "random": 95.8,
    "clip_score": 91.2,
    "el2n": 92.0,
    "perplexity": 91.6,
    "semdedup": 92.6,
    "d2_pruning": 94.8,
    "self_sup": 93.4,
    "self_filter": 90.9,
    "coincide": 97.4,
}


def digests(folder):
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.iterdir()}


@pytest.fixture
def copy(tmp_path):
    """Folder with only the tables of the cached run."""
    shutil.copytree(TABLES, tmp_path / "results/published/tables")
    return tmp_path


def test_figures_are_drawn_from_the_tables_and_nothing_else_runs(copy):
    run = copy / "results/published"
    before = digests(run / "tables")
    output = succeeded(snakemake(copy, CONFIG, "--cores", "1", "figures"))
    assert jobs(output) == {"figures", *(f"plot_{name}" for name in FIGURES)}
    drawn = sorted(path.name for path in (run / "figures").iterdir())
    assert drawn == sorted(f"{name}.{suffix}" for name in FIGURES for suffix in ("png", "svg"))
    assert digests(run / "tables") == before
    assert {path.name for path in run.iterdir()} == {"tables", "figures", "logs"}
    again = succeeded(snakemake(copy, CONFIG, "--cores", "1", "--dry-run"))
    assert not jobs(again)


def test_tables_name_the_methods_and_budgets_of_a_cached_run(copy):
    output = succeeded(snakemake(copy, CONFIG, "--cores", "1", "--dry-run", "-p", "figures"))
    methods = list(pd.read_csv(TABLES / "benchmark_scores.csv")["method"].unique())
    assert f"--budgets  --methods {' '.join(methods)} " in output
    row = {"budget": "samples-133060", "amount": 133060, "pool": 665298, "ratio": "0.2"}
    path = copy / "results/published/tables/budgets.csv"
    declarations.write_table([row], "budgets", path)
    output = succeeded(snakemake(copy, CONFIG, "--cores", "1", "--dry-run", "-p", "figures"))
    assert output.count("--budgets results/published/tables/budgets.csv") == len(FIGURES)


def test_only_figures_whose_tables_are_there(copy):
    (copy / "results/published/tables/cost.csv").unlink()
    output = succeeded(snakemake(copy, CONFIG, "--cores", "1", "--dry-run", "figures"))
    assert "plot_cost" not in jobs(output) and "plot_relative_performance" in jobs(output)


def test_a_cached_run_without_tables_says_so(tmp_path):
    done = snakemake(tmp_path, CONFIG, "--cores", "1", "figures")
    assert done.returncode != 0
    assert "results/published/tables" in done.stdout and "Traceback" not in done.stdout


def test_a_run_that_is_not_cached_still_needs_its_input(tmp_path):
    config = tmp_path / "config.yaml"
    config.write_text(CONFIG.read_text().replace("cached: true", "cached: false"))
    done = snakemake(tmp_path, config, "--cores", "1", "--dry-run")
    assert done.returncode != 0 and "Traceback" not in done.stdout
    for key in ("pool", "methods", "experiments"):
        assert f"'{key}' is a required property" in done.stdout


def test_rel_is_reproduced():
    scores = declarations.read_table(TABLES / "benchmark_scores.csv", "benchmark_scores")
    wide = scores.pivot(index="method", columns="task", values="score")
    by_hand = (100 * wide / wide.loc["full"]).mean(axis=1)
    performance = declarations.read_table(
        TABLES / "relative_performance.csv", "relative_performance"
    )
    means = performance[performance["task"] == "mean"].set_index("method")["relative"]
    assert means.index.tolist() == list(REL)
    for method, stated in REL.items():
        assert means[method] == pytest.approx(stated, abs=0.1)
        assert means[method] == pytest.approx(by_hand[method], abs=1e-3)
    assert scores.loc[scores["task"] == "mme", "score"].min() > 1000  # points


def test_the_script_gives_the_shipped_tables(tmp_path):
    scores = declarations.read_table(TABLES / "benchmark_scores.csv", "benchmark_scores")
    wide = scores.pivot(index="method", columns="task", values="score")
    wide = wide.loc[list(REL), list(dict.fromkeys(scores["task"]))].assign(rel=pd.Series(REL))
    wide.to_csv(tmp_path / "scores.csv")
    hours = "level,method,ratio,hours\nfinetuning,full,1.0,50\ntotal,coincide,0.2,15.1\n"
    (tmp_path / "hours.csv").write_text(hours)
    flags = ["--scores", str(tmp_path / "scores.csv"), "--hours", str(tmp_path / "hours.csv")]
    flags += ["--model", "llava-1.5-7b", "--ratio", "0.2", "--stated", "rel"]
    import_published.main([*flags, "--out", str(tmp_path / "tables")])
    assert digests(tmp_path / "tables") == digests(TABLES)

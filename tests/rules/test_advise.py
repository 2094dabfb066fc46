"""scripts/advise.py on made-up runs and trials of them."""

import json

import advise
import numpy as np
import pandas as pd
import pytest

from vlselect.core.store import ShardWriter
from vlselect.tables.declarations import TABLES, write_table

N = 120


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my.yaml").write_text("run: mine\nmodels: {small: {path: m}}\n")
    return tmp_path


def write(path, frame):
    path.parent.mkdir(parents=True, exist_ok=True)
    frame.to_parquet(path)


def make_run(results, taken=None, beta=96):
    """A pool with votes of two tasks, the second from row `beta` on, and validation samples."""
    rows = np.arange(N)
    pool = pd.DataFrame({"row": rows, "sample_id": [f"s{i}" for i in rows], "source": "a"})
    pool["n_images"], pool["digest"] = 1, [f"d{i}" for i in rows]
    write(results / "pool/samples.parquet", pool)
    (results / "pool/budgets.json").write_text(json.dumps({"ratio-0.2": 12, "ratio-0.5": 30}))
    summary = {"read": N, "accepted": N} | ({"taken": taken} if taken else {})
    (results / "pool/summary.json").write_text(json.dumps(summary))
    votes = pd.DataFrame(
        {"row": rows, "alpha": rows < 12, "beta": (rows >= beta) & (rows < beta + 24)}
    ).astype(int)
    votes["votes"] = votes["alpha"] + votes["beta"]
    write(results / "votes/seed-0.parquet", votes.assign(mean_rank=1 - rows / N))
    write(results / "tasks/alpha/validation.parquet", pool[:7])
    write(results / "tasks/beta/validation.parquet", pool[:9])


def say(capsys):
    advise.main(["--configfile", "my.yaml"])
    return capsys.readouterr().out.splitlines()


def test_a_run_is_read_from_its_files(folder, capsys):
    make_run(folder / "results/mine")
    lines = say(capsys)
    assert lines[:2] == ["results/mine:", "What fits: `methods: {targeted: {}}`"]
    text = "\n".join(lines)
    assert "alpha shares 0.00 of its votes with another task" in text
    assert "2 tasks, at least 7 (alpha)" in text and "model: small" in text
    assert len(lines) <= 8


def write_comparison(results):
    row = dict.fromkeys(TABLES["comparison_with_random"], 1)
    row |= {"method": "coincide", "difference": 5.5, "low": 2.0, "high": 9.0, "verdict": "higher"}
    path = results / "tables/comparison_with_random.csv"
    path.parent.mkdir()
    write_table([row], "comparison_with_random", path)


def test_votes_are_counted_in_the_smallest_subset(folder, capsys):
    make_run(folder / "results/mine", beta=0)
    text = "\n".join(say(capsys))
    assert "What fits: `methods: {icons: {}}`" in text
    assert "the 12 samples with the most votes have 50 % of those that beta votes for" in text


def test_gate_duplicates_and_tables_are_read(folder, capsys):
    results = folder / "results/mine"
    make_run(results)
    loss = np.r_[np.full(18, 5.0), np.linspace(0, 0.3, N - 18)]
    write(results / "gate/seed-0.parquet", pd.DataFrame({"loss": loss}))
    pairs = pd.DataFrame({"row_a": range(12), "row_b": range(20, 32), "cosine": 0.99})
    write(results / "duplicates.parquet", pairs)
    write_comparison(results)
    text = "\n".join(say(capsys))
    assert "What fits: `methods: {coincide: {}}`, `gate: {share: 0.15}`" in text
    assert "15 % of their samples stand out" in text and "10 % of the samples repeat" in text
    assert "+5.5 points (2.0 to 9.0)" in text and "not known" not in text


def write_losses(folder, part, rows):
    """Write a shard of losses, some of which stand out."""
    loss = np.r_[np.full(18, 5.0), np.linspace(0, 0.3, N - 18)].astype(np.float32)
    folder.mkdir(parents=True, exist_ok=True)
    header = {"rows": f"{rows.start}:{rows.stop}"}
    path = folder / f"shard-{part}.safetensors"
    with ShardWriter(path, (len(rows),), np.float32, header) as writer:
        writer.write(slice(None), loss[rows.start : rows.stop])


@pytest.mark.parametrize(
    ("section", "config"),
    [
        ("proxy", "proxy: {model: tiny}\n"),
        ("gradients", "gradients: {model: tiny}\nmethods: {clean_shares: {}}\n"),
    ],
)
def test_losses_say_what_a_gate_would_once_all_are_there(folder, capsys, section, config):
    results = folder / "results/mine"
    make_run(results)
    models = "models: {small: {path: m}, tiny: {path: t}}\n"
    (folder / "my.yaml").write_text(f"run: mine\n{models}{config}")
    write_losses(results / f"{section}/small/seed-0/losses", "1-of-1", range(N))  # another model
    write_losses(results / f"{section}/tiny/seed-2/losses", "1-of-2", range(60))
    assert not any("stand out" in line for line in say(capsys))
    write_losses(results / f"{section}/tiny/seed-10/losses", "1-of-1", range(N))
    write_losses(results / f"{section}/tiny/seed-2/losses", "2-of-2", range(60, N))
    (line,) = [line for line in say(capsys) if "stand out" in line]
    assert "15 % of their samples" in line and line.endswith(f"({section}/tiny/seed-2/losses/)")


def test_the_largest_trial_stands_for_a_run_that_has_not_begun(folder, capsys):
    for size in (64, 512, 128):
        make_run(folder / f"results/mine-trial-{size}", taken=20)
    (folder / "results/mine-trial-9000x").mkdir()
    (folder / "results/mine/logs").mkdir(parents=True)
    write_comparison(folder / "results/mine-trial-512")  # of checkpoints that have seen little
    lines = say(capsys)
    assert lines[0] == "results/mine-trial-512:" and "targeted" in lines[1]
    assert any("what a subset is worth, by finetuning" in line for line in lines)
    make_run(folder / "results/mine")
    assert say(capsys)[0] == "results/mine:"


def test_no_run_at_all_is_an_error_that_says_what_to_do(folder):
    with pytest.raises(SystemExit) as caught:
        advise.main(["--configfile", "my.yaml"])
    said = str(caught.value)
    assert said.startswith("results/mine is not there, and no trial of it")
    assert "make trial CONFIG=my.yaml" in said


@pytest.mark.parametrize("text", ["pool: {}\n", "- run\n", "run: 3\n", ""])
def test_a_config_without_a_run_is_an_error(text, folder):
    (folder / "other.yaml").write_text(text)
    with pytest.raises(SystemExit, match=r"other\.yaml names no `run`"):
        advise.main(["--configfile", "other.yaml"])


def test_tables_that_say_nothing_are_an_error(folder):
    (folder / "results/mine/tables").mkdir(parents=True)
    with pytest.raises(SystemExit, match="results/mine: neither its pool nor its tables say"):
        advise.main(["--configfile", "my.yaml"])

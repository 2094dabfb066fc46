"""The method `clean_turns`: turns among what a slow gate lets pass, then among the rest."""

import json

import numpy as np
import pandas as pd
import pytest
from array_files import write_shards

from vlselect.methods import clean_turns, targeted
from vlselect.subsets.method_runner import MethodRunner
from vlselect.subsets.signals import read_signals

HEADER = {"projection": json.dumps({"type": "sjlt", "dim": 16}), "model": "m", "revision": ""}
TASKS = {"counting": ["counting"], "mme": ["mme_a", "mme_b"]}
N_POOL, WIDTH, SHARE = 300, 16, 0.3


def unit_rows(n_rows, seed):
    values = np.random.default_rng(seed).normal(size=(n_rows, WIDTH))
    return (values / np.linalg.norm(values, axis=1, keepdims=True)).astype(np.float16)


@pytest.fixture
def problem(tmp_path):
    ids = [f"s{i:03}" for i in np.random.default_rng(1).permutation(N_POOL)]
    pool = pd.DataFrame({"row": range(N_POOL), "sample_id": ids, "source": "x", "n_images": 1})
    losses = np.random.default_rng(2).random(N_POOL).astype(np.float32)
    arrays = {
        "gradients": write_shards(tmp_path / "pool", unit_rows(N_POOL, 0), 3, **HEADER),
        "losses": write_shards(tmp_path / "losses", losses, 2, **HEADER),
    }
    sizes = {"counting": 7, "mme_a": 3, "mme_b": 4}
    files = [
        write_shards(tmp_path / name, unit_rows(size, size), **HEADER)[0]
        for name, size in sizes.items()
    ]
    single = [[name, *paths] for name, paths in arrays.items()]
    return pool, read_signals(single, [["validation", *files]], N_POOL)


def slow_gated(pool, signals):
    """Put each sample into the task of its five best cosines, and sort each task by loss."""
    gradients = signals["gradients"][:].astype(np.float64)
    means = []
    for members in TASKS.values():
        rows = np.concatenate([signals["validation"][name][:] for name in members])
        exact = rows.astype(np.float64)
        exact /= np.linalg.norm(exact, axis=1, keepdims=True)
        means.append(np.sort(gradients @ exact.T, axis=1)[:, -5:].mean(axis=1))
    task, gated = np.argmax(means, axis=0), set()
    for place in range(len(TASKS)):
        own = [row for row in range(N_POOL) if task[row] == place]
        own.sort(key=lambda row: (-signals["losses"][[row]][0], pool["sample_id"][row]))
        gated |= set(own[: int(SHARE * len(own) + 0.5)])
    return np.array([row in gated for row in range(N_POOL)])


def run(method, pool, signals, budget, rows=None, **parameters):
    ask = MethodRunner(method, pool, signals, 0, {"tasks": TASKS} | parameters)
    return ask(np.arange(len(pool)) if rows is None else rows, budget)


def turns(pool, signals, budget, rows):
    return run(targeted, pool, signals, budget, rows, selector="round_robin")


@pytest.mark.parametrize("budget", [1, 90, 200, 250, N_POOL])
def test_what_is_gated_is_chosen_last(problem, budget):
    pool, signals = problem
    gated = slow_gated(pool, signals)
    found = run(clean_turns, pool, signals, budget, share=SHARE)
    n_clean = min(budget, (~gated).sum())
    first = turns(pool, signals, n_clean, np.flatnonzero(~gated))
    rows, scores = first.rows.tolist(), first.scores.tolist()
    if budget > n_clean:
        last = turns(pool, signals, budget - n_clean, np.flatnonzero(gated))
        rows, scores = rows + last.rows.tolist(), scores + last.scores.tolist()
    assert found.rows.tolist() == rows
    assert found.scores.tolist() == scores


def test_the_gate_of_a_part_is_that_of_the_whole_pool(problem):
    pool, signals = problem
    rows = np.flatnonzero(np.arange(N_POOL) % 3 == 0)
    found = run(clean_turns, pool, signals, 50, rows, share=SHARE)
    clean = rows[~slow_gated(pool, signals)[rows]]
    assert found.rows.tolist() == turns(pool, signals, 50, clean).rows.tolist()

"""The method `targeted`: its selectors against slow loops over all pairs, groups, constraints."""

import json

import numpy as np
import pandas as pd
import pytest
from array_files import write_shards

from vlselect.core.errors import InputError
from vlselect.core.store import ShardedArray
from vlselect.methods import targeted
from vlselect.subsets.method_runner import MethodRunner
from vlselect.subsets.signals import read_signals

HEADER = {"projection": json.dumps({"type": "sjlt", "dim": 16}), "model": "m", "revision": ""}
TASKS = {"counting": ["counting"], "mme": ["mme_a", "mme_b"]}
N_POOL, WIDTH = 700, 16


def unit_rows(n_rows, seed):
    values = np.random.default_rng(seed).normal(size=(n_rows, WIDTH))
    return (values / np.linalg.norm(values, axis=1, keepdims=True)).astype(np.float16)


@pytest.fixture
def problem(tmp_path):
    """A pool with copies, its gradients in three shards, and validation gradients of any norm."""
    ids = [f"s{i:03}" for i in np.random.default_rng(1).permutation(N_POOL)]
    pool = pd.DataFrame({"row": range(N_POOL), "sample_id": ids, "source": "x", "n_images": 1})
    gradients = unit_rows(N_POOL, 0)
    gradients[300:340] = gradients[100:140]
    paths = write_shards(tmp_path / "pool", gradients, 3, **HEADER)
    values = {"counting": unit_rows(5, 2), "mme_a": 3 * unit_rows(2, 3), "mme_b": unit_rows(4, 4)}
    files = [write_shards(tmp_path / name, rows, **HEADER)[0] for name, rows in values.items()]
    signals = read_signals([["gradients", *paths]], [["validation", *files]], N_POOL)
    cosines = {}
    for name, rows in values.items():
        exact = rows.astype(np.float64)
        exact /= np.linalg.norm(exact, axis=1, keepdims=True)
        cosines[name] = gradients.astype(np.float64) @ exact.T
    return pool, signals, cosines


def slow_turns(ids, cosines, budget, allowed=None):
    """Take turns over all pairs; copies, whose cosines differ in the last bits only, go by id."""
    queues = []
    for members in TASKS.values():
        table = np.concatenate([cosines[name] for name in members], axis=1).round(9)
        queues.append([column.tolist() for column in table.T])
    left, chosen = set(range(len(ids)) if allowed is None else allowed), []
    while len(chosen) < budget:
        columns = queues[len(chosen) % len(queues)]
        column = columns.pop(0)
        columns.append(column)
        chosen.append(min(left, key=lambda i: (-column[i], ids[i])))
        left.remove(chosen[-1])
    return chosen


def run(pool, signals, selector, budget, rows=None):
    rows = np.arange(len(pool)) if rows is None else rows
    ask = MethodRunner(targeted, pool, signals, 0, {"selector": selector, "tasks": TASKS})
    return ask(rows, budget)


def test_validation_samples_take_turns(problem):
    pool, signals, cosines = problem
    found = run(pool, signals, "round_robin", 400)
    assert found.rows.tolist() == slow_turns(pool["sample_id"].tolist(), cosines, 400)
    assert found.scores[0] == pytest.approx(cosines["counting"][:, 0].max(), abs=1e-5)


def test_a_part_of_the_pool(problem):
    pool, signals, cosines = problem
    rows = np.flatnonzero(np.arange(N_POOL) % 3 != 0)
    found = run(pool, signals, "round_robin", 200, rows)
    ids = pool["sample_id"].tolist()
    assert found.rows.tolist() == slow_turns(ids, cosines, 200, rows.tolist())


def test_bids_takes_what_gains_most(problem):
    pool, signals, cosines = problem
    found = run(pool, signals, "bids", 60)
    table = np.concatenate([cosines[name] for names in TASKS.values() for name in names], axis=1)
    z = (table - table.mean(axis=0)) / table.std(axis=0)
    for k, (row, score) in enumerate(zip(found.rows, found.scores, strict=True)):
        chosen = found.rows[:k]
        gains = (z - (z[chosen].mean(axis=0) if k else 0)).max(axis=1)
        gains[chosen] = -np.inf
        assert gains[row] == pytest.approx(gains.max(), abs=1e-5)
        assert score == pytest.approx(gains.max(), abs=1e-5)


def test_tasks_take_turns_by_their_means(problem):
    pool, _, cosines = problem
    means = {"counting": cosines["counting"].mean(axis=1), "mme": cosines["mme_a"].max(axis=1)}
    tables = {name: pd.DataFrame({"influence": column}) for name, column in means.items()}
    found = run(pool, {"influence": tables}, "round_robin_tasks", 2)
    assert found.rows[0] in np.flatnonzero(means["counting"] == means["counting"].max())
    assert found.rows[1] in np.flatnonzero(means["mme"] == means["mme"].max())


def test_a_part_of_one_sample_has_no_spread(problem):
    pool, signals, _ = problem
    assert run(pool, signals, "bids", 1, np.array([7])).rows.tolist() == [7]
    influence = np.arange(N_POOL, dtype=float)
    influence[[4, 5]] = 1.0
    tables = {task: pd.DataFrame({"influence": influence}) for task in TASKS}
    found = run(pool, {"influence": tables}, "round_robin_tasks", 1, np.array([4, 5]))
    assert found.rows[0] == min([4, 5], key=pool["sample_id"].get)
    with pytest.raises(InputError, match="no ranking"):
        same = {task: pd.DataFrame({"influence": np.ones(N_POOL)}) for task in TASKS}
        run(pool, {"influence": same}, "round_robin_tasks", 1)


def test_a_zero_validation_gradient_is_named(problem, tmp_path):
    pool, signals, _ = problem
    zeros = unit_rows(3, 9)
    zeros[1] = 0
    path = write_shards(tmp_path / "zero", zeros, **HEADER)[0]
    signals["validation"]["mme_b"] = ShardedArray([path])
    with pytest.raises(InputError, match="a validation gradient of mme_b is zero"):
        run(pool, signals, "round_robin", 10)


def test_gradients_of_two_projections_are_refused(problem, tmp_path):
    pool, signals, _ = problem
    header = HEADER | {"projection": json.dumps({"type": "sjlt", "dim": 16, "seed": 1})}
    other = write_shards(tmp_path / "other", unit_rows(3, 9), **header)
    signals["validation"]["mme_b"] = ShardedArray(other)
    with pytest.raises(InputError):
        run(pool, signals, "round_robin", 10)

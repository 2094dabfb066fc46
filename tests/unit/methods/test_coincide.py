"""COINCIDE's selection: budget, order, and independence of rows' order and shards."""

import numpy as np
import pandas as pd
import pytest
from array_files import write_shards
from config_defaults import with_defaults

from vlselect.core.store import ShardedArray
from vlselect.methods import coincide
from vlselect.methods.maths.allocation import allocate, log_probabilities
from vlselect.methods.maths.mmd import greedy

select = with_defaults(coincide.select)

SIZES = [30, 5, 12, 1, 22]


def make_signals(folder, order=None, shards=1):
    """Return pool and signals of 70 samples in five clusters; `order` permutes the rows."""
    rng = np.random.default_rng(0)
    cluster = rng.permutation(np.repeat(np.arange(5), SIZES))
    values = rng.normal(size=(70, 8))
    values = (values / np.linalg.norm(values, axis=1, keepdims=True)).astype(np.float16)
    order = np.arange(70) if order is None else order
    folder.mkdir(exist_ok=True)
    summary = {
        "cluster": range(5),
        "size": SIZES,
        "transferability": [0.5, 0.4, 0.3, 0.2, 0.1],
        "density": [0.9, 0.5, 0.6, 1.0, 0.3],
    }
    signals = {
        "activations": ShardedArray(write_shards(folder, values[order], shards)),
        "assignments": pd.DataFrame({"row": np.arange(70), "cluster": cluster[order]}),
        "summary": pd.DataFrame(summary),
    }
    pool = pd.DataFrame({"row": np.arange(70), "sample_id": [f"s{i:02d}" for i in order]})
    return pool, signals


def test_selection_is_allocation_then_greedy_mmd(tmp_path):
    pool, signals = make_signals(tmp_path)
    chosen = select(pool, signals, 33, seed=0, temperature=0.5)
    chosen.check(33, 70)
    summary, cluster = signals["summary"], signals["assignments"]["cluster"].to_numpy()
    logs = log_probabilities(summary["transferability"], summary["density"], 0.5)
    shares = allocate(logs, SIZES, 33)
    expected, scores = [], []
    for c in sorted(range(5), key=lambda c: -logs[c]):
        rows = np.flatnonzero(cluster == c)
        expected += rows[greedy(signals["activations"][rows], shares[c], 1.0)].tolist()
        scores += [np.exp(logs[c])] * shares[c]
    assert chosen.rows.tolist() == expected
    np.testing.assert_allclose(chosen.scores, scores)
    assert (np.diff(chosen.scores) <= 0).all()


@pytest.mark.parametrize("budget", [1, 35, 70])
def test_any_budget_is_met_and_rows_may_come_in_any_order(tmp_path, budget):
    pool, signals = make_signals(tmp_path / "a")
    chosen = select(pool, signals, budget, seed=0)
    chosen.check(budget, 70)
    order = np.random.default_rng(1).permutation(70)
    other_pool, other = make_signals(tmp_path / "b", order)
    permuted = select(other_pool, other, budget, seed=0)
    assert (
        pool["sample_id"][chosen.rows].tolist() == other_pool["sample_id"][permuted.rows].tolist()
    )


def test_shards_seed_and_order_of_the_summary_change_nothing(tmp_path):
    pool, signals = make_signals(tmp_path / "1")
    chosen = select(pool, signals, 20, seed=0)
    _, other = make_signals(tmp_path / "2", shards=2)
    other["summary"] = other["summary"][::-1]
    np.testing.assert_array_equal(select(pool, other, 20, seed=5).rows, chosen.rows)


def test_temperature_evens_out(tmp_path):
    pool, signals = make_signals(tmp_path)
    cluster = signals["assignments"]["cluster"].to_numpy()

    def spread(temperature):
        rows = select(pool, signals, 20, seed=0, temperature=temperature).rows
        return len(np.unique(cluster[rows]))

    assert spread(0.01) < spread(100)


def test_signals_that_do_not_fit_are_errors(tmp_path):
    pool, signals = make_signals(tmp_path)
    with pytest.raises(ValueError, match=r"\['summary'\]"):
        select(pool, {k: v for k, v in signals.items() if k != "summary"}, 5, 0)
    with pytest.raises(ValueError, match="70 assignments for 69"):
        select(pool[:69], signals, 5, 0)
    wrong = signals["summary"].assign(size=[29, 6, 12, 1, 22])
    with pytest.raises(ValueError, match="sizes"):
        select(pool, signals | {"summary": wrong}, 5, 0)
    with pytest.raises(ValueError, match="number its clusters"):
        select(pool, signals | {"summary": signals["summary"][1:]}, 5, 0)
    with pytest.raises(ValueError, match="budget of 71"):
        select(pool, signals, 71, 0)

"""Farthest-point sampling against a loop over all points, with ties and copies."""

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from vlselect.methods.maths import farthest
from vlselect.methods.maths.farthest import farthest_points


def slow_points(points, count):
    """Compare every point with every chosen one, each time."""
    points = points.astype(np.float64)
    chosen = [max(range(len(points)), key=lambda i: (points[i] @ points[i], -i))]
    while len(chosen) < count:
        left = [i for i in range(len(points)) if i not in chosen]
        far = [min(((points[i] - points[c]) ** 2).sum() for c in chosen) for i in left]
        chosen.append(left[int(np.argmax(far))])
    return chosen[:count]


@pytest.fixture(autouse=True)
def one_thread():
    with threadpool_limits(1):
        yield


@pytest.mark.parametrize("rows", [1, 3, 512])
@pytest.mark.parametrize("seed", range(6))
def test_it_agrees_with_a_loop_over_all_points(seed, rows, monkeypatch):
    monkeypatch.setattr(farthest, "ROWS", rows)
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 50))
    points = rng.integers(-3, 4, (n, 1 + seed)).astype(np.float32)  # exact, with ties and copies
    for count in {1, n // 3, n} - {0}:
        assert farthest_points(points, count).tolist() == slow_points(points, count)


def test_copies_come_last():
    points = np.random.default_rng(0).integers(-9, 10, (40, 6)).astype(np.float32)
    twice = np.concatenate([points, points])
    picks = farthest_points(twice, 80)
    assert sorted(picks[:40].tolist()) == list(range(40)) and len(set(picks.tolist())) == 80


def test_most_blocks_are_left_alone(monkeypatch):
    rng, calls = np.random.default_rng(1), []
    points = rng.normal(size=(4096, 8)).astype(np.float32)
    real = farthest._squared

    def counted(*arguments):
        calls.append(arguments)
        return real(*arguments)

    monkeypatch.setattr(farthest, "ROWS", 64)
    monkeypatch.setattr(farthest, "_squared", counted)
    assert len(set(farthest_points(points, 400).tolist())) == 400
    assert len(calls) < 64 * 400 / 4


def test_none_of_none():
    assert not len(farthest_points(np.empty((0, 3), np.float32), 0))
    assert not len(farthest_points(np.ones((2, 3), np.float32), 0))

"""Greedy covers against a look at all samples at every pick."""

import numpy as np
import pytest

from vlselect.methods.maths.coverage import COVERS, Cover, choose

STEP = 2.0**-32


def make_cover(n=80, n_concepts=60, seed=0, empty=5, worthless=3):
    """Samples with a few concepts, with none, some with worthless ones; gains repeat."""
    rng = np.random.default_rng(seed)
    own = [rng.choice(n_concepts, rng.integers(1, 7), replace=False) for _ in range(n)]
    for i in range(10):
        own[i] = own[i + 10]  # copies
    importance = rng.integers(0, 9, n_concepts) / 8
    importance[:worthless] = 0
    for i in range(empty):
        own[-1 - i] = np.arange(worthless)[: i % 3]
    return own, importance


def as_cover(own, importance):
    members = np.concatenate(own).astype(np.int32)
    return Cover(members, np.r_[0, np.cumsum([len(c) for c in own])], importance, STEP)


def slow_choice(own, importance, ranks, budget, kind):
    """Look at every sample at every pick; start over when nothing adds anything."""
    left, times, rows, gains = set(range(len(own))), np.zeros(len(importance), int), [], []
    while len(rows) < budget:

        def gain(row):
            c = times[own[row]]
            if kind == "rounds":
                return importance[own[row]][c == 0].sum()
            terms = importance[own[row]] * (np.sqrt(c + 1) - np.sqrt(c))
            return (np.round(terms * 2**32) / 2**32).sum()

        best = min(left, key=lambda row: (-gain(row), ranks[row]))
        if gain(best) == 0 and times.any():
            times[:] = 0
            continue
        rows.append(best)
        gains.append(gain(best))
        left.remove(best)
        times[own[best]] += 1 if gains[-1] else 0
    return rows, gains


@pytest.mark.parametrize("kind", COVERS)
@pytest.mark.parametrize("seed", range(6))
def test_lazy_evaluation_chooses_what_a_look_at_all_samples_would(kind, seed):
    own, importance = make_cover(seed=seed)
    ranks = np.random.default_rng(seed + 100).permutation(len(own))
    for budget in (1, 7, 40, len(own)):
        rows, gains = choose(as_cover(own, importance), ranks, budget, kind)
        expected, added = slow_choice(own, importance, ranks, budget, kind)
        assert rows.tolist() == expected and gains == added


def test_a_new_round_begins_when_all_is_covered():
    own = [np.array(c) for c in ([0, 1], [0], [1], [0, 1], [2])]
    cover = as_cover(own, np.array([1.0, 0.5, 0.25]))
    rows, gains = choose(cover, np.arange(5), 5, "rounds")
    assert rows.tolist() == [0, 4, 3, 1, 2] and gains == [1.5, 0.25, 1.5, 1.0, 0.5]


def test_concave_counts_how_often_a_concept_is_covered():
    own = [np.array(c) for c in ([0, 1], [0], [1], [0, 1], [2])]
    rows, gains = choose(as_cover(own, np.array([1.0, 0.5, 0.25])), np.arange(5), 5, "concave")
    assert rows.tolist() == [0, 3, 1, 4, 2]
    assert gains == pytest.approx(
        [1.5, 1.5 * (2**0.5 - 1), 3**0.5 - 2**0.5, 0.25, 0.5 * 0.317837], 1e-5
    )


def test_samples_without_a_concept_of_worth_come_last_by_rank():
    own = [np.array(c, int) for c in ([], [1], [0], [])]
    rows, gains = choose(as_cover(own, np.array([1.0, 0.0])), np.array([2, 3, 0, 1]), 4, "rounds")
    assert rows.tolist() == [2, 3, 0, 1] and gains == [1.0, 0.0, 0.0, 0.0]


def test_few_samples_are_looked_at_again(monkeypatch):
    own, importance = make_cover(n=2000, n_concepts=3000, empty=0)
    cover, looks = as_cover(own, importance), []
    of = Cover.of
    monkeypatch.setattr(Cover, "of", lambda self, row: looks.append(row) or of(self, row))
    choose(cover, np.arange(2000), 200, "rounds")
    assert len(looks) < 200 * 2000 / 50


def test_an_unknown_cover_is_an_error():
    own, importance = make_cover()
    with pytest.raises(ValueError, match="cover 'all' is not one of"):
        choose(as_cover(own, importance), np.arange(len(own)), 5, "all")

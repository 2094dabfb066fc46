"""The gate: groups and gated samples against slow loops, for any order, shards and blocks."""

import json
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from array_files import write_shards

from vlselect.core.errors import InputError
from vlselect.core.store import ShardedArray
from vlselect.gradients import gate, influence

pytestmark = pytest.mark.numeric

HEADER = {"projection": json.dumps({"type": "sjlt", "dim": 16}), "model": "m", "revision": ""}
TASKS = {"counting": ["counting"], "mme": ["mme_b", "mme_a"], "rare": ["rare"]}
SIZES = {"counting": 9, "mme_a": 3, "mme_b": 4, "rare": 2}  # of validation sets; five are compared
N_POOL, WIDTH = 700, 16


def unit_rows(n_rows, seed):
    values = np.random.default_rng(seed).normal(size=(n_rows, WIDTH))
    return (values / np.linalg.norm(values, axis=1, keepdims=True)).astype(np.float16)


def exact_rows(n_rows, seed):
    """Make unit rows of four halves each, of either sign."""
    generator = np.random.default_rng(seed)
    values = np.zeros((n_rows, WIDTH), np.float16)
    for row in values:
        row[generator.choice(WIDTH, 4, replace=False)] = generator.choice([-0.5, 0.5], 4)
    return values


def write(folder, values, shards=1, refused=(), **header):
    return ShardedArray(write_shards(folder, values, shards, refused, **(HEADER | header)))


@pytest.fixture
def sets(tmp_path):
    """Validation gradients of each set, of any norm."""
    rows = {name: unit_rows(size, size) for name, size in SIZES.items()}
    return {
        name: write(tmp_path / name, (3 if name == "mme_a" else 1) * rows[name]) for name in rows
    }


def slow_groups(pool, sets):
    """Compare each sample with each validation sample of each task."""
    found = []
    for row in pool.astype(np.float64):
        means = []
        for members in TASKS.values():
            cosines = []
            for name in members:
                for target in sets[name][:].astype(np.float64):
                    cosines.append(float(row @ target / np.linalg.norm(target)))
            best = sorted(cosines, reverse=True)[:5]
            means.append(sum(best) / len(best))
        found.append(max(range(len(means)), key=means.__getitem__))
    return found


def slow_gate(losses, groups, share, ids):
    """Sort each group by loss, then id, and take its beginning."""
    found = [False] * len(losses)
    for group in set(groups):
        rows = [i for i in range(len(losses)) if groups[i] == group]
        rows.sort(key=lambda i: (-losses[i], ids[i]))
        exact = Fraction(str(share)) * len(rows)
        count = int(exact) + (exact - int(exact) >= Fraction(1, 2))
        for row in rows[:count]:
            found[row] = True
    return found


def test_a_sample_belongs_to_the_task_of_its_most_similar_validation_samples(tmp_path, sets):
    pool = unit_rows(N_POOL, 0)
    found = gate.nearest_tasks(write(tmp_path / "pool", pool, 3), sets, TASKS)
    assert found.tolist() == slow_groups(pool, sets)
    assert np.bincount(found).min() > 20


def test_order_shards_and_blocks_change_no_group(tmp_path, sets, monkeypatch):
    pool = unit_rows(N_POOL, 1)
    whole = gate.nearest_tasks(write(tmp_path / "whole", pool), sets, TASKS)
    shards = gate.nearest_tasks(write(tmp_path / "shards", pool, 4), sets, TASKS)
    order = np.random.default_rng(0).permutation(N_POOL)
    moved = gate.nearest_tasks(write(tmp_path / "moved", pool[order], 2), sets, TASKS)
    monkeypatch.setattr(influence, "ROWS", 50)
    blocks = gate.nearest_tasks(write(tmp_path / "blocks", pool), sets, TASKS)
    assert whole.tolist() == shards.tolist() == blocks.tolist() and len(set(whole)) == 3
    assert moved.tolist() == whole[order].tolist()


def slow_within(sets):
    """Compare every validation sample with all others, those of its own task without itself."""
    own = {
        task: np.concatenate([sets[name][:] for name in members]).astype(np.float64)
        for task, members in TASKS.items()
    }
    least, faithful = [], []
    for task, rows in own.items():
        similar, nearest = [], []
        for i, row in enumerate(rows):
            means = {}
            for other, against in own.items():
                left = [one for j, one in enumerate(against) if other != task or j != i]
                cosines = [row @ one / np.linalg.norm(row) / np.linalg.norm(one) for one in left]
                means[other] = np.mean(sorted(cosines)[-5:])
            similar.append(means[task])
            nearest.append(max(means, key=means.get))
        least.append(np.quantile(similar, 0.05))
        faithful.append(nearest.count(task) / len(rows))
    return least, faithful


def test_validation_samples_are_compared_with_the_others(sets):
    least, faithful = gate.within_tasks(sets, TASKS)
    slow_least, slow_faithful = slow_within(sets)
    np.testing.assert_allclose(least, slow_least, rtol=1e-6)
    assert faithful.tolist() == slow_faithful and 0 < min(faithful) < max(faithful)


def test_a_single_validation_sample_has_none_to_be_compared_with(sets, tmp_path):
    sets["rare"] = write(tmp_path / "one", sets["rare"][:1])
    least, faithful = gate.within_tasks(sets, TASKS)
    place = list(TASKS).index("rare")
    assert (least[place], faithful[place]) == (-1, 1) and least.max() > -1


def test_barred_tasks_do_not_come_into_question(tmp_path, sets):
    pool = unit_rows(N_POOL, 3)
    found, similar = gate.nearest(write(tmp_path / "pool", pool, 3), sets, TASKS)
    barred = np.zeros((N_POOL, 3), bool)
    barred[np.arange(N_POOL), found] = True
    second, less = gate.nearest(write(tmp_path / "again", pool, 2), sets, TASKS, barred)
    assert (second != found).all() and (less <= similar).all()
    barred[:] = True
    assert (gate.nearest(write(tmp_path / "none", pool), sets, TASKS, barred)[1] == -np.inf).all()


def test_equal_validation_samples_are_compared_once(sets, tmp_path):
    least, _ = gate.within_tasks(sets, TASKS)
    copies = np.repeat(sets["counting"][:], 7, axis=0)
    again, _ = gate.within_tasks(sets | {"counting": write(tmp_path / "copies", copies)}, TASKS)
    np.testing.assert_allclose(again, least, rtol=1e-6)


def test_refused_samples_move_no_others(tmp_path, sets):
    pool = unit_rows(N_POOL, 2)
    refused = [0, 63, 64, 699]
    kept = np.setdiff1d(np.arange(N_POOL), refused)
    whole = gate.nearest_tasks(write(tmp_path / "whole", pool, 2), sets, TASKS)
    others = gate.nearest_tasks(write(tmp_path / "others", pool, 2, refused), sets, TASKS)
    assert others[kept].tolist() == whole[kept].tolist()
    more = np.concatenate([sets["rare"][:], unit_rows(2, 9)])
    sets["rare"] = write(tmp_path / "more", more, 1, [2, 3])
    again = gate.nearest_tasks(write(tmp_path / "again", pool), sets, TASKS)
    assert again.tolist() == whole.tolist()


def test_of_equally_similar_tasks_the_first_has_the_sample(tmp_path, sets):
    """Their products are exact, so that they are equal in any order of summation."""
    pool = write(tmp_path / "pool", exact_rows(90, 3))
    sets["counting"] = write(tmp_path / "exact", exact_rows(9, 4))
    for names in (("b", "a", "c"), ("c", "b", "a")):
        tasks = {name: ["counting"] for name in names}
        assert gate.nearest_tasks(pool, sets, tasks).tolist() == [0] * 90
        last = {"rare": ["rare"]} | tasks
        assert set(gate.nearest_tasks(pool, sets, last).tolist()) == {0, 1}


def test_gradients_that_do_not_compare_are_refused(tmp_path, sets):
    other = write(tmp_path / "other", unit_rows(9, 1), model="another")
    with pytest.raises(InputError, match="gradients differ in 'model'"):
        gate.nearest_tasks(other, sets, TASKS)


@pytest.mark.parametrize("share", [0.01, 0.1, 0.25, 0.29, 0.5, 0.99])
def test_each_group_loses_its_highest_losses(share):
    rng = np.random.default_rng(4)
    sizes = [1, 2, 3, 10, 50, 134]  # 0.29 of 50 is 14.5, 0.25 of 10 is 2.5: both are rounded up
    groups = rng.permutation(np.repeat([f"g{i}" for i in range(len(sizes))], sizes)).astype(object)
    losses = rng.integers(0, 40, len(groups)).astype(np.float32) / 8  # many are equal
    ids = [f"s{i:03}" for i in rng.permutation(len(groups))]
    found = gate.gated(losses, groups, share, ids)
    assert found.tolist() == slow_gate(losses, groups, share, ids)
    order = rng.permutation(len(groups))
    moved = gate.gated(losses[order], groups[order], share, [ids[i] for i in order])
    assert moved.tolist() == found[order].tolist()


def test_the_share_is_the_decimal_that_was_written():
    losses, ids = np.arange(50, dtype=np.float32), [f"{i:02}" for i in range(50)]
    groups = np.zeros(50, dtype=int)
    for share in (0.29, "0.29"):
        assert gate.gated(losses, groups, share, ids).sum() == 15
    assert not gate.gated(losses[:2], groups[:2], 0.2, ids[:2]).any()  # 0.4 of a sample


@pytest.mark.parametrize("share", [0.05, 0.2, 0.25, 0.5, 0.9])
@pytest.mark.parametrize("n_groups", [1, 2, 3])
def test_no_division_into_groups_gates_fewer(share, n_groups):
    for n in range(1, 26):
        found = []
        for sizes in product(range(n + 1), repeat=n_groups):
            if sum(sizes) == n:
                exact = [Fraction(str(share)) * size + Fraction(1, 2) for size in sizes]
                found.append(sum(int(part) for part in exact))
        least = gate.fewest(n, share, n_groups)
        assert 0 <= least <= min(found)
        assert n_groups > 1 or least == min(found) == max(found)

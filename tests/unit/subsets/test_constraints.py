"""Constraints on subsets: every method keeps them, at the best score; errors show sums."""

import itertools
import json

import numpy as np
import pandas as pd
import pytest
from array_files import write_shards
from config_defaults import usual_parameters
from method_signals import METHODS, SOURCES, make_pool, make_signals, runner_of

from vlselect.core import registry
from vlselect.core.errors import InfeasibleError, InputError
from vlselect.core.ordering import draw
from vlselect.core.store import ShardedArray
from vlselect.pool.samples import read_ids
from vlselect.subsets.constraints import Constraints
from vlselect.subsets.near_duplicate_lookup import NearDuplicates


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    rng = np.random.default_rng(5)
    pool = make_pool(rng)
    return pool, make_signals(tmp_path_factory.mktemp("signals"), rng, pool)


def random_limits(rng, pool):
    """Return random constraints, as in a config, and near-duplicates as a matrix."""
    ids = rng.permutation(pool["sample_id"].to_numpy(object)).tolist()
    keep, exclude = ids[: rng.integers(0, 5)], ids[5 : 5 + rng.integers(0, 15)]
    bounds = {}
    for source in rng.permutation(SOURCES)[: rng.integers(0, 4)].tolist():
        kind = str(rng.choice(["minimum", "maximum", "quota"]))
        value = int(rng.integers(0, 6)) if rng.random() < 0.5 else round(0.4 * rng.random(), 2)
        bounds.setdefault(kind, {})[source] = value + (kind == "maximum" and value >= 1) * 4
    alike = np.zeros((len(pool), len(pool)), dtype=bool)
    if rng.random() < 0.7:
        for a, b in rng.integers(0, len(pool), (rng.integers(1, 40), 2)):
            alike[a, b] = alike[b, a] = a != b
    return keep, exclude, bounds, alike


def made(pool, keep, exclude, bounds, alike):
    near_duplicates = NearDuplicates(len(pool), np.argwhere(np.triu(alike)))
    return Constraints(
        pool, keep=keep, exclude=exclude, bounds=bounds, near_duplicates=near_duplicates
    )


def broken(pool, chosen, n, keep, exclude, bounds, alike):
    """List the constraints that a subset breaks, by a plain second implementation."""
    rows = chosen.rows.tolist()
    ids = set(pool["sample_id"][rows])
    counts = pool["source"][rows].value_counts().to_dict()
    yield from ["size"] * (len(rows) != n or len(ids) != n)
    yield from ["keep"] * (not set(keep) <= ids)
    yield from ["exclude"] * bool(set(exclude) & ids)
    yield from ["duplicates"] * bool(alike[np.ix_(rows, rows)].any())
    exact = 0
    for kind, values in bounds.items():
        for source, value in values.items():
            wanted, count = value * n if 0 < value < 1 else value, counts.get(source, 0)
            if kind == "minimum" and count < wanted - 1e-9:
                yield f"minimum of {source}"
            if kind == "maximum" and count > wanted + 1e-9:
                yield f"maximum of {source}"
            if kind == "quota" and abs(count - wanted) >= 1:
                yield f"quota of {source}"
            exact += (count - wanted) * (kind == "quota")
    if abs(exact) > 0.5 + 1e-9:
        yield "quotas together"


@pytest.mark.parametrize("method", METHODS)
def test_every_method_keeps_every_constraint(world, method):
    pool, signals = world
    rng, done = np.random.default_rng(11), 0
    ask = runner_of(method, pool, signals)
    for _ in range(40):
        limits, n = random_limits(rng, pool), int(rng.integers(1, 31))
        try:
            constraints = made(pool, *limits)
            chosen = constraints.choose(ask, n)
        except InfeasibleError:
            continue  # the next test checks that it is
        except ValueError as error:
            assert "are near-duplicates of each other" in str(error)
            continue
        assert not list(broken(pool, chosen, n, *limits)), (limits[:3], n)
        kept = [row for row, why in zip(chosen.rows, chosen.reasons, strict=True) if why == "keep"]
        assert set(pool["sample_id"][kept]) == set(limits[0])
        done += 1
    assert done >= 14


def test_what_is_called_infeasible_is(world):
    """Without near-duplicates only sources matter: every split of the budget is tried."""
    pool, signals = world
    rng, infeasible = np.random.default_rng(2), 0
    ask = runner_of("random", pool, signals)
    for _ in range(150):
        keep, exclude, bounds, alike = random_limits(rng, pool)
        n = int(rng.integers(1, 12))
        constraints = made(pool, keep, exclude, bounds, alike & False)
        try:
            constraints.choose(ask, n)
        except InfeasibleError:
            assert not feasible(pool, n, keep, exclude, bounds)
            infeasible += 1
        else:
            assert feasible(pool, n, keep, exclude, bounds)
    assert 15 < infeasible < 135


def feasible(pool, n, keep, exclude, bounds):
    """Return whether a split of n over the sources is allowed; quotas may round either way."""
    there = pool[~pool["sample_id"].isin(exclude)]["source"].value_counts()
    kept = pool[pool["sample_id"].isin(keep)]["source"].value_counts()
    ranges = [range(kept.get(s, 0), min(n, there.get(s, 0)) + 1) for s in SOURCES]
    for split in itertools.product(*ranges):
        rows = [s for s, count in zip(SOURCES, split, strict=True) for _ in range(count)]
        counts = dict(zip(SOURCES, split, strict=True))
        wrong = exact = 0
        for kind, values in bounds.items():
            for source, value in values.items():
                wanted = value * n if 0 < value < 1 else value
                gap = counts[source] - wanted
                wrong += kind == "minimum" and gap < -1e-9
                wrong += kind == "maximum" and gap > 1e-9
                wrong += kind == "quota" and abs(gap) >= 1
                exact += gap * (kind == "quota")
        if len(rows) == n and not wrong and abs(exact) <= 0.5 + 1e-9 and rounds(split, bounds, n):
            return True
    return False


def rounds(split, bounds, n):
    """Check that quotas round by largest remainder, halves of the sum up, ties by name."""
    quotas = {s: v * n if 0 < v < 1 else v for s, v in bounds.get("quota", {}).items()}
    left = int(sum(quotas.values()) + 0.5 + 1e-9) - sum(int(v + 1e-9) for v in quotas.values())
    order = sorted(quotas, key=lambda s: (-round(quotas[s] % 1, 9), s))
    counts = {s: int(quotas[s] + 1e-9) + (place < left) for place, s in enumerate(order)}
    return all(dict(zip(SOURCES, split, strict=True))[s] == count for s, count in counts.items())


@pytest.mark.parametrize("method", ["el2n", "self_sup", "semdedup"])
def test_a_ranking_is_walked_as_one_would_by_hand(world, method):
    pool, signals = world
    rng, done = np.random.default_rng(3), 0
    scores = signals[method]["scores"]["score"]
    ids, source = pool["sample_id"].tolist(), pool["source"].tolist()
    best = sorted(range(len(pool)), key=lambda row: (-scores[row], ids[row]))
    ask = runner_of(method, pool, signals)
    for _ in range(40):
        keep, exclude, bounds, alike = random_limits(rng, pool)
        bounds.pop("quota", None), bounds.pop("minimum", None)
        n = int(rng.integers(1, 31))
        try:
            constraints = made(pool, keep, exclude, bounds, alike)
            chosen = constraints.choose(ask, n)
        except ValueError:
            continue
        _, most = constraints.limits(n)
        rows = [ids.index(name) for name in sorted(keep)]
        for row in best:
            place = constraints.names.index(source[row])
            full = sum(source[r] == source[row] for r in rows) >= most[place]
            out = ids[row] in exclude or row in rows or alike[row, rows].any()
            if len(rows) < n and not full and not out:
                rows.append(row)
        assert chosen.rows.tolist() == rows
        done += 1
    assert done >= 12


def test_bounds_cost_as_little_score_as_can_be(tmp_path):
    """Every subset of a tiny pool within the bounds is tried."""
    rng = np.random.default_rng(9)
    for trial in range(12):
        pool = make_pool(rng, 10)
        pool["source"] = rng.choice(["a", "b", "c"], 10, p=[0.6, 0.3, 0.1])
        if set(pool["source"]) != {"a", "b", "c"}:
            continue
        signals = make_signals(tmp_path / str(trial), rng, pool)
        scores, n = signals["el2n"]["scores"]["score"].to_numpy(), 5
        bounds = {"minimum": {"c": 1}, "maximum": {"a": 0.4}}
        constraints = Constraints(pool, bounds=bounds)
        allowed = [
            scores[list(rows)].sum()
            for rows in itertools.combinations(range(10), n)
            for mix in ["".join(pool["source"].to_numpy()[list(rows)])]
            if mix.count("c") >= 1 and mix.count("a") <= 2
        ]
        ask = runner_of("el2n", pool, signals)
        if not allowed:
            with pytest.raises(InfeasibleError):
                constraints.choose(ask, n)
            continue
        assert scores[constraints.choose(ask, n).rows].sum() == max(allowed)


def test_random_stays_a_uniform_draw_among_the_eligible(world):
    pool, signals = world
    exclude = pool["sample_id"][:20].tolist()
    constraints = Constraints(pool, exclude=exclude)
    counts = np.zeros(len(pool))
    for seed in range(400):
        chosen = constraints.choose(runner_of("random", pool, signals, seed), 10).rows
        counts[chosen] += 1
        if seed < 20:
            ids = pool["sample_id"][20:].to_numpy(object)
            assert chosen.tolist() == (20 + draw(ids, 10, seed, None)).tolist()
    assert (counts[:20] == 0).all()
    spread = ((counts[20:] - 100) ** 2).sum() / (400 * 0.25 * 0.75)
    assert 15 < spread < 75  # about chi-squared with 39 degrees of freedom


@pytest.mark.parametrize("method", METHODS)
def test_without_constraints_it_is_the_method_alone(world, method):
    pool, signals = world
    module = registry.load("method", method)
    direct = module.select(
        pool, signals[method], 20, 0, **usual_parameters(module.select) | METHODS[method]
    )
    asked = runner_of(method, pool, signals)(np.arange(len(pool)), 20)
    np.testing.assert_array_equal(asked.rows, direct.rows)
    np.testing.assert_array_equal(asked.scores, direct.scores)
    loose = Constraints(pool, bounds={"maximum": dict.fromkeys(SOURCES[:3], 60)})
    np.testing.assert_array_equal(
        loose.choose(runner_of(method, pool, signals), 20).rows, direct.rows
    )


@pytest.mark.parametrize("method", METHODS)
def test_rows_may_come_in_any_order(tmp_path, method):
    order = np.random.default_rng(1).permutation(60)
    chosen = []
    for rows in (np.arange(60), order):
        rng = np.random.default_rng(8)
        pool = make_pool(rng)
        signals = make_signals(tmp_path / str(rows[0]), rng, pool)[method]
        limits = random_limits(np.random.default_rng(4), pool)
        place = np.argsort(rows)
        moved = {name: move(table, rows, place) for name, table in signals.items()}
        for name, array in signals.items():
            if isinstance(array, ShardedArray):
                header = {k: v for k, v in array.metadata[0].items() if k != "rows"}
                folder = tmp_path / f"m{rows[0]}" / name
                folder.mkdir(parents=True)
                moved[name] = ShardedArray(write_shards(folder, array[rows], 2, **header))
        alike = limits[3][np.ix_(rows, rows)]
        new = move(pool, rows, place)
        constraints = made(
            new, *limits[:2], {"minimum": {"text": 1}, "maximum": {"charts": 9}}, alike
        )
        found = constraints.choose(runner_of(method, new, {method: moved}), 20)
        chosen.append([new["sample_id"][row] for row in found.rows])
    assert chosen[0] == chosen[1]


def move(table, rows, place):
    if not isinstance(table, pd.DataFrame) or "row" not in table:
        return table
    table = table.iloc[rows].reset_index(drop=True).assign(row=np.arange(len(rows)))
    for column in table.filter(regex="^neighbour_"):
        table[column] = place[table[column]]
    return table


@pytest.mark.parametrize(
    ("limits", "n", "message"),
    [
        (
            {"minimum": {"charts": 4, "chats": 3}},
            6,
            r"4 of charts \+ 3 of chats = 7 samples are req",
        ),
        (
            {"maximum": {"charts": 2, "chats": 1, "photos": 0, "text": 0}},
            6,
            "= 3 samples are allowed",
        ),
        ({"minimum": {"charts": 1000}}, 1001, "'charts': 1000 samples wanted, .* eligible"),
        (
            {"minimum": {"charts": 3}, "maximum": {"charts": 0.2}},
            10,
            "at least 3 .*at most 2 of 10",
        ),
    ],
)
def test_infeasible_bounds_do_the_sum(world, limits, n, message):
    pool, signals = world
    with pytest.raises(InfeasibleError, match=message):
        Constraints(pool, bounds=limits).choose(runner_of("random", pool, signals), n)


def test_contradictions_are_named(world):
    pool, signals = world
    ask, (a, b) = runner_of("random", pool, signals), pool["sample_id"][:2]
    with pytest.raises(ValueError, match=f"'{a}' is both kept and excluded"):
        Constraints(pool, keep=[a], exclude=[b, a])
    with pytest.raises(ValueError, match=r"keep: 2 ids are not in the pool: 'x', 'y'"):
        Constraints(pool, keep=["x", a, "y"])
    with pytest.raises(
        ValueError, match=r"maximum: no source 'moon' in the pool; there are charts"
    ):
        Constraints(pool, bounds={"maximum": {"moon": 1}})
    with pytest.raises(ValueError, match="quota.text: also"):
        Constraints(pool, bounds={"quota": {"text": 1}, "minimum": {"text": 1}})
    with pytest.raises(InfeasibleError, match="= 2 samples are required, the budget is 1"):
        Constraints(pool, keep=[a, b]).choose(ask, 1)
    with pytest.raises(ValueError, match="near-duplicates of each other"):
        Constraints(pool, keep=[a, b], near_duplicates=NearDuplicates(60, np.array([[1, 0]])))
    all_alike = NearDuplicates(60, groups=["x"] * 60)
    with pytest.raises(InfeasibleError, match="has only 1 of 2 samples: all others are near-dup"):
        Constraints(pool, near_duplicates=all_alike).choose(ask, 2)
    images = int((pool["n_images"] > 0).sum())
    drop = runner_of("clip_score", pool, signals, text_only="drop")
    with pytest.raises(
        InfeasibleError, match=f"'clip_score', asked for .*drop leaves {images - 1}"
    ):
        row = int(np.flatnonzero(pool["n_images"])[0])
        Constraints(pool, exclude=[pool["sample_id"][row]]).choose(drop, images)


def test_the_smallest_subset_has_room_for_what_is_required(world):
    pool, _ = world
    kept = pool["sample_id"][pool["source"] == "charts"][:6].tolist()
    constraints = Constraints(pool, keep=kept, bounds={"minimum": {"chats": 0.5, "text": 1}})
    n = constraints.smallest()
    constraints.limits(n)
    with pytest.raises(InfeasibleError):
        constraints.limits(n - 1)
    assert n == 14  # 6 kept, 1 of text, half of them chats
    assert Constraints(pool).smallest() == 1


def test_ids_are_read_from_lines_and_from_json(tmp_path):
    (tmp_path / "ids.txt").write_text("a b\n\n  c\r\n7\n", encoding="utf-8")
    assert read_ids(tmp_path / "ids.txt") == ["a b", "c", "7"]
    (tmp_path / "ids.json").write_text(json.dumps(["a\n", 7]), encoding="utf-8")
    assert read_ids(tmp_path / "ids.json") == ["a\n", "7"]
    for wrong in ({"a": 1}, [True], [["a"]]):
        (tmp_path / "ids.json").write_text(json.dumps(wrong), encoding="utf-8")
        with pytest.raises(ValueError, match="not a JSON list"):
            read_ids(tmp_path / "ids.json")


def test_ids_as_programs_write_them(tmp_path):
    (tmp_path / "ids.txt").write_bytes(b"\xef\xbb\xbfa\r\nb\r\n")
    assert read_ids(tmp_path / "ids.txt") == ["a", "b"]
    (tmp_path / "refused.csv").write_text('sample_id,reason\n"a, b",too_long\n7,x\n')
    assert read_ids(tmp_path / "refused.csv") == ["a, b", "7"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("ids.txt", "é".encode("latin-1"), "ids.txt is not UTF-8 text: .* at byte 0"),
        ("ids.json", b'["a",', "ids.json is not JSON: "),
        ("ids.csv", b"id\na\n", "ids.csv has no column sample_id"),
    ],
)
def test_files_that_hold_no_ids_are_named(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_ids(tmp_path / name)


def test_near_duplicates_join_pairs_and_groups():
    near_duplicates = NearDuplicates(5, np.array([[3, 1], [1, 4]]), ["a", "b", "a", "c", "d"])
    found = [sorted(set(near_duplicates.of(row)) - {row}) for row in range(5)]
    assert found == [[2], [3, 4], [0], [1], [1]]
    with pytest.raises(ValueError, match="outside the pool of 5"):
        NearDuplicates(5, np.array([[0, 5]]))
    with pytest.raises(ValueError, match="4 groups"):
        NearDuplicates(5, groups="abcd")

"""MCL: concepts of real conversations to rows, in any order of the pool."""

import numpy as np
import pandas as pd
import pytest
from config_defaults import with_defaults
from feature_files import make_pool, shuffled

from vlselect.methods import mcl
from vlselect.methods.maths import concepts
from vlselect.pool.records import Record, Turn

select = with_defaults(mcl.select)
N = 90
THINGS = ("dog", "cat", "ball", "house", "tree", "boat", "cloud", "river")


def make_records(n=N):
    """Conversations on a few things, the last of which are rare; every fifth is a copy."""
    rng = np.random.default_rng(0)
    weights = np.geomspace(1, 0.05, len(THINGS))
    texts = []
    for i in range(n):
        things = rng.choice(THINGS, 2, p=weights / weights.sum())
        texts.append((f"where is the {things[0]}", f"near the {things[1]}"))
        if i % 5 == 4:
            texts[i] = texts[i - 4]
    return [
        Record(str(i), "s", (), (Turn("user", q), Turn("assistant", a)))
        for i, (q, a) in enumerate(texts)
    ]


def signals_of(records, pairs=False):
    own, vocabulary = concepts.of_samples(
        records, concepts.read_plainly, pairs=pairs, min_samples=2
    )
    return {"concepts": own, "vocabulary": vocabulary}


def slow_choice(pool, signals, budget):
    """Choose by sets of concepts, looking at every sample at every pick."""
    worth = signals["vocabulary"]["importance"].to_numpy()
    own = [set(ids.tolist()) for ids in signals["concepts"]["concepts"]]
    covered, left, rows = set(), set(range(len(pool))), []
    while len(rows) < budget:
        gains = {row: sum(worth[c] for c in own[row] - covered) for row in left}
        best = min(left, key=lambda row: (-gains[row], pool["sample_id"][row]))
        if gains[best] == 0 and covered:
            covered = set()
            continue
        rows.append(best)
        left.remove(best)
        covered |= own[best] if gains[best] else set()
    return rows


@pytest.mark.parametrize("pairs", [False, True])
@pytest.mark.parametrize("budget", [5, 30, N])
def test_it_is_the_greedy_cover_in_rounds(pairs, budget):
    pool, signals = make_pool(N), signals_of(make_records(), pairs)
    chosen = select(pool, signals, budget, 0)
    chosen.check(budget, N)
    assert chosen.rows.tolist() == slow_choice(pool, signals, budget)


@pytest.mark.parametrize("cover", ["rounds", "concave"])
def test_the_order_of_the_pool_does_not_matter(cover):
    pool, records = make_pool(N), make_records()
    order = np.random.default_rng(3).permutation(N)
    chosen = []
    for own, rows in ((pool, records), (shuffled(pool, order), [records[i] for i in order])):
        found = select(own, signals_of(rows), 30, 0, cover=cover)
        ids = own["sample_id"].to_numpy(object)[found.rows].tolist()
        chosen.append((ids, found.scores.tolist()))
    assert chosen[0] == chosen[1]


def test_a_cover_flattens_what_is_common_and_leaves_copies_for_later():
    pool, records = make_pool(N), make_records()
    rows = select(pool, signals_of(records), 18, 0).rows
    texts = [tuple(turn.text for turn in records[row].turns) for row in rows]
    assert len(set(texts)) > len({tuple(t.text for t in r.turns) for r in records[:18]})
    rare = [any(THINGS[-1] in text for text in own) for own in texts]
    everywhere = [any(THINGS[-1] in turn.text for turn in r.turns) for r in records]
    assert np.mean(rare) > 2 * np.mean(everywhere)


def test_missing_signals_are_errors():
    pool, signals = make_pool(N), signals_of(make_records())
    with pytest.raises(ValueError, match="mcl needs the signal 'concepts'"):
        select(pool, {"vocabulary": signals["vocabulary"]}, 5, 0)
    with pytest.raises(ValueError, match="mcl needs the signal 'vocabulary'"):
        select(pool, {"concepts": signals["concepts"]}, 5, 0)
    empty = {"concepts": signals["concepts"].assign(concepts=[np.empty(0, int)] * N)}
    found = select(pool, empty | {"vocabulary": signals["vocabulary"][:0]}, 5, 0)
    assert pool["sample_id"][found.rows].tolist() == sorted(pool["sample_id"])[:5]
    assert isinstance(signals["vocabulary"], pd.DataFrame)

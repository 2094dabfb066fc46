"""Copies of held-out records: against a slow search of all pairs, in any order."""

import numpy as np
import pytest

from vlselect.core.errors import InputError
from vlselect.pool.contamination import HeldOut, Overlap, asked, screen
from vlselect.pool.intake import Outcome
from vlselect.pool.records import Record, Turn
from vlselect.tables import declarations
from vlselect.tables.contamination import COLUMNS, contamination, require_none, sentences

SETS = [("a", "validation"), ("a", "test"), ("b", "test"), ("c", "validation")]


def record(name, images, *texts, system=None):
    """Make a record of alternating turns, user first."""
    turns = [Turn(("user", "assistant")[i % 2], text) for i, text in enumerate(texts)]
    return Record(name, "s", tuple(images), (*([Turn("system", system)] if system else []), *turns))


def random_record(rng, name, folder):
    """Make a record with few words and images, so that copies are frequent."""
    images = [f"{folder}/{rng.integers(3)}" for _ in range(rng.choice(3, p=[0.3, 0.5, 0.2]))]
    texts = []
    for turn in range(rng.integers(1, 3)):
        mark = "<image>\n" * len(images) if turn == 0 else ""
        texts += [f"{mark}what  {rng.integers(4)}?", f"{rng.integers(2)}"]
    return record(name, images, *texts[: len(texts) - rng.integers(2)])


def content(reference):
    """Return what an image is: the folder that it lies in does not matter."""
    return reference.rpartition("/")[2]


def find(sets, pool, digest=content):
    """Return the table's rows, and the overlaps."""
    held_out, copies = HeldOut(), Overlap("pool")
    for which, records in sets.items():
        held_out.add(which, records, digest)
    for one in pool:
        copies.add(one.sample_id, held_out.copied(one, digest))
    overlaps = [copies, *held_out.overlaps()]
    return contamination(held_out.sizes, overlaps), overlaps


def words(text):
    return text.replace("<image>", " ").split()


def alike(one, other):
    """Compare two records as the docs say: (a question of the same images, all turns as well)."""
    if [*map(content, one.images)] != [*map(content, other.images)]:
        return False, False
    questions = [[words(t.text) for t in r.turns if t.role == "user"] for r in (one, other)]
    if not one.images:
        questions = [q[:1] for q in questions]
    turns = [[(t.role, words(t.text)) for t in r.turns] for r in (one, other)]
    return any(q in questions[1] for q in questions[0]), turns[0] == turns[1]


def slow(sets, pool):
    """Compare all pairs of records."""
    places = {"pool": pool} | {f"{t}/{s}": r for (t, s), r in sets.items() if s == "validation"}
    rows = []
    for place, there in places.items():
        for (task, split), records in sets.items():
            if place != "pool" and split != "test":
                continue
            pairs = [[alike(one, other) for other in there] for one in records]
            counts = {
                "same_question": sum(any(q for q, _ in row) for row in pairs),
                "same_conversation": sum(any(c for _, c in row) for row in pairs),
                "copies": sum(any(q for q, _ in column) for column in zip(*pairs, strict=True)),
            }
            if place in ("pool", f"{task}/validation") or counts["copies"]:
                rows.append({"task": task, "split": split, "n": len(records), "place": place})
                rows[-1] |= counts
    return rows


@pytest.mark.parametrize("seed", range(6))
def test_all_pairs_and_any_order_give_the_same(seed):
    rng = np.random.default_rng(seed)
    sets = {
        which: [random_record(rng, f"{which}-{i}", "task") for i in range(int(rng.integers(3, 9)))]
        for which in SETS
    }
    pool = [random_record(rng, f"pool-{i}", "pool") for i in range(100)]
    rows, _ = find(sets, pool)
    assert rows == slow(sets, pool)
    assert sum(row["copies"] for row in rows) > 5
    assert 0 < sum(row["same_conversation"] for row in rows) < sum(r["same_question"] for r in rows)
    shuffled = {
        which: [sets[which][i] for i in rng.permutation(len(sets[which]))] for which in SETS
    }
    assert find(shuffled, [pool[i] for i in rng.permutation(len(pool))])[0] == rows


@pytest.mark.parametrize(
    ("one", "found"),
    [
        (record("x", ["p/1"], "<image>\nWhat is it?", "A cat"), (1, 1)),
        (record("x", ["p/1"], "What is \n it? <image>", " A  cat "), (1, 1)),
        (record("x", ["p/1"], "<image>\nWhat is it?", "A dog"), (1, 0)),
        (record("x", ["p/1"], "<image>\nWhere?", "Here", "What is it?", "A cat"), (1, 0)),
        (record("x", ["p/1"], "<image>\nWhat is it?", "A cat", system="Be brief."), (1, 0)),
        (record("x", ["p/2"], "<image>\nWhat is it?", "A cat"), (0, 0)),
        (record("x", ["p/1", "p/1"], "<image><image>\nWhat is it?", "A cat"), (0, 0)),
        (record("x", [], "What is it?", "A cat"), (0, 0)),
        (record("x", ["p/1"], "<image>\nWhat is this?", "A cat"), (0, 0)),
        (record("x", [], "Two and two?", "4"), (1, 1)),
        (record("x", [], "Hello.", "Hello!", "Two and two?", "4"), (0, 0)),
    ],
)
def test_what_a_copy_is(one, found):
    test = [
        record("t", ["task/1"], "<image>\nWhat is it?", "A cat"),
        record("u", [], "Two and two?", "4"),
    ]
    (row,), _ = find({("a", "test"): test}, [one])
    assert (row["same_question"], row["same_conversation"]) == found
    assert row["copies"] == found[0] and row["n"] == 2


def test_images_are_read_only_where_the_question_is_known():
    read = []

    def digest(reference):
        read.append(reference)
        return content(reference)

    test = [record(i, [f"task/{i}"], f"<image>\nquestion {i}?") for i in range(3)]
    pool = [record(i, [f"pool/{i}"], f"<image>\nquestion {i}?", "yes") for i in range(2, 50)]
    (row,), _ = find({("a", "test"): test}, pool, digest)
    assert row["copies"] == 1 and read == ["task/0", "task/1", "task/2", "pool/2"]


def test_screening_keeps_the_others_and_says_what_was_copied():
    held_out, copies = HeldOut(), Overlap("pool")
    held_out.add(("a", "test"), [record("t", ["task/1"], "<image>\nWhat?", "A cat")], content)
    pool = [
        record("0", ["p/1"], "<image>\nWhat?", "A dog"),
        record("1", ["p/2"], "<image>\nWhat?", "A cat"),
        record("2", ["p/1"], "<image>\nWhat?", "A cat"),
    ]
    outcomes = [Outcome(i, "{}", one.sample_id, one, None) for i, one in enumerate(pool)]
    found = list(screen(outcomes, held_out, content, copies))
    assert [outcome.record for outcome in found] == [None, pool[1], None]
    assert [outcome.position for outcome in found] == [0, 1, 2]
    reasons = [outcome.rejection for outcome in found if outcome.rejection]
    assert {reason.reason for reason in reasons} == {"contaminated"}
    assert "question" in reasons[0].detail and "conversation" in reasons[1].detail
    assert all("row 0 of tasks/a/test.parquet" in reason.detail for reason in reasons)
    assert copies.names == ["0", "2"] and copies.n == 2


def test_an_error_counts_all_copies_and_names_the_first():
    test = [record("t", ["task/1"], "<image>\nWhat?", "A cat")]
    pool = [record(f"pool-{i}", ["p/1"], "<image>\nWhat?", "A cat") for i in range(30)]
    rows, overlaps = find({("a", "validation"): test, ("a", "test"): test}, pool)
    assert sentences(rows) == [
        "1 of 1 records of a/validation are in the pool",
        "1 of 1 records of a/test are in the pool",
        "1 of 1 records of a/test are in a/validation",
    ]
    with pytest.raises(InputError, match="a/test are in the pool") as error:
        require_none(rows, overlaps)
    assert "'pool-19' and 10 more, all in the log" in str(error.value)
    assert "a/validation: 't'" in str(error.value) and "'pool-20'" not in str(error.value)
    require_none(*find({("a", "test"): test}, []))


def test_the_table_is_the_declared_one():
    assert tuple(declarations.TABLES["contamination"]) == COLUMNS
    rows, _ = find({("a", "test"): [record("t", [], "What?")]}, [])
    assert tuple(rows[0]) == COLUMNS


def test_questions_about_images_all_count():
    texts = ("<image>\nA?", "b", "C?", "d")
    assert asked(record("x", ["i"], *texts)) == ["A?", "C?"]
    assert asked(record("x", [], *texts)) == ["A?"]

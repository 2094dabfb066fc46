"""Intake: order, ids and images, for any chunks and threads."""

import json
import tracemalloc
from functools import partial

import pytest
from PIL import Image

from vlselect.pool import images, intake
from vlselect.pool.intake import Tally, examine
from vlselect.pool.records import parse_record


@pytest.fixture
def root(tmp_path):
    Image.new("RGB", (4, 4)).save(tmp_path / "good.png")
    Image.new("RGB", (40, 40)).save(tmp_path / "large.png")
    return tmp_path


def record(sample_id, *names, source="s"):
    turns = [
        {"from": "human", "value": "<image>" * len(names) + "What?"},
        {"from": "gpt", "value": "That."},
    ]
    value = {"id": sample_id, "task": source, "image": list(names), "conversations": turns}
    return json.dumps(value)


def judge(records, root, **keys):
    parse, keys = partial(parse_record, source_key="task"), {"repeated_ids": "reject"} | keys
    return list(examine(enumerate(records), parse, root, max_pixels=100, **keys))


def mixed(n=60):
    """Records of every kind, in turn."""
    kinds = [
        lambda i: record(i, "good.png"),
        lambda i: record(i, "good.png", "none.png"),
        lambda i: record(i // 2),
        lambda i: record(i, "large.png"),
        lambda i: '{"id": 3',
        lambda i: record(i, "good.png", "good.png", source="t"),
    ]
    return [kinds[i % len(kinds)](i) for i in range(n)]


def test_reasons_and_names(root):
    outcomes = judge(mixed(6), root)
    found = [o.rejection and o.rejection.reason for o in outcomes]
    assert found == [None, "missing_image", None, "oversized_image", "invalid_json", None]
    assert [o.sample_id for o in outcomes] == ["0", "1", "1", "3", "", "5"]
    assert [o.position for o in outcomes] == list(range(6))
    assert [o.raw for o in outcomes] == mixed(6)


def test_chunks_and_threads_change_nothing(root, monkeypatch):
    expected = [(o.position, o.sample_id, o.record, str(o.rejection)) for o in judge(mixed(), root)]
    for chunk, workers in [(1, 1), (7, 3), (1000, 4)]:
        monkeypatch.setattr(intake, "CHUNK", chunk)
        outcomes = judge(mixed(), root, workers=workers)
        found = [(o.position, o.sample_id, o.record, str(o.rejection)) for o in outcomes]
        assert found == expected


def test_an_id_belongs_to_the_first_accepted_record(root):
    records = [record("a", "none.png"), record("a"), record("a", "good.png"), record("b")]
    records += [record(1), record("1")]
    found = [o.rejection and o.rejection.reason for o in judge(records, root)]
    assert found == ["missing_image", None, "duplicate_id", None, None, "duplicate_id"]


def test_same_content_without_ids_is_a_duplicate(root):
    turns = [{"role": "user", "content": "What?"}, {"role": "assistant", "content": "That."}]
    outcomes = judge([json.dumps({"messages": turns})] * 2, root)
    assert outcomes[0].record and outcomes[1].rejection.reason == "duplicate_id"
    assert "has no 'id', and an earlier record has the same content" in outcomes[1].rejection.detail
    assert outcomes[1].sample_id == outcomes[0].sample_id


def test_an_image_is_decoded_once(root, monkeypatch):
    seen = []
    check = images.inspect
    monkeypatch.setattr(
        images, "inspect", lambda *args, **keys: seen.append(args[1]) or check(*args, **keys)
    )
    monkeypatch.setattr(intake, "CHUNK", 4)
    judge([record(i, "good.png", "none.png") for i in range(20)], root)
    assert sorted(seen) == ["good.png", "none.png"]


def test_tally(root):
    tally = Tally()
    for outcome in judge(mixed(12), root):
        tally.add(outcome)
    assert tally.summary() == {
        "read": 12,
        "accepted": 6,
        "rejected": 6,
        "rejected_by_reason": {"invalid_json": 2, "missing_image": 2, "oversized_image": 2},
        "accepted_by_source": {"s": 4, "t": 2},
        "n_text_only": 2,
        "n_multi_turn": 0,
        "n_images": 6,
    }
    assert "6 of 12" in tally.describe() and "missing_image: 2, first record 1" in tally.describe()


def test_tallies_add_up(root):
    outcomes = judge(mixed(13), root)
    whole, parts = Tally(), [Tally(), Tally()]
    for i, outcome in enumerate(outcomes):
        whole.add(outcome)
        parts[i > 5].add(outcome)
    assert Tally.total(parts) == whole and Tally.total([]) == Tally()


def test_images_are_forgotten_and_checked_again(root, monkeypatch):
    monkeypatch.setattr(intake, "CHUNK", 4)
    expected = [str(outcome) for outcome in judge(mixed(), root)]
    monkeypatch.setattr(intake, "REMEMBERED", 0)
    assert [str(outcome) for outcome in judge(mixed(), root)] == expected


def test_repeated_ids_get_the_next_free_number(root):
    names = ["a", "b", "a", "a", "a#2", "b#2", "b", "a"]
    outcomes = judge([record(name) for name in names], root, repeated_ids="rename")
    found = [o.sample_id for o in outcomes]
    assert found == ["a", "b", "a#2", "a#3", "a#2#2", "b#2", "b#3", "a#4"]
    assert [o.record.sample_id for o in outcomes] == found
    assert [json.loads(o.raw)["id"] for o in outcomes] == names
    many = judge([record("a")] * 5000, root, repeated_ids="rename")
    assert [o.sample_id for o in many][1:] == [f"a#{i}" for i in range(2, 5001)]
    with pytest.raises(ValueError, match="repeated_ids 'keep' is not one of"):
        judge([record("a")], root, repeated_ids="keep")


def test_a_rejected_record_takes_no_id(root):
    records = [record("a", "none.png"), record("a"), record("a")]
    for repeated, last in [("reject", "a"), ("rename", "a#2")]:
        outcomes = judge(records, root, repeated_ids=repeated)
        assert [o.sample_id for o in outcomes] == ["a", "a", last]
    assert [o.rejection is None for o in outcomes] == [False, True, True]


def test_memory_holds_digests_not_records(root, monkeypatch):
    monkeypatch.setattr(intake, "CHUNK", 64)

    def many(n):
        return (record(i, source="x" * 2000) for i in range(n))

    def peak(n):
        tracemalloc.start()
        parse = partial(parse_record, source_key="task")
        keys = {"max_pixels": 100, "repeated_ids": "reject"}
        for _ in examine(enumerate(many(n)), parse, root, **keys):
            pass
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(10)  # allocated once
    assert peak(2500) - peak(500) < 1e6  # 2,000 records of about 2,200 bytes are 4.4 MB

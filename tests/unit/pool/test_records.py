"""Records: both forms, and one case for each reason of rejection."""

import json

import pytest

from vlselect.pool.records import (
    Record,
    Rejection,
    Turn,
    content_digest,
    parse_object,
    parse_record,
    parse_task_record,
    sample_name,
)
from vlselect.pool.rejection import nan_as_null

Q, A = {"from": "human", "value": "<image>\nWhat?"}, {"from": "gpt", "value": "A cat."}
TEXT_Q = {"from": "human", "value": "Why?"}


def llava(**changes) -> dict:
    """Make a good LLaVA record, then change keys; a value of ... removes a key."""
    record = {"id": "a-1", "image": "coco/1.jpg", "conversations": [Q, A]} | changes
    return {key: value for key, value in record.items() if value is not ...}


def sharegpt(**changes) -> dict:
    user = {"role": "user", "content": "<image><image>Compare."}
    assistant = {"role": "assistant", "content": "Equal."}
    return {"messages": [user, assistant], "images": ["x/1.png", "y/2.png"]} | changes


def text_only(*turns) -> dict:
    return {"id": "t", "conversations": list(turns)}


def test_llava():
    system = {"from": "system", "value": "Be brief."}
    value = llava(conversations=[system, Q, A, {"from": "user", "value": "And?"}, A], task="vqa")
    turns = (
        *(Turn("system", "Be brief."), Turn("user", "<image>\nWhat?"), Turn("assistant", "A cat.")),
        *(Turn("user", "And?"), Turn("assistant", "A cat.")),
    )
    expected = Record("a-1", "coco", ("coco/1.jpg",), turns)
    assert parse_record(json.dumps(value)) == expected
    assert expected.n_exchanges == 2
    assert parse_record(json.dumps(value), source_key="task").source == "vqa"
    listed = json.dumps(llava(image=["coco/1.jpg"]))
    assert parse_record(listed) == parse_record(json.dumps(llava()))


def test_sharegpt_gets_an_id_from_its_content():
    record = parse_record(json.dumps(sharegpt()))
    assert record.images == ("x/1.png", "y/2.png") and record.source == "x"
    assert [turn.role for turn in record.turns] == ["user", "assistant"]
    assert record.sample_id == content_digest(record.images, record.turns)[:16]
    again = json.dumps(dict(reversed(sharegpt(extra=1).items())), indent=1)
    assert parse_record(again).sample_id == record.sample_id
    assert parse_record(json.dumps(sharegpt(id="own"))).sample_id == "own"
    other = parse_record(json.dumps(sharegpt(images=["y/2.png", "x/1.png"])))
    assert other.sample_id != record.sample_id


@pytest.mark.parametrize(
    ("given", "expected"),
    [("x", "x"), (7, "7"), (10**25, str(10**25)), (1.5, "1.5"), (True, "true")],
)
def test_an_id_may_be_any_scalar(given, expected):
    assert parse_record(json.dumps(llava(id=given))).sample_id == expected


@pytest.mark.parametrize("change", [{}, {"id": ...}, {"id": None}])
def test_an_id_from_the_content_where_there_is_none(change):
    other = parse_record(json.dumps(llava(sample_id=7, **change)), id_key="sample_id")
    assert other.sample_id == "7"
    found = parse_record(json.dumps(llava(**change)), id_key="sample_id").sample_id
    assert found == content_digest(other.images, other.turns)[:16]
    assert parse_record(json.dumps(llava(**change))).sample_id == (found if change else "a-1")
    assert sample_name(json.dumps(llava(sample_id=7)), "sample_id") == "7"


def test_paths_are_located_before_ids_and_sources_are_made_of_them():
    far = llava(id=..., image="/data/coco/1.jpg")
    record = parse_record(json.dumps(far), locate=lambda path: path.removeprefix("/data/"))
    assert record == parse_record(json.dumps(llava(id=...))) and record.source == "coco"


@pytest.mark.parametrize(
    ("key", "value", "detail"),
    [
        ("score", "NaN", "'score' is NaN; write null for what is missing"),
        ("id", "NaN", "'id' is NaN"),
        ("meta", '{"a": [1, -Infinity]}', "'meta.a.1' is -Infinity: not"),
        ("n", "1e999", "'n' is 1e999: not"),
        ("n", "-" + "9" * 5000, "'n' is of too many digits"),
        ("image", "Infinity", "'image' is Infinity: not"),
    ],
)
def test_a_bad_number_is_named(key, value, detail):
    raw = json.dumps(llava() | {key: "HERE"}).replace('"HERE"', value)
    with pytest.raises(Rejection, match=f"bad_number: {detail}"):
        parse_record(raw)


@pytest.mark.parametrize("value", ["NaN", "[NaN]", '{"bytes": NaN, "path": NaN}'])
def test_nan_in_place_of_an_image_is_none(value):
    raw = json.dumps(llava(image="HERE", messages="THERE", n=10**400, conversations=[TEXT_Q, A]))
    raw = raw.replace('"HERE"', value).replace('"THERE"', "NaN")
    assert parse_record(raw) == parse_record(json.dumps(text_only(TEXT_Q, A) | {"id": "a-1"}))
    with pytest.raises(Rejection, match="missing_image"):
        parse_record(json.dumps(llava(image="HERE")).replace('"HERE"', value))


def test_nan_becomes_null_where_it_is_a_value():
    raw = r'{"NaN": NaN, "a": "NaN \" NaN", "b":[NaN,"\\",NaN] , "c": 1.50}'
    expected = r'{"NaN": null, "a": "NaN \" NaN", "b":[null,"\\",null] , "c": 1.50}'
    assert nan_as_null(raw) == expected
    assert nan_as_null("[1e999, Infinity]") == "[1e999, Infinity]"


@pytest.mark.parametrize("image", [..., None, []])
def test_without_image_a_record_is_text_only(image):
    record = parse_record(json.dumps(llava(image=image, conversations=[TEXT_Q, A])))
    assert record.images == () and record.source == "text"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"image": "1.jpg"}, "images"),
        ({"image": "./a/b/1.jpg"}, "a"),
        ({"task": None}, "coco"),
        ({"task": " "}, "coco"),
        ({"task": 3}, "3"),
    ],
)
def test_source(changes, expected):
    assert parse_record(json.dumps(llava(**changes)), source_key="task").source == expected


def test_an_empty_system_prompt_is_left_out():
    value = text_only({"from": "system", "value": " "}, TEXT_Q, A)
    assert [turn.role for turn in parse_record(json.dumps(value)).turns] == ["user", "assistant"]


REJECTED = {
    "not_an_object": [[1, 2], "text", 3, None, True],
    "no_id": [llava(id=""), llava(id=" "), sharegpt(id="")],
    "missing_image": [llava(image=""), llava(image=None)],
    "empty_conversation": [
        *(llava(conversations=...), llava(conversations=[]), llava(conversations=None)),
        sharegpt(messages=[]),
    ],
    "one_sided_conversation": [
        *(llava(conversations=[Q]), text_only(A), text_only({"from": "system", "value": "x"})),
        text_only({"from": "system", "value": " "}),
    ],
    "wrong_turn_order": [
        *(text_only(A, TEXT_Q), text_only(TEXT_Q, TEXT_Q, A), text_only(TEXT_Q, A, A)),
        text_only(TEXT_Q, A, TEXT_Q),
        text_only(TEXT_Q, A, {"from": "system", "value": "x"}),
    ],
    "empty_turn": [
        llava(conversations=[Q, {"from": "gpt", "value": " \n"}]),
        text_only({"from": "human", "value": ""}, A),
    ],
    "unknown_role": [llava(conversations=[Q, {"from": "tool", "value": "x"}])],
    "bad_id": [
        *(llava(id="a\nb"), sharegpt(id="a\x00"), llava(id="a\x7f"), llava(id="\x9fa")),
        *(llava(id="a\ufffe"), llava(id="\uffff")),
    ],
    "bad_source": [
        *(llava(task="a\x1b[0m"), llava(task="a\nb"), llava(task="a\x85"), llava(task="\uffff")),
        *(llava(task="x" * 4097), llava(image="a\x1b/1.png"), llava(image="\ufffe/1.png")),
    ],
    "bad_type": [
        *(llava(id=["a"]), llava(id={}), llava(conversations="hello"), llava(conversations={})),
        *(llava(conversations=[Q, "x"]), llava(conversations=[Q, {"from": "gpt", "value": 7}])),
        *(llava(conversations=[Q, {"from": "gpt"}]), llava(conversations=[Q, {"value": "x"}])),
        *(llava(image=7), llava(image=["a", ""]), llava(image=["a", None])),
        *(llava(images=["b.jpg"]), llava(messages=[]), llava(task=["x"])),
        sharegpt(messages=[{"role": "user", "content": [{"type": "text"}]}]),
    ],
    "image_count_mismatch": [
        *(llava(image=...), llava(image=["a.jpg", "b.jpg"]), llava(conversations=[TEXT_Q, A])),
        llava(conversations=[TEXT_Q, {"from": "gpt", "value": "<image>"}]),
        llava(conversations=[{"from": "system", "value": "<image>"}, TEXT_Q, A]),
    ],
    "unsupported_media": [llava(video="a.mp4", image=..., conversations=[TEXT_Q, A])],
}


def test_a_forbidden_text_in_any_turn():
    system = {"from": "system", "value": "mind the <|pad|>"}
    for value in (llava(), llava(conversations=[system, Q, A])):
        record = json.dumps(value)
        assert parse_record(record, source_key="task", forbidden=["<|image_pad|>"])
    with pytest.raises(
        Rejection, match="forbidden_text: turn 1 holds '<|pad|>'".replace("|", r"\|")
    ):
        parse_record(record, forbidden=["<x>", "<|pad|>"])


CASES = [(reason, value) for reason, values in REJECTED.items() for value in values]


@pytest.mark.parametrize(("reason", "value"), CASES, ids=lambda v: v if isinstance(v, str) else "")
def test_rejections(reason, value):
    with pytest.raises(Rejection) as caught:
        parse_record(json.dumps(value), source_key="task")
    assert caught.value.reason == reason
    assert 5 < len(caught.value.detail) < 200


@pytest.mark.parametrize(
    ("reason", "raw"),
    [
        ("invalid_json", '{"id": '),
        ("invalid_json", "{'id': 1}"),
        ("invalid_json", '{"a": ' + "[" * 100_000),
        ("invalid_json", '{"note": ' + "[" * 65 + "]" * 65 + "}"),
        ("invalid_json", '{"image": ' + "[" * 950 + "]" * 950 + ', "texts": []}'),
        ("invalid_unicode", r'{"id": "a", "note": "\ud800"}'),
        ("invalid_unicode", r'{"\udc00": "a"}'),
        ("invalid_unicode", '{"id": "\udcff"}'),
        ("bad_number", '{"id": NaN}'),
        ("bad_number", '{"id": "a", "score": [-Infinity]}'),
        ("bad_number", '{"id": "a", "score": 1e999}'),
        ("bad_number", '{"id": ' + "9" * 5000 + "}"),
    ],
)
def test_rejected_texts(reason, raw):
    with pytest.raises(Rejection) as caught:
        parse_record(raw)
    assert caught.value.reason == reason
    assert 5 < len(caught.value.detail) < 200 and caught.value.detail.isascii()
    assert isinstance(sample_name(raw), str)


@pytest.mark.parametrize("texts", [[], ["a"], [None], [[1]], "a", 3, {"user": ["a"]}])
def test_no_source_is_sought_in_texts_that_are_no_conversation(texts):
    turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    record = parse_record(json.dumps({"messages": turns, "texts": texts}), source_key="task")
    assert record.source == "text"


TALK = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]


@pytest.mark.parametrize("name", ["x" * 5000, "é" * 200_000, 10**4299], ids=["x", "é", "digits"])
def test_an_id_has_a_length_that_tables_hold(name):
    raw = json.dumps({"id": name, "messages": TALK})
    with pytest.raises(Rejection, match="bad_id: 'id' is a text of [0-9]+ characters, over 4096"):
        parse_record(raw)
    assert len(sample_name(raw)) == 4096


def test_a_source_has_the_bounds_of_an_id():
    for text in ("x" * 4096, "\u00a0é漢😀\u200d\ufffd"):
        record = parse_record(json.dumps(llava(id=text, task=text)), source_key="task")
        assert record.sample_id == record.source == text
    for parse in (parse_record, parse_task_record):
        with pytest.raises(Rejection, match="bad_source: the source is a text of 1000000 charac"):
            parse(json.dumps(llava(task="x" * 10**6)), source_key="task")


def test_nesting_is_allowed_up_to_a_depth():
    turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}] * 40
    note = json.loads("[" * 60 + "]" * 60)
    assert len(parse_record(json.dumps({"messages": turns, "note": note})).turns) == 80


def test_surrogate_pairs_are_unicode():
    assert parse_object(r'{"a": "\ud83d\ude00"}') == {"a": "😀"}


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        ('{"id": "a"}', "a"),
        ('{"id": 3}', "3"),
        ('{"id": null}', ""),
        ('{"id": [1]}', ""),
        ('{"id"', ""),
        ("[1]", ""),
        (r'{"id": "\ud800"}', "\\ud800"),
    ],
)
def test_rejected_records_are_named_where_they_can_be(raw, name):
    assert sample_name(raw) == name


def test_the_digest_is_of_the_content_alone():
    first = parse_record(json.dumps(llava()))
    second = parse_record(json.dumps(llava(id="other", task="t")), source_key="task")
    assert content_digest(first.images, first.turns) == content_digest(second.images, second.turns)
    third = parse_record(json.dumps(llava(image="coco/2.jpg")))
    assert content_digest(first.images, first.turns) != content_digest(third.images, third.turns)


@pytest.mark.parametrize(
    ("keys", "answers"),
    [
        ({"answers": ["a", 2, 0.5], "answer": "x"}, ("a", "2", "0.5")),
        ({"answers": [{"answer": "yes", "answer_id": 1}, {"answer": "no"}]}, ("yes", "no")),
        ({"answers": [], "answer": "x"}, ("x",)),
        ({"answer": 0}, ("0",)),
        ({"answer": None}, ("A cat.",)),
        ({}, ("A cat.",)),
    ],
)
def test_answers(keys, answers):
    record = parse_task_record(json.dumps(llava(**keys, choices=["A", 2])))
    assert record.answers == answers and record.choices == ("A", "2")
    assert Record(record.sample_id, record.source, record.images, record.turns) == parse_record(
        json.dumps(llava())
    )


def test_a_question_alone_may_be_tested_but_not_trained_on():
    raw = json.dumps(llava(conversations=[Q], answer="cat"))
    record = parse_task_record(raw)
    assert record.answers == ("cat",) and record.choices == () and len(record.turns) == 1
    with pytest.raises(Rejection, match="no_response"):
        parse_task_record(raw, require_response=True)
    assert parse_task_record(json.dumps(llava()), require_response=True).answers == ("A cat.",)


@pytest.mark.parametrize(
    ("reason", "changes"),
    [
        ("no_answer", {"conversations": [Q]}),
        ("no_answer", {"answers": ["", " "]}),
        ("bad_type", {"answers": "cat"}),
        ("bad_type", {"answers": [None]}),
        ("bad_type", {"answers": [{"text": "cat"}]}),
        ("bad_type", {"answer": ["cat"]}),
        ("bad_type", {"choices": {"A": "cat"}}),
        ("one_sided_conversation", {"conversations": [A], "image": ...}),
    ],
)
def test_rejected_task_records(reason, changes):
    with pytest.raises(Rejection) as caught:
        parse_task_record(json.dumps(llava(**changes)))
    assert caught.value.reason == reason

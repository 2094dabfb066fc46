"""Conversations: every form of the same conversation yields the same turns and images."""

import json

import pytest

from vlselect.pool.conversations import Turn, read_conversation
from vlselect.pool.records import parse_record
from vlselect.pool.rejection import Rejection

EMBEDDED = "row-3/1/" + "0f" * 16 + ".png"
TURNS = (
    Turn("user", "<image>What is it? <image>"),
    Turn("assistant", "Two cats."),
    Turn("user", "Sure?"),
    Turn("assistant", "Yes."),
)
IMAGES = ("x/1.png", "x/2.png")
SAID = [("user", TURNS[0].text), ("assistant", "Two cats."), ("user", "Sure?")]
SAID += [("assistant", "Yes.")]
FROM = {"user": "human", "assistant": "gpt"}


def parts(*images):
    """Return the first turn as content parts, with these keys for the two images."""
    first = [{"type": "image", **images[0]}, {"type": "text", "text": "What is it? "}]
    first += [{"type": "image", **images[1]}]
    others = [
        {"role": role, "content": [{"type": "text", "text": text, "image": None}]}
        for role, text in SAID[1:]
    ]
    return [{"role": "user", "content": first}, *others]


PLAIN = [{"role": role, "content": text} for role, text in SAID]
FORMS = {
    "llava": {
        "conversations": [{"from": FROM[role], "value": text} for role, text in SAID],
        "image": list(IMAGES),
    },
    "sharegpt": {"messages": PLAIN, "images": list(IMAGES)},
    "conversations of role and content": {"conversations": PLAIN, "images": list(IMAGES)},
    "messages of from and value": {
        "messages": [{"from": role, "value": text} for role, text in SAID],
        "images": list(IMAGES),
    },
    "objects with paths": {
        "messages": PLAIN,
        "images": [{"path": name, "bytes": None} for name in IMAGES],
    },
    "lists in one object": {
        "messages": {"role": [r for r, _ in SAID], "content": [t for _, t in SAID]},
        "images": list(IMAGES),
    },
    "parts that take the next image": {"messages": parts({}, {}), "images": list(IMAGES)},
    "parts with null paths": {
        "messages": parts({"image": None, "text": None}, {"path": None}),
        "images": list(IMAGES),
    },
    "parts with paths": {"messages": parts({"image": "x/1.png"}, {"path": "x/2.png"})},
    "parts with objects": {
        "messages": parts({"image": {"path": "x/1.png"}}, {"image_url": {"url": "x/2.png"}})
    },
    "one part with a path": {"messages": parts({"url": "x/1.png"}, {}), "images": ["x/2.png"]},
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same(form):
    name, turns, images = read_conversation(FORMS[form])
    assert (turns, images) == (TURNS, IMAGES)
    assert name == ("conversations" if form == "llava" else "messages")


@pytest.mark.parametrize("form", FORMS)
def test_ids_are_made_where_the_form_allows(form):
    raw = json.dumps(FORMS[form])
    if form == "llava":
        with pytest.raises(Rejection, match="no_id"):
            parse_record(raw)
    else:
        assert parse_record(raw).sample_id == parse_record(json.dumps(FORMS["sharegpt"])).sample_id


def test_strings_and_parts_take_images_in_turn():
    value = {
        "images": ["1", "2", "3"],
        "messages": [
            {"role": "user", "content": "<image>a"},
            {"role": "assistant", "content": [{"type": "text", "text": "b"}]},
            {
                "role": "user",
                "content": [{"type": "image"}, {"type": "image", "image": "own"}]
                + [{"type": "text", "text": "c<image>"}],
            },
            {"role": "assistant", "content": "d"},
        ],
    }
    _, turns, images = read_conversation(value)
    assert images == ("1", "2", "own", "3")
    assert turns[2].text == "<image><image>c<image>"


def test_the_cauldron():
    pairs = [{"user": "Q1", "assistant": "A1", "source": "vqa"}, {"user": "Q2", "assistant": "A2"}]
    value = {"images": [{"path": "a.png"}, {"bytes": EMBEDDED, "path": None}], "texts": pairs}
    form, turns, images = read_conversation(value)
    assert form == "texts" and images == ("a.png", EMBEDDED)
    assert [turn.text for turn in turns] == ["<image><image>Q1", "A1", "Q2", "A2"]
    record = parse_record(json.dumps(value), source_key="source")
    assert record.source == "vqa" and len(record.sample_id) == 16
    marked = value | {"texts": [pairs[0], {"user": "<image> and <image>", "assistant": "A2"}]}
    assert read_conversation(marked)[1][0].text == "Q1"


def test_other_texts_beside_a_conversation_are_not_looked_at():
    assert read_conversation(FORMS["llava"] | {"texts": ["read", "from", "the image"]})[1] == TURNS


def test_bytes_in_a_table_come_before_their_path():
    value = FORMS["sharegpt"] | {"images": [{"path": "p.png", "bytes": EMBEDDED}, "x/2.png"]}
    assert read_conversation(value)[2] == (EMBEDDED, "x/2.png")
    value = FORMS["sharegpt"] | {"images": [{"path": "p.png", "bytes": "iVBORw0KGgo="}, "x/2.png"]}
    assert read_conversation(value)[2] == ("p.png", "x/2.png")


def one(content, **keys):
    return {"messages": [{"role": "user", "content": content}, PLAIN[1]], **keys}


@pytest.mark.parametrize(
    ("reason", "value"),
    [
        ("bad_type", one([{"type": "text"}])),
        ("bad_type", one([{"text": "x"}])),
        ("bad_type", one(["x"])),
        ("bad_type", one(None)),
        ("bad_type", one([{"type": "image", "image": 7}])),
        ("bad_type", {"texts": "x"}),
        ("bad_type", {"texts": [{"user": "x"}]}),
        ("bad_type", {"messages": {"role": ["user"], "content": ["a", "b"]}}),
        ("bad_type", {"messages": {}}),
        ("empty_turn", {"texts": [{"user": " ", "assistant": "x"}]}),
        ("empty_turn", one([])),
        ("unsupported_media", one([{"type": "video", "video": "x.mp4"}])),
        ("unsupported_media", one([{"type": "image", "image": "data:image/png;base64,iVBO"}])),
        ("unsupported_media", one("<image>", image="x" * 5000)),
        ("missing_image", one("<image>", image={"path": None, "bytes": None})),
        ("missing_image", one("<image>", image={})),
        ("image_count_mismatch", one([{"type": "image"}])),
        ("image_count_mismatch", one([{"type": "image", "image": "a"}], images=["a"])),
        ("image_count_mismatch", one([{"type": "text", "text": "x"}], images=["a"])),
    ],
)
def test_rejections(reason, value):
    with pytest.raises(Rejection) as caught:
        read_conversation(value)
    assert caught.value.reason == reason and 5 < len(caught.value.detail) < 200

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


ASKED = [{"role": "user", "content": "<image>?"}, {"role": "assistant", "content": "Yes."}]
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
    assert read_conversation(FORMS[form]) == (TURNS, IMAGES)


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gets_the_same_id(form):
    found = parse_record(json.dumps(FORMS[form])).sample_id
    assert len(found) == 16 and found == parse_record(json.dumps(FORMS["llava"])).sample_id


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
    turns, images = read_conversation(value)
    assert images == ("1", "2", "own", "3")
    assert turns[2].text == "<image><image>c<image>"


def test_the_cauldron():
    pairs = [{"user": "Q1", "assistant": "A1", "source": "vqa"}, {"user": "Q2", "assistant": "A2"}]
    value = {"images": [{"path": "a.png"}, {"bytes": EMBEDDED, "path": None}], "texts": pairs}
    turns, images = read_conversation(value)
    assert images == ("a.png", EMBEDDED)
    assert [turn.text for turn in turns] == ["<image><image>Q1", "A1", "Q2", "A2"]
    record = parse_record(json.dumps(value), source_key="source")
    assert record.source == "vqa" and len(record.sample_id) == 16
    marked = value | {"texts": [pairs[0], {"user": "<image> and <image>", "assistant": "A2"}]}
    assert read_conversation(marked)[0][0].text == "Q1"


def test_other_texts_beside_a_conversation_are_not_looked_at():
    assert read_conversation(FORMS["llava"] | {"texts": ["read", "from", "the image"]})[0] == TURNS


def test_bytes_in_a_table_come_before_their_path():
    value = FORMS["sharegpt"] | {"images": [{"path": "p.png", "bytes": EMBEDDED}, "x/2.png"]}
    assert read_conversation(value)[1] == (EMBEDDED, "x/2.png")
    value = FORMS["sharegpt"] | {"images": [{"path": "p.png", "bytes": "iVBORw0KGgo="}, "x/2.png"]}
    assert read_conversation(value)[1] == ("p.png", "x/2.png")


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
        ("missing_image", one([{"type": "image", "image": ""}], images=[None])),
        ("image_url", one("<image>", image="https://example.org/a.png")),
        ("image_url", one("<image>", images=[{"path": "s3://bucket/a.png", "bytes": None}])),
        ("image_url", one("<image>", image="file://host/a.png")),
        ("image_url", one([{"type": "image_url", "image_url": {"url": "HTTP://x/a.png"}}])),
        ("empty_conversation", {"version": 1, "data": [one("x")]}),
        ("image_count_mismatch", one([{"type": "image"}])),
        ("image_count_mismatch", one([{"type": "image", "image": "a"}], images=["a"])),
        ("image_count_mismatch", one([{"type": "text", "text": "x"}], images=["a"])),
    ],
)
def test_rejections(reason, value):
    with pytest.raises(Rejection) as caught:
        read_conversation(value)
    assert caught.value.reason == reason and 5 < len(caught.value.detail) < 200


NONE = [None, "", " ", [], {}, {"bytes": None, "path": None}, [None], [{"bytes": None, "path": ""}]]


@pytest.mark.parametrize("key", ["image", "images"])
@pytest.mark.parametrize("none", NONE, ids=json.dumps)
def test_no_image_in_any_way_of_saying_so(none, key):
    said = one("What?")["messages"]
    assert read_conversation({"messages": said, key: none}) == read_conversation({"messages": said})
    with pytest.raises(Rejection, match=f"missing_image: 1 <image> markers, '{key}' is empty"):
        read_conversation(one("<image>What?", **{key: none}))


def test_an_empty_key_is_no_second_one():
    plain = read_conversation(one("<image>What?", image="a.png"))
    assert read_conversation(one("<image>What?", image="a.png", images=[])) == plain
    assert read_conversation(one("<image>What?", image="", images=["a.png"])) == plain


def test_a_whole_file_in_one_object_is_told_from_a_record():
    with pytest.raises(Rejection, match="if 'data' holds the records, write that list alone"):
        read_conversation({"version": 1, "data": [one("x")]})
    with pytest.raises(Rejection, match="if these are several records, write them as a list"):
        read_conversation({"0": one("x"), "1": one("y")})
    for other in ({}, {"images": [{"path": "a.png"}]}, {"id": 1, "tags": ["a"], "meta": {}}):
        with pytest.raises(Rejection, match="'messages' or 'texts'$"):
            read_conversation(other)


def test_one_slash_is_a_path():
    assert read_conversation(one("<image>", image="http:/x.png"))[1] == ("http:/x.png",)


def test_our_own_system_prompt_is_a_turn_again():
    said = [{"from": "human", "value": "Be brief.\n\nWhy?"}, {"from": "gpt", "value": "So."}]
    value = {"conversations": said, "system_in_first_turn": "Be brief."}
    turns, _ = read_conversation(value)
    assert turns == (Turn("system", "Be brief."), Turn("user", "Why?"), Turn("assistant", "So."))
    other = read_conversation(value | {"system_in_first_turn": "Be kind."})
    assert other == read_conversation({"conversations": said})


JPEG = "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAgGBgcGBQgHBwcJCQgKDBQNDAsLDBkSEw8UHRofHh0aHBwgJC4n"


@pytest.mark.parametrize("image", [JPEG, {"bytes": JPEG, "path": None}, {"bytes": "AAEC"}])
def test_an_image_in_base64_is_named_as_such(image):
    with pytest.raises(Rejection, match="holds an image as text; write it to a file") as caught:
        read_conversation({"messages": PLAIN[:2], "image": image})
    assert caught.value.reason == "unsupported_media"
    path = {"path": "9j/4AAQSkZJRgABAQAAAQABAAD.png"}
    _, images = read_conversation({"messages": ASKED, "image": [path]})
    assert images == (path["path"],)


@pytest.mark.parametrize("conversations", [{"0": PLAIN, "1": PLAIN}, [PLAIN, PLAIN]])
def test_a_table_written_by_columns_says_so(conversations):
    """As pandas writes JSON by default, and with orient="list"."""
    with pytest.raises(Rejection, match=r'row by row \(pandas: to_json\(orient="records"\)\)'):
        read_conversation({"id": ["a", "b"], "conversations": conversations})

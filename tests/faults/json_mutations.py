"""Change one place of a JSON value, or write it as JSON should not be written."""

import copy
import json
from random import Random

HUGE_INTEGER = "9" * 5000
NUMBERS = ("NaN", "Infinity", "-Infinity", "1e999", "-1e999", "1e-999", "-0", HUGE_INTEGER)
NUMBERS += ("0", "-1", "1.5", "9223372036854775808", "0.1" + "0" * 400, "1E400", "true", "null")
TEXTS = (
    "",
    " ",
    "\n",
    "\0",
    "\ufeff",
    "\u2028",
    "\u202e<image>",
    "\ud800",
    "\udfff",
    "\ud83d\ude00",
)
TEXTS += ("<image>", "<image><image>", "</think>", "=cmd|'/c calc'!A1", "<script>alert(1)</script>")
TEXTS += (
    "\uffff",
    "e" + "\u0301" * 500,
    "x" * 300,
    "x" * 5000,
    "{{ 7 * 7 }}",
    "$HOME",
    "\x1b[2J",
    "1#2",
)
PATHS = ("..", "../..", "../../etc/passwd", "/etc/passwd", "/proc/self/environ", "/dev/zero", ".")
PATHS += (
    "a\0b",
    "n" * 300 + ".png",
    "P0.PNG",
    "p0.png/",
    "p0.png/..",
    "pipe.png",
    "link.png",
    "sub",
)
PATHS += (
    "file:///etc/passwd",
    "http://localhost/p0.png",
    "data:image/png;base64,AAAA",
    "$HOME/p0.png",
)
PATHS += (
    "~/p0.png",
    "C:\\p0.png",
    "row-0/0/" + "0" * 32 + ".png",
    "loop.png",
    "./p0.png",
    "//p0.png",
)
DEPTHS = (10, 200, 900, 990, 1100, 3000, 30_000, 100_000)
KEYS = ("id", "image", "images", "conversations", "messages", "texts", "video", "answer", "answers")
KEYS += (
    "choices",
    "source",
    "from",
    "value",
    "role",
    "content",
    "type",
    "text",
    "path",
    "bytes",
    "url",
)
KEYS += (
    "user",
    "assistant",
    "system_in_first_turn",
    "image_url",
    "",
    "\ud800",
    "__proto__",
    "$ref",
)


class Raw:
    """Text that stands in JSON as it is."""

    def __init__(self, text: str):
        self.text = text

    def __deepcopy__(self, memory: dict) -> "Raw":
        return self


def encode(value: object, random: Random) -> str:
    """Return JSON with `Raw` texts in it, and texts with or without escapes."""
    if isinstance(value, Raw):
        return value.text
    if isinstance(value, dict):
        pairs = (f"{json.dumps(k)}: {encode(v, random)}" for k, v in value.items())
        return "{" + ", ".join(pairs) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(encode(item, random) for item in value) + "]"
    escaped = json.dumps(value)
    plain = json.dumps(value, ensure_ascii=False)
    return plain if _is_unicode(plain) and random.random() < 0.5 else escaped


def odd_value(random: Random) -> object:
    """Return a value that may be of the wrong type, size or depth."""
    depth = random.choice(DEPTHS)
    return random.choice(
        [
            *(
                None,
                True,
                False,
                [],
                {},
                [[]],
                [{}],
                [None],
                {"a": None},
                {"bytes": "x", "path": None},
            ),
            *(Raw(random.choice(NUMBERS)) for _ in range(4)),
            *(random.choice(TEXTS) for _ in range(4)),
            *(random.choice(PATHS) for _ in range(4)),
            Raw("[" * depth + "]" * depth),
            Raw('{"a":' * depth + "1" + "}" * depth),
            Raw('[{"image":' * depth + random.choice(NUMBERS) + "}]" * depth),
            [random.choice(TEXTS)] * random.choice([1, 2, 1000]),
            "y" * random.choice([4096, 4097, 100_000, 1_000_000]),
            {random.choice(KEYS): random.choice(TEXTS) for _ in range(3)},
        ]
    )


def mutate(record: dict, random: Random) -> tuple[str, object]:
    """Return the name of a mutation, and a copy of a record with it."""
    record = copy.deepcopy(record)
    parent, key = _place(record, random)
    what = random.choice(
        ["value", "value", "delete", "add", "twice", "repeat", "swap", "whole", "text"]
    )
    if what == "value":
        parent[key] = odd_value(random)
    elif what == "text":
        texts = [place for place in _places(record) if isinstance(place[0][place[1]], str)]
        parent, key = random.choice(texts)
        old, at = parent[key], random.randrange(len(parent[key]) + 1)
        parent[key] = old[:at] + random.choice(TEXTS + PATHS) + old[at:]
    elif what == "delete":
        del parent[key]
    elif what == "add":
        node = random.choice([record, *_dicts(record)])
        node[random.choice(KEYS)] = odd_value(random)
    elif what == "twice":
        text = encode(record, random)
        return what, Raw(
            text[:-1]
            + f", {json.dumps(random.choice(KEYS))}: {encode(odd_value(random), random)}}}"
        )
    elif what == "repeat":
        parent[key] = [parent[key]] * random.choice([0, 1, 2, 50])
    elif what == "swap":
        other, name = _place(record, random)
        parent[key], other[name] = copy.deepcopy(other[name]), copy.deepcopy(parent[key])
    else:
        return what, odd_value(random)
    return what, record


def _places(value: object) -> list[tuple]:
    """List parent and key of each value inside a value."""
    items = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    return [place for key, item in items for place in [(value, key), *_places(item)]]


def _place(record: dict, random: Random) -> tuple:
    return random.choice(_places(record))


def _dicts(record: dict) -> list[dict]:
    return [p[k] for p, k in _places(record) if isinstance(p[k], dict)]


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True

"""Change bytes of a file: cut, flip, insert, repeat, encode otherwise."""

import gzip
from random import Random

import pyarrow as pa


def mutate(content: bytes, random: Random) -> tuple[str, bytes]:
    """Return the name of a mutation, and the bytes with it; for any format."""
    at = random.randrange(len(content) + 1)
    stop = min(len(content), at + random.choice([1, 2, 8, 100]))
    what = random.choice(
        ["cut", "cut", "flip", "flip", "flip", "insert", "drop", "repeat", "zero", "large"]
    )
    changed = bytearray(content)
    if what == "cut":
        del changed[at:]
    elif what == "flip":
        for _ in range(random.choice([1, 1, 2, 20]) if content else 0):
            changed[random.randrange(len(changed))] ^= 1 << random.randrange(8)
    elif what == "insert":
        changed[at:at] = random.randbytes(random.choice([1, 4, 100]))
    elif what == "drop":
        del changed[at:stop]
    elif what == "repeat":
        changed[at:at] = content[at:stop] * random.choice([1, 2, 1000])
    elif what == "zero":
        changed[at:stop] = bytes(stop - at)
    else:  # a field of a header becomes a large number
        changed[at : at + 4] = random.choice(
            [b"\xff" * 4, b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f", b"\0\0\0\x80"]
        )
    return what, bytes(changed)


def mutate_text(content: bytes, random: Random) -> tuple[str, bytes]:
    """Return the name of a mutation of a text file, and its bytes; where it may be compressed."""
    text = content.decode("utf-8", "surrogatepass")
    choices = {
        "utf-16": lambda: text.encode("utf-16", "surrogatepass"),
        "utf-16 without mark": lambda: text.encode("utf-16-be", "surrogatepass"),
        "utf-32": lambda: text.encode("utf-32", "surrogatepass"),
        "latin-1": lambda: (text + "é").encode("latin-1", "replace"),
        "mark": lambda: b"\xef\xbb\xbf" * random.choice([1, 2]) + content,
        "carriage returns": lambda: content.replace(b"\n", b"\r\n").replace(b", ", b",\r"),
        "gzip": lambda: gzip.compress(content),
        "zstd": lambda: pa.compress(content, codec="zstd", asbytes=True),
        "gzip, broken": lambda: mutate(gzip.compress(content), random)[1],
        "zstd, broken": lambda: mutate(pa.compress(content, codec="zstd", asbytes=True), random)[1],
        "gzip in gzip": lambda: gzip.compress(gzip.compress(content)),
        "gzip of nothing much": lambda: gzip.compress(content + b" " * (64 << 20)),
        "twice": lambda: content + random.choice([b"", b"\n", b","]) + content,
        "other brackets": lambda: content.translate(bytes.maketrans(b"[]{}", b"{}[]")),
        "in an object": lambda: b'{"records": ' + content + b"}",
        "in lists": lambda: b"[" * 3 + content + b"]" * 3,
        "comma at the end": lambda: content.rstrip(b"]\n") + b",]",
        "single quotes": lambda: content.replace(b'"', b"'"),
        "blank": lambda: b" \n\t" * random.choice([0, 1, 500_000]),
        "scalar": lambda: random.choice(
            [b"null", b"1", b'"a"', b"{", b"[", b"[]", b"{}", b"[{}]", b"NaN"]
        ),
        "nesting": lambda: (
            random.choice([b"[", b'{"a":', b'[{"a":']) * random.choice([5000, 100_000])
        ),
        "one text": lambda: b'["' + b"a" * random.choice([1000, 5 << 20]),
        "null characters": lambda: content.replace(b" ", b"\0"),
    }
    what = random.choice([*choices, *["bytes"] * len(choices)])
    return mutate(content, random) if what == "bytes" else (what, choices[what]())

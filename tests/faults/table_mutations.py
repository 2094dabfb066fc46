"""Write Parquet files that are not as they should be: other types, rows, encodings, bytes."""

import datetime
import decimal
from pathlib import Path
from random import Random

import byte_mutations
import pyarrow as pa
import pyarrow.parquet as pq

CODECS = ("none", "snappy", "gzip", "zstd", "lz4", "brotli")


def write(records: list[dict], path: Path, random: Random) -> None:
    """Write records as a table with one column, or a few of its values, changed."""
    table = pa.Table.from_pylist(records)
    what = random.choice(["column", "column", "column", "names", "rows", "cell", "cell"])
    name = random.choice(table.column_names)
    place = table.column_names.index(name)
    if what == "column":
        table = table.set_column(place, name, _odd_column(table[name], random))
    elif what == "cell":
        changed = [dict(record) for record in records]
        for record in random.sample(changed, random.randrange(1, len(changed))):
            record[name] = None if random.random() < 0.5 else records[0][name]
        table = pa.Table.from_pylist(changed, schema=table.schema)
    elif what == "names":
        other = random.choice(["messages", "id", "image", "a\0b", "", "é" * 300, name])
        names = [other if c == name else c for c in table.column_names]
        table = table.rename_columns(names)
        if random.random() < 0.5:
            table = table.append_column(other, pa.nulls(len(table)))
    else:
        table = random.choice([table.slice(0, 0), table.select([]), pa.concat_tables([table] * 30)])
    pq.write_table(
        table, path, compression=random.choice(CODECS), row_group_size=random.choice([1, 7, 5000])
    )


def write_broken(records: list[dict], path: Path, random: Random) -> None:
    """Write records as a table, and change its bytes."""
    table = pa.Table.from_pylist(records)
    codec = random.choice(CODECS)
    checked = random.random() < 0.3
    pq.write_table(table, path, compression=codec, row_group_size=3, write_page_checksum=checked)
    content = path.read_bytes()
    footer = int.from_bytes(content[-8:-4], "little") + 8
    if random.random() < 0.4:  # in the footer alone
        changed = byte_mutations.mutate(content[-footer:], random)[1]
        path.write_bytes(content[:-footer] + changed)
    else:
        path.write_bytes(byte_mutations.mutate(content, random)[1])


def _odd_column(column: pa.ChunkedArray, random: Random) -> pa.Array:
    """Return values of another type for each row."""
    n = len(column)
    not_text = pa.Array.from_buffers(
        pa.string(), n, [None, pa.py_buffer(_offsets(n)), pa.py_buffer(b"\xff\xfe\xc3(" * n)]
    )
    duration = datetime.timedelta(days=1)
    columns = [
        pa.nulls(n),
        pa.array([1] * n),
        pa.array([float("nan"), float("inf"), 1e308] * n)[:n],
        pa.array([random.choice([b"", b"x", b"\x89PNG", b"P5 1 1 255 x"])] * n),
        pa.array([datetime.date(2020, 1, 1)] * n),
        pa.array([2**62] * n, pa.int64()).cast(pa.timestamp("us")),
        pa.array([2**62 + 1] * n, pa.int64()).cast(pa.timestamp("ns")),
        pa.array([duration] * n),
        pa.array([decimal.Decimal("1.5")] * n),
        pa.array([["a"], None, []] * n)[:n],
        pa.array([{"a": {"b": [1]}}] * n),
        pa.array([[("user", "x"), ("user", "y")]] * n, pa.map_(pa.string(), pa.string())),
        pa.array([[(b"\xff", 1)]] * n, pa.map_(pa.binary(), pa.int8())),
        pa.array(["a"] * n).dictionary_encode(),
        pa.array(["x" * random.choice([300, 1_000_000])] * n),
        pa.array(["a\0b", "\ufeff", "\U0010ffff", "<image>", " ", ""] * n)[:n],
        pa.array(["made"] * n).cast(pa.binary()).cast(pa.large_binary()),
        pa.array([True] * n),
        pa.array([[{"from": "human", "value": b"\xff"}]] * n),
        pa.array([datetime.time(1, 2)] * n),
        pa.array([1.5] * n, pa.float16()),
        not_text,
        pa.array(
            [[{"role": "user", "content": t}] for t in not_text.cast(pa.binary()).to_pylist()]
        ),
        _deep(n, random.choice([5, 40, 90])),
    ]
    return random.choice(columns)


def _offsets(n: int) -> bytes:
    return b"".join((4 * i).to_bytes(4, "little") for i in range(n + 1))


def _deep(n: int, depth: int) -> pa.Array:
    array = pa.array([1] * n)
    for _ in range(depth):
        array = pa.ListArray.from_arrays(pa.array(range(n + 1), pa.int32()), array)
    return array

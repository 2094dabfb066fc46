"""Tables of accepted samples: pool/samples.parquet and tasks/<task>/<split>.parquet.

Written and read by row groups, so the whole pool is never in memory.
"""

import argparse
import csv
import io
import json
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import cached_property
from hashlib import blake2b
from itertools import accumulate
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from vlselect.core.arrow_files import named
from vlselect.core.errors import InputError
from vlselect.core.store import as_cell, from_cell, replacing
from vlselect.pool.image_roots import add_images_argument
from vlselect.pool.records import Record, TaskRecord, content_digest, parse_record

ROW_GROUP = 1024  # rows; a multiple of shard_files.BLOCK
KEPT_GROUPS = 64  # row groups a reader keeps: all of a small pool, about 100 MB of a large one
SCHEMA = pa.schema(
    {
        "row": pa.int64(),
        "sample_id": pa.string(),
        "source": pa.string(),
        "images": pa.list_(pa.string()),
        "n_turns": pa.int32(),  # exchanges: user turns, each with its response
        "n_images": pa.int32(),
        "digest": pa.string(),
        "record": pa.string(),
        "checksums": pa.list_(pa.uint32()),  # of the images' files
    }
)
TASK_SCHEMA = pa.schema(
    [*SCHEMA, ("answers", pa.list_(pa.string())), ("choices", pa.list_(pa.string()))]
)
REJECTED = ("position", "sample_id", "reason", "detail")


def add_samples_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags for the samples to read and the location of their images."""
    parser.add_argument("--samples", type=Path, required=True, help="pool/samples.parquet")
    add_images_argument(parser, default=Path())
    parser.add_argument("--max-pixels", type=int, required=True, help="largest image allowed")


class SamplesWriter:
    """Write samples one by one to Parquet; the file appears when the block ends without an error.

    `schema` is `SCHEMA`, or `TASK_SCHEMA` for records with answers.
    """

    def __init__(self, path: str | Path, schema: pa.Schema = SCHEMA):
        self.n_rows = 0
        self._path, self._schema, self._stack = path, schema, ExitStack()
        self._waiting: dict[str, list] = {name: [] for name in schema.names}

    def __enter__(self) -> "SamplesWriter":
        with ExitStack() as stack:
            temporary = stack.enter_context(replacing(self._path))
            options = {"compression": "zstd", "use_dictionary": ["source"]}
            options["write_page_checksum"] = True
            writer = pq.ParquetWriter(temporary, self._schema, **options)
            self._file = stack.enter_context(writer)
            self._stack = stack.pop_all()
        return self

    def write(self, record: Record, raw: str) -> None:
        """Add one accepted record and its JSON text."""
        row = {
            "row": self.n_rows,
            "sample_id": record.sample_id,
            "source": record.source,
            "images": list(record.images),
            "n_turns": record.n_exchanges,
            "n_images": len(record.images),
            "digest": content_digest(record.images, record.turns),
            "record": raw,
            "checksums": list(record.checksums),
        }
        if isinstance(record, TaskRecord):
            row |= {"answers": list(record.answers), "choices": list(record.choices)}
        for name, values in self._waiting.items():
            values.append(row[name])
        self.n_rows += 1
        if self.n_rows % ROW_GROUP == 0:
            self._flush()

    def _flush(self) -> None:
        self._file.write_table(pa.table(self._waiting, schema=self._schema))
        for values in self._waiting.values():
            values.clear()

    def __exit__(self, kind, error, trace) -> bool | None:
        if kind is not None:
            return self._stack.__exit__(kind, error, trace)
        with self._stack:
            if self._waiting["row"]:
                self._flush()
        return None


class Samples:
    """A table of `n` samples, a file of the pool or of a task; row groups are read when needed.

    Raises InputError, naming the file, if it is not there, broken or not what its checksums say.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        with named(self.path):
            self._file = pq.ParquetFile(path, page_checksum_verification=True)
        metadata = self._file.metadata
        sizes = (metadata.row_group(i).num_rows for i in range(metadata.num_row_groups))
        self._starts = list(accumulate(sizes, initial=0))
        self._groups: OrderedDict[int, pa.Table] = OrderedDict()
        self.n = metadata.num_rows

    def __len__(self) -> int:
        return self.n

    @cached_property
    def digest(self) -> str:
        """Digest (32 hexadecimal digits) of all ids and contents, in order."""
        digest = blake2b(digest_size=16)
        for name, content in self.frame(["sample_id", "digest"]).itertuples(index=False):
            digest.update(f"{name}\0{content}\0".encode())
        return digest.hexdigest()

    def frame(self, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """Read all rows of some columns, or of all columns; KeyError if a column does not exist."""
        missing = set(columns or ()) - set(self._file.schema_arrow.names)
        if missing:
            raise InputError(f"{self.path} has no column {', '.join(sorted(missing))}")
        with named(self.path):
            return self._file.read(columns=columns and list(columns)).to_pandas()

    def records(self, rows: Iterable[int]) -> list[Record]:
        """Read the records at `rows`, in the order given; IndexError if a row does not exist."""
        return self._collect(rows, _record_at)

    def raw(self, rows: Iterable[int]) -> Iterator[str]:
        """Yield the original JSON texts of the records at `rows`, in the order given."""
        rows = list(rows)
        for start in range(0, len(rows), ROW_GROUP):
            yield from self._collect(rows[start : start + ROW_GROUP], _text_at)

    def _collect(self, rows: Iterable[int], read: Callable[[pa.Table, int], object]) -> list:
        """Read one value per row, row group by row group."""
        rows = [int(row) for row in rows]
        for row in rows:
            if not 0 <= row < self.n:
                raise IndexError(f"{self.path} has no row {row}; it has {self.n} rows")
        found: list = [None] * len(rows)
        for place in sorted(range(len(rows)), key=rows.__getitem__):
            group = bisect_right(self._starts, rows[place]) - 1
            found[place] = read(self._group(group), rows[place] - self._starts[group])
        return found

    def _group(self, group: int) -> pa.Table:
        """Read one row group, or return the kept one; the least recently used is dropped."""
        if group not in self._groups:
            columns = ["sample_id", "source", "images", "record", "checksums"]
            with named(self.path):
                self._groups[group] = self._file.read_row_group(group, columns=columns)
        self._groups.move_to_end(group)
        if len(self._groups) > KEPT_GROUPS:
            self._groups.popitem(last=False)
        return self._groups[group]


def _text_at(table: pa.Table, i: int) -> str:
    return table["record"][i].as_py()


def _record_at(table: pa.Table, i: int) -> Record:
    """Parse a row's record; what depends on the config, not on the record, is in the table."""
    record = parse_record(_text_at(table, i), require_response=False)
    known = {name: table[name][i].as_py() for name in ("sample_id", "source")}
    lists = ("images", "checksums")
    known |= {name: tuple(table[name][i].as_py()) for name in lists if name in table.schema.names}
    return replace(record, **known)


def read_ids(path: Path) -> list[str]:
    """Read sample ids: a JSON list, the column ``sample_id`` of a CSV, else one on each line.

    InputError if the file is not UTF-8, or not of the form that its suffix says.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        if path.suffix == ".csv":
            return [from_cell(row["sample_id"]) for row in csv.DictReader(io.StringIO(text))]
        if path.suffix != ".json":
            return [line.strip() for line in text.split("\n") if line.strip()]
        ids = json.loads(text)
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path} is not UTF-8 text: {error.reason} at byte {error.start}"
        ) from error
    except json.JSONDecodeError as error:
        raise InputError(f"{path} is not JSON: {error}") from error
    except KeyError as error:
        raise InputError(f"{path} has no column sample_id") from error
    except csv.Error as error:
        raise InputError(f"{path} is not CSV: {error}") from error
    if not isinstance(ids, list) or not all(type(name) in (str, int) for name in ids):
        raise InputError(f"{path} is not a JSON list of sample ids")
    return [str(name) for name in ids]


def unknown_ids(key: str, ids: Sequence[str], what: str) -> InputError:
    """Return the error that ids below a config key are not known: which, and why that may be."""
    few = ", ".join(map(repr, ids[:5])) + (", …" if len(ids) > 5 else "")
    return InputError(
        f"{key}: {len(ids)} ids are {what}: {few} (in a mixture, ids begin with the part's name and"
        " a colon)"
    )


class RejectionWriter:
    """Write rejected.csv: a header, and one line per rejected record."""

    def __init__(self, path: str | Path, columns: Sequence[str] = REJECTED):
        self._path, self._columns, self._stack = path, columns, ExitStack()

    def __enter__(self) -> "RejectionWriter":
        with ExitStack() as stack:
            temporary = stack.enter_context(replacing(self._path))
            how = {"encoding": "utf-8", "newline": "", "errors": "backslashreplace"}
            file = stack.enter_context(temporary.open("w", **how))
            self._csv = csv.writer(file, lineterminator="\n")
            self._csv.writerow(self._columns)
            self._stack = stack.pop_all()
        return self

    def write(self, *values: object) -> None:
        """Add one line, whose texts are no formulas (`as_cell`)."""
        self._csv.writerow(map(as_cell, values))

    def __exit__(self, kind, error, trace) -> bool | None:
        return self._stack.__exit__(kind, error, trace)

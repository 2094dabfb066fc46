"""Samples to calibrate with: spread over a prepared pool, or the first records that pass."""

from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from vlselect.plan import calibration
from vlselect.pool.json_stream import read_records


def of_pool(pool: Path, count: int, folder: Path) -> tuple[Path, dict]:
    """Take samples of a prepared pool, whose intake is done and takes no more time.

    Parameters
    ----------
    pool : Path
        pool/samples.parquet.
    count : int
    folder : Path
        Gets ``pool.parquet``.

    Returns
    -------
    path : Path
    intake : dict
        ``seconds_each`` and ``memory`` of the intake; ``bytes_each``, of a sample in the pool's
        table; ``record_bytes``, of its record as JSON.
    """
    table = spread(pool, count)
    size = pool.stat().st_size / pq.ParquetFile(pool).metadata.num_rows
    path = write_rows(table, folder / "pool.parquet")
    return path, _intake(table, size, {"each": 0.0, "memory": None})


def of_records(records: Path, count: int, flags: Sequence[str], folder: Path) -> tuple[Path, dict]:
    """Prepare twice as many records as samples are wanted, with a clock; as `of_pool`.

    Raises
    ------
    ValueError
        If these records cannot be prepared.
    """
    texts = [text for _, text in islice(read_records(records), 2 * count)]
    out = {key: folder / f"intake.{key}" for key in ("samples", "rejected", "summary")}
    others = [*flags, *(part for key, path in out.items() for part in (f"--{key}", path))]
    argvs, counts = [], [max(1, len(texts) // 2), len(texts)]
    for n in counts:
        part = folder / f"records-{n}.jsonl"
        part.write_text("".join(f"{text}\n" for text in texts[:n]), encoding="utf-8")
        argvs.append(["--records", part, *others])
    found = calibration.measure("prepare_pool", argvs, counts)
    if "error" in found:
        raise ValueError(f"the first records of the pool cannot be prepared: {found['error']}")
    table = pq.read_table(out["samples"])
    size = out["samples"].stat().st_size / len(table)
    path = write_rows(table.slice(0, count), folder / "pool.parquet")
    return path, _intake(table, size, found)


def _intake(table: pa.Table, size: float, found: dict) -> dict:
    texts = table["record"].to_pylist()
    return {
        "seconds_each": found["each"],
        "bytes_each": size,
        "record_bytes": sum(len(text.encode()) for text in texts) / len(texts),
        "memory": found["memory"],
    }


def spread(path: Path, count: int) -> pa.Table:
    """Read samples from row groups all over a pool, a few of each."""
    file = pq.ParquetFile(path)
    groups = np.unique(np.linspace(0, file.num_row_groups - 1, count).astype(int))
    share = -(-count // len(groups))
    parts = [file.read_row_group(int(group)) for group in groups]
    rows = [np.linspace(0, len(part) - 1, min(share, len(part))).astype(int) for part in parts]
    return pa.concat_tables(
        part.take(np.unique(chosen)) for part, chosen in zip(parts, rows, strict=True)
    ).slice(0, count)


def write_rows(table: pa.Table, path: Path) -> Path:
    """Write samples as a table of their own, whose rows count from 0."""
    rows = pa.array(np.arange(len(table)), pa.int64())
    place = table.schema.get_field_index("row")
    pq.write_table(table.set_column(place, "row", rows), path)
    return path

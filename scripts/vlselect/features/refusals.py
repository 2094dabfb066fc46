"""Samples that a model refuses: found before any pass by encoding them, or in a pass.

A processor refuses a sample that it cannot encode (`check`); a pass, one whose values cannot be
stored. Neither costs the other samples anything: the refused ones stay in their shards as rows
without values (`vlselect.core.refused`).
"""

import argparse
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from vlselect.core import log
from vlselect.core.errors import InputError, lacks_memory
from vlselect.core.refused import ON_REFUSED, POOL, describe
from vlselect.core.shard_files import BLOCK
from vlselect.core.store import ShardWriter
from vlselect.models.chat import PROCESSOR, Refused
from vlselect.pool import images
from vlselect.pool.records import Record
from vlselect.pool.samples import Samples

logger = logging.getLogger(__name__)

NOT_FINITE = "not_finite"  # reason of samples whose values a pass cannot store
COLUMNS = {  # of the tables of checked samples
    "part": "str",
    "row": "int64",
    "sample_id": "str",
    "tokens": "int64",
    "response_tokens": "int64",
    "reason": "str",
    "message": "str",
}

Count = Callable[[Record, Sequence[Image.Image]], tuple[int, int]]


def add_refusal_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of a pass: samples to leave out, and what happens if it finds more."""
    about = "Parquet: part, row of samples that the model refuses"
    parser.add_argument("--left-out", type=Path, help=about)
    about = "samples whose values are not finite end the job, all listed, or are left out"
    parser.add_argument("--on-refused", choices=ON_REFUSED, required=True, help=about)


def check(
    count: Count,
    samples: Samples,
    rows: Iterable[int],
    image_root: str | Path,
    *,
    max_pixels: int,
    part: str = POOL,
) -> pd.DataFrame:
    """Encode samples one by one; return a row of `COLUMNS` for each.

    `count` encodes a record with its images, and returns its tokens and those of its responses, or
    raises `Refused`, whose reason and message are kept. Any other error of a library is taken for a
    refusal too, unless the library itself or memory is missing. Reason and message of accepted
    samples are empty; a refused one has no tokens.
    """
    found = []
    rows = list(rows)
    for start in log.progress(range(0, len(rows), BLOCK), description=f"check of {part}"):
        block = rows[start : start + BLOCK]
        for row, record in zip(block, samples.records(block), strict=True):
            pictures = images.load_all(image_root, record, max_pixels)
            try:
                outcome = (*count(record, pictures), "", "")
            except Refused as refusal:
                outcome = (0, 0, refusal.reason, str(refusal))
            except ImportError:
                raise
            except Exception as error:  # noqa: BLE001 (whatever libraries raise for one sample)
                if lacks_memory(error):
                    raise
                what = f"sample {record.sample_id!r}: {type(error).__name__}: {error}"
                outcome = (0, 0, PROCESSOR, what)
            found.append((part, row, record.sample_id, *outcome))
    return pd.DataFrame(found, columns=list(COLUMNS)).astype(COLUMNS)


def rows_to_run(rows: range, left_out: np.ndarray, writers: Iterable[ShardWriter]) -> list[int]:
    """Return the rows of a shard that a pass has to run on; refuse the others in its writers."""
    own = left_out[(left_out >= rows.start) & (left_out < rows.stop)]
    if len(own):
        for writer in writers:
            writer.refuse(own - rows.start, "left_out")
    return sorted(set(rows) - set(own.tolist()))


def write_batch(
    writers: Mapping[str, ShardWriter],
    places: np.ndarray,
    values: Mapping[str, np.ndarray],
    sample_ids: Sequence[str],
    faults: Mapping[str, str],
) -> None:
    """Write a batch's values of each kind at places of the shard; refuse samples with faults."""
    bad = np.array([name in faults for name in sample_ids])
    for kind, writer in writers.items():
        names = [name for name in sample_ids if name not in faults]
        writer.write(places[~bad], values[kind][~bad], names)
        if bad.any():
            writer.refuse(places[bad], NOT_FINITE)


def settle(faults: Mapping[str | int, str], on_refused: str) -> None:
    """End the job if samples have values that are of no use, all listed, or log them with `reject`.

    `faults` are messages by sample id or row. Called before outputs are in place.
    """
    if not faults:
        return
    table = pd.DataFrame({"reason": NOT_FINITE, "message": list(faults.values())})
    what = f"{len(faults)} samples have no values that can be used: {describe(table)}"
    if on_refused == "error":
        cure = "`on_refused: reject` leaves them out; or name them in `pool.exclude`"
        raise InputError(f"{what}\n{cure}")
    logger.warning("%s", what)

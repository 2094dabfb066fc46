"""Write a subset as files for a training program.

The records are those of the subset, in the order of the pool, with all their turns and images.
"""

import argparse
import logging
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from vlselect.core import log, registry
from vlselect.core.errors import InputError
from vlselect.core.store import read_parquet, replacing_directory
from vlselect.pool.image_roots import add_images_argument
from vlselect.pool.records import Record
from vlselect.pool.samples import ROW_GROUP, Samples
from vlselect.subsets.exports.image_files import ImageFiles

logger = logging.getLogger(__name__)


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--format", required=True, choices=registry.names("export"))
    parser.add_argument("--samples", type=Path, required=True, help="pool/samples.parquet")
    add_images_argument(parser, required=True)
    parser.add_argument("--subset", type=Path, required=True, help="Parquet of the chosen rows")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    return parser


def chosen_records(samples: Samples, chosen: pd.DataFrame) -> Iterator[Record]:
    """Yield the chosen records in the order of the pool, reading a row group of them at a time.

    Raises
    ------
    InputError
        If a row's id is not that in the subset: it was chosen from another pool.
    """
    chosen = chosen.sort_values("row")
    for start in range(0, len(chosen), ROW_GROUP):
        part = chosen.iloc[start : start + ROW_GROUP]
        for name, record in zip(part["sample_id"], samples.records(part["row"]), strict=True):
            if name != record.sample_id:
                raise InputError(
                    f"{samples.path} has sample {record.sample_id!r} where the subset has {name!r}:"
                    " it was chosen from another pool"
                )
            yield record


def main(argv: list[str] | None = None) -> None:
    args = build_parser().parse_args(argv)
    log.start()
    write = registry.load("export", args.format).write
    samples = Samples(args.samples)
    chosen = read_parquet(args.subset, columns=["row", "sample_id"])
    args.images.require()
    with log.timed(f"export as {args.format}"), replacing_directory(args.out) as folder:
        images = ImageFiles(args.images, folder, args.out)
        records = chosen_records(samples, chosen)
        write(log.progress(records, len(chosen), "records"), images, folder)
    logger.info("%d records; %d images written beside them", len(chosen), images.n_written)


if __name__ == "__main__":
    main()

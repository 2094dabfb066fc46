"""Encode the tasks' samples, as a model's passes will; no weights are loaded.

Validation samples are encoded whole, test samples up to the answer. Writes a Parquet table as
check_samples.py does; `part` is <task>/<split>.
"""

import argparse
import gc
import logging
from pathlib import Path

if __name__ == "__main__":
    gc.disable()  # until log.start: what is imported here is no garbage

import pandas as pd

from vlselect.core import log, store
from vlselect.features.counting import load_counters
from vlselect.features.refusals import check
from vlselect.models import loading
from vlselect.pool.samples import Samples

logger = logging.getLogger(__name__)

PART = ("names", "samples", "images")


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    about = ("<task>/<split> of each part, validation or test", "its samples", "its image root")
    for key, text in zip(PART, about, strict=True):
        parser.add_argument(f"--{key}", nargs="+", required=True, help=text)
    parser.add_argument("--max-pixels", type=int, required=True, help="largest image allowed")
    loading.add_processor_arguments(parser)
    parser.add_argument("--out", type=Path, required=True, help="Parquet table")
    return parser


def main(argv: list[str] | None = None) -> None:
    args = build_parser().parse_args(argv)
    log.start()
    whole, prompt = load_counters(args)
    tables = []
    for name, path, images in zip(*(getattr(args, key) for key in PART), strict=True):
        samples, count = Samples(path), prompt if name.endswith("/test") else whole
        where = {"max_pixels": args.max_pixels, "part": name}
        tables.append(check(count, samples, range(len(samples)), images, **where))
    table = pd.concat(tables, ignore_index=True)
    refused = int((table["reason"] != "").sum())
    logger.info("%d samples of %d sets, %d refused", len(table), len(tables), refused)
    store.write_parquet(table, args.out)


if __name__ == "__main__":
    main()

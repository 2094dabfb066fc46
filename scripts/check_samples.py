"""Encode every sample of one pool shard, as a model's passes will; no weights are loaded.

Writes a Parquet table: part, row, sample_id, tokens (of the whole conversation, text and images),
response_tokens (those in the finetuning loss), and reason and message where the model refuses the
sample.
"""

import argparse
import gc
import logging
from pathlib import Path

if __name__ == "__main__":
    gc.disable()  # until log.start: what is imported here is no garbage

from vlselect.core import log, store
from vlselect.core.shard_files import shard_rows
from vlselect.features.counting import load_counters
from vlselect.features.refusals import check
from vlselect.models import loading
from vlselect.pool.samples import Samples, add_samples_arguments

logger = logging.getLogger(__name__)


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    add_samples_arguments(parser)
    parser.add_argument("--shard", default="1-of-1", help="shard of the pool, <i>-of-<n>")
    loading.add_processor_arguments(parser)
    parser.add_argument("--out", type=Path, required=True, help="Parquet table")
    return parser


def main(argv: list[str] | None = None) -> None:
    args = build_parser().parse_args(argv)
    log.start()
    samples = Samples(args.samples)
    count, _ = load_counters(args)
    rows = shard_rows(len(samples), args.shard)
    table = check(count, samples, rows, args.images, max_pixels=args.max_pixels)
    refused = int((table["reason"] != "").sum())
    logger.info("%d samples with %d tokens, %d refused", len(table), table["tokens"].sum(), refused)
    store.write_parquet(table, args.out)


if __name__ == "__main__":
    main()

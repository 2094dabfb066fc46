"""Count the tokens of each sample of one pool shard, as a model sees it; no weights are loaded.

Writes a Parquet table: row, tokens (of the whole conversation, text and images) and
response_tokens (those in the finetuning loss).
"""

import argparse
import logging
from pathlib import Path

import pandas as pd

from vlselect.core import log, store
from vlselect.models import loading
from vlselect.pool import images
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
    vlm = loading.load_without_weights(args)
    rows = store.shard_rows(len(samples), args.shard)
    counted = []
    for start in log.progress(range(rows.start, rows.stop, store.BLOCK), description="tokens"):
        block = range(start, min(start + store.BLOCK, rows.stop))
        for row, record in zip(block, samples.records(block), strict=True):
            pictures = [images.load(args.images, name, args.max_pixels) for name in record.images]
            encoded = vlm.encode(record, pictures)
            counted.append((row, len(encoded), int(encoded.response.sum())))
    table = pd.DataFrame(counted, columns=["row", "tokens", "response_tokens"]).astype("int64")
    logger.info("%d samples with %d tokens", len(table), table["tokens"].sum())
    store.write_parquet(table, args.out)


if __name__ == "__main__":
    main()

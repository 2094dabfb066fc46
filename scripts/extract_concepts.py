"""Find the concepts of every sample of the pool, from its text alone; no model is run.

Writes a Parquet table of the samples (row, concepts) and one of the concepts, in the order in which
those are numbered: type, text, samples that have it, degree, importance.
"""

import argparse
import logging
from collections.abc import Iterator
from pathlib import Path

from vlselect.core import log, store
from vlselect.methods.maths import concepts
from vlselect.pool.records import Record
from vlselect.pool.samples import ROW_GROUP, Samples

logger = logging.getLogger(__name__)


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=Path, required=True, help="pool/samples.parquet")
    about = "pipeline of spaCy that tags and parses, a name or a folder; without it, no tagger"
    parser.add_argument("--tagger", help=about)
    about = "words of a question together with its answer are concepts, too"
    parser.add_argument("--pairs", action="store_true", help=about)
    about = "samples that a concept has to be in at least"
    parser.add_argument("--min-samples", type=int, required=True, help=about)
    parser.add_argument("--out-samples", type=Path, required=True, help="Parquet: row, concepts")
    parser.add_argument("--out-vocabulary", type=Path, required=True, help="Parquet: the concepts")
    return parser


def read_records(samples: Samples) -> Iterator[Record]:
    """Yield all records in row order."""
    for start in log.progress(range(0, len(samples), ROW_GROUP), description="concepts"):
        yield from samples.records(range(start, min(start + ROW_GROUP, len(samples))))


def main(argv: list[str] | None = None) -> None:
    args = build_parser().parse_args(argv)
    log.start()
    samples = Samples(args.samples)
    read = concepts.tagged_reader(args.tagger) if args.tagger else concepts.read_plainly
    with log.timed("concepts"):
        table, vocabulary = concepts.of_samples(
            read_records(samples), read, pairs=args.pairs, min_samples=args.min_samples
        )
    counts = ", ".join(f"{n} {kind}" for kind, n in vocabulary["type"].value_counts().items())
    without = sum(len(own) == 0 for own in table["concepts"])
    logger.info("%d samples, %d without a concept; %s", len(table), without, counts)
    store.write_parquet(table, args.out_samples)
    store.write_parquet(vocabulary, args.out_vocabulary)


if __name__ == "__main__":
    main()

"""Decide which samples a model's passes leave out: none, or an error, or all that it refuses.

Writes a Parquet table: part, row, sample_id. A test question is never left out, since scores on
fewer questions could not be compared.
"""

import argparse
import logging
from pathlib import Path

import pandas as pd

from vlselect.core import log, store
from vlselect.core.errors import InputError
from vlselect.core.refused import ON_REFUSED, POOL, describe
from vlselect.core.store import read_parquet

logger = logging.getLogger(__name__)


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    about = "tables of check_samples.py or check_tasks.py, all shards"
    parser.add_argument("--checked", type=Path, nargs="+", required=True, help=about)
    parser.add_argument("--refused", type=Path, required=True, help="the refused ones, as CSV")
    parser.add_argument("--name", required=True, help="of the model in the config")
    about = "refused samples end the run, or are left out"
    parser.add_argument("--on-refused", choices=ON_REFUSED, required=True, help=about)
    parser.add_argument("--out", type=Path, required=True, help="Parquet table")
    return parser


def require_rest(checked: pd.DataFrame, refused: pd.DataFrame, what: str) -> None:
    """Check that something is left of the pool and of each validation set, and all of each test."""
    for part, wanted in checked["part"].value_counts(sort=False).items():
        found = int((refused["part"] == part).sum())
        if part.endswith("/test") and found:
            raise InputError(f"{what}\nTake the questions out of {part}, or use another model")
        if found == wanted:
            raise InputError(
                f"{what}\nNothing is left of {part}: where a model refuses every sample, the cause "
                "is its `max_length`, processor or chat template more often than the data"
            )


def main(argv: list[str] | None = None) -> None:
    args = build_parser().parse_args(argv)
    log.start()
    checked = pd.concat([read_parquet(path) for path in args.checked])
    refused = checked[checked["reason"] != ""].sort_values(["part", "row"], ignore_index=True)
    if len(refused):
        of = f"{len(refused)} of {len(checked)} samples"
        what = f"model {args.name!r} refuses {of}: {describe(refused)}\nAll are in {args.refused}"
        require_rest(checked, refused, what)
        if args.on_refused == "error":
            pool = set(refused["part"]) == {POOL}
            where = "the pool (`pool.exclude`)" if pool else "the tasks' files"
            raise InputError(
                f"{what}\nTake them out of {where}, or set `on_refused: reject`: what reads model "
                f"{args.name!r} then leaves them out"
            )
        logger.warning("%s", what)
    store.write_parquet(refused[["part", "row", "sample_id"]], args.out)


if __name__ == "__main__":
    main()

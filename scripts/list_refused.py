"""List the samples that a model refuses, of the pool or of the tasks, with the reason of each."""

import argparse
import logging
from pathlib import Path

import pandas as pd

from vlselect.core import log
from vlselect.core.store import read_parquet
from vlselect.tables import declarations

logger = logging.getLogger(__name__)


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    about = "tables of check_samples.py or check_tasks.py, all shards"
    parser.add_argument("--checked", type=Path, nargs="+", required=True, help=about)
    parser.add_argument("--table", choices=("refused", "refused_tasks"), required=True)
    parser.add_argument("--out", type=Path, required=True, help="CSV")
    return parser


def main(argv: list[str] | None = None) -> None:
    args = build_parser().parse_args(argv)
    log.start()
    checked = pd.concat([read_parquet(path) for path in args.checked])
    refused = checked[checked["reason"] != ""].sort_values(["part", "row"], ignore_index=True)
    names = [part.partition("/") for part in refused["part"]]
    refused = refused.assign(task=[name[0] for name in names], split=[name[2] for name in names])
    columns = list(declarations.TABLES[args.table])
    declarations.write_table(refused[columns], args.table, args.out)
    logger.info("%d of %d samples are refused", len(refused), len(checked))


if __name__ == "__main__":
    main()

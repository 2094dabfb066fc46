"""Check that every task's test set can be scored by its metric, before any model is trained.

Writes JSON: the number of test samples of each task.
"""

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path

from vlselect.benchmarks.predictions import Benchmark, add_task_argument, check_test
from vlselect.core import log, store
from vlselect.core.errors import InputError

logger = logging.getLogger(__name__)


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    add_task_argument(parser)
    parser.add_argument("--out", type=Path, required=True, help="JSON to write")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    args = build_parser().parse_args(argv)
    log.start()
    found, complaints = {}, []
    for task in args.task:
        try:
            found[task[0]] = check_test(Benchmark.parse(*task))
        except InputError as error:
            complaints.append(f"task {task[0]!r}, metric {task[1]}: {error}")
    if complaints:
        raise InputError("tests that cannot be scored:\n" + "\n".join(complaints))
    store.write_json(found, args.out)
    logger.info("%d test sets can be scored: %s", len(found), found)


if __name__ == "__main__":
    main()

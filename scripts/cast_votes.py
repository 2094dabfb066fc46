"""Let each task vote for its most influential samples; count the votes and average the ranks.

Writes a Parquet table in pool order: row, a column of 0 and 1 for each task, votes, mean_rank.
"""

import argparse
import logging
from pathlib import Path

import numpy as np
import pandas as pd

from vlselect.core import log, store
from vlselect.core.errors import InputError
from vlselect.core.refused import accepted, naming, refused_in, spread
from vlselect.core.store import read_parquet
from vlselect.gradients import voting

logger = logging.getLogger(__name__)
OWN_COLUMNS = {"row", "votes", "mean_rank"}


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--influence",
        type=Path,
        nargs="+",
        required=True,
        help="<task>.parquet of each voting task",
    )
    parser.add_argument(
        "--top-percent",
        type=float,
        required=True,
        help="share that each task votes for",
    )
    parser.add_argument("--out", type=Path, required=True, help="Parquet: the votes")
    return parser


def read_influences(paths: list[Path]) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Read the tasks' names from the file names, their influences (N, T), and the refused rows.

    Raises
    ------
    InputError
        If a task is repeated or has the name of another column, or rows differ from the first's.
    """
    tasks = [path.stem for path in paths]
    if len(set(tasks)) < len(tasks) or OWN_COLUMNS & set(tasks):
        raise InputError(f"tasks {tasks} must differ from each other and from {OWN_COLUMNS}")
    frames = [read_parquet(path) for path in paths]
    for path, frame in zip(paths, frames, strict=True):
        if not np.array_equal(frame["row"], np.arange(len(frames[0]))):
            raise InputError(f"{path} does not hold rows 0 to {len(frames[0]) - 1} in order")
    table = np.column_stack([frame["influence"].to_numpy() for frame in frames])
    return tasks, table, refused_in(frames)


def main(argv: list[str] | None = None) -> None:
    args = build_parser().parse_args(argv)
    log.start()
    tasks, table, refused = read_influences(args.influence)
    n, kept = len(table), accepted(len(table), refused)
    table = table[kept]
    with log.timed("votes"):
        voting.require_informative(table, tasks)
        votes = voting.cast_votes(table, args.top_percent)
        total = votes.sum(axis=1, dtype=np.uint16)
        ranks = voting.mean_rank(table)
    logger.info(
        "%d samples, %d tasks, top %g percent; samples by number of votes: %s",
        *(len(table), len(tasks), args.top_percent, np.bincount(total).tolist()),
    )
    columns = dict(zip(tasks, spread(votes, kept, n, 0).T, strict=True))
    columns |= {"votes": spread(total, kept, n, 0), "mean_rank": spread(ranks, kept, n, np.nan)}
    frame = pd.DataFrame({"row": np.arange(n), **columns})
    store.write_parquet(naming(frame, refused), args.out)


if __name__ == "__main__":
    main()

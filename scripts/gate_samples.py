"""Find the samples that no method may choose: in each group, those with the highest loss.

A sample's group is the task whose validation samples it is most similar to, by its vector;
without validation samples, its source. Writes a Parquet table: row, sample_id, group, loss and
gated.
"""

import argparse
import json
import logging
from pathlib import Path

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from vlselect.core import log, store
from vlselect.core.errors import InputError
from vlselect.core.refused import accepted, naming
from vlselect.core.store import ShardedArray
from vlselect.gradients import gate, influence
from vlselect.pool.samples import Samples

logger = logging.getLogger(__name__)


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=Path, required=True, help="pool/samples.parquet")
    parser.add_argument("--losses", nargs="+", required=True, help="shards of the pool's losses")
    parser.add_argument("--pool", nargs="*", default=[], help="shards of the pool's vectors")
    parser.add_argument("--sets", nargs="*", default=[], help="names of the validation sets")
    about = "validation gradients, a file for each set"
    parser.add_argument("--validation", nargs="*", default=[], help=about)
    about = 'JSON: {"<task>": ["<validation set>", …], …}'
    parser.add_argument("--tasks", type=json.loads, default={}, help=about)
    parser.add_argument("--share", required=True, help="share of each group, between 0 and 1")
    parser.add_argument("--threads", type=int, required=True, help="threads of the matrix products")
    parser.add_argument("--out", type=Path, required=True, help="Parquet to write")
    return parser


def groups_of(
    args: argparse.Namespace, pool: pd.DataFrame, losses: ShardedArray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the group of each sample, text (N,), and the rows without a gradient."""
    if not args.sets:
        logger.info("no validation gradients: the groups are the sources")
        return pool["source"].to_numpy(object), np.empty(0, np.int64)
    gradients = ShardedArray(args.pool)
    for key in influence.ORIGIN:
        if gradients.metadata[0].get(key) != losses.metadata[0].get(key):
            raise InputError(f"gradients and losses differ in {key!r}")
    require_rows(gradients, pool)
    files = zip(args.sets, args.validation, strict=True)
    validation = {name: ShardedArray([path]) for name, path in files}
    with threadpool_limits(args.threads):
        places = gate.nearest_tasks(gradients, validation, args.tasks)
    return np.array([*args.tasks], dtype=object)[places], gradients.refused


def require_rows(array: ShardedArray, pool: pd.DataFrame) -> None:
    """Raise InputError if an array does not have a row for each sample of the pool."""
    if len(array) != len(pool):
        what = f"{array.paths[0]} and the other shards"
        raise InputError(f"{what} have {len(array)} rows for a pool of {len(pool)} samples")


def gate_table(
    pool: pd.DataFrame, losses: np.ndarray, groups: np.ndarray, refused: np.ndarray, share: str
) -> pd.DataFrame:
    """Return row, sample_id, group, loss and gated; refused samples have neither group nor loss."""
    kept = accepted(len(pool), refused)
    frame = pd.DataFrame({"row": np.arange(len(pool)), "sample_id": pool["sample_id"]})
    frame["group"], frame["loss"], frame["gated"] = groups, losses, False
    frame.loc[refused, "group"], frame.loc[refused, "loss"] = "", np.nan
    ids = frame["sample_id"].to_numpy(object)
    frame.loc[kept, "gated"] = gate.gated(losses[kept], groups[kept], share, ids[kept])
    return naming(frame, refused)


def main(argv: list[str] | None = None) -> None:
    args = build_parser().parse_args(argv)
    log.start()
    pool = Samples(args.samples).frame(["sample_id", "source"])
    losses = ShardedArray(args.losses)
    require_rows(losses, pool)
    with log.timed("gate"):
        groups, refused = groups_of(args, pool, losses)
        refused = np.union1d(refused, losses.refused).astype(np.int64)
        table = gate_table(pool, losses[:], groups, refused, args.share)
    for group, part in table[table["group"] != ""].groupby("group"):
        least = part.loc[part["gated"], "loss"].min()
        counts = (group, len(part), part["gated"].sum(), least)
        logger.info("%s: %d samples, %d gated, their losses from %.4g", *counts)
    store.write_parquet(table, args.out)


if __name__ == "__main__":
    main()

"""Compute the influence of every pool sample on every task and group of tasks, in one pass.

Reads projected gradients of the pool and of each task's validation set; writes a Parquet table
(row, influence) for each task and group and, if asked, each task's full matrix of pool samples by
validation samples.
"""

import argparse
import json
import logging
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from vlselect.core import log, store
from vlselect.core.errors import InputError
from vlselect.core.refused import naming
from vlselect.core.sources import code_digest, imported_sources
from vlselect.core.store import ShardedArray, ShardWriter
from vlselect.gradients import influence

logger = logging.getLogger(__name__)


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pool", nargs="+", required=True, help="shards of the pool's gradients")
    parser.add_argument("--tasks", nargs="+", required=True, help="names of the tasks")
    parser.add_argument(
        "--validation", nargs="+", required=True, help="validation gradients, a file for each task"
    )
    parser.add_argument("--groups", default="{}", help='JSON: {"<group>": ["<subtask>", …], …}')
    parser.add_argument("--threads", type=int, required=True, help="threads of the matrix products")
    parser.add_argument(
        "--out", type=Path, nargs="+", required=True, help="<name>.parquet for each task and group"
    )
    parser.add_argument(
        "--out-matrices", type=Path, nargs="*", default=[], help="safetensors, one for each task"
    )
    return parser


def open_gradients(args: argparse.Namespace) -> tuple[ShardedArray, dict[str, ShardedArray]]:
    """Open the gradients of the pool and of each task, and check that they are comparable."""
    if len(args.tasks) != len(args.validation) or len(set(args.tasks)) < len(args.tasks):
        raise InputError(f"tasks {args.tasks} and validation files {args.validation} do not pair")
    if args.out_matrices and len(args.out_matrices) != len(args.tasks):
        raise InputError(f"{len(args.out_matrices)} matrix files for {len(args.tasks)} tasks")
    pool = ShardedArray(args.pool)
    tasks = {
        task: ShardedArray([path]) for task, path in zip(args.tasks, args.validation, strict=True)
    }
    influence.require_comparable({"pool": pool, **tasks})
    for task, gradients in tasks.items():
        logger.info("%s: %d validation gradients", task, len(gradients))
    return pool, tasks


def matrix_header(pool: ShardedArray, task: str) -> dict[str, str]:
    """Return the header of a task's matrix: its rows, code digest, and origin of the gradients."""
    origin = ("projection", *influence.ORIGIN)
    header = {key: pool.only(key) for key in origin if key in pool.metadata[0]}
    code = code_digest(imported_sources(Path(__file__)))
    own = {"rows": f"0:{len(pool)}", "kind": f"influence on {task}", "task": task}
    return {**own, "code": code, **header}


def main(argv: list[str] | None = None) -> None:
    args = build_parser().parse_args(argv)
    log.start()
    pool, tasks = open_gradients(args)
    groups = json.loads(args.groups)
    outputs = {path.stem: path for path in args.out}
    names = [*tasks, *groups]
    if sorted(path.stem for path in args.out) != sorted(names):
        raise InputError(f"files {list(outputs)} do not match tasks and groups {names}")
    logger.info("pool: %d gradients of width %d, %d threads", *pool.shape, args.threads)
    with log.timed("influence"), threadpool_limits(args.threads), ExitStack() as stack:
        writers = []
        for path, task in zip(args.out_matrices, tasks, strict=False):
            shape = (len(pool), len(tasks[task]) - len(tasks[task].refused))
            writer = ShardWriter(path, shape, np.float16, matrix_header(pool, task))
            writers.append(stack.enter_context(writer))
        table = influence.compute(pool, list(tasks.values()), writers)
    columns = influence.with_groups(dict(zip(tasks, table.T, strict=True)), groups)
    for name, path in outputs.items():
        frame = pd.DataFrame({"row": np.arange(len(pool)), "influence": columns[name]})
        store.write_parquet(naming(frame, pool.refused), path)


if __name__ == "__main__":
    main()

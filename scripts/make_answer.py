"""Make the page that answers first: what the pool is, which subset to take and why, where it is.

Writes one static HTML file. It shows what the run made and nothing else: a table that the run has
not is not given here, and the page says what is not known without it.
"""

import argparse
import json
import logging
from pathlib import Path, PurePosixPath

import numpy as np
import pyarrow.parquet as pq

from vlselect.answer import page, reasons
from vlselect.answer.choice import choices
from vlselect.answer.loading import loadings
from vlselect.answer.pool_facts import Pool, facts
from vlselect.core import log, store
from vlselect.core.store import ShardedArray, read_parquet
from vlselect.tables.declarations import (
    REFERENCE,
    Run,
    add_budgets_argument,
    read_shares,
    read_table,
)

logger = logging.getLogger(__name__)
COMPARED = ("comparison_with_random", "relative_performance", "cost")


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", required=True, help="name of the run, for the title")
    parser.add_argument("--samples", type=Path, required=True, help="pool/samples.parquet")
    parser.add_argument("--summary", type=Path, nargs="?", help="pool/summary.json")
    parser.add_argument("--contamination", type=Path, nargs="?", help="contamination.csv")
    parser.add_argument("--screened", action="store_true", help="copies were taken out")
    parser.add_argument("--duplicates", type=Path, nargs="?", help="duplicates.parquet")
    parser.add_argument("--gate", type=Path, nargs="?", help="gate/seed-<s>.parquet")
    about = "shards of the pool's losses, in place of a gate"
    parser.add_argument("--losses", type=Path, nargs="*", help=about)
    parser.add_argument("--subsets", type=Path, required=True, help="folder of subsets")
    parser.add_argument("--runs", nargs="+", required=True, help="<method>/<name> of each subset")
    parser.add_argument("--composition", type=Path, required=True, help="subset_composition.csv")
    parser.add_argument(
        "--compared", type=Path, nargs="*", default=[], help=f"{', '.join(COMPARED)}, as CSV"
    )
    add_budgets_argument(parser)
    parser.add_argument("--exports", nargs="*", default=[], help="formats that the run writes")
    parser.add_argument("--images", nargs="+", required=True, help="where the pool's images are")
    parser.add_argument("--out", type=Path, required=True, help="HTML to write")
    return parser


def read_pool(args: argparse.Namespace) -> Pool:
    """Read what the run knows of its pool."""
    summary = json.loads(args.summary.read_text(encoding="utf-8")) if args.summary else {}
    return Pool(
        read_parquet(args.samples, columns=["source", "n_images", "digest"]),
        summary,
        read_table(args.contamination, "contamination") if args.contamination else None,
        args.screened,
        read_parquet(args.duplicates) if args.duplicates else None,
        *read_losses(args),
    )


def read_losses(args: argparse.Namespace) -> tuple[np.ndarray | None, int | None]:
    """Read the pool's losses, (N,), and how many samples are gated; None for what there is not."""
    if args.gate:
        gate = read_parquet(args.gate)
        return gate["loss"].to_numpy(np.float64), int(gate["gated"].sum())
    if args.losses:
        return ShardedArray(args.losses)[:].astype(np.float64), None
    return None, None


def read_subsets(args: argparse.Namespace) -> list[page.Subset]:
    """Read how large each subset is; the whole pool is none."""
    shares = read_shares(args.budgets)
    runs = [(name, Run.parse(name, shares)) for name in args.runs]
    return [
        page.Subset(
            name,
            run.method,
            run.ratio,
            run.seed,
            pq.read_metadata(args.subsets / f"{name}.parquet").num_rows,
        )
        for name, run in runs
        if run.method != REFERENCE
    ]


def one_folder(images: list[str]) -> str | None:
    """Return the pool's folder of images, if it has just one; else exports bring their images."""
    return images[0] if len(images) == 1 and Path(images[0]).is_dir() else None


def trial_of(pool: Pool) -> tuple[int, int] | None:
    """Return how many records a trial took, and of how many; None if the run is none."""
    summary = pool.summary
    return (summary["taken"], summary["read"]) if "taken" in summary else None


def gather(args: argparse.Namespace) -> page.Answer:
    """Read all that the page shows."""
    pool, subsets = read_pool(args), read_subsets(args)
    trial, found = trial_of(pool), []
    if args.compared and not trial:
        paths = zip(args.compared, COMPARED, strict=True)
        found = choices(*(read_table(path, name) for path, name in paths))
    taken = page.take(found, subsets)
    shown = taken or next(iter(subsets), None)
    results = PurePosixPath(args.out.parent.as_posix())
    return page.Answer(
        run=args.run,
        results=results,
        facts=facts(pool),
        n_pool=len(pool.samples),
        choices=found,
        subsets=subsets,
        composition=read_table(args.composition, "subset_composition"),
        taken=taken,
        loadings=loadings(results, shown.name, args.exports, one_folder(args.images))
        if shown
        else [],
        trial=trial,
        without="" if found else reasons.without_comparison(bool(args.compared), trial),
    )


def main(argv: list[str] | None = None) -> None:
    args = build_parser().parse_args(argv)
    log.start()
    answer = gather(args)
    with store.replacing(args.out) as path:
        path.write_text(page.fill(answer), encoding="utf-8")
    logger.info("%d subsets; taken: %s", len(answer.subsets), answer.taken and answer.taken.name)


if __name__ == "__main__":
    main()

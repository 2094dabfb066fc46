"""Check that the pool lost few records, and can meet budgets and constraints, before any pass.

Writes JSON: the number of samples of each budget; for a budget in tokens, the fewest samples that
the constraints require. Near-duplicates are not known yet and not considered.
"""

import argparse
import json
import logging
from collections.abc import Sequence
from pathlib import Path

from vlselect.core import log, store
from vlselect.core.errors import InfeasibleError, InputError, naming_file
from vlselect.gradients import gate
from vlselect.pool.rejection import require_few_rejected
from vlselect.pool.samples import Samples
from vlselect.subsets import budget, signals
from vlselect.subsets.constraints import Constraints, read_constraints

logger = logging.getLogger(__name__)


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=Path, required=True, help="pool/samples.parquet")
    parser.add_argument("--budgets", nargs="*", required=True, help="as in the paths")
    parser.add_argument("--summary", type=Path, nargs="?", help="pool/summary.json")
    what = "share of the records that may be rejected; absent: any"
    parser.add_argument("--max-rejected", type=float, nargs="?", help=what)
    parser.add_argument("--keep", type=Path, help="ids; see samples.read_ids")
    parser.add_argument("--exclude", type=Path, help="ids")
    about = "JSON: minimum, maximum, quota: source to count or share"
    parser.add_argument("--bounds", type=json.loads, default={}, help=about)
    about = "pass over ids and sources that are not in the pool: a trial"
    parser.add_argument("--part-of-pool", action="store_true", help=about)
    about = "share of each group that the gate leaves out of every choice"
    parser.add_argument("--gate", help=about)
    about = "number of those groups; 0: the sources"
    parser.add_argument("--gate-groups", type=int, default=0, help=about)
    parser.add_argument("--out", type=Path, required=True, help="JSON to write")
    return parser


def sizes(
    labels: Sequence[str], n_pool: int, constraints: Constraints | None, n_gated: int = 0
) -> tuple[dict[str, int], list[str]]:
    """Return the samples of each budget that can be met, and an error for each other one.

    `n_gated` samples or more are left out, but for those to keep.
    """
    found, complaints = {}, []
    left = n_pool - n_gated + (len(constraints.keep) if constraints else 0)
    for label in labels:
        try:
            if budget.parse(label)[0] == "tokens":
                found[label] = constraints.smallest() if constraints else 1
                continue
            n = budget.samples(n_pool, label)
            if constraints:
                constraints.limits(n)
            if n > left:
                raise InfeasibleError(f"{n} samples are wanted, the gate leaves {left} at most")
            found[label] = n
        except InputError as error:
            complaints.append(f"{label}: {error}")
    return found, complaints


def main(argv: list[str] | None = None) -> None:
    args = build_parser().parse_args(argv)
    log.start()
    samples = Samples(args.samples)
    if args.summary:
        with naming_file(args.summary):
            summary = json.loads(args.summary.read_text(encoding="utf-8"))
            n_accepted = summary["accepted"]
        if len(samples) != n_accepted:
            raise InputError(
                f"{args.samples} has {len(samples)} samples, and {args.summary} tells of "
                f"{n_accepted}: one of them is of another run; --forcerun prepare_pool makes both"
            )
        if args.max_rejected is not None:
            require_few_rejected(summary, args.max_rejected)
    pool = signals.read_pool(samples)
    constraints = read_constraints(
        *(samples, pool, args.keep, args.exclude, args.bounds), part_of_pool=args.part_of_pool
    )
    n_gated = 0
    if args.gate:
        n_groups = args.gate_groups or pool["source"].nunique()
        n_gated = gate.fewest(len(pool), args.gate, n_groups)
    found, complaints = sizes(args.budgets, len(pool), constraints, n_gated)
    if complaints:
        raise InputError("budgets that cannot be met:\n" + "\n".join(complaints))
    store.write_json(found, args.out)
    logger.info("%d budgets fit the pool of %d samples", len(found), len(pool))


if __name__ == "__main__":
    main()

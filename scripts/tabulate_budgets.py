"""Tabulate the share of the pool that each budget amounts to.

A ratio or a number of samples is a share of the pool's samples, a number of tokens one of its
tokens. All other tables name a budget by this ratio, so two budgets must not have the same.
"""

import argparse
import logging
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

from vlselect.core import log
from vlselect.core.errors import InputError
from vlselect.pool.samples import Samples
from vlselect.subsets import budget, token_budget
from vlselect.tables import declarations

logger = logging.getLogger(__name__)


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog=f"columns of budgets.csv:\n{declarations.describe('budgets')}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--samples", type=Path, required=True, help="pool/samples.parquet")
    parser.add_argument("--tokens", type=Path, nargs="*", default=[], help="all shards of tokens")
    parser.add_argument("--budgets", nargs="+", required=True, help="as in the paths")
    parser.add_argument("--out", type=Path, required=True, help="budgets.csv")
    return parser


def budget_rows(labels: Sequence[str], n_samples: int, n_tokens: int) -> list[dict]:
    """Compute the rows of ``budgets.csv``.

    Raises
    ------
    InputError
        If a budget exceeds the pool, or two budgets have the same ratio.
    """
    rows, seen = [], {}
    for label in labels:
        kind, number = budget.parse(label)
        pool = n_tokens if kind == "tokens" else n_samples
        amount = int(number) if kind == "tokens" else budget.samples(n_samples, label)
        ratio = number if kind == "ratio" else share_label(amount, pool)
        other = seen.setdefault(float(ratio), label)
        if other != label:
            raise InputError(
                f"budgets {other} and {label} are both {ratio} of the pool, so tables cannot "
                "distinguish them: remove one, or change it slightly"
            )
        rows.append({"budget": label, "amount": amount, "pool": pool, "ratio": ratio})
    return rows


def share_label(amount: int, pool: int) -> str:
    """Format a share like a ratio, with six decimals at most."""
    whole, _, decimals = f"{float(Fraction(amount, pool)):.6f}".partition(".")
    return f"{whole}.{decimals.rstrip('0') or '0'}"


def main(argv: list[str] | None = None) -> None:
    args = build_parser().parse_args(argv)
    log.start()
    n = len(Samples(args.samples))
    n_tokens = int(token_budget.read_tokens(args.tokens, n).sum()) if args.tokens else 0
    table = declarations.write_table(budget_rows(args.budgets, n, n_tokens), "budgets", args.out)
    logger.info("%d budgets of %d samples and %d tokens", len(table), n, n_tokens)


if __name__ == "__main__":
    main()

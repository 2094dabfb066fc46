"""Budgets as files are named by them: a share of the pool, a number of samples or of tokens."""

from vlselect.core import ordering
from vlselect.core.errors import InputError

KINDS = ("ratio", "samples", "tokens")


def parse(label: str) -> tuple[str, str]:
    """Split a budget such as ratio-0.2, samples-1000 or tokens-2000000 into kind and number."""
    kind, _, number = label.partition("-")
    if kind not in KINDS or not number or (kind != "ratio" and not number.isdecimal()):
        raise InputError(f"budget {label!r} is not ratio-<share>, samples-<n> or tokens-<n>")
    return kind, number


def samples(n_pool: int, label: str) -> int:
    """Return the number of samples in a budget of a ratio or of samples.

    The label is, for example, ``ratio-0.2`` (see `ordering.size`) or ``samples-1000``; InputError
    if it is something else, or the pool has fewer samples.
    """
    kind, number = parse(label)
    if kind == "tokens":
        raise InputError(f"budget {label}: its number of samples depends on which are chosen")
    if kind == "ratio":
        return ordering.size(n_pool, number)
    if not 1 <= int(number) <= n_pool:
        raise InputError(f"budget {label} does not fit a pool of {n_pool} samples")
    return int(number)

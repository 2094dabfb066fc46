"""Draw validation and test sets from a benchmark's questions, without an image in common.

Draws use hashes of seed and id (`ordering.draw`), so they depend neither on the order of a file nor
on how many other questions are drawn.
"""

from collections.abc import Sequence

from vlselect.core import ordering
from vlselect.core.errors import InputError


def divide(
    names: Sequence[str],
    groups: Sequence[str],
    validation: float | str,
    test: float | str,
    seed: int,
    *,
    whole: bool = False,
    only_test: Sequence[bool] | None = None,
) -> tuple[list[int], list[int]]:
    """Divide questions into a validation and a test set: ascending rows of each.

    Groups (the questions about one image) are drawn in a random order: the first ones fill the
    validation set, the following ones the test set. If a set takes only part of its last group, the
    rest of that group is in neither set. Raises ValueError if there are too few questions.

    Parameters
    ----------
    names, groups : sequence of str, length N
        Id of each question (distinct), and of its group, which may not be split between the sets.
    validation, test : float, int or "all"
        A share below 1, a number, or all that are left.
    seed : int
    whole : bool
        The test set gets whole groups only, and may then be smaller than requested.
    only_test : sequence of bool, optional
        Questions that may not be validation samples.
    """
    order = grouped(names, groups, seed)
    barred = only_test if only_test is not None else [False] * len(names)
    wanted = count(validation, len(names) - sum(barred))
    allowed = [[row for row in rows if not barred[row]] for rows in order]
    chosen, used = take(allowed, wanted, what="validation")
    tested, _ = take(order[used:], count(test, len(names)), whole, "test")
    return chosen, tested


def divide_apart(
    validation_set: tuple[Sequence[str], Sequence[str]],
    test_set: tuple[Sequence[str], Sequence[str]],
    validation: float | str,
    test: float | str,
    seed: int,
    *,
    whole: bool = False,
) -> tuple[list[int], list[int], list[int]]:
    """Draw validation and test questions, each from a set of its own; parameters as for `divide`.

    The test set is drawn by groups; the validation set question by question, without the groups in
    the test set.

    Returns
    -------
    validation, test, barred : list of int
        Ascending rows: `validation` and `barred` (questions whose group is in the test set) of the
        validation set, `test` of the test set.
    """
    tested, _ = take(grouped(*test_set, seed), count(test, len(test_set[0])), whole, "test")
    used = {test_set[1][row] for row in tested}
    barred = [row for row, group in enumerate(validation_set[1]) if group in used]
    free = [row for row, group in enumerate(validation_set[1]) if group not in used]
    names = [validation_set[0][row] for row in free]
    wanted = count(validation, len(free))
    drawn, _ = take(grouped(names, names, seed), wanted, what="validation")
    return [free[i] for i in drawn], tested, barred


def grouped(names: Sequence[str], groups: Sequence[str], seed: int) -> list[list[int]]:
    """Return the rows of each group; groups, and rows in them, in random order."""
    members: dict[str, list[int]] = {}
    for row in ordering.draw(names, len(names), seed, "questions").tolist():
        members.setdefault(groups[row], []).append(row)
    kinds = list(members)
    return [members[kinds[i]] for i in ordering.draw(kinds, len(kinds), seed, "images")]


def take(
    order: Sequence[list[int]], wanted: int | None, whole: bool = False, what: str = "questions"
) -> tuple[list[int], int]:
    """Take rows group by group until there are as many as wanted; None takes all.

    Returns ascending rows and the number of groups visited. Raises ValueError, naming `what` they
    are for, if there are too few rows, or none.
    """
    if wanted is None:
        return sorted(row for rows in order for row in rows), len(order)
    taken, used = [], 0
    for rows in order:
        room = wanted - len(taken)
        if room <= 0:
            break
        used += 1
        if not whole or len(rows) <= room:
            taken += rows[:room]
    if wanted and (not taken or (len(taken) < wanted and not whole)):
        raise InputError(f"{what}: {wanted} questions wanted, but there are {len(taken)}")
    return sorted(taken), used


def count(size: float | str, available: int) -> int | None:
    """Return the number that a share below 1 or a number stands for; None for "all"."""
    if size == "all":
        return None
    return ordering.size(available, size) if 0 < size < 1 else int(size)

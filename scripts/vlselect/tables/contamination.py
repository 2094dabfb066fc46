"""Held-out records that are found where they should not be: counts, and a sentence for each.

Standard library only: the end of a run reads the table and says what it holds, and prepare_pool
may write it, which is not to be run again whenever another table changes (`declarations`).
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vlselect.core.errors import InputError

if TYPE_CHECKING:
    from vlselect.pool.contamination import Overlap

POOL = "pool"
COLUMNS = ("task", "split", "n", "place", "same_question", "same_conversation", "copies")


def contamination(sizes: Mapping[tuple[str, str], int], overlaps: Iterable[Overlap]) -> list[dict]:
    """Compute ``contamination.csv``.

    Parameters
    ----------
    sizes : mapping of (task, split) to int
        Records of each held-out set.
    overlaps : iterable of Overlap
        What the pool and the validation sets have of them. In the pool, each set has a row; in a
        validation set, its own task's test has one, another task's only where there are copies.
    """
    rows = []
    for overlap in overlaps:
        for (task, split), n in sizes.items():
            which = task, split
            own = split == "test" and overlap.place == f"{task}/validation"
            if overlap.place == POOL or own or overlap.copies[which]:
                counts = {
                    "same_question": len(overlap.questions.get(which, ())),
                    "same_conversation": len(overlap.conversations.get(which, ())),
                    "copies": overlap.copies[which],
                }
                rows.append({"task": task, "split": split, "n": n, "place": overlap.place} | counts)
    return rows


def write(rows: Sequence[Mapping], path: Path) -> None:
    """Write the rows as a CSV file."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def sentences(rows: Iterable[Mapping]) -> list[str]:
    """Return what the rows with copies say; their values may be texts, as in the CSV file."""
    return [
        f"{row['same_question']} of {row['n']} records of {row['task']}/{row['split']}"
        f" are in {'the pool' if row['place'] == POOL else row['place']}"
        for row in rows
        if int(row["copies"])
    ]


def require_none(rows: Iterable[Mapping], overlaps: Sequence[Overlap]) -> None:
    """Check that there are no copies; otherwise InputError counts and names them."""
    found = sentences(rows)
    if found:
        found += [f"{overlap.place}: {overlap.first()}" for overlap in overlaps if overlap.n]
        lines = "\n  ".join(["there are copies of validation or test records:", *found])
        cure = (
            "take them out of the files; `exclude` leaves those of the pool out, `warn` keeps all"
        )
        raise InputError(f"on_contamination: {lines}\n{cure}")

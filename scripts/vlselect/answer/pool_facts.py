"""What the pool is, in a few numbers; what the run did not look at is said as such."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from vlselect.answer.markup import Content
from vlselect.plan import evidence

IN_POOL = "pool"  # the place of copies in `contamination.csv`, beside those of validation sets


@dataclass(frozen=True)
class Pool:
    """What a run knows of its pool.

    Parameters
    ----------
    samples : DataFrame
        Columns source, n_images, digest, a row for each accepted sample.
    summary : mapping
        ``pool/summary.json``; empty where the pool was given.
    contamination : DataFrame, optional
        ``contamination.csv``; None where nothing was compared.
    screened : bool
        Whether copies of held-out records were taken out of the pool.
    duplicates : DataFrame, optional
        Pairs of near-duplicates, row_a and row_b.
    losses : array, optional
        Loss of each sample under a warmed-up model; NaN for refused ones.
    gated : int, optional
        Samples that the gate keeps from being chosen; None without a gate.
    """

    samples: pd.DataFrame
    summary: Mapping = field(default_factory=dict)
    contamination: pd.DataFrame | None = None
    screened: bool = False
    duplicates: pd.DataFrame | None = None
    losses: np.ndarray | None = None
    gated: int | None = None


def facts(pool: Pool) -> list[tuple[str, Content]]:
    """Return the name and the value of each fact, in the order in which they are shown."""
    return [
        ("Samples", _samples(pool)),
        ("Rejected", _rejected(pool)),
        ("Contaminated", _contaminated(pool)),
        ("Repeated", _repeated(pool)),
        ("Wrong answers", _wrong(pool)),
    ]


def percent(share: float) -> str:
    """Return a share in percent, with a digit after the point where it is small."""
    value = 100 * share
    return f"{value:.1f} %" if 0 < value < 10 else f"{value:.0f} %"


def _samples(pool: Pool) -> str:
    table = pool.samples
    text_only = int((table["n_images"] == 0).sum())
    sources = table["source"].nunique()
    parts = [f"{len(table):,}, from {sources} source{'s' * (sources > 1)}"]
    parts += [f"{text_only:,} of them without an image"] if text_only else []
    return ", ".join(parts)


def _rejected(pool: Pool) -> str:
    if not pool.summary:
        return "not known: the run was given its pool"
    n = pool.summary["rejected"]
    reasons = pool.summary["rejected_by_reason"].items()
    of = f"{n:,} of {pool.summary.get('taken', pool.summary['read']):,} records"
    why = ", ".join(f"{count:,} {reason}" for reason, count in reasons)
    return f"{of} ({why}): pool/rejected.csv" if n else of


def _contaminated(pool: Pool) -> Content:
    table = pool.contamination
    if table is None:
        return "not looked at: the run compared its pool with no held-out records"
    in_pool = table["place"] == IN_POOL
    removed = int(table["copies"][in_pool].sum()) if pool.screened else 0
    begin = f"{removed:,} copies of held-out records were taken out. " if removed else ""
    left = table[(table["copies"] > 0) & ~(in_pool & pool.screened)].to_dict("records")
    if not left:
        n_sets = len(table.drop_duplicates(["task", "split"]))
        return f"{begin}No exact copy of a record of the {n_sets} validation and test sets"
    found = [
        f"{row['same_question']:,} of {row['n']:,} records of {row['task']}/{row['split']} are in "
        + ("the pool" if row["place"] == IN_POOL else row["place"])
        for row in left
    ]
    return f"{begin}{'; '.join(found)}: tables/contamination.csv"


def _repeated(pool: Pool) -> str:
    exact = evidence.repeated(None, pool.samples["digest"])
    text = f"{percent(exact)} of the samples repeat another to the letter"
    if pool.duplicates is None:
        return f"{text}; near-duplicates were not looked for (constraints.duplicates)"
    near = evidence.repeated(pool.duplicates, pool.samples["digest"])
    return f"{text}, {percent(near)} exactly or nearly (constraints.duplicates)"


def _wrong(pool: Pool) -> str:
    if pool.losses is None:
        return "not estimated: neither a gate nor clean_shares ran"
    wrong = evidence.wrong_answers(pool.losses, pool.samples["source"].to_numpy(object))
    gated = ""
    if pool.gated is not None:
        gated = f"; the gate keeps {pool.gated:,} samples from being chosen"
    if wrong.empty:
        return f"no source shows any by its losses{gated}"
    sizes = pool.samples["source"].value_counts()[wrong.index]
    n = float((wrong * sizes).sum())
    most = str(wrong.idxmax())
    n_sources = pool.samples["source"].nunique()
    where = f"{len(wrong)} of {n_sources} sources, most in {most} ({percent(wrong[most])})"
    others = "; of the others they tell nothing" if len(wrong) < n_sources else ""
    least = f"at least {percent(n / len(pool.samples))} of the pool"
    return f"{least}: the losses show some in {where}{others}{gated}"

"""Policies for text-only samples in methods whose scores need an image."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from vlselect.core.errors import InfeasibleError, InputError
from vlselect.core.ordering import draw, proportional_split, top
from vlselect.core.selection import Selection

TEXT_ONLY = ("proportional", "drop", "ranked")


def with_text_only(
    scores: ArrayLike,
    has_image: ArrayLike,
    budget: int,
    seed: int,
    policy: str,
    *,
    sample_ids: Sequence[str],
    method: str,
    choose: Callable[[np.ndarray, int], np.ndarray] | None = None,
) -> Selection:
    """Select the best samples with an image, and text-only samples by a policy.

    Parameters
    ----------
    scores : array, shape (N,)
        Finite for samples with an image; ignored for the others, unless they are ranked.
    has_image : bool array, shape (N,)
    budget : int
    seed : int
        Of the draw among text-only samples.
    policy : {"proportional", "drop", "ranked"}
        `proportional`: text-only samples get their share of the budget (largest remainder), drawn
        at random, after all samples with an image. `drop`: none. `ranked`: they are chosen as all
        others are, by finite scores.
    sample_ids : sequence of str, length N
        For ties and the draw.
    method : str
        Each method has its own draw.
    choose : function, optional
        From rows, ascending, and how many of them to choose, to the chosen ones, the best first.
        Without it, these are the highest scores.

    Returns
    -------
    Selection
        Best scores first, then text-only samples with NaN as score.

    Raises
    ------
    ValueError
        If the policy is unknown, or a score is NaN.
    InfeasibleError
        If `drop` leaves fewer samples than the budget.
    """
    if policy not in TEXT_ONLY:
        raise InputError(f"text_only {policy!r} is not one of {TEXT_ONLY}")
    has_image = np.asarray(has_image, dtype=bool) | (policy == "ranked")
    scores = np.asarray(scores, dtype=np.float64)
    ids = np.asarray(sample_ids, dtype=object)
    with_image, without = np.flatnonzero(has_image), np.flatnonzero(~has_image)
    if policy == "drop":
        share = [budget, 0]
        if budget > len(with_image):
            raise InfeasibleError(
                f"text_only: drop leaves {len(with_image)} samples with an image, "
                f"fewer than the budget of {budget}"
            )
    else:
        share = proportional_split(budget, [len(with_image), len(without)])
    if choose is None:
        best = with_image[top(scores[with_image], share[0], ids[with_image])]
    else:
        best = choose(with_image, int(share[0]))
    drawn = without[draw(ids[without], share[1], seed, f"{method} text_only")]
    values = np.concatenate([scores[best], np.full(len(drawn), np.nan)])
    return Selection(np.concatenate([best, drawn]), values)

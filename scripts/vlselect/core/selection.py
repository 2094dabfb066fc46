"""The result of a method: the chosen rows, the best first, and their scores."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Selection:
    """The samples that a method chose.

    Attributes
    ----------
    rows : int64 array, shape (budget,)
        Pool rows, the best first.
    scores : float64 array, shape (budget,)
        The method's score of each row, higher is better; NaN for no score. None means NaN for all.
    """

    rows: np.ndarray
    scores: np.ndarray | None = None

    def __post_init__(self) -> None:
        rows = np.asarray(self.rows)
        if rows.ndim != 1 or rows.dtype.kind not in "iu":
            raise ValueError(f"rows must be a list of integers, not {rows.dtype} {rows.shape}")
        given = np.full(len(rows), np.nan) if self.scores is None else self.scores
        scores = np.asarray(given, dtype=np.float64)
        if scores.shape != rows.shape:
            raise ValueError(f"{len(rows)} rows but scores of shape {scores.shape}")
        if np.isinf(scores).any():
            raise ValueError(f"the score of row {rows[np.isinf(scores)][0]} is infinite")
        object.__setattr__(self, "rows", rows.astype(np.int64))
        object.__setattr__(self, "scores", scores)

    def check(self, budget: int, n_pool: int) -> None:
        """Raise ValueError unless this is exactly `budget` distinct rows of a pool of `n_pool`."""
        if len(self.rows) != budget:
            raise ValueError(f"chose {len(self.rows)} samples for a budget of {budget}")
        outside = self.rows[(self.rows < 0) | (self.rows >= n_pool)]
        if outside.size:
            raise ValueError(f"chose row {outside[0]}, which is outside the pool of {n_pool}")
        distinct, counts = np.unique(self.rows, return_counts=True)
        if len(distinct) != len(self.rows):
            raise ValueError(f"chose row {distinct[counts > 1][0]} more than once")

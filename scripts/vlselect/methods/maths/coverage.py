"""Samples that together cover the most important concepts, chosen greedily.

What a sample adds to a cover can only become less as the cover grows, so a sample whose earlier
gain is below the best one needs no second look: lazy evaluation finds what a look at all samples at
every pick would.
"""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from vlselect.core.errors import InputError

COVERS = ("rounds", "concave")


@dataclass(frozen=True)
class Cover:
    """The concepts of samples.

    Attributes
    ----------
    members : int array
        Concepts of all samples, one sample after the other.
    offsets : int64 array, shape (N + 1,)
        Sample i has ``members[offsets[i]:offsets[i + 1]]``, each concept once.
    importance : float64 array
        Of each concept, nonnegative. Multiples of one `step`, a power of 2, so that sums are exact
        in any order.
    step : float
    """

    members: np.ndarray
    offsets: np.ndarray
    importance: np.ndarray
    step: float

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def of(self, row: int) -> np.ndarray:
        """Return the concepts of a sample."""
        return self.members[self.offsets[row] : self.offsets[row + 1]]

    def worth(self, concepts: np.ndarray, times: np.ndarray, kind: str) -> np.ndarray:
        """Return what covering each concept once more adds if it has been covered `times` ≥ 1."""
        if kind == "rounds":
            return np.zeros(len(concepts))
        added = self.importance[concepts] * (np.sqrt(times + 1) - np.sqrt(times))
        return np.rint(added / self.step) * self.step


def choose(cover: Cover, ranks: np.ndarray, budget: int, kind: str) -> tuple[np.ndarray, list]:
    """Choose one sample after the other, each the one that adds most.

    Parameters
    ----------
    cover : Cover
    ranks : int array, shape (N,)
        Of equal gains, the sample of the lowest rank is taken.
    budget : int
        At most N.
    kind : {"rounds", "concave"}
        `rounds`: a sample adds the importance of its concepts that no chosen one has. When none
        adds anything, a new round begins with an empty cover. `concave`: the c-th sample with a
        concept adds its importance times √c − √(c − 1).

    Returns
    -------
    rows : int64 array, shape (budget,)
        In the order in which they were chosen. Samples without any concept of importance come
        last, by rank.
    gains : list of float
    """
    if kind not in COVERS:
        raise InputError(f"cover {kind!r} is not one of {COVERS}")
    owner = np.repeat(np.arange(len(cover)), np.diff(cover.offsets))
    alone = np.bincount(owner, cover.importance[cover.members], len(cover))
    order = np.lexsort([ranks, -alone])
    rows: list[int] = []
    gains: list[float] = []
    taken = np.zeros(len(cover), dtype=bool)
    while len(rows) < budget:
        taken[rows] = True
        left = order[~taken[order]]
        if alone[left[0]] == 0:
            rows += left[: budget - len(rows)].tolist()
            break
        for row, gain in _one_round(cover, left, alone, ranks, kind):
            rows.append(row)
            gains.append(gain)
            if len(rows) == budget:
                break
    return np.array(rows, np.int64), gains + [0.0] * (budget - len(gains))


def _one_round(
    cover: Cover, left: np.ndarray, alone: np.ndarray, ranks: np.ndarray, kind: str
) -> Iterator[tuple[int, float]]:
    """Yield row and gain of one pick after the other, until none of `left` adds anything.

    `left` are the rows to choose from, by descending gain to an empty cover (`alone`), then rank:
    they enter the heap when that bound is the best one.
    """
    worth = cover.importance.copy()
    times = np.zeros(len(worth), np.int64)
    heap: list[tuple[float, int, int]] = []
    place = 0
    while True:
        while place < len(left) and (
            not heap or (-alone[left[place]], ranks[left[place]]) < heap[0][:2]
        ):
            row = int(left[place])
            heapq.heappush(heap, (-worth[cover.of(row)].sum(), int(ranks[row]), row))
            place += 1
        if not heap:
            return
        bound, rank, row = heapq.heappop(heap)
        own = cover.of(row)
        gain = float(worth[own].sum())
        if gain < -bound:
            heapq.heappush(heap, (-gain, rank, row))
            continue
        if gain == 0:
            return
        yield row, gain
        times[own] += 1
        worth[own] = cover.worth(own, times[own], kind)

"""Targets choose samples in turn: round robin, and BIDS.

A target is a vector, such as a validation sample's gradient, and a sample's similarity to it is
their inner product. The matrix of all similarities, (N, C), is never held: each target has a queue
of its most similar samples, filled by passes over blocks of the matrix.

References
----------
.. [1] Ivison et al., Large-Scale Data Selection for Instruction Tuning (RDS+), arXiv:2503.01807.
.. [2] Nayak et al., A Critical Look at Targeted Instruction Selection, arXiv:2602.14696.
.. [3] Dai et al., Improving Influence-based Instruction Tuning Data Selection for Balanced
   Learning of Diverse Capabilities (BIDS), arXiv:2501.12147.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import cycle

import numpy as np

Blocks = Callable[[], Iterable[tuple[int, np.ndarray]]]
RANK = np.uint64(0xFFFFFFFF)  # the bits of a key that hold a rank


class Queues:
    """For each of C targets its most similar samples that are not taken, the best first.

    Parameters
    ----------
    blocks : function
        Starts a pass over the similarities: (first row, float32 (b, C)), for rows 0 to N in order.
    ranks : int array, shape (N,)
        A permutation of 0 to N - 1: of equal similarities the one with the lower rank is better.
    depth : int
        Samples that a pass finds for each target; another pass follows where they are used up.
        Queues and a pass take 8 · C · (2 depth + b) bytes.
    """

    def __init__(self, blocks: Blocks, ranks: np.ndarray, depth: int):
        self._blocks, self._ranks, self._depth = blocks, np.asarray(ranks), depth
        self._rows = np.argsort(self._ranks)
        self._taken = np.zeros(len(self._ranks), dtype=bool)
        self._fill()

    @property
    def targets(self) -> int:
        """Number of targets, C."""
        return len(self._keys)

    def best(self, target: int) -> tuple[int, float]:
        """Return the row of the target's most similar sample that is not taken, and how similar."""
        while True:
            for key in self._keys[target, self._next[target] :]:
                row = self._rows[int(~key & RANK)]
                if not self._taken[row]:
                    return int(row), similarity(key)
                self._next[target] += 1
            if self._taken.all():
                raise ValueError("all samples are taken")
            self._fill()

    def take(self, row: int) -> None:
        """Take a sample out of all queues."""
        self._taken[row] = True

    def _fill(self) -> None:
        """Find the best of what is left for every target, in one pass."""
        kept: np.ndarray | None = None
        for start, block in self._blocks():
            left = np.flatnonzero(~self._taken[start : start + len(block)])
            found = keys(block[left], self._ranks[start + left])
            kept = found if kept is None else np.concatenate([kept, found])
            if len(kept) > self._depth:
                kept = np.partition(kept, -self._depth, axis=0)[-self._depth :]
        self._keys = np.sort(kept.T)[:, ::-1]  # (C, depth)
        self._next = np.zeros(len(self._keys), dtype=np.int64)


def keys(similarities: np.ndarray, ranks: np.ndarray) -> np.ndarray:
    """Encode similarities, float32 (b, C), and ranks (b,) as uint64 (b, C): the best is largest.

    The upper half has the bits of the similarity, mapped so that they sort as numbers do, the
    lower half the complement of the rank: no two samples have equal keys.
    """
    bits = (similarities + np.float32(0)).view(np.uint32)  # the sum turns -0 into 0
    ordered = np.where(bits >> 31, ~bits, bits | np.uint32(1 << 31)).astype(np.uint64)
    return ordered << np.uint64(32) | (RANK - ranks.astype(np.uint64))[:, None]


def similarity(key: np.uint64) -> float:
    """Return the similarity that a key encodes."""
    ordered = np.uint32(key >> np.uint64(32))
    bits = ordered & ~np.uint32(1 << 31) if ordered >> 31 else ~ordered
    return float(bits.view(np.float32))


def round_robin(
    queues: Queues, tasks: Sequence[Sequence[int]], budget: int
) -> tuple[np.ndarray, np.ndarray]:
    """Let tasks take turns, and inside a task its targets: each takes its best that is left.

    A turn whose first choice is taken goes on to its next one; it is not lost.

    Parameters
    ----------
    queues : Queues
    tasks : sequence of sequences of int
        Targets of each task, in the order of their turns.
    budget : int
        At most N.

    Returns
    -------
    rows : int64 array, shape (budget,)
        In the order chosen.
    scores : float64 array, shape (budget,)
        Similarity of each to the target that chose it.
    """
    turns = [cycle(targets) for targets in tasks]
    chosen = []
    for turn in range(budget):
        chosen.append(queues.best(next(turns[turn % len(turns)])))
        queues.take(chosen[-1][0])
    return _unzip(chosen)


def bids(
    queues: Queues,
    similarities: Callable[[int], np.ndarray],
    mean: np.ndarray,
    deviation: np.ndarray,
    ranks: np.ndarray,
    budget: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Add again and again the sample that helps a target furthest above what it has so far.

    argmax_i max_j [z_ij - mean of z_kj over the chosen k], z the similarities standardised by
    target; where nothing is chosen yet, that mean is 0.

    Parameters
    ----------
    queues : Queues
    similarities : function
        From a row to its similarities to all targets, (C,).
    mean, deviation : float64 arrays, shape (C,)
        Of each target's similarities over the pool; deviations above 0.
    ranks : int array, shape (N,)
        Decide between equal gains: the lower one first.
    budget : int
        At most N.

    Returns
    -------
    rows : int64 array, shape (budget,)
        In the order chosen.
    scores : float64 array, shape (budget,)
        Gain of each when it was chosen.
    """
    chosen: list[tuple[int, float]] = []
    heads = np.full(queues.targets, -1, dtype=np.int64)
    best = np.empty(queues.targets)
    stale = np.arange(queues.targets)
    total = np.zeros(queues.targets)  # of z over the chosen
    for count in range(budget):
        for target in stale:
            heads[target], best[target] = queues.best(target)
        gains = (best - mean) / deviation - total / max(count, 1)
        equal = heads[gains == gains.max()]
        row = int(equal[np.argmin(ranks[equal])])
        chosen.append((row, float(gains.max())))
        queues.take(row)
        total += (similarities(row) - mean) / deviation
        stale = np.flatnonzero(heads == row)
    return _unzip(chosen)


def _unzip(chosen: Sequence[tuple[int, float]]) -> tuple[np.ndarray, np.ndarray]:
    rows, scores = zip(*chosen, strict=True)
    return np.array(rows, dtype=np.int64), np.array(scores, dtype=np.float64)

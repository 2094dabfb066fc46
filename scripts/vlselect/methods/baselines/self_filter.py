"""Self-Filter: the hardest samples, each of which lowers the difficulty of its nearest neighbours.

Difficulties come from a score net trained jointly with the VLM (`vlselect.checkpoints.score_net`).

References
----------
.. [1] Chen et al., Your Vision-Language Model Itself Is a Strong Filter: Towards High-Quality
   Instruction Tuning with Data Selection, Findings of ACL 2024, arXiv:2402.12501.
"""

import heapq
import logging

import faiss
import numpy as np
import pandas as pd

from vlselect.clusters.embeddings import Embeddings
from vlselect.core.errors import InputError
from vlselect.core.selection import Selection

logger = logging.getLogger(__name__)

NEGATIVE = ("reward", "ignore")
QUERIES = 1024  # samples per neighbour search
ROWS = 8192  # rows in a block of the search
SPARE = 8  # lists are this many times longer than needed, as neighbours get taken


def select(
    pool: pd.DataFrame,
    signals: dict,
    budget: int,
    seed: int,
    *,
    gamma: float,
    neighbours: int,
    negative: str,
) -> Selection:
    """Take the hardest sample, lower its nearest neighbours' difficulties, and repeat.

    Let d be the current difficulty of the taken sample. Each of its nearest neighbours among the
    samples not taken yet, by the cosine s of their CLIP features, loses gamma · d · s².

    Difficulties have no natural zero and may be negative. The released program subtracts the same
    product then too, so a sample taken at d < 0 raises its neighbours: from there on, selection
    gathers similar samples instead of spreading out, and needs more searches. That is the default;
    `negative` = "ignore" leaves the neighbours of such a sample unchanged. The two differ only if
    the budget reaches difficulties below zero; the log counts those samples.

    Parameters
    ----------
    signals : dict
        ``scores``: DataFrame row, score (difficulty); ``clip``: ShardedArray (N, 2·d), no row zero.
    gamma : float
        Strength of the penalty, at least 0.
    neighbours : int
        Most samples to penalise; fewer if fewer are left.
    negative : {"reward", "ignore"}

    Returns
    -------
    Selection
        In the order taken, ties by sample id. Scores are difficulties at the time of taking.

    References
    ----------
    [1]_, section 3, stage 2.
    """
    if negative not in NEGATIVE:
        raise InputError(f"negative {negative!r} is not one of {NEGATIVE}")
    if gamma < 0 or neighbours < 1:
        raise InputError(f"gamma {gamma} must be at least 0, neighbours {neighbours} at least 1")
    if not 0 <= budget <= len(pool):
        raise ValueError(f"a budget of {budget} does not fit a pool of {len(pool)} samples")
    difficulty = _difficulties(signals, len(pool))
    # From here on, samples are places in the order of ids: nothing depends on the pool's order, and
    # the lower of two places is the smaller id.
    embeddings = Embeddings(signals["clip"], pool["sample_id"], normalise=True)
    nearest = NearestRemaining(embeddings, neighbours)
    places, scores = take_hardest(difficulty[embeddings.rows], nearest, budget, gamma, negative)
    logger.info(
        "%d samples taken, %d at a negative difficulty; %d neighbour searches",
        *(budget, (scores < 0).sum(), nearest.searches),
    )
    return Selection(embeddings.rows[places], scores)


def take_hardest(
    difficulty: np.ndarray, nearest: "NearestRemaining", budget: int, gamma: float, negative: str
) -> tuple[np.ndarray, np.ndarray]:
    """Take samples by descending difficulty, changing those of neighbours as in `select`.

    The heap is lazy: a changed difficulty is pushed again, and outdated entries are skipped. O((N +
    budget · neighbours) log N) besides the searches.

    Parameters
    ----------
    difficulty : float64 array, shape (N,)
        Changed in place. Ties: the lower place first.
    nearest : NearestRemaining
        Over the same N samples; changed in place.

    Returns
    -------
    places : int64 array, shape (budget,)
    scores : float64 array, shape (budget,)
    """
    heap = [(-value, place) for place, value in enumerate(difficulty.tolist())]
    heapq.heapify(heap)
    places, scores = [], []
    while len(places) < budget:
        negated, place = heapq.heappop(heap)
        if not nearest.remaining[place] or -negated != difficulty[place]:
            continue
        places.append(place)
        scores.append(-negated)
        nearest.remaining[place] = False
        strength = gamma * (max(-negated, 0.0) if negative == "ignore" else -negated)
        if strength == 0 or len(places) == budget:
            continue
        close, cosine = nearest.of(place, difficulty)
        difficulty[close] -= strength * cosine**2
        for other in close.tolist():
            heapq.heappush(heap, (-float(difficulty[other]), other))
    return np.array(places, dtype=np.int64), np.array(scores, dtype=np.float64)


class NearestRemaining:
    """Exact nearest neighbours, by cosine, among the samples not taken yet.

    Neighbours are needed for taken samples only. When a list is missing, one search over all
    remaining samples makes lists for that sample and those likely to be taken next. A list stays
    valid as long as enough of it remains, because samples are never added. faiss finds a list's
    samples; their cosines are then computed again in float64.

    Parameters
    ----------
    embeddings : Embeddings (N, d)
        Scaled to unit length.
    k : int
        Neighbours to return.

    Attributes
    ----------
    remaining : bool array, shape (N,)
        The caller clears it for samples that are taken.
    searches : int
        Searches over all samples so far.
    """

    def __init__(self, embeddings: Embeddings, k: int):
        self.remaining = np.ones(len(embeddings), dtype=bool)
        self.searches = 0
        self._embeddings, self._k = embeddings, k
        self._lists: dict[int, tuple[np.ndarray, np.ndarray]] = {}

    def of(self, place: int, difficulty: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return places and cosines of the remaining samples nearest to a taken one, nearest first.

        Both have shape (k,), or less if fewer remain. Ties: the lower place first, unless there are
        more than a list holds. `difficulty` (N,) decides which samples are likely to be taken next.
        """
        found = self._alive(place)
        if len(found[0]) < min(self._k, int(self.remaining.sum())):
            self._search(place, difficulty)
            found = self._alive(place)
        self._lists.pop(place)
        return found[0][: self._k], found[1][: self._k]

    def _alive(self, place: int) -> tuple[np.ndarray, np.ndarray]:
        if place not in self._lists:
            return np.empty(0, np.int64), np.empty(0)
        places, cosine = self._lists[place]
        alive = self.remaining[places]
        return places[alive], cosine[alive]

    def _search(self, place: int, difficulty: np.ndarray) -> None:
        """List the neighbours of a sample, and of those likely to be taken soon after it.

        These are the hardest and, because rewards raise samples nearby, the nearest.
        """
        rows = np.flatnonzero(self.remaining)
        near, _ = self._longest(np.array([place]), rows, QUERIES // 2)
        hardest = rows[np.argsort(-difficulty[rows], kind="stable")[:QUERIES]]
        likely = np.unique(np.concatenate([near[0], hardest]))
        short = [other for other in likely.tolist() if len(self._alive(other)[0]) < 2 * self._k]
        queries = np.array([place, *short[:QUERIES]])
        found = self._longest(queries, rows, SPARE * self._k)
        for query, places, cosine in zip(queries.tolist(), *found, strict=True):
            ranked = np.lexsort([places, -cosine])
            self._lists[query] = places[ranked], cosine[ranked]
        self.searches += 1

    def _longest(
        self, queries: np.ndarray, rows: np.ndarray, length: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Find the rows nearest to each query, including itself: places and cosines (Q, L)."""
        length = min(length + 1, len(rows))
        heap = faiss.ResultHeap(len(queries), length, keep_max=True)
        asked = self._embeddings[queries]
        for start in range(0, len(rows), ROWS):
            block = rows[start : start + ROWS]
            cosine, local = faiss.knn(
                *(asked, self._embeddings[block], min(length, len(block))),
                metric=faiss.METRIC_INNER_PRODUCT,
            )
            heap.add_result(cosine, block[local])
        heap.finalize()
        cosine = np.empty(heap.I.shape)
        for column, places in enumerate(heap.I.T):  # float64, so that equal features tie exactly
            exact = asked.astype(np.float64), self._embeddings[places].astype(np.float64)
            cosine[:, column] = np.einsum("nd,nd->n", *exact)
        return heap.I, cosine


def _difficulties(signals: dict, n_pool: int) -> np.ndarray:
    """Return difficulties (N,) float64; the signals must exist, fit the pool and be finite."""
    missing = {"scores", "clip"} - signals.keys()
    if missing:
        raise InputError(f"self_filter needs the signals {sorted(missing)}")
    difficulty = signals["scores"]["score"].to_numpy(np.float64)
    if len(difficulty) != n_pool:
        raise InputError(f"{len(difficulty)} scores for {n_pool} samples")
    if not np.isfinite(difficulty).all():
        raise InputError(
            f"the score of row {int(np.argmin(np.isfinite(difficulty)))} is not finite"
        )
    return difficulty

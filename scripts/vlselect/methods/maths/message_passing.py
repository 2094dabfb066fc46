"""Message passing on a graph of neighbours: difficulty and diversity in one order (D2 pruning)."""

import heapq

import numpy as np


def forward(
    scores: np.ndarray, neighbours: np.ndarray, squared: np.ndarray, gamma: float
) -> np.ndarray:
    """Add to each score its neighbours' scores, weighted by exp(-gamma · squared): float64 (N,).

    Parameters
    ----------
    scores : float array, shape (N,)
        At least 0.
    neighbours, squared : arrays, shape (N, k)
        Rows and squared distances; the graph is directed and is not made symmetric.
    gamma : float
        Above 0.

    References
    ----------
    Maharana et al., D2 pruning, arXiv:2310.07931, forward message passing.
    """
    scores = np.asarray(scores, dtype=np.float64)
    return scores + (np.exp(-gamma * squared) * scores[neighbours]).sum(axis=1)


def reverse(
    scores: np.ndarray,
    neighbours: np.ndarray,
    squared: np.ndarray,
    gamma: float,
    budget: int,
    ranks: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Take the highest score again and again, lowering its neighbours' scores each time.

    A heap holds an entry for every score that a sample has had; outdated ones are skipped. Each
    step adds at most k entries, so n steps take O((N + n k) log N), even if a message (of a score
    below zero) raises a score.

    Parameters
    ----------
    scores : float array, shape (N,)
        After `forward`.
    neighbours, squared : arrays, shape (N, k)
        The receivers of a sample's messages, and the squared distances to them.
    gamma : float
        At least 0; a smaller one lowers neighbours more.
    budget : int
        n, at most N.
    ranks : int array, shape (N,)
        Distinct; the lowest rank comes first among equal scores.

    Returns
    -------
    rows : int64 array, shape (n,)
        In the order of taking.
    values : float64 array, shape (n,)
        Scores at the time of taking.

    References
    ----------
    Maharana et al., D2 pruning, arXiv:2310.07931, reverse message passing.
    """
    current = np.asarray(scores, dtype=np.float64).tolist()
    weights = np.exp(-gamma * np.asarray(squared, dtype=np.float64))
    ranks = np.asarray(ranks).tolist()
    heap = [(-score, ranks[row], row) for row, score in enumerate(current)]
    heapq.heapify(heap)
    taken = np.zeros(len(current), dtype=bool)
    rows, values = np.empty(budget, np.int64), np.empty(budget)
    for i in range(budget):
        negative, _, row = heapq.heappop(heap)
        while taken[row] or -negative != current[row]:
            negative, _, row = heapq.heappop(heap)
        taken[row], rows[i], values[i] = True, row, current[row]
        for other, weight in zip(neighbours[row].tolist(), weights[row].tolist(), strict=True):
            if not taken[other]:
                current[other] -= weight * current[row]
                heapq.heappush(heap, (-current[other], ranks[other], other))
    return rows, values


def walk(
    scores: np.ndarray,
    neighbours: np.ndarray,
    squared: np.ndarray,
    gamma: float,
    budget: int,
    ranks: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Walk down the first scores once, putting aside samples that fell below the next in line.

    The best sample put aside is taken once it is no less than the next in line. Nearly all samples
    that stood first are taken; unlike `reverse`, this does not take the highest score at every
    pick. Parameters and results are those of `reverse`. Ties in line: the lowest rank; among those
    put aside: the earliest.

    References
    ----------
    Program of the D2-Pruning baseline of Lee et al., COINCIDE, arXiv:2406.10995, whose loop is that
    of the program for DataComp of Maharana et al., arXiv:2310.07931.
    """
    current = np.array(scores, dtype=np.float64)
    weights = np.exp(-gamma * np.asarray(squared, dtype=np.float64))
    line = np.lexsort([ranks, -current])
    rows: list[int] = []
    values: list[float] = []
    aside: list[int] = []
    place = 0
    while len(rows) < budget:
        first = current[line[place]] if place < len(line) else -np.inf
        if aside and current[aside].max() >= first:
            row = aside.pop(int(current[aside].argmax()))
        else:
            row, place = int(line[place]), place + 1
            if place < len(line) and current[row] < current[line[place]]:
                aside.append(row)
                continue
        rows.append(row)
        values.append(current[row])
        current[neighbours[row]] -= weights[row] * current[row]
    return np.array(rows, np.int64), np.array(values)

"""The selection mathematics in the plain form of the papers and of the released programs.

Slow and obvious: unit tests compare the library with these functions, and the measurements time
both. Everything is in memory, all pairs are formed, and each choice searches whole arrays.
"""

from itertools import cycle

import numpy as np
from scipy.spatial.distance import cdist


def gaussian_kernel(samples: np.ndarray, sigma: float = 1.0) -> np.ndarray:
    """Compute exp(-|p - q|^2 / (2 sigma^2)) between all rows of an array (n, d): float64 (n, n)."""
    exact = samples.astype(np.float64)
    return np.exp(-cdist(exact, exact, "sqeuclidean") / (2 * sigma**2))


def greedy_mmd(kernel: np.ndarray, budget: int) -> np.ndarray:
    """Run greedy MMD like COINCIDE's program: int64 array (budget,), in the order picked.

    Every pick forms all candidate sets side by side, and computes the MMD of each as the mean of
    its own entries of the kernel. Ties: lowest position.
    """
    n = len(kernel)
    picks = np.empty(0, dtype=np.int64)
    for _ in range(budget):
        rest = np.setdiff1d(np.arange(n), picks)
        sets = np.column_stack([np.tile(picks, (len(rest), 1)), rest])  # (n - m, m + 1)
        between = kernel[:, sets].mean(axis=(0, 2))
        within = kernel[sets[:, :, None], sets[:, None, :]].mean(axis=(1, 2))
        picks = np.append(picks, rest[np.argmin(kernel.mean() + within - 2 * between)])
    return picks


def greedy_mmd_one_by_one(kernel: np.ndarray, budget: int) -> np.ndarray:
    """Run greedy MMD with one candidate set at a time, without arrays larger than the kernel."""
    picks: list[int] = []
    for _ in range(budget):
        best, lowest = -1, np.inf
        for j in sorted(set(range(len(kernel))) - set(picks)):
            own = [*picks, j]
            mmd = kernel.mean() + kernel[np.ix_(own, own)].mean() - 2 * kernel[:, own].mean()
            if mmd < lowest:
                best, lowest = j, mmd
        picks.append(best)
    return np.array(picks)


def influences(pool: np.ndarray, tasks: list[np.ndarray]) -> np.ndarray:
    """Average the inner products with all validation gradients of each task, all formed: (N, T).

    ICONS' two programs, one after the other; `pool` (N, k), `tasks` (n_val, k).
    """
    return np.column_stack([(pool @ task.T).mean(axis=1) for task in tasks])


def votes(table: np.ndarray, top_percent: float) -> np.ndarray:
    """Cast ICONS' votes, task by task: bool array (N, T)."""
    thresholds = [np.percentile(column, 100 - top_percent) for column in table.T]
    return np.column_stack([c >= t for c, t in zip(table.T, thresholds, strict=True)])


def svd_leverage(rows: np.ndarray, energy: float) -> tuple[np.ndarray, int]:
    """Compute squared row norms of U_k of the whole centred matrix, (n,), and k, by a full SVD.

    In the precision of `rows`, a float array (n, d).
    """
    u, sigma, _ = np.linalg.svd(rows - rows.mean(axis=0), full_matrices=False)
    share = np.cumsum(sigma**2) / (sigma**2).sum()
    k = int(np.argmax(share >= energy)) + 1
    return (u[:, :k] ** 2).sum(axis=1), k


def nearest(values: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Find the k nearest other rows by a matrix of all distances: places, squared distances (n, k).

    Ties: lower place.
    """
    exact = values.astype(np.float64)
    squared = cdist(exact, exact, "sqeuclidean")
    np.fill_diagonal(squared, np.inf)
    every, places, distances = np.arange(len(values)), [], []
    for _ in range(k):
        places.append(squared.argmin(axis=1))
        distances.append(squared[every, places[-1]])
        squared[every, places[-1]] = np.inf
    return np.column_stack(places), np.column_stack(distances)


def d2_pruning(
    own: np.ndarray, places: np.ndarray, squared: np.ndarray, budget: int, gamma: float = 0.4
) -> list[int]:
    """Run D2 pruning on a graph of neighbours, searching all scores for every choice.

    `own` are float scores (n,) before any message, `places` and `squared` (n, k) those of
    `nearest`, `gamma` is that of the reverse messages (1 for the forward ones). Returns rows in
    the order chosen; ties: lowest place.
    """
    scores = own + (np.exp(-squared) * own[places]).sum(axis=1)
    scores = scores.astype(np.float32).astype(np.float64)  # as they are stored
    free, taken = np.ones(len(own), bool), []
    for _ in range(budget):
        best = int(np.argmax(np.where(free, scores, -np.inf)))
        free[best] = False
        taken.append(best)
        scores[places[best]] -= np.exp(-gamma * squared[best]) * scores[best]
    return taken


def walk_of_coincide(
    scores: np.ndarray, places: np.ndarray, squared: np.ndarray, budget: int, gamma: float = 0.4
) -> list[int]:
    """Run COINCIDE's program for D2 pruning: rows in the order chosen; ties: lowest place.

    It walks the scores once, from the top, after forward messages: a row whose score has dropped
    below the next row's waits; the best one waiting is chosen once it is not below the next row.
    """
    scores = scores.copy()
    line, waiting, taken = np.argsort(-scores, kind="stable").tolist(), [], []
    while len(taken) < budget:
        best = max(waiting, key=scores.__getitem__, default=None)  # the first of equal scores
        if best is not None and (not line or scores[best] >= scores[line[0]]):
            waiting.remove(best)
        else:
            best = line.pop(0)
            if line and scores[best] < scores[line[0]]:
                waiting.append(best)
                continue
        taken.append(best)
        scores[places[best]] -= np.exp(-gamma * squared[best]) * scores[best]
    return taken


def highest_earlier(unit: np.ndarray, cluster: np.ndarray, distance: np.ndarray) -> np.ndarray:
    """Compute the highest cosine to any earlier row of the same cluster, by all its pairs: (n,).

    Rows far from their centroid come first; -1 for the first. SemDeDup's program drops a row if
    this exceeds 1 - epsilon.
    """
    highest = np.full(len(unit), -1.0)
    for c in np.unique(cluster):
        members = np.flatnonzero(cluster == c)
        order = members[np.argsort(-distance[members], kind="stable")]
        cosines = np.triu(unit[order] @ unit[order].T, k=1)
        cosines[np.tril_indices(len(order))] = -1
        highest[order] = cosines.max(axis=0)
    return highest


def semdedup(highest: np.ndarray, budget: int) -> np.ndarray:
    """Bisect for the epsilon that keeps `budget` rows; return the rows kept, ascending."""
    low, high = 0.0, 2.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if (highest <= 1 - middle).sum() >= budget else (low, middle)
    return np.flatnonzero(highest <= 1 - low)


def lloyd(samples: np.ndarray, centroids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Take one step of spherical k-means: new centroids (K, d), and rows' cosines to the old ones.

    A centroid that is nearest to no row (n, d) becomes one half of a cluster that is split.
    """
    cosines = samples @ centroids.T  # (n, K)
    nearest_one = cosines.argmax(axis=1)
    moved = np.stack([samples[nearest_one == c].sum(axis=0) for c in range(len(centroids))])
    fill_empty(moved, np.bincount(nearest_one, minlength=len(centroids)))
    return moved / np.linalg.norm(moved, axis=1, keepdims=True), cosines.max(axis=1)


def fill_empty(centroids: np.ndarray, sizes: np.ndarray) -> None:
    """Split a cluster for each empty one of K, in place, by the rule and the draws of faiss.

    Clusters are visited until one is drawn, with a probability that grows with its size; its
    centroid and the copy of it are then moved slightly apart.
    """
    draws, spare = np.random.RandomState(1234), sizes.sum() - len(sizes)
    apart = np.where(np.arange(centroids.shape[1]) % 2, -1, 1) / 1024
    for empty in np.flatnonzero(sizes == 0):
        split = next(
            c
            for c in cycle(range(len(sizes)))
            if draws.randint(2**32, dtype=np.uint32) / (2**32 - 1) < (sizes[c] - 1) / spare
        )
        centroids[empty], centroids[split] = (
            centroids[split] * (1 + apart),
            centroids[split] * (1 - apart),
        )
        sizes[empty] = sizes[split] // 2
        sizes[split] -= sizes[empty]

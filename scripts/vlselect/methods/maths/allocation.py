"""Sharing a budget among clusters: more for transferable and sparse ones."""

import numpy as np

from vlselect.core.errors import InputError


def log_probabilities(
    transferability: np.ndarray, density: np.ndarray, temperature: float
) -> np.ndarray:
    """Compute the log of P_i proportional to exp(S_i / (temperature * D_i)), normalised to sum 1.

    In logs, because at low temperatures most probabilities are below the smallest float64.

    Parameters
    ----------
    transferability, density : float64 arrays, shape (K,)
        S and D; finite, D above 0, else ValueError.
    temperature : float
        Above 0; lower is more uneven.

    Returns
    -------
    float64 array, shape (K,)

    References
    ----------
    COINCIDE (arXiv 2406.10995), section 3.4.
    """
    s, d = np.asarray(transferability, np.float64), np.asarray(density, np.float64)
    if s.shape != d.shape or s.ndim != 1 or not len(s):
        raise ValueError(f"transferability {s.shape} and density {d.shape} are not one per cluster")
    if not (temperature > 0 and np.isfinite(s).all() and np.isfinite(d).all() and (d > 0).all()):
        raise InputError("temperature and densities must be positive, and all values finite")
    logits = s / (temperature * d)
    return logits - np.logaddexp.reduce(logits)


def allocate(log_probability: np.ndarray, sizes: np.ndarray, budget: int) -> np.ndarray:
    """Compute how many samples to take from each cluster, `budget` in all.

    Clusters are visited by descending probability (ties: lower number first). Each gets its share
    of what is left, relative to the clusters not yet visited, rounded (halves to even), but never
    more than its size: the next clusters get what a full one cannot take. Samples that are left in
    the end are added one by one, ordered by how much each cluster was rounded down (ties: lower
    number), in rounds if there are fewer clusters with room. No share exceeds what is left, so
    nothing is ever taken back.

    Parameters
    ----------
    log_probability : float64 array, shape (K,)
        From `log_probabilities`; need not be normalised.
    sizes : int array, shape (K,)
        Samples in each cluster.
    budget : int
        At most the sum of the sizes.

    Returns
    -------
    int64 array, shape (K,)

    Raises
    ------
    ValueError
        If the budget is negative or exceeds the sum of the sizes.

    References
    ----------
    COINCIDE (arXiv 2406.10995), Algorithm 1, line 8, and the authors' program.
    """
    logs, sizes = np.asarray(log_probability, np.float64), np.asarray(sizes, np.int64)
    if logs.shape != sizes.shape:
        raise ValueError(f"{len(logs)} probabilities for {len(sizes)} clusters")
    if not 0 <= budget <= sizes.sum():
        raise ValueError(f"a budget of {budget} does not fit clusters of {sizes.sum()} samples")
    order = np.argsort(-logs, kind="stable")
    # log of the probability not yet visited, at each visit
    ahead = np.logaddexp.accumulate(logs[order][::-1])[::-1]
    shares = np.exp(logs[order] - ahead)
    wanted, given, left = np.zeros(len(sizes)), np.zeros(len(sizes), np.int64), int(budget)
    for cluster, share in zip(order, shares, strict=True):
        # to six places first: the last bits of a logarithm must not decide how a half is rounded
        wanted[cluster] = round(left * min(share, 1.0), 6)
        given[cluster] = min(round(wanted[cluster]), sizes[cluster])
        left -= int(given[cluster])
    fraction = wanted - given
    while left:
        room = np.flatnonzero(given < sizes)
        next_ones = room[np.argsort(-fraction[room], kind="stable")][:left]
        given[next_ones] += 1
        left -= len(next_ones)
    return given

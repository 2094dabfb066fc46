"""Share a budget among clusters: more to transferable and sparse ones."""

import numpy as np

from vlselect.core.errors import InputError


def log_probabilities(
    transferability: np.ndarray, density: np.ndarray, temperature: float
) -> np.ndarray:
    """Log of P_i proportional to exp(S_i / (temperature * D_i)), normalised to sum 1.

    In logs, because at low temperatures most probabilities are below the smallest float64.

    Parameters
    ----------
    transferability, density : float64 arrays, shape (K,)
        S and D; D above 0.
    temperature : float
        Above 0; lower means more uneven.

    Returns
    -------
    float64 array, shape (K,)

    Raises
    ------
    ValueError
        If a value is not finite, a density or the temperature not positive, or K is 0.

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


def cluster_probabilities(
    transferability: np.ndarray, density: np.ndarray, temperature: float
) -> np.ndarray:
    """Probabilities P_i, float64 (K,), summing to 1; arguments as in `log_probabilities`."""
    return np.exp(log_probabilities(transferability, density, temperature))


def allocate(log_probability: np.ndarray, sizes: np.ndarray, budget: int) -> np.ndarray:
    """Number of samples that each cluster gives, `budget` in all.

    Clusters are visited by descending probability (ties: lower number first). Each gets its
    share among the clusters not yet visited of what is left, rounded (halves to even), but never
    more than it has: what a full cluster cannot take flows on to the next. What the last ones
    could not take is handed out one by one, by how much each cluster was rounded down (ties:
    lower number), in rounds where more is left than clusters with room. Nothing needs to be taken
    back: no share is ever more than what is left.

    Parameters
    ----------
    log_probability : float64 array, shape (K,)
        From `log_probabilities`; need not be normalised.
    sizes : int array, shape (K,)
        Samples in each cluster.
    budget : int
        Between 0 and the sum of the sizes.

    Returns
    -------
    int64 array, shape (K,)

    Raises
    ------
    ValueError
        If the budget is negative or more than the clusters hold.

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
        # to six places first: the last bits of a logarithm must not decide which way a half goes
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

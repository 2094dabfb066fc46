"""Density of a cluster: how similar its samples are."""

import numpy as np

from vlselect.clusters.kernel import gaussian
from vlselect.core.errors import InputError

VARIANTS = ("released", "paper")
PAIRS = 1 << 24


def density(samples: np.ndarray, variant: str, sigma: float) -> float:
    """Compute the mean Gaussian kernel over the pairs of samples in one cluster.

    Parameters
    ----------
    samples : float array, shape (n, d)
        Activations of the cluster's samples.
    variant : {"released", "paper"}
        `released`: all n^2 ordered pairs, including each sample with itself. `paper`: the n (n - 1)
        pairs of different samples. A single sample has no such pair; its density is set to 1, the
        value of `released` and the limit for samples that come ever closer.
    sigma : float
        Bandwidth of the kernel.

    Returns
    -------
    float
        In (0, 1]; 1 if all samples are equal.

    Raises
    ------
    ValueError
        If the cluster is empty or the variant unknown.

    References
    ----------
    COINCIDE (arXiv 2406.10995), Eq. 6.
    """
    if variant not in VARIANTS:
        raise InputError(f"variant {variant!r} is not one of {VARIANTS}")
    n = len(samples)
    if n == 0:
        raise ValueError("an empty cluster has no density")
    if n == 1:
        return 1.0
    rows = max(1, PAIRS // n)  # at most PAIRS kernel values at a time
    blocks = (samples[i : i + rows] if rows < n else samples for i in range(0, n, rows))
    total = sum(gaussian(block, samples, sigma).sum() for block in blocks)
    if variant == "released":
        return min(1.0, float(total / n**2))
    return min(1.0, float((total - n) / (n * (n - 1))))

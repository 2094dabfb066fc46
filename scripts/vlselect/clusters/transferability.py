"""Transferability of a cluster: how close its centroid is to the other clusters' centroids."""

import logging

import numpy as np

from vlselect.clusters.kernel import inner, squared_norms
from vlselect.core.errors import InputError

logger = logging.getLogger(__name__)

VARIANTS = ("released", "paper")
ROWS = 512


def text_half(vectors: np.ndarray, layers: int) -> np.ndarray:
    """Return the text part, (n, layers * d), of activation vectors (n, 2 * layers * d).

    Each layer has d visual values, then d text values. ValueError if the width does not fit.
    """
    width = vectors.shape[1]
    if layers < 1 or width % (2 * layers):
        raise InputError(f"activations of width {width} are not {layers} layers of two halves")
    parts = vectors.reshape(
        len(vectors), layers, 2, width // (2 * layers)
    )  # (n, M, visual|text, d)
    return parts[:, :, 1].reshape(len(vectors), -1)


def transferability(
    centroids: np.ndarray, layers: int, variant: str, max_cosine: float
) -> np.ndarray:
    """Compute the mean cosine between each centroid and the centroids of all clusters.

    Parameters
    ----------
    centroids : float array, shape (K, 2 * layers * d)
        No row may be zero.
    layers : int
        Layers in a centroid; only used by `released`.
    variant : {"released", "paper"}
        `paper`: whole centroids, all K pairs, including the centroid with itself. `released`: the
        text halves, and only pairs with a cosine of at most `max_cosine`, which excludes the
        centroid itself. A cluster without such a pair gets `max_cosine`, the limit of the mean as
        its cosines come down to it.
    max_cosine : float
        Limit of `released`, in (-1, 1).

    Returns
    -------
    float64 array, shape (K,)

    Raises
    ------
    ValueError
        If the variant is unknown, the width does not fit the layers, or a centroid (its text half
        in `released`) is zero.

    References
    ----------
    COINCIDE (arXiv 2406.10995), Eq. 5, and the authors' program.
    """
    if variant not in VARIANTS:
        raise InputError(f"variant {variant!r} is not one of {VARIANTS}")
    released = variant == "released"
    vectors = text_half(centroids, layers) if released else centroids
    norms = np.sqrt(squared_norms(vectors))
    if not norms.all():
        part = "text half of the centroid" if released else "centroid"
        raise InputError(f"the {part} of cluster {int(np.argmin(norms))} is zero")
    sums, counts = np.zeros(len(vectors)), np.zeros(len(vectors), dtype=np.int64)
    for start in range(0, len(vectors), ROWS):  # never a whole K x K matrix
        here = slice(start, start + ROWS)
        cosines = inner(vectors[here], vectors) / (norms[here, None] * norms)
        keep = cosines <= max_cosine if released else np.ones_like(cosines, dtype=bool)
        sums[here] = np.where(keep, cosines, 0).sum(axis=1)
        counts[here] = keep.sum(axis=1)
    alone = counts == 0
    if alone.any():
        logger.warning(
            "%d of %d clusters have no centroid with a cosine of at most %s; their "
            "transferability is set to that limit",
            alone.sum(), len(alone), max_cosine,
        )  # fmt: skip
    return np.where(alone, max_cosine, sums / np.maximum(counts, 1))

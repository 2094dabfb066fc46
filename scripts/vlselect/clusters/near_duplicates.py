"""Pairs of samples whose features point almost the same way.

Up to 100,000 samples are compared with all others, beyond that each sample with the lists nearest
to it, in few directions (`candidates`). What is near there is compared again in float64, in all
directions. The share of pairs that the lists miss is measured by comparing some samples with all
others.
"""

import logging

import numpy as np

from vlselect.clusters.candidates import candidate_pairs
from vlselect.clusters.embeddings import Embeddings
from vlselect.clusters.neighbours import count_lists
from vlselect.core.errors import InputError

logger = logging.getLogger(__name__)

ROWS = 512  # pairs refined at a time
SLACK = 1e-4  # of squared distances: rounding of float32
EPSILON = 1e-6  # of cosines: copies of a row reach a cosine of 1 up to rounding
MOST = 50_000_000  # pairs
PROBED = 256  # samples on which recall is measured


def find_pairs(
    embeddings: Embeddings,
    cosine: float,
    *,
    index: str,
    n_lists: int | None,
    n_probe: int,
    memory_gb: float,
    seed: int,
) -> tuple[np.ndarray, np.ndarray, float]:
    """Find the pairs of samples with at least the given cosine.

    Parameters
    ----------
    embeddings : Embeddings (N, d)
        Scaled to unit length.
    cosine : float
        In (0, 1].
    index, n_lists, n_probe, memory_gb, seed
        As in `neighbours.nearest`: of the lists, or `exact`, for all pairs in quadratic time.

    Returns
    -------
    pairs : int64 array, shape (m, 2)
        Places, the lower one first; in ascending order.
    cosines : float64 array, shape (m,)
    recall : float
        Share of the existing pairs that were found: exactly 1 where all were compared, else
        measured on up to 256 samples.

    Raises
    ------
    ValueError
        If the cosine is out of range, or there are more than 50 million pairs.
    """
    if not 0 < cosine <= 1:
        raise InputError(f"cosine {cosine} is not in (0, 1]")
    lists = count_lists(len(embeddings), index, n_lists)
    settings = {"lists": lists, "probes": n_probe, "memory_gb": memory_gb, "seed": seed}
    radius = 2 * (1 - cosine) + SLACK  # |a - b|^2 of unit rows
    found, total = [], 0
    for candidates in candidate_pairs(embeddings, radius, **settings):
        pairs = np.unique(np.sort(candidates, axis=1), axis=0)
        found.append(_refine(embeddings, pairs, cosine))
        total += len(found[-1][0])
        if total > 2 * MOST:  # each pair comes from both of its samples
            raise InputError(f"more than {MOST} pairs reach a cosine of {cosine}: raise it")
    pairs, first = np.unique(np.concatenate([p for p, _ in found]), axis=0, return_index=True)
    cosines = np.concatenate([c for _, c in found])[first]
    recall = 1.0 if lists == 1 else _recall(embeddings, pairs, cosine)
    logger.info("%d pairs at cosine %g; recall %.4f", len(pairs), cosine, recall)
    return pairs, cosines, recall


def _refine(
    embeddings: Embeddings, pairs: np.ndarray, least: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the pairs (m, 2) that reach the cosine in float64, and their cosines (m,)."""
    cosines = np.empty(len(pairs))
    for start in range(0, len(pairs), ROWS):
        here = slice(start, start + ROWS)
        one, other = (embeddings[column].astype(np.float64) for column in pairs[here].T)
        norms = np.sqrt(np.einsum("nd,nd->n", one, one) * np.einsum("nd,nd->n", other, other))
        cosines[here] = np.einsum("nd,nd->n", one, other) / norms
    near = cosines >= least - EPSILON
    return pairs[near], np.minimum(cosines[near], 1.0)


def _recall(embeddings: Embeddings, pairs: np.ndarray, cosine: float) -> float:
    """Compute the share of found pairs among all pairs of some samples, found by brute force."""
    n = len(embeddings)
    probed = np.unique(np.linspace(0, n - 1, min(PROBED, n)).astype(np.int64))
    asked, true = embeddings[probed], []
    for start, block in embeddings.blocks(4096):
        own, other = np.nonzero(asked @ block.T >= cosine - SLACK)
        near = np.column_stack([probed[own], start + other])
        true.append(np.sort(near[near[:, 0] != near[:, 1]], axis=1))
    true, _ = _refine(embeddings, np.unique(np.concatenate(true), axis=0), cosine)
    keys = (n * p[:, 0] + p[:, 1] for p in (true, pairs))
    return float(np.isin(*keys).mean()) if len(true) else 1.0

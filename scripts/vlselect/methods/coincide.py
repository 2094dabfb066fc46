"""COINCIDE: a share for each concept-skill cluster, and its most typical samples.

References
----------
.. [1] Lee, Li and Hwang, Concept-skill Transferability-based Data Selection for Large
   Vision-Language Models, EMNLP 2024, arXiv:2406.10995.
"""

import logging
from functools import partial

import numpy as np
import pandas as pd

from vlselect.core.errors import InputError
from vlselect.core.log import progress
from vlselect.core.selection import Selection
from vlselect.methods.maths.allocation import allocate, log_probabilities
from vlselect.methods.maths.mmd import greedy

logger = logging.getLogger(__name__)


def select(
    pool: pd.DataFrame,
    signals: dict,
    budget: int,
    seed: int,
    *,
    temperature: float,
    sigma: float,
) -> Selection:
    """Share the budget among the clusters, then pick in each by greedy MMD.

    Parameters
    ----------
    signals : dict
        ``activations``: ShardedArray (N, d); ``assignments``: DataFrame row, cluster; ``summary``:
        DataFrame cluster, size, transferability, density, clusters from 0.
    temperature : float
        tau of the allocation, above 0.
    sigma : float
        Bandwidth of the kernel within clusters; the same as for the densities.

    Returns
    -------
    Selection
        Clusters by descending probability (ties: lower number), the samples of each in the order in
        which they were picked. Scores are the probabilities of the samples' clusters.
    """
    activations, cluster, summary = _checked(signals, len(pool))
    logs = log_probabilities(summary["transferability"], summary["density"], temperature)
    sizes = summary["size"].to_numpy()
    shares = allocate(logs, sizes, budget)
    logger.info(
        "%d of %d clusters get a share of at most %d samples; %d of them are taken whole",
        (shares > 0).sum(), len(shares), shares.max(), (shares == sizes).sum(),
    )  # fmt: skip
    members = np.split(np.argsort(cluster, kind="stable"), np.cumsum(sizes)[:-1])
    giving = [int(c) for c in np.argsort(-logs, kind="stable") if shares[c]]
    groups = activations.groups(members[c] for c in giving)
    # By `map`, which holds no group while the next ones are read: they take a gigabyte together.
    picks = map(partial(greedy, sigma=sigma), groups, (int(shares[c]) for c in giving))
    picks = progress(picks, len(giving), "greedy MMD")
    picked = [members[c][own] for c, own in zip(giving, picks, strict=True)]
    rows = np.concatenate([np.empty(0, np.int64), *picked])
    return Selection(rows, np.exp(np.repeat(logs[giving], shares[giving])))


def _checked(signals: dict, n_pool: int):
    """Return activations, clusters (N,) and the summary by cluster, which must fit together."""
    missing = {"activations", "assignments", "summary"} - signals.keys()
    if missing:
        raise InputError(f"coincide needs the signals {sorted(missing)}")
    activations = signals["activations"]
    cluster = signals["assignments"]["cluster"].to_numpy()
    summary = signals["summary"].sort_values("cluster", ignore_index=True)
    if not len(activations) == len(cluster) == n_pool:
        raise InputError(
            f"{len(activations)} activations and {len(cluster)} assignments for {n_pool} samples"
        )
    if not np.array_equal(summary["cluster"], np.arange(len(summary))):
        raise InputError("the summary does not number its clusters from 0")
    if not np.array_equal(np.bincount(cluster, minlength=len(summary)), summary["size"]):
        raise InputError("the summary's sizes are not those of the assignments")
    return activations, cluster, summary

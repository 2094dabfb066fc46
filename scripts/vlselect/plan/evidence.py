"""Numbers that say what kind of pool a run has: what its votes, losses and comparisons show."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from vlselect.core.ordering import top
from vlselect.core.refused import accepted, refused_in
from vlselect.tables.declarations import HIGHER, LOWER
from vlselect.tables.task_agreement import task_agreement
from vlselect.tables.votes_histogram import voters

TWO_KINDS = (
    0.8  # of the variance between two parts; a normal or exponential law has 0.65, an even one 0.75
)
FEWEST = 100  # samples of a source that can show two kinds


class Split(NamedTuple):
    """Two parts of some values: the share of the upper one, and of the variance between them."""

    share: float
    explained: float

    @property
    def two_kinds(self) -> bool:
        """Whether the values are of two kinds, the rarer one above."""
        return self.explained >= TWO_KINDS and self.share <= 0.5


def kept_votes(votes: pd.DataFrame, sample_ids: np.ndarray, budget: int) -> pd.Series:
    """Compute for each task which share of the samples it votes for the budget has room for.

    Parameters
    ----------
    votes : DataFrame
        ``votes/seed-<s>.parquet``: a column for each task, votes and mean_rank; refused samples
        have neither.
    sample_ids : object array, shape (N,)
    budget : int
        Samples that have the most votes, as `icons` chooses them: equal ones by mean rank.
    """
    rows = accepted(len(votes), refused_in([votes]))
    votes, sample_ids = votes.iloc[rows], np.asarray(sample_ids, dtype=object)[rows]
    chosen = top(votes["votes"], min(budget, len(votes)), sample_ids, [votes["mean_rank"]])
    own = votes[voters(votes)]
    return own.iloc[chosen].sum() / own.sum()


def overlaps(agreement: pd.DataFrame) -> pd.Series:
    """Average each task's overlap of votes (Jaccard) with those of the other tasks, over seeds.

    `agreement` has task_a, task_b and jaccard of each pair, as ``task_agreement.csv``.
    """
    pairs = agreement[agreement["task_a"] != agreement["task_b"]]
    ends = [pairs.set_index(side)["jaccard"] for side in ("task_a", "task_b")]
    tasks = agreement["task_a"].drop_duplicates()
    return pd.concat(ends).groupby(level=0).mean().reindex(tasks)


def vote_overlaps(votes: pd.DataFrame) -> pd.Series:
    """Compute the same from the votes themselves."""
    own = votes[voters(votes)]
    return overlaps(task_agreement(own, own))


def chance_overlap(mean_votes: float, n_tasks: int) -> float:
    """Compute the Jaccard overlap that two tasks' votes would have if they had nothing in common.

    Each votes for the share p of the pool; then p² of it have both votes, and 2p − p² either.
    """
    p = mean_votes / n_tasks
    return p / (2 - p)


def mean_votes(histogram: pd.DataFrame) -> float:
    """Compute the mean number of votes of a sample from ``votes_histogram.csv``."""
    return float((histogram["votes"] * histogram["n"]).sum() / histogram["n"].sum())


def split(values: np.ndarray) -> Split:
    """Cut values in two where the variance between the parts is largest (Otsu's threshold)."""
    ordered = np.sort(np.asarray(values, dtype=np.float64))
    total = ordered.var() * len(ordered)
    if len(ordered) < 2 or total == 0:
        return Split(0.0, 0.0)
    lower = np.arange(1, len(ordered))  # size of the lower part
    upper = len(ordered) - lower
    sums = np.cumsum(ordered)[:-1]
    means = (ordered.sum() - sums) / upper - sums / lower
    between = lower * upper / len(ordered) * means**2
    cut = int(np.argmax(between))
    return Split(float(upper[cut] / len(ordered)), float(between[cut] / total))


def wrong_answers(losses: np.ndarray, sources: np.ndarray) -> pd.Series:
    """Estimate the share of wrong answers in the sources whose losses are of two kinds.

    Parameters
    ----------
    losses, sources : arrays, shape (N,)
        Losses of ``gate/seed-<s>.parquet`` (NaN for refused samples). By source, not by the gate's
        group: a wrong answer often lands in the group of another task.

    Returns
    -------
    Series
        By source; those with losses of one kind are left out, as are small ones. There, either all
        answers are right or the model has not learnt to tell.
    """
    known = ~np.isnan(losses)
    found = {}
    for source in sorted(set(sources[known])):
        own = losses[known & (sources == source)]
        parts = split(own)
        if len(own) >= FEWEST and parts.two_kinds:
            found[source] = parts.share
    return pd.Series(found, dtype=float)


def repeated(pairs: pd.DataFrame | None, digests: pd.Series) -> float:
    """Compute the share of samples that could go without a loss of any kind of sample.

    Samples of one content, or joined by pairs (row_a, row_b), are one kind; of n, n − 1 are too
    many.
    """
    kinds, _ = pd.factorize(digests)
    ends = np.empty((0, 2), np.int64)
    if pairs is not None and len(pairs):
        ends = kinds[pairs[["row_a", "row_b"]].to_numpy()]
    links = coo_matrix((np.ones(len(ends)), ends.T), shape=(kinds.max() + 1,) * 2)
    return (len(digests) - connected_components(links, directed=False)[0]) / len(digests)


def best(comparison: pd.DataFrame) -> str | None:
    """Return the method with the largest mean difference of those shown to be above `random`.

    A method is, if its verdict is `higher` at some budget and `lower` at none.
    """
    verdicts = comparison.groupby("method")["verdict"].agg(set)
    higher = [m for m, found in verdicts.items() if HIGHER in found and LOWER not in found]
    means = comparison.groupby("method")["difference"].mean()[higher]
    return None if means.empty else str(means.idxmax())

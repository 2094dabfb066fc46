"""Random samples of each task that are likely to be right, more of tasks that are not known yet.

A model that was briefly finetuned on the pool says two things of it. Which task a sample serves:
the one whose validation samples it is most similar to, if it is as similar to them as nearly all of
them are to each other. And whether its answer is likely to be right: its loss is one that the
task's validation samples have too, which the model has not seen. Before it was finetuned, it says
which tasks need more samples: those whose validation samples have a higher loss. (After it has seen
the whole pool its losses say which tasks are hard, and not what a subset still has to teach: in a
pool of right answers, tasks with many samples would get next to none.) Inside a task the draw is
random: what is most similar to single validation samples (`targeted`) taught less in our trials.
Our own method.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from vlselect.core import ordering
from vlselect.core.errors import InputError
from vlselect.core.refused import without_refused
from vlselect.core.selection import Selection
from vlselect.core.store import ShardedArray
from vlselect.gradients import gate
from vlselect.methods.maths.allocation import allocate

CLEAN, DOUBTFUL, FOREIGN = range(3)  # the order in which samples are chosen


def select(
    pool: pd.DataFrame,
    signals: dict,
    budget: int,
    seed: int,
    *,
    within: float,
    power: float,
    tasks: Mapping[str, Sequence[str]],
) -> Selection:
    """Divide the budget over tasks, and draw each task's share from its clean samples.

    A task's share is proportional to the mean loss of its validation samples before the warm-up to
    this power, as far as it has clean samples; what it has not goes to the other tasks. A budget
    beyond all clean samples takes the doubtful ones, those with the lowest loss first, then those
    of no task.

    Parameters
    ----------
    signals : dict
        ``gradients``: ShardedArray (N, k), vectors of unit length; ``losses``: ShardedArray (N,),
        in nats; ``validation``: dict of validation set to ShardedArray (n_val, k);
        ``validation_losses`` and, of the model before its warm-up, ``losses_before``: dicts of
        validation set to ShardedArray (n_val,).
    within : float
        A loss is clean up to this quantile of those of the task's validation samples.
    power : float
        0 gives all tasks the same share.
    tasks : mapping of str to sequence of str
        Each voting task's validation sets.

    Returns
    -------
    Selection
        Without scores. Clean samples come in the order of the draw.
    """
    if "standing" not in signals:
        signals = prepare(pool, signals, within=within, tasks=tasks)
    ids = pool["sample_id"].to_numpy(object)
    standing = signals["standing"]
    task, standing = standing["task"].to_numpy(), standing["standing"].to_numpy()
    drawn = ordering.draw(ids, len(ids), seed, "clean_shares")
    clean = [drawn[(standing[drawn] == CLEAN) & (task[drawn] == t)] for t in range(len(tasks))]
    sizes = np.array([len(rows) for rows in clean])
    means = [found.mean() for found in losses_of(signals["losses_before"], tasks)]
    weights = power * np.log(np.maximum(means, np.finfo(np.float64).tiny))  # finite for a loss of 0
    counts = allocate(weights, sizes, min(budget, sizes.sum()))
    chosen = np.concatenate([rows[:n] for rows, n in zip(clean, counts, strict=True)])
    chosen = drawn[np.isin(drawn, chosen)]
    rest = drawn[standing[drawn] != CLEAN]
    losses = signals["losses"][:][rest].astype(np.float64)
    rest = rest[np.lexsort([np.where(standing[rest] == DOUBTFUL, losses, 0.0), standing[rest]])]
    return Selection(np.concatenate([chosen, rest[: budget - len(chosen)]]))


def prepare(
    pool: pd.DataFrame, signals: dict, *, within: float, tasks: Mapping[str, Sequence[str]]
) -> dict:
    """Add the signal ``standing`` (DataFrame row, task, standing), which compares whole sets.

    InputError if a validation set has no loss, or vectors are not comparable.
    """
    task, similarity = gate.nearest(signals["gradients"], signals["validation"], tasks)
    least = gate.least_similarities(signals["validation"], tasks)
    own = losses_of(signals["validation_losses"], tasks)
    highest = np.array([np.quantile(one, within) for one in own])
    losses = signals["losses"][:].astype(np.float64)
    standing = np.where(losses <= highest[task], CLEAN, DOUBTFUL)
    standing[similarity < least[task]] = FOREIGN
    table = pd.DataFrame({"row": np.arange(len(pool)), "task": task, "standing": standing})
    return signals | {"standing": table}


def losses_of(
    sets: Mapping[str, ShardedArray], tasks: Mapping[str, Sequence[str]]
) -> list[np.ndarray]:
    """Read each task's losses, float64 (n,), without refused samples; InputError for none."""
    return [np.concatenate([_losses(sets[name]) for name in names]) for names in tasks.values()]


def _losses(array: ShardedArray) -> np.ndarray:
    kept, _ = without_refused(array)
    if not len(kept):
        raise InputError(f"{array.paths[0]}: no losses; the model refused all samples")
    return kept[:].astype(np.float64)

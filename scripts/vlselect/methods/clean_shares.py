"""Random samples of each task that are likely to be right, more of tasks that are not known yet.

A model that was briefly finetuned on the pool says two things of it. Which task a sample serves:
the one whose validation samples it is most similar to, or the one that most of its source serves.
And whether its answer is likely to be right: its loss is one that the task's validation samples
have too, which the model has not seen. Before it was finetuned, it says which tasks need more
samples: those whose validation samples have a higher loss. (After it has seen the whole pool its
losses say which tasks are hard, and not what a subset still has to teach: in a pool of right
answers, tasks with many samples would get next to none.) Inside a task the draw is random: what is
most similar to single validation samples (`targeted`) taught less in our trials.
Our own method.
"""

import logging
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

logger = logging.getLogger(__name__)

CLEAN, DOUBTFUL, FOREIGN = range(3)  # the order in which samples are chosen
FAR = 2  # times as far from a task as nearly all of its validation samples are from each other
ALIKE = 0.8  # of the share of a task's validation samples that serve it: a source has to reach it
KEPT = 0.25  # share of its samples that a task keeps at least when sources are assigned
FEW = 20  # samples of a source or a validation set: fewer do not show what it is about


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
        validation set to ShardedArray (n_val,); ``questions``: dict of validation set to DataFrame
        n_images, a row for each sample.
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

    A sample serves the task that it is most similar to (`gate.nearest`) of those that come into
    question: not those whose validation samples all have an image where it has none, or none where
    it has one. It serves none if it is `FAR` from it. Then whole sources go to a task
    (`whole_sources`).

    InputError if a validation set has no loss, or vectors are not comparable.
    """
    own = losses_of(signals["validation_losses"], tasks)
    shown = np.array([_shown(signals, names) for names in tasks.values()])
    barred = np.where(pool["n_images"].to_numpy()[:, None] > 0, shown == 0, shown == 1)  # (N, T)
    task, similarity = gate.nearest(signals["gradients"], signals["validation"], tasks, barred)
    least, faithful = gate.within_tasks(signals["validation"], tasks)
    faithful[[len(one) < FEW for one in own]] = np.inf
    foreign = 1 - similarity > FAR * (1 - least[task])
    task, foreign = whole_sources(pool["source"].to_numpy(object), task, foreign, faithful, barred)
    highest = np.array([np.quantile(one, within) for one in own])
    losses = signals["losses"][:].astype(np.float64)
    standing = np.where(losses <= highest[task], CLEAN, DOUBTFUL)
    standing[foreign] = FOREIGN
    for place, name in enumerate(tasks):
        clean, doubtful, _ = np.bincount(standing[task == place], minlength=3)
        logger.info("%s: %d clean samples, %d doubtful ones", name, clean, doubtful)
        if len(own[place]) < FEW:
            about = "%s: %d validation samples say little of what is clean; %d or more do"
            logger.warning(about, name, len(own[place]), FEW)
    logger.info("%d samples serve no task", foreign.sum())
    table = {"row": np.arange(len(pool)), "task": task, "standing": standing}
    return signals | {"standing": pd.DataFrame(table)}


def whole_sources(
    source: np.ndarray,
    task: np.ndarray,
    foreign: np.ndarray,
    faithful: np.ndarray,
    barred: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Assign sources that hold one kind of question to its task as a whole.

    A source does if its samples serve a task about as often (`ALIKE`) as the task's validation
    samples do, and more than half of its samples serve some task, and more than half of those this
    one. All samples together show this more reliably than each alone. A pool's only source and
    sources of fewer than `FEW` samples are left as they are. So are samples whose task would keep
    less than `KEPT` of its samples, and samples for which the source's task is barred.

    Parameters
    ----------
    source : array, shape (N,)
    task : int64 array, shape (N,)
        The place of each sample's task.
    foreign : bool array, shape (N,)
        Whether the sample serves none.
    faithful : float64 array, shape (T,)
        How often a task's validation samples serve it: see `gate.within_tasks`.
    barred : bool array, shape (N, T)
        Tasks that do not come into question for a sample.

    Returns
    -------
    task, foreign : arrays, shape (N,)
        After the assignment; what was assigned is not foreign.
    """
    names, places = np.unique(source, return_inverse=True)
    serve = np.zeros((len(names), len(faithful)), dtype=np.int64)
    np.add.at(serve, (places[~foreign], task[~foreign]), 1)
    best, most, sizes = serve.argmax(axis=1), serve.max(axis=1), np.bincount(places)
    whole = (most >= ALIKE * faithful[best] * sizes) & (sizes >= FEW) & (len(names) > 1)
    whole &= (2 * serve.sum(axis=1) > sizes) & (2 * most > serve.sum(axis=1))
    lost = np.where(whole[:, None], serve, 0)
    lost[np.arange(len(names)), best] = 0
    robbed = lost.sum(axis=0) > (1 - KEPT) * serve.sum(axis=0)
    given = whole[places] & ~barred[np.arange(len(task)), best[places]] & (foreign | ~robbed[task])
    return np.where(given, best[places], task), foreign & ~given


def _shown(signals: dict, names: Sequence[str]) -> float:
    """Return the share of a task's validation samples that have an image, without refused ones."""
    shown = []
    for name in names:
        images = signals["questions"][name]["n_images"].to_numpy()
        array = signals["validation"][name]
        if len(images) != len(array):
            where = f"{array.paths[0]} holds {len(array)} rows"
            raise InputError(f"{where}, but {name} has {len(images)} validation samples")
        shown.append(images[without_refused(array)[1]] > 0)
    return np.concatenate(shown).mean()


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

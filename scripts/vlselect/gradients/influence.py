"""Influence of every pool sample on every task, in one pass over the pool's gradients.

ICONS defines the influence of sample i on task t as the mean over the task's validation samples j
of <phi(g_i), phi(g_j)>. The mean is linear, so it equals <phi(g_i), mean_j phi(g_j)>: the pool's
gradients are read once and multiplied by one vector per task.

Precision. Gradients are stored in float16 and are unit rows in a space of k dimensions (subtasks
may leave theirs unnormalised). Task means are summed in float64 and rounded once to float32; the
products are float32 throughout. The error of such an inner product is at most about
(k + 2) · 2^-24 · ||g_i|| · ||mean||: below 3.1e-4 for k = 5120, and about 4e-6 in practice, by its
square-root law. Storage in float16 already rounds each element by up to 2^-11 of its size, so
float32 never limits the precision of the result.

Reproducibility. Blocks are cut on multiples of `ROWS` pool rows, however the pool is sharded, so
each matrix product has the same shape and, on one kind of CPU, the same result for any number of
shards. The way BLAS splits a product among its threads may change the last bits, so callers fix the
number of threads.

References
----------
.. [1] Wu et al., ICONS: Influence Consensus for Vision-Language Data Selection,
   arXiv:2501.00654, section 3.2 (specialist stage).
.. [2] Xia et al., LESS: Selecting Influential Data for Targeted Instruction Tuning,
   arXiv:2402.04333, equation 3 (maximum over subtasks).
"""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from vlselect.core import half, log
from vlselect.core.errors import InputError
from vlselect.core.store import ShardedArray, ShardWriter
from vlselect.gradients.fingerprint import require_same

ROWS = 256  # a float32 block of this many rows stays in the processor's cache
ORIGIN = ("model", "revision", "warm_up")


def require_comparable(arrays: Mapping[str, ShardedArray]) -> None:
    """Check that all gradients, named for the error, come from one model and one projection.

    Raises
    ------
    ValueError
        If projection fingerprints differ or are missing, if widths differ, or if the headers
        disagree on model, revision or warm-up.
    """
    headers = [header for array in arrays.values() for header in array.metadata]
    require_same(headers, [str(path) for array in arrays.values() for path in array.paths])
    for key in ORIGIN:
        found = sorted({str(header.get(key)) for header in headers})
        if len(found) > 1:
            raise InputError(f"gradients differ in {key!r}: {', '.join(found)}")
    widths = {name: array.shape[1:] for name, array in arrays.items()}
    if len(set(widths.values())) > 1:
        raise InputError(f"gradients differ in width: {widths}")


def mean_gradient(gradients: ShardedArray) -> np.ndarray:
    """Average a task's gradients (n_val, k) over rows in float64, to float32 (k,).

    InputError if there are no rows that the model did not refuse, or one is not finite.
    """
    _require_some(gradients)
    total = np.zeros(gradients.shape[1], dtype=np.float64)
    for _, block in _finite_blocks(gradients, "validation"):
        total += block.sum(axis=0, dtype=np.float64)
    return (total / (len(gradients) - len(gradients.refused))).astype(np.float32)


def all_gradients(gradients: ShardedArray) -> np.ndarray:
    """Read a task's gradients as one float32 array (n_val, k), without refused samples.

    Errors as for `mean_gradient`.
    """
    _require_some(gradients)
    blocks = [block.copy() for _, block in _finite_blocks(gradients, "validation")]
    return np.delete(np.concatenate(blocks), gradients.refused, axis=0)


def unit_gradients(
    validation: Mapping[str, ShardedArray], tasks: Mapping[str, Sequence[str]]
) -> tuple[np.ndarray, list[range]]:
    """Read the validation gradients of all tasks at unit length.

    Parameters
    ----------
    validation : mapping of str to ShardedArray, shapes (n_val, k)
        Gradients of each validation set, of any norm but zero.
    tasks : mapping of str to sequence of str
        The validation sets of each task: a group has several.

    Returns
    -------
    rows : float32 array, shape (C, k)
    owned : list of range
        The rows of each task, in the order of `tasks`.

    Raises
    ------
    InputError
        As for `mean_gradient`; or if a gradient is zero, whose direction says nothing.
    """
    found, owned, count = [], [], 0
    for members in tasks.values():
        first = count
        for task in members:
            rows = all_gradients(validation[task])
            norms = np.linalg.norm(rows, axis=1, keepdims=True)
            if not norms.all():
                raise InputError(f"a validation gradient of {task} is zero")
            found.append(rows / norms)
            count += len(rows)
        owned.append(range(first, count))
    return np.concatenate(found), owned


def _require_some(gradients: ShardedArray) -> None:
    if len(gradients.refused) == len(gradients):
        where = ", ".join(map(str, gradients.paths))
        raise InputError(f"{where}: no validation gradients; the model refused all samples")


def products(
    pool: ShardedArray, targets: Sequence[np.ndarray]
) -> Iterator[tuple[int, list[np.ndarray]]]:
    """Multiply the pool's gradients (N, k) with sets of vectors (C_1, k), …, reading blocks once.

    The sets are multiplied separately, so that adding one does not change the others' results.

    Yields
    ------
    (int, list of float32 arrays)
        First row of the block, and its products (b, C_1), (b, C_2), …

    Raises
    ------
    ValueError
        If a pool row is not finite; names the row.
    """
    for start, block in _finite_blocks(pool, "pool"):
        # (b, k) @ (k, C) -> (b, C)
        yield start, [block @ target.T for target in targets]


def compute(
    pool: ShardedArray,
    tasks: Sequence[ShardedArray],
    matrices: Sequence[ShardWriter] = (),
) -> np.ndarray:
    """Compute the influence of every pool sample on every task: float32 (N, T).

    Parameters
    ----------
    pool : ShardedArray, shape (N, k)
        Projected gradients of the pool, read once.
    tasks : sequence of ShardedArray, shapes (n_val, k)
        Projected gradients of each task's validation samples.
    matrices : sequence of ShardWriter, shapes (N, n_val), optional
        One writer per task, for the single inner products with the validation samples that the
        model did not refuse. All validation gradients are then held in memory; the result has the
        same bits.

    Returns
    -------
    float32 array (N, T)
        NaN for samples of the pool that the model refused.
    """
    means = np.stack([mean_gradient(gradients) for gradients in tasks])
    wide = [all_gradients(gradients) for gradients in tasks] if matrices else []
    table = np.empty((len(pool), len(tasks)), dtype=np.float32)
    n_blocks = -(-len(pool) // ROWS)
    blocks = log.progress(products(pool, [means, *wide]), n_blocks, "influence")
    for start, (influences, *inner) in blocks:
        rows = slice(start, start + len(influences))
        table[rows] = influences
        for writer, product in zip(matrices, inner, strict=True):
            writer.write(rows, product)
    table[pool.refused] = np.nan
    for writer in matrices:
        writer.refuse(pool.refused, "left_out")
    return table


def with_groups(
    influences: Mapping[str, np.ndarray], groups: Mapping[str, Sequence[str]]
) -> dict[str, np.ndarray]:
    """Add each group's influence (N,): the elementwise maximum over its subtasks.

    Raises ValueError if a group has the name of a task, is empty, or names an unknown task.
    """
    result = dict(influences)
    for group, members in groups.items():
        unknown = [member for member in members if member not in influences]
        if group in influences or unknown or not members:
            raise ValueError(f"group {group!r} of {list(members)} does not fit {list(influences)}")
        result[group] = np.maximum.reduce([influences[member] for member in members])
    return result


def _finite_blocks(array: ShardedArray, what: str) -> Iterator[tuple[int, np.ndarray]]:
    """Iterate over an array in float32 blocks of `ROWS` rows, all of which must be finite.

    Those of refused samples are zero. Each block is valid until the next one, which overwrites it.
    """
    refused = array.refused
    buffer = np.empty((min(ROWS, len(array)), array.shape[1]), dtype=np.float32)
    for start, stored in _read_ahead(array.blocks(ROWS)):
        stored[refused[(refused >= start) & (refused < start + len(stored))] - start] = 0
        finite = half.finite_rows(stored)
        if not finite.all():
            row = start + int(np.argmin(finite))
            raise InputError(f"{array.path_of(row)}: {what} gradient of row {row} is not finite")
        block = buffer[: len(stored)]
        half.to_float32(stored, block)
        yield start, block


def _read_ahead(blocks: Iterator[tuple[int, np.ndarray]]) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the same blocks, while a thread reads the next one."""
    with ThreadPoolExecutor(1) as reader:
        waiting = reader.submit(next, blocks, None)
        while (block := waiting.result()) is not None:
            waiting = reader.submit(next, blocks, None)
            yield block

"""How far apart two results may lie that differ only in the order of their sums.

Instruction sets, batch sizes and shard cuts change the order in which products are summed, and thus
their rounding. With any order, the error of a sum of n products is at most λ √n u Σ|products|, with
probability 1 - 2 exp(-λ²/2), where u = eps / 2 (Higham and Mary, A New Approach to Probabilistic
Rounding Error Analysis, SIAM J. Sci. Comput. 41, 2019, theorem 2.4). Two results thus differ by at
most λ √n eps, relative to the size of what is summed: for a vector, this is its norm rather than
the single coordinate, which may be small because large products cancel.
"""

import numpy as np
import torch
from torch import nn

SURE = 6.0  # λ: one in thirty million sums


def rounding(terms: float, dtype: str = "float32", stored: str | None = None) -> float:
    """Return the largest relative distance of two results.

    Parameters
    ----------
    terms : float
        Length of the longest chain of sums and products: the width for an inner product, `chain`
        for a pass of a model.
    dtype : str
        Precision of the computation.
    stored : str, optional
        Dtype that both are rounded to afterwards: half a unit in the last place each.
    """
    kept = 0.0 if stored is None else float(np.finfo(stored).eps)
    return SURE * terms**0.5 * float(np.finfo(dtype).eps) + kept


def chain(model: nn.Module) -> int:
    """Return the number of products that are summed on the way through a model.

    This is the sum of the widths of all its layers; a backward pass doubles it.
    """
    weights = (m.weight for m in model.modules() if not isinstance(m, nn.Embedding) and _sums(m))
    return sum(weight[0].numel() for weight in weights)


def _sums(module: nn.Module) -> bool:
    weight = getattr(module, "weight", None)
    return isinstance(weight, torch.Tensor) and weight.ndim > 1


def distances(actual, expected, scale=None) -> np.ndarray:
    """Return ‖actual - expected‖ / ‖expected‖ of each vector (last axis); 0 if they are equal.

    `scale`, one number or one per vector, replaces ‖expected‖ where large parts cancel.
    """
    actual, expected = _exact(actual), _exact(expected)
    assert actual.shape == expected.shape, (actual.shape, expected.shape)
    size = np.linalg.norm(expected, axis=-1) if scale is None else _exact(scale)
    error = np.linalg.norm(actual - expected, axis=-1)
    return np.divide(error, size, out=np.where(error == 0, 0.0, np.inf), where=size > 0)


def assert_close_vectors(
    actual, expected, *, terms, dtype="float32", stored=None, scale=None, name=""
):
    """Check that all vectors (last axis) agree up to `rounding`, relative to their norms.

    See `rounding` for terms, dtype and stored, `distances` for scale.
    """
    found, allowed = distances(actual, expected, scale), rounding(terms, dtype, stored)
    worst = np.unravel_index(np.argmax(np.nan_to_num(found, nan=np.inf)), found.shape)
    message = f"{name} vector {tuple(map(int, worst))} is off by {found[worst]:.3g} of its norm"
    assert (found <= allowed).all(), f"{message}, where rounding explains {allowed:.3g}"


def assert_close_sums(actual, expected, *, terms, dtype="float32", stored=None, scale=None):
    """Check that single numbers, each a sum, agree up to `rounding`.

    `scale` is the sum of the absolute products, one for all or one per number; default |expected|.
    """
    actual, expected = _exact(actual)[..., None], _exact(expected)[..., None]
    assert_close_vectors(actual, expected, terms=terms, dtype=dtype, stored=stored, scale=scale)


def _exact(values) -> np.ndarray:
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu().double().numpy()
    return np.asarray(values, dtype=np.float64)

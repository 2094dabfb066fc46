import numpy as np
import pytest
import torch
from closeness import assert_close_vectors
from safetensors.torch import save_file
from torch import nn

from vlselect.core.errors import InputError, MissingFileError
from vlselect.gradients import projection
from vlselect.gradients.per_sample import LoraMatrix
from vlselect.gradients.precondition import EPSILON, adam_weights, weighted
from vlselect.models.lora import MOMENTS

pytestmark = pytest.mark.numeric

SHAPES = {"a": (3, 8), "b": (8, 3)}


def matrices():
    result, offset = [], 0
    for name, (out, into) in SHAPES.items():
        result.append(LoraMatrix(name, nn.Linear(into, out, bias=False), offset))
        offset += out * into
    return result


def moments(**changed):
    generator = torch.Generator().manual_seed(0)
    found = {name: torch.rand(shape, generator=generator) for name, shape in SHAPES.items()}
    return {name: value for name, value in (found | changed).items() if value is not None}


def save(folder, found):
    save_file(found, folder / MOMENTS)
    return folder


def test_weights_are_one_over_the_root_in_the_order_of_the_matrices(tmp_path):
    found = adam_weights(save(tmp_path, moments()), matrices())
    values = torch.cat([moments()[name].flatten() for name in SHAPES]).double()
    expected = 1 / (values.sqrt() + EPSILON)
    assert found.dtype == torch.float32 and found.shape == (48,)
    assert_close_vectors(found, expected / expected.square().mean().sqrt(), terms=48)


def test_a_weight_without_moments_takes_no_step(tmp_path, caplog):
    still = moments()["a"].clone()
    still[1, 2] = 0
    found = adam_weights(save(tmp_path, moments(a=still, b=None)), matrices())
    assert np.flatnonzero(found == 0).tolist() == [10, *range(24, 48)]
    assert "25 of 48 LoRA weights" in caplog.text
    assert found.square().mean() == pytest.approx(1)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"c": torch.ones(2)}, "moments of c, which the adapter lacks"),
        ({"a": torch.ones(8, 3)}, r"a is \[8, 3\] in place of \[3, 8\]"),
        ({"a": None, "b": torch.zeros(8, 3)}, "no second moment above 0"),
    ],
)
def test_moments_of_another_adapter_are_refused(tmp_path, changed, message):
    with pytest.raises(InputError, match=message):
        adam_weights(save(tmp_path, moments(**changed)), matrices())


def test_missing_or_broken_moments_are_named(tmp_path):
    with pytest.raises(MissingFileError, match="has no second_moments"):
        adam_weights(tmp_path, matrices())
    (tmp_path / MOMENTS).write_bytes(b"broken")
    with pytest.raises(InputError, match="is broken or cut off"):
        adam_weights(tmp_path, matrices())


@pytest.mark.parametrize("cached", [1 << 24, 0])
@pytest.mark.parametrize("kind", projection.TYPES)
def test_a_weighted_projection_is_that_of_multiplied_vectors(kind, cached, monkeypatch):
    monkeypatch.setattr("vlselect.gradients.shifted.CACHED", cached)
    where = {"size": 500, "dim": 48, "seed": 3, "device": torch.device("cpu")}
    phi = projection.make(kind, **where, nonzeros=3, implementation="auto")
    generator = torch.Generator().manual_seed(0)
    x, weights = torch.randn(6, 500, generator=generator), torch.rand(500, generator=generator)
    plain = projection.project(phi, x)
    other = weighted(phi, weights)
    accumulator = other.begin(6)
    for a, b in ((200, 500), (0, 7), (7, 200)):
        accumulator.add(a, x[:, a:b])
    expected = projection.project(phi, x * weights)
    assert_close_vectors(accumulator.result(), expected, terms=500)
    assert other.describe() == phi.describe()
    assert torch.equal(projection.project(phi, x), plain)  # itself unchanged
    with pytest.raises(ValueError, match="outside a vector of 500"):
        other.begin(1).add(401, torch.ones(1, 100))

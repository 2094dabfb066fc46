import pytest
import torch
from closeness import assert_close_vectors
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from vlselect.gradients import products
from vlselect.gradients.products import summed_products, uncast

pytestmark = pytest.mark.numeric

SHAPES = [(5, 37, 64, 3), (5, 37, 3, 64), (2, 300, 96, 48), (3, 1, 16, 16), (1, 4000, 40, 24)]


def factors(shape, *dtypes):
    """Draw output gradients (B, t, out) and inputs (B, t, in)."""
    n, tokens, out, into = shape
    generator = torch.Generator().manual_seed(0)
    draws = [torch.randn(n, tokens, width, generator=generator) for width in (out, into)]
    return [draw.to(dtype) for draw, dtype in zip(draws, dtypes, strict=True)]


def slow(g, x):
    """Sum the outer products one token at a time, in float64."""
    total = torch.zeros(len(g), g.shape[2], x.shape[2], dtype=torch.float64)
    for t in range(g.shape[1]):
        total += g[:, t, :, None].double() * x[:, t, None, :].double()
    return total


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("g_dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("x_dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("native", [True, False])
def test_products_are_sums_over_tokens_in_float32(shape, g_dtype, x_dtype, native, monkeypatch):
    monkeypatch.setattr(products, "_multiplies_bfloat16", lambda: native)
    g, x = factors(shape, getattr(torch, g_dtype), getattr(torch, x_dtype))
    found, expected = summed_products(g, x), slow(g, x)
    rounded = native and g_dtype == x_dtype == "bfloat16"
    assert found.dtype == (torch.bfloat16 if rounded else torch.float32)
    sizes = (g.double().norm(dim=1)[:, :, None] * x.double().norm(dim=1)[:, None]).norm(dim=(1, 2))
    allowed = {"terms": shape[1], "scale": sizes}
    if rounded:  # once, at the end: the sums are float32
        off = (found.double() - expected).abs() - 2.0**-8 * expected.abs()
        assert (off.clamp(min=0).flatten(1).norm(dim=1) <= 1e-6 * sizes).all()
    else:
        assert_close_vectors(found.flatten(1), expected.flatten(1), **allowed)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_gpu_multiplies_halves_into_float32_without_a_cast(dtype):
    with FakeTensorMode(), Launched() as launched:
        g, x = (torch.empty(2, 9, width, dtype=dtype, device="cuda") for width in (64, 3))
        found = summed_products(g, x)
    assert (found.dtype, found.device.type, found.shape) == (torch.float32, "cuda", (2, 64, 3))
    assert "aten::bmm.dtype" in launched.names
    assert not {"aten::_to_copy", "aten::copy_"} & set(launched.names)


class Launched(TorchDispatchMode):
    """Remembers the names of all operations."""

    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.names.append(function.name())
        return function(*args, **(kwargs or {}))


def test_float64_stays_float64():
    g, x = factors(SHAPES[0], torch.float64, torch.float32)
    assert summed_products(g, x).dtype == torch.float64


@pytest.mark.parametrize("shape", SHAPES)
def test_a_cast_in_blocks_gives_the_bits_of_one_cast(shape, monkeypatch):
    g, x = factors(shape, torch.float32, torch.bfloat16)
    whole = summed_products(g, x)
    assert torch.equal(whole, summed_products(g, x.float()))
    monkeypatch.setattr(products, "BLOCK", 1)  # a sample at a time
    assert torch.equal(summed_products(g, x), whole)


@pytest.mark.parametrize("rank", [4, 8, 16])
def test_float32_products_of_low_rank_keep_the_order_of_their_factors(rank):
    g, x = factors((4, 50, 96, rank), torch.float32, torch.float32)
    assert torch.equal(summed_products(g, x), torch.bmm(x.mT, g).mT)
    assert torch.equal(summed_products(x, g), torch.bmm(x.mT, g))


def test_only_a_cast_to_something_wider_is_undone():
    half, values = torch.zeros(2, 3, dtype=torch.bfloat16), torch.zeros(2, 3)
    assert uncast(values, half) is half
    for source in (None, values, half[:1], half.half()[:, :2], values.double()):
        assert uncast(values, source) is values
    assert uncast(half, values) is half  # the cast lost digits
    assert uncast(half, half.half()) is half

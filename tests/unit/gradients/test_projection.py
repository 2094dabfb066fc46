import importlib.util
import math

import pytest
import torch
from closeness import assert_close_vectors
from torch.utils._python_dispatch import TorchDispatchMode
from trak.projectors import BasicProjector, ProjectionType

from vlselect.core.errors import InputError
from vlselect.gradients import projection, shifted, sparse
from vlselect.gradients import splitmix as splitmix64

pytestmark = pytest.mark.numeric

CPU, GPU = torch.device("cpu"), torch.device("cuda")
KINDS = projection.TYPES
USUAL = {"nonzeros": 3, "implementation": "auto"}
MASK = (1 << 64) - 1


def make(kind="sjlt", size=500, dim=48, seed=3, **more):
    where = {"seed": seed, "device": CPU}
    return projection.make(kind, size=size, dim=dim, **where | USUAL | more)


def vectors(n=6, size=500, seed=0):
    return torch.randn(n, size, generator=torch.Generator().manual_seed(seed))


def splitmix(state):
    """The published finaliser, with Python's integers."""
    state &= MASK
    state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & MASK
    return state ^ (state >> 31)


def slow_matrix(size, dim, seed, nonzeros):
    """Build the sparse map one element at a time, without tensors."""
    matrix = [[0.0] * dim for _ in range(size)]
    for i in range(size):
        for j in range(nonzeros):
            bits = splitmix(splitmix(seed) + (i * nonzeros + j + 1) * 0x9E3779B97F4A7C15)
            low, high = j * dim // nonzeros, (j + 1) * dim // nonzeros
            target = low + (((bits >> 32) & 0x7FFFFFFF) * (high - low) >> 31)
            matrix[i][target] += -1.0 if bits >> 63 else 1.0
    return torch.tensor(matrix, dtype=torch.float64) / math.sqrt(nonzeros)


def test_splitmix_gives_the_published_sequence():
    # First outputs of the reference implementation for the seed 1234567.
    expected = [6457827717110365317, 3203168211198807973, 9817491932198370423]
    key = torch.tensor(1234567)
    found = splitmix64.random_bits(key, torch.arange(3))
    assert [value & MASK for value in found.tolist()] == expected


@pytest.mark.parametrize("nonzeros", [1, 3, 5, 48])
def test_sparse_projection_is_the_slow_matrix(nonzeros):
    x = vectors()
    expected = x.double() @ slow_matrix(500, 48, 3, nonzeros)
    result = projection.project(make(nonzeros=nonzeros), x)
    assert result.dtype == torch.float32
    assert_close_vectors(result, expected, terms=1)  # its sums are float64


def slow_shifted_matrix(size, dim, seed):
    """Build the map of `shifted` one element at a time, without tensors."""
    step = 0x9E3779B97F4A7C15
    sign_key, shift_key = (splitmix(splitmix(seed) ^ i) for i in (1, 2))
    matrix = [[0.0] * dim for _ in range(size)]
    for i in range(size):
        run, place = divmod(i, dim)
        shift = ((splitmix(shift_key + (run + 1) * step) >> 32) & 0x7FFFFFFF) * dim >> 31
        sign = splitmix(sign_key + (i // 64 + 1) * step) >> (i % 64) & 1
        matrix[i][(place + shift) % dim] = -1.0 if sign else 1.0
    return torch.tensor(matrix, dtype=torch.float64)


@pytest.mark.parametrize("cached", [1 << 24, 0])
@pytest.mark.parametrize("dim", [1, 48, 64, 499, 500, 700])
def test_shifted_projection_is_the_slow_matrix(dim, cached, monkeypatch):
    monkeypatch.setattr(shifted, "CACHED", cached)
    x, matrix = vectors(), slow_shifted_matrix(500, dim, 3)
    result = projection.project(make("shifted", dim=dim), x)
    assert result.dtype == torch.float32
    runs, norms = math.ceil(500 / dim), x.norm(dim=1)
    assert_close_vectors(result, x.double() @ matrix, terms=runs, scale=norms)
    assert (matrix != 0).sum(dim=1).tolist() == [1] * 500


@pytest.mark.parametrize("dim", [1, 48, 499, 700])
def test_runs_added_at_once_as_on_a_gpu_are_those_added_one_by_one(dim):
    phi, x = make("shifted", dim=dim), vectors()
    for cuts in ([0, 500], [0, 1, 137, 499, 500]):
        accumulator = phi.begin(len(x))
        for a, b in zip(cuts, cuts[1:], strict=False):
            accumulator._add_at_once(a, x[:, a:b] * phi.signs(a, b))
        runs, norms = math.ceil(500 / dim), x.norm(dim=1)
        expected = projection.project(phi, x)
        assert_close_vectors(accumulator.result(), expected, terms=runs, scale=norms)


class Launches(TorchDispatchMode):
    """Counts operations that are kernels on a GPU: all but those that return a view."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        views = any(returned.alias_info is not None and not returned.alias_info.is_write
                    for returned in function._schema.returns)  # fmt: skip
        self.count += not views and "empty" not in function.name()
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize(("kind", "most"), [("sjlt", 40), ("shifted", 20)])
def test_a_block_takes_few_launches_on_a_gpu(kind, most, monkeypatch):
    """A matrix of a large model, all of whose kernels a GPU waits for."""
    monkeypatch.setattr(sparse, "CHUNK", sparse.GPU_CHUNK)
    monkeypatch.setattr(shifted, "CACHED", 0)
    phi, block = make(kind, size=600_000, dim=512), torch.ones(2, 500_000)
    accumulator = phi.begin(2)
    with Launches() as launches:
        if kind == "shifted":
            accumulator._add_at_once(70_000, block * phi.signs(70_000, 570_000))
        else:
            accumulator.add(70_000, block)
    assert 0 < launches.count <= most


def test_shifts_and_signs_of_the_shifted_map_are_even_and_independent():
    n, dim = 30_000, 10
    phi = make("shifted", size=n, dim=dim)
    signs, runs = phi.signs(0, n), n // dim
    shifts = torch.tensor([next(phi.pieces(i, n))[2] for i in range(0, n, dim)])
    assert ((torch.bincount(shifts) - runs / dim).abs() < 5 * math.sqrt(runs / dim)).all()
    turned = (shifts - 4.5).repeat_interleave(dim)
    for other in (torch.ones(n), signs.roll(1), signs.roll(64), signs.roll(dim), turned):
        assert (signs * other).sum().abs() < 5 * other.square().mean().sqrt() * math.sqrt(n)


@pytest.mark.parametrize(("dim", "nonzeros"), [(48, 3), (50, 3), (7, 7), (5, 2)])
def test_every_coordinate_has_exactly_its_nonzeros_one_in_each_block(dim, nonzeros):
    matrix = projection.project(make(dim=dim, nonzeros=nonzeros), torch.eye(500))
    assert (matrix != 0).sum(dim=1).tolist() == [nonzeros] * 500
    torch.testing.assert_close(matrix.square().sum(dim=1), torch.ones(500))
    for j in range(nonzeros):
        block = matrix[:, j * dim // nonzeros : (j + 1) * dim // nonzeros]
        assert (block != 0).sum(dim=1).tolist() == [1] * 500


def test_targets_and_signs_of_the_sparse_map_are_even_and_independent():
    n = 30_000
    phi = make(size=n, dim=10, nonzeros=2)
    (low, high), (low_signs, high_signs) = phi.entries(0, n)
    spread = 5 * math.sqrt(n * 0.2 * 0.8)
    assert ((torch.bincount(low, minlength=5) - n / 5).abs() < spread).all()
    assert (torch.bincount(high, minlength=10)[:5] == 0).all()
    assert ((torch.bincount(high - 5, minlength=5) - n / 5).abs() < spread).all()
    pairs = torch.bincount(low * 5 + high - 5, minlength=25)
    assert ((pairs - n / 25).abs() < 5 * math.sqrt(n / 25)).all()
    for sums in (low_signs, high_signs, low_signs * high_signs, low_signs * (low - 2)):
        assert sums.sum().abs() < 10 * math.sqrt(n)


@pytest.mark.parametrize("kind", KINDS)
def test_result_does_not_depend_on_how_the_vector_is_cut_nor_on_the_order(kind, monkeypatch):
    monkeypatch.setattr(sparse, "CHUNK", 64)
    phi, x = make(kind), vectors()
    expected = projection.project(phi, x)
    monkeypatch.setattr(sparse, "CHUNK", 1 << 16)
    assert torch.equal(projection.project(phi, x), expected)
    for cuts in ([0, 1, 2, 250, 499, 500], [0, 137, 500]):
        for order in (1, -1):
            accumulator = phi.begin(len(x))
            for a, b in list(zip(cuts, cuts[1:], strict=False))[::order]:
                accumulator.add(a, x[:, a:b])
            if kind == "shifted":  # its sums are float32
                assert_close_vectors(accumulator.result(), expected, terms=math.ceil(500 / 48))
            else:
                assert torch.equal(accumulator.result(), expected)


@pytest.mark.parametrize("kind", KINDS)
def test_blocks_of_the_same_coordinates_add_up_and_absent_ones_are_zero(kind):
    phi, x = make(kind), vectors()
    accumulator = phi.begin(len(x))
    accumulator.add(100, x[:, 100:200])
    accumulator.add(100, x[:, 100:200])
    doubled = torch.zeros_like(x)
    doubled[:, 100:200] = 2 * x[:, 100:200]
    assert_close_vectors(accumulator.result(), projection.project(phi, doubled), terms=500)


@pytest.mark.parametrize("kind", KINDS)
def test_linear(kind):
    phi, a, b = make(kind), vectors(seed=1), vectors(seed=2)
    total = projection.project(phi, a) + 0.5 * projection.project(phi, b)
    assert_close_vectors(projection.project(phi, a + 0.5 * b), total, terms=500)


@pytest.mark.parametrize("kind", KINDS)
def test_rows_do_not_see_each_other(kind):
    phi, x = make(kind), vectors()
    order = torch.tensor([4, 0, 5, 2, 1, 3])
    expected = projection.project(phi, x)
    assert_close_vectors(projection.project(phi, x[order]), expected[order], terms=500)
    assert_close_vectors(projection.project(phi, x[2:3]), expected[2:3], terms=500)


@pytest.mark.parametrize("kind", KINDS)
def test_inner_products_are_kept_within_the_variance_of_the_method(kind):
    x = torch.nn.functional.normalize(vectors(n=20, size=3000), dim=1)
    x[10:] = torch.nn.functional.normalize(x[10:] + x[:10], dim=1)  # some large inner products
    exact = x @ x.T
    errors = []
    for seed in range(5):
        y = projection.project(make(kind, size=3000, dim=600, seed=seed), x)
        errors.append(y @ y.T - exact)
    errors = torch.stack(errors)
    # Unit vectors: the variance of an inner product is at most 2 / k for all types.
    sigma = math.sqrt(2 / 600)
    assert errors.abs().max() < 5 * sigma
    assert errors.mean().abs() < sigma / 2
    assert errors.square().mean().sqrt() < 1.1 * sigma


@pytest.mark.parametrize("kind", KINDS)
def test_seed_decides_the_map(kind):
    x = vectors()
    one = projection.project(make(kind, seed=1), x)
    assert torch.equal(one, projection.project(make(kind, seed=1), x))
    assert not torch.allclose(one, projection.project(make(kind, seed=2), x))


@pytest.mark.parametrize("kind", ["rademacher", "normal"])
@pytest.mark.parametrize("dim", [48, 250])
def test_dense_types_are_traks_own_up_to_scale(kind, dim):
    x = vectors()
    theirs = BasicProjector(500, dim, 3, ProjectionType(kind), CPU)
    expected = theirs.project(x, model_id=0) / math.sqrt(dim)
    assert torch.equal(projection.project(make(kind, dim=dim), x), expected)


def test_global_random_state_neither_matters_nor_changes():
    torch.manual_seed(0)
    state = torch.get_rng_state()
    first = [projection.project(make(kind), vectors()) for kind in KINDS]
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(1)
    assert all(
        torch.equal(projection.project(make(kind), vectors()), y)
        for kind, y in zip(KINDS, first, strict=True)
    )


@pytest.mark.parametrize("kind", KINDS)
def test_fingerprint_is_stable_and_differs_between_maps(kind):
    base = projection.fingerprint(make(kind))
    assert base == projection.fingerprint(make(kind))
    assert (base["type"], base["size"], base["dim"], base["seed"]) == (kind, 500, 48, 3)
    others = [make(kind, seed=4), make(kind, dim=47), make(kind, size=501)]
    probes = {projection.fingerprint(other)["probe"] for other in others[:2]} | {base["probe"]}
    assert len(probes) == 3
    assert base != projection.fingerprint(others[2])


def test_fingerprint_of_the_sparse_map_holds_its_nonzeros():
    assert projection.fingerprint(make(nonzeros=3))["nonzeros"] == 3
    assert projection.fingerprint(make(nonzeros=3)) != projection.fingerprint(make(nonzeros=4))
    assert "implementation" not in projection.fingerprint(make())  # the same on every device


def test_fingerprint_of_a_dense_map_holds_what_made_it():
    assert projection.fingerprint(make("normal"))["implementation"] == "trak basic on cpu"


def test_fingerprint_of_tiny_vectors():
    assert projection.fingerprint(make(size=1))["size"] == 1


def test_the_sparse_map_takes_all_of_a_large_vector_in_little_memory():
    phi = make(size=3_000_000_000, dim=16)  # too long for a table
    accumulator = phi.begin(2)
    accumulator.add(2_999_999_000, torch.ones(2, 1000))
    result = accumulator.result()
    assert result.shape == (2, 16)
    assert result.abs().sum() > 0


@pytest.mark.parametrize(
    ("kind", "more", "message"),
    [
        ("fourier", {}, "projection type 'fourier'"),
        ("sjlt", {"nonzeros": 0}, "nonzeros 0"),
        ("sjlt", {"nonzeros": 49}, "nonzeros 49"),
        ("sjlt", {"dim": 0}, "dim 0"),
        ("normal", {"seed": -1}, "seed -1"),
        ("normal", {"implementation": "fast"}, "implementation 'fast'"),
        ("rademacher", {"implementation": "cuda"}, "implementation is cuda, but .* cpu"),
        ("rademacher", {"size": 1 << 32, "dim": 512, "device": GPU}, r"less than 2\^32"),
        ("rademacher", {"size": 10**9, "dim": 512}, "BasicProjector needs 373 GiB"),
    ],
)
def test_impossible_projections_are_refused(kind, more, message):
    with pytest.raises(ValueError, match=message):
        make(kind, **more)


def test_dense_projection_on_a_gpu_never_falls_back(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    where = {"size": 500, "seed": 0, "device": torch.device("cuda"), **USUAL}
    with pytest.raises(InputError, match=r"fast_jl.*implementation to basic"):
        projection.make("rademacher", dim=512, **where)
    with pytest.raises(ValueError, match="multiple of 512"):
        projection.make("rademacher", dim=500, **where)


@pytest.mark.parametrize(("size", "rows"), [(1, 8), (1 << 29, 7), ((1 << 29) - 1, 8), (1 << 31, 1)])
def test_no_index_of_fast_jl_wraps(size, rows):
    assert projection.rows_at_once(size) == rows
    assert rows * size < 1 << 32


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("offset", [-1, 401])
def test_blocks_outside_the_vector_are_refused(kind, offset):
    with pytest.raises(ValueError, match="outside a vector of 500"):
        make(kind).begin(1).add(offset, torch.ones(1, 100))

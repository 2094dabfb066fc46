"""Every pass with a model of every family, on torch's fake CUDA tensors: none mixes devices.

FakeTensorMode knows devices and shapes, but no values: it stops where code reads some, which each
pass of ours does with its masks and each model with its images. `FakeGPU` computes the values
beside it, on the CPU, so that passes run to their end. They have the CPU's results.
"""

import copy
from contextlib import ExitStack, contextmanager
from unittest.mock import patch

import pytest
import torch
from closeness import assert_close_vectors, chain
from masked_images import encode_all
from model_families import FAMILIES, TEXTS, open_family, save_family
from other_families import qwen3_5
from pretended_gpu import INDEXED
from published_models import FOLDER, save_published
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.nn.functional import conv1d, grid_sample
from torch.utils._mode_utils import no_dispatch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_leaves, tree_map_only, tree_unflatten
from usual_models import attach_lora, make_vlm

from vlselect.features import forward_pass
from vlselect.features.attended import extract_attended, instruction_rows
from vlselect.features.gains import extract_gains
from vlselect.features.signatures import extract_signatures
from vlselect.features.visual import extract_visual
from vlselect.features.weighted_hidden import hidden_and_losses
from vlselect.gradients import projection
from vlselect.gradients.output_gradients import OutputProjection, gradients_and_losses
from vlselect.gradients.per_sample import PerSampleGradients
from vlselect.gradients.shifted import ShiftedSum

pytestmark = pytest.mark.skipif(torch.cuda.is_available(), reason="for a torch without a GPU")
GPU, CPU = torch.device("cuda", 0), torch.device("cpu")
PLACE = torch.device("meta")  # what torch's C++, built without CUDA, takes the GPU for
DEVICE = torch.ops.prim.device.default
PUBLISHED = ("qwen3-vl-instruct", "glm-4.1v-9b-thinking")  # of architectures not in FAMILIES
STREAMED = ("shifted", "sjlt")

aten = torch.ops.aten
STOPS = {  # where FakeTensorMode does: it would need values, or a torch that is built for CUDA
    aten._local_scalar_dense.default: lambda x: x[0].item(),
    aten.nonzero.default: lambda x: x.nonzero(),
    aten.index.Tensor: lambda x: x[x > 0],
    aten.repeat_interleave.Tensor: lambda x: torch.repeat_interleave(x.long()),
    aten.unique_consecutive.default: lambda x: x.unique_consecutive(),
    aten.convolution.default: lambda x: conv1d(x.view(1, 2, 2).mT, x.view(2, 2, 1)),
    aten.convolution_backward.default: lambda x: (
        conv1d(x.view(1, 2, 2).mT, x.view(2, 2, 1).requires_grad_()).sum().backward()
    ),
    aten.grid_sampler_2d.default: lambda x: grid_sample(
        x.view(1, 1, 2, 2), x.view(1, 1, 2, 2), align_corners=False
    ),
}


class FakeGPU(TorchDispatchMode):
    """Run each operation on fake tensors, which may refuse it, and on their values.

    `stopped` are operations for which FakeTensorMode has no result: it is made like the values.
    """

    def __init__(self):
        super().__init__()
        self.stopped = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func is DEVICE:
            return PLACE if args[0].device == GPU else args[0].device
        flat, shape = tree_flatten((args, kwargs or {}))
        flat = [GPU if isinstance(one, torch.device) and one == PLACE else one for one in flat]
        args, kwargs = tree_unflatten(flat, shape)
        if func in INDEXED:
            _require_indices(*args[:2])
        real = _compute(func, flat, shape)
        try:
            fake = func(*args, **kwargs)
        except RuntimeError:
            if func not in STOPS:
                raise
            self.stopped.add(func)
            device, _ = FakeTensor._find_common_device(func, args[:1] if func in INDEXED else flat)
            fake = tree_map_only(torch.Tensor, lambda t: torch.empty_like(t, device=device), real)
        for one, values in zip(tree_leaves(fake), tree_leaves(real), strict=True):
            if isinstance(one, FakeTensor):
                one.real_tensor = _strided(values, one)
        return fake

    @contextmanager
    def on(self):
        """Let "cuda:0" be a device."""
        with ExitStack() as stack:
            for name, method in METHODS.items():
                stack.enter_context(patch.object(FakeTensor, name, method, create=True))
            stack.enter_context(patch.object(torch, "tensor", _tensor))
            # In its inference mode, torch leaves operations whole, and asks for a GPU within them.
            methods = {name: getattr(torch.no_grad, name) for name in ("__enter__", "__exit__")}
            stack.enter_context(patch.multiple(torch.inference_mode, **methods))
            stack.enter_context(FakeTensorMode(allow_non_fake_inputs=True))
            yield stack.enter_context(self)


def _require_indices(indexed, indices):
    """Check the devices of indices; FakeTensorMode takes any."""
    for index in indices:
        if index is not None and index.device not in (CPU, indexed.device):
            raise RuntimeError(f"devices {indexed.device} and {index.device}, of indices")


def _compute(func, flat, shape):
    """Run an operation on the values of fake tensors."""
    flat = [one.real_tensor if isinstance(one, FakeTensor) else one for one in flat]
    flat = [CPU if isinstance(one, torch.device) else one for one in flat]
    args, kwargs = tree_unflatten(flat, shape)
    with no_dispatch():
        return func(*args, **kwargs)


def _strided(values, fake):
    """Return values with the strides that a GPU would have given them."""
    if values.stride() == fake.stride():
        return values
    with no_dispatch():
        return torch.empty_strided(values.shape, fake.stride(), dtype=values.dtype).copy_(values)


def _numpy(tensor):
    if tensor.device == GPU:
        raise TypeError("can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu()")
    with no_dispatch():
        return tensor.real_tensor.numpy()


def _tensor(data, *, make=torch.tensor, **options):
    return make(tree_map_only(FakeTensor, FakeTensor.tolist, data), **options)


def _indices(index):
    if isinstance(index, tuple):
        return tuple(map(_indices, index))
    return torch.tensor(index) if isinstance(index, list) else index


METHODS = {  # which read devices, values or lists where no mode sees them
    "is_cuda": property(lambda tensor: tensor.device == GPU),
    "numpy": _numpy,
    "__getitem__": lambda tensor, at: torch.Tensor.__getitem__(tensor, _indices(at)),
    "__setitem__": lambda tensor, at, new: torch.Tensor.__setitem__(tensor, _indices(at), new),
}


def features(vlm, batch):
    given, chosen = (vlm.model, vlm.language_layers, batch), [len(vlm.language_layers) - 1]
    return forward_pass.extract_features(*given, layers=chosen, variant="paper").values()


def attended(vlm, batch):
    rows, last = instruction_rows(batch, "prompt", vlm.special), len(vlm.language_layers)
    return extract_attended(vlm.model, vlm.language_layers, batch, rows, layer=last, mass=0.9)[:1]


def signatures(vlm, batch):
    chosen = [len(vlm.language_layers) - 1]
    return extract_signatures(vlm.model, vlm.language_layers, batch, layers=chosen).values()


def gradients(vlm, batch):
    with PerSampleGradients(vlm.model) as per_sample:
        settings = {"size": per_sample.size, "dim": 64, "seed": 0, "device": vlm.device}
        settings |= {"nonzeros": 3, "implementation": "auto"}
        sums = [projection.make(kind, **settings).begin(len(batch)) for kind in STREAMED]
        losses = per_sample.stream(batch, lambda *block: [one.add(*block) for one in sums])
    return losses, *(one.result() for one in sums)


PASSES = {
    "features": features,
    "attended": attended,
    "signatures": signatures,
    "gains": lambda vlm, batch: extract_gains(vlm.model, batch).values(),
    "visual": lambda vlm, batch: [extract_visual(vlm.model, vlm.language_layers, batch, layer=1)],
    "hidden": lambda vlm, batch: hidden_and_losses(vlm.model, batch, positions="prompt"),
    "output": lambda vlm, batch: gradients_and_losses(
        vlm.model, batch, OutputProjection(vlm.model)
    ),
    "gradients": gradients,
}


def loaded(name, folder):
    if name in FAMILIES:
        return open_family(save_family(name, folder, TEXTS, layers=2))
    if name not in PUBLISHED:
        return make_vlm(*reversed(qwen3_5(TEXTS, 4, 32)), name)
    if not FOLDER.is_dir():
        pytest.skip("no files of published checkpoints")
    return open_family(save_published(name, folder, TEXTS))


@pytest.fixture(scope="module", params=[*FAMILIES, *PUBLISHED, "qwen3_5"])
def both(request, tmp_path_factory):
    """A model with an adapter on the CPU, the same on a fake GPU, two samples, and that GPU."""
    vlm, gpu = loaded(request.param, tmp_path_factory.mktemp("family") / request.param), FakeGPU()
    samples = encode_all(vlm)[:2]  # with an image, and without
    vlm.model = attach_lora(vlm.model, rank=2, alpha=4, seed=0).eval()
    for name, weight in vlm.model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.1)
    moved = copy.copy(vlm)
    moved.model = copy.deepcopy(vlm.model)
    with gpu.on():
        moved.model.to(GPU)
    return vlm, moved, samples, gpu


def run(name, vlm, samples):
    """Run a pass on a batch that is made and moved as ours are; return its arrays."""
    eager = name in ("attended", "signatures")  # which read the weights of attention
    vlm.model.get_base_model().set_attn_implementation("eager" if eager else "sdpa")
    chosen = samples[:1] if name == "signatures" else samples
    found = PASSES[name](vlm, vlm.collate(chosen, device="cpu").to(vlm.device))
    return [one.cpu().numpy() if isinstance(one, torch.Tensor) else one for one in found]


@pytest.mark.parametrize("name", PASSES)
def test_a_pass_mixes_no_devices_and_has_the_results_of_the_cpu(name, both):
    vlm, moved, samples, gpu = both
    expected = run(name, vlm, samples)
    with gpu.on():
        assert moved.device == GPU
        found = run(name, moved, samples)
    for one, other in zip(found, expected, strict=True):
        assert_close_vectors(one, other, terms=2 * chain(vlm.model), stored=str(other.dtype))


FORGETFUL = {  # passes, a function of each, and what it is given in place of its arguments
    "features": (forward_pass, "last_hidden", lambda hidden, mask: (hidden, mask.cpu())),
    "gradients": (ShiftedSum, "add", lambda own, offset, block: (own, offset, block.cpu())),
}


@pytest.mark.parametrize("both", ["llava"], indirect=True)
@pytest.mark.parametrize("name", FORGETFUL)
def test_a_tensor_that_a_pass_forgets_on_the_cpu_is_found(name, both, monkeypatch):
    _, moved, samples, gpu = both
    place, function, forget = FORGETFUL[name]
    whole = getattr(place, function)
    monkeypatch.setattr(place, function, lambda *given: whole(*forget(*given)))
    with gpu.on(), pytest.raises(RuntimeError, match=r"cuda:0 and cpu|cpu and cuda:0"):
        run(name, moved, samples)


@pytest.mark.skipif(torch.backends.cuda.is_built(), reason="fewer stop in a torch for CUDA")
@pytest.mark.parametrize("func", STOPS, ids=str)
def test_fake_tensors_alone_stop_where_it_is_listed(func):
    gpu = FakeGPU()
    with gpu.on():
        STOPS[func](torch.ones(4, device=GPU))
    assert func in gpu.stopped

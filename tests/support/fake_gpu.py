"""A GPU of torch's fake CUDA tensors, whose values are computed beside them, on the CPU.

FakeTensorMode knows devices and shapes, but no values: it stops where code reads some. `FakeGPU`
lets it decide on devices and shapes, and goes on with the values.
"""

from contextlib import ExitStack, contextmanager
from unittest.mock import patch

import torch
from pretended_gpu import INDEXED
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.nn.functional import conv1d, grid_sample
from torch.utils._mode_utils import no_dispatch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_leaves, tree_map_only, tree_unflatten

GPU, CPU = torch.device("cuda", 0), torch.device("cpu")
PLACE = torch.device("meta")  # what torch's C++, built without CUDA, takes the GPU for
DEVICE = torch.ops.prim.device.default

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

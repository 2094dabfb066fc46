"""A GPU that is pretended: its tensors are computed on the CPU, and may not meet those of the CPU.

Unlike torch's FakeTensorMode, values are real, so passes run to their end, whatever they do with
values, and have the CPU's results. As on a GPU, an operation on tensors of two devices is an error,
but for numbers (no dimension), indices and copies, and so is NumPy's view of one.
"""

from contextlib import ExitStack, contextmanager
from unittest.mock import patch

import numpy as np
import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_flatten, tree_map, tree_map_only

GPU = torch.device("cuda", 0)
PLACE = torch.device("meta")  # what torch itself takes the pretended device for
COPIES = {torch.ops.aten.copy_.default, torch.ops.aten._to_copy.default}
MADE_OF_NUMBERS = {torch.tensor, torch.as_tensor, torch.asarray}
INDEXED = {  # on a GPU too, indices may lie on the CPU
    torch.ops.aten.index.Tensor,
    torch.ops.aten.index_put.default,
    torch.ops.aten.index_put_.default,
    torch.ops.aten._index_put_impl_.default,
}


class Pretended(torch.Tensor):
    """A tensor on the pretended GPU; `held` is where its values are."""

    there = True  # whether there is such a GPU at the moment

    @staticmethod
    def __new__(cls, real):
        shape = {"strides": real.stride(), "storage_offset": real.storage_offset()}
        return torch.Tensor._make_wrapper_subclass(
            cls, real.shape, dtype=real.dtype, layout=real.layout, device=PLACE, **shape
        )

    def __init__(self, real):
        self.held = real

    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        return dispatch(func, args, kwargs or {})

    def __tensor_flatten__(self):
        return ["held"], None

    @staticmethod
    def __tensor_unflatten__(inner, context, size, stride):
        return Pretended(inner["held"])

    @property
    def device(self):
        return GPU

    @property
    def is_cuda(self):
        return True

    @property
    def is_meta(self):
        return False

    @property
    def data(self):
        return self.detach()

    @data.setter
    def data(self, other):
        self.held = other.held

    def tolist(self):
        return self.held.tolist()

    def numpy(self, *arguments, **options):
        raise TypeError("can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu()")

    def __array__(self, *arguments):
        return self.numpy()

    def __repr__(self):
        return f"Pretended({self.held!r})"


def dispatch(func, args, kwargs):
    """Run an operation on real values; check devices as a GPU would."""
    flat, _ = tree_flatten((args, kwargs))
    tensors = [value for value in flat if isinstance(value, torch.Tensor)]
    on_gpu = any(isinstance(tensor, Pretended) for tensor in tensors)
    assert not any(type(t) is torch.Tensor and t.is_meta for t in tensors), f"no values: {func}"
    if on_gpu and func not in COPIES:
        among = tensors[:1] if func in INDEXED else tensors
        strangers = [t for t in among if not isinstance(t, Pretended) and t.dim()]
        if strangers:
            raise RuntimeError(
                "Expected all tensors to be on the same device, but found at least two devices, "
                f"cuda:0 and {strangers[0].device}: {func}"
            )
    place = kwargs.get("device")
    if place is not None:
        on_gpu, kwargs = place.type != "cpu", {**kwargs, "device": torch.device("cpu")}
    args_real, kwargs_real = tree_map_only(Pretended, lambda t: t.held, (args, kwargs))
    if func is torch.ops.aten.bmm.dtype:  # a GPU's: products of bfloat16 with sums in float32
        left, right, dtype = args_real
        result = torch.bmm(left.to(dtype), right.to(dtype))
    else:
        result = func(*args_real, **kwargs_real)
    if func is torch.ops.aten._to_copy.default and place is not None:
        result = result.clone() if result is args_real[0] else result
    if not on_gpu:
        return result
    result = tree_map(lambda t: Pretended(t) if type(t) is torch.Tensor else t, result)
    return return_and_correct_aliasing(func, args, kwargs, result)


class _Factories(TorchDispatchMode):
    """Make tensors on the pretended device where no argument is on it yet."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        run = dispatch if Pretended.there else _as_it_is
        return run(func, args, kwargs or {})


def _as_it_is(func, args, kwargs):
    return func(*args, **kwargs)


class _Devices(TorchFunctionMode):
    """Let torch take the pretended device for one that it has."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if not Pretended.there or func is torch.device:
            return func(*args, **(kwargs or {}))

        def place(value):
            if isinstance(value, torch.device) and value.type == "cuda":
                return PLACE
            return PLACE if isinstance(value, str) and value.split(":")[0] == "cuda" else value

        args, kwargs = tree_map(place, (args, kwargs or {}))
        if func in MADE_OF_NUMBERS and kwargs.get("device") == PLACE:  # made where no mode sees it
            return func(*args, **{**kwargs, "device": "cpu"}).to(PLACE)
        if func in (torch.Tensor.__getitem__, torch.Tensor.__setitem__):
            args = (args[0], _indices(args[1]), *args[2:])
        return func(*args, **kwargs)


def _indices(index):
    """Turn lists and arrays into tensors on the CPU, where a mode sees them made."""
    if isinstance(index, tuple):
        return tuple(map(_indices, index))
    return torch.as_tensor(index) if isinstance(index, list | np.ndarray) else index


class _NoGradients:
    """Stands for torch.inference_mode, in which torch leaves its operations whole."""

    @staticmethod
    def enter(context):
        context.before = torch.is_grad_enabled()
        torch._C._set_grad_enabled(context.before and not context.mode)

    @staticmethod
    def leave(context, *error):
        torch._C._set_grad_enabled(context.before)


@contextmanager
def without_it():
    """Let there be no pretended GPU in a block of `pretended_gpu`, as to load a model."""
    with patch.object(Pretended, "there", False):
        yield


@contextmanager
def pretended_gpu():
    """Let there be a GPU, "cuda", until the block ends."""
    with ExitStack() as stack:
        stack.enter_context(_Factories())
        devices = stack.enter_context(_Devices())
        run = torch.autograd._engine_run_backward

        def backward(*given, **options):  # hooks too are within the mode
            with devices:
                return run(*given, **options)

        stack.enter_context(patch.object(torch.autograd, "_engine_run_backward", backward))
        methods = {"__enter__": _NoGradients.enter, "__exit__": _NoGradients.leave}
        stack.enter_context(patch.multiple(torch.inference_mode, **methods))
        yield GPU

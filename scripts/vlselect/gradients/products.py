"""Sums of outer products over tokens, which a LoRA matrix's per-sample gradients are.

Products of float32 are as they are. Those of bfloat16 or float16 have float32 sums and a float32
result where the device has such a product (CUDA). On a CPU with instructions for bfloat16 the sums
are float32 too, and each is rounded to bfloat16 once, at its end. Anything else is cast to float32
first, a few samples at a time.
"""

import functools

import torch

HALVES = (torch.bfloat16, torch.float16)
BLOCK = 1 << 22  # most numbers that are cast at a time: 16 MiB of float32
NARROW = 16  # of adapters of at most this rank, the narrow factor comes first


def summed_products(g: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Sum g_t x_tᵀ over the tokens of each sample: (B, t, out) and (B, t, in) to (B, out, in).

    The result is float32, or float64 if one of the two is; bfloat16 where a CPU multiplies such.
    """
    dtype = torch.promote_types(torch.promote_types(g.dtype, x.dtype), torch.float32)
    if g.dtype == x.dtype == dtype:
        return _product(g, x)
    if g.dtype == x.dtype and g.is_cuda:
        return torch.bmm(g.mT, x, out_dtype=dtype)
    if g.dtype == x.dtype == torch.bfloat16 and g.device.type == "cpu" and _multiplies_bfloat16():
        return _product(g, x)
    step = max(1, BLOCK // max(1, g[0].numel() + x[0].numel()))
    parts = zip(g.split(step), x.split(step), strict=True)
    return torch.cat([_product(a.to(dtype), b.to(dtype)) for a, b in parts])


def uncast(values: torch.Tensor, source: torch.Tensor | None) -> torch.Tensor:
    """Return the tensor that a layer's input was cast from, if its dtype is a half, else the input.

    Several layers with one source then hold one tensor, and a cast gives the same values again.
    """
    if source is None or source.shape != values.shape or source.dtype not in HALVES:
        return values
    wider = torch.promote_types(source.dtype, values.dtype) == values.dtype != source.dtype
    return source if wider else values


def _product(g: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Multiply in the factors' dtype. One of the two is as narrow as the adapter's rank.

    Products of many small matrices are about three times faster on a CPU if a narrow factor comes
    first. With a higher rank the copy that turns the result back costs more than that saves.
    """
    if x.shape[2] < g.shape[2] and x.shape[2] <= NARROW:
        return torch.bmm(x.mT, g).mT
    return torch.bmm(g.mT, x)


@functools.cache
def _multiplies_bfloat16() -> bool:
    """Return whether this CPU has instructions for products of bfloat16 with float32 sums."""
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16"))

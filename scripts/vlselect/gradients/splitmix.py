"""Random numbers by hashing a counter: the same on every device and in any order.

References
----------
Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014 (splitmix64).
"""

import torch

# As signed 64-bit numbers: the step of the counter and the two factors of the mixer.
STEP = 0x9E3779B97F4A7C15 - (1 << 64)
_FACTORS = (0xBF58476D1CE4E5B9 - (1 << 64), 0x94D049BB133111EB - (1 << 64))
_SHIFTS = (30, 27, 31)


def random_bits(key: torch.Tensor, counters: torch.Tensor) -> torch.Tensor:
    """Return 64 random bits for each counter: int64 Tensor (n,) to int64 Tensor (n,)."""
    return mix(key + (counters + 1) * STEP)


def mix(values: torch.Tensor) -> torch.Tensor:
    """Apply splitmix64's mixer to int64 tensors, whose products wrap like unsigned ones."""
    for shift, factor in zip(_SHIFTS, (*_FACTORS, None), strict=True):
        # `>>` copies the sign bit downwards; the mask removes the copies.
        values = values ^ ((values >> shift) & ((1 << (64 - shift)) - 1))
        values = values if factor is None else values * factor
    return values

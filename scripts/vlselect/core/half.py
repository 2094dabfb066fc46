"""Convert to float16, with errors for values it cannot hold, and from float16 to float32.

The conversion to float32 uses integer arithmetic: the same bits as numpy's own, but faster. The
exponent and fraction bits of a float16, shifted to where a float32 keeps its own, make a number
that is too small by a factor of 2^112 (exponents are biased by 15 there and by 127 here); an exact
product with 2^112 corrects that, for subnormal numbers too. Infinity and NaN would come out finite,
so callers check for them first.
"""

from collections.abc import Sequence

import numpy as np

from vlselect.core.errors import InputError

VALUES = 1 << 17  # values converted at a time, so that they stay in the processor's cache
_KEPT = np.int32(-0x70002000)  # 0x8fffe000: the bits of a float16's sign, exponent and fraction
_SCALE = np.float32(2.0**112)
_INFINITE, _MINUS_INFINITE = np.int16(0x7C00), np.uint16(0xFC00)


def to_stored(
    values: np.ndarray,
    dtype: type | np.dtype,
    kind: str,
    names: Sequence[str | int],
    faults: dict[str | int, str] | None = None,
) -> np.ndarray:
    """Cast rows of floats (n, …) to the dtype they are stored in.

    `kind` says what the rows are and `names` are their sample ids or row numbers, for the error: a
    ValueError if a row is not finite, overflows, or becomes all zero by the cast. Single values may
    round to zero, and rows of zeros are allowed. With `faults`, such rows become NaN instead, and
    what is wrong with them is added there under their names.
    """
    with np.errstate(over="ignore", under="ignore"):
        stored = values.astype(dtype)
    axes = tuple(range(1, values.ndim))
    infinite = ~np.isfinite(stored).all(axis=axes)
    vanished = values.any(axis=axes) & ~stored.any(axis=axes)
    if not (infinite | vanished).any():
        return stored
    for bad in np.flatnonzero(infinite | vanished):
        name, largest = names[bad], np.abs(values[bad]).max()
        what = f"{kind} of sample {name!r}" if isinstance(name, str) else f"{kind} of row {name}"
        fault = "overflows" if infinite[bad] else "underflows to zero"
        end = f"{fault} as {np.dtype(dtype)}: its largest value is {largest:.3g}"
        if not np.isfinite(largest):
            end = f"is not finite as {np.dtype(dtype)}"
        if faults is None:
            raise InputError(f"{what} {end}")
        faults.setdefault(name, f"{what} {end}")
    stored[infinite | vanished] = np.nan
    return stored


def finite_rows(values: np.ndarray) -> np.ndarray:
    """Return, for each row of a float array (n, d), whether all values are finite: bool (n,)."""
    if values.dtype != np.float16:
        return np.isfinite(values).all(axis=1)
    # Viewed as integers, infinity and NaN are the largest values of either sign.
    positive = values.view(np.int16).max(axis=1, initial=0) < _INFINITE
    return positive & (values.view(np.uint16).max(axis=1, initial=0) < _MINUS_INFINITE)


def to_float32(values: np.ndarray, out: np.ndarray) -> None:
    """Copy finite values into a float32 array of the same shape; both are C-contiguous."""
    if values.dtype != np.float16:
        np.copyto(out, values)
        return
    source, numbers = values.reshape(-1).view(np.int16), out.reshape(-1)
    bits = numbers.view(np.int32)
    for start in range(0, source.size, VALUES):
        here = slice(start, start + VALUES)
        bits[here] = source[here]
        np.left_shift(bits[here], 13, out=bits[here])
        np.bitwise_and(bits[here], _KEPT, out=bits[here])
        np.multiply(numbers[here], _SCALE, out=numbers[here])

"""Memory that a process keeps: what the tensors of one batch leave is there for the next one's."""

import ctypes

# Of glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4


def keep_freed_memory() -> bool:
    """Let the C library give no freed memory back to the system before the process ends.

    By default it maps every large tensor anew, and the system then clears each page as it is first
    touched: on a CPU an eighth of the time of a larger model's pass. The process then stays
    as large as it once was.

    Returns
    -------
    bool
        Whether there is a C library that can be told so: glibc, on Linux.
    """
    tell = getattr(ctypes.CDLL(None), "mallopt", None)
    return tell is not None and bool(tell(_M_MMAP_MAX, 0)) and bool(tell(_M_TRIM_THRESHOLD, -1))

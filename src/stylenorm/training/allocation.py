"""Memory that is freed stays with the process.

A training step on the CPU allocates and frees the same large tensors again and again. The C library gives
each back to the system and asks for it anew, and the system clears every page: that can take more time than
the arithmetic (measured: VGG-16's first three convolutions on 4 x 256 x 256, forward and backward, 1.27 s,
and 0.51 s without).
"""

from __future__ import annotations

import ctypes
import sys

__all__ = ["keep_freed_memory"]

# <malloc.h>
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4


def keep_freed_memory() -> bool:
    """Tell glibc's allocator to keep what is freed; return whether there is one to tell.

    It holds for the whole process and is not undone: what was the most at one time stays allocated.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library
        return False
    mallopt.argtypes = [ctypes.c_int, ctypes.c_int]
    settings = ((_M_MMAP_MAX, 0), (_M_TRIM_THRESHOLD, 2**31 - 1), (_M_TOP_PAD, 1 << 26))
    done = [mallopt(option, value) == 1 for option, value in settings]  # all are tried
    return all(done)

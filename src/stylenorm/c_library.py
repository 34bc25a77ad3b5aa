"""The compiled library, for whoever needs neither torch nor its threads."""

from __future__ import annotations

import ctypes
import functools
import sys
from pathlib import Path
from typing import Any

__all__ = ["library"]

_ABI = 5  # as in kernels/_c/norm.h


@functools.cache
def library() -> Any:
    """Return the C library, or the reason why it does not serve; not started, which would need torch."""
    folder = Path(__file__).parent / "kernels" / "_c"
    path = folder / ("stylenorm_norm" + (".dylib" if sys.platform == "darwin" else ".so"))
    if not path.exists():
        if sys.platform == "win32":
            return "the C kernels need GCC's vector types and POSIX threads, which Windows' compilers lack"
        return "the C kernels were not built: install stylenorm from source on a machine with a C compiler"
    try:
        lib = ctypes.CDLL(str(path))
        if lib.sn_abi() != _ABI:
            return f"{path.name} is of another version: install stylenorm again"
        if not lib.sn_can_paint():
            return "this processor has no AVX2 with FMA"
    except (OSError, AttributeError) as error:
        return f"{path.name} cannot be loaded ({error}): install stylenorm again"
    lib.sn_noise.argtypes = [ctypes.c_char_p]
    lib.sn_paint.argtypes = [ctypes.c_char_p]
    lib.sn_spatial_alone.argtypes = [ctypes.c_char_p]
    return lib

"""The compiled library: where it is, and whether it can be loaded. Needs no torch.

`stylenorm.kernels.c_norm` starts it with torch's threads; `library` is for whoever needs neither.
"""

from __future__ import annotations

import ctypes
import functools
import sys
from pathlib import Path
from typing import Any

__all__ = ["library", "library_path", "loaded"]

_ABI = 5  # as in kernels/_c/norm.h


def library_path() -> Path:
    """Return where the build puts the library."""
    suffix = ".dylib" if sys.platform == "darwin" else ".so"
    return Path(__file__).parent / "kernels" / "_c" / f"stylenorm_norm{suffix}"


def loaded() -> Any:
    """Return the library, whose functions have no types of arguments yet, or the reason why there is none."""
    path = library_path()
    if not path.exists():
        return "the C kernels were not built: install stylenorm from source on a machine with a C compiler"
    try:
        lib = ctypes.CDLL(str(path))
        abi = lib.sn_abi()
    except (OSError, AttributeError) as error:
        return f"{path.name} cannot be loaded ({error}): install stylenorm again"
    if abi != _ABI:
        return f"{path.name} is of another version ({abi}, expected {_ABI}): install stylenorm again"
    return lib


@functools.cache
def library() -> Any:
    """Return the library, or the reason why it does not serve; not started, which would need torch."""
    if sys.platform == "win32":
        return "the C kernels need GCC's vector types and POSIX threads, which Windows' compilers lack"
    lib = loaded()
    if isinstance(lib, str):
        return lib
    if not lib.sn_can_paint():
        return "this processor has no AVX2 with FMA"
    for call in (lib.sn_noise, lib.sn_paint, lib.sn_spatial_alone):
        call.argtypes = [ctypes.c_char_p]
    return lib

"""Instance norm, activation and residual on the CPU, by the C library that is built with the package.

The library has a plain C interface and knows nothing of torch: any torch will do. Its threads are torch's
own, borrowed from the OpenMP runtime that torch has loaded; without one it works in the calling thread.
"""

from __future__ import annotations

import ctypes
import functools
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from stylenorm.c_library import library_path, loaded
from stylenorm.kernels.plain import is_plain
from stylenorm.kernels.rows import arranged, compute_dtype, fresh, is_channels_last

__all__ = [
    "about_threads",
    "covers",
    "fits",
    "has_conv",
    "instructions",
    "norm_backward",
    "norm_forward",
    "quick_backward",
    "quick_forward",
    "reason_missing",
    "serves_compiler",
]

DTYPES = {torch.float32: 0, torch.float64: 1, torch.bfloat16: 2, torch.float16: 3}
COMPUTING = (torch.float32, torch.float64, torch.float32, torch.float32)
ACTIVATIONS = {None: 0, "relu": 1, "leaky_relu": 2, "prelu": 2, "silu": 3, "elu": 4}
# struct arguments of norm.h: pointers and integers of eight bytes, then two doubles.
_pack = struct.Struct("=14q3q6q8q2d").pack


BUILT = library_path().exists()


@functools.cache
def _library() -> Any:
    """The library, started; or the reason why there is none."""
    lib = loaded()
    if isinstance(lib, str):
        return lib
    lib.sn_start.argtypes = [ctypes.c_void_p]
    lib.sn_start.restype = lib.sn_sources.restype = lib.sn_instructions.restype = ctypes.c_char_p
    lib.sn_same.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64]
    lib.sn_use.argtypes = [ctypes.c_char_p]
    for call in (
        lib.sn_forward, lib.sn_backward, lib.sn_conv, lib.sn_conv_first, lib.sn_conv_first_backward,
        lib.sn_spatial, lib.sn_spatial_pack, lib.sn_spatial_gradient,
    ):  # fmt: skip
        call.argtypes = [ctypes.c_char_p]
    if lib.sn_start(_parallel()) is None:
        return f"{library_path().name} could not be started"
    return lib


def _parallel() -> int | None:
    """The address of GOMP_parallel in the OpenMP runtime that torch uses; None where none is found.

    A second runtime would bring threads of its own, which spin while torch's work, and the other way round.
    """
    for path in _runtimes():
        try:
            runtime = ctypes.CDLL(path, mode=os.RTLD_NOLOAD | os.RTLD_LOCAL)  # only if it is loaded already
            return ctypes.cast(runtime.GOMP_parallel, ctypes.c_void_p).value
        except (OSError, AttributeError):
            continue
    return None


def _runtimes() -> Iterator[str]:
    """OpenMP runtimes, the most likely one of torch first."""
    if not hasattr(os, "RTLD_NOLOAD") or "OpenMP" not in torch.__config__.parallel_info():
        return
    home = Path(torch.__file__).parent
    for folder in (home / "lib", home.parent / "torch.libs"):
        for name in ("libgomp", "libiomp5", "libomp"):
            yield from map(str, sorted(folder.glob(f"{name}[.-]*")))
    yield from ("libgomp.so.1", "libiomp5.so", "libomp.so", "libomp.dylib")


def reason_missing() -> str | None:
    """Why there are no C kernels here; None where there are."""
    lib = _library()
    return lib if isinstance(lib, str) else None


def instructions() -> str:
    """The instruction set in use: ``"avx2"`` or ``"baseline"``; empty without the library."""
    lib = _library()
    return "" if isinstance(lib, str) else lib.sn_instructions().decode()


def has_conv() -> bool:
    """Whether the instruction set in use has convolutions."""
    lib = _library()
    return not isinstance(lib, str) and bool(lib.sn_has_conv())


def about_threads() -> str:
    """Whose threads the library uses."""
    lib = _library()
    threaded = not isinstance(lib, str) and lib.sn_is_threaded()
    return "torch's threads" if threaded else "one thread: torch's OpenMP runtime was not found"


def serves_compiler(x: Tensor, act: str | None) -> bool:
    """Whether a graph for the CPU should hold the operator: asked while a compiler looks on."""
    return BUILT and x.dtype in DTYPES and act in ACTIVATIONS


def covers(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, residual: Tensor | None, act: str | None
) -> str | None:
    """None where the kernels serve these arguments, else the reason why not."""
    if x.device.type != "cpu":
        return f"the C kernels run on the CPU, not on {x.device.type}"
    if act not in ACTIVATIONS:
        return f"activation {act!r} is not fused in C"
    for value in (x, weight, bias, residual):
        if value is not None and not is_plain(value):
            return f"{type(value).__name__} is not plain memory of the CPU: {torch._C._dispatch_keys(value)}"
    if x.dtype not in DTYPES or x.layout is not torch.strided:
        return f"{x.dtype}, {x.layout} is not served by the C kernels"
    if x.numel() == 0:
        return "there is nothing to compute"
    return reason_missing()


def _factor(value: Tensor | None, dtype: torch.dtype, channels: int) -> tuple[Tensor | None, int, int, int]:
    """A (C,), (1, C) or (N, C) tensor in the computing type: itself (to keep it alive), address, strides."""
    if value is None:
        return None, 0, 0, 0
    if value.dtype != dtype:
        value = value.detach().to(dtype)
    if value.dim() == 1:
        return value, value.data_ptr(), 0, value.stride(0) if value.shape[0] == channels else 0
    return value, value.data_ptr(), value.stride(0) if value.shape[0] > 1 else 0, value.stride(1)


def fits(
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    residual: Tensor | None,
    eps: float,
    act: str | None,
) -> bool:
    """The common case, asked cheaply: a small tensor's norm takes a microsecond, all other questions 20.

    Plain tensors in the layouts that the library reads, scale and shift (C,) in the computing type.
    """
    if type(eps) is not float or not 0 <= eps < 1e300 or not is_plain(x):
        return False
    kind, shape = DTYPES.get(x.dtype), x.shape
    if kind is None or act not in ACTIVATIONS or act == "prelu" or len(shape) < 3 or not x.numel():
        return False
    if not x.is_contiguous() and not (len(shape) > 3 and is_channels_last(x)):
        return False
    for value in (weight, bias):
        if value is not None and (
            value.dtype != COMPUTING[kind] or value.shape != shape[1:2] or not is_plain(value)
        ):
            return False
    return residual is None or (
        residual.shape == shape
        and residual.dtype == x.dtype
        and residual.stride() == x.stride()
        and is_plain(residual)
    )


def quick_forward(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, residual: Tensor | None, eps: float,
    act: str | None, slope: float, stats: Tensor | None, out: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """``norm_forward`` for what ``fits``; the statistics are written to ``stats`` (3, N, C), or nowhere."""
    shape, length = x.shape, x.numel()
    n, c = shape[0], shape[1]
    y = torch.empty_like(x) if out is None else out
    at = 0 if stats is None else stats.data_ptr()
    step = 0 if stats is None else stats.stride(0) * stats.element_size()
    arguments = _pack(
        x.data_ptr(), 0, 0 if residual is None else residual.data_ptr(), y.data_ptr(), 0,
        0 if weight is None else weight.data_ptr(), 0 if bias is None else bias.data_ptr(), 0,
        at, at + step, at + 2 * step, 0, 0, 0, n, c, length // (n * c),
        0, 0 if weight is None else weight.stride(0), 0, 0 if bias is None else bias.stride(0), 0, 0,
        DTYPES[x.dtype], not x.is_contiguous(), ACTIVATIONS[act], 0, 0, 0,
        torch.get_num_threads() if length > 16384 else 1, out is None, eps, slope,
    )  # fmt: skip
    if _library().sn_forward(arguments):
        raise MemoryError("instance norm: no memory for its sums")
    return y


def quick_backward(
    grad: Tensor, x: Tensor, weight: Tensor | None, bias: Tensor | None, residual: Tensor | None,
    stats: Tensor, eps: float, act: str | None, slope: float,
) -> tuple[Tensor, Tensor, Tensor | None]:  # fmt: skip
    """``norm_backward`` for what ``fits`` and for a gradient that lies as ``x`` does.

    Gradients of x; of weight and bias (2, N, C); and of the residual, None where it is the output's.
    """
    shape, length = x.shape, x.numel()
    n, c = shape[0], shape[1]
    dx = torch.empty_like(x)
    dres = None if residual is None or act is None else torch.empty_like(x)
    sums = stats.new_empty((2, n, c))
    at, step = stats.data_ptr(), n * c * stats.element_size()
    sums_at = sums.data_ptr()
    arguments = _pack(
        x.data_ptr(), grad.data_ptr(), 0 if dres is None else residual.data_ptr(), dx.data_ptr(),  # type: ignore[union-attr]
        0 if dres is None else dres.data_ptr(), 0 if weight is None else weight.data_ptr(),
        0 if bias is None else bias.data_ptr(), 0, at, at + step, at + 2 * step, sums_at, sums_at + step, 0,
        n, c, length // (n * c), 0, 0 if weight is None else weight.stride(0), 0,
        0 if bias is None else bias.stride(0), 0, 0, DTYPES[x.dtype], not x.is_contiguous(), ACTIVATIONS[act],
        0, 0, 0, torch.get_num_threads() if length > 16384 else 1, 1, eps, slope,
    )  # fmt: skip
    if _library().sn_backward(arguments):
        raise MemoryError("instance norm: no memory for its sums")
    return dx, sums, dres


def norm_forward(
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    residual: Tensor | None,
    eps: float,
    correction: int,
    act: str | None,
    slope: float | Tensor,
    out: Tensor | None = None,
    *,
    given: Tensor | None = None,
    keep: bool = True,
) -> tuple[Tensor, Tensor | None]:
    """``act(norm(x) * weight + bias + residual)``, written to ``out`` where there is one (it may be ``x``).

    Weight and bias (C,) or (N, C), the rest (N, C, *S); ``slope`` a tensor (C,) or (1,) for prelu. The
    statistics are (3, N, C): pivot, mean above the pivot, reciprocal deviation. With ``given`` they are
    these; ``keep``: return them.
    """
    last = not x.is_contiguous() and is_channels_last(x)
    if not last:
        x = x.contiguous()
    if residual is not None:
        residual = arranged(residual if residual.dtype == x.dtype else residual.to(x.dtype), last)
    n, c = x.shape[:2]
    dtype = torch.float64 if x.dtype == torch.float64 else torch.float32
    own = out is None or is_channels_last(out) != last or not (last or out.is_contiguous())
    y = (torch.empty_like(x) if x.dim() != 3 else fresh(x, last)) if own else out
    _w, w_at, w_n, w_c = _factor(weight, dtype, c)  # a converted copy lives as long as its name
    _b, b_at, b_n, b_c = _factor(bias, dtype, c)
    s, s_at, s_n, s_c = _factor(slope, dtype, c) if isinstance(slope, Tensor) else (None, 0, 0, 0)
    stats = None if given is None else given.contiguous()
    if stats is None and keep:
        stats = torch.empty((3, n, c), dtype=dtype, device=x.device)
    at = (0, 0, 0) if stats is None else _parts(stats)
    arguments = _pack(
        x.data_ptr(), 0, 0 if residual is None else residual.data_ptr(), y.data_ptr(), 0,  # type: ignore[union-attr]
        w_at, b_at, s_at, *at, 0, 0, 0, n, c, x.numel() // (n * c), w_n, w_c, b_n, b_c, s_n, s_c,
        DTYPES[x.dtype], last, ACTIVATIONS[act], given is not None, correction, 0, torch.get_num_threads(),
        own, eps, slope if s is None else 0.0,
    )  # fmt: skip
    if _library().sn_forward(arguments):
        raise MemoryError("instance norm: no memory for its sums")
    if own and out is not None:
        y = out.copy_(y)  # type: ignore[arg-type]
    return y, stats  # type: ignore[return-value]


def _parts(value: Tensor) -> tuple[int, int, int]:
    """The addresses of the three parts of a contiguous (3, N, C) tensor."""
    at, step = value.data_ptr(), value.stride(0) * value.element_size()
    return at, at + step, at + 2 * step


def norm_backward(
    grad: Tensor,
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    residual: Tensor | None,
    stats: Tensor,
    eps: float,
    correction: int,
    act: str | None,
    slope: float | Tensor,
    *,
    given: bool = False,
    inverse: bool = False,
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Gradients of x; of weight, bias and the slopes of prelu (3, N, C); and of the residual.

    The last of the three is meaningless without prelu; the residual's is None where no activation is between.
    ``given``: the statistics are constants. ``inverse``: ``x`` is the output, from which what came in is
    computed; for no activation, and for leaky_relu and prelu with slopes above zero.
    """
    last = is_channels_last(x)
    x = arranged(x, last)
    grad = arranged(grad if grad.dtype == x.dtype else grad.to(x.dtype), last)
    n, c = x.shape[:2]
    dtype = compute_dtype(x.dtype)
    dres = None
    if residual is not None and act is not None:
        residual = arranged(residual if residual.dtype == x.dtype else residual.to(x.dtype), last)
        dres = fresh(x, last)
    dx = fresh(x, last)
    _w, w_at, w_n, w_c = _factor(weight, dtype, c)  # a converted copy lives as long as its name
    _b, b_at, b_n, b_c = _factor(bias, dtype, c)
    s, s_at, s_n, s_c = _factor(slope, dtype, c) if isinstance(slope, Tensor) else (None, 0, 0, 0)
    sums = torch.empty((3, n, c), dtype=dtype, device=x.device)
    dw_at, db_at, ds_at = _parts(sums)
    stats = stats.contiguous()
    arguments = _pack(
        x.data_ptr(), grad.data_ptr(), 0 if dres is None or residual is None else residual.data_ptr(),
        dx.data_ptr(), 0 if dres is None else dres.data_ptr(), w_at, b_at, s_at, *_parts(stats),
        dw_at, db_at, 0 if s is None else ds_at, n, c, x.numel() // (n * c), w_n, w_c, b_n, b_c, s_n, s_c,
        DTYPES[x.dtype], last, ACTIVATIONS[act], given, correction, inverse, torch.get_num_threads(), 1,
        eps, slope if s is None else 0.0,
    )  # fmt: skip
    if _library().sn_backward(arguments):
        raise MemoryError("instance norm: no memory for its sums")
    return dx, sums, dres

"""Reading files of styles and statistics that may come from anyone: small, regular, and of sane numbers."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stylenorm.errors import InputError

__all__ = ["read_safetensors", "read_small_file"]

# Of a file: a style has some dozens of tensors and some kB.
_MAX_FILE_BYTES = 2**28
_MAX_HEADER_BYTES = 2**22
_MAX_TENSORS = 10_000
_LARGEST = {"style": 1e6, "statistics": 1e30}


def read_safetensors(path: Path, expected: str, kind: str) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """Return the tensors and the metadata of a file.

    Args:
        path: of the file.
        expected: its format, as the metadata have it.
        kind: ``"style"`` or ``"statistics"``, for errors, and for how large its numbers may be.

    Raises:
        InputError: it cannot be read, is of another format, or holds numbers that no such file has.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        content = read_small_file(path, _MAX_FILE_BYTES)
        _check_header(content)
        tensors = load(content)
    except OSError as error:
        raise InputError(f"{path}: expected a {kind} file (safetensors), cannot read it: {error}") from error
    except (SafetensorError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(f"{path}: expected a {kind} file (safetensors), cannot read it: {error}") from error
    metadata = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")]).get("__metadata__", {})
    if metadata.get("format") != expected:
        raise InputError(
            f"{path}: expected a {kind} file ({expected}), got {metadata.get('format') or 'another file'}"
        )
    for name, tensor in tensors.items():
        if not np.isfinite(tensor).all() or np.abs(tensor).max(initial=0) > _LARGEST[kind]:
            raise InputError(f"{path}: expected finite numbers of a {kind}, got others in {name!r}")
    return tensors, metadata


def _check_header(content: bytes) -> None:
    """Refuse what no style and no statistics have, before a library works through it."""
    length = int.from_bytes(content[:8], "little")
    if len(content) < 8 or length > min(len(content) - 8, _MAX_HEADER_BYTES):
        raise ValueError(f"a header of {length} bytes")
    header = json.loads(content[8 : 8 + length])
    if len(header) > _MAX_TENSORS:
        raise ValueError(f"{len(header)} tensors, expected at most {_MAX_TENSORS}")
    for name, about in header.items():
        if name == "__metadata__":
            if not all(isinstance(value, str) for value in about.values()):
                raise ValueError("metadata that is no text")
        elif about["dtype"] not in ("F32", "F64", "I64"):
            raise ValueError(f"{name!r} is of type {about['dtype']}, expected F32")


def read_small_file(path: Path, max_bytes: int) -> bytes:
    """Read a regular file that is not larger than so many bytes.

    Raises:
        OSError: it cannot be read, or is something else: a pipe would wait for ever.
    """
    with open(path, "rb", opener=_without_waiting) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(0, "it is no regular file", str(path))
        content = file.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise OSError(0, f"it is larger than {max_bytes / 1e6:.0f} MB", str(path))
    return content


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))

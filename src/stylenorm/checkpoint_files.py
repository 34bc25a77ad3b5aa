"""Checkpoints: written whole or not at all, and read with one list of what may be wrong with a file.

A checkpoint says its format, and the identity of what wrote it: all that must be the same to go on with it.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch

from stylenorm.media import atomic_write

__all__ = ["UNREADABLE", "read_checkpoint", "write_checkpoint"]

UNREADABLE = (
    OSError,
    RuntimeError,
    EOFError,
    ValueError,
    pickle.UnpicklingError,
    LookupError,
    TypeError,
    AttributeError,
)
"""What ``torch.load`` says of a file that is damaged or not its own, depending on the file's first bytes."""


def write_checkpoint(path: Path, kind: str, identity: Mapping[str, Any], content: Mapping[str, Any]) -> None:
    """Write a checkpoint over the one before it.

    Args:
        path: the file.
        kind: its format, with a version.
        identity: what must be the same when it is gone on from; plain values.
        content: tensors and plain values, by name.

    Raises:
        OutputError: it cannot be written; the one before it is as it was.
    """
    with atomic_write(path, overwrite=True) as file:
        torch.save({"format": kind, "identity": dict(identity), **content}, file)


def read_checkpoint(
    path: Path, kind: str, names: Iterable[str], device: torch.device | str = "cpu"
) -> dict[str, Any]:
    """Return what a checkpoint holds, its identity among it; nothing in the file is run.

    Args:
        path: the file.
        kind: the format that is expected.
        names: what must be in it.
        device: where its tensors shall be.

    Raises:
        one of UNREADABLE: it is damaged, or another program's.
    """
    content: dict[str, Any] = torch.load(path, weights_only=True, map_location=device)
    if content["format"] != kind:
        raise ValueError(f"format {content['format']!r}")
    missing = [name for name in ("identity", *names) if name not in content]
    if missing:
        raise KeyError(missing[0])
    return content

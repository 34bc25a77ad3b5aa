"""The feature maps that one stage leaves for the next: in memory, or in files that outlive a kill."""

from __future__ import annotations

import json
import mmap
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from stylenorm._moved import OldName
from stylenorm.errors import OutputError
from stylenorm.media import atomic_write

__all__ = ["DiskWorkspace", "MemoryWorkspace", "Workspace"]

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_JOURNAL = "journal.json"
_LAYOUT = 2  # of the journal; what was left in another one is not used


class Workspace(Protocol):
    """Keeps maps (H, W, C) by name, and what is known so far."""

    def array(self, name: str, shape: tuple[int, ...], dtype: Any = np.float32) -> NDArray[Any]:
        """Return the array of that name; a new one has any content, one that was left over its own."""

    def free(self, name: str) -> None:
        """Drop an array."""

    def release_pages(self) -> None:
        """Give memory back that the arrays can do without for now."""

    def save_state(self, state: dict[str, Any]) -> None:
        """Remember how far the work has come."""

    def state(self) -> dict[str, Any] | None:
        """Return what was saved last, also by a process that was killed; None if nothing was."""


class MemoryWorkspace:
    """Keeps all of it in memory. What was freed is used again: new memory costs a page fault every 4 kB."""

    def __init__(self) -> None:
        self._arrays: dict[str, NDArray[Any]] = {}
        self._freed: list[NDArray[Any]] = []

    def array(self, name: str, shape: tuple[int, ...], dtype: Any = np.float32) -> NDArray[Any]:
        """Return the array of that name."""
        if name not in self._arrays:
            fitting = [
                i for i, array in enumerate(self._freed) if array.shape == shape and array.dtype == dtype
            ]
            if fitting:
                self._arrays[name] = self._freed.pop(fitting[0])
            else:
                self._freed.clear()
                self._arrays[name] = np.empty(shape, dtype)
        return self._arrays[name]

    def free(self, name: str) -> None:
        """Drop an array."""
        if name in self._arrays:
            self._freed.append(self._arrays.pop(name))

    def release_pages(self) -> None:
        """Do nothing."""

    def save_state(self, state: dict[str, Any]) -> None:
        """Forget it: nothing here outlives the process."""

    def state(self) -> dict[str, Any] | None:
        """Return None."""
        return None

    settle = OldName("MemoryWorkspace.settle", "release_pages")
    note = OldName("MemoryWorkspace.note", "save_state")


class DiskWorkspace:
    """Keeps maps in files of a folder, which a later process with the same job goes on with.

    Files are mapped, and the pages let go again by `release_pages`, so that the operating system keeps in
    memory what there is room for. Nothing is forced to the disk: a kill loses nothing that way, but a crash
    of the machine would, so what was left before the last boot is not used.

    Args:
        folder: made if it does not exist.
        job: what is done, in a form that JSON holds; what was left by another job is deleted.
        beside: another one, which settles together with this.

    Raises:
        OutputError: the folder cannot be made or written.
    """

    def __init__(self, folder: Path, job: dict[str, Any], *, beside: DiskWorkspace | None = None) -> None:
        self.folder, self._beside = folder, beside
        self._maps: dict[str, tuple[mmap.mmap, NDArray[Any]]] = {}
        boot = _BOOT_ID.read_text().strip() if _BOOT_ID.exists() else ""
        self._job = json.loads(json.dumps({**job, "boot": boot}))  # as it is read back
        self._state: dict[str, Any] | None = None
        try:
            left = json.loads((folder / _JOURNAL).read_text())
            if boot and left["job"] == self._job and left["layout"] == _LAYOUT:
                self._state = left["state"]
        except (OSError, ValueError, LookupError, TypeError):
            pass  # nothing was left, or not whole: from the beginning
        try:
            if self._state is None and folder.exists():
                shutil.rmtree(folder)
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"{folder}: cannot be used to work in ({error.strerror or error})") from error

    def array(self, name: str, shape: tuple[int, ...], dtype: Any = np.float32) -> NDArray[Any]:
        """Return the array of that name.

        Raises:
            OutputError: the disk is full.
        """
        if name not in self._maps:
            path = self.folder / f"{name}.map"
            size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
            free = shutil.disk_usage(self.folder).free + (path.stat().st_size if path.exists() else 0)
            if size > free:
                raise OutputError(
                    f"{self.folder}: {size / 1e9:.1f} GB of working files do not fit, {free / 1e9:.1f} GB "
                    "are free; free some, or allow more memory"
                )
            with path.open("r+b" if path.exists() else "w+b") as file:
                file.truncate(size)
                mapped = mmap.mmap(file.fileno(), size)
            self._maps[name] = mapped, np.frombuffer(mapped, dtype).reshape(shape)
        return self._maps[name][1]

    def free(self, name: str) -> None:
        """Drop an array and its file."""
        self._maps.pop(name, None)
        (self.folder / f"{name}.map").unlink(missing_ok=True)

    def release_pages(self) -> None:
        """Let the pages go; they stay in the system's cache, or on the disk."""
        if hasattr(mmap, "MADV_DONTNEED"):
            for mapped, _ in self._maps.values():
                mapped.madvise(mmap.MADV_DONTNEED)
        if self._beside is not None:
            self._beside.release_pages()

    def save_state(self, state: dict[str, Any]) -> None:
        """Write the journal."""
        with atomic_write(self.folder / _JOURNAL, overwrite=True) as file:
            file.write(json.dumps({"layout": _LAYOUT, "job": self._job, "state": state}).encode())
        self._state = state

    def state(self) -> dict[str, Any] | None:
        """Return what was saved last."""
        return self._state

    settle = OldName("DiskWorkspace.settle", "release_pages")
    note = OldName("DiskWorkspace.note", "save_state")

    def delete(self) -> None:
        """Delete the folder."""
        self._maps.clear()
        with suppress(OSError):
            shutil.rmtree(self.folder)

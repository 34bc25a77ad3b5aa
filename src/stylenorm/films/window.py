"""A window that shows live pictures, by tkinter, which comes with Python."""

from __future__ import annotations

import os
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stylenorm.closing import Closing
from stylenorm.errors import OutputError

__all__ = ["LiveWindow", "has_screen"]


def has_screen() -> bool:
    """Say whether a window can be opened: there is a screen, and Python has tkinter."""
    import importlib.util

    if sys.platform.startswith("linux") and not os.environ.get("DISPLAY"):
        return False
    return importlib.util.find_spec("tkinter") is not None


class LiveWindow(Closing):
    """Shows pictures until the user closes it; a context manager, of the main thread.

    Raises:
        OutputError: there is no screen.
    """

    def __init__(self, title: str = "stylenorm live") -> None:
        import tkinter as tk

        self._tk = tk
        try:
            self._root: Any = tk.Tk()
        except tk.TclError as error:
            raise OutputError(f"no window can be opened ({error}); use --port 0 for a page") from error
        self._root.title(title)
        self._label: Any = tk.Label(self._root, borderwidth=0, background="black")
        self._label.pack(fill="both", expand=True)
        self._is_open = True
        for event in ("<Escape>", "q"):
            self._root.bind(event, lambda _: self._closed())
        self._root.protocol("WM_DELETE_WINDOW", self._closed)

    def show(self, pixels: NDArray[np.uint8]) -> bool:
        """Show a picture, (H, W, 3) uint8; False if the user has closed the window."""
        if not self._is_open:
            return False
        height, width = pixels.shape[:2]
        picture = self._tk.PhotoImage(data=b"P6 %d %d 255\n" % (width, height) + pixels.tobytes())
        self._label.configure(image=picture)
        self._label.image = picture  # tkinter itself keeps no reference
        self._root.update()
        return self._is_open

    def close(self) -> None:
        """Close the window."""
        if self._root is not None:
            self._root.destroy()
            self._root = None

    def _closed(self) -> None:
        self._is_open = False

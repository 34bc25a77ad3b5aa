"""What is made once a test run, whichever of its processes needs it first: exports take seconds each."""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from stylenorm.media import locked

__all__ = ["made_once"]


@functools.cache
def _root() -> Path:
    if "STYLENORM_TEST_RUN" in os.environ:  # the folder of the run; see conftest.py
        return Path(os.environ["STYLENORM_TEST_RUN"])
    folder = Path(tempfile.mkdtemp(prefix="stylenorm-tests-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def made_once(name: str, make: Callable[[Path], object]) -> Path:
    """Return the folder of this name, which ``make`` has written; not to be changed."""
    folder, beside = _root() / name, _root() / f"{name}.part"
    with (_root() / f"{name}.lock").open("w") as file, locked(file.fileno()):
        if not folder.exists():
            make(beside)
            beside.rename(folder)
    return folder

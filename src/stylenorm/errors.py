"""The exception tree. Catch ``StylenormError`` to catch everything that the package raises on purpose.

.. code-block:: text

    StylenormError
    ├── InputError (ValueError)          an argument or a file is not what was expected
    │   ├── PictureError                 a file is no picture that can be read
    │   ├── ShapeError                   a tensor or an array has the wrong shape, type or layout
    │   ├── UnknownNameError             no such style, engine or recipe; the message lists those known
    │   └── StyleMismatchError           a style belongs to another network
    ├── OutputError (OSError)            an output exists already, or cannot be written
    ├── MissingExtraError (ImportError)  an optional dependency is not installed; the message says which
    ├── DownloadError (OSError)          something could not be downloaded, or was not what was asked for
    ├── EngineError (RuntimeError)       what computes failed, for another reason than memory
    ├── ExportError (RuntimeError)       an exported graph does not agree with its network
    └── TrainingError (RuntimeError)     a training cannot go on (NaN, no readable photos, wrong checkpoint)

Each message is one line: what was expected, what came, what to do.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

__all__ = [
    "DownloadError",
    "EngineError",
    "ExportError",
    "InputError",
    "MissingExtraError",
    "OutputError",
    "PictureError",
    "ShapeError",
    "StyleMismatchError",
    "StylenormError",
    "TrainingError",
    "UnknownNameError",
    "one_line",
    "printable",
]


def printable(text: object) -> str:
    r"""A text, such as a file's name, as it can be shown in one line: control characters as escapes.

    A name may hold anything: line breaks, bytes that are no characters, and the sequences that make a
    terminal move its cursor or change its title.

    >>> print(printable("a\x1b[31m\nb.jpg"))
    a\x1b[31m\nb.jpg
    """
    return "".join(char if char.isprintable() else _escaped(char) for char in str(text))


def _escaped(char: str) -> str:
    if "\udc80" <= char <= "\udcff":  # how Python keeps a byte of a name that is no character
        return f"\\x{ord(char) - 0xDC00:02x}"
    return char.encode("unicode_escape", "surrogatepass").decode("ascii")


def one_line(error: BaseException) -> str:
    """Say what went wrong in one line.

    >>> one_line(FileNotFoundError(2, "No such file or directory", "a.jpg"))
    'a.jpg: No such file or directory'
    >>> one_line(MemoryError())
    'out of memory: paint a smaller picture, or close other programs'
    """
    if isinstance(error, MemoryError):
        detail = f" ({' '.join(str(error).split())})" if str(error) else ""
        return f"out of memory{detail}: paint a smaller picture, or close other programs"
    if isinstance(error, OSError) and error.strerror:
        return printable(f"{error.filename}: {error.strerror}" if error.filename else error.strerror)
    return printable(re.sub(r"\s*[\r\n]\s*", " ", str(error)).strip()) or type(error).__name__


class StylenormError(Exception):
    """Base of everything that stylenorm raises on purpose."""


class InputError(StylenormError, ValueError):
    """An argument or a file is not what was expected."""


class PictureError(InputError):
    """A file is no picture that can be read."""


class ShapeError(InputError):
    """A tensor or an array has the wrong shape, type or layout."""


class UnknownNameError(InputError):
    """A name is not in its registry.

    Args:
        kind: what was looked for, in the singular (``"style"``).
        name: the name that came.
        known: the names that exist.

    Example:
        >>> str(UnknownNameError("style", "scraem", ["great-wave", "scream"]))
        "unknown style 'scraem': did you mean 'scream'? Known: great-wave, scream"
    """

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        names = sorted(known)
        nearest = difflib.get_close_matches(name, names, n=1)
        hint = f" did you mean {nearest[0]!r}?" if nearest else ""
        super().__init__(f"unknown {kind} {name!r}:{hint} Known: {', '.join(names) or 'none'}")
        self.kind, self.name, self.known = kind, name, tuple(names)


class StyleMismatchError(InputError):
    """A style belongs to another network."""


class OutputError(StylenormError, OSError):
    """An output exists already, or cannot be written."""


class DownloadError(StylenormError, OSError):
    """Something could not be downloaded, or was not what was asked for."""


class MissingExtraError(StylenormError, ImportError):
    """An optional dependency is not installed.

    Args:
        package: the package that could not be imported.
        extra: the extra of stylenorm that installs it.
        purpose: what it was needed for.

    Example:
        >>> str(MissingExtraError("torch", "torch", "training"))
        "training needs torch: pip install 'stylenorm[torch]'"
    """

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(f"{purpose} needs {package}: pip install 'stylenorm[{extra}]'")
        self.package, self.extra = package, extra


class EngineError(StylenormError, RuntimeError):
    """An engine's backend failed, for another reason than memory."""


class ExportError(StylenormError, RuntimeError):
    """An exported graph does not agree with its network."""


class TrainingError(StylenormError, RuntimeError):
    """A training cannot go on."""

"""Pictures in object stores: whatever fsspec knows, as ``s3://``, ``gs://``, ``az://``, ``https://``."""

from __future__ import annotations

import importlib.util
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stylenorm.batches.drawing import Shard, StrengthRange
from stylenorm.batches.shards import format_of_name
from stylenorm.batches.task import FarTask
from stylenorm.errors import InputError, MissingExtraError, OutputError, PictureError
from stylenorm.media import StyleDraw, atomic_write, is_picture_name

__all__ = ["exists", "is_far", "plan_far", "read_file", "write_file"]

_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)
_BEFORE_IT_EXISTS = (FileNotFoundError, NotADirectoryError)


def is_far(text: str | os.PathLike[str]) -> bool:
    """Say whether a text is an address in a store, and no path.

    >>> is_far("s3://photos/a.jpg"), is_far("photos/a.jpg"), is_far("C:/photos")
    (True, False, False)
    """
    return _ADDRESS.match(os.fspath(text)) is not None


def read_file(uri: str) -> bytes:
    """Return a file's bytes.

    Raises:
        PictureError: it is not there, or cannot be read.
    """
    if not is_far(uri):
        try:
            return Path(uri).read_bytes()
        except OSError as error:
            raise PictureError(f"{uri}: cannot be read ({error.strerror})") from None
    with _store_errors(uri, PictureError, "read"):
        store, path = _store(uri)
        return bytes(store.cat_file(path))


def write_file(uri: str, content: bytes, *, overwrite: bool = False) -> None:
    """Write a file, which appears whole: stores put an object at once, on disks it is renamed.

    Raises:
        OutputError: it exists, or cannot be written.
    """
    if not is_far(uri):
        with atomic_write(uri, overwrite=overwrite) as file:
            file.write(content)
        return
    if not overwrite and exists(uri):
        raise OutputError(f"{uri}: exists already; choose another name, or allow to overwrite")
    with _store_errors(uri, OutputError, "written"):
        store, path = _store(uri)
        store.makedirs(store._parent(path), exist_ok=True)  # of stores that have folders, in memory for one
        store.pipe_file(path, content)


def exists(uri: str) -> bool:
    """Say whether there is a file.

    Raises:
        OutputError: the store does not answer.
    """
    if not is_far(uri):
        return Path(uri).is_file()
    with _store_errors(uri, OutputError, "looked up"):
        store, path = _store(uri)
        return bool(store.isfile(path))


def plan_far(
    inputs: Sequence[str],
    output: str | None,
    *,
    styles: StyleDraw,
    strengths: StrengthRange,
    format: str | None = None,  # noqa: A002 (Pillow's and everyone's word for it)
    shard: Shard | None = None,
) -> list[FarTask]:
    """Plan a batch of which pictures or paintings are in a store.

    As `stylenorm.batches.plan_tasks`: names and sub-folders are kept, and twins that would meet say where
    they came from. Keys are the same, so a folder paints alike wherever it is.

    Args:
        inputs: addresses and paths, of files and folders.
        output: the address or path of a folder.
        styles: what draws each picture's.
        strengths: what strengths are drawn from.
        format: the format to write; None for the picture's own.
        shard: the part that is wanted; None for all.

    Raises:
        MissingExtraError: fsspec, or what it needs for this store, is not installed.
        OutputError: there is no output, or two paintings would be one.
        PictureError: a folder cannot be listed, or holds no picture.
    """
    if output is None or output == "-":
        raise OutputError("expected an output folder for pictures in a store; give one (-o ADDRESS)")
    found: list[tuple[str, str]] = []  # key, address
    listed = [(given, *_found(given)) for given in inputs]
    several_folders = sum(is_folder for _, is_folder, _ in listed) > 1
    for given, is_folder, pictures in listed:
        if not pictures:
            raise PictureError(f"{given}: expected pictures, found none by suffix (.jpg, .png, ...)")
        top = f"{given.rstrip('/').rpartition('/')[2]}/" if is_folder and several_folders else ""
        found += [(top + key, address) for key, address in pictures]
    place = output.rstrip("/")
    several = styles.per_picture > 1
    wishes: list[tuple[str, str, str, str, str]] = []
    for key, address in found:
        kind, suffix = format_of_name(key, format or "")
        stem = key[: -len(Path(key).suffix)]
        for style in styles.styles(key):
            tail = f".{Path(style).stem}{suffix}" if several else suffix
            wishes.append((key, address, style, kind, f"{place}/{stem}\0{tail}"))
    taken: dict[str, set[str]] = {}
    for key, *_, target in wishes:
        taken.setdefault(target.casefold(), set()).add(key)
    tasks: dict[str, FarTask] = {}
    for key, address, style, kind, target in wishes:
        apart = f"-{Path(key).suffix[1:]}" if len(taken[target.casefold()]) > 1 else ""
        final = target.replace("\0", apart)
        if final.casefold() in tasks:
            raise OutputError(f"{final}: two paintings would have this name; paint one of them alone")
        tasks[final.casefold()] = FarTask(
            Path(address), Path(final), style, kind, key, strengths.strength(key, style), address, final
        )
    return [task for task in tasks.values() if shard is None or shard.has(task.key)]


def _found(given: str) -> tuple[bool, list[tuple[str, str]]]:
    """Whether it is a folder, and keys and addresses of the pictures in it, or of the one that it is."""
    with _store_errors(given, PictureError, "listed"):
        store, root = _store(given)
        if store.isfile(root):
            return False, [(root.rpartition("/")[2], given)]
        start = len(root.rstrip("/")) + 1
        keys = [name[start:] for name in sorted(store.find(root))]
        base = given.rstrip("/")
        return True, [
            (key, f"{base}/{key}")
            for key in keys
            if is_picture_name(key) and not any(part.startswith(".") for part in key.split("/"))
        ]


def _store(uri: str) -> tuple[Any, str]:
    if importlib.util.find_spec("fsspec") is None:
        raise MissingExtraError("fsspec", "ray", f"the address {uri}")
    import fsspec

    store, path = fsspec.core.url_to_fs(uri)
    return store, str(path)


@contextmanager
def _store_errors(uri: str, kind: Callable[[str], Exception], done: str) -> Iterator[None]:
    """Make whatever a store raises one error of ours: each store has its own."""
    try:
        yield
    except (InputError, OutputError, MissingExtraError):
        raise
    except ImportError as error:  # fsspec says which package its store needs
        raise MissingExtraError("what fsspec needs for it", "ray", f"{uri} ({error})") from None
    except _BEFORE_IT_EXISTS:
        raise kind(f"{uri}: no such file or folder; check the address") from None
    except Exception as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise kind(f"{uri}: cannot be {done} ({reason})") from error

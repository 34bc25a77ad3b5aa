"""Published weights, fetched once: cached, resumed, checked.

Written on the standard library: `torch.hub` and pooch begin a broken download anew, and here a file has half
a gigabyte. A file gets its name when it is whole and its SHA-256 is right, never before.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from stylenorm.errors import DownloadError

__all__ = ["CACHE_VARIABLE", "cache_folder", "fetch"]

CACHE_VARIABLE = "STYLENORM_CACHE"
"""Environment variable that names another folder for what was downloaded."""

_CHUNK_BYTES = 1 << 18
_TIMEOUT_S = 30.0
_TRIES = 4  # in a row without a single byte


def cache_folder() -> Path:
    """Return where downloads are kept (by XDG on Linux); it need not exist."""
    named = os.environ.get(CACHE_VARIABLE)
    if named:
        return Path(named)
    from platformdirs import user_cache_path

    return user_cache_path("stylenorm", appauthor=False)


def fetch(url: str, name: str, sha256: str, *, pause_s: float = 1.0, quiet: bool = False) -> Path:
    """Return the file ``name`` in the cache, downloading it if it is not there.

    An interrupted download goes on where it ended, also in another process, another day.

    Args:
        url: where it is published.
        name: of the file in `cache_folder`.
        sha256: its digest, in hexadecimal; a file with another is removed.
        pause_s: before the first retry; doubles from one to the next.
        quiet: no progress bar.

    Raises:
        DownloadError: no network, an address without the file, or other content than expected.
    """
    target = cache_folder() / name
    if target.exists():
        _check(target, url, sha256)
        return target
    part = target.with_name(f".{name}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with part.open("ab") as file, _locked(file, target):
            _download(url, file, target, pause_s, quiet)
            file.flush()
            os.fsync(file.fileno())
            _check(part, url, sha256)
            part.replace(target)
    except PermissionError as error:
        raise DownloadError(
            f"{target}: no permission to write there; name another folder by {CACHE_VARIABLE}"
        ) from error
    return target


def _download(url: str, file: BinaryIO, target: Path, pause_s: float, quiet: bool) -> None:
    """Append what is missing, with retries as long as there is progress."""
    from tqdm import tqdm

    failures = 0
    with tqdm(
        desc=target.name,
        unit="B",
        unit_scale=True,
        unit_divisor=1024,
        disable=quiet or None,
        dynamic_ncols=True,
    ) as progress:
        while True:
            had = file.seek(0, os.SEEK_END)
            try:
                with _request(url, had) as response:
                    if had and response.status != http.HTTPStatus.PARTIAL_CONTENT:
                        had = 0  # the server sends all of it again
                        file.truncate(0)
                    length = response.headers.get("Content-Length")
                    whole = None if length is None else had + int(length)
                    progress.total, progress.n = whole, had
                    for chunk in _chunks(response):
                        file.write(chunk)
                        progress.update(len(chunk))
                got = file.seek(0, os.SEEK_END)
                if whole is None or got >= whole:
                    return
                reason: object = f"the connection ended after {got} of {whole} bytes"
            except urllib.error.HTTPError as error:
                if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and had:
                    return  # nothing is missing; the digest says whether it is the right file
                if error.code < http.HTTPStatus.INTERNAL_SERVER_ERROR:
                    raise DownloadError(f"{url}: the server says {error.code} {error.reason}") from error
                reason = f"the server says {error.code} {error.reason}"
            except _ConnectionFailedError as error:
                reason = error
            failures = 0 if file.seek(0, os.SEEK_END) > had else failures + 1
            if failures >= _TRIES:
                raise DownloadError(_offline(url, target, file.tell(), reason))
            time.sleep(pause_s * 2 ** max(0, failures - 1))


class _ConnectionFailedError(Exception):
    """The network failed, not the disk: both are OSErrors."""


@contextmanager
def _request(url: str, had: int) -> Iterator[http.client.HTTPResponse]:
    request = urllib.request.Request(url, headers={"Range": f"bytes={had}-"} if had else {})  # noqa: S310
    try:
        response = urllib.request.urlopen(request, timeout=_TIMEOUT_S)  # noqa: S310 (addresses are ours)
    except urllib.error.HTTPError:
        raise
    except (OSError, http.client.HTTPException) as error:
        raise _ConnectionFailedError(getattr(error, "reason", None) or error) from error
    with response:
        yield response


def _chunks(response: http.client.HTTPResponse) -> Iterator[bytes]:
    while True:
        try:
            chunk = response.read(_CHUNK_BYTES)
        except (OSError, http.client.HTTPException) as error:
            raise _ConnectionFailedError(error) from error
        if not chunk:
            return
        yield chunk


def _check(file: Path, url: str, sha256: str) -> None:
    with file.open("rb") as content:
        found = hashlib.file_digest(content, "sha256").hexdigest()
    if found != sha256:
        file.unlink()
        raise DownloadError(
            f"{url}: expected the SHA-256 {sha256}, got {found}; the file is removed: try again, and if it "
            "happens twice, something between here and there changes it"
        )


@contextmanager
def _locked(file: BinaryIO, target: Path) -> Iterator[None]:
    """Let no second process append to the same file; where there is no flock, the digest finds it out."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise DownloadError(f"{target}: another process is downloading it; wait for that one") from error
    yield


def _offline(url: str, target: Path, had: int, reason: object) -> str:
    kept = f"; {had / 2**20:.1f} MiB are kept, and the same command goes on from there" if had else ""
    return (
        f"cannot download {url} ({reason}){kept}. Without a network: download it elsewhere and put it at "
        f"{target}, or use the features that ship (--features vgg16)"
    )

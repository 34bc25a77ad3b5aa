"""The files that the page is made of: served by `Studio`, or written for any web host.

Own sources are in ``page/``, what runs networks in browsers in ``runtime/`` (its README says what it is).
Networks and styles are those that ship in the wheel, in a form that browsers read at once.
"""

from __future__ import annotations

import functools
import gzip
import hashlib
import json
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from stylenorm import __version__
from stylenorm.errors import OutputError
from stylenorm.films import PRESETS
from stylenorm.graphs import web_graph
from stylenorm.media import atomic_write
from stylenorm.zoo import IDENTITY, NetworkFolder

__all__ = ["POLICY", "SiteFile", "export_site", "site_files"]

_HERE = Path(__file__).parent
_KINDS = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".wasm": "application/wasm",
    ".json": "application/json",
    ".webmanifest": "application/manifest+json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".txt": "text/plain; charset=utf-8",
}
POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' blob:; "
    "media-src 'self' blob:; connect-src 'self'; worker-src 'self'; manifest-src 'self'; base-uri 'none'; "
    "form-action 'none'"
)
"""The page's Content-Security-Policy; what only a header can say is added by the server."""

# What a first visit needs; the rest is kept for the next one when it was asked for.
_LATER = (
    "networks/standard/network.onnx",
    "networks/standard/predictor.onnx",
    "runtime/LICENSE",
    "runtime/ThirdPartyNotices",
)
_SHOWN_AT_THE_START = ("great-wave", "van-gogh", "starry-night", "tahiti", "grande-jatte")


@dataclass(frozen=True)
class SiteFile:
    """One file of the page.

    Attributes:
        content: its bytes, as they are kept.
        kind: its media type.
        gzipped: whether ``content`` is compressed, as the largest file is, in the wheel too.
    """

    content: bytes
    kind: str
    gzipped: bool = False

    def plain(self) -> bytes:
        """Return the bytes that a browser sees."""
        return gzip.decompress(self.content) if self.gzipped else self.content


def site_files(*, native: bool = False, keep: bool = True) -> Mapping[str, SiteFile]:
    """Return the page's files by their path.

    Args:
        native: whether the page may ask the server that it came from for this machine's engine.
        keep: whether browsers keep the page for the next visit, which will be at the same address.
    """
    files = dict(_fixed_files())
    html = files["index.html"].content.decode()
    marks = {
        "@POLICY@": POLICY,
        "@NATIVE@": "yes" if native else "no",
        "@KEEP@": "yes" if keep else "no",
        "@VERSION@": __version__,
    }
    for mark, value in marks.items():
        html = html.replace(mark, value)
    files["index.html"] = SiteFile(html.encode(), _KINDS[".html"])
    digest = hashlib.sha256()
    for path, file in sorted(files.items()):
        digest.update(path.encode() + b"\0" + hashlib.sha256(file.content).digest())
    first = [
        "./",
        *(path for path in sorted(files) if path not in ("index.html", "sw.js") and _is_first(path)),
    ]
    worker = files["sw.js"].content.decode()
    worker = worker.replace("@VERSION@", digest.hexdigest()[:16]).replace('"@FILES@"', json.dumps(first))
    files["sw.js"] = SiteFile(worker.encode(), _KINDS[".js"])
    return files


def export_site(folder: str | os.PathLike[str], *, overwrite: bool = False) -> int:
    """Write the page as files for any web host; return how many.

    Args:
        folder: made if it does not exist.
        overwrite: whether files that exist are replaced.

    Raises:
        OutputError: ``folder`` is a file, or holds something already; or it cannot be written.
    """
    target = Path(folder)
    if target.exists() and not target.is_dir():
        raise OutputError(f"{target}: is a file; name a folder for the page")
    if target.is_dir() and not overwrite and any(target.iterdir()):
        raise OutputError(f"{target}: holds files already; name another folder, or allow to overwrite")
    files = site_files()
    for path, file in files.items():
        with atomic_write(target / path, overwrite=overwrite) as out:
            out.write(file.plain())
    return len(files)


def _is_first(path: str) -> bool:
    return not path.startswith(_LATER)


@functools.cache
def _fixed_files() -> Mapping[str, SiteFile]:
    files = {}
    for folder, prefix in ((_HERE / "page", ""), (_HERE / "runtime", "runtime/")):
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path.suffix != ".md" and path.name != "jsconfig.json":
                name = prefix + path.relative_to(folder).as_posix()
                gzipped = name.endswith(".gz")
                name = name.removesuffix(".gz")
                kind = _KINDS.get(Path(name).suffix, _KINDS[".txt"])
                files[name] = SiteFile(path.read_bytes(), kind, gzipped)
    for preset in PRESETS:
        files |= _network_files(preset)
    return files


def _network_files(preset: str) -> dict[str, SiteFile]:
    """One network: its graph for browsers, its styles in one file, and what they are."""
    network = PRESETS[preset].open_network()
    prefix = f"networks/{preset}/"
    names = (IDENTITY, *_in_order(network))
    styles = [network.style(name) for name in names]
    about = {
        "identity": network.identity,
        "norm_sizes": list(network.norm_sizes),
        "noise": network.noise,
        "predictor": network.predictor is not None,
        "styles": [
            {"name": style.name, "artist": style.artist, "title": style.title, "year": style.year}
            for style in styles
        ],
    }
    octets = "application/octet-stream"
    files = {
        prefix + "network.onnx": SiteFile(web_graph(network.graph.read_bytes()), octets),
        prefix + "styles.bin": SiteFile(b"".join(s.vector().astype("<f4").tobytes() for s in styles), octets),
        prefix + "styles.json": SiteFile(json.dumps(about).encode(), _KINDS[".json"]),
    }
    if network.predictor is not None:
        files[prefix + "predictor.onnx"] = SiteFile(network.predictor.read_bytes(), octets)
    return files | _thumbnails(network)


def _in_order(network: NetworkFolder) -> list[str]:
    """The styles' names as the list of their training has them: those first that most people know."""
    names = list(network.style_names())
    listed = network.path / "styles.toml"
    order = list(tomllib.loads(listed.read_text("utf-8"))) if listed.is_file() else []
    return sorted(names, key=lambda name: (order.index(name) if name in order else len(order), name))


def _thumbnails(network: NetworkFolder) -> dict[str, SiteFile]:
    pictures = {name: network.thumbnail(name) for name in _SHOWN_AT_THE_START}
    return {
        f"thumbnails/{name}.jpg": SiteFile(path.read_bytes(), _KINDS[".jpg"])
        for name, path in pictures.items()
        if path is not None
    }

"""A network folder: what ``stylenorm train`` writes, and what ships in the wheel.

.. code-block:: text

    network.onnx             the graph, for the engines
    network.json             format, identity, norm sizes, configuration, training record
    predictor.onnx           any picture's style; not every network has one
    styles/NAME.safetensors  one style each; "identity" gives the photo back
    thumbnails/NAME.jpg      what a style looks like; not needed to paint
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stylenorm.errors import InputError, UnknownNameError
from stylenorm.model_folder import NETWORK
from stylenorm.noise import checked_noise
from stylenorm.style import Style
from stylenorm.zoo.checking import check_weights
from stylenorm.zoo.own import own_style, own_style_names

__all__ = ["IDENTITY", "NetworkFolder", "shipped_network"]

IDENTITY = "identity"
"""Name of the style that gives the photo back; every network has it, and lists leave it out."""

_SHIPPED = Path(__file__).parent / "data"


@dataclass(frozen=True)
class NetworkFolder:
    """A network on disk and the styles that belong to it. Make one by `NetworkFolder.open`.

    Attributes:
        path: the folder.
        identity: 16 hexadecimal digits that change with layers and weights.
        norm_sizes: channels of each norm.
        config: family, width and blocks, as `stylenorm.networks.NetworkConfig` has them.
        record: how it was trained.
        sha256: checksums of files in the folder, by name; empty in folders of older versions.
        noise: how much noise it was trained to see on photos (`stylenorm.noise`); 0 for none.
    """

    path: Path
    identity: str
    norm_sizes: tuple[int, ...]
    config: Mapping[str, str | int]
    record: Mapping[str, str]
    sha256: Mapping[str, str] = field(default_factory=dict)
    noise: float = 0.0

    @classmethod
    def open(cls, path: str | Path) -> NetworkFolder:
        """Read a folder's ``network.json``; the graph is left to the engines.

        Raises:
            InputError: it is no network folder.
        """
        if not os.fspath(path):
            raise InputError("expected the name of a network folder, got an empty one")
        path = Path(path)
        with NETWORK.reading(path) as described:
            return cls(
                path,
                str(described["identity"]),
                tuple(_channels(size) for size in described["norm_sizes"]),
                dict(described["config"]),
                dict(described.get("record", {})),
                {str(name): str(digest) for name, digest in described.get("sha256", {}).items()},
                checked_noise(described.get("noise", 0.0)),
            )

    def check_weights(self) -> None:
        """Refuse a folder whose weights are not those that its identity and its checksums name.

        ``network.safetensors`` is held against the identity; ``network.onnx`` against its checksum and,
        tensor by tensor, against ``network.safetensors``. What is not in a folder is not checked.

        Raises:
            InputError: a file was changed or damaged, or is of another export.
        """
        check_weights(self.path, self.identity, self.config, self.sha256)

    @property
    def graph(self) -> Path:
        """Path of ``network.onnx``."""
        return self.path / "network.onnx"

    @property
    def predictor(self) -> Path | None:
        """Path of ``predictor.onnx``, or None if the network has none."""
        path = self.path / "predictor.onnx"
        return path if path.is_file() else None

    @property
    def style_length(self) -> int:
        """Numbers in a style vector."""
        return 2 * sum(self.norm_sizes) + 1

    def style_names(self) -> tuple[str, ...]:
        """Return the names of the styles, sorted, without the identity."""
        stems = {file.stem for file in (self.path / "styles").glob("*.safetensors")}
        return tuple(sorted(stem for stem in stems if stem != IDENTITY and not stem.startswith(".")))

    def style(self, name: str) -> Style:
        """Load a style by its name: of the network (``"identity"`` is one), or else the user's own.

        A name that is neither is looked for in any spelling (``"SCREAM"``, ``"the great wave"``), then among
        the network's titles and artists (``"munch"``).

        Raises:
            UnknownNameError: neither the network nor the user has such a style.
            InputError: several styles are by the artist that was named.
            InputError: its file is broken.
            StyleMismatchError: it was made for another network.
        """
        file = self.path / "styles" / f"{name}.safetensors"
        if name in (*self.style_names(), IDENTITY) and file.is_file():
            return self._fitting(Style.load(file))
        own = own_style_names()
        if name in own:
            return self._fitting(Style.load(own_style(name)))
        meant = self._meant(name)
        if not meant:
            raise UnknownNameError("style", name, (*self.style_names(), *own))
        if len(meant) > 1:
            raise InputError(
                f"style {name!r}: expected one style, got an artist of several: {', '.join(meant)}; name one"
            )
        return self.style(meant[0])

    def _meant(self, name: str) -> list[str]:
        """The styles that a person may mean: by name in another spelling, by title, or by artist."""
        wanted = _words(name)
        styles = {known: _words(known) for known in (*self.style_names(), *own_style_names())}
        found = [known for known, words in styles.items() if words == wanted]
        if found or not wanted:
            return found
        about = {known: self.style(known) for known in self.style_names()}
        for told in ("title", "artist"):
            words_of = {known: _words(getattr(style, told)) for known, style in about.items()}
            found = [known for known, words in words_of.items() if words == wanted]
            # a part, as the last name of an artist, or a title without its article
            found = found or [
                known
                for known, words in words_of.items()
                if any(words[i : i + len(wanted)] == wanted for i in range(len(words)))
            ]
            if found:
                return found
        return []

    def style_file(self, path: str | Path) -> Style:
        """Load a style from a file of one's own.

        Raises:
            InputError: the file cannot be read, or is no style.
            StyleMismatchError: it was made for another network.
        """
        return self._fitting(Style.load(path))

    def thumbnail(self, name: str) -> Path | None:
        """Return the picture that shows the style, or None if there is none."""
        file = self.path / "thumbnails" / f"{name}.jpg"
        return file if file.is_file() else None

    def _fitting(self, style: Style) -> Style:
        style.check_network(self.identity, self.norm_sizes)
        return style


def _words(text: str) -> list[str]:
    """A text's words without case and accents: ``"Van-Gogh"`` and ``"van gogh"`` are the same."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    return re.findall(r"[^\W_]+", "".join(char for char in plain if not unicodedata.combining(char)))


def _channels(size: Any) -> int:
    if isinstance(size, bool) or not isinstance(size, int) or not 0 < size < 2**20:
        raise ValueError(f"a norm of {size!r} channels")
    return size


def shipped_network() -> NetworkFolder:
    """Return the network that ships in the wheel.

    Raises:
        InputError: this installation has none.
    """
    if not (_SHIPPED / "network.json").is_file():
        raise InputError(
            "this installation ships no network: name a network folder (--network DIR, or network=DIR), "
            "or install stylenorm from its wheel"
        )
    return NetworkFolder.open(_SHIPPED)

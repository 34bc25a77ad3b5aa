"""Chance without state: what is drawn for a picture depends on the seed and the picture's key alone.

So no order, worker, shard or restart changes it, and nothing has to be shared or remembered.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from stylenorm.errors import InputError
from stylenorm.media import find_pictures
from stylenorm.zoo import NetworkFolder

__all__ = ["RandomStyles", "Shard", "StrengthRange", "drawn_number", "parse_random_styles"]

RANDOM = "random"


def drawn_number(seed: int, what: str, key: str, index: int = 0) -> float:
    """Return a number from 0 (included) to 1 (excluded), evenly spread: a hash of its arguments.

    It is the first 8 bytes of SHA-256 of ``seed, what, key, index``, with zeros between them, over 2^64. The
    key is taken in Unicode's composed form, so that a Mac's spelling of accents draws the same.
    """
    text = "\0".join((str(seed), what, unicodedata.normalize("NFC", key), str(index)))
    word = int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()[:8], "big")
    return float(word >> 11) * 2.0**-53  # what a float holds exactly


@dataclass(frozen=True)
class RandomStyles:
    """Draws each picture's styles; a `stylenorm.media.StyleDraw`.

    Attributes:
        names: what is drawn from: names, style files, pictures.
        seed: another seed draws others.
        per_picture: how many different styles each picture gets. The first of them are those of fewer.

    Raises:
        InputError: there are no styles, or fewer than each picture is to get.

    Example:
        >>> RandomStyles(("scream", "great-wave"), seed=7).styles("cats/1.jpg")
        ('scream',)
    """

    names: tuple[str, ...]
    seed: int = 0
    per_picture: int = 1

    def __post_init__(self) -> None:
        if self.per_picture < 1 or self.per_picture > len(self.names):
            raise InputError(
                f"styles per picture: expected 1 to {len(self.names)}, as many as there are to draw from, "
                f"got {self.per_picture}"
            )

    def styles(self, key: str) -> tuple[str, ...]:
        """Return the styles of the picture of that key, no style twice."""
        count = len(self.names)
        chosen: dict[int, None] = {}
        index = 0
        while len(chosen) < self.per_picture:  # drawn again where it was drawn already
            chosen[int(drawn_number(self.seed, "style", key, index) * count)] = None
            index += 1
        return tuple(self.names[i] for i in chosen)


@dataclass(frozen=True)
class StrengthRange:
    """Draws each painting's strength, evenly from a range, to four decimals.

    Attributes:
        low: the smallest, from 0.
        high: the largest, to 1.
        seed: another seed draws others.
    """

    low: float
    high: float
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.low <= self.high <= 1:
            raise InputError(f"strength: expected a range within 0 to 1, got {self.low:g}..{self.high:g}")

    def strength(self, key: str, style: str) -> float:
        """Return the strength of a picture in one of its styles."""
        if self.low == self.high:
            return self.low
        share = drawn_number(self.seed, "strength", f"{key}\0{Path(style).name}")
        return min(self.high, max(self.low, round(self.low + share * (self.high - self.low), 4)))


@dataclass(frozen=True)
class Shard:
    """One of several equal parts of a batch, for machines that know nothing of each other.

    Attributes:
        index: which part, from 1.
        count: how many parts there are.

    Raises:
        InputError: there is no such part.

    Example:
        >>> parts = [Shard(i, 3) for i in (1, 2, 3)]
        >>> [part.index for part in parts if part.has("cats/1.jpg")]
        [1]
    """

    index: int
    count: int

    def __post_init__(self) -> None:
        if not 1 <= self.index <= self.count:
            raise InputError(
                f"shard: expected i/n with i from 1 to n, got {self.index}/{self.count}"
                + ("; parts are counted from 1" if self.index == 0 else "")
            )

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Return the shard that ``"3/64"`` names.

        Raises:
            InputError: it names none.
        """
        index, slash, count = text.partition("/")
        if not (slash and index.strip().isdecimal() and count.strip().isdecimal()):
            raise InputError(f"shard: expected i/n, as 3/64, got {text!r}")
        return cls(int(index), int(count))

    def has(self, key: str) -> bool:
        """Say whether the picture of that key belongs to this part. The seed has no say in it."""
        return int(drawn_number(0, "shard", key) * self.count) == self.index - 1


def parse_random_styles(text: str, network: NetworkFolder) -> tuple[str, ...] | None:
    """Return what ``random`` or ``random:WHAT`` draws from; None if the text says neither.

    ``random`` alone is every style of the network; ``random:paintings/`` the pictures and style files of a
    folder and its sub-folders, in the order of their names; ``random:scream,great-wave`` those of a list.

    Raises:
        InputError: there is nothing to draw from.
        PictureError: the folder cannot be listed.
    """
    word, colon, what = text.partition(":")
    if word.strip().casefold() != RANDOM:
        return None
    if not colon:
        names: Sequence[str] = network.style_names()
        where = f"{network.path} has no styles"
    elif what and Path(what).is_dir():
        folder = Path(what)
        files = {*find_pictures(folder), *folder.rglob("*.safetensors")}
        names = [str(path) for path in sorted(files, key=lambda path: _order(path, folder))]
        where = f"{what} holds no pictures and no style files"
    else:
        names = [part.strip() for part in what.split(",") if part.strip()]
        where = "no folder and no list of styles follows the colon"
    if not names:
        raise InputError(f"style {text!r}: expected something to draw from, but {where}")
    return tuple(dict.fromkeys(names))


def _order(path: Path, folder: Path) -> str:
    return unicodedata.normalize("NFC", path.relative_to(folder).as_posix())

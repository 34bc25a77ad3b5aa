"""The two values that everything else is built around: what a norm takes out, and what is put back.

`Statistics` is what instance norm takes out of a picture: of each norm layer the count, the mean and the
centred second moment of each channel. `Style` is what is put back: of each norm layer gamma and beta.
Both are plain numpy, saved as safetensors files of a few kB.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stylenorm.errors import InputError, ShapeError, StyleMismatchError, UnknownNameError
from stylenorm.style_files import read_safetensors, read_small_file

__all__ = ["Statistics", "Style", "read_small_file"]

_STYLE_FORMAT = "stylenorm-style-1"
_STATISTICS_FORMAT = "stylenorm-statistics-1"
_WEIGHT_TOLERANCE = 1e-3

FloatArray = NDArray[np.float32]
DoubleArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class Style:
    """Gamma and beta of every norm of one stylizer network, and who painted it.

    Styles of one network form a vector space: ``0.6 * a + 0.4 * b`` is a mixture, and a mixture with the
    network's identity style weakens (`weaken`). ``weight`` keeps the sum of the factors, so that a mixture
    that does not add up to one is found before it paints something grey.

    Attributes:
        gammas: one array (C,) a norm, float32.
        betas: likewise.
        photo_gate: how much of the photo goes straight to the output: 0 for a painting, 1 for the identity.
        name: kebab-case, unique among the styles of a network.
        artist, title, year, licence: of the painting; empty if unknown.
        network: identity of the network that the style belongs to (`stylenorm.export.network_identity`).
        record: how it was trained: command, seed, data, steps.
        weight: sum of the factors of a mixture; 1 for a style that can be painted with.
    """

    gammas: tuple[FloatArray, ...]
    betas: tuple[FloatArray, ...]
    photo_gate: float = 0.0
    name: str = ""
    artist: str = ""
    title: str = ""
    year: str = ""
    licence: str = ""
    network: str = ""
    record: Mapping[str, str] = field(default_factory=dict)
    weight: float = 1.0

    def __post_init__(self) -> None:
        if len(self.gammas) != len(self.betas):
            raise ShapeError(
                f"style: expected a beta for each gamma, got {len(self.gammas)} and {len(self.betas)}"
            )
        for i, (gamma, beta) in enumerate(zip(self.gammas, self.betas, strict=True)):
            if gamma.ndim != 1 or gamma.shape != beta.shape:
                raise ShapeError(
                    f"style: norm {i}: expected gamma and beta (C,), got {gamma.shape}, {beta.shape}"
                )

    def __repr__(self) -> str:
        about = ", ".join(text for text in (self.artist, self.title, self.year) if text)
        weight = "" if self.weight == 1 else f", weight {self.weight:g}"
        return f"<Style {self.name!r}{f' ({about})' if about else ''}, {len(self.gammas)} norms{weight}>"

    @property
    def sizes(self) -> tuple[int, ...]:
        """Channels of each norm."""
        return tuple(len(gamma) for gamma in self.gammas)

    def vector(self) -> FloatArray:
        """Return the network's style input: gamma and beta of each norm in turn, then the photo gate; (L,).

        Raises:
            InputError: the weights of a mixture do not add up to 1.
        """
        if abs(self.weight - 1) > _WEIGHT_TOLERANCE:
            raise InputError(
                f"style {self.name!r}: the weights of a mixture must add up to 1, got {self.weight:g}; "
                "call .normalized()"
            )
        parts = [array for pair in zip(self.gammas, self.betas, strict=True) for array in pair]
        return np.concatenate([*parts, np.array([self.photo_gate])]).astype(np.float32)

    @classmethod
    def from_vector(
        cls,
        vector: FloatArray,
        sizes: Sequence[int],
        *,
        record: Mapping[str, str] | None = None,
        **about: str,
    ) -> Style:
        """Build a style from a network's style input; ``about`` are the text fields of the class.

        Raises:
            ShapeError: the vector's length does not fit the norms' sizes.
            UnknownNameError: ``about`` has a field that a style has not.
        """
        for name in about:
            if name not in _TEXT_FIELDS:
                raise UnknownNameError("field of a style", name, _TEXT_FIELDS)
        vector = np.asarray(vector, dtype=np.float32)
        if vector.shape != (2 * sum(sizes) + 1,):
            raise ShapeError(f"style vector: expected ({2 * sum(sizes) + 1},), got {vector.shape}")
        ends = np.cumsum([size for channels in sizes for size in (channels, channels)])
        *parts, gate = np.split(vector, ends)
        style = cls(tuple(parts[0::2]), tuple(parts[1::2]), photo_gate=float(gate[0]), record=record or {})
        return dataclasses.replace(style, **about)  # type: ignore[arg-type]  # texts, as checked above

    def normalized(self) -> Style:
        """Return the mixture divided by the sum of its weights.

        Raises:
            InputError: they add up to nothing.
        """
        if abs(self.weight) < _WEIGHT_TOLERANCE:
            raise InputError(
                f"style {self.name!r}: the weights of a mixture add up to {self.weight:g}; expected more"
            )
        return (
            self
            if self.weight == 1
            else dataclasses.replace(self * (1 / self.weight), name=self.name, weight=1.0)
        )

    def weaken(self, strength: float, identity: Style) -> Style:
        """Mix with the network's identity style: 1 leaves the style as it is, 0 gives the photo back.

        Raises:
            InputError: ``strength`` is not in 0..1.
            StyleMismatchError: the two belong to different networks.
        """
        if not 0 <= strength <= 1:
            raise InputError(f"strength: expected 0 (the photo) to 1 (the painting), got {strength:g}")
        if strength == 1:
            return self
        return dataclasses.replace(
            self * strength + identity * (1 - strength), name=f"{self.name}:{strength:g}"
        )

    def check_network(self, network: str, sizes: Sequence[int]) -> None:
        """Refuse a style that belongs to another network.

        Raises:
            StyleMismatchError: as said.
        """
        if self.network != network or self.sizes != tuple(sizes):
            raise StyleMismatchError(
                f"style {self.name!r} belongs to network {self.network or 'unknown'} "
                f"({len(self.sizes)} norms), expected {network} ({len(sizes)} norms): "
                "use a style made for this network"
            )

    def __add__(self, other: Style) -> Style:
        if not isinstance(other, Style):
            return NotImplemented
        other.check_network(self.network, self.sizes)
        return Style(
            tuple(a + b for a, b in zip(self.gammas, other.gammas, strict=True)),
            tuple(a + b for a, b in zip(self.betas, other.betas, strict=True)),
            photo_gate=self.photo_gate + other.photo_gate,
            name=f"{self.name}+{other.name}",
            licence=self.licence if self.licence == other.licence else "",
            network=self.network,
            weight=self.weight + other.weight,
        )

    def __mul__(self, factor: float) -> Style:
        if not isinstance(factor, (int, float)) or not np.isfinite(factor):
            return NotImplemented
        return dataclasses.replace(
            self,
            gammas=tuple(np.float32(factor) * gamma for gamma in self.gammas),
            betas=tuple(np.float32(factor) * beta for beta in self.betas),
            photo_gate=factor * self.photo_gate,
            name=f"{self.name}:{factor:g}",
            weight=factor * self.weight,
        )

    __rmul__ = __mul__

    def to_bytes(self) -> bytes:
        """Return the content of a style file (safetensors, with the text fields as its metadata)."""
        from safetensors.numpy import save

        tensors = {f"gamma.{i:02d}": gamma for i, gamma in enumerate(self.gammas)}
        tensors |= {f"beta.{i:02d}": beta for i, beta in enumerate(self.betas)}
        tensors["photo_gate"] = np.array([self.photo_gate], dtype=np.float32)
        metadata = {name: getattr(self, name) for name in _TEXT_FIELDS}
        metadata |= {"format": _STYLE_FORMAT, "record": json.dumps(dict(self.record), sort_keys=True)}
        return save({k: np.ascontiguousarray(v, dtype=np.float32) for k, v in tensors.items()}, metadata)

    @classmethod
    def load(cls, path: str | Path) -> Style:
        """Read a style file.

        Raises:
            InputError: the file cannot be read, or is not a style.
        """
        tensors, metadata = read_safetensors(Path(path), _STYLE_FORMAT, "style")
        count = sum(key.startswith("gamma.") for key in tensors)
        try:
            (gate,) = tensors["photo_gate"].astype(np.float64)
            style = cls(
                tuple(tensors[f"gamma.{i:02d}"].astype(np.float32) for i in range(count)),
                tuple(tensors[f"beta.{i:02d}"].astype(np.float32) for i in range(count)),
                photo_gate=float(gate),
                record=_record(metadata.get("record", "{}")),
            )
            texts: dict[str, Any] = {name: metadata.get(name, "") for name in _TEXT_FIELDS}
            return dataclasses.replace(style, **texts)
        except KeyError as error:
            raise InputError(f"{path}: expected a whole style, but tensor {error} is missing") from error
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            raise InputError(f"{path}: expected a style, got one that is broken: {error}") from error


def _record(text: str) -> dict[str, str]:
    return {str(name): str(value) for name, value in json.loads(text).items()}


_TEXT_FIELDS = ("name", "artist", "title", "year", "licence", "network")


@dataclass(frozen=True, eq=False, repr=False)
class Statistics:
    r"""What instance norm takes out: of each norm layer each channel's count, mean and second moment.

    ``m2`` is the centred one, :math:`\sum (x - \bar x)^2`, so that statistics of parts merge exactly into
    those of the whole (Chan, Golub, LeVeque, "Updating Formulae and a Pairwise Algorithm for Computing Sample
    Variances", 1979).

    Attributes:
        counts: positions seen by each norm.
        means: one array (C,) a norm, float64.
        m2s: likewise.

    Example:
        >>> left, right = np.arange(6.0).reshape(1, 2, 3), np.full((1, 1, 3), 9.0)
        >>> merged = Statistics.measure([left]).merge(Statistics.measure([right]))
        >>> merged.counts, merged.means[0], merged.variances()[0]
        ((9,), array([4.66666667]), array([11.33333333]))
    """

    counts: tuple[int, ...]
    means: tuple[DoubleArray, ...]
    m2s: tuple[DoubleArray, ...]

    def __post_init__(self) -> None:
        if not len(self.counts) == len(self.means) == len(self.m2s):
            raise ShapeError(
                "statistics: expected as many counts as means and m2s, "
                f"got {len(self.counts)}, {len(self.means)}, {len(self.m2s)}"
            )

    def __repr__(self) -> str:
        return f"<Statistics of {len(self.counts)} norms, counts {self.counts}>"

    @classmethod
    def measure(cls, features: Sequence[NDArray[np.floating]]) -> Statistics:
        """Measure one picture's features, (C, ...spatial) a norm layer."""
        flats = [np.asarray(f, dtype=np.float64).reshape(len(f), -1) for f in features]
        means = [flat.mean(axis=1) for flat in flats]
        m2s = [((flat - mean[:, None]) ** 2).sum(axis=1) for flat, mean in zip(flats, means, strict=True)]
        return cls(tuple(flat.shape[1] for flat in flats), tuple(means), tuple(m2s))

    def merge(self, other: Statistics) -> Statistics:
        """Return the statistics of both parts together, exactly (up to float64 rounding).

        Raises:
            ShapeError: the two were measured on different networks.
        """
        if [m.shape for m in self.means] != [m.shape for m in other.means]:
            raise ShapeError(
                "statistics: expected those of the same norms, "
                f"got sizes {[len(m) for m in self.means]} and {[len(m) for m in other.means]}"
            )
        counts, means, m2s = [], [], []
        for n_a, mean_a, m2_a, n_b, mean_b, m2_b in zip(
            self.counts, self.means, self.m2s, other.counts, other.means, other.m2s, strict=True
        ):
            n, delta = n_a + n_b, mean_b - mean_a
            share = n_b / n if n else 0.0
            counts.append(n)
            means.append(mean_a + delta * share)
            m2s.append(m2_a + m2_b + delta**2 * (n_a * share))
        return Statistics(tuple(counts), tuple(means), tuple(m2s))

    def variances(self, *, correction: int = 0) -> tuple[DoubleArray, ...]:
        """Return the variance of each channel, biased by default (divided by count - ``correction``)."""
        return tuple(m2 / max(n - correction, 1) for n, m2 in zip(self.counts, self.m2s, strict=True))

    def freeze(self, style: Style, *, eps: float = 1e-5) -> tuple[tuple[FloatArray, FloatArray], ...]:
        """Return (scale, shift) of each norm: ``x * scale + shift`` is the norm with these statistics.

        Raises:
            ShapeError: the style has other norms.
        """
        if style.sizes != tuple(len(m) for m in self.means):
            raise ShapeError(
                f"style: expected norms of {[len(m) for m in self.means]}, got {list(style.sizes)}"
            )
        frozen = []
        for mean, variance, gamma, beta in zip(
            self.means, self.variances(), style.gammas, style.betas, strict=True
        ):
            scale = gamma / np.sqrt(variance + eps)
            frozen.append((scale.astype(np.float32), (beta - mean * scale).astype(np.float32)))
        return tuple(frozen)

    def to_bytes(self) -> bytes:
        """Return the content of a statistics file (safetensors)."""
        from safetensors.numpy import save

        tensors = {f"mean.{i:02d}": mean for i, mean in enumerate(self.means)}
        tensors |= {f"m2.{i:02d}": m2 for i, m2 in enumerate(self.m2s)}
        tensors["counts"] = np.array(self.counts, dtype=np.int64)
        return save(tensors, {"format": _STATISTICS_FORMAT})

    @classmethod
    def load(cls, path: str | Path) -> Statistics:
        """Read a statistics file.

        Raises:
            InputError: the file cannot be read, or holds no statistics.
        """
        tensors, _ = read_safetensors(Path(path), _STATISTICS_FORMAT, "statistics")
        try:
            counts = tuple(int(n) for n in tensors["counts"])
            means = tuple(tensors[f"mean.{i:02d}"] for i in range(len(counts)))
            m2s = tuple(tensors[f"m2.{i:02d}"] for i in range(len(counts)))
        except KeyError as error:
            raise InputError(f"{path}: expected whole statistics, but tensor {error} is missing") from error
        except (ValueError, TypeError) as error:
            raise InputError(f"{path}: expected statistics, got some that are broken: {error}") from error
        for count, mean, m2 in zip(counts, means, m2s, strict=True):
            if count < 1 or mean.ndim != 1 or mean.shape != m2.shape or (m2 < 0).any():
                raise InputError(f"{path}: expected counts from 1, and means and m2s (C,) from 0, got others")
        return cls(counts, means, m2s)

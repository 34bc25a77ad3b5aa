"""Picture in, picture out: the interface that most users need.

>>> import numpy as np
>>> from stylenorm import Stylizer
>>> stylizer = Stylizer("starry-night", engine="fake", noise=0)  # the fake paints the negative
>>> int(stylizer(np.zeros((4, 6, 3), np.uint8)).max())
255
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from stylenorm.closing import Closing
from stylenorm.colors import ColorMethod
from stylenorm.engines import DEFAULT_ENGINE, Engine, open_engine
from stylenorm.errors import InputError
from stylenorm.graphs import Plan, cut_graph, frozen_vector
from stylenorm.models.images import (
    batch_of,
    check_image,
    check_strength,
    color_method,
    paint_pillow,
    paint_whole,
    plain_image,
    visible,
)
from stylenorm.models.predictor import style_for
from stylenorm.noise import checked_noise
from stylenorm.style import Statistics, Style
from stylenorm.tiles import (
    Layout,
    Tiling,
    Workspace,
    carry_detail,
    check_stroke_size,
    paint_array,
    shrunk,
)
from stylenorm.timing import timed
from stylenorm.zoo import IDENTITY, NetworkFolder, shipped_network

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["Stylizer"]

FloatArray = NDArray[np.float32]
_FITS_ANYWHERE_PIXELS = 4_000_000  # smaller images are painted whole without asking what is free
ImageT = TypeVar("ImageT", NDArray[Any], "Image")


class Stylizer(Closing):
    """Paints images in one style.

    Args:
        style: a name (``"scream"``), the path of a style file, a mixture as text
            (``"scream:0.6,great-wave:0.4"``), a picture whose style is predicted (``"painting.jpg"``), or a
            `Style` (so also ``0.6 * a + 0.4 * b``).
        network: a network folder, or None for the network that ships.
        engine: ``"auto"``, one of `stylenorm.engines.ENGINES`, or an engine that is open already.
        precision: ``"auto"``, ``"f32"`` or ``"bf16"``; see `stylenorm.engines.open_engine`.
        threads: how many to compute with; None for all cores.
        tiling: when images are painted in tiles; by default those that do not fit into memory whole. The
            result is the same, but for rounding.
        noise: standard deviation of the noise that images get before they are painted, from which motifs
            begin where an image is flat (`stylenorm.noise`), of a range of 0..1. None for the amount that the
            network was trained with; with another network than one so trained it does harm.

    Raises:
        UnknownNameError: no such style, engine or precision.
        StyleMismatchError: the style belongs to another network.
        InputError: network or style cannot be read, or the network's weights are not those of its identity;
            or ``noise`` is not in 0..1.
        MissingExtraError: the engine's backend is not installed.

    Example:
        >>> image = np.full((4, 6, 3), 100, np.uint8)
        >>> painted = Stylizer("starry-night:0.6,great-wave:0.4")(image, strength=0.7)
        >>> painted.shape, painted.dtype
        ((4, 6, 3), dtype('uint8'))
    """

    def __init__(
        self,
        style: str | Path | Style,
        *,
        network: str | Path | NetworkFolder | None = None,
        engine: str | Engine = DEFAULT_ENGINE,
        precision: str = "auto",
        threads: int | None = None,
        tiling: Tiling | None = None,
        noise: float | None = None,
    ) -> None:
        self.tiling = tiling or Tiling()
        if network is None:
            self.network = shipped_network()
        else:
            self.network = network if isinstance(network, NetworkFolder) else NetworkFolder.open(network)
        with timed("load"):
            self.network.check_weights()
            self.style = style_for(style, self.network)
        self.statistics: Statistics | None = None
        self.noise = self.network.noise if noise is None else checked_noise(noise)
        self._asked = (precision, threads)
        with timed("load"):
            self.engine = engine if isinstance(engine, Engine) else self._open(engine)
        self._measuring_engine = self.engine

    def with_style(self, style: str | Path | Style) -> Stylizer:
        """Return a stylizer for another style, which shares network and engine with this one.

        It measures each image, also if this one is frozen: statistics belong to a style.
        """
        other = self.__copy__()
        other.statistics, other.engine = None, self._measuring_engine
        with timed("load"):
            other.style = style_for(style, self.network)
        return other

    def with_noise(self, noise: float) -> Stylizer:
        """Return a stylizer that adds another amount of noise, which shares all else with this one.

        Films are painted without: noise that stands still holds motifs in place while what they are on moves.

        Args:
            noise: as of the class.

        Raises:
            InputError: it is not in 0..1.
        """
        other = self.__copy__()
        other.noise = checked_noise(noise)
        return other

    def measure(self, images: Sequence[NDArray[Any]], strength: float = 1.0) -> Statistics:
        """Measure what the norms take out of images when they are painted in this style.

        Statistics of several images (frames of a shot, tiles of a big picture) are joint, as if they were one
        picture. Deep layers see what shallow ones painted, so statistics belong to a style and a strength.

        Args:
            images: arrays (H, W, 3 or 4) of one size, each as in `__call__`.
            strength: as in `__call__`.

        Raises:
            ShapeError: no images, images of different sizes, or arrays of another shape or type.
            InputError: ``strength`` is not in 0..1, or a float image goes beyond 0..1.
            MemoryError: the images do not fit into memory together.
        """
        check_strength(strength)
        style = self._weakened(strength)
        return self._measuring_engine.measure(batch_of(images, self._amplitude(style)), style.vector())

    def freeze(self, statistics: Statistics) -> Stylizer:
        """Return a stylizer whose norms use these statistics instead of measuring each image.

        It paints all images alike: frames do not flicker, and a part of a picture is painted as in the whole
        (except near the edge of the part). Network, engine and style are shared with this stylizer.

        Raises:
            ShapeError: the statistics were measured on another network.

        Example:
            >>> frames = [np.full((4, 6, 3), level, np.uint8) for level in (100, 110)]
            >>> stylizer = Stylizer("scream")
            >>> steady = stylizer.freeze(stylizer.measure(frames))
            >>> steady(frames[0]).shape
            (4, 6, 3)
        """
        other = self.__copy__()
        statistics.freeze(self.style)  # of another network: fails here, not at the first picture
        other.statistics, other.engine = statistics, self._measuring_engine.frozen()
        return other

    def __call__(
        self,
        image: ImageT,
        strength: float = 1.0,
        keep_colors: bool | str = False,
        *,
        stroke_size: float = 1.0,
        progress: Callable[[float], None] = lambda _: None,
    ) -> ImageT:
        """Paint an image.

        Args:
            image: one of

                - uint8 or uint16 (H, W, 3) or (H, W, 4), sRGB, full range, straight alpha, of any byte order;
                - float16, float32 or float64 of the same shapes, sRGB, 0..1;
                - (H, W) or (H, W, 1) of these types: grey, whose painting is (H, W, 3);
                - a Pillow image of any mode; an embedded profile is converted to sRGB, and the EXIF
                  orientation applied.
            strength: 0 gives the photo back, exactly; 1 is the painting; between, the style is mixed with
                the network's identity style.
            keep_colors: take only the painting's light and dark, and the photo's colours (see
                `stylenorm.colors.keep_luminance`); or the name of another of `COLOR_METHODS` there.
            stroke_size: how much wider strokes are than the network's own: the image is painted at 1 / this
                of its size, enlarged, and given its own detail back (`stylenorm.tiles.carry_detail`).
            progress: is told the pixels that were done, where the image is painted in tiles.

        Returns:
            The same kind as ``image``: an array of its shape (but for grey) and type, or a Pillow image, RGB
            or RGBA. Alpha is the image's. The image is not changed.

        Raises:
            ShapeError: an array of another shape or type.
            InputError: ``strength`` is not in 0..1, ``stroke_size`` is less than 1, or a float image goes
                beyond 0..1.
            UnknownNameError: no such way of keeping colours.
            PictureError: a Pillow image that cannot be decoded.
            MemoryError: the image does not fit into memory.
        """
        if not isinstance(image, np.ndarray):
            return paint_pillow(
                image, lambda pixels: self(pixels, strength, keep_colors, stroke_size=stroke_size)
            )
        if (plain := plain_image(image)) is not image:
            painting = self(plain, strength, keep_colors, stroke_size=stroke_size, progress=progress)
            return painting.astype(image.dtype)
        check_image(image)
        check_strength(strength)
        method = color_method(keep_colors)
        if strength == 0 or self.style.photo_gate == 1:
            return image.copy()
        alpha = image[..., 3:]
        check_stroke_size(stroke_size)
        if stroke_size > 1 or self.layout(*image.shape[:2]).tile:
            out = np.empty_like(image)
            out[..., 3:] = alpha
            if stroke_size > 1:
                self.paint_strokes(visible(image), out, strength, keep_colors, stroke_size, progress)
            else:
                self.paint_tiles(image, out, strength, keep_colors, progress=progress)
            return out
        painting = self._paint(visible(image), alpha, strength, method)
        return np.concatenate((painting, alpha), axis=2) if alpha.size else painting

    def layout(self, height: int, width: int) -> Layout:
        """Return how an image of this size would be painted: whole, or in which tiles.

        Raises:
            InputError: tiles were asked for, and the network cannot be cut into stages.
        """
        whole = Layout(0, on_disk=False)
        if self.tiling.tile == "off" or not self._measuring_engine.runs_graphs:
            return whole
        if self.tiling.tile != "auto":
            return self.tiling.layout(self._plan(), height, width)
        if self.tiling.memory_bytes is None and height * width < _FITS_ANYWHERE_PIXELS:
            return whole
        try:
            return self.tiling.layout(self._plan(), height, width)
        except InputError:  # a network that knows no tiles is painted whole, as long as nobody asked
            return whole

    def paint_tiles(
        self,
        image: NDArray[Any],
        out: NDArray[Any],
        strength: float = 1.0,
        keep_colors: bool | str = False,
        *,
        workspace: Workspace | None = None,
        progress: Callable[[float], None] = lambda _: None,
    ) -> None:
        """Paint an image in tiles, array to array; both may be mapped from files.

        Args:
            image: an array as in `__call__`. Where it has alpha, what is hidden is filled in memory.
            out: of the same shape and type; its colours are written, alpha is left as it is.
            strength: as in `__call__`.
            keep_colors: as in `__call__`.
            workspace: keeps feature maps; `stylenorm.tiles.DiskWorkspace` can be gone on with after a kill.
            progress: is told the pixels that were done; their sum is the image's.

        Raises:
            ShapeError, InputError, UnknownNameError: as in `__call__`.
            InputError: the network cannot be cut into stages, or the engine runs no graphs.
            OutputError: the workspace's disk is full.
            MemoryError: a tile does not fit into memory.
        """
        check_strength(strength)
        style = self._weakened(strength)
        paint_array(
            self._measuring_engine,
            self._plan(),
            visible(image),
            out,
            style,
            alpha=image[..., 3] if image.shape[2] > 3 else None,
            tiling=self.tiling,
            statistics=self.statistics,
            method=color_method(keep_colors),
            workspace=workspace,
            noise=self._amplitude(style),
            progress=progress,
        )

    def paint_strokes(
        self,
        image: NDArray[Any],
        out: NDArray[Any],
        strength: float,
        keep_colors: bool | str,
        stroke_size: float,
        progress: Callable[[float], None] = lambda _: None,
    ) -> None:
        """Paint an image small, and enlarge it with the image's own detail, array to array.

        Args:
            image: an array (H, W, 3) as in `__call__`; may be mapped from a file.
            out: of the same type, (H, W, 3 or more); its colours are written.
            strength: as in `__call__`.
            keep_colors: as in `__call__`.
            stroke_size: as in `__call__`.
            progress: is told the pixels that were done; their sum is the image's.
        """
        small = shrunk(image, stroke_size)
        painting = self(small, strength, keep_colors)
        carry_detail(image, small, painting.clip(0, 1), out)
        progress(image.shape[0] * image.shape[1])

    def __copy__(self) -> Stylizer:
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        return other

    def __getstate__(self) -> dict[str, Any]:
        """What a pickle holds: settings, style and statistics; the engine is opened anew from the network."""
        state = {**self.__dict__, "engine": self._measuring_engine.name}
        del state["_measuring_engine"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._measuring_engine = self.engine = self._open(state["engine"])
        if self.statistics is not None:
            self.engine = self.engine.frozen()

    def __repr__(self) -> str:
        frozen = ", frozen" if self.statistics is not None else ""
        return f"<Stylizer {self.style.name!r}, network {self.network.identity}, {self.engine.name}{frozen}>"

    def _open(self, engine: str) -> Engine:
        precision, threads = self._asked
        return open_engine(
            engine,
            self.network.graph,
            precision=precision,
            threads=threads,
            load_module=lambda: _load_module(self.network.path),
        )

    def close(self) -> None:
        """Close the engine, also for the stylizers that share it."""
        self._measuring_engine.close()

    def _plan(self) -> Plan:
        path = self.network.graph
        return _plan_of(path, path.stat().st_mtime_ns)

    def _weakened(self, strength: float) -> Style:
        return self.style if strength == 1 else self.style.weaken(strength, self.network.style(IDENTITY))

    def _amplitude(self, style: Style) -> float:
        """How much noise a photo gets: the less, the more of the photo itself is to be seen."""
        return self.noise * (1 - style.photo_gate)

    def _paint(
        self, image: NDArray[Any], alpha: NDArray[Any], strength: float, method: ColorMethod | None
    ) -> NDArray[Any]:
        style = self._weakened(strength)
        vector = style.vector() if self.statistics is None else frozen_vector(self.statistics, style)
        return paint_whole(self.engine, image, alpha, vector, method, noise=self._amplitude(style))


@functools.lru_cache(maxsize=2)
def _plan_of(graph: Path, changed: int) -> Plan:  # noqa: ARG001 (another file is another entry)
    return cut_graph(graph.read_bytes())


def _load_module(folder: Path) -> Any:
    from stylenorm.networks.loading import load_network

    return load_network(folder)

"""Let the painting travel with the scene.

A convolutional network that works on a quarter of the grid does not paint a shifted picture as the shifted
painting: strokes crawl where the camera moves, most visibly where it moves slowly, and no choice of
statistics changes that. So, as Ruder, Dosovitskiy and Brox ("Artistic style transfer for videos", GCPR 2016,
arXiv:1604.08610) start a frame's painting from the warped last one, here the painting of an earlier frame,
the *anchor*, is moved along the film's own motion, and seen wherever the film fits its moved anchor. Where
it does not (what was hidden, another light), the new painting is seen.

What is averaged over paintings that differ loses its strokes: the style loss grows by a half, whatever is
done for the contrast. So nothing is averaged for long:

- The motion is measured from each frame to the anchor itself, beginning with the last frame's motion. So its
  errors do not add up, and each result is interpolated once, not once a frame.
- After some frames, or when too little fits, the result becomes the next anchor.
- With each anchor one of three parts of the picture, in blobs, is renewed: it changes to the new painting
  over a few frames. So no stroke is older than a few anchors.
- What interpolation takes from the finest detail is given back, to the strength that the new painting has.

Differs from the paper: no optimization, motion by dense inverse search (Kroeger et al., ECCV 2016,
arXiv:1603.03590; OpenCV) on few lines, and the check is on the pictures instead of a second flow.
"""

from __future__ import annotations

import importlib.util
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stylenorm.errors import InputError, MissingExtraError

__all__ = ["FlowSmoother", "has_opencv", "import_opencv"]

_FLOW_LINES, _FAST_FLOW_LINES = 360, 160
_MIN_SIDE = 16  # of pictures on which motion can be found
_FITS, _FITS_NOT = 6.0, 18.0  # difference of levels, in the mean over a small square
_SQUARE_PX = 5
_HALO, _REACH = (
    (6.0,),
    1 / 24,
)  # levels by which a misfit reaches around itself less, and how far, of the lines
_WEIGHTS = np.clip((_FITS_NOT - np.arange(256)) / (_FITS_NOT - _FITS), 0, 1).astype(np.float32)
_PARTS = 3
_LIFE = 16.0  # frames of an anchor for equal weights of past and present
_CHANGE = 12  # frames that a part takes to change, at most
_MISFIT, _EARLIEST = 0.1, 4  # share of the picture that does not fit, and frames, from which an anchor may go
_BLOB_PX, _SOFT = 28, 0.12
_MAX_SHARPENING = 1.5
_LOOKED_AT = 4  # frames from one look at the new painting's detail to the next
_NO_MEMORY = -4  # OpenCV's StsNoMem

Pixels = NDArray[np.uint8]
Weights = NDArray[np.float32]


def has_opencv() -> bool:
    """Say whether OpenCV is installed; imports nothing."""
    return importlib.util.find_spec("cv2") is not None


def import_opencv(purpose: str) -> Any:
    """Import OpenCV.

    Raises:
        MissingExtraError: it is not installed.
    """
    if not has_opencv():
        raise MissingExtraError("opencv-python-headless", "video", purpose)
    import cv2

    return cv2


class FlowSmoother:
    """Call it with each photo and its painting in turn; `reset` it at a cut.

    Args:
        weight: of the past, 0 to 0.9; more is steadier: an anchor lives ``16 w / (1 - w)`` frames.
        fast: coarser motion, for live pictures.

    Raises:
        InputError: the weight is out of range.
        MissingExtraError: OpenCV is not installed.
    """

    def __init__(self, weight: float = 0.6, *, fast: bool = False) -> None:
        if not 0 <= weight <= 0.9:
            raise InputError(f"smooth: expected 0 (off) to 0.9, got {weight:g}")
        self._cv2 = import_opencv("smoothing along the motion")
        preset = self._cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST if fast else self._cv2.DISOPTICAL_FLOW_PRESET_FAST
        self._search = self._cv2.DISOpticalFlow_create(preset)
        self._lines = _FAST_FLOW_LINES if fast else _FLOW_LINES
        self._reach = np.ones((round(self._lines * _REACH) | 1,) * 2, np.uint8)
        self._life = round(_LIFE * weight / (1 - weight))
        self._change = min(self._life, _CHANGE)
        self._part = 0
        self._parts: list[Weights] = []
        self._grids: dict[tuple[int, int], Weights] = {}
        self._flow: Weights | None = None
        self.reset()

    def reset(self) -> None:
        """Forget the past: a cut, or a jump."""
        self._anchor: Pixels | None = None
        self._renewal: Pixels | None = None
        self._detail = 0.0

    def __call__(self, photo: Pixels, painting: Pixels) -> Pixels:
        """Return the steadied painting.

        Args:
            photo: the film's frame, (H, W, 3) uint8.
            painting: what the network made of it, of the same shape.

        Raises:
            MemoryError: the pictures are too large.
        """
        try:
            return self._steadied(photo, painting)
        except self._cv2.error as error:
            if error.code != _NO_MEMORY:
                raise
            height, width = photo.shape[:2]
            raise MemoryError(f"no memory left to smooth {width} x {height} along the motion") from error

    def _steadied(self, photo: Pixels, painting: Pixels) -> Pixels:
        cv2 = self._cv2
        height, width = photo.shape[:2]
        share = min(1.0, self._lines / min(height, width))
        size = (max(round(width * share), 1), max(round(height * share), 1))
        small = photo if share == 1 else cv2.resize(photo, size, interpolation=cv2.INTER_AREA)
        if not self._life or min(size) < _MIN_SIDE:
            return painting
        if self._anchor is None or self._anchor.shape != painting.shape:
            self._parts = _blobs(cv2, height, width)
            self._hold(painting, small, None)
            return painting
        self._age += 1
        if self._renewal is not None and self._age <= self._change:
            new = self._parts[self._part] * np.float32(1 / (self._change - self._age + 1))
            self._anchor = cv2.blendLinear(self._anchor, self._renewal, 1 - new, new)
        grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
        flow: Weights = self._search.calc(grey, self._anchor_grey, self._flow)  # (h, w, 2): to the anchor
        self._flow = flow
        weight = self._fitting(small, flow)
        fits = float(weight.mean())
        if share < 1:
            flow = cv2.resize(flow, (width, height), interpolation=cv2.INTER_LINEAR)
            flow *= np.float32(1 / share)
            weight = cv2.resize(weight, (width, height), interpolation=cv2.INTER_LINEAR)
        places = cv2.add(self._grid(height, width), flow)
        carried = cv2.remap(self._anchor, places, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        carried = self._sharpened(carried, painting)
        result: Pixels = cv2.blendLinear(carried, painting, weight, 1 - weight)
        if self._age >= self._life or (self._age >= _EARLIEST and fits < 1 - _MISFIT):
            self._part = (self._part + 1) % _PARTS
            self._hold(result, small, painting)
        return result

    def _hold(self, anchor: Pixels, small: Pixels, renewal: Pixels | None) -> None:
        """Begin with a new anchor, and the painting that a part of it changes to."""
        self._anchor, self._renewal, self._age = anchor, renewal, 0
        self._anchor_small = small
        self._anchor_grey = self._cv2.cvtColor(small, self._cv2.COLOR_RGB2GRAY)
        self._flow = None

    def _fitting(self, small: Pixels, flow: Weights) -> Weights:
        """Say where the film fits its moved anchor, (h, w), 0..1."""
        cv2 = self._cv2
        height, width = small.shape[:2]
        places = cv2.add(self._grid(height, width), flow)
        moved = cv2.remap(self._anchor_small, places, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        apart = cv2.split(cv2.absdiff(moved, small))
        most = cv2.max(cv2.max(apart[0], apart[1]), apart[2])  # colour alone may differ, too
        misfit = cv2.blur(most, (_SQUARE_PX, _SQUARE_PX))
        # strokes reach beyond what they paint: around what moved off they would stay behind as a ghost
        halo = cv2.subtract(cv2.dilate(misfit, self._reach), _HALO)
        weight = cv2.LUT(cv2.max(misfit, halo), _WEIGHTS)
        inside = cv2.inRange(places, (0, 0), (width - 1, height - 1))
        fitting: Weights = cv2.bitwise_and(weight, weight, mask=inside)
        return fitting

    def _sharpened(self, carried: Pixels, painting: Pixels) -> Pixels:
        """Give the finest detail the strength that it has in the new painting."""
        cv2 = self._cv2
        blurred = cv2.GaussianBlur(carried, (3, 3), 0)
        has = cv2.norm(carried, blurred)
        if self._age % _LOOKED_AT == 1 or not self._detail:
            self._detail = cv2.norm(painting, cv2.GaussianBlur(painting, (3, 3), 0))
        more = min(max(self._detail / max(has, 1.0) - 1, 0.0), _MAX_SHARPENING)
        sharp: Pixels = cv2.addWeighted(carried, 1 + more, blurred, -more, 0)
        return sharp

    def _grid(self, height: int, width: int) -> Weights:
        """Where each pixel is: (H, W, 2), x and y."""
        if (height, width) not in self._grids:
            if len(self._grids) > 1:  # of a film there are two: the frames' and that of the motion
                self._grids.clear()
            y, x = np.mgrid[:height, :width].astype(np.float32)
            self._grids[height, width] = np.stack([x, y], axis=-1)
        return self._grids[height, width]


def _blobs(cv2: Any, height: int, width: int) -> list[Weights]:
    """Weights (H, W) of parts that cover the picture in blobs, soft at their edges."""
    rng = np.random.default_rng(0)
    noise = rng.random((height // _BLOB_PX + 3, width // _BLOB_PX + 3)).astype(np.float32)
    noise = cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)
    levels = np.quantile(noise, np.linspace(0, 1, 257))
    phase = np.interp(noise, levels, np.linspace(0, _PARTS, 257)).astype(np.float32)  # evenly spread
    parts: list[Weights] = []
    for part in range(_PARTS):
        apart = np.abs(phase - np.float32(part + 0.5))
        apart = np.minimum(apart, _PARTS - apart)
        parts.append(np.clip((0.5 - apart) / np.float32(_SOFT) + np.float32(0.5), 0, 1))
    return parts

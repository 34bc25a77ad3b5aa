"""Colours of film frames: YCbCr of any matrix and range to RGB and back, by FFmpeg's swscale.

Films say (or leave out) four things: matrix, range, transfer and primaries. Matrix and range decide which
numbers become which RGB; they are passed on explicitly both ways, since FFmpeg's defaults assume BT.601.
Transfer and primaries say how RGB looks; they are kept as tags. With accurate rounding and full chroma
interpolation swscale is within rounding of the float64 formula (tests/media/test_video_color.py), but for one
direction: to full range it truncates chroma, 0.5 too little on average; there numpy computes.

High dynamic range (PQ and HLG) is brought to BT.709: the networks paint sRGB-like pictures in 8 bits. Diffuse
white (203 cd/m2, ITU-R BT.2408) becomes white, brighter highlights clip.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["FilmColor", "color_of", "frame_from_rgb", "rgb_from_frame"]

# FFmpeg's numbers (AVColorSpace, AVColorRange, AVColorTransferCharacteristic, AVColorPrimaries)
_RGB, _BT709, _UNSPECIFIED, _BT601 = 0, 1, 2, 6
_LIMITED, _FULL = 1, 2
_HDR_TRANSFERS = {16: "PQ", 18: "HLG"}
# luma weights of red and blue by AVColorSpace (ITU-T H.273, table 4)
_LUMA = {1: (0.2126, 0.0722), 4: (0.30, 0.11), 7: (0.212, 0.087), 9: (0.2627, 0.0593), 10: (0.2627, 0.0593)}
_LUMA |= dict.fromkeys((5, _BT601), (0.299, 0.114))
# AVColorSpace to swscale's own numbers
_SWS = {1: 1, 4: 4, 5: 5, 6: 5, 7: 7, 9: 9, 10: 9}
_HD_LINES = 720


@dataclass(frozen=True)
class FilmColor:
    """Matrix, range, transfer and primaries, as FFmpeg numbers them, nothing of which is unknown but tags.

    Args:
        matrix: AVColorSpace: 1 BT.709, 5 and 6 BT.601, 9 BT.2020, ...; what is not said is BT.709 from 720
            lines on, else BT.601, as players assume.
        full_range: 0..255 rather than 16..235.
        transfer: AVColorTransferCharacteristic; 2 is unspecified.
        primaries: AVColorPrimaries; 2 is unspecified.
        rgb: whether the frames are RGB, which has no matrix.
    """

    matrix: int = _BT709
    full_range: bool = False
    transfer: int = _UNSPECIFIED
    primaries: int = _UNSPECIFIED
    rgb: bool = False

    @property
    def hdr(self) -> str:
        """``"PQ"`` or ``"HLG"`` for high dynamic range, else empty."""
        return _HDR_TRANSFERS.get(self.transfer, "")

    @property
    def written(self) -> FilmColor:
        """What a painted film of these colours is tagged with."""
        if self.hdr or self.rgb:
            return FilmColor(_BT709, False, _BT709, _BT709)
        return self


def color_of(frame: Any) -> FilmColor:
    """Read the colours of a decoded frame (``av.VideoFrame``)."""
    name: str = frame.format.name
    rgb = frame.format.is_rgb or name.startswith("pal")
    matrix = int(frame.colorspace)
    if matrix not in _SWS:
        matrix = _BT709 if frame.height >= _HD_LINES else _BT601
    full_range = rgb or int(frame.color_range) == _FULL or name.startswith("yuvj")
    return FilmColor(matrix, full_range, int(frame.color_trc), int(frame.color_primaries), rgb)


def rgb_from_frame(
    frame: Any, color: FilmColor, reformatter: Any, *, width: int | None = None, height: int | None = None
) -> NDArray[np.uint8]:
    """Return a frame's pixels, (H, W, 3) uint8, RGB, full range, as coded (not turned).

    Args:
        frame: ``av.VideoFrame`` of any pixel format.
        color: what `color_of` said of the film.
        reformatter: ``av.video.reformatter.VideoReformatter``, one for each thread.
        width: another width, in pixels.
        height: another height.
    """
    options: dict[str, Any] = {}
    if color.hdr:
        frame.color_trc, frame.color_primaries = color.transfer, color.primaries
        frame.colorspace = color.matrix
        options = {"dst_color_trc": _BT709, "dst_color_primaries": _BT709, "dst_colorspace": _BT709}
    elif not color.rgb:
        options = {"src_colorspace": _SWS[color.matrix], "dst_colorspace": _SWS[color.matrix]}
    converted = reformatter.reformat(
        frame,
        width=width,
        height=height,
        format="rgb24",
        src_color_range=_FULL if color.full_range else _LIMITED,
        dst_color_range=_FULL,
        interpolation=_exact(),
        threads=1,
        **options,
    )
    pixels: NDArray[np.uint8] = converted.to_ndarray()
    return pixels


def frame_from_rgb(pixels: NDArray[np.uint8], color: FilmColor, reformatter: Any) -> Any:
    """Return an ``av.VideoFrame`` to encode, yuv420p, tagged; the inverse of `rgb_from_frame`.

    Args:
        pixels: (H, W, 3) uint8, RGB, full range; H and W even.
        color: what the film is tagged with.
        reformatter: as above; not the one that `rgb_from_frame` uses.
    """
    import av

    if color.full_range:
        frame = av.VideoFrame.from_ndarray(_full_range_planes(pixels, color.matrix), format="yuv420p")
    else:
        frame = reformatter.reformat(
            av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24"),
            format="yuv420p",
            src_colorspace=_SWS[color.matrix],
            dst_colorspace=_SWS[color.matrix],
            src_color_range=_FULL,
            dst_color_range=_LIMITED,
            interpolation=_exact(),
            threads=1,
        )
    frame.colorspace = color.matrix
    frame.color_range = _FULL if color.full_range else _LIMITED
    frame.color_trc, frame.color_primaries = color.transfer, color.primaries
    return frame


def _full_range_planes(pixels: NDArray[np.uint8], matrix: int) -> NDArray[np.uint8]:
    """Y', Cb and Cr below each other, (3 H / 2, W), as PyAV takes them; chroma is the mean of 2 x 2."""
    red, blue = _LUMA[matrix]
    luma = np.array([red, 1 - red - blue, blue])
    to_cb, to_cr = (np.eye(3)[2] - luma) / (2 - 2 * blue), (np.eye(3)[0] - luma) / (2 - 2 * red)
    height, width = pixels.shape[:2]
    y = pixels @ luma.astype(np.float32)
    quarters = pixels.reshape(height // 2, 2, width // 2, 2, 3).mean(axis=(1, 3), dtype=np.float32)
    chroma = quarters @ np.stack([to_cb, to_cr], axis=1).astype(np.float32) + 128  # (H / 2, W / 2, 2)
    planes = np.concatenate([y.ravel(), chroma[..., 0].ravel(), chroma[..., 1].ravel()])
    rounded: NDArray[np.uint8] = np.rint(planes).clip(0, 255).astype(np.uint8)
    return rounded.reshape(height * 3 // 2, width)


def _exact() -> int:
    from av.video.reformatter import Interpolation

    return int(Interpolation.BILINEAR | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT)

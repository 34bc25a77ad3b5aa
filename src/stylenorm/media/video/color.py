"""Colours of film frames: YCbCr of any matrix and range to RGB and back, by FFmpeg's swscale.

Films say (or leave out) four things: matrix, range, transfer and primaries. Matrix and range decide which
numbers become which RGB; they are passed on explicitly both ways, since FFmpeg's defaults assume BT.601.
Transfer and primaries say how RGB looks; they are kept as tags. With accurate rounding and full chroma
interpolation swscale is within rounding of the float64 formula (tests/media/test_video_color.py), but for one
direction: to full range it truncates chroma, 0.5 too little on average; there numpy computes.

Chroma of half the size sits on the left luma pixel of each pair and between rows, as MPEG-2, H.264, VP9 and
their like have it; of the older codecs (MPEG-1, JPEG) between the pixels. It is read so, and written on the
left. swscale alone would take it for centred, half a pixel off; so it runs as a filter, which can be told.

High dynamic range (PQ and HLG) is brought to BT.709: the networks paint sRGB-like pictures in 8 bits. The
light of a display (for HLG: of 1000 cd/m2, system gamma 1.2, ITU-R BT.2100) is divided by that of diffuse
white (203 cd/m2, ITU-R BT.2408), brought to BT.709's primaries, clipped to 0..1, so that brighter highlights
clip, and given the gamma 2.4 of displays (ITU-R BT.1886). swscale's own colour management is far off for
saturated colours (FFmpeg 8.1: up to 200 levels).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["ColorConverter", "FilmColor", "color_of"]

# FFmpeg's numbers (AVColorSpace, AVColorRange, AVColorTransferCharacteristic, AVColorPrimaries)
_RGB, _BT709, _UNSPECIFIED, _BT601 = 0, 1, 2, 6
_LIMITED, _FULL = 1, 2
_PQ = 16
_HDR_TRANSFERS = {_PQ: "PQ", 18: "HLG"}
_WIDE = {_UNSPECIFIED, 9}  # primaries: BT.2020, or not said, which HDR implies
# luma weights of red and blue by AVColorSpace (ITU-T H.273, table 4)
_LUMA = {1: (0.2126, 0.0722), 4: (0.30, 0.11), 7: (0.212, 0.087), 9: (0.2627, 0.0593), 10: (0.2627, 0.0593)}
_LUMA |= dict.fromkeys((5, _BT601), (0.299, 0.114))
# AVColorSpace to the names of FFmpeg's scale filter
_NAMES = {1: "bt709", 4: "fcc", 5: "bt470", 6: "smpte170m", 7: "smpte240m", 9: "bt2020", 10: "bt2020"}
_FLAGS = "flags=bilinear+accurate_rnd+full_chroma_int"
_CENTRED = {"mpeg1video", "mjpeg", "mjpegb", "h261", "theora", "vp3"}  # codecs by their chroma's place
_PRIMARIES = np.array(  # of BT.2020 to those of BT.709 (ITU-R BT.2087, linear light)
    [[1.660491, -0.587641, -0.072850], [-0.124550, 1.132900, -0.008349], [-0.018151, -0.100579, 1.118730]],
    np.float32,
)
_WHITE, _PEAK = 203.0, 1000.0  # cd/m2
_HIGHEST = 255 * 256  # of swscale's 16 bits from limited range; its rgb48 (FFmpeg 8.1) garbles colours
_ROWS_PIXELS = 1_000_000  # converted at a time
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
        centred: whether chroma of half the size lies between pixels, not on the left one.
    """

    matrix: int = _BT709
    full_range: bool = False
    transfer: int = _UNSPECIFIED
    primaries: int = _UNSPECIFIED
    rgb: bool = False
    centred: bool = False

    @property
    def hdr(self) -> str:
        """``"PQ"`` or ``"HLG"`` for high dynamic range, else empty."""
        return _HDR_TRANSFERS.get(self.transfer, "")

    @property
    def written(self) -> FilmColor:
        """What a painted film of these colours is tagged with."""
        if self.hdr or self.rgb:
            return FilmColor(_BT709, False, _BT709, _BT709)
        return replace(self, centred=False)


def color_of(frame: Any, codec: str = "") -> FilmColor:
    """Read the colours of a decoded frame (``av.VideoFrame``); ``codec`` is FFmpeg's name of its codec."""
    name: str = frame.format.name
    rgb = frame.format.is_rgb or name.startswith("pal")
    matrix = int(frame.colorspace)
    if matrix not in _NAMES:
        matrix = _BT709 if frame.height >= _HD_LINES else _BT601
    full_range = rgb or int(frame.color_range) == _FULL or name.startswith("yuvj")
    return FilmColor(
        matrix, full_range, int(frame.color_trc), int(frame.color_primaries), rgb, codec in _CENTRED
    )


class ColorConverter:
    """Converts frames to RGB and back; one for each thread and direction, since it keeps FFmpeg's filters."""

    def __init__(self) -> None:
        self._key: tuple[Any, ...] = ()
        self._filters: tuple[Any, Any, Any] | None = None  # the graph, its source and its sink

    def rgb_from_frame(
        self, frame: Any, color: FilmColor, *, width: int | None = None, height: int | None = None
    ) -> NDArray[np.uint8]:
        """Return a frame's pixels, (H, W, 3) uint8, RGB, full range, as coded (not turned).

        Args:
            frame: ``av.VideoFrame`` of any pixel format.
            color: what `color_of` said of the film.
            width: another width, in pixels.
            height: another height.
        """
        name = _NAMES.get(color.matrix, "bt709")
        matrix = "" if color.rgb else f"in_color_matrix={name}:in_chroma_loc={_place(color)}:"
        size = f"w={width or frame.width}:h={height or frame.height}:"
        ranges = f"in_range={'pc' if color.full_range else 'tv'}:out_range=pc:"
        frame.color_trc = frame.color_primaries = _UNSPECIFIED  # else swscale would manage colours, see above
        deep = "gbrp16le" if color.hdr else "rgb24"
        pixels: NDArray[Any] = self._run(frame, size + matrix + ranges + _FLAGS, deep).to_ndarray()
        return _standard_range(pixels, color) if color.hdr else pixels

    def frame_from_rgb(self, pixels: NDArray[np.uint8], color: FilmColor) -> Any:
        """Return an ``av.VideoFrame`` to encode, yuv420p, tagged; the inverse of `rgb_from_frame`.

        Args:
            pixels: (H, W, 3) uint8, RGB, full range; H and W even.
            color: what the film is tagged with.
        """
        import av

        if color.full_range:
            planes = _full_range_planes(pixels, color.matrix)
            frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
        else:
            options = f"out_color_matrix={_NAMES[color.matrix]}:out_chroma_loc=left:in_range=pc:out_range=tv:"
            source = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
            frame = self._run(source, options + _FLAGS, "yuv420p")
        frame.colorspace = color.matrix
        frame.color_range = _FULL if color.full_range else _LIMITED
        frame.color_trc, frame.color_primaries = color.transfer, color.primaries
        return frame

    def _run(self, frame: Any, scale: str, pixel_format: str) -> Any:
        """Scale and convert a frame by FFmpeg's filters."""
        import av

        key = (frame.width, frame.height, frame.format.name, scale, pixel_format)
        if self._filters is None or self._key != key:
            graph = av.filter.Graph()
            about = f"video_size={frame.width}x{frame.height}:pix_fmt={frame.format.name}"
            steps = [
                graph.add("buffer", f"{about}:time_base=1/25:pixel_aspect=1/1"),
                graph.add("scale", scale),
                graph.add("format", f"pix_fmts={pixel_format}"),
                graph.add("buffersink"),
            ]
            for first, second in pairwise(steps):
                first.link_to(second)
            graph.configure()
            self._filters, self._key = (graph, steps[0], steps[-1]), key
        _, source, sink = self._filters
        frame.pts, frame.time_base = 0, Fraction(1, 25)  # the filters want one; callers know the time
        source.push(frame)
        return sink.pull()


def _place(color: FilmColor) -> str:
    return "center" if color.centred else "left"


def _standard_range(pixels: NDArray[np.uint16], color: FilmColor) -> NDArray[np.uint8]:
    """Bring PQ or HLG, (H, W, 3) uint16, to BT.709, uint8; see the module's docstring."""
    codes = np.arange(65536, dtype=np.float64) / _HIGHEST
    table = ((_pq if color.transfer == _PQ else _hlg_scene)(codes)).astype(np.float32)
    result = np.empty(pixels.shape, np.uint8)
    rows = max(_ROWS_PIXELS // pixels.shape[1], 1)
    for top in range(0, pixels.shape[0], rows):
        light = table[pixels[top : top + rows]]  # (rows, W, 3), 1 is diffuse white; of HLG, the scene's
        if color.transfer != _PQ:
            luma = light @ np.array([0.2627, 0.6780, 0.0593], np.float32)
            light *= (luma ** np.float32(0.2))[..., None] * np.float32(_PEAK / _WHITE)
        shown = light @ _PRIMARIES.T if color.primaries in _WIDE else light
        np.clip(shown, 0, 1, out=shown)
        result[top : top + rows] = np.rint(255 * shown ** np.float32(1 / 2.4)).astype(np.uint8)
    return result


def _pq(codes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Light of SMPTE ST 2084 codes 0..1, over diffuse white's."""
    powers = codes ** (32 / 2523)
    linear = np.maximum(powers - 3424 / 4096, 0) / (2413 / 128 - 2392 / 128 * powers)
    light: NDArray[np.float64] = 10_000 / _WHITE * linear ** (16384 / 2610)
    return light


def _hlg_scene(codes: NDArray[np.float64]) -> NDArray[np.float64]:
    """The scene's light, 0..1, of HLG codes 0..1 (ITU-R BT.2100, table 5)."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.where(codes <= 0.5, codes**2 / 3, (np.exp((codes - c) / a) + b) / 12)


def _full_range_planes(pixels: NDArray[np.uint8], matrix: int) -> NDArray[np.uint8]:
    """Y', Cb and Cr below each other, (3 H / 2, W), as PyAV takes them; chroma sits on the left pixel."""
    red, blue = _LUMA[matrix]
    luma = np.array([red, 1 - red - blue, blue])
    to_cb, to_cr = (np.eye(3)[2] - luma) / (2 - 2 * blue), (np.eye(3)[0] - luma) / (2 - 2 * red)
    height, width = pixels.shape[:2]
    y = pixels @ luma.astype(np.float32)
    pairs = pixels.reshape(height // 2, 2, width, 3).mean(axis=1, dtype=np.float32)  # (H / 2, W, 3)
    left = np.concatenate([pairs[:, :1], pairs[:, 1:-1:2]], axis=1)  # of each even column
    sited = (left + 2 * pairs[:, ::2] + pairs[:, 1::2]) / 4
    chroma = sited @ np.stack([to_cb, to_cr], axis=1).astype(np.float32) + 128  # (H / 2, W / 2, 2)
    planes = np.concatenate([y.ravel(), chroma[..., 0].ravel(), chroma[..., 1].ravel()])
    rounded: NDArray[np.uint8] = np.rint(planes).clip(0, 255).astype(np.uint8)
    return rounded.reshape(height * 3 // 2, width)

"""Tiny films, made by PyAV alone: what the tests read."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from tests.requirements_met import need

# luma weights of red and blue (ITU-R BT.709, BT.601, BT.2020)
LUMA = {1: (0.2126, 0.0722), 6: (0.299, 0.114), 9: (0.2627, 0.0593)}


def ycbcr(rgb: np.ndarray, matrix: int, full_range: bool) -> np.ndarray:
    """The standards' formula in float64: (..., 3) RGB 0..255 to Y', Cb, Cr 0..255."""
    red, blue = LUMA[matrix]
    values = np.asarray(rgb, np.float64) / 255
    y = values @ np.array([red, 1 - red - blue, blue])
    cb, cr = (values[..., 2] - y) / (2 - 2 * blue), (values[..., 0] - y) / (2 - 2 * red)
    if full_range:
        return np.stack([255 * y, 128 + 255 * cb, 128 + 255 * cr], axis=-1)
    return np.stack([16 + 219 * y, 128 + 224 * cb, 128 + 224 * cr], axis=-1)


def rgb(values: np.ndarray, matrix: int, full_range: bool) -> np.ndarray:
    """The inverse of `ycbcr`, unclipped."""
    red, blue = LUMA[matrix]
    y, cb, cr = np.moveaxis(np.asarray(values, np.float64), -1, 0)
    if full_range:
        y, cb, cr = y / 255, (cb - 128) / 255, (cr - 128) / 255
    else:
        y, cb, cr = (y - 16) / 219, (cb - 128) / 224, (cr - 128) / 224
    r, b = y + 2 * (1 - red) * cr, y + 2 * (1 - blue) * cb
    g = (y - red * r - blue * b) / (1 - red - blue)
    return 255 * np.stack([r, g, b], axis=-1)


def planes_of(frame: Any) -> np.ndarray:
    """(H, W, 3) of a 4:2:0 frame, chroma repeated."""
    planes = [
        np.frombuffer(p, np.uint8).reshape(-1, p.line_size)[: p.height, : p.width] for p in frame.planes
    ]
    height, width = planes[0].shape
    chroma = [np.repeat(np.repeat(p, 2, axis=0), 2, axis=1)[:height, :width] for p in planes[1:]]
    return np.stack([planes[0], *chroma], axis=-1)


def frame_of(values: np.ndarray, matrix: int = 6, full_range: bool = False) -> Any:
    """A 4:2:0 frame of (H, W, 3) Y'CbCr numbers; chroma is taken from every second position."""
    av = need("av")
    frame = av.VideoFrame(values.shape[1], values.shape[0], "yuv420p")
    for index, plane in enumerate(frame.planes):
        step = 1 if index == 0 else 2
        padded = np.zeros((plane.height, plane.line_size), np.uint8)
        padded[:, : plane.width] = np.rint(values[::step, ::step, index]).clip(0, 255)
        plane.update(padded.tobytes())
    frame.colorspace, frame.color_range = matrix, 2 if full_range else 1
    return frame


def patches(rows: int = 3, columns: int = 4, side: int = 16) -> np.ndarray:
    """(rows * side, columns * side, 3) RGB: flat squares, among them the corners of the cube."""
    rng = np.random.default_rng(5)
    colors = rng.integers(0, 256, (rows * columns, 3), dtype=np.uint8)
    colors[:8] = [[255 * (i >> bit & 1) for bit in range(3)] for i in range(8)]
    return np.repeat(np.repeat(colors.reshape(rows, columns, 3), side, axis=0), side, axis=1)


def make_film(
    path: Path,
    pictures: Sequence[np.ndarray],
    *,
    times: Sequence[int] | None = None,
    time_base: Fraction = Fraction(1, 600),
    matrix: int = 6,
    full_range: bool = False,
    aspect: Fraction = Fraction(1),
    rotation: int | None = None,
    flip: bool = False,
    codec: str = "libx264",
    options: dict[str, str] | None = None,
    rate: int = 24,
    audio: bool = False,
    subtitles: bool = False,
    metadata: dict[str, str] | None = None,
) -> Path:
    """Encode RGB pictures (H, W, 3), nearly without loss; a beep and two subtitles beside them if wanted."""
    av = need("av")
    times = [25 * i for i in range(len(pictures))] if times is None else times
    with av.open(str(path), "w") as out:
        out.metadata.update(metadata or {})
        stream = out.add_stream(codec, rate=rate, options={"qp": "1"} if options is None else options)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        context = stream.codec_context
        context.time_base = stream.time_base = time_base
        context.sample_aspect_ratio = stream.sample_aspect_ratio = aspect
        context.colorspace, context.color_range = matrix, 2 if full_range else 1
        if rotation is not None:
            stream.set_display_rotation(rotation, hflip=flip)
        sound = out.add_stream("aac", rate=8000, layout="mono") if audio else None
        words = _subtitle_stream(out, path) if subtitles else None
        out.start_encoding()
        end = times[-1] + max(round(1 / (24 * time_base)), 1)
        durations = {a: b - a for a, b in zip(times, [*times[1:], end], strict=True)}

        def mux(packets: list[Any]) -> None:
            for packet in packets:
                packet.duration = durations[packet.pts]
                out.mux(packet)

        for picture, time in zip(pictures, times, strict=True):
            frame = frame_of(ycbcr(picture, matrix, full_range), matrix, full_range)
            frame.pts, frame.time_base = time, time_base
            mux(stream.encode(frame))
        mux(stream.encode(None))
        if sound is not None:
            _beep(out, sound, float(max(times) * time_base) + 0.1)
        if words is not None:
            for start, text in ((0, "first"), (100, "second")):
                packet = av.Packet(text.encode())
                packet.stream, packet.time_base = words, Fraction(1, 1000)
                packet.pts = packet.dts = start
                packet.duration = 80
                out.mux(packet)
    return path


def _subtitle_stream(out: Any, path: Path) -> Any:
    stream = out.add_mux_stream("subrip")
    stream.time_base = Fraction(1, 1000)
    return stream


def _beep(out: Any, stream: Any, seconds: float) -> None:
    av = need("av")
    wave = np.sin(np.arange(int(8000 * seconds)) * 0.3).astype(np.float32)[None]
    for start in range(0, wave.shape[1], 1024):
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(wave[:, start : start + 1024]), format="fltp", layout="mono"
        )
        frame.sample_rate, frame.pts, frame.time_base = 8000, start, Fraction(1, 8000)
        out.mux(stream.encode(frame))
    out.mux(stream.encode(None))


def packets_of(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Of each type of stream the packets: time, decoding time and bytes; of pictures no bytes."""
    av = need("av")
    found: dict[str, list[tuple[Any, ...]]] = {}
    with av.open(str(path)) as film:
        for packet in film.demux():
            if packet.size:
                times = [None if t is None else t * packet.time_base for t in (packet.pts, packet.dts)]
                kind = packet.stream.type
                found.setdefault(kind, []).append((*times, b"" if kind == "video" else bytes(packet)))
    return found


def decoded(path: Path) -> list[Any]:
    """All frames, by PyAV alone."""
    av = need("av")
    with av.open(str(path)) as film:
        return list(film.decode(video=0))

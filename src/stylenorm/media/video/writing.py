"""Write a film: painted frames encoded, the other streams carried over, times kept."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from stylenorm.errors import InputError, OutputError
from stylenorm.media.video.carrying import Carrier, carry
from stylenorm.media.video.color import ColorConverter
from stylenorm.media.video.film import Film, FilmFrame, import_av
from stylenorm.media.video.formats import FilmFormat
from stylenorm.media.video.reading import FilmReader

__all__ = ["FilmWriter", "WritingOptions"]

_HOLDS_ATTACHMENTS = {"matroska"}


@dataclass(frozen=True)
class WritingOptions:
    """How a film is encoded.

    Attributes:
        quality: 1 to 100; 95 is x264's crf 18, which looks like the original, and 75 its default, 23.
        speed: x264's preset: how much time goes into small files.
        strip: write no metadata.
        keep_gps: keep where it was taken.
    """

    quality: int = 95
    speed: str = "medium"
    strip: bool = False
    keep_gps: bool = False


class FilmWriter:
    """An output file that takes frames and packets; `close` finishes it.

    Args:
        file: binary, writable and seekable.
        kind: the container and its codecs.
        reader: the film that is painted; gives the carried streams, the metadata and the times. A film that
            is made of nothing is its description alone.
        options: how it is encoded.
        width, height: of the frames; None for the film's.

    Attributes:
        notes: one line for each thing that could not be kept as it is.
        losses: packets of sound or subtitles that could not be written, by type.

    Raises:
        OutputError: there is no encoder for the container.
    """

    def __init__(
        self,
        file: BinaryIO,
        kind: FilmFormat,
        reader: FilmReader | Film,
        options: WritingOptions | None = None,
        *,
        width: int | None = None,
        height: int | None = None,
    ) -> None:
        options = options or WritingOptions()
        self._av = import_av()
        self._film, self._kind = reader if isinstance(reader, Film) else reader.film, kind
        self._width, self._height = width or self._film.width, height or self._film.height
        self.notes: list[str] = []
        self.losses: Counter[str] = Counter()
        self._offset_s = Fraction(0)
        if isinstance(reader, FilmReader):
            self._offset_s = reader.origin_s + Fraction(reader.start_s).limit_denominator(_SECOND)
        self._container = self._av.open(_Sink(file), "w", format=kind.muxer)
        self._color = self._film.color.written
        self._durations: dict[int, int] = {}
        self._converter = ColorConverter()
        self._stream = self._video_stream(options)
        self._carried: dict[int, Carrier] = {} if isinstance(reader, Film) else self._carry(reader)
        self._last_dts: dict[int, Fraction] = {}
        if not options.strip and not isinstance(reader, Film):
            self._keep_metadata(reader, options.keep_gps)
        self._is_open = True

    def write_frame(self, frame: FilmFrame, pixels: NDArray[np.uint8]) -> None:
        """Encode one frame.

        Args:
            frame: whose time it has.
            pixels: (H, W, 3) uint8, RGB, full range.
        """
        even = np.pad(pixels, ((0, pixels.shape[0] % 2), (0, pixels.shape[1] % 2), (0, 0)), mode="edge")
        encoded = self._converter.frame_from_rgb(even, self._color)
        encoded.pts = frame.pts - round(self._offset_s / self._film.time_base)
        encoded.time_base = self._film.time_base
        encoded.pict_type = 0
        if frame.duration:
            self._durations[encoded.pts] = frame.duration
        self._mux_encoded(self._stream.encode(encoded))

    def write_packet(self, packet: Any) -> None:
        """Write a packet of a carried stream; packets of others are left out, broken ones are counted."""
        carrier = self._carried.get(packet.stream.index)
        if carrier is None:
            return
        if self._offset_s:
            shift = round(self._offset_s / packet.time_base)
            packet.pts = None if packet.pts is None else packet.pts - shift
            packet.dts = None if packet.dts is None else packet.dts - shift
        kind = packet.stream.type
        try:
            made = carrier.packets(packet)
        except self._av.FFmpegError:
            self.losses[kind] += 1
            return
        for each in made:
            self._mux_carried(each, carrier.target, kind)

    def close(self) -> None:
        """Encode what is left, write the index, and finish the file."""
        if self._is_open:
            self._is_open = False
            self._mux_encoded(self._stream.encode(None))
            for carrier in self._carried.values():
                for packet in carrier.rest():
                    self._mux_carried(packet, carrier.target, carrier.target.type)
            self._container.close()

    def abandon(self) -> None:
        """Let go of the file, which is not finished and will be deleted."""
        self._is_open = False

    def _mux_carried(self, packet: Any, target: Any, kind: str) -> None:
        """Write a packet later than the one before, as containers want it."""
        if packet.dts is None:
            packet.dts = packet.pts
        number = target.index
        if packet.dts is not None:
            last_s = self._last_dts.get(number)
            if last_s is not None and packet.dts * packet.time_base <= last_s:
                packet.dts = last_s // packet.time_base + 1
            packet.pts = packet.dts if packet.pts is None else max(packet.pts, packet.dts)
            self._last_dts[number] = packet.dts * packet.time_base
        packet.stream = target
        try:
            self._container.mux(packet)
        except (self._av.FFmpegError, ValueError):
            self.losses[kind] += 1

    def _mux_encoded(self, packets: Any) -> None:
        for packet in packets:
            duration = self._durations.pop(packet.pts, 0) if packet.pts is not None else 0
            if 0 < duration * self._film.time_base < _LONGEST_S:
                packet.duration = round(duration * self._film.time_base / packet.time_base)
            try:
                self._container.mux(packet)
            except self._av.error.ArgumentError as error:
                raise OutputError(
                    f"{self._film.name}: expected times that {self._kind.name} can hold, its own are broken; "
                    "write a .mkv, or mend the film by copying it into one"
                ) from error

    def _video_stream(self, options: WritingOptions) -> Any:
        codec = next((name for name in self._kind.codecs if name in self._encoders()), None)
        if codec is None:
            raise OutputError(
                f"{self._kind.name}: expected an encoder ({', '.join(self._kind.codecs)}), this installation "
                "of PyAV has none; install PyAV's own wheel: pip install --force-reinstall av"
            )
        rate = self._film.frame_rate.limit_denominator(100_000)
        stream = self._container.add_stream(codec, rate=rate, options=_codec_options(codec, options))
        context = stream.codec_context
        context.width, context.height = self._width + self._width % 2, self._height + self._height % 2
        if (context.width, context.height) != (self._width, self._height):
            self.notes.append(
                f"{self._width} x {self._height} becomes {context.width} x {context.height}: "
                "films have even sides; the edge is repeated"
            )
        context.pix_fmt = "yuv420p"
        context.framerate = rate
        context.time_base = stream.time_base = self._film.time_base
        context.sample_aspect_ratio = stream.sample_aspect_ratio = self._film.sample_aspect
        context.colorspace, context.color_range = self._color.matrix, 2 if self._color.full_range else 1
        context.color_trc, context.color_primaries = self._color.transfer, self._color.primaries
        return stream

    def _encoders(self) -> set[str]:
        found: set[str] = set()
        for name in self._kind.codecs:
            try:
                self._av.Codec(name, "w")
            except (self._av.FFmpegError, ValueError):
                continue
            found.add(name)
        return found

    def _carry(self, reader: FilmReader) -> dict[int, Carrier]:
        carried: dict[int, Carrier] = {}
        for stream in reader.carried:
            codec = stream.codec_context.name if stream.codec_context is not None else "unknown"
            carrier, note = carry(self._container, self._kind, stream, _CODEC_NAMES.get(codec, codec))
            self.notes += [note] if note else []
            if carrier is None:
                continue
            carrier.target.metadata.update(stream.metadata)
            carrier.target.disposition = stream.disposition
            if carrier.target.codec_context is None or not carrier.target.codec_context.is_encoder:
                carrier.target.time_base = stream.time_base
            carried[stream.index] = carrier
        for stream in reader.container.streams:
            if stream.type == "attachment":
                if self._kind.muxer in _HOLDS_ATTACHMENTS:
                    name = stream.metadata.get("filename", "attachment")
                    self._container.add_attachment(name, stream.mimetype or "", stream.data)
                else:
                    self.notes.append(f"{self._kind.name} holds no attached files: they are left out")
        self.notes = list(dict.fromkeys(self.notes))
        return carried

    def _keep_metadata(self, reader: FilmReader, keep_gps: bool) -> None:
        for key, text in reader.container.metadata.items():
            if key.lower() in _OF_THE_FILE:
                continue
            is_place = bool(_PLACE.search(key))
            if keep_gps or not is_place:
                self._container.metadata[key] = text
            if is_place and keep_gps and self._kind.muxer in ("mp4", "mov"):
                # QuickTime's own keys, which FFmpeg writes if asked to, and all others in the same way then
                self._container.options["movflags"] = "+use_metadata_tags"
        for key in ("language", "title"):
            if reader.stream.metadata.get(key):
                self._stream.metadata[key] = reader.stream.metadata[key]
        if reader.start_s == 0 and reader.end_s is None:
            chapters = reader.container.chapters()
            if chapters:
                self._container.set_chapters(chapters)


_PLACE = re.compile(
    r"location|gps|\bxyz\b|geo|latitude|longitude|altitude|\bcity\b|\bcountry\b", re.IGNORECASE
)
_SECOND = 1_000_000
_LONGEST_S = 3600  # that a frame may be said to be shown
_OF_THE_FILE = {"major_brand", "minor_version", "compatible_brands", "encoder"}
# decoders whose name is not the codec's
_CODEC_NAMES = {
    "mp3float": "mp3",
    "libopus": "opus",
    "libvorbis": "vorbis",
    "libdav1d": "av1",
    "srt": "subrip",
}


def _codec_options(codec: str, options: WritingOptions) -> dict[str, str]:
    if not 1 <= options.quality <= 100:
        raise InputError(f"quality: expected 1 to 100, got {options.quality}")
    crf = 18 + (95 - options.quality) / 4
    if codec == "libx264":
        return {"crf": f"{crf:g}", "preset": options.speed}
    if codec.startswith("libvpx"):  # its scale of 0..63 looks alike about half as much again higher
        speed = "1" if options.speed in ("medium", "slow") else "6"
        return {"crf": str(round(crf * 1.4)), "b": "0", "cpu-used": speed, "row-mt": "1", "deadline": "good"}
    return {"flags": "+qscale", "global_quality": str(round(118 * max(2.0, crf / 4)))}


class _Sink:
    """What FFmpeg may do with the file: write and seek. PyAV would close the file itself, too early."""

    def __init__(self, file: BinaryIO) -> None:
        self.write, self.seek, self.tell = file.write, file.seek, file.tell
        self.name = "film"

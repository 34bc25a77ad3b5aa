"""Carry a film's sound and subtitles over: as they are, in another codec, or not at all, with a note."""

from __future__ import annotations

import io
import re
from fractions import Fraction
from typing import Any, Protocol

from stylenorm.media.video.film import import_av
from stylenorm.media.video.formats import FilmFormat

__all__ = ["Carrier", "carry"]

_SOUND = {"mp4": ("aac",), "mov": ("aac",), "matroska": ("aac",), "webm": ("libopus", "libvorbis")}
_TEXT = {"mp4": "mov_text", "mov": "mov_text", "matroska": "subrip", "webm": "webvtt"}
_TEXTS = {"subrip", "srt", "text", "mov_text", "webvtt", "ass", "ssa", "microdvd", "subviewer"}
_AAC_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000)
_BITS_A_CHANNEL, _MOST_CHANNELS = 96_000, 6
_MILLISECOND = Fraction(1, 1000)
_ASS_HEADER = (  # what FFmpeg's encoders of text want to know: how a line of dialogue is laid out
    b"[Script Info]\r\nScriptType: v4.00+\r\n\r\n[V4+ Styles]\r\nFormat: Name, Fontname, Fontsize, "
    b"PrimaryColour, SecondaryColour, OutlineColour, BackColour, Bold, Italic, Underline, StrikeOut, "
    b"ScaleX, ScaleY, Spacing, Angle, BorderStyle, Outline, Shadow, Alignment, MarginL, MarginR, MarginV, "
    b"Encoding\r\n"
    b"Style: Default,Arial,16,&Hffffff,&Hffffff,&H0,&H0,0,0,0,0,100,100,0,0,1,1,0,2,10,10,10,0\r\n\r\n"
    b"[Events]\r\nFormat: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\r\n"
)


class Carrier(Protocol):
    """Makes packets to be written of one stream's packets.

    Attributes:
        target: the written stream.
    """

    target: Any

    def packets(self, packet: Any) -> list[Any]:
        """Return what is written for a packet; its times are final."""

    def rest(self) -> list[Any]:
        """Return what is left at the end."""


def carry(container: Any, kind: FilmFormat, stream: Any, name: str) -> tuple[Carrier | None, str]:
    """Add a stream to an output container.

    Args:
        container: ``av.container.OutputContainer``, whose header is not written yet.
        kind: of the container.
        stream: of the film that is read: audio or subtitles.
        name: what messages call its codec.

    Returns:
        What carries it, or None if nothing can; and a note if it is not carried as it is.
    """
    if _can_copy(kind.muxer, stream):
        return _Copied(container.add_stream_from_template(stream)), ""
    left_out = f"its {stream.type} ({name}) is left out: {kind.name} cannot hold it"
    if stream.codec_context is None:
        return None, left_out
    if stream.type == "subtitle":
        if name not in _TEXTS:
            return None, left_out
        codec = _TEXT[kind.muxer]
        return _Text(container, codec, stream), f"its subtitles ({name}) become {codec}: text without styles"
    for codec in _sound_codecs(kind.muxer, name):
        if _has_encoder(codec):
            return _Sound(container, codec, stream), (
                f"its sound ({name}) becomes {codec}, which {kind.name} can hold"
            )
    return None, left_out


class _Copied:
    """As it came."""

    def __init__(self, target: Any) -> None:
        self.target = target

    def packets(self, packet: Any) -> list[Any]:
        return [packet]

    def rest(self) -> list[Any]:
        return []


class _Sound:
    """Decoded and encoded anew."""

    def __init__(self, container: Any, codec: str, stream: Any) -> None:
        self._decoder = stream.codec_context
        rate = 48000 if codec == "libopus" else self._decoder.sample_rate
        if codec == "aac" and rate not in _AAC_RATES:
            rate = 48000
        channels = self._decoder.layout.nb_channels
        layout = self._decoder.layout.name if channels <= _MOST_CHANNELS else "5.1"
        if not re.fullmatch(r"mono|stereo|[\d.]+", layout):
            layout = "mono" if channels == 1 else "stereo"
        self.target = container.add_stream(codec, rate=rate, layout=layout)
        if codec != "flac":
            self.target.bit_rate = _BITS_A_CHANNEL * min(channels, _MOST_CHANNELS)

    def packets(self, packet: Any) -> list[Any]:
        return [out for frame in packet.decode() for out in self.target.encode(frame)]

    def rest(self) -> list[Any]:
        av = import_av()
        try:
            frames = self._decoder.decode(None)
        except av.FFmpegError:  # it has ended already
            frames = []
        packets = [out for frame in frames for out in self.target.encode(frame)]
        return [*packets, *self.target.encode(None)]


class _Text:
    """Lines of text, in the target's own form."""

    def __init__(self, container: Any, codec: str, stream: Any) -> None:
        self._decoder = stream.codec_context
        self._encodes = codec == "mov_text"
        if self._encodes:
            self.target = container.add_stream(codec)
            self.target.codec_context.subtitle_header = _ASS_HEADER
            self.target.codec_context.time_base = _MILLISECOND
        else:
            self.target = container.add_mux_stream(codec)
        self.target.time_base = _MILLISECOND

    def packets(self, packet: Any) -> list[Any]:
        found = self._decoder.decode2(packet)
        lines = [_plain(bytes(each.dialogue)) for each in found or [] if hasattr(each, "dialogue")]
        text = b"\n".join(line for line in lines if line)
        if not text or packet.pts is None:
            return []
        start = round(packet.pts * packet.time_base / _MILLISECOND)
        length = round((packet.duration or 0) * packet.time_base / _MILLISECOND)
        made = self._encoded(text, start, length) if self._encodes else import_av().Packet(text)
        made.time_base, made.pts, made.dts, made.duration = _MILLISECOND, start, start, length
        return [made]

    def rest(self) -> list[Any]:
        return []

    def _encoded(self, text: bytes, start: int, length: int) -> Any:
        from av.subtitles.subtitle import SubtitleSet

        line = b"0,0,Default,,0,0,0,," + text.replace(b"\n", rb"\N")
        return self.target.codec_context.encode_subtitle(SubtitleSet.create(line, 0, length, pts=start))


def _plain(dialogue: bytes) -> bytes:
    r"""Take the styles out of a line of ASS.

    >>> _plain(rb"{\i1}Good{\i0} morning,\Nneighbour")
    b'Good morning,\nneighbour'
    """
    return re.sub(rb"\\[Nn]", b"\n", re.sub(rb"\{[^}]*\}", b"", dialogue)).replace(rb"\h", b" ").strip()


def _sound_codecs(muxer: str, name: str) -> tuple[str, ...]:
    exact = muxer == "matroska" and name.startswith("pcm_")
    return ("flac", *_SOUND[muxer]) if exact else _SOUND[muxer]


def _has_encoder(codec: str) -> bool:
    av = import_av()
    try:
        av.Codec(codec, "w")
    except (av.FFmpegError, ValueError):
        return False
    return True


def _can_copy(muxer: str, stream: Any) -> bool:
    """Say whether a container takes a stream as it is: by writing a header with it alone."""
    av = import_av()
    probe = av.open(io.BytesIO(), "w", format=muxer)
    try:
        probe.add_stream_from_template(stream)
        probe.start_encoding()
    except (av.FFmpegError, ValueError):
        return False
    return True

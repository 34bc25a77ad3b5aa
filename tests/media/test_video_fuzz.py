"""Small films with flipped, cut, doubled and zeroed bytes: a clear error, or a film that can be decoded.

A few seconds in the suite; ``STYLENORM_FUZZ_S=600 pytest tests/media/test_video_fuzz.py`` takes longer.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest

from stylenorm.errors import StylenormError
from stylenorm.media.video.film import FilmFrame
from stylenorm.media.video.formats import film_format_of
from stylenorm.media.video.reading import Damage, FilmReader
from stylenorm.media.video.writing import FilmWriter, WritingOptions
from tests.media.test_video import ramp
from tests.media.tiny_films import decoded, make_film
from tests.requirements_met import need

av = need("av")
SECONDS = float(os.environ.get("STYLENORM_FUZZ_S", "4"))
SOURCES = (
    ("a.mp4", {"audio": True}),
    ("a.mkv", {"audio": True, "subtitles": True}),
    ("a.ts", {"audio": True}),
    ("a.avi", {"codec": "mpeg4", "options": {}}),
    ("a.mov", {"audio": True, "rotation": 90}),
    ("a.flv", {"audio": True}),
    ("a.h264", {}),
)


def broken(data: bytes, rng: np.random.Generator) -> bytes:
    """Break some bytes, in one of several ways."""
    values = np.frombuffer(data, np.uint8).copy()
    how, count = rng.integers(5), len(values)
    begin = int(rng.integers(count))
    end = begin + int(rng.integers(1, max(min(count - begin, 400), 2)))
    if how == 0:  # a few bytes
        for place in rng.integers(0, count, int(rng.integers(1, 12))):
            values[place] = rng.integers(256)
    elif how == 1:  # the first bytes, where the header is
        for place in rng.integers(0, min(count, 600), int(rng.integers(1, 6))):
            values[place] ^= 1 << rng.integers(8)
    elif how == 2:
        values = values[: max(begin, 1)]
    elif how == 3:
        values[begin:end] = 0
    else:  # a piece comes twice, or is missing
        piece = values[begin:end] if rng.random() < 0.5 else values[:0]
        values = np.concatenate([values[:begin], piece, values[end if not len(piece) else begin :]])
    return values.tobytes()


def carried_over(source: Path, target: Path, start_s: float) -> int:
    """Read and write a film, and say how many frames came."""
    count = 0
    with FilmReader(source, start_s=start_s) as reader:
        sum(1 for _ in reader.frames())
    with FilmReader(source, start_s=start_s) as reader, target.open("w+b") as file:
        writer = FilmWriter(file, film_format_of(target), reader, WritingOptions(speed="ultrafast"))
        try:
            for item in reader.items():
                if isinstance(item, FilmFrame):
                    writer.write_frame(item, item.pixels)
                    count += 1
                elif not isinstance(item, Damage):
                    writer.write_packet(item)
            writer.close()
        finally:
            writer.abandon()
    return count


@pytest.mark.timeout(SECONDS * 3 + 300)
def test_broken_films(tmp_path: Path) -> None:
    seed = int(os.environ.get("STYLENORM_FUZZ_SEED", "0"))
    rng = np.random.default_rng(seed)
    whole = [
        (name, make_film(tmp_path / name, ramp(12), **options).read_bytes())  # type: ignore[arg-type]
        for name, options in SOURCES
    ]
    ends = time.monotonic() + SECONDS
    tried = painted = 0
    refusals: list[str] = []
    while time.monotonic() < ends or tried < 2 * len(SOURCES):
        name, data = whole[tried % len(whole)]
        source = tmp_path / f"broken{Path(name).suffix}"
        source.write_bytes(broken(data, rng))
        target = tmp_path / f"out{('.mp4', '.mkv', '.webm')[int(rng.integers(10)) % 3]}"
        tried += 1
        try:
            count = carried_over(source, target, float(rng.choice([0.0, 0.0, 0.2])))
        except StylenormError as error:
            refusals.append(str(error))
            continue
        painted += bool(count)
        if count:
            assert len(decoded(target)) == count, (seed, tried, name)
    assert painted > tried / 4
    assert all(len(line.splitlines()) == 1 for line in refusals)

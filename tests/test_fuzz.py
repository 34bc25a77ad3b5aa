"""Files with bytes flipped, cut out and put in: read, or one clear error, soon, and nothing else.

Seeds are fixed: 0, 1, 2, ... for each kind of file. The suite tries a few of each; for longer, say how many:

    STYLENORM_FUZZ=2000 pytest tests/test_fuzz.py

A failure names its kind and seed; ``STYLENORM_FUZZ_FROM`` starts at another seed.
"""

from __future__ import annotations

import functools
import io
import os
import shutil
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from stylenorm import Statistics, Style, Stylizer
from stylenorm.errors import StylenormError
from stylenorm.media import Animation, Picture, encode_picture, read_header, read_media
from stylenorm.zoo import NetworkFolder
from tests.engines.tiny_network import random_photo, tiny_network

TRIES = int(os.environ.get("STYLENORM_FUZZ", "24"))
FIRST = int(os.environ.get("STYLENORM_FUZZ_FROM", "0"))
SOON_S = 20.0
_NUMBERS = (0, 1, 2**7, 2**8 - 1, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1)


def damaged(content: bytes, rng: np.random.Generator) -> bytes:
    """One to eight damages of a file: mostly near its beginning, where its structure is."""
    out = bytearray(content)
    for _ in range(int(rng.integers(1, 9))):
        if not out:
            break
        at = int(rng.integers(len(out) if rng.random() < 0.5 else min(len(out), 400)))
        kind = int(rng.integers(7))
        if kind == 0:
            out[at] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            out[at] = int(rng.integers(256))
        elif kind == 2:
            del out[at : at + int(rng.integers(1, 64))]
        elif kind == 3:
            out[at:at] = rng.bytes(int(rng.integers(1, 64)))
        elif kind == 4:
            out[at:at] = out[at : at + int(rng.integers(1, 200))]
        elif kind == 5 and rng.random() < 0.3:
            del out[at:]
        else:
            number = _NUMBERS[int(rng.integers(len(_NUMBERS)))]
            order = "<" if rng.random() < 0.5 else ">"
            packed = struct.pack(f"{order}I", number)[: int(rng.integers(1, 5))]
            out[at : at + len(packed)] = packed
    return bytes(out)


def _saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def _photo(mode: str = "RGB") -> Image.Image:
    return Image.fromarray(random_photo(40, 56)).convert(mode)


def _frames(kind: str, **options: Any) -> bytes:
    frames = [Image.fromarray(np.roll(random_photo(20, 24), 3 * i, axis=1)) for i in range(3)]
    return _saved(frames[0], kind, save_all=True, append_images=frames[1:], duration=50, **options)


def _exif() -> bytes:
    exif = Image.Exif()
    exif[0x010F], exif[0x0112], exif[0x8298] = "Maker", 6, "me"
    exif[0x8769] = {0x9003: "2026:01:01 00:00:00", 0xA001: 1}
    exif[0x8825] = {1: "N", 2: (48.0, 51.0, 30.0)}
    return exif.tobytes()


XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>A</dc:title>'
    b"</rdf:Description></rdf:RDF></x:xmpmeta>"
)
PICTURES: dict[str, Callable[[], bytes]] = {
    "jpeg": lambda: _saved(_photo(), "JPEG", exif=_exif(), xmp=XMP, dpi=(300, 300)),
    "progressive jpeg": lambda: _saved(_photo(), "JPEG", progressive=True),
    "cmyk jpeg": lambda: _saved(_photo("CMYK"), "JPEG"),
    "png": lambda: _saved(_photo("RGBA"), "PNG", exif=_exif()),
    "palette png": lambda: _saved(_photo("P"), "PNG", transparency=3),
    "16-bit png": lambda: encode_picture(Picture(random_photo(20, 24, "uint16")), "png"),
    "tiff": lambda: encode_picture(Picture(random_photo(20, 24)), "tiff"),
    "16-bit tiff": lambda: encode_picture(Picture(random_photo(20, 24, "uint16")), "tiff"),
    "lzw tiff": lambda: _saved(_photo(), "TIFF", compression="tiff_lzw"),
    "webp": lambda: _saved(_photo("RGBA"), "WEBP", exif=_exif(), xmp=XMP),
    "avif": lambda: _saved(_photo(), "AVIF", speed=10),
    "gif": lambda: _saved(_photo("P"), "GIF"),
    "bmp": lambda: _saved(_photo(), "BMP"),
    "ppm": lambda: _saved(_photo(), "PPM"),
    "tga": lambda: _saved(_photo(), "TGA", compression="tga_rle"),
    "jpeg 2000": lambda: _saved(_photo(), "JPEG2000"),
    "pcx": lambda: _saved(_photo(), "PCX"),
    "mpo": lambda: _saved(_photo(), "MPO", save_all=True, append_images=[_photo()]),
    "animated gif": lambda: _frames("GIF", disposal=2, loop=0),
    "animated webp": lambda: _frames("WEBP"),
    "animated png": lambda: _frames("PNG"),
}


@functools.cache
def whole(kind: str) -> bytes:
    return PICTURES[kind]()


def is_clear(error: BaseException) -> None:
    text = str(error)
    assert text, "an error that says nothing"
    assert "\n" not in text


@pytest.mark.parametrize("kind", PICTURES)
def test_pictures_and_animations(kind: str, tmp_path: Path) -> None:
    num_read = 0
    for seed in range(FIRST, FIRST + TRIES):
        content = damaged(whole(kind), np.random.default_rng(seed))
        began = time.monotonic()
        try:
            media = read_media(content, max_megapixels=4)
            if isinstance(media, Animation):
                for frame in media:
                    assert frame.pixels.shape == (media.height, media.width, 3), f"{kind}, seed {seed}"
            else:
                encode_picture(media, "png")
            num_read += 1
        except StylenormError as error:
            is_clear(error)
        except Exception as error:  # pragma: no cover (a bug)
            raise AssertionError(f"{kind}, seed {seed}: {error!r}") from error
        path = tmp_path / "a"
        path.write_bytes(content)
        try:
            read_header(path, max_megapixels=4, keep_gps=False)
        except StylenormError as error:
            is_clear(error)
        except Exception as error:  # pragma: no cover (a bug)
            raise AssertionError(f"{kind}, seed {seed}, its head: {error!r}") from error
        assert time.monotonic() - began < SOON_S, f"{kind}, seed {seed}"
    assert isinstance(read_media(whole(kind)), (Picture, Animation))  # as it was, it is read


def test_style_and_statistics_files(tmp_path: Path) -> None:
    network = tiny_network()
    statistics = Stylizer("scream", network=network).measure([random_photo(24, 24)])
    files: dict[str, tuple[bytes, Callable[[Path], Any]]] = {
        "style": (network.style("scream").to_bytes(), Style.load),
        "statistics": (statistics.to_bytes(), Statistics.load),
    }
    for kind, (content, load) in files.items():
        for seed in range(FIRST, FIRST + 10 * TRIES):
            path = tmp_path / "a.safetensors"
            path.write_bytes(damaged(content, np.random.default_rng(seed)))
            try:
                loaded = load(path)
            except StylenormError as error:
                is_clear(error)
            except Exception as error:  # pragma: no cover (a bug)
                raise AssertionError(f"{kind}, seed {seed}: {error!r}") from error
            else:
                numbers = loaded.vector() if isinstance(loaded, Style) else np.concatenate(loaded.variances())
                assert np.isfinite(numbers).all(), f"{kind}, seed {seed}"


@pytest.mark.parametrize("file", ["network.json", "network.onnx", "network.safetensors"])
@pytest.mark.parametrize("with_checksum", [True, False])
def test_network_folders(tmp_path: Path, file: str, with_checksum: bool) -> None:
    folder = Path(shutil.copytree(tiny_network().path, tmp_path / "network"))
    if not with_checksum:
        description = (folder / "network.json").read_text()
        (folder / "network.json").write_text(description.replace('"sha256"', '"formerly"'))
        if file == "network.onnx":
            (folder / "network.safetensors").unlink()
    content = (folder / file).read_bytes()
    photo = random_photo(20, 24)
    for seed in range(FIRST, FIRST + TRIES):
        (folder / file).write_bytes(damaged(content, np.random.default_rng(seed)))
        try:
            with Stylizer("scream", network=NetworkFolder.open(folder)) as stylizer:
                assert stylizer(photo).shape == photo.shape
        except (StylenormError, MemoryError) as error:
            is_clear(error)
        except Exception as error:  # pragma: no cover (a bug)
            raise AssertionError(f"{file}, seed {seed}: {error!r}") from error

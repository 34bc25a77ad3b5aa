"""Label maps: the numbers that were written, whatever the palette and the bits; and what is none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stylenorm.errors import PictureError
from stylenorm.media import check_labels, read_labels

NUMBERS = np.random.default_rng(0).integers(0, 4, (9, 13), dtype=np.uint8)


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "gif"])
def test_palettes_are_only_for_looking_at(tmp_path: Path, suffix: str) -> None:
    image = Image.fromarray(NUMBERS)
    image.putpalette([255, 0, 0, 0, 255, 0, 9, 9, 9, 255, 255, 255] + 252 * [0, 0, 0])
    image.save(tmp_path / f"map.{suffix}", **({"optimize": False} if suffix == "gif" else {}))
    found = read_labels(tmp_path / f"map.{suffix}", 4)
    assert found.dtype == np.uint8
    assert np.array_equal(found, NUMBERS)


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("kind", ["palette", "grey"])
def test_few_bits(tmp_path: Path, bits: int, kind: str) -> None:
    numbers = NUMBERS & (2**bits - 1)
    path = tmp_path / "map.png"
    if kind == "palette":
        image = Image.fromarray(numbers)
        image.putpalette([i for i in range(256) for _ in range(3)])
        image.save(path, bits=bits)
    else:
        path.write_bytes(grey_png(numbers, bits))
    assert np.array_equal(read_labels(path), numbers)


def grey_png(numbers: np.ndarray, bits: int) -> bytes:
    """A grey PNG as the standard has it; Pillow writes 1 and 8 bits alone."""
    import struct
    import zlib

    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    digits = (numbers[..., None] >> np.arange(bits - 1, -1, -1, dtype=np.uint8)) & 1
    rows = np.packbits(digits.reshape(len(numbers), -1).astype(np.uint8), axis=1)
    raw = b"".join(b"\0" + row.tobytes() for row in rows)
    height, width = numbers.shape
    head = struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("mode", "name", "message"),
    [
        ("RGB", "map.png", "got a colour picture: number its classes, or let 'stylenorm train pix2pix'"),
        ("RGBA", "map.png", "got a colour picture"),
        ("LA", "map.png", "got grey with transparency"),
        ("I;16", "map.png", "got one of mode I;16"),
        ("L", "map.jpg", "got JPEG, which does not keep numbers"),
    ],
)
def test_what_is_no_label_map(tmp_path: Path, mode: str, name: str, message: str) -> None:
    Image.new(mode, (4, 4)).save(tmp_path / name)
    with pytest.raises(PictureError, match=rf"{name}: expected a label map .*{message}"):
        read_labels(tmp_path / name)


def test_numbers_that_are_no_classes(tmp_path: Path) -> None:
    labels = np.array([[0, 1, 255], [2, 7, 9]], np.uint8)
    Image.fromarray(labels).save(tmp_path / "map.png")
    assert np.array_equal(read_labels(tmp_path / "map.png", 10), labels)
    expected = r"map\.png: expected class numbers from 0 to 2, or 255 where there is none, got 7 and 1 more"
    with pytest.raises(PictureError, match=expected):
        read_labels(tmp_path / "map.png", 3)
    check_labels(labels[:, :2] // 3, 3)
    with pytest.raises(PictureError, match="labels: expected class numbers from 0 to 0"):
        check_labels(labels[:1, :2], 1)
    with pytest.raises(PictureError, match="no such file"):
        read_labels(tmp_path / "nowhere.png")

"""Odd pictures, made here: each ends in a picture or in one clear error. A table that other tests can run.

``ODD_PICTURES`` is a list of ``OddPicture``; ``odd.data()`` gives the bytes of the file. Nothing here calls
the code under test.
"""

from __future__ import annotations

import functools
import io
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import PIL
from PIL import Image

from tests.media.odd_profiles import cmyk_profile, grey_profile, rgb_profile

__all__ = ["ODD_PICTURES", "YCBCR", "OddPicture", "photo", "png_file", "raw_tiff"]


# Pillow before 13 refuses the uncompressed YCbCr TIFF that it writes itself
YCBCR = ["YCbCr"] if int(PIL.__version__.split(".")[0]) >= 13 else []


@dataclass(frozen=True)
class OddPicture:
    """One odd file.

    Args:
        name: what is odd.
        suffix: the suffix that the file is to have.
        build: makes its bytes.
        size: (width, height) of the picture that is read; None if an error is expected.
        error: a part of the error's message.
        frames: how many frames it has.
        bits: of each channel, as read.
        alpha: whether something is transparent.
    """

    name: str
    suffix: str
    build: Callable[[], bytes]
    size: tuple[int, int] | None = None
    error: str = ""
    frames: int = 1
    bits: int = 8
    alpha: bool = False

    def data(self) -> bytes:
        return _built(self)

    @property
    def file_name(self) -> str:
        return self.name.replace(" ", "-") + self.suffix


@functools.cache
def _built(odd: OddPicture) -> bytes:
    return odd.build()


def photo(width: int, height: int, channels: int = 3, *, deep: bool = False) -> np.ndarray:
    """A smooth picture with something of everything, (H, W, C) uint8 or uint16."""
    rng = np.random.default_rng(width * 1000 + height)
    y, x = np.mgrid[0:height, 0:width]
    waves = [0.5 + 0.45 * np.sin((x * (k + 1) + y * (3 - k)) / 7 + k) for k in range(channels)]
    values = np.clip(np.stack(waves, -1) + rng.normal(0, 0.01, (height, width, channels)), 0, 1)
    return np.round(values * 65535).astype(np.uint16) if deep else np.round(values * 255).astype(np.uint8)


def image(mode: str, width: int = 23, height: int = 17) -> Image.Image:
    if mode in ("RGB", "RGBA", "CMYK", "YCbCr", "LAB"):
        values = photo(width, height, len(Image.new(mode, (1, 1)).getbands()))
        return Image.frombytes(mode, (width, height), values.tobytes())
    grey = photo(width, height, 1)[..., 0]
    if mode == "I;16":
        return Image.fromarray(photo(width, height, 1, deep=True)[..., 0])
    if mode == "I":
        return Image.fromarray(grey.astype(np.int32) * 200)
    if mode == "F":
        return Image.fromarray(grey.astype(np.float32) / 255)
    if mode == "P":
        return image("RGB", width, height).quantize(16)
    if mode == "LA":
        return Image.merge("LA", [Image.fromarray(grey), Image.fromarray(grey[::-1].copy())])
    return Image.fromarray(grey).convert(mode)


def saved(source: Image.Image | Callable[[], Image.Image], kind: str, **options: Any) -> bytes:
    out = io.BytesIO()
    (source if isinstance(source, Image.Image) else source()).save(out, kind, **options)
    return out.getvalue()


def exif_with(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif.tobytes()


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png_file(values: np.ndarray, *, bits: int = 8, interlace: int = 0, extra: bytes = b"") -> bytes:
    """A PNG put together by hand, rows unfiltered; (H, W, C) uint8 or uint16."""
    height, width, count = values.shape
    color = {1: 0, 2: 4, 3: 2, 4: 6}[count]
    rows = values.astype(f">u{bits // 8}").tobytes()
    stride = width * count * bits // 8
    raw = b"".join(b"\0" + rows[y * stride : (y + 1) * stride] for y in range(height))
    header = struct.pack(">IIBBBBB", width, height, bits, color, 0, 0, interlace)
    body = chunk(b"IHDR", header) + extra + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def raw_tiff(
    values: np.ndarray,
    *,
    order: str = "<",
    photometric: int | None = None,
    extra_kind: int = 2,
    planes: bool = False,
    **tags: int,
) -> bytes:
    """An uncompressed TIFF put together by hand; (H, W, C), 8 or 16 bits; ``extra_kind`` 1: premultiplied."""
    height, width, count = values.shape
    bits = values.dtype.itemsize * 8
    data = np.moveaxis(values, -1, 0) if planes else values
    body = data.astype(f"{order}u{bits // 8}").tobytes()
    strips = count if planes else 1
    size = len(body) // strips
    entries: list[tuple[int, str, list[int]]] = [
        (256, "I", [width]),
        (257, "I", [height]),
        (258, "H", [bits] * count),
        (259, "H", [1]),
        (262, "H", [photometric if photometric is not None else (2 if count >= 3 else 1)]),
        (273, "I", [8 + size * i for i in range(strips)]),
        (274, "H", [tags.get("orientation", 1)]),
        (277, "H", [count]),
        (278, "I", [height]),
        (279, "I", [size] * strips),
        (284, "H", [2 if planes else 1]),
    ]
    if count == 4 and photometric != 5:
        entries.append((338, "H", [extra_kind]))
    body += bytes(len(body) % 2)
    at = 8 + len(body)
    after = at + 2 + 12 * len(entries) + 4
    directory, late = struct.pack(f"{order}H", len(entries)), b""
    for tag, kind, numbers in entries:
        packed = struct.pack(f"{order}{len(numbers)}{kind}", *numbers)
        directory += struct.pack(f"{order}HHI", tag, 3 if kind == "H" else 4, len(numbers))
        if len(packed) <= 4:
            directory += packed.ljust(4, b"\0")
        else:
            directory += struct.pack(f"{order}I", after + len(late))
            late += packed
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", at)
    return head + body + directory + bytes(4) + late


def animation(kind: str, modes: str = "RGB", **options: Any) -> bytes:
    frames = [Image.new("RGBA", (20, 14), (0, 0, 0, 0)) for _ in range(4)]
    for index, frame in enumerate(frames):
        frame.paste((60 * index, 255 - 60 * index, 90, 255), (3 * index, 2, 3 * index + 8, 10))
    frames = [frame.convert(modes) for frame in frames]
    return saved(
        frames[0], kind, save_all=True, append_images=frames[1:], duration=[40, 50, 60, 70], **options
    )


def _bmp_header(width: int, height: int) -> bytes:
    head = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 2835, 2835, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + head


def _jpeg_claiming(width: int, height: int) -> bytes:
    data = bytearray(saved(image("RGB"), "JPEG"))
    at = data.index(b"\xff\xc0")
    data[at + 5 : at + 9] = struct.pack(">HH", height, width)
    return bytes(data)


def _png_claiming(width: int, height: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(99)))


def _changed(data: bytes, at: int, new: bytes) -> bytes:
    return data[:at] + new + data[at + len(new) :]


def _part(data: bytes, share: float) -> bytes:
    return data[: int(len(data) * share)]


def _cases() -> list[OddPicture]:
    cases: list[OddPicture] = []

    def picture(
        name: str, suffix: str, build: Callable[[], bytes], size: tuple[int, int] = (23, 17), **more: Any
    ):
        cases.append(OddPicture(name, suffix, build, size, **more))

    def wrong(name: str, suffix: str, build: Callable[[], bytes], error: str):
        cases.append(OddPicture(name, suffix, build, error=error))

    for size in [(1, 1), (1, 2), (2, 1), (1, 37), (37, 1), (3, 5), (7, 7), (17, 31), (255, 2), (2, 257)]:
        picture(f"png {size[0]}x{size[1]}", ".png", lambda s=size: png_file(photo(*s)), size)
    for kind, suffix in [
        ("JPEG", ".jpg"),
        ("WEBP", ".webp"),
        ("GIF", ".gif"),
        ("TIFF", ".tif"),
        ("BMP", ".bmp"),
    ]:
        for size in [(1, 1), (13, 1), (9, 5)]:
            build = functools.partial(lambda k, s: saved(image("RGB", *s), k), kind, size)
            picture(f"{kind.lower()} {size[0]}x{size[1]}", suffix, build, size)
    picture("avif 5x3", ".avif", lambda: saved(image("RGB", 5, 3), "AVIF"), (5, 3))

    for mode in ["1", "L", "LA", "P", "RGB", "RGBA"]:
        build = functools.partial(lambda m: saved(image(m), "PNG"), mode)
        picture(f"png mode {mode}", ".png", build, alpha=mode in ("LA", "RGBA"))
    picture(
        "png palette one transparent", ".png", lambda: saved(image("P"), "PNG", transparency=1), alpha=True
    )
    picture(
        "png palette half transparent",
        ".png",
        lambda: saved(image("P"), "PNG", transparency=bytes(range(0, 160, 10))),
        alpha=True,
    )
    picture("png palette 2 bits", ".png", lambda: saved(image("RGB").quantize(4), "PNG", bits=2))
    black = photo(23, 17) // 128 * 255
    picture(
        "png one color transparent",
        ".png",
        lambda: saved(Image.fromarray(black), "PNG", transparency=tuple(int(v) for v in black[3, 3])),
        alpha=True,
    )
    picture("png one grey transparent", ".png", lambda: saved(image("1"), "PNG", transparency=0), alpha=True)
    hidden = np.dstack([photo(23, 17), np.zeros((17, 23), np.uint8)])
    picture("png all transparent", ".png", lambda: png_file(hidden), alpha=True)
    for count, name in [(1, "grey"), (2, "grey alpha"), (3, "rgb"), (4, "rgba")]:
        build = functools.partial(lambda c: png_file(photo(23, 17, c, deep=True), bits=16), count)
        picture(f"png 16 bit {name}", ".png", build, bits=16, alpha=count in (2, 4))
    deep = photo(23, 17, 3, deep=True)
    key = chunk(b"tRNS", deep[4, 4].astype(">u2").tobytes())
    picture(
        "png 16 bit one transparent", ".png", lambda: png_file(deep, bits=16, extra=key), bits=16, alpha=True
    )
    picture("png interlaced 1x1", ".png", lambda: png_file(photo(1, 1), interlace=1), (1, 1))

    for mode in ["L", "RGB", "CMYK", "YCbCr"]:
        picture(f"jpeg mode {mode}", ".jpg", functools.partial(lambda m: saved(image(m), "JPEG"), mode))
    picture("jpeg progressive", ".jpeg", lambda: saved(image("RGB"), "JPEG", progressive=True))
    picture("jpeg half colors", ".jpg", lambda: saved(image("RGB"), "JPEG", subsampling="4:2:0"))
    picture("jpeg shouting suffix", ".JPG", lambda: saved(image("RGB"), "JPEG"))
    picture("jpeg with bytes after it", ".jpg", lambda: saved(image("RGB"), "JPEG") + b"\0\1\2" * 99)
    picture(
        "jpeg mpo", ".mpo", lambda: saved(image("RGB"), "MPO", save_all=True, append_images=[image("RGB")])
    )
    for orientation in range(1, 9):
        size = (23, 17) if orientation < 5 else (17, 23)
        build = functools.partial(lambda o: saved(image("RGB"), "JPEG", exif=exif_with(o)), orientation)
        picture(f"jpeg orientation {orientation}", ".jpg", build, size)
    picture("jpeg orientation 99", ".jpg", lambda: saved(image("RGB"), "JPEG", exif=exif_with(99)))
    for kind, suffix in [("PNG", ".png"), ("WEBP", ".webp"), ("TIFF", ".tif")]:
        build = functools.partial(lambda k: saved(image("RGB"), k, exif=exif_with(6)), kind)
        picture(f"{kind.lower()} orientation 6", suffix, build, (17, 23))
    picture("tiff 16 bit orientation 8", ".tif", lambda: raw_tiff(deep, orientation=8), (17, 23), bits=16)
    picture(
        "jpeg broken exif", ".jpg", lambda: saved(image("RGB"), "JPEG", exif=b"Exif\0\0MM\0*\0\0\xff\xff")
    )
    picture(
        "jpeg exif of rubbish", ".jpg", lambda: saved(image("RGB"), "JPEG", exif=b"Exif\0\0" + b"\xa5" * 90)
    )

    for mode in ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "LAB", *YCBCR]:
        build = functools.partial(lambda m: saved(image(m), "TIFF"), mode)
        picture(f"tiff mode {mode}", ".tiff", build, alpha=mode in ("LA", "RGBA"))
    for mode in ["I;16", "I", "F"]:
        build = functools.partial(lambda m: saved(image(m), "TIFF"), mode)
        picture(f"tiff mode {mode.replace(';', ' ')}", ".tif", build, bits=16)
    picture("tiff floats out of range", ".tif", lambda: saved(_floats(), "TIFF"), bits=16)
    for compression in ["tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"]:
        build = functools.partial(lambda c: saved(image("RGB"), "TIFF", compression=c), compression)
        picture(f"tiff {compression.replace('_', ' ')}", ".tif", build)
    picture("tiff group4 fax", ".tif", lambda: saved(image("1"), "TIFF", compression="group4"))
    for order, name in [("<", "little"), (">", "big")]:
        for count in (1, 3, 4):
            build = functools.partial(
                lambda o, c: raw_tiff(photo(23, 17, c, deep=True), order=o), order, count
            )
            picture(f"tiff 16 bit {name} {count} channels", ".tif", build, bits=16, alpha=count == 4)
    half = np.dstack([photo(23, 17, 3, deep=True) // 2, np.full((17, 23), 32768, np.uint16)])
    picture("tiff 16 bit premultiplied", ".tif", lambda: raw_tiff(half, extra_kind=1), bits=16, alpha=True)
    grey16 = photo(23, 17, 1, deep=True)
    picture("tiff 16 bit white is zero", ".tif", lambda: raw_tiff(grey16, photometric=0), bits=16)
    picture("tiff 16 bit cmyk", ".tif", lambda: raw_tiff(photo(23, 17, 4, deep=True), photometric=5))
    picture(
        "tiff two pages",
        ".tif",
        lambda: saved(image("RGB"), "TIFF", save_all=True, append_images=[image("L")]),
    )

    picture("ppm", ".ppm", lambda: saved(image("RGB"), "PPM"))
    picture(
        "pgm 16 bit",
        ".pgm",
        lambda: b"P5 23 17 65535\n" + photo(23, 17, 1, deep=True).astype(">u2").tobytes(),
        bits=16,
    )
    picture("pbm", ".pbm", lambda: saved(image("1"), "PPM"))
    picture("tga", ".tga", lambda: saved(image("RGBA"), "TGA"), alpha=True)
    picture("pcx", ".pcx", lambda: saved(image("RGB"), "PCX"))
    picture("jpeg 2000", ".jp2", lambda: saved(image("RGB"), "JPEG2000"))
    picture("qoi", ".qoi", lambda: saved(image("RGBA"), "QOI"), alpha=True)
    picture("bmp top down", ".bmp", lambda: _bmp_header(23, -17) + bytes(72 * 17))

    profiles: list[tuple[str, str, Callable[[], bytes]]] = [
        ("wide gamut", "RGB", rgb_profile),
        ("grey linear", "L", grey_profile),
        ("cmyk", "CMYK", cmyk_profile),
        ("empty", "RGB", lambda: b"x"),
        ("of rubbish", "RGB", lambda: b"\xa5" * 300),
        ("cut in half", "RGB", lambda: _part(rgb_profile(), 0.5)),
        ("of ink on rgb", "RGB", cmyk_profile),
        ("of rgb on grey", "L", rgb_profile),
        ("of rgb on ink", "CMYK", rgb_profile),
        ("with a flat gamut", "RGB", lambda: rgb_profile(np.full((3, 3), 0.3))),
    ]
    for name, mode, profile in profiles:
        build = functools.partial(lambda m, p: saved(image(m), "JPEG", icc_profile=p()), mode, profile)
        picture(f"profile {name}", ".jpg", build)
    picture(
        "profile wide gamut 16 bit",
        ".png",
        lambda: png_file(deep, bits=16, extra=chunk(b"iCCP", b"p\0\0" + zlib.compress(rgb_profile()))),
        bits=16,
    )
    bomb = b"<!DOCTYPE x [<!ENTITY a 'aaaaaaaa'><!ENTITY b '&a;&a;&a;'>]><x>&b;</x>"
    picture("xmp bomb", ".jpg", lambda: saved(image("RGB"), "JPEG", xmp=bomb))
    picture("xmp of rubbish", ".jpg", lambda: saved(image("RGB"), "JPEG", xmp=b"<x:xmpmeta \xff\xfe not XML"))
    picture("png under a jpeg name", ".jpg", lambda: saved(image("RGB"), "PNG"))
    picture("jpeg under a png name", ".png", lambda: saved(image("RGB"), "JPEG"))
    picture("png without its end", ".png", lambda: saved(image("RGB"), "PNG")[:-12])

    for disposal in (0, 1, 2, 3):
        build = functools.partial(lambda d: animation("GIF", "P", disposal=d, loop=0), disposal)
        # after the first frame is taken away, what the second one leaves out is clear
        picture(f"gif animated disposal {disposal}", ".gif", build, (20, 14), frames=4, alpha=disposal == 3)
    picture(
        "gif animated transparent",
        ".gif",
        lambda: animation("GIF", "RGBA", disposal=2),
        (20, 14),
        frames=4,
        alpha=True,
    )
    picture("webp animated", ".webp", lambda: animation("WEBP", "RGB", lossless=True), (20, 14), frames=4)
    picture(
        "webp animated transparent",
        ".webp",
        lambda: animation("WEBP", "RGBA", lossless=True),
        (20, 14),
        frames=4,
        alpha=True,
    )
    picture("png animated", ".png", lambda: animation("PNG", "RGB"), (20, 14), frames=4)
    picture(
        "png animated transparent",
        ".apng",
        lambda: animation("PNG", "RGBA", disposal=1, blend=1),
        (20, 14),
        frames=4,
        alpha=True,
    )
    picture(
        "png animated with another first picture",
        ".png",
        lambda: animation("PNG", "RGB", default_image=True),
        (20, 14),
        frames=3,
    )
    picture("avif animated", ".avif", lambda: animation("AVIF", "RGB"), (20, 14), frames=4)
    picture("webp transparent", ".webp", lambda: saved(image("RGBA"), "WEBP"), alpha=True)

    wrong("empty", ".jpg", lambda: b"", "an empty file")
    wrong("text", ".png", lambda: b"Dear photo,\nI am a letter.\n" * 9, "got text")
    wrong("text of another alphabet", ".png", lambda: ("Дорогое фото, я письмо. " * 9).encode(), "got text")
    wrong("html", ".jpg", lambda: b"<!doctype html><html>not found</html>", "HTML")
    wrong("svg", ".png", lambda: b'<svg xmlns="http://www.w3.org/2000/svg"/>', "SVG")
    wrong("pdf", ".jpg", lambda: b"%PDF-1.7\n" + bytes(99), "PDF")
    wrong("zip", ".jpg", lambda: b"PK\x03\x04" + bytes(99), "archive")
    wrong("heic", ".heic", lambda: b"\0\0\0\x18ftypheic" + bytes(99), "HEIC")
    wrong("film", ".jpg", lambda: b"\0\0\0\x18ftypisom" + bytes(99), "film")
    wrong("photoshop", ".jpg", lambda: b"8BPS\0\1" + bytes(99), "Photoshop")
    wrong("noise", ".jpg", lambda: np.random.default_rng(0).bytes(999), "expected a picture")
    wrong("zeros", ".png", lambda: bytes(999), "expected a picture")
    wrong(
        "postscript",
        ".jpg",
        lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        "expected a picture",
    )
    for kind, suffix in [
        ("JPEG", ".jpg"),
        ("PNG", ".png"),
        ("WEBP", ".webp"),
        ("TIFF", ".tif"),
        ("GIF", ".gif"),
        ("AVIF", ".avif"),
    ]:
        for share in (0.02, 0.3, 0.7, 0.9):
            build = functools.partial(_truncated, kind, share)
            wrong(f"{kind.lower()} cut at {share:.0%}", suffix, build, "expected a picture")
    wrong(
        "jpeg without its last kilobyte",
        ".jpg",
        lambda: saved(image("RGB", 99, 99), "JPEG")[:-999],
        "truncated",
    )
    wrong("avif of rubbish inside", ".avif", lambda: _rubbish_avif(), "broken")
    wrong("jpeg of two bytes", ".jpg", lambda: b"\xff\xd8", "JPEG")
    wrong("png of its first line", ".png", lambda: b"\x89PNG\r\n\x1a\n", "PNG")
    wrong(
        "png with a wrong sum",
        ".png",
        lambda: _changed(saved(image("RGB"), "PNG"), 50, b"\xa5\xa5"),
        "broken",
    )
    wrong("png of rubbish inside", ".png", lambda: _rubbish_png(), "broken")
    wrong("tiff lzw of rubbish inside", ".tif", lambda: _rubbish_tiff(), "broken")
    picture("tiff 16 bit planes", ".tif", lambda: raw_tiff(deep, planes=True), bits=16)
    inks = photo(23, 17, 4, deep=True)
    wrong(
        "tiff 16 bit planes of inks",
        ".tif",
        lambda: raw_tiff(inks, photometric=5, planes=True),
        "expected a picture",
    )
    wrong("png without width", ".png", lambda: _png_claiming(0, 9), "expected a picture")
    for name, suffix, build in [
        ("png bomb", ".png", lambda: _png_claiming(60000, 60000)),
        ("jpeg bomb", ".jpg", lambda: _jpeg_claiming(65500, 65500)),
        ("bmp bomb", ".bmp", lambda: _bmp_header(2**17, 2**17)),
        ("gif bomb", ".gif", lambda: _changed(saved(image("RGB"), "GIF"), 6, b"\xff\xff\xff\xff")),
        ("ppm bomb", ".ppm", lambda: b"P6 99999 99999 255\n"),
        ("tiff bomb", ".tif", lambda: _tiff_bomb()),
    ]:
        wrong(name, suffix, build, "megapixels")
    return cases


def _floats() -> Image.Image:
    values = photo(23, 17, 1)[..., 0].astype(np.float32) * 100 - 5000
    values[0, 0], values[1, 1] = np.nan, np.inf
    return Image.fromarray(values)


def _truncated(kind: str, share: float) -> bytes:
    noise = np.random.default_rng(0).integers(0, 256, (60, 70, 3), dtype=np.uint8)
    return _part(saved(Image.fromarray(noise), kind), share)


def _rubbish_png() -> bytes:
    header = struct.pack(">IIBBBBB", 23, 17, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"\xa5" * 99) + chunk(b"IEND", b"")


def _rubbish_avif() -> bytes:
    data = saved(image("RGB"), "AVIF")
    return _changed(data, data.index(b"mdat") + 4, b"\xa5" * 30)


def _rubbish_tiff() -> bytes:
    data = saved(image("RGB"), "TIFF", compression="tiff_adobe_deflate")
    at = data.index(b"\x78\x9c") if b"\x78\x9c" in data else data.index(b"\x78")
    return _changed(data, at, b"\xff" * 60)


def _tiff_bomb() -> bytes:
    data = bytearray(raw_tiff(photo(4, 4)))
    for tag in (256, 257):
        at = data.index(struct.pack("<HHI", tag, 4, 1)) + 8
        data[at : at + 4] = struct.pack("<I", 50000)
    return bytes(data)


ODD_PICTURES = _cases()

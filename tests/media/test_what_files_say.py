"""What files say of colours, places and resolution, and what they hold beside the picture."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from stylenorm.errors import PictureError
from stylenorm.media import (
    Metadata,
    Picture,
    encode_picture,
    picture_from_image,
    read_animation,
    read_header,
    read_picture,
    write_big,
)
from tests.media.odd_pictures import chunk, image, photo, png_file, saved
from tests.media.odd_profiles import gamma_curve, rgb_profile
from tests.requirements_met import need

# --- colours

# Columns red, green and blue under D50, as the profiles "Display P3" and "Adobe RGB (1998)" have them.
P3_MATRIX = np.array([[0.51512, 0.29198, 0.1571], [0.24120, 0.69225, 0.06657], [-0.00105, 0.04189, 0.78407]])
ADOBE_MATRIX = np.array(
    [[0.60974, 0.20528, 0.14919], [0.31111, 0.62567, 0.06322], [0.01947, 0.06087, 0.74457]]
)
SRGB_CURVE = b"para\0\0\0\0\0\3\0\0" + b"".join(
    struct.pack(">i", round(value * 65536)) for value in (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
)


def by_littlecms(pixels: np.ndarray, profile: bytes) -> np.ndarray:
    """The oracle: pixels by a profile to sRGB, by LittleCMS."""
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    converted = ImageCms.profileToProfile(
        Image.fromarray(pixels),
        source,
        ImageCms.createProfile("sRGB"),
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        flags=ImageCms.Flags.HIGHRESPRECALC,
    )
    assert converted is not None
    return np.asarray(converted).astype(int)


def cicp(primaries: int, transfer: int, matrix: int = 0, full_range: int = 1) -> bytes:
    return chunk(b"cICP", bytes([primaries, transfer, matrix, full_range]))


@pytest.mark.parametrize(
    ("extra", "profile"),
    [
        (cicp(12, 13), rgb_profile(P3_MATRIX, SRGB_CURVE)),
        (chunk(b"gAMA", struct.pack(">I", 100_000)), None),
    ],
    ids=["Display P3", "linear light"],
)
@pytest.mark.parametrize("bits", [8, 16])
def test_a_png_that_names_its_colors(extra: bytes, profile: bytes | None, bits: int) -> None:
    pixels = photo(23, 17, deep=bits == 16)
    read = read_picture(png_file(pixels, bits=bits, extra=extra))
    eight = (pixels // 257).astype(np.uint8) if bits == 16 else pixels
    if profile is None:  # the definition of sRGB
        light = pixels / (65535 if bits == 16 else 255)
        small = light <= 0.0031308
        expected = np.where(small, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055) * 255
    else:
        expected = by_littlecms(eight, profile)
    found = read.pixels / (257 if bits == 16 else 1)
    assert np.abs(found - expected).max() <= (1 if profile is None else 3 if bits == 8 else 6)
    assert read.pixels.dtype == (np.uint16 if bits == 16 else np.uint8)
    assert read.notes == ()


@pytest.mark.parametrize(
    "extra",
    [
        cicp(1, 13),
        cicp(1, 1),
        cicp(2, 2),
        chunk(b"gAMA", struct.pack(">I", 45455)),
        chunk(b"gAMA", struct.pack(">I", 45455))
        + chunk(b"cHRM", struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)),
        chunk(b"gAMA", struct.pack(">I", 100_000)) + chunk(b"sRGB", b"\0"),
        chunk(b"gAMA", bytes(4)),
    ],
)
def test_a_png_in_srgb_stays_as_it_is(extra: bytes) -> None:
    pixels = photo(23, 17)
    assert np.array_equal(read_picture(png_file(pixels, extra=extra)).pixels, pixels)


@pytest.mark.parametrize(("transfer", "name"), [(16, "PQ"), (18, "HLG")])
def test_high_dynamic_range(transfer: int, name: str) -> None:
    # of diffuse white (BT.2408, table 1): 58 % of PQ's range, 75 % of HLG's; black is black
    white = {16: 0.5807, 18: 0.75}[transfer]
    levels = np.array([0.0, white, 1.0])
    pixels = np.repeat(np.rint(levels * 65535).astype(np.uint16)[None, :, None], 3, axis=2)
    read = read_picture(png_file(pixels, bits=16, extra=cicp(9, transfer)))
    assert np.abs(read.pixels[0].astype(int) - np.array([[0], [65535], [65535]])).max() < 300
    assert [f"({name})" in note for note in read.notes] == [True]


@pytest.mark.parametrize("extra", [cicp(12, 13, matrix=1), cicp(77, 13), cicp(1, 77)])
def test_colors_that_nobody_knows_are_noted(extra: bytes) -> None:
    pixels = photo(23, 17)
    read = read_picture(png_file(pixels, extra=extra))
    assert np.array_equal(read.pixels, pixels)
    assert "taken as sRGB" in read.notes[0]


def exif_space(space: int, index: str) -> bytes:
    """An EXIF block of three directories by hand: main, details, interoperability."""
    details_at, interoperability_at = 8 + 2 + 12 + 4, 8 + 2 + 12 + 4 + 2 + 24 + 4
    main = struct.pack("<HHHIII", 1, 0x8769, 4, 1, details_at, 0)
    details = struct.pack("<HHHIHHHHIII", 2, 0xA001, 3, 1, space, 0, 0xA005, 4, 1, interoperability_at, 0)
    interoperability = struct.pack("<HHHI4sI", 1, 1, 2, 4, index.encode().ljust(4, b"\0"), 0)
    return b"Exif\0\0II*\0" + struct.pack("<I", 8) + main + details + interoperability


@pytest.mark.parametrize(("space", "index"), [(65535, "R03"), (2, "")])
def test_adobe_rgb_by_exif(space: int, index: str) -> None:
    data = saved(image("RGB"), "JPEG", exif=exif_space(space, index), quality=95)
    with Image.open(io.BytesIO(data)) as opened:
        decoded = np.asarray(opened)
    expected = by_littlecms(decoded, rgb_profile(ADOBE_MATRIX, gamma_curve(563 / 256)))
    read = read_picture(data)
    assert np.abs(read.pixels.astype(int) - expected).max() <= 3
    assert not read.notes
    with_profile = saved(
        image("RGB"), "JPEG", exif=exif_space(space, index), quality=95, icc_profile=rgb_profile()
    )
    assert (
        np.abs(read_picture(with_profile).pixels.astype(int) - by_littlecms(decoded, rgb_profile())).max()
        <= 3
    )


def test_uncalibrated_colors_are_noted() -> None:
    read = read_picture(saved(image("RGB"), "JPEG", exif=exif_space(65535, "")))
    assert read.notes == (
        "the file says that its colours are not sRGB, and not which they are: taken as sRGB",
    )
    assert read_picture(saved(image("RGB"), "JPEG", exif=exif_space(1, ""))).notes == ()


def test_an_avif_that_names_its_colors() -> None:
    plain = saved(Image.fromarray(photo(64, 48)), "AVIF", quality=100, subsampling="4:4:4")
    at = plain.index(b"colrnclx") + 8
    named = plain[:at] + struct.pack(">HH", 12, 13) + plain[at + 4 :]
    with Image.open(io.BytesIO(plain)) as opened:
        decoded = np.asarray(opened.convert("RGB"))
    expected = by_littlecms(decoded, rgb_profile(P3_MATRIX, SRGB_CURVE))
    assert np.abs(read_picture(named).pixels.astype(int) - expected).max() <= 3
    assert np.array_equal(read_picture(plain).pixels, decoded)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
@pytest.mark.parametrize("dpi", [None, (300.0, 300.0)])
def test_big_pictures_say_the_same(tmp_path: Path, kind: str, dpi: tuple[float, float] | None) -> None:
    need("pyvips")
    source = tmp_path / "a.png"
    source.write_bytes(png_file(photo(64, 48), extra=cicp(12, 13)))
    big = read_header(source, max_megapixels=1, keep_gps=False)
    pixels = big.decode(lambda shape, dtype: np.empty(shape, dtype))
    assert np.array_equal(pixels, read_picture(source).pixels)
    target = tmp_path / f"out.{kind.lower()}"
    write_big(pixels, target, format=kind, metadata=Metadata(dpi=dpi))
    again = read_picture(target)
    assert again.metadata.dpi == (None if dpi is None else pytest.approx(dpi, abs=0.1))
    if kind != "JPEG":
        assert np.array_equal(again.pixels, pixels)


# --- places

PLACES = {
    "photoshop:City": "SECRET1",
    "photoshop:State": "SECRET2",
    "photoshop:Country": "SECRET3",
    "Iptc4xmpCore:Location": "SECRET4",
    "Iptc4xmpCore:CountryCode": "SECRET5",
    "exif:GPSAltitude": "SECRET6",
    "drone:GpsLongitude": "SECRET7",
    "drone:AbsoluteAltitude": "SECRET8",
}
KEPT = {"photoshop:Credit": "KEPT1", "Iptc4xmpCore:IntellectualGenre": "KEPT2"}
NAMES = {
    "photoshop": "http://ns.adobe.com/photoshop/1.0/",
    "Iptc4xmpCore": "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/",
    "Iptc4xmpExt": "http://iptc.org/std/Iptc4xmpExt/2008-02-29/",
    "exif": "http://ns.adobe.com/exif/1.0/",
    "drone": "http://www.dji.com/drone-dji/1.0/",
}


def xmp_packet(as_elements: bool) -> bytes:
    said = {**PLACES, **KEPT}
    spaces = " ".join(f'xmlns:{name}="{place}"' for name, place in NAMES.items())
    attributes = "" if as_elements else " ".join(f'{name}="{value}"' for name, value in said.items())
    elements = "".join(f"<{name}>{value}</{name}>" for name, value in said.items()) if as_elements else ""
    elements += (
        '<Iptc4xmpExt:LocationCreated><rdf:Bag><rdf:li rdf:parseType="Resource"><Iptc4xmpExt:City>SECRET9'
        "</Iptc4xmpExt:City></rdf:li></rdf:Bag></Iptc4xmpExt:LocationCreated>"
        '<Iptc4xmpCore:CreatorContactInfo Iptc4xmpCore:CiAdrCity="KEPT3"/>'
    )
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f'<rdf:Description rdf:about="" {spaces} {attributes}>{elements}</rdf:Description></rdf:RDF>'
        "</x:xmpmeta>"
    ).encode()


@pytest.mark.parametrize("as_elements", [False, True])
@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("target", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_places_go_unless_asked_for(as_elements: bool, keep: bool, target: str) -> None:
    data = saved(image("RGB"), "JPEG", xmp=xmp_packet(as_elements))
    written = encode_picture(read_picture(data, keep_gps=keep), target)
    assert (b"SECRET" in written) == keep
    for value in ("KEPT1", "KEPT2", "KEPT3"):
        assert value.encode() in written


def test_nested_xmp_is_left_out(tmp_path: Path) -> None:
    packet = b"<a>" * 20_000 + b"</a>" * 20_000
    data = saved(image("RGB"), "JPEG")
    segment = b"http://ns.adobe.com/xap/1.0/\0" + packet[:60_000]
    data = data[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + data[2:]
    read = read_picture(data)
    assert read.metadata.xmp == b""
    assert "the XMP packet is broken and was left out" in read.notes


# --- resolution


def tiff_of(tags: dict[int, Any]) -> bytes:
    """An uncompressed RGB TIFF with what Pillow's writer always adds left out."""
    pixels = np.asarray(image("RGB"))
    directory = ImageFileDirectory_v2()
    about = {
        256: 23,
        257: 17,
        258: (8, 8, 8),
        259: 1,
        262: 2,
        273: (0,),
        277: 3,
        278: 17,
        279: (pixels.nbytes,),
    }
    for tag, value in {**about, **tags}.items():
        directory[tag] = value
    directory.tagtype[273] = directory.tagtype[279] = 4
    return b"II*\0" + struct.pack("<I", 8) + directory.tobytes(8) + pixels.tobytes()


@pytest.mark.parametrize(
    ("data", "dpi"),
    [
        (lambda: tiff_of({}), None),
        (lambda: tiff_of({282: 300.0, 283: 300.0, 296: 1}), None),
        (lambda: tiff_of({282: 300.0, 283: 200.0, 296: 2}), (300.0, 200.0)),
        (lambda: tiff_of({282: 100.0, 283: 100.0, 296: 3}), (254.0, 254.0)),
        (lambda: saved(image("RGB"), "JPEG", exif=exif_space(1, "")), None),
        (lambda: saved(image("RGB"), "JPEG", dpi=(150, 150)), (150.0, 150.0)),
        (lambda: saved(image("RGB"), "PNG"), None),
    ],
)
@pytest.mark.parametrize("target", ["TIFF", "JPEG", "PNG"])
def test_no_resolution_is_made_up(data: Any, dpi: tuple[float, float] | None, target: str) -> None:
    read = read_picture(data())
    assert read.metadata.dpi == dpi
    with Image.open(io.BytesIO(encode_picture(read, target))) as written:
        if target == "TIFF":
            assert (282 in written.tag_v2) == (dpi is not None)  # type: ignore[attr-defined]
        elif dpi is None:  # of a JPEG with EXIF Pillow makes one up
            assert written.info.get("jfif_unit", 0) == 0
            assert target == "JPEG" or "dpi" not in written.info
        else:
            assert np.abs(np.array(written.info["dpi"]) - dpi).max() < 1


# --- what stays behind


def test_gain_maps_iptc_and_second_pictures_are_noted() -> None:
    gain = xmp_packet(False).replace(
        b'rdf:about=""', b'rdf:about="" xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/"'
    )
    assert "gain map" in read_picture(saved(image("RGB"), "JPEG", xmp=gain)).notes[0]
    iso = b"urn:iso:std:iso:ts:21496:-1\0" + bytes(4)
    data = saved(image("RGB"), "JPEG")
    data = data[:2] + b"\xff\xe2" + struct.pack(">H", len(iso) + 2) + iso + data[2:]
    assert "gain map" in read_picture(data).notes[0]
    iptc = b"8BIM\x04\x04\0\0" + struct.pack(">I", 10) + b"\x1c\x02\x5a\0\x05Paris"
    segment = b"Photoshop 3.0\0" + iptc
    data = saved(image("RGB"), "JPEG")
    data = data[:2] + b"\xff\xed" + struct.pack(">H", len(segment) + 2) + segment + data[2:]
    read = read_picture(data)
    assert "IPTC" in read.notes[0]
    assert b"Paris" not in encode_picture(read, "JPEG")
    two = saved(image("RGB"), "MPO", save_all=True, append_images=[image("RGB"), image("RGB")])
    assert "2 more pictures" in read_picture(two).notes[0]
    assert read_picture(saved(image("RGB"), "JPEG")).notes == ()


# --- GIF


def gif_of(screen: tuple[int, int], frames: list[tuple[tuple[int, int], int, Image.Image]]) -> bytes:
    """A GIF by hand: of each frame its place, its disposal, and a picture of palette (index 0 is a hole)."""
    parts = [b"GIF89a" + struct.pack("<HHBBB", *screen, 0xF0, 1, 0) + b"\xff\x00\xff\x00\xff\x00"]
    for (left, top), disposal, frame in frames:
        alone = io.BytesIO()
        frame.save(alone, "GIF", interlace=0, optimize=False)
        data = alone.getvalue()
        table = data[13 : 13 + (3 << (data[10] & 7) + 1)]
        at = 13 + len(table)
        while data[at] == 0x21:
            at += 2
            while data[at]:
                at += 1 + data[at]
            at += 1
        width, height = frame.size
        parts.append(b"\x21\xf9\x04" + struct.pack("<BHBB", disposal << 2 | 1, 7, 0, 0))
        flags = 0x80 | data[10] & 7
        parts.append(
            struct.pack("<BHHHHB", 0x2C, left, top, width, height, flags) + table + data[at + 10 : -1]
        )
    return b"".join(parts) + b";"


RED, BLUE = 1, 2


def flat(size: tuple[int, int], index: int, hole: tuple[int, int, int, int] | None = None) -> Image.Image:
    frame = Image.new("P", size, index)
    frame.putpalette([0, 0, 0, 255, 0, 0, 0, 0, 255] + [9] * 759)
    if hole is not None:
        frame.paste(0, hole)
    return frame


def test_what_a_frame_takes_away_is_clear() -> None:
    data = gif_of(
        (6, 4),
        [
            ((0, 0), 2, flat((6, 4), RED)),
            ((0, 0), 1, flat((6, 4), BLUE, hole=(1, 1, 3, 3))),
            ((4, 0), 3, flat((2, 2), RED)),
            ((0, 3), 1, flat((1, 1), RED)),
        ],
    )
    first, second, third, fourth = list(read_animation(data))
    assert first.alpha is None
    assert first.duration_ms == 70
    assert (first.pixels == (255, 0, 0)).all()
    hole = np.zeros((4, 6), bool)
    hole[1:3, 1:3] = True
    for frame in (second, third, fourth):
        assert frame.alpha is not None
        assert np.array_equal(frame.alpha == 0, hole)
    corner = np.zeros((4, 6), bool)
    corner[:2, 4:] = True
    blue = (second.pixels == (0, 0, 255)).all(axis=2)
    assert (blue | hole).all()
    assert np.array_equal((third.pixels == (255, 0, 0)).all(axis=2), corner)
    only = np.zeros((4, 6), bool)
    only[3, 0] = True
    assert np.array_equal((fourth.pixels == (255, 0, 0)).all(axis=2), only)  # the corner was put back


def test_a_frame_larger_than_the_screen() -> None:
    data = gif_of((2, 2), [((0, 0), 1, flat((2, 2), RED)), ((1, 1), 1, flat((4, 3), BLUE))])
    animation = read_animation(data)
    assert (animation.width, animation.height, len(animation)) == (5, 4, 2)
    first, second = list(animation)
    assert first.alpha is not None
    assert np.array_equal(first.alpha > 0, np.pad(np.ones((2, 2), bool), ((0, 2), (0, 3))))
    assert (second.pixels[1:, 1:] == (0, 0, 255)).all()
    with pytest.raises(PictureError, match="megapixels"):
        read_animation(
            gif_of((2, 2), [((0, 0), 1, flat((2, 2), RED)), ((65000, 65000), 1, flat((4, 3), BLUE))])
        )


# --- planes


@pytest.mark.parametrize("compression", [1, 8], ids=["raw", "deflated"])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("extra", [None, 1, 2], ids=["RGB", "premultiplied", "straight"])
@pytest.mark.parametrize("rows", [17, 5])
def test_planes_of_16_bits(compression: int, order: str, extra: int | None, rows: int) -> None:
    count = 3 if extra is None else 4
    pixels = photo(23, 17, count, deep=True)
    if count == 4:
        pixels[..., 3] |= 0x8000
    stored = pixels
    if extra == 1:
        alpha = pixels[..., 3:].astype(float) / 65535
        stored = np.concatenate([np.rint(pixels[..., :3] * alpha), pixels[..., 3:]], axis=2).astype(np.uint16)
    strips = [
        stored[top : top + rows, :, plane].astype(f"{order}u2").tobytes()
        for plane in range(count)
        for top in range(0, 17, rows)
    ]
    strips = [zlib.compress(strip) for strip in strips] if compression == 8 else strips
    directory = ImageFileDirectory_v2(b"II*\0" + bytes(4) if order == "<" else b"MM\0*" + bytes(4))
    offsets = tuple(int(value) for value in np.cumsum([0, *(len(strip) for strip in strips[:-1])]))
    about = {
        256: 23,
        257: 17,
        258: (16,) * count,
        259: compression,
        262: 2,
        273: offsets,
        277: count,
        278: rows,
    }
    about |= {279: tuple(len(strip) for strip in strips), 284: 2}
    if extra is not None:
        about[338] = extra
    for tag, value in about.items():
        directory[tag] = value
    directory.tagtype[273] = directory.tagtype[279] = 4
    magic = b"II*\0" if order == "<" else b"MM\0*"
    data = magic + struct.pack(f"{order}I", 8) + directory.tobytes(8) + b"".join(strips)
    read = read_picture(data)
    assert read.pixels.dtype == np.uint16
    assert np.abs(read.pixels.astype(int) - pixels[..., :3]).max() <= (2 if extra == 1 else 0)
    if extra is not None:
        assert read.alpha is not None
        assert np.array_equal(read.alpha, pixels[..., 3])


# --- files that end early


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}])
@pytest.mark.parametrize("missing", [1, 2])
def test_a_jpeg_without_its_end_mark(options: dict[str, Any], missing: int) -> None:
    whole = saved(image("RGB", 120, 90), "JPEG", quality=95, **options)
    read = read_picture(whole[:-missing])
    assert np.array_equal(read.pixels, read_picture(whole).pixels)
    assert read.notes == ("the file lacks its end, and nothing of the picture",)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_file_that_was_cut_off(kind: str) -> None:
    whole = saved(Image.fromarray(photo(320, 240)), kind)
    cut = whole[: len(whole) // 2]
    with pytest.raises(PictureError, match="a truncated one"):
        read_picture(cut)
    read = read_picture(cut, allow_truncated=True)
    assert read.notes == ("the file was cut off: what is missing is blank",)
    assert np.array_equal(read.pixels[:64], read_picture(whole).pixels[:64])
    with pytest.raises(PictureError):
        read_picture(cut)  # nothing stays switched on
    with pytest.raises(PictureError):
        read_picture(whole[:20], allow_truncated=True)


def test_pictures_in_memory_still_read() -> None:
    assert np.array_equal(picture_from_image(image("RGB")).pixels, np.asarray(image("RGB")))
    assert isinstance(Picture(np.zeros((2, 2, 3), np.uint8)), Picture)

"""Metadata: kept, but for what would be untrue or unsafe."""

from __future__ import annotations

import io
import struct

import pytest
from PIL import ExifTags, Image, PngImagePlugin, TiffImagePlugin

from stylenorm.media import Metadata, Picture, encode_picture, read_picture
from tests.media.odd_pictures import image, photo, saved

XMP = (
    b'<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
    b'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
    b'xmlns:tiff="http://ns.adobe.com/tiff/1.0/" xmlns:e="http://ns.adobe.com/exif/1.0/" '
    b'xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:xmp="http://ns.adobe.com/xap/1.0/" '
    b'xmlns:GDepth="http://ns.google.com/photos/1.0/depthmap/" GDepth:Data="AAAA" '
    b'tiff:Orientation="6" e:GPSLatitude="48,51.5N" xmp:Rating="4"><tiff:Orientation>6</tiff:Orientation>'
    b"<e:GPSLongitude>2,21E</e:GPSLongitude><e:PixelXDimension>23</e:PixelXDimension>"
    b"<xmp:Thumbnails>SECRET</xmp:Thumbnails><dc:title>Caf\xc3\xa9</dc:title></rdf:Description></rdf:RDF></x:xmpmeta>"
    b'<?xpacket end="w"?>'
)


def exif_block(*, sizes: bool = True) -> bytes:
    exif = Image.Exif()
    exif[0x010E], exif[0x010F], exif[0x013B], exif[0x0112] = "a walk", "Maker", "Ann", 6
    exif[0x8298] = "(c) Ann"
    if sizes:  # in a TIFF they would be those of the picture itself
        exif[0x0100], exif[0x0101] = 4000, 3000
    exif[ExifTags.IFD.Exif] = {
        0x9003: "2026:01:02 03:04:05",
        0x829A: 0.01,
        0xA002: 4000,
        0xA003: 3000,
        0xA001: 65535,
        0x927C: b"maker notes with a place",
    }
    exif[ExifTags.IFD.GPSInfo] = {1: "N", 2: (48.0, 51.0, 30.0), 3: "E", 4: (2.0, 21.0, 0.0)}
    return exif.tobytes()


def exif_of(data: bytes) -> Image.Exif:
    with Image.open(io.BytesIO(data)) as opened:
        opened.load()
        return opened.getexif()


@pytest.mark.parametrize("source", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("target", ["jpeg", "png", "webp", "tiff", "avif"])
def test_exif_goes_along(source: str, target: str) -> None:
    picture = read_picture(saved(image("RGB"), source, exif=exif_block(sizes=source != "TIFF")))
    exif = exif_of(encode_picture(picture, target))
    assert exif[0x010E] == "a walk"
    assert exif[0x013B] == "Ann"
    assert exif[0x8298] == "(c) Ann"
    assert exif.get(0x0112, 1) == 1
    assert exif.get(0x0100) in (None, 17)
    assert not exif.get_ifd(ExifTags.IFD.GPSInfo)
    assert not exif.get_ifd(ExifTags.IFD.IFD1)
    details = exif.get_ifd(ExifTags.IFD.Exif)
    if source == "TIFF":  # Pillow's own TIFF has lost them already
        return
    assert details[0x9003] == "2026:01:02 03:04:05"
    assert float(details[0x829A]) == pytest.approx(0.01)
    assert details[0xA001] == 1
    assert not {0xA002, 0xA003, 0x927C} & set(details)


@pytest.mark.parametrize("target", ["jpeg", "png", "webp", "tiff"])
@pytest.mark.parametrize("deep", [False, True])
def test_gps_stays_when_asked(target: str, deep: bool) -> None:
    picture = read_picture(saved(image("RGB"), "JPEG", exif=exif_block()), keep_gps=True)
    if deep:
        picture = picture.repainted(photo(17, 23, deep=True))
    gps = exif_of(encode_picture(picture, target)).get_ifd(ExifTags.IFD.GPSInfo)
    assert [float(part) for part in gps[2]] == [48.0, 51.0, 30.0]


def test_no_byte_of_the_place_is_left() -> None:
    data = saved(image("RGB"), "JPEG", exif=exif_block(), xmp=XMP)
    for target in ("jpeg", "png", "webp", "tiff"):
        written = encode_picture(read_picture(data), target)
        for secret in (b"GPSL", b"48,51.5N", b"maker notes", b"SECRET", b"AAAA"):
            assert secret not in written


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("target", ["jpeg", "png", "webp", "tiff"])
def test_xmp_goes_along(target: str, deep: bool) -> None:
    picture = read_picture(saved(image("RGB"), "JPEG", xmp=XMP))
    assert (picture.width, picture.height) == (17, 23)  # Pillow takes the orientation from XMP too
    if deep:
        picture = picture.repainted(photo(17, 23, deep=True))
    data = encode_picture(picture, target)
    with Image.open(io.BytesIO(data)) as opened:
        opened.load()
        xmp = opened.info.get("xmp", b"") or opened.info.get("XML:com.adobe.xmp", "").encode()
        assert opened.getexif().get(0x0112, 1) == 1
    assert "Café".encode() in xmp
    assert b'xmp:Rating="4"' in xmp
    assert b"xpacket" in xmp
    for gone in (b"Orientation", b"GPS", b"PixelXDimension", b"SECRET", b"AAAA"):
        assert gone not in xmp
    again = read_picture(data)
    assert (again.width, again.height) == (17, 23)


def test_xmp_keeps_gps_when_asked() -> None:
    xmp = read_picture(saved(image("RGB"), "JPEG", xmp=XMP), keep_gps=True).metadata.xmp
    assert b"GPSLatitude" in xmp
    assert b"Orientation" not in xmp


def test_what_the_file_says_of_the_picture_is_kept() -> None:
    words = {0x010D: "name", 0x010E: "walk", 0x010F: "maker", 0x0110: "model", 0x0131: "program"}
    words |= {0x0132: "2026:01:02 03:04:05", 0x013B: "Ann", 0x013C: "host", 0x8298: "(c) Ann"}
    ratings = {0x4746: 4, 0x4749: 75}
    windows = {tag: f"Ž {tag}".encode("utf-16-le") for tag in (0x9C9B, 0x9C9C, 0x9C9D, 0x9C9E, 0x9C9F)}
    said = {**words, **ratings, **windows}
    exif = Image.Exif()
    for tag, value in {**said, 0x0213: 1, 0x9CA0: b"none of them"}.items():
        exif[tag] = value
    found = exif_of(encode_picture(read_picture(saved(image("RGB"), "JPEG", exif=exif)), "jpeg"))
    assert {tag: found[tag] for tag in said} == said
    assert not {0x0213, 0x9CA0} & set(found)


def test_thumbnail_is_dropped() -> None:
    thumbnail = saved(image("RGB", 9, 9), "JPEG")
    # two directories by hand: the second one is the thumbnail's
    first = struct.pack("<HHHIHHI", 1, 0x010F, 2, 4, *struct.unpack("<HH", b"Abc\0"), 26)
    second = struct.pack("<HHHIIHHIII", 2, 0x0201, 4, 1, 56, 0x0202, 4, 1, len(thumbnail), 0)
    block = b"II*\0" + struct.pack("<I", 8) + first + second + thumbnail
    data = saved(image("RGB"), "JPEG", exif=b"Exif\0\0" + block)
    assert data.count(b"\xff\xd8\xff") == 2
    written = encode_picture(read_picture(data), "jpeg")
    assert written.count(b"\xff\xd8\xff") == 1
    assert exif_of(written)[0x010F] == "Abc"


def test_strip_leaves_nothing_but_the_profile() -> None:
    data = saved(image("RGB"), "JPEG", exif=exif_block(), xmp=XMP, comment=b"hello", dpi=(300, 300))
    for target in ("jpeg", "png", "webp", "tiff"):
        written = encode_picture(read_picture(data, keep_gps=True), target, strip=True)
        with Image.open(io.BytesIO(written)) as opened:
            opened.load()
            assert "icc_profile" in opened.info
            assert not {"exif", "xmp", "comment"} & set(opened.info)
            assert not getattr(opened, "text", {})
            assert not set(opened.getexif()) & {0x010E, 0x013B, 0x8298, 0x8825}


def test_resolution_comment_and_texts() -> None:
    jpeg = read_picture(saved(image("RGB"), "JPEG", dpi=(300, 150), comment="héllo".encode()))
    assert jpeg.metadata.dpi == (300, 150)
    with Image.open(io.BytesIO(encode_picture(jpeg, "png"))) as opened:
        assert opened.info["dpi"] == pytest.approx((300, 150), abs=0.02)
        assert opened.text["Comment"] == "héllo"
    with Image.open(io.BytesIO(encode_picture(jpeg, "jpeg"))) as opened:
        assert opened.info["comment"] == "héllo".encode()
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Title", "walk")
    texts.add_itxt("Author", "Žofie")
    texts.add_text("Raw profile type exif", "\nexif\n8\n4578696600000000\n")
    texts.add_text("exif:GPSLatitude", "48/1")
    png = read_picture(saved(image("RGB"), "PNG", pnginfo=texts))
    assert dict(png.metadata.text) == {"Title": "walk", "Author": "Žofie"}
    for picture in (png, png.repainted(photo(23, 17, deep=True))):
        with Image.open(io.BytesIO(encode_picture(picture, "png"))) as opened:
            opened.load()
            assert opened.text == {"Title": "walk", "Author": "Žofie"}


@pytest.mark.parametrize("orientation", range(1, 9))
def test_resolution_turns_with_the_picture(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    expected = (300, 150) if orientation < 5 else (150, 300)
    assert read_picture(saved(image("RGB"), "JPEG", dpi=(300, 150), exif=exif)).metadata.dpi == expected


def test_a_tiff_has_the_resolution_that_it_states() -> None:
    def stated(**tags: object) -> tuple[float, float] | None:
        return read_picture(saved(image("RGB"), "TIFF", **tags)).metadata.dpi

    assert stated() is None
    assert stated(dpi=(300, 150)) == (300, 150)
    of_no_unit = TiffImagePlugin.ImageFileDirectory_v2()
    of_no_unit[282], of_no_unit[283], of_no_unit[296] = 300.0, 150.0, 1
    assert stated(tiffinfo=of_no_unit) is None
    across_alone = TiffImagePlugin.ImageFileDirectory_v2()
    across_alone[282], across_alone[296] = 300.0, 2
    assert stated(tiffinfo=across_alone) is None


def test_iptc_is_noted_whatever_file_it_is_in() -> None:
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Raw profile type IPTC", "\niptc\n       5\n1c025a0000\n")
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[33723] = b"\x1c\x02\x5a\0\x05Paris"
    block = b"Photoshop 3.0\0" + b"8BIM\x04\x04\0\0" + struct.pack(">I", 10) + b"\x1c\x02\x5a\0\x05Paris"
    jpeg = saved(image("RGB"), "JPEG")
    segment = b"\xff\xed" + struct.pack(">H", len(block) + 2) + block
    for data in (
        saved(image("RGB"), "PNG", pnginfo=texts),
        saved(image("RGB"), "TIFF", tiffinfo=tags),
        jpeg[:2] + segment + jpeg[2:],
    ):
        (note,) = read_picture(data).notes
        assert "IPTC" in note
    for kind in ("PNG", "TIFF", "JPEG"):
        assert read_picture(saved(image("RGB"), kind)).notes == ()


def test_a_picture_without_metadata_gets_none() -> None:
    assert read_picture(encode_picture(Picture(photo(5, 4)), "png")).metadata == Metadata()


@pytest.mark.parametrize(
    ("stated", "kept"),
    [
        ((300, 0), None),
        ((0, 300), None),
        ((0.5, 0.5), (0.51, 0.51)),
        ((2e6, 300), None),
        ((300, 2e6), None),
    ],
)
def test_a_resolution_that_none_can_have_is_none(
    stated: tuple[float, float], kept: tuple[float, float] | None
) -> None:
    assert read_picture(saved(image("RGB"), "PNG", dpi=stated)).metadata.dpi == kept

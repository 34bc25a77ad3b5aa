"""Metadata: what a photo's file says, made true and safe for the painting of it."""

from __future__ import annotations

import struct
from typing import Any
from xml.parsers.expat import ExpatError

from PIL import ExifTags, Image

from stylenorm.media.pictures.picture import Metadata

__all__ = ["clean_exif", "clean_xmp", "left_behind", "read_metadata"]

# What is kept of the main block: who, what, when and with what. The rest describes the old file (strips,
# embedded pictures, Photoshop's block with its thumbnail) or is written apart (XMP, profile, resolution).
_KEPT = {
    0x010D,  # document name
    0x010E,  # description
    0x010F,  # make
    0x0110,  # model
    0x0131,  # software
    0x0132,  # date and time
    0x013B,  # artist
    0x013C,  # host computer
    0x4746,  # rating
    0x4749,  # rating in percent
    0x8298,  # copyright
    *range(0x9C9B, 0x9CA0),  # Windows' title, comment, author, keywords, subject
}
_ORIENTATION = 0x0112
# In the EXIF sub-block: sizes, the interoperability block, and the maker's notes, whose inner offsets
# break when moved and which may hold places, faces and serial numbers.
_SUB_DROPPED = {0x927C, 0xA002, 0xA003, 0xA005, 0xEA1C}
_COLOR_SPACE = 0xA001

_XMP_TIFF_DROPPED = {
    "Orientation", "ImageWidth", "ImageLength", "BitsPerSample", "Compression", "PhotometricInterpretation",
    "SamplesPerPixel", "PlanarConfiguration", "XResolution", "YResolution", "ResolutionUnit",
}  # fmt: skip
_XMP_EXIF_DROPPED = {"PixelXDimension", "PixelYDimension", "ColorSpace", "NativeDigest"}
# Namespaces that describe pictures inside or behind the picture: depth, motion, gain map, thumbnails.
_XMP_DROPPED_SPACES = (
    "http://ns.google.com/photos/",
    "http://ns.adobe.com/hdr-gain-map/",
    "http://ns.apple.com/",
    "http://ns.adobe.com/xap/1.0/g/img/",
    "http://ns.adobe.com/camera-raw-settings/",  # would be applied a second time
)
# What says where: the words of IPTC, Photoshop, XMP's media, and programs that follow none of them.
_PLACES = {
    *("city", "state", "provincestate", "province", "country", "countryname", "countrycode", "location"),
    *(
        "sublocation",
        "worldregion",
        "region",
        "locationshown",
        "locationcreated",
        "locationid",
        "locationname",
    ),
    *("shotlocation", "place", "placename", "street", "address", "village", "county"),
}
_PLACE_PARTS = ("gps", "latitude", "longitude", "altitude")
_CREATOR_SPACES = ("http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/",)
_EXIF_SPACES = ("http://ns.adobe.com/exif/1.0/", "http://cipa.jp/exif/1.0/")


def read_metadata(image: Image.Image, *, keep_gps: bool) -> tuple[Metadata, list[str]]:
    """What Pillow found in the file, cleaned.

    Args:
        image: an opened image; for PNG, decoded already, since texts may follow the pixels.
        keep_gps: whether the place where the photo was taken is kept.

    Returns:
        The metadata, and one line for each part that had to be left out.
    """
    notes: list[str] = []
    try:
        exif = clean_exif(image.getexif(), keep_gps=keep_gps)
    except (
        ValueError,
        TypeError,
        LookupError,
        SyntaxError,
        OSError,
        AttributeError,
        ArithmeticError,
        struct.error,
        RecursionError,
    ):
        exif = b""
        notes.append("the EXIF block is broken and was left out")
    packet = image.info.get("xmp", b"")
    if not packet and image.format == "TIFF":
        packet = getattr(image, "tag_v2", {}).get(0x02BC, b"")
    # A TIFF may say that its XMP is a row of numbers, which comes as a tuple.
    packet = packet.encode() if isinstance(packet, str) else bytes(packet)
    xmp = b""
    if packet.strip(b"\0 \r\n\t"):
        try:
            xmp = clean_xmp(packet, keep_gps=keep_gps)
        except (ExpatError, ValueError, LookupError, RecursionError):  # also one of elements in elements
            notes.append("the XMP packet is broken and was left out")
    notes += left_behind(image, packet)
    comment = image.info.get("comment", b"") if image.format in ("JPEG", "MPO", "GIF") else b""
    return (
        Metadata(
            exif=exif,
            xmp=xmp,
            dpi=_dpi(image),
            comment=comment.decode("utf-8", "replace") if isinstance(comment, bytes) else str(comment),
            text=_text(image, keep_gps),
        ),
        notes,
    )


def left_behind(image: Image.Image, xmp: bytes) -> list[str]:
    """What a photo's file holds beside the photo and its metadata, and a painting's does not: one line each.

    Args:
        image: an opened image.
        xmp: its XMP packet as it came.
    """
    found = []
    if b"hdr-gain-map" in xmp or b"HDRGainMap" in xmp or _has_gain_map(image):
        found.append("a gain map (HDR) was left out: the painting is of the picture that SDR screens show")
    if b"GCamera:MotionPhoto" in xmp or b"GCamera:MicroVideo" in xmp:
        found.append("a motion photo: the film in it was left out")
    if image.format == "MPO" and getattr(image, "n_frames", 1) > 1:
        others = getattr(image, "n_frames", 1) - 1
        found.append(
            f"the file holds {others} more {'picture' if others == 1 else 'pictures'} beside the first (for "
            "3D, a preview or HDR), left out"
        )
    if image.info.get("depth_images"):
        found.append("a map of depths was left out")
    bits = image.info.get("bit_depth")
    if image.format == "HEIF" and isinstance(bits, int) and bits > 8:
        found.append(f"{bits} bits a channel were read as 8")
    if _has_iptc(image):
        found.append("IPTC captions and keywords were left out; what XMP and EXIF say is kept")
    return found


def _has_gain_map(image: Image.Image) -> bool:
    if any("gainmap" in str(name).lower() for name in image.info.get("aux") or ()):  # of a HEIC
        return True
    segments = getattr(image, "applist", ())
    return any(name == "APP2" and data.startswith(b"urn:iso:std:iso:ts:21496") for name, data in segments)


def _has_iptc(image: Image.Image) -> bool:
    if image.format == "TIFF":
        return 33723 in getattr(image, "tag_v2", {})
    if image.format == "PNG":
        return any(key.lower() == "raw profile type iptc" for key in getattr(image, "text", {}))
    resources = image.info.get("photoshop")
    return isinstance(resources, dict) and bool(resources.get(0x0404))


def clean_exif(exif: Image.Exif, *, keep_gps: bool) -> bytes:
    """An EXIF block for the painting: upright, sRGB, without thumbnail, maker notes and (by default) GPS.

    Args:
        exif: the photo's block, as Pillow reads it.
        keep_gps: whether the GPS block is kept.

    Returns:
        Bytes that start with ``Exif`` and two zeros; empty if nothing is left to say.
    """
    clean = Image.Exif()
    for tag in _KEPT & set(exif):
        clean[tag] = exif[tag]
    details = {tag: value for tag, value in exif.get_ifd(ExifTags.IFD.Exif).items() if _detail_kept(tag)}
    gps = exif.get_ifd(ExifTags.IFD.GPSInfo) if keep_gps else {}
    if not (len(clean) or details or gps):
        return b""
    clean[_ORIENTATION] = 1
    details[_COLOR_SPACE] = 1
    clean[ExifTags.IFD.Exif] = details
    if gps:
        clean[ExifTags.IFD.GPSInfo] = dict(gps)
    return clean.tobytes()


def clean_xmp(packet: bytes, *, keep_gps: bool) -> bytes:
    """An XMP packet for the painting: without orientation, sizes, embedded pictures and (by default) GPS.

    Args:
        packet: the photo's packet.
        keep_gps: whether what says where the photo was taken is kept: coordinates, city, street.

    Returns:
        The packet, UTF-8.

    Raises:
        ExpatError, ValueError: it is no XML, or declares entities, which no XMP needs and bombs are made of.
    """
    from xml.dom import minidom  # few pictures need it, and each start would pay for it

    packet = packet.strip(b"\0 \r\n\t")
    if b"<!DOCTYPE" in packet or b"<!ENTITY" in packet:
        raise ValueError("an XMP packet may not declare entities")
    document = minidom.parseString(packet)  # noqa: S318 (entities are refused above)
    for element in list(document.getElementsByTagName("*")):
        for attribute in list(element.attributes.values()):
            if _dropped(attribute, keep_gps):
                element.removeAttributeNode(attribute)
        if _dropped(element, keep_gps) and element.parentNode is not None:
            element.parentNode.removeChild(element)
    return b"".join(node.toxml().encode() for node in document.childNodes)


def _detail_kept(tag: int) -> bool:
    return tag not in _SUB_DROPPED and tag in ExifTags.TAGS


def _dropped(node: Any, keep_gps: bool) -> bool:
    space, name = node.namespaceURI or "", node.localName or ""
    if not keep_gps and _is_place(space, name):
        return True
    if space.startswith(_XMP_DROPPED_SPACES) or name in ("Thumbnails", "HasExtendedXMP"):
        return True
    if space == "http://ns.adobe.com/tiff/1.0/":
        return name in _XMP_TIFF_DROPPED
    return space in _EXIF_SPACES and name in _XMP_EXIF_DROPPED


def _is_place(space: str, name: str) -> bool:
    """Whether a property, or a text of a PNG, says where a photo was taken, in whichever program's words."""
    lowered = name.lower()
    if space in _CREATOR_SPACES and lowered.startswith("ciadr"):
        return False  # where to reach the photographer
    return lowered in _PLACES or any(part in lowered for part in _PLACE_PARTS) or lowered.startswith("geo")


def _text(image: Image.Image, keep_gps: bool) -> tuple[tuple[str, str], ...]:
    kept = []
    for key, value in getattr(image, "text", {}).items() if image.format == "PNG" else ():
        # ImageMagick repeats EXIF and XMP as texts: the raw blocks would undo the cleaning
        lowered = key.lower()
        if lowered.startswith(("raw profile type", "xml:com.adobe.xmp", "png:", "date:")):
            continue
        if lowered.startswith(("exif:orientation", "exif:thumbnail")):
            continue
        if not keep_gps and _is_place("", lowered.rpartition(":")[2]):
            continue
        kept.append((key, str(value)))
    return tuple(kept)


def _dpi(image: Image.Image) -> tuple[float, float] | None:
    """The resolution that the file states; Pillow makes one up where it states none."""
    if image.format == "TIFF":
        tags = getattr(image, "tag_v2", {})
        if 282 not in tags or 283 not in tags or tags.get(296) == 1:  # 1: of no unit
            return None
    if image.format in ("JPEG", "MPO") and image.info.get("jfif_unit") not in (1, 2):
        try:
            exif = image.getexif()
            stated = 0x011A in exif and exif.get(0x0128) != 1
        except (ValueError, TypeError, LookupError, SyntaxError, OSError, AttributeError, struct.error):
            return None
        if not stated:
            return None
    try:
        x, y = (float(each) for each in image.info.get("dpi") or ())
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return (round(x, 2), round(y, 2)) if 0 < x < 1e6 and 0 < y < 1e6 else None

"""Metadata: what a photo's file says, made true and safe for the painting of it."""

from __future__ import annotations

import struct
from typing import Any
from xml.parsers.expat import ExpatError

from PIL import ExifTags, Image

from stylenorm.media.pictures.picture import Metadata

__all__ = ["clean_exif", "clean_xmp", "read_metadata"]

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
    if isinstance(packet, tuple):  # a TIFF that says its XMP is a row of bytes
        packet = bytes(packet)
    packet = packet.encode() if isinstance(packet, str) else bytes(packet)
    xmp = b""
    if packet.strip(b"\0 \r\n\t"):
        try:
            xmp = clean_xmp(packet, keep_gps=keep_gps)
        except (ExpatError, ValueError, LookupError, RecursionError):  # also one of elements in elements
            notes.append("the XMP packet is broken and was left out")
    comment = image.info.get("comment", b"") if image.format in ("JPEG", "MPO", "GIF") else b""
    return (
        Metadata(
            exif=exif,
            xmp=xmp,
            dpi=_dpi(image.info.get("dpi")),
            comment=comment.decode("utf-8", "replace") if isinstance(comment, bytes) else str(comment),
            text=_text(image, keep_gps),
        ),
        notes,
    )


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
        keep_gps: whether the ``exif:GPS...`` properties are kept.

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
    if space.startswith(_XMP_DROPPED_SPACES) or name in ("Thumbnails", "HasExtendedXMP"):
        return True
    if space == "http://ns.adobe.com/tiff/1.0/":
        return name in _XMP_TIFF_DROPPED
    if space in _EXIF_SPACES:
        return name in _XMP_EXIF_DROPPED or (name.startswith("GPS") and not keep_gps)
    return False


def _text(image: Image.Image, keep_gps: bool) -> tuple[tuple[str, str], ...]:
    kept = []
    for key, value in getattr(image, "text", {}).items() if image.format == "PNG" else ():
        # ImageMagick repeats EXIF and XMP as texts: the raw blocks would undo the cleaning
        lowered = key.lower()
        if lowered.startswith(("raw profile type", "xml:com.adobe.xmp", "png:", "date:")):
            continue
        if lowered.startswith(("exif:orientation", "exif:thumbnail")):
            continue
        if lowered.startswith("exif:gps") and not keep_gps:
            continue
        kept.append((key, str(value)))
    return tuple(kept)


def _dpi(value: Any) -> tuple[float, float] | None:
    try:
        x, y = (float(each) for each in value)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return (round(x, 2), round(y, 2)) if 0 < x < 1e6 and 0 < y < 1e6 else None

"""Kinds of pictures that are not read: how to tell them, and what helps."""

from __future__ import annotations

import struct
from pathlib import Path

from stylenorm.media.pictures.plugins import plugin_for_head, plugin_for_name

__all__ = ["HEAD_BYTES", "PICTURE_KINDS", "advice_on_kind", "described", "looks_like_picture"]

HEAD_BYTES = 64
"""How much of a file's beginning tells its kind."""

_CAMERAS = (
    *(".3fr", ".ari", ".arw", ".bay", ".cr2", ".cr3", ".crw", ".dcr", ".dng", ".erf", ".fff", ".gpr"),
    *(".iiq", ".k25", ".kdc", ".mef", ".mos", ".mrw", ".nef", ".nrw", ".orf", ".pef", ".ptx", ".raf", ".raw"),
    *(".rw2", ".rwl", ".sr2", ".srf", ".srw", ".x3f"),
)
_EDITORS = (".psd", ".psb", ".xcf", ".kra", ".ora", ".clip", ".afphoto", ".pdn", ".sketch", ".procreate")
_DRAWINGS = (".svg", ".svgz", ".eps", ".ai", ".cdr", ".wmf", ".emf")
_OTHERS = (
    *(".ico", ".cur", ".icns", ".dds", ".exr", ".hdr", ".sgi", ".rgb", ".rgba", ".bw", ".ras", ".sun"),
    *(".xbm", ".xpm", ".fits", ".dcm", ".dcx", ".pcd", ".pict", ".pct", ".jxr", ".wdp", ".hdp", ".bpg"),
    *(
        ".flif",
        ".jls",
        ".jph",
        ".jhc",
        ".ktx",
        ".ktx2",
        ".pvr",
        ".blp",
        ".ftex",
        ".mng",
        ".jng",
        ".fli",
        ".flc",
    ),
    *(".heic", ".heics", ".heif", ".heifs", ".hif", ".jxl"),
)
_AS_JPEG = "export them as JPEG or TIFF"
_AS_PNG = "export them as PNG or TIFF"
_DRAWN = "export them as PNG"
PICTURE_KINDS: dict[str, str] = {
    **dict.fromkeys(_CAMERAS, _AS_JPEG),
    **dict.fromkeys(_EDITORS, _AS_PNG),
    **dict.fromkeys(_DRAWINGS, _DRAWN),
    **dict.fromkeys(_OTHERS, _AS_PNG),
}
"""Suffixes of pictures that are not read, each with what helps."""

# What a file of one of the kinds that are read begins with.
_READ_HEADS = (
    *(b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
    *(b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51", b"qoif"),
)
_BROKEN = {
    b"\xff\xd8": "JPEG",
    b"\x89PNG": "PNG",
    b"GIF8": "GIF",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "BigTIFF",
    b"MM\0+": "BigTIFF",
    b"qoif": "QOI",
    b"\xff\x4f\xff\x51": "JPEG 2000",
    b"\0\0\0\x0cjP  ": "JPEG 2000",
}
_UNREAD = {
    b"8BPS": "a Photoshop file; export it as PNG or TIFF first",
    b"gimp xcf": "a GIMP file; export it as PNG or TIFF first",
    b"%!PS": "PostScript (EPS); export it as PNG first",
    b"\xc5\xd0\xd3\xc6": "PostScript (EPS); export it as PNG first",
    b"%PDF": "a PDF; export the page or the picture in it as PNG first",
    b"DDS ": "a DDS texture; save it as PNG first",
    b"\0\0\x01\0": "an icon (ICO); save it as PNG first",
    b"\0\0\x02\0": "a cursor (CUR); save it as PNG first",
    b"icns": "an icon (ICNS); save it as PNG first",
    b"\x76\x2f\x31\x01": "OpenEXR; save it as a 16-bit TIFF or PNG first",
    b"#?RADIANCE": "Radiance HDR; save it as a 16-bit TIFF or PNG first",
    b"#?RGBE": "Radiance HDR; save it as a 16-bit TIFF or PNG first",
    b"SIMPLE  =": "FITS; save it as a 16-bit TIFF or PNG first",
    b"\x01\xda": "an SGI picture; save it as PNG first",
    b"II\xbc": "JPEG XR; save it as PNG first",
    b"BPG\xfb": "BPG; save it as PNG first",
    b"FLIF": "FLIF; save it as PNG first",
    b"FOVb": "a raw photo of a Sigma camera; develop it, and save it as JPEG or TIFF",
    b"FUJIFILMCCD-RAW": "a raw photo of a Fujifilm camera; develop it, and save it as JPEG or TIFF",
    b"IIRO": "a raw photo of an Olympus camera; develop it, and save it as JPEG or TIFF",
    b"IIRS": "a raw photo of an Olympus camera; develop it, and save it as JPEG or TIFF",
    b"IIU\0": "a raw photo of a Panasonic camera; develop it, and save it as JPEG or TIFF",
    b"\0MRM": "a raw photo of a Minolta camera; develop it, and save it as JPEG or TIFF",
    b"II\x1a\0\0\0HEAPCCDR": "a raw photo of a Canon camera; develop it, and save it as JPEG or TIFF",
    b"PK\x03\x04": "an archive; take the picture out of it first",
    b"\x1f\x8b": "an archive; take the picture out of it first",
    b"7z\xbc\xaf": "an archive; take the picture out of it first",
    b"Rar!": "an archive; take the picture out of it first",
    b"<svg": "an SVG drawing; export it as PNG first",
    b"\xd7\xcd\xc6\x9a": "a Windows metafile (WMF); export it as PNG first",
    b"\x59\xa6\x6a\x95": "a Sun raster picture; save it as PNG first",
    b"/* XPM": "an XPM icon; save it as PNG first",
    b"AT&TFORM": "DjVu; export the page as PNG first",
    b"\xabKTX": "a KTX texture; save it as PNG first",
    b"BLP1": "a BLP texture; save it as PNG first",
    b"BLP2": "a BLP texture; save it as PNG first",
    b"\x8aMNG": "MNG; save it as PNG or GIF first",
    b"\x8bJNG": "JNG; save it as PNG first",
    b"\x93NUMPY": "a NumPy array; save it as PNG, or pass the array to stylenorm.Stylizer",
}
_RAW_PHOTO = "a raw photo; develop it, and save it as JPEG or TIFF"


def advice_on_kind(suffix: str) -> str:
    """What helps with files of a suffix that are not read; for several of them.

    >>> advice_on_kind(".svg")
    'export them as PNG'
    """
    plugin = plugin_for_name(f"x{suffix}")
    if plugin is not None:
        return f"{plugin.kind}: {plugin.install}"
    return PICTURE_KINDS.get(suffix, "pictures by their content: name them, or give them a suffix")


def looks_like_picture(path: Path) -> bool:
    """Whether a file without a picture's suffix is one of a kind that is read, by how it begins."""
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except OSError:
        return False
    return (
        head.startswith(_READ_HEADS)
        or (head[:4] == b"RIFF" and head[8:12] == b"WEBP")
        or head[4:12] in (b"ftypavif", b"ftypavis")
        or plugin_for_head(head) is not None
    )


def described(head: bytes, name: str = "") -> str:
    """What a file that is no picture that can be read seems to be, and what to do.

    Args:
        head: its first bytes, `HEAD_BYTES` of them.
        name: its name, since many raw photos begin as any TIFF.
    """
    plugin = plugin_for_head(head)
    if plugin is not None:
        return (
            f"{plugin.kind} that is damaged or of a kind that is not read; save it anew, as JPEG"
            if plugin.installed
            else f"{plugin.kind}, which is not read without another package: {plugin.install}, or save it as "
            "JPEG first"
        )
    if name.lower().endswith(_CAMERAS) or head[4:12] == b"ftypcrx ":
        return _RAW_PHOTO
    for magic, what in _UNREAD.items():
        if head.startswith(magic):
            return what
    for magic, kind in _BROKEN.items():
        if head.startswith(magic):
            return _damaged(kind)
    if head[:4] == b"RIFF":
        return _damaged("WebP") if head[8:12] == b"WEBP" else "a sound or a film (RIFF)"
    if (
        head[:2] == b"BM"
        and len(head) >= 18
        and struct.unpack_from("<I", head, 14)[0] in (12, 40, 56, 108, 124)
    ):
        return _damaged("BMP")
    if head[4:8] == b"ftyp":
        return _damaged("AVIF") if b"avi" in head[8:] else "a film or another MP4-like file"
    if head[128:132] == b"DICM" or name.lower().endswith(".dcm"):
        return "a DICOM scan; 'stylenorm segment' takes NIfTI, and pictures are PNG or JPEG"
    if head.lstrip()[:5] in (b"<svg ", b"<?xml") or head.lstrip()[:1] == b"<":
        return "XML, SVG or HTML; if it is a drawing, export it as PNG first"
    # the head may end within a character of several bytes
    text = head.decode("utf-8", "replace").rstrip("\ufffd")
    if all((char.isprintable() and char != "\ufffd") or char in "\t\r\n\ufeff" for char in text):
        return "text"
    return "something else, or a picture whose beginning is damaged"


def _damaged(kind: str) -> str:
    return f"a {kind} that is damaged or of a kind that is not read; save it anew, as RGB in 8 bits"

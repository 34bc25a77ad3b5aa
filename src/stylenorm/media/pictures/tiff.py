"""TIFF with all that a picture has (TIFF 6.0).

Pillow's writer holds no 16-bit colours, and loses EXIF details and XMP when it compresses. It does lay out
directories of tags, sub-directories included; the pixels are put behind one.
"""

from __future__ import annotations

import itertools
import struct
import zlib
from typing import Any

from numpy.typing import NDArray
from PIL import ExifTags, Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from stylenorm.media.pictures.picture import Metadata

__all__ = ["encode_tiff"]

_STRIP_BYTES = 2**18
_ADOBE_DEFLATE = 8
_DIFFERENCES = 2


def encode_tiff(channels: NDArray[Any], metadata: Metadata, icc: bytes | None) -> bytes:
    """Encode a TIFF, little-endian, deflated strips of horizontal differences.

    Args:
        channels: (H, W, C) uint8 or uint16: 1 grey, 2 grey and alpha, 3 RGB, 4 RGBA; straight alpha.
        metadata: what is written beside the pixels.
        icc: the colour profile.

    Returns:
        The file.

    Raises:
        ValueError: the file would pass the 4 GB that a TIFF can hold.
    """
    height, width, count = channels.shape
    rows_per_strip = max(1, min(height, _STRIP_BYTES // (width * count * channels.itemsize)))
    strips = []
    for first in range(0, height, rows_per_strip):
        strip = channels[first : first + rows_per_strip]
        differences = strip.astype(strip.dtype.newbyteorder("<"))  # a copy
        differences[:, 1:] -= strip[:, :-1]
        strips.append(zlib.compress(differences.tobytes(), 1))
    lengths = [len(strip) for strip in strips]
    if sum(lengths) > 2**32 - 2**24:
        raise ValueError("larger than the 4 GB that a TIFF file can hold; write a PNG")

    tags = ImageFileDirectory_v2()
    _describe(tags, metadata, icc)
    for tag, value in {
        256: width,
        257: height,
        258: (channels.itemsize * 8,) * count,
        259: _ADOBE_DEFLATE,
        262: 2 if count >= 3 else 1,
        # from the end of the directory, to which Pillow adds where that is
        273: tuple(itertools.accumulate(lengths[:-1], initial=0)),
        277: count,
        278: rows_per_strip,
        279: tuple(lengths),
        317: _DIFFERENCES,
    }.items():
        tags[tag] = value
    if count in (2, 4):
        tags[338] = 2  # the extra channel is straight alpha
    # counts and places of strips fit in short numbers only in small files
    tags.tagtype[273] = tags.tagtype[279] = 4
    directory = tags.tobytes(8)
    return b"".join((b"II*\0", struct.pack("<I", 8), directory, *strips))


def _describe(tags: ImageFileDirectory_v2, metadata: Metadata, icc: bytes | None) -> None:
    exif = Image.Exif()
    if metadata.exif:
        exif.load(metadata.exif)
    blocks = (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo)
    for tag, value in exif.items():
        if tag not in blocks:
            tags[tag] = value
    for block in blocks:
        if content := exif.get_ifd(block):
            tags[block] = dict(content)
    tags[274] = 1
    if metadata.dpi is not None:
        tags[282], tags[283] = metadata.dpi
        tags[296] = 2
    extra: dict[int, Any] = {700: metadata.xmp, 34675: icc}
    for tag, data in extra.items():
        if data:
            tags.tagtype[tag] = 1 if tag == 700 else 7
            tags[tag] = data

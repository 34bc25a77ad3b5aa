"""Pictures that are larger than the memory: decoded into a file, and encoded from one, by libvips.

libvips works demand-driven, strip by strip, in JPEG, PNG and TIFF (tiled and BigTIFF too); pyvips is its
binding (extra ``big``). The small ones, which are nearly all, are read by Pillow
(`stylenorm.media.pictures.reading`).
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stylenorm._moved import old_names
from stylenorm.errors import MissingExtraError, OutputError, PictureError
from stylenorm.media.atomic import atomic_write
from stylenorm.media.formats import format_named
from stylenorm.media.pictures.coded_colors import HEAD_FORMATS, coded_color
from stylenorm.media.pictures.color import srgb_profile
from stylenorm.media.pictures.encoding import check_quality, check_side
from stylenorm.media.pictures.metadata import read_metadata
from stylenorm.media.pictures.opening import Source, decoding, head_of, opened
from stylenorm.media.pictures.picture import Metadata
from stylenorm.media.pictures.profiles import CurveProfile
from stylenorm.media.pictures.resolution import forget_resolution

__all__ = ["BIG_FORMATS", "BigPicture", "read_header", "write_big"]

__getattr__ = old_names(__name__)

BIG_FORMATS = ("JPEG", "PNG", "TIFF")
"""Formats that are written strip by strip."""

# Of a picture in memory while it is read and written whole, in copies of 3 bytes a pixel: Pillow's, the
# pixels, the painting, what is encoded. Measured: 15 for an 8-bit JPEG that becomes a PNG.
_WHOLE_BYTES_PER_PIXEL = 16
_BIGTIFF_BYTES = 3_500_000_000
_ROWS_AT_ONCE = 256


@dataclass(frozen=True)
class BigPicture:
    """What a file's head says.

    Attributes:
        path: the file.
        width, height: before it is turned upright.
        orientation: EXIF's, 1 to 8.
        bytes_in_memory: what reading and writing it whole would take at most.
        metadata: fit for the painting.
        notes: one line for each thing that reading the metadata had to change.
        colors: what the numbers mean, where the file says so without an ICC profile; None for sRGB.
    """

    path: Path
    width: int
    height: int
    orientation: int
    bytes_in_memory: int
    metadata: Metadata
    notes: tuple[str, ...]
    colors: CurveProfile | None = None

    @property
    def upright_size(self) -> tuple[int, int]:
        """Width and height after it was turned upright."""
        return (self.height, self.width) if self.orientation >= 5 else (self.width, self.height)

    def decode(
        self,
        allocate: Callable[[tuple[int, ...], Any], NDArray[Any]],
        progress: Callable[[float], None] = lambda _: None,
    ) -> NDArray[Any]:
        """Decode into an array: (H, W, 3 or 4), uint8 or uint16, upright, sRGB, straight alpha.

        Fully transparent pixels take the mean colour of the visible ones: filling from their neighbours, as
        smaller pictures are, needs the whole picture at once.

        Args:
            allocate: makes the array of a shape and a type; it may be mapped from a file.
            progress: is told how much is decoded, 0..1.

        Raises:
            MissingExtraError: pyvips is not installed.
            PictureError: the file is broken, or of a kind that is not read in parts.
        """
        vips = _import_vips()
        try:
            image = _upright_srgb(vips, self)
            shape = (image.height, image.width, image.bands)
            array = allocate(shape, np.uint8 if image.format == "uchar" else np.uint16)
            region = vips.Region.new(image)
            for top in range(0, image.height, _ROWS_AT_ONCE):
                rows = min(_ROWS_AT_ONCE, image.height - top)
                strip = np.frombuffer(region.fetch(0, top, image.width, rows), array.dtype)
                array[top : top + rows] = strip.reshape(rows, *shape[1:])
                if self.colors is not None and shape[2] >= 3:
                    colors = array[top : top + rows, :, :3]
                    colors[...] = self.colors.to_srgb(np.ascontiguousarray(colors))
                progress((top + rows) / image.height)
        except vips.Error as error:
            reason = " ".join(str(error).split())[:160]
            raise PictureError(f"{self.path}: expected a picture, got a broken one ({reason})") from error
        _fill_hidden(array)
        return array


def read_header(path: Path, *, max_megapixels: float, keep_gps: bool) -> BigPicture:
    """Read a file's head, without decoding.

    Raises:
        PictureError: it is missing, no picture, or larger than allowed.
    """
    source = Source.of(path, max_megapixels)
    with ExitStack() as stack:
        image = stack.enter_context(opened(source, max_megapixels))
        stack.enter_context(decoding(source.name, max_megapixels))
        noted: list[str] = []
        has_profile = bool(image.info.get("icc_profile"))
        colors = None if has_profile else coded_color(image, head_of(source, HEAD_FORMATS, image), noted)
        if image.format == "PNG":
            image.info.setdefault("exif", b"")  # or Pillow decodes all of it, to look behind the pixels
        metadata, notes = read_metadata(image, keep_gps=keep_gps)
        orientation = image.getexif().get(0x0112, 1)
        deep = 2 if "16" in str(image.mode) + str(getattr(image, "tile", "")) else 1
        return BigPicture(
            path,
            image.width,
            image.height,
            orientation if orientation in range(1, 9) else 1,
            image.width * image.height * _WHOLE_BYTES_PER_PIXEL * deep,
            metadata,
            (*noted, *notes),
            colors,
        )


def write_big(
    pixels: NDArray[Any],
    target: Path,
    *,
    format: str,  # noqa: A002 (as write_picture has it)
    metadata: Metadata,
    quality: int = 95,
    overwrite: bool = False,
    progress: Callable[[float], None] = lambda _: None,
) -> tuple[str, ...]:
    """Encode an array strip by strip; the file appears whole or not at all.

    JPEG at ``quality`` with colours at full resolution; PNG at compression level 1; TIFF in tiles, deflated,
    BigTIFF where it may pass 4 GB. The profile of sRGB is embedded.

    Args:
        pixels: (H, W, 3 or 4) uint8 or uint16, sRGB, straight alpha; may be mapped from a file.
        target: the file.
        format: one of `BIG_FORMATS`.
        metadata: written beside the pixels.
        quality: 1 to 100, for JPEG.
        overwrite: replace a file that is there already.
        progress: is told how much is encoded, 0..1.

    Returns:
        One line for each thing that the format could not hold.

    Raises:
        MissingExtraError: pyvips is not installed.
        OutputError: another format, one that does not hold the size, or the place cannot be written.
    """
    kind = format_named(format)
    check_quality(quality)
    if kind.name not in BIG_FORMATS:
        raise OutputError(
            f"{target}: {kind.name} cannot be written in parts, and the picture does not fit into memory; "
            "write PNG, JPEG or TIFF"
        )
    height, width, bands = pixels.shape
    check_side(kind, width, height)
    vips, notes = _import_vips(), []
    band_format = "uchar" if pixels.dtype == np.uint8 else "ushort"
    image = vips.Image.new_from_memory(pixels.data, width, height, bands, band_format)
    image = image.copy(interpretation="srgb" if band_format == "uchar" else "rgb16")
    if kind.name == "JPEG":
        if bands == 4:
            image = image.flatten(background=255 if band_format == "uchar" else 65535)
            notes.append("JPEG holds no transparency: flattened on white")
        if band_format == "ushort":
            image = (image / 257).rint().cast("uchar").copy(interpretation="srgb")
            notes.append("JPEG holds 8 bits a channel: 16 bits were rounded")
    image = _with_metadata(vips, image, metadata)
    options: dict[str, dict[str, Any]] = {
        "JPEG": {"Q": quality, "subsample_mode": "off"},
        "PNG": {"compression": 1},
        "TIFF": {
            "compression": "deflate",
            "predictor": "horizontal",
            "tile": True,
            "tile_width": 256,
            "tile_height": 256,
            "bigtiff": pixels.nbytes > _BIGTIFF_BYTES,
        },
    }
    image.set_progress(True)
    image.signal_connect("eval", lambda _, about: progress(about.percent / 100))
    try:
        with atomic_write(target, overwrite=overwrite) as file:
            to = vips.Target.new_to_descriptor(file.fileno())
            getattr(image, f"{kind.name.lower()}save_target")(to, **options[kind.name])
            if metadata.dpi is None:  # libvips writes one anyway
                forget_resolution(file, kind.name)
    except vips.Error as error:
        raise OutputError(f"{target}: cannot be written ({' '.join(str(error).split())[:160]})") from error
    return tuple(notes)


def _import_vips() -> Any:
    if importlib.util.find_spec("pyvips") is None:
        raise MissingExtraError("pyvips", "big", "painting a picture larger than the memory")
    import pyvips

    return pyvips


def _upright_srgb(vips: Any, picture: BigPicture) -> Any:
    # to be turned, a picture must be read out of order: libvips then keeps it in a file of its own
    access = "sequential" if picture.orientation in (1, 2) else "random"
    image = vips.Image.new_from_file(str(picture.path), access=access, fail_on="error")
    image = image.autorot()
    deep = image.format in ("ushort", "short", "uint", "int", "float", "double")
    if image.format not in ("uchar", "ushort"):
        raise PictureError(
            f"{picture.path}: expected 8 or 16 bits a channel in a picture of this size, got {image.format}"
        )
    if image.get_typeof("icc-profile-data"):
        image = image.icc_transform(
            "srgb", embedded=True, intent="relative", black_point_compensation=True, depth=16 if deep else 8
        )
    else:
        image = image.colourspace("rgb16" if deep else "srgb")
    if image.bands == 1:
        image = image.bandjoin([image, image])
    return image if image.bands <= 4 else image.extract_band(0, n=4)


def _with_metadata(vips: Any, image: Any, metadata: Metadata) -> Any:
    image = image.copy()
    blobs = {"icc-profile-data": srgb_profile(), "exif-data": metadata.exif, "xmp-data": metadata.xmp}
    for name, value in blobs.items():
        if value:
            image.set_type(vips.GValue.blob_type, name, value)
    if metadata.dpi is None:
        return image
    return image.copy(xres=metadata.dpi[0] / 25.4, yres=metadata.dpi[1] / 25.4)  # pixels a millimetre


def _fill_hidden(array: NDArray[Any]) -> None:
    """Give hidden pixels the mean colour of the visible ones, strip by strip."""
    if array.shape[2] < 4:
        return
    strips = [slice(top, top + _ROWS_AT_ONCE) for top in range(0, len(array), _ROWS_AT_ONCE)]
    total, count = np.zeros(3), 0
    for rows in strips:
        visible = array[rows][array[rows, :, 3] > 0]
        total, count = total + visible[:, :3].sum(axis=0, dtype=np.float64), count + len(visible)
    if count in (0, array.shape[0] * array.shape[1]):
        return
    mean = np.rint(total / count).astype(array.dtype)
    for rows in strips:
        hidden = array[rows, :, 3] == 0
        array[rows, :, :3][hidden] = mean

"""A contact sheet: thumbnails in a grid, each with its name and where it comes from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from stylenorm.media import read_picture

__all__ = ["draw_sheet"]

_THUMBNAIL_PX = 256
_MARGIN_PX = 16
_NAME_PX, _ABOUT_PX = 18, 12
_CAPTION_PX = 64
_PAPER, _INK, _FAINT = (250, 249, 246), (30, 30, 30), (120, 120, 120)


def draw_sheet(tiles: Sequence[tuple[Path | None, str, str]]) -> Image.Image:
    """Draw a sheet.

    Args:
        tiles: thumbnail (None for an empty frame), name and caption of each.

    Returns:
        An RGB image, as nearly square as whole rows allow.

    Raises:
        PictureError: a thumbnail cannot be read.
    """
    columns = max(1, math.ceil(math.sqrt(len(tiles))))
    rows = max(1, math.ceil(len(tiles) / columns))
    step_x, step_y = _THUMBNAIL_PX + _MARGIN_PX, _THUMBNAIL_PX + _CAPTION_PX + _MARGIN_PX
    sheet = Image.new("RGB", (columns * step_x + _MARGIN_PX, rows * step_y + _MARGIN_PX), _PAPER)
    pen = ImageDraw.Draw(sheet)
    name_font, about_font = ImageFont.load_default(_NAME_PX), ImageFont.load_default(_ABOUT_PX)
    for i, (path, name, about) in enumerate(tiles):
        x, y = _MARGIN_PX + i % columns * step_x, _MARGIN_PX + i // columns * step_y
        frame = (x, y, x + _THUMBNAIL_PX - 1, y + _THUMBNAIL_PX - 1)
        if path is None:
            pen.rectangle(frame, outline=_FAINT)
            pen.text((x + _THUMBNAIL_PX / 2, y + _THUMBNAIL_PX / 2), "no thumbnail", _FAINT, about_font, "mm")
        else:
            sheet.paste(_square(read_picture(path).to_image().convert("RGB")), (x, y))
        pen.text((x, y + _THUMBNAIL_PX + 4), name, _INK, name_font)
        caption = _wrapped(about, about_font)
        pen.multiline_text((x, y + _THUMBNAIL_PX + 8 + _NAME_PX), caption, _FAINT, about_font, spacing=2)
    return sheet


def _square(image: Image.Image) -> Image.Image:
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    box = (left, top, left + side, top + side)
    return image.resize((_THUMBNAIL_PX, _THUMBNAIL_PX), Image.Resampling.LANCZOS, box=box)


def _wrapped(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    """Break into at most two lines as wide as a thumbnail; what does not fit ends in an ellipsis."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) <= _THUMBNAIL_PX or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(word)
    shown = lines[:2]
    cut = len(lines) > len(shown)
    while cut or font.getlength(shown[-1]) > _THUMBNAIL_PX:
        cut = False
        shown[-1] = shown[-1].rstrip("…")[:-1].rstrip() + "…"
    return "\n".join(shown)

"""Paint the pictures of the README and the docs, and the thumbnails of the styles, from the drawn photos.

    python examples/paint_pictures.py

Run it again whenever the network that ships changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from stylenorm import Stylizer
from stylenorm.zoo import NetworkFolder, shipped_network

EXAMPLES = Path(__file__).parent
PICTURES = EXAMPLES.parent / "docs" / "pictures"
PHOTOS = [EXAMPLES / "photos" / f"{name}.jpg" for name in ("mountain-lake", "harbour", "still-life")]
_WIDTH = 480
_GAP = 6
_CAPTION = 22
_THUMBNAIL_PX = 256


def main() -> None:
    """Write docs/pictures/*.jpg and the zoo's thumbnails."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    network = shipped_network()
    names = network.style_names()
    stylizer = Stylizer(names[0])
    photos = [_open(path, _WIDTH) for path in PHOTOS]

    gallery = [
        [(photo, "")] + [(stylizer.with_style(name)(photo), name) for name in names] for photo in photos
    ]
    _save(_grid(list(zip(*gallery, strict=True))), "gallery")  # a row a style
    hero = gallery[0][1:]
    _save(_grid([hero[:3], hero[3:6]]), "styles")
    _save(_grid(_control(stylizer, network, photos[0])), "control")

    for name in names:
        painted = stylizer.with_style(name)(_open(PHOTOS[0], _WIDTH))
        left = (painted.width - painted.height) // 2
        square = painted.crop((left, 0, left + painted.height, painted.height))
        square = square.resize((_THUMBNAIL_PX, _THUMBNAIL_PX), Image.Resampling.LANCZOS)
        target = network.path / "thumbnails" / f"{name}.jpg"
        target.parent.mkdir(exist_ok=True)
        square.save(target, quality=88)


def _control(
    stylizer: Stylizer, network: NetworkFolder, photo: Image.Image
) -> list[list[tuple[Image.Image, str]]]:
    star = stylizer.with_style("starry-night")
    other = stylizer.with_style("composition-vii")
    half = stylizer.with_style(0.5 * network.style("starry-night") + 0.5 * network.style("composition-vii"))
    strengths = [(star(photo, strength=s), f"starry-night, strength {s:g}") for s in (0.0, 0.33, 0.67, 1.0)]
    return [
        strengths,
        [
            (other(photo), "composition-vii"),
            (half(photo), "half of each"),
            (star(photo, keep_colors=True), "starry-night, colours kept"),
            (other(photo, keep_colors=True), "composition-vii, colours kept"),
        ],
    ]


def _open(path: Path, width: int) -> Image.Image:
    with Image.open(path) as image:
        height = round(image.height * width / image.width)
        return image.convert("RGB").resize((width, height), Image.Resampling.LANCZOS)


def _grid(rows: Sequence[Sequence[tuple[Image.Image, str]]]) -> Image.Image:
    width, height = rows[0][0][0].size
    across, down = width + _GAP, height + _CAPTION
    sheet = Image.new("RGB", (across * len(rows[0]) - _GAP, down * len(rows)), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=14)
    for y, row in enumerate(rows):
        for x, (image, caption) in enumerate(row):
            sheet.paste(image, (x * across, y * down))
            draw.text((x * across + 4, y * down + height + 2), caption, fill="black", font=font)
    return sheet


def _save(sheet: Image.Image, name: str) -> None:
    sheet.save(PICTURES / f"{name}.jpg", quality=85, optimize=True)


if __name__ == "__main__":
    main()

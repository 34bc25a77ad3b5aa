"""Paint the pictures of the README and the docs, and the thumbnails of the styles.

    python examples/paint_pictures.py [PHOTO ...] [--paintings PAINTING ...]

The photos are for the contact sheet of all styles, the first one for the picture at the head of the README,
the last one, with a sky, for what noise does; without any, the drawn ones are taken. The paintings are
predicted as styles. Run it again whenever the network that ships changes.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont, ImageOps

from stylenorm import Stylizer
from stylenorm.models.predictor import predict_style
from stylenorm.zoo import NetworkFolder, shipped_network

EXAMPLES = Path(__file__).parent
PICTURES = EXAMPLES.parent / "docs" / "pictures"
PHOTOS = [EXAMPLES / "photos" / f"{name}.jpg" for name in ("mountain-lake", "harbour", "still-life")]
HERO = ("starry-night", "great-wave", "scream", "udnie", "tahiti", "mondrian-composition")
_WIDTH = 480
_SHEET_PX = 192  # of a picture in the contact sheet, painted at 480 px
_SHEET_STYLES = 2  # side by side
_GAP = 6
_CAPTION = 22
_THUMBNAIL_PX = 192


def main() -> None:
    """Write docs/pictures/*.jpg and the zoo's thumbnails."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", nargs="*", type=Path, default=PHOTOS)
    parser.add_argument("--paintings", nargs="*", type=Path, default=[])
    options = parser.parse_args()
    PICTURES.mkdir(parents=True, exist_ok=True)
    network = shipped_network()
    names = network.style_names()
    stylizer = Stylizer(names[0])
    photo = _open(PHOTOS[0], _WIDTH)

    whole = _open(options.photos[0], 2 * _WIDTH)
    # faces are above the middle
    first = ImageOps.fit(whole, photo.size, Image.Resampling.LANCZOS, centering=(0.5, 0.05))
    hero = [(stylizer.with_style(name)(first), name) for name in HERO]
    _save(_grid([hero[:3], hero[3:]]), "styles")
    _save(_grid(_control(stylizer, network, photo)), "control")
    _save(
        _contact_sheet(stylizer, names, options.photos),
        "gallery",
        quality=80,
    )

    _save(_grid(_noises(stylizer, _open(options.photos[-1], _WIDTH))), "noise")

    if options.paintings:
        _save(_predicted(network, options.photos, options.paintings), "any-painting")

    for name in names:
        painted = stylizer.with_style(name)(photo)
        square = ImageOps.fit(painted, (_THUMBNAIL_PX, _THUMBNAIL_PX), Image.Resampling.LANCZOS)
        target = network.path / "thumbnails" / f"{name}.jpg"
        target.parent.mkdir(exist_ok=True)
        square.save(target, quality=85)


def _contact_sheet(stylizer: Stylizer, names: Sequence[str], paths: Sequence[Path]) -> Image.Image:
    """Every style on every photo; the photos themselves in the first row."""
    side = (_SHEET_PX, _SHEET_PX)
    large = (_WIDTH, _WIDTH)
    photos = [ImageOps.fit(_open(path, 2 * _WIDTH), large, Image.Resampling.LANCZOS) for path in paths]
    cells = [[(photo.resize(side, Image.Resampling.LANCZOS), "") for photo in photos] * _SHEET_STYLES]
    for i in range(0, len(names), _SHEET_STYLES):
        row = []
        for name in names[i : i + _SHEET_STYLES]:
            painter = stylizer.with_style(name)
            row += [(painter(photo).resize(side, Image.Resampling.LANCZOS), name) for photo in photos]
        cells.append(row)
    return _grid(cells)


def _noises(stylizer: Stylizer, photo: Image.Image) -> list[list[tuple[Image.Image, str]]]:
    """A row without noise, and one with the network's own; a style a column."""
    rows = []
    for painter in (stylizer.with_noise(0), stylizer):
        names = ("starry-night", "great-wave", "udnie")
        caption = f"noise {painter.noise:g}"
        rows.append([(painter.with_style(name)(photo), f"{name}, {caption}") for name in names])
    return rows


def _predicted(network: NetworkFolder, photos: Sequence[Path], paintings: Sequence[Path]) -> Image.Image:
    """A row a photo, a column a painting."""
    side = (_SHEET_PX, _SHEET_PX)

    def square(path: Path, px: int) -> Image.Image:
        return ImageOps.fit(_open(path, 2 * _WIDTH), (px, px), Image.Resampling.LANCZOS)

    columns = [[(Image.new("RGB", side, "white"), ""), *((square(photo, _SHEET_PX), "") for photo in photos)]]
    for path in paintings:
        painter = Stylizer(predict_style(path, network))
        column = [(square(path, _SHEET_PX), path.stem.partition("--")[0].replace("-", " "))]
        column += [
            (painter(square(photo, _WIDTH)).resize(side, Image.Resampling.LANCZOS), "") for photo in photos
        ]
        columns.append(column)
    return _grid(list(zip(*columns, strict=True)))


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


def _save(sheet: Image.Image, name: str, quality: int = 85) -> None:
    sheet.save(PICTURES / f"{name}.jpg", quality=quality, optimize=True)


if __name__ == "__main__":
    main()

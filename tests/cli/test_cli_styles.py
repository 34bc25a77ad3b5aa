"""``stylenorm styles``."""

from __future__ import annotations

import shutil
from pathlib import Path

from PIL import Image

from stylenorm.zoo import NetworkFolder
from tests.cli.conftest import Run
from tests.engines.tiny_network import STYLES


def test_the_table(run: Run, network: NetworkFolder) -> None:
    done = run("styles", "--network", network.path)
    assert (done.code, done.err) == (0, "")
    header, *rows = done.out.decode().splitlines()
    assert header.split() == ["name", "artist", "title", "year"]
    assert [row.split()[0] for row in rows] == list(STYLES)
    assert "Artist of scream" in rows[1]
    assert "1889" in rows[1]


def test_the_sheet(run: Run, network: NetworkFolder, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(network.path, tmp_path / "network"))
    (folder / "thumbnails").mkdir()
    Image.new("RGB", (300, 200), (250, 0, 0)).save(folder / "thumbnails" / "scream.jpg", quality=95)
    sheet = tmp_path / "sheet.png"
    done = run("styles", "--network", folder, "--sheet", sheet)
    assert (done.code, done.out, done.err) == (0, b"", f"{sheet}: 3 styles\n")
    with Image.open(sheet) as image:
        drawn = image.convert("RGB")
    colors = {color for _, color in drawn.getcolors(1 << 24)}
    assert any(r > 240 and g < 10 and b < 10 for r, g, b in colors), "no thumbnail was drawn"
    assert len(colors) > 20, "no text was drawn"

    again = run("styles", "--network", folder, "--sheet", sheet)
    assert again.code == 2
    assert "exists already" in again.err
    assert run("styles", "--network", folder, "--sheet", sheet, "--overwrite").code == 0


def test_a_sheet_in_no_known_format(run: Run, network: NetworkFolder, tmp_path: Path) -> None:
    done = run("styles", "--network", network.path, "--sheet", tmp_path / "sheet.doc")
    assert done.code != 0
    assert len(done.lines) == 1

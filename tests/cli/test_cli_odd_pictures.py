"""The media tests' odd pictures through the whole command: a picture, or one clear line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.cli.conftest import Run, hidden_files

from odd_pictures import ODD_PICTURES, OddPicture  # isort: skip (found by the path that conftest adds)

SOME = ODD_PICTURES[::12]


def paint(stylize: Run, odd: OddPicture, folder: Path, engine: str) -> Path | None:
    source = folder / odd.file_name
    source.write_bytes(odd.data())
    done = stylize(source, "--style", "scream", "-o", f"{folder}/out/", engine=engine)
    assert "Traceback" not in done.err
    assert all(line.startswith("stylenorm: ") for line in done.lines)
    assert not hidden_files(folder)
    painted = list((folder / "out").iterdir()) if (folder / "out").exists() else []
    if odd.size is None:
        assert done.code == 1
        assert len([line for line in done.lines if "note:" not in line]) == 1
        assert not painted
        return None
    assert done.code == 0, done.err
    (path,) = painted
    return path


@pytest.mark.parametrize("odd", ODD_PICTURES, ids=lambda odd: odd.name)
def test_odd_pictures_with_the_fake(stylize: Run, odd: OddPicture, tmp_path: Path) -> None:
    path = paint(stylize, odd, tmp_path, "fake")
    if path is not None:
        from stylenorm.media import read_picture

        painted = read_picture(path)
        assert (painted.width, painted.height) == odd.size


@pytest.mark.parametrize("odd", SOME, ids=lambda odd: odd.name)
def test_odd_pictures_with_the_real_engine(stylize: Run, odd: OddPicture, tmp_path: Path) -> None:
    path = paint(stylize, odd, tmp_path, "openvino")
    if path is not None:
        from stylenorm.media import read_picture

        painted = read_picture(path)
        assert (painted.width, painted.height) == odd.size
        assert np.isfinite(painted.pixels).all()

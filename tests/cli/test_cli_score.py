"""``stylenorm score``: folders of pictures, and of labels."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stylenorm.media.scans import nifti_image, write_nifti
from tests.cli.conftest import Run
from tests.requirements_met import need


def save(path: Path, value: int, size: tuple[int, int] = (40, 32)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (value, value, value)).save(path)


def test_pictures_with_partners(run: Run, tmp_path: Path) -> None:
    for i in range(3):
        save(tmp_path / "made" / f"{i}.a-to-b.png", 100 + i)
        save(tmp_path / "true" / f"{i}.png", 90)
    save(tmp_path / "made" / "lonely.png", 0)
    done = run("score", tmp_path / "made", tmp_path / "true", "--json", "--size", "32")
    assert done.code == 0, done.err
    rows = [json.loads(line) for line in done.out.decode().splitlines()]
    assert [row["L1"] for row in rows] == [10, 11, 12, 11]
    assert rows[-1]["name"] == "all"
    assert rows[-1]["count"] == 3
    assert rows[-1]["Frechet"] > 0
    assert "1 of 4 in" in done.err
    assert "3 pictures are few for a Frechet distance" in done.err

    save(tmp_path / "true" / "1.png", 90, (41, 32))
    done = run("score", tmp_path / "made", tmp_path / "true", "--size", "32")
    assert done.code == 1
    assert "1.a-to-b.png: expected 32 x 41 x 3 as the true one has, got 32 x 40 x 3" in done.err
    assert done.lines[-1] == "stylenorm: 1 of 3 pairs failed"

    done = run("score", tmp_path / "made", tmp_path / "made", "--unpaired", "--json", "--size", "32")
    assert done.code == 0, done.err
    assert abs(json.loads(done.out.decode())["Frechet"]) < 1e-6


def test_labels(run: Run, tmp_path: Path) -> None:
    need("nibabel")
    need("scipy")
    truth = np.zeros((10, 8, 8), np.uint8)
    truth[2:6] = 1
    found = np.roll(truth, 1, axis=0)
    for name, voxels in (("true", truth), ("made", found)):
        (tmp_path / name).mkdir()
        write_nifti(nifti_image(voxels, np.diag([2.0, 1, 1, 1])), tmp_path / name / "a.nii.gz")
    done = run("score", tmp_path / "made", tmp_path / "true", "--json")
    assert done.code == 0, done.err
    row = json.loads(done.out.decode().splitlines()[0])
    assert row["Dice 1"] == row["Dice"] == 0.75
    assert 0 < row["surface mm 1"] <= row["surface 95 % mm 1"] <= 2
    write_nifti(nifti_image(found, np.diag([3.0, 1, 1, 1])), tmp_path / "made" / "a.nii.gz", overwrite=True)
    done = run("score", tmp_path / "made", tmp_path / "true")
    assert done.code == 1
    assert "got another affine" in done.err


@pytest.mark.parametrize(("made", "message"), [("none", "found nothing"), ("empty", "found neither")])
def test_what_cannot_be_compared(made: str, message: str, run: Run, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    save(tmp_path / "true" / "a.png", 0)
    done = run("score", tmp_path / made, tmp_path / "true")
    assert (done.code, len(done.lines)) == (2, 1)
    assert message in done.err
    save(tmp_path / "others" / "b.png", 0)
    done = run("score", tmp_path / "others", tmp_path / "true")
    assert done.code == 2
    assert "name them alike, or say --unpaired" in done.err

"""The pictures that the project draws itself: the script runs, repeats itself, and what ships is whole."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

EXAMPLES = Path(__file__).parent.parent / "examples"
SCENES = ("mountain-lake", "harbour", "still-life")


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """A folder with all scenes, and another with one of them, drawn by one process each."""
    folders = [tmp_path_factory.mktemp(name) for name in ("once", "twice")]
    for folder, scenes in zip(folders, (SCENES, SCENES[:1]), strict=True):
        done = draw(folder, "--size", "48x32", *scenes)
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""  # numpy's warnings would be here
    return folders


def draw(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, str(EXAMPLES / "draw_photos.py"), "--out", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_scene_is_the_same_twice(drawn):
    first, second = ((folder / f"{SCENES[0]}.jpg").read_bytes() for folder in drawn)
    assert first == second


@pytest.mark.parametrize("scene", SCENES)
def test_a_scene_is_a_picture(scene, drawn):
    with Image.open(drawn[0] / f"{scene}.jpg") as image:
        first = np.asarray(image)
    assert first.shape == (32, 48, 3)
    # A photograph's contrast, colours, and neither blocked shadows nor burnt lights over half of it.
    grey = first.mean(-1)
    assert grey.std() > 25
    assert first.std(-1).mean() > 4
    assert np.percentile(grey, 25) > 8
    assert np.percentile(grey, 75) < 248


def test_an_unknown_scene_and_a_bad_size_are_refused(tmp_path):
    for arguments, words in ((["sunset"], "mountain-lake"), (["--size", "960"], "WIDTHxHEIGHT")):
        done = draw(tmp_path, *arguments)
        assert done.returncode == 2
        assert words in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("scene", SCENES)
def test_the_committed_picture_is_whole(scene):
    path = EXAMPLES / "photos" / f"{scene}.jpg"
    assert path.stat().st_size <= 225_000
    with Image.open(path) as image:
        assert image.size == (960, 640)
        assert np.asarray(image).std() > 25


def test_the_readme_photo_is_one_of_them():
    photo = (EXAMPLES / "photo.jpg").read_bytes()
    assert any(photo == (EXAMPLES / "photos" / f"{scene}.jpg").read_bytes() for scene in SCENES)

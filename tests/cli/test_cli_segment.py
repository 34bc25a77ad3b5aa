"""``stylenorm segment``: what it says, what it writes, what it leaves."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from stylenorm.media.scans import nifti_image, write_nifti
from tests.cli.conftest import Run, hidden_files
from tests.requirements_met import need
from tests.tiny_segmenter import tiny_segmenter

nibabel = need("nibabel")


@pytest.fixture
def scan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("scan") / "0000.nii.gz"
    voxels = np.random.default_rng(0).integers(-1000, 1000, (14, 17, 13), np.int16)
    write_nifti(nifti_image(voxels, np.diag([1.0, 1.0, 1.5, 1.0])), path)
    return path


def test_the_command_line_says_what_is_wrong(scan: Path, tmp_path: Path, run: Run) -> None:
    model = tiny_segmenter()

    def refused(code: int, message: str, *command: str | Path) -> None:
        done = run("segment", *command)
        assert (done.code, len(done.lines)) == (code, 1), done.err
        assert message in done.err
        assert not list(tmp_path.glob("*.nii*"))

    def voxels(path: Path) -> np.ndarray:
        return np.asarray(nibabel.load(path).dataobj)

    refused(2, "expected a folder that 'stylenorm train volumes' wrote", scan, "--network", tmp_path)
    refused(2, "unknown method 'windows'", scan, "--network", model, "--method", "windows")
    refused(2, "overlap: expected 0 to below 1", scan, "--network", model, "--overlap", "1.5")
    refused(2, "expected a name that ends in .nii", scan, "--network", model, "-o", tmp_path / "out.png")
    refused(2, "expected a name that ends in .nii", tmp_path / "photo.jpg", "--network", model)
    refused(2, "found none in it", tmp_path, "--network", model)
    refused(
        1,
        "expected a NIfTI file, found none",
        tmp_path / "no.nii",
        "--network",
        model,
        "-o",
        tmp_path / "o.nii",
    )
    write_nifti(nifti_image(np.zeros((4, 4, 4, 2), np.int16), np.eye(4)), tmp_path / "in" / "4d.nii")
    many = tmp_path / "in" / "4d.nii"
    refused(1, "expected one volume in 3 dimensions", many, "--network", model, "-o", tmp_path / "o.nii")

    far = nifti_image(voxels(scan), np.diag([3, 3, 3, 1.0]))
    write_nifti(far, tmp_path / "in" / "scan.nii.gz")
    done = run("segment", many.parent, "--network", model, "-o", tmp_path / "out", "--threads", "1")
    assert done.code == 1
    assert [line.split(":")[0] for line in done.lines] == ["stylenorm"] * 3
    assert "4d.nii: expected one volume" in done.lines[0]
    assert "note: " in done.lines[1]
    assert "voxels of 3 x 3 x 3 mm, learned from 1 x 1 x 1.5 mm" in done.lines[1]
    assert done.lines[2] == "stylenorm: 1 of 2 scans failed"
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"scan.nii.gz"}

    beside = tmp_path / "in" / "scan.nii.gz"
    done = run("segment", beside, "--network", model, "--method", "whole", "--quiet", "--threads", "1")
    assert (done.code, done.err) == (0, "")
    first = voxels(beside.with_name("scan.labels.nii.gz"))
    assert first.shape == voxels(scan).shape
    (tmp_path / "in" / "._scan.nii.gz").write_bytes(b"what macOS leaves")
    many.unlink()
    done = run("segment", many.parent, "--network", model, "--quiet", "--overwrite", "--threads", "1")
    assert (done.code, done.err) == (0, "")
    assert len(list(many.parent.glob("[!.]*"))) == 2  # labels are no scan
    (tmp_path / "in" / "._scan.nii.gz").unlink()
    done = run("segment", beside, "--network", model, "--quiet")
    assert (done.code, len(done.lines)) == (1, 1)
    assert "exists already" in done.err
    assert not hidden_files(tmp_path)


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_ctrl_c_leaves_nothing(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    scan = nifti_image(rng.integers(0, 99, (150, 150, 150), np.int16), np.eye(4))
    write_nifti(scan, tmp_path / "scan.nii")
    command = [sys.executable, "-c"]
    # The shell that started the tests may ignore SIGINT, which children inherit; a line says when to send it.
    code = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from stylenorm.models import segmenter\n"
        "windows = segmenter.blended\n"
        "def told(*args):\n"
        "    for rows in windows(*args):\n"
        "        print('some rows', flush=True)\n"
        "        yield rows\n"
        "segmenter.blended = told\n"
        "from stylenorm.cli import main\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    arguments = ["segment", str(tmp_path / "scan.nii"), "--network", str(tiny_segmenter()), "--threads", "1"]
    running = subprocess.Popen(
        [*command, code, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert running.stdout is not None
        assert running.stdout.readline() == "some rows\n"
        time.sleep(0.05)
        running.send_signal(signal.SIGINT)
        _, err = running.communicate(timeout=60)
    finally:
        running.kill()
        running.wait()
    assert (running.returncode, err.splitlines()[-1:]) == (130, ["stylenorm: interrupted"])
    assert {path.name for path in tmp_path.iterdir()} == {"scan.nii"}

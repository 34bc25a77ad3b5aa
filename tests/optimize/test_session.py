"""What a terminal sees: checkpoint, Ctrl-C, previews, curve."""

from __future__ import annotations

import csv
import dataclasses
import os
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from stylenorm.errors import InputError
from stylenorm.optimize import Evaluation, Optimization, Session, run_session
from stylenorm.optimize.curve import draw_curve
from stylenorm.perceptual import PerceptualLoss
from tests.optimize.test_gatys import QUICK, picture
from tests.optimize.test_gatys import loss as loss  # a fixture

CONFIG = dataclasses.replace(QUICK, steps=8, coarse_steps=3)


def optimization(loss: PerceptualLoss, seed: int = 0) -> Optimization:
    return Optimization(picture(seed), [picture(1)], loss, CONFIG)


def test_interrupted_and_resumed_is_bitwise(loss: PerceptualLoss, tmp_path: Path) -> None:
    checkpoint = tmp_path / "out.png.checkpoint"
    expected = run_session(optimization(loss), Session(tmp_path / "other", quiet=True))

    run = optimization(loss)
    step = run.step

    def interrupted_step() -> list[Evaluation]:
        if len(run.history) == 6:
            os.kill(os.getpid(), signal.SIGINT)  # arrives within the step, which is finished
        return step()

    run.step = interrupted_step  # type: ignore[method-assign]
    before = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            run_session(run, Session(checkpoint, quiet=True))
    finally:
        signal.signal(signal.SIGINT, before)
    assert len(run.history) == 7
    with pytest.raises(InputError, match="go on with --resume"):
        run_session(optimization(loss), Session(checkpoint, quiet=True))
    with pytest.raises(InputError, match="was made with other pictures"):
        run_session(optimization(loss, seed=5), Session(checkpoint, resume=True, quiet=True))
    with pytest.raises(InputError, match="was made with other features"):
        run_session(optimization(loss), Session(checkpoint, resume=True, quiet=True), about="vgg19")
    resumed = optimization(loss)
    result = run_session(resumed, Session(checkpoint, resume=True, quiet=True))
    assert torch.equal(result, expected)
    assert len(resumed.history) == resumed.num_steps == 11


def test_another_file_is_refused(loss: PerceptualLoss, tmp_path: Path) -> None:
    for content in (b"no checkpoint", b""):
        (tmp_path / "c").write_bytes(content)
        with pytest.raises(InputError, match="expected the checkpoint of an optimization"):
            run_session(optimization(loss), Session(tmp_path / "c", resume=True, quiet=True))
    torch.save({"format": "stylenorm-checkpoint-1"}, tmp_path / "c")
    with pytest.raises(InputError, match="expected the checkpoint of an optimization"):
        run_session(optimization(loss), Session(tmp_path / "c", resume=True, quiet=True))


def test_the_record(loss: PerceptualLoss, tmp_path: Path) -> None:
    run = optimization(loss)
    record = tmp_path / "record"
    run_session(run, Session(tmp_path / "c", record=record, preview_every=4, quiet=True))
    *previews, curve, losses = sorted(path.name for path in record.iterdir())
    assert (curve, losses) == ("curve.png", "losses.csv")
    assert len(previews) == 3  # after four evaluations (or five, if a step took two), eight, and the last
    assert previews[-1] == f"{len(run.history):05d}.png"
    for preview in previews:
        with Image.open(record / preview) as image:
            assert image.size == (80, 64)
    with (record / "losses.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["total"]) for row in rows] == [e.total for e in run.history]
    assert (rows[0]["height"], rows[-1]["height"]) == ("32", "64")


def test_the_curve_goes_where_the_losses_go() -> None:
    falling = [Evaluation(8, 8, i, 1.0, 1e-3, 1e-2, 10.0 ** (1 - i / 25), float(i)) for i in range(1, 51)]
    pixels = np.asarray(draw_curve(falling)).astype(int)
    rows, columns = np.nonzero((pixels == (40, 40, 40)).all(axis=2)[30:370, 60:704])
    assert np.corrcoef(columns, rows)[0, 1] > 0.99  # down is a larger row
    flat_rows, _ = np.nonzero((pixels == (31, 119, 180)).all(axis=2)[30:370, 60:704])
    assert np.ptp(flat_rows) <= 2
    draw_curve(falling[:1])  # a single one, and none that is positive
    draw_curve([Evaluation(8, 8, 1, 0.0, 0.0, 0.0, 0.0, 0.1)])

"""The comparison: counts by hand, what remains by formula, and the command."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from stylenorm.cli import norms as command
from stylenorm.errors import InputError, ShapeError
from stylenorm.nn import CHANGES, OTHER_CHANGES, compare_norms, remaining_change


def photo() -> torch.Tensor:
    g = torch.Generator().manual_seed(0)
    return torch.rand(3, 24, 32, generator=g) * torch.tensor([0.9, 0.6, 0.4])[:, None, None]


def test_counts() -> None:
    facts = {f.name: f for f in compare_norms((4, 64, 8, 9), 32)}
    expected = {"batch": 64, "layer": 4, "group (32)": 128, "instance": 256, "pixel": 288, "switchable": 324}
    assert {n: facts[n].statistics for n in expected} == expected
    assert "group (6)" in {f.name for f in compare_norms((1, 6, 5), 4)}  # one channel a group: instance norm
    for bad in ((4, 64), (4, 0, 8), ()):
        with pytest.raises(ShapeError, match=r"shape: expected \(N, C, \*spatial\)"):
            compare_norms(bad)


def test_what_each_norm_takes_out() -> None:
    table = remaining_change(photo())
    x = photo().double()
    for name, (gain, offset) in CHANGES.items():
        moved = x * x.new_tensor(gain).reshape(-1, 1, 1) + x.new_tensor(offset).reshape(-1, 1, 1)
        expected = float((moved - x).square().mean().sqrt() / x.std(correction=0))
        assert table["none"][name] == pytest.approx(expected)
        assert table["instance"][name] < 0.01  # eps alone is left
    dark = x.clone()
    dark[:, :, :16] *= 0.5
    for name, moved in (("gamma 2", x**2), ("clipped", (1.8 * x).where(1.8 * x < 1, 1.0)), ("shadow", dark)):
        assert table["none"][name] == pytest.approx(
            float((moved - x).square().mean().sqrt() / x.std(correction=0))
        )
        was, now = (
            (v - v.mean((1, 2), keepdim=True)) / v.std((1, 2), correction=0, keepdim=True) for v in (x, moved)
        )
        assert table["instance"][name] == pytest.approx(float((now - was).square().mean().sqrt()), rel=1e-3)
    assert table["layer"]["dark"] < 0.01
    assert table["layer"]["warm light"] > 0.1
    assert table["filter response"]["dark"] < 0.01
    assert table["filter response"]["bright"] > 0.1
    assert table["batch"]["dark"] > 0.1
    for bad in (torch.rand(1, 3, 4, 4), torch.rand(4, 4, 3)):
        with pytest.raises(ShapeError, match=r"photo: expected shape \(3, H, W\)"):
            remaining_change(bad)
    with pytest.raises(InputError, match=r"photo: expected a torch\.Tensor"):
        remaining_change(np.zeros((3, 4, 4)))


def run(*argv: str) -> int:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return command.run(parser.parse_args(argv))


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--shape", "2", "6", "5", "--groups", "3") == 0
    printed = capsys.readouterr().out
    assert "features 2 x 6 x 5" in printed
    assert "group (3)" in printed
    path = tmp_path / "photo.png"
    Image.fromarray((photo().movedim(0, -1) * 255).byte().numpy()).save(path)
    assert run(str(path)) == 0
    lines = capsys.readouterr().out.splitlines()
    (line,) = [one for one in lines if one.startswith("instance") and one.split()[1].startswith("0")]
    assert line.split()[:5] == ["instance", "0.00", "0.00", "0.00", "0.00"]
    assert len(line.split()) == 1 + len(CHANGES) + len(OTHER_CHANGES)
    assert all(float(left) > 0.05 for left in line.split()[5:])
    assert "and of what is neither only a part: left of this photo's are" in lines[-1]
    with pytest.raises(InputError, match="shape: expected"):
        run("--shape", "2", "6")
    with pytest.raises(InputError, match=r"missing\.png"):
        run(str(tmp_path / "missing.png"))

"""What the experiments measure, against formulas and pictures with known answers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from stylenorm.errors import InputError, UnknownNameError
from stylenorm.lab import Bench, GeneratorArm, Material, PhotoPool, TrainingSize, build_generator
from stylenorm.lab.channel_statistics import share_of_style
from stylenorm.lab.deeper import detail
from stylenorm.lab.drawing import Line, bar_chart, grid, line_chart, standalone, to_pixels
from stylenorm.lab.padding import border_errors
from stylenorm.lab.preparing import equalize_luminance, prepare
from stylenorm.lab.sizes import texture_distance
from stylenorm.lab.training import contrast_changed


@pytest.fixture(scope="module")
def photos() -> Tensor:
    coarse = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    return F.interpolate(coarse, (64, 64), mode="bilinear")


def test_equalized_luminance_is_even(photos: Tensor) -> None:
    weights = torch.tensor([0.299, 0.587, 0.114]).reshape(3, 1, 1)
    grey = photos[:, :1].expand(-1, 3, -1, -1)  # nothing to clip
    luma = (equalize_luminance(grey) * weights).sum(dim=1).flatten(1).double().numpy()
    for before, plane in zip((grey * weights).sum(dim=1).flatten(1).numpy(), luma, strict=True):
        assert (
            np.abs(np.sort(plane) - (np.arange(plane.size) + 0.5) / plane.size).max() < 2e-3
        )  # 4 x 4 equal corners
        order = np.argsort(before, kind="stable")
        assert (np.diff(plane[order]) >= -1e-6).all(), "darker stays darker"
    flat = equalize_luminance(torch.full((1, 3, 4, 4), 0.9))
    assert torch.allclose(flat, torch.full_like(flat, 0.5), atol=1e-6)
    assert prepare(photos, "original") is photos
    with pytest.raises(UnknownNameError, match="unknown preparation 'equalised'"):
        prepare(photos, "equalised")


def test_contrast_changed_keeps_the_mean(photos: Tensor) -> None:
    weak = contrast_changed(photos, 0.25)
    assert torch.allclose(weak.mean(dim=(2, 3)), photos.mean(dim=(2, 3)), atol=1e-6)
    assert torch.allclose(weak.std(dim=(2, 3)), 0.25 * photos.std(dim=(2, 3)), atol=1e-6)


class _Blur(nn.Module):
    """A generator whose border errors are known: a blur, with zeros beyond the border."""

    def forward(self, photos: Tensor) -> Tensor:
        kernel = torch.full((3, 1, 3, 3), 1 / 9)
        return F.conv2d(photos, kernel, padding=1, groups=3)


def test_border_errors_are_where_the_padding_reaches(photos: Tensor) -> None:
    errors = border_errors(_Blur(), photos)
    assert len(errors) == 16
    assert errors[0] > 0.05
    assert max(errors[1:]) < 1e-5
    assert max(border_errors(nn.Identity(), photos)) == 0
    middle = photos[..., 16:48, 16:48].double().numpy()
    want = F.conv2d(photos, torch.full((3, 1, 3, 3), 1 / 9), padding=1, groups=3)[..., 16:48, 16:48].double()
    inner = F.conv2d(
        torch.from_numpy(middle), torch.full((3, 1, 3, 3), 1 / 9, dtype=torch.float64), padding=1, groups=3
    )
    scale = want.var(dim=(2, 3), correction=0).mean(dim=1).sqrt()[:, None, None, None]
    rim = torch.ones(32, 32, dtype=torch.bool)
    rim[1:-1, 1:-1] = False
    expected = ((inner - want) / scale).square()[..., rim].mean().sqrt()
    assert errors[0] == pytest.approx(float(expected), rel=1e-4)


def test_detail_is_that_of_a_checkerboard() -> None:
    board = ((torch.arange(10)[:, None] + torch.arange(10)) % 2).float().expand(1, 3, 10, 10)
    # around a 1 there are four more: the mean of nine is 5/9; around a 0 it is 4/9
    assert detail(board) == pytest.approx(4 / 9)


def test_share_of_style_by_hand() -> None:
    rng = np.random.default_rng(0)
    photo, painting = rng.normal(1, 2, (2, 4, 9, 9)), rng.normal(-1, 0.5, (1, 4, 6, 7))

    def gram(x: np.ndarray) -> np.ndarray:
        flat = x.reshape(len(x), 4, -1)
        return flat @ flat.transpose(0, 2, 1) / flat.shape[2]

    def loss(x: np.ndarray) -> np.ndarray:
        return ((gram(x) - gram(painting)) ** 2).sum(axis=(1, 2))

    mean, target = photo.mean(axis=(2, 3), keepdims=True), painting.mean(axis=(2, 3), keepdims=True)
    spread = painting.std(axis=(2, 3), keepdims=True) / photo.std(axis=(2, 3), keepdims=True)
    for deviation, matched in ((False, photo - mean + target), (True, (photo - mean) * spread + target)):
        found = share_of_style(torch.from_numpy(photo), torch.from_numpy(painting), deviation=deviation)
        np.testing.assert_allclose(found, 1 - loss(matched) / loss(photo), atol=1e-3)


def test_textures_are_near_themselves(photos: Tensor) -> None:
    loss = Material().loss(1, torch.device("cpu"))
    first, mirrored, second = (loss.style_target(x) for x in (photos[:1], photos[:1].flip(-1), photos[1:]))
    assert texture_distance(first, first) < 1e-6
    assert texture_distance(mirrored, first) < texture_distance(second, first)


def test_crops_depend_on_seed_and_step_alone() -> None:
    pictures = torch.randint(0, 256, (12, 3, 40, 40), generator=torch.Generator().manual_seed(0)).byte()
    pool, again = PhotoPool(pictures, 2), PhotoPool(pictures, 2)
    assert len(pool) == 10
    first = pool.batch(32, 4, seed=3, step=5)
    assert first.shape == (4, 3, 32, 32)
    assert torch.equal(first, again.batch(32, 4, seed=3, step=5))
    assert not torch.equal(first, pool.batch(32, 4, seed=4, step=5))
    assert not torch.equal(first, pool.batch(32, 4, seed=3, step=6))
    few, others = pool.subset(3, seed=0), pool.subset(3, seed=1)
    assert len(few) == 3
    assert torch.equal(few.held_out(32), pool.held_out(32))
    assert not torch.equal(few.pictures, others.pictures)
    with pytest.raises(InputError, match="more than the 12 that are held out, got 12"):
        PhotoPool(pictures, 12)


def test_held_out_photos_are_those_of_the_pool(tmp_path: Path) -> None:
    for i in range(9):
        Image.new("RGB", (40 + i, 50), (25 * i, 10, 200)).save(tmp_path / f"{i}.png")
    material = Material(tmp_path)
    whole = material.held_out(24, 3)
    assert torch.allclose(whole.mean(dim=(2, 3))[:, 0] * 255, torch.tensor([0.0, 100.0, 200.0]))
    held_out = material.pool(24, num_held_out=3).held_out(24)
    assert torch.allclose(held_out.mean(dim=(2, 3)), whole.mean(dim=(2, 3)))
    assert material.describe()["photos"] == "9 photos"
    assert material.identity() != Material().identity()


def test_material_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected photos, got a folder without any"):
        Material(tmp_path)
    with pytest.raises(InputError, match=r"none\.jpg: expected a picture, got no such file"):
        Material(None, [tmp_path / "none.jpg"])


@pytest.mark.parametrize("norm", ["batch", "group", "group deeper", "instance first"])
def test_networks_of_mixed_norms(norm: str) -> None:
    network = build_generator(GeneratorArm(TrainingSize.tiny(), norm=norm))
    kinds = [
        type(m).__name__
        for m in network.modules()
        if "Norm" in type(m).__name__ and "Conv" not in type(m).__name__
    ]
    instance = sum(kind.startswith("InstanceNorm") for kind in kinds)
    groups = sum(kind == "GroupNorm" for kind in kinds)
    batch = sum(kind == "BatchNorm2d" for kind in kinds)
    # three norms down, two in the block, two up
    expected = {
        "batch": (0, 0, 7),
        "group": (0, 7, 0),
        "group deeper": (5, 2, 0),
        "instance first": (1, 6, 0),
    }
    assert (instance, groups, batch) == expected[norm]
    with pytest.raises(UnknownNameError, match="unknown generator 'jonson'"):
        build_generator(GeneratorArm(TrainingSize.tiny(), "jonson"))


def test_batch_norm_is_judged_with_running_statistics(tmp_path: Path) -> None:
    from stylenorm.lab import train_generator

    bench = Bench(tmp_path, Material(), quiet=True)
    numbers, network = train_generator(bench, GeneratorArm(TrainingSize.tiny(), norm="batch"))
    assert not network.training
    assert numbers["held_out"] != numbers["held_out_batch"]
    tracked = dict(network.named_buffers())
    assert int(tracked["down.0.norm.num_batches_tracked"]) == TrainingSize.tiny().steps, (
        "judging left them alone"
    )
    numbers, _ = train_generator(bench, GeneratorArm(TrainingSize.tiny()))
    assert numbers["held_out"] == numbers["held_out_batch"]


def test_figures() -> None:
    svg = line_chart(
        [Line("a < b", [(1, 0.1), (10, 0.2)], [0.01, 0.02]), Line("c", [(1, 0), (10, 1)])],
        "x",
        "y",
        log_x=True,
        log_y=True,
    )
    assert "a &lt; b" in svg
    assert svg.count("<polyline") == 2
    assert svg.count("<polygon") == 1
    assert svg.count("<circle") == 3, "0 has no logarithm"
    with pytest.raises(InputError, match="at least one point"):
        line_chart([Line("a", [(1, -1)])], "x", "y", log_y=True)
    bars = bar_chart({"g": [(2.0, 0.0), (4.0, 1.0)]}, ["p", "q"], "y")
    heights = [float(part.split('"')[0]) for part in bars.split('height="')[1:] if 'width="' not in part[:12]]
    tall = [h for h in heights if h > 20]
    assert tall[1] == pytest.approx(2 * tall[0], rel=1e-2)
    assert bars.count('class="whisker"') == 1
    with pytest.raises(InputError, match="expected 2 bars in each group"):
        bar_chart({"g": [(1.0, 0.0)]}, ["p", "q"], "y")
    assert "<style>" in standalone(svg)


def test_grids_scale_and_do_not_crop() -> None:
    wide, tall = np.zeros((20, 40, 3), np.uint8), np.full((30, 15, 3), 255, np.uint8)
    sheet = grid([[(wide, "a"), (tall, "b")], [(tall, "c")]], height_px=60)
    assert sheet.size == (120 + 4 + 30, 2 * 78)
    pixels = to_pixels(torch.tensor([-1.0, 0.5, 2.0]).reshape(1, 3, 1, 1))
    assert pixels.tolist() == [[[0, 128, 255]]]

"""A network of two channels, with kernels and strides of 1 along coarse axes: all methods against PyTorch."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch

from stylenorm.errors import InputError, ShapeError
from stylenorm.export import export_segmenter
from stylenorm.models import Segmenter
from stylenorm.networks import UNet3d

# Along the first axis: kernels of 1 without and with halving, then of 3 without.
KERNELS = ((1, 3, 3), (1, 3, 1), (3, 3, 1), (3, 3, 3))
STRIDES = ((1, 1, 1), (1, 2, 1), (2, 2, 2), (1, 2, 2))
WINDOW = (6, 16, 8)
CLOSE = {"rtol": 1e-4, "atol": 2e-4}


@pytest.fixture(scope="module")
def network() -> UNet3d:
    torch.manual_seed(0)
    made = UNet3d(3, 4, 4, in_channels=2, kernels=KERNELS, strides=STRIDES).eval()
    for parameter in made.parameters():
        if parameter.dim() == 1:
            parameter.data += 0.5 * torch.rand(parameter.shape)
    return made.requires_grad_(requires_grad=False)


@pytest.fixture(scope="module")
def folder(network: UNet3d, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("anisotropic")
    export_segmenter(network, out, window=WINDOW, spacing_mm=(4.0, 1.0, 1.0), record={})
    return out


def expected(network: UNet3d, voxels: np.ndarray) -> np.ndarray:
    seen = np.stack([(each - each.mean()) / each.std() for each in voxels.astype(np.float64)])
    return copy.deepcopy(network).double()(torch.from_numpy(seen)[None])[0].numpy()


def test_sides_are_extended_as_each_axis_needs(network: UNet3d) -> None:
    assert network.multiple == (2, 8, 4)
    x = torch.randn(1, 2, 5, 8, 4)
    extended = torch.cat([x, x[:, :, -1:]], dim=2)
    assert torch.allclose(network(x), network(extended)[:, :, :5], atol=1e-5)
    assert [tuple(each.shape[2:]) for each in network.features(extended)] == [
        (6, 8, 4),
        (6, 4, 4),
        (3, 2, 2),
        (3, 1, 1),
    ]


@pytest.mark.parametrize("slab_bytes", [None, 1])
def test_the_whole_volume_layer_by_layer(
    folder: Path, network: UNet3d, slab_bytes: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    voxels = 100 + 20 * np.random.default_rng(0).normal(size=(2, 11, 21, 10)).cumsum(1).astype(np.float32)
    segmenter = Segmenter(folder, "whole", threads=1)
    if slab_bytes:
        monkeypatch.setattr(segmenter._layered, "_slab_bytes", slab_bytes)
    told: list[None] = []
    found = np.concatenate(list(segmenter.logits(voxels, lambda: told.append(None))), axis=1)
    np.testing.assert_allclose(found, expected(network, voxels), **CLOSE)
    assert len(told) == segmenter.num_steps(voxels.shape)


def test_a_window_alone_is_the_network(folder: Path, network: UNet3d) -> None:
    voxels = np.random.default_rng(1).normal(size=(2, *WINDOW)).astype(np.float32)
    for method in ("patch", "volume"):
        segmenter = Segmenter(folder, method, threads=1)
        found = np.concatenate(list(segmenter.logits(voxels)), axis=1)
        np.testing.assert_allclose(found, expected(network, voxels), **CLOSE)
    with pytest.raises(ShapeError, match=r"voxels: expected \(2, X, Y, Z\), got \(6, 16, 8\)"):
        segmenter(voxels[0])


def test_kernels_and_strides_that_cannot_be() -> None:
    with pytest.raises(InputError, match="kernels: expected three numbers, 1 or 3, for each of 2 levels"):
        UNet3d(2, 2, kernels=[(3, 3, 3), (5, 3, 3)])
    with pytest.raises(InputError, match="strides: expected three numbers, 1 or 2, for each of 3 levels"):
        UNet3d(2, 3, strides=[(1, 1, 1), (2, 2, 2)])
    with pytest.raises(InputError, match=r"strides: expected \(1, 1, 1\) for the first level"):
        UNet3d(2, 2, strides=[(2, 2, 2), (2, 2, 2)])

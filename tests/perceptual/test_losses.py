"""Losses against their formulas in numpy, float64."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import stylenorm.perceptual
from stylenorm.errors import InputError, ShapeError, UnknownNameError
from stylenorm.perceptual import (
    DARKNETS,
    Darknet,
    PerceptualLoss,
    StyleTarget,
    content_loss,
    gram_matrix,
    lattice,
    load_darknet,
    load_features,
    style_loss,
    total_variation,
)
from tests.perceptual.darknets import random_tensors, write_features
from tests.tolerances import assert_close


def rand(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_gram_matrix() -> None:
    x = rand(2, 3, 4, 5)
    flat = x.numpy().reshape(2, 3, 20)
    assert_close(gram_matrix(x), np.einsum("nip,njp->nij", flat, flat) / 20)
    with pytest.raises(ShapeError, match="N, C, H, W"):
        gram_matrix(x[0])


def test_guided_gram_matrix() -> None:
    x, weights = rand(2, 3, 4, 5), rand(1, 1, 4, 5, seed=1)
    flat, w = x.numpy().reshape(2, 3, 20), weights.numpy().reshape(20)
    assert_close(gram_matrix(x, weights), np.einsum("p,nip,njp->nij", w, flat, flat) / w.sum())
    left = torch.zeros(1, 1, 4, 5, dtype=torch.float64)
    left[..., :2] = 1
    assert_close(gram_matrix(x, left), gram_matrix(x[..., :2]))


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("guided", [False, True])
def test_derivatives_of_the_gram_matrix(guided: bool, layout: torch.memory_format) -> None:
    x, weights = rand(2, 3, 4, 5), rand(1, 1, 4, 5, seed=1) if guided else None
    x = x.contiguous(memory_format=layout).requires_grad_()
    upstream = rand(2, 3, 3, seed=2)  # not symmetric
    (derivative,) = torch.autograd.grad((gram_matrix(x, weights) * upstream).sum(), x)
    g, flat = upstream.numpy(), x.detach().numpy().reshape(2, 3, 20)
    share = np.full(20, 1 / 20) if weights is None else weights.numpy().reshape(20) / weights.numpy().sum()
    expected = (g + g.transpose(0, 2, 1)) @ (flat * share)
    assert_close(derivative, expected.reshape(2, 3, 4, 5))
    assert derivative.is_contiguous(memory_format=layout)  # else adding it to others takes long
    assert torch.autograd.gradgradcheck(lambda features: gram_matrix(features, weights), (x,))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_gram_of_half_precision_is_float32(dtype: torch.dtype) -> None:
    x = (rand(1, 2, 64, 64) * 100).to(dtype)
    gram = gram_matrix(x)
    assert gram.dtype == torch.float32
    flat = x.double().numpy().reshape(2, -1)
    assert_close(gram[0], flat @ flat.T / flat.shape[1])


def test_relative_losses() -> None:
    a, b = rand(2, 3, 4, 5), rand(2, 3, 4, 5, seed=1)
    expected = ((a - b) ** 2).numpy().sum(axis=(1, 2, 3)) / (b**2).numpy().sum(axis=(1, 2, 3))
    assert_close(content_loss(a, b), expected, rtol=1e-6)  # the 1e-8 that keeps black photos finite
    g, h = gram_matrix(a), gram_matrix(b)
    assert_close(
        style_loss(g, h),
        [float(((x - y) ** 2).sum() / (y**2).sum()) for x, y in zip(g, h, strict=True)],
        rtol=1e-6,
    )
    assert not style_loss(h, h).any()


def test_losses_of_nothing_are_finite() -> None:
    zero = torch.zeros(1, 3, 4, 4)
    assert torch.isfinite(content_loss(zero, zero)).all()
    assert torch.isfinite(style_loss(gram_matrix(zero), gram_matrix(zero))).all()


def test_total_variation_of_a_ramp() -> None:
    ramp = torch.arange(5.0).expand(1, 3, 4, 5)
    assert total_variation(ramp).tolist() == [1.0]
    assert total_variation(ramp.transpose(2, 3) * 2).tolist() == [2.0]


def test_lattice_is_the_variance_over_phases() -> None:
    x = rand(2, 3, 14, 17).numpy()
    expected = []
    for picture in x:
        below, right = (np.abs(np.diff(picture, axis=axis)) for axis in (1, 2))
        total = 0.0
        for c in range(3):
            rows, columns = 12, 16  # whole grids of 4, with a neighbour after the last
            three = [picture[c, :rows, :columns], below[c, :rows, :columns], right[c, :rows, :columns]]
            scale = (three[1].mean() + three[2].mean()) / 2
            for each in three:
                total += np.var([each[i::4, j::4].mean() for i in range(4) for j in range(4)]) / scale**2 / 3
        expected.append(total)
    assert_close(lattice(torch.from_numpy(x)), np.array(expected), rtol=1e-6)  # 1e-8 is added to the scale


def test_lattice_is_of_the_grid_and_not_of_contrast() -> None:
    noise = rand(1, 3, 257, 257)
    enlarged = rand(1, 3, 65, 65).repeat_interleave(4, 2).repeat_interleave(4, 3)
    assert lattice(noise).item() < 0.01
    assert lattice(enlarged).item() == pytest.approx(6, rel=0.1)  # each direction: 3 of 4 differences are 0
    assert lattice(0.1 * enlarged + 0.4).item() == pytest.approx(lattice(enlarged).item(), rel=1e-3)
    assert lattice(enlarged, period=5).item() < 0.1
    assert lattice(torch.full((1, 3, 9, 9), 0.5)).item() == 0


def plain_features(tensors: dict[str, Tensor], name: str, x: Tensor, pool: nn.Module) -> dict[str, Tensor]:
    """Darknet with torch's own batch norm, nothing folded."""
    spec, found = DARKNETS[name], {}
    for i in range(1, spec.num_convs + 1):
        weight = tensors[f"conv{i}.weight"].double()
        x = nn.functional.conv2d(x, weight, padding=weight.shape[2] // 2)
        stats = [tensors[f"bn{i}.{k}"].double() for k in ("running_mean", "running_var", "weight", "bias")]
        x = nn.functional.leaky_relu(nn.functional.batch_norm(x, *stats, eps=1e-3), 0.1)
        found[f"conv{i}"] = x
        if i in spec.pools_after:
            x = pool(x)
    return found


@pytest.mark.parametrize("name", sorted(DARKNETS))
@pytest.mark.parametrize("pool", ["average", "max"])
def test_darknet_is_conv_batch_norm_leaky_relu(name: str, pool: Any) -> None:
    tensors = random_tensors(name)
    x = rand(1, 3, 32, 48)
    expected = plain_features(tensors, name, x, nn.AvgPool2d(2) if pool == "average" else nn.MaxPool2d(2))
    found = Darknet(DARKNETS[name], tensors, pool=pool)(x.float())
    assert set(found) == {DARKNETS[name].content_tap, *DARKNETS[name].style_taps}
    for tap, features in found.items():
        assert_close(features, expected[tap], rtol=1e-3, atol=1e-4)  # a dozen float32 layers


def test_darknet_taps_and_missing_files(tmp_path: Any) -> None:
    write_features(tmp_path)
    network = load_darknet("darknet-reference", tmp_path)
    assert list(network(torch.rand(1, 3, 16, 16), ["conv2"])) == ["conv2"]
    assert not any(p.requires_grad for p in network.parameters())
    with pytest.raises(ShapeError, match="at least 16"):
        network(torch.rand(1, 3, 16, 15))
    with pytest.raises(UnknownNameError, match="conv9"):
        network(torch.rand(1, 3, 16, 16), ["conv9"])
    with pytest.raises(UnknownNameError, match="did you mean 'tiny-darknet'"):
        load_darknet("tiny-darknett", tmp_path)
    with pytest.raises(InputError, match=r"expected a file tiny-darknet\*"):
        load_darknet("tiny-darknet", tmp_path / "none")
    (tmp_path / "tiny-darknet.safetensors").write_bytes(
        (tmp_path / "darknet-reference.safetensors").read_bytes()
    )
    with pytest.raises(InputError, match="is not the weights of tiny-darknet"):
        load_darknet("tiny-darknet", tmp_path)


def test_perceptual_loss_is_the_mean_over_networks_scales_and_taps() -> None:
    networks = {name: Darknet(DARKNETS[name], random_tensors(name)).double() for name in DARKNETS}
    loss = PerceptualLoss(list(networks.values()), num_scales=2)
    x, photo = rand(2, 3, 32, 32), rand(2, 3, 32, 32, seed=1)
    paintings = [rand(1, 3, 48, 32, seed=2), rand(1, 3, 32, 40, seed=3)]
    target = StyleTarget.stack([loss.style_target(p) for p in paintings])
    index = torch.tensor([1, 0])
    terms = loss(x, loss.content_target(photo), target.select(index))

    pool = nn.AvgPool2d(2)
    for sample in range(2):
        contents, styles = [], []
        for name in networks:
            spec = DARKNETS[name]
            one, other = x[sample : sample + 1], photo[sample : sample + 1]
            painting = paintings[index[sample]]
            tensors = random_tensors(name)
            f = plain_features(tensors, name, one, pool)[spec.content_tap]
            g = plain_features(tensors, name, other, pool)[spec.content_tap]
            contents.append(float(((f - g) ** 2).sum() / (g**2).sum()))
            for scale in range(2):
                mine = plain_features(tensors, name, pool(one) if scale else one, pool)
                theirs = plain_features(tensors, name, pool(painting) if scale else painting, pool)
                per_tap = []
                for tap in spec.style_taps:
                    a, b = mine[tap].flatten(2)[0], theirs[tap].flatten(2)[0]
                    ga, gb = a @ a.T / a.shape[1], b @ b.T / b.shape[1]
                    per_tap.append(float(((ga - gb) ** 2).sum() / (gb**2).sum()))
                styles.append(np.mean(per_tap))
        # the folded weights are float32: 1e-4 relative
        assert_close(terms.content[sample], np.mean(contents), rtol=1e-4)
        assert_close(terms.style[sample], np.mean(styles), rtol=1e-4)


def test_the_networks_that_ship_are_small_and_say_how_they_were_made() -> None:
    from safetensors import safe_open

    path = Path(stylenorm.perceptual.__file__).parent / "data" / "distilled.safetensors"
    assert path.stat().st_size <= 3_000_000
    with safe_open(path, "np") as file:
        record = file.metadata()
        assert {str(file.get_tensor(name).dtype) for name in file.keys()} == {"float16"}  # noqa: SIM118
    assert record["command"].startswith("stylenorm train distill ")
    assert record["teachers"] == "tiny-darknet, darknet-reference"
    assert max(json.loads(record["held_out_error"]).values()) < 0.05
    deep, wide = load_features("distilled")
    picture = torch.rand(1, 3, 32, 48, generator=torch.Generator().manual_seed(0))
    assert {tap: tuple(f.shape[1:]) for tap, f in deep(picture).items()} == {
        "conv1": (16, 32, 48),
        "conv2": (32, 16, 24),
        "conv4": (128, 8, 12),
        "conv6": (128, 8, 12),
        "conv8": (256, 4, 6),
        "conv10": (256, 4, 6),
        "conv12": (512, 2, 3),
    }
    assert {tap: tuple(f.shape[1:]) for tap, f in wide(picture).items()} == {
        "conv1": (16, 32, 48),
        "conv2": (32, 16, 24),
        "conv3": (64, 8, 12),
        "conv4": (128, 4, 6),
        "conv5": (256, 2, 3),
    }
    for network in (deep, wide):
        assert {conv.kernel_size for conv in network.layers()} == {(3, 3)}
        assert all(f.std() > 0.01 for f in network(picture).values())

"""Losses against their formulas in numpy, float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from stylenorm.errors import ShapeError
from stylenorm.perceptual import (
    PerceptualLoss,
    StyleTarget,
    checkerboard_loss,
    content_loss,
    gram_matrix,
    style_loss,
    total_variation,
)
from tests.perceptual.tiny_features import TinyFeatures
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


def test_checkerboard_artefacts_are_the_variance_over_phases() -> None:
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
    assert_close(
        checkerboard_loss(torch.from_numpy(x)), np.array(expected), rtol=1e-6
    )  # 1e-8 is added to the scale


def test_checkerboard_artefacts_are_of_the_grid_and_not_of_contrast() -> None:
    noise = rand(1, 3, 257, 257)
    enlarged = rand(1, 3, 65, 65).repeat_interleave(4, 2).repeat_interleave(4, 3)
    assert checkerboard_loss(noise).item() < 0.01
    # Each direction: 3 of 4 differences are 0.
    assert checkerboard_loss(enlarged).item() == pytest.approx(
        6, rel=0.1
    )  # each direction: 3 of 4 differences are 0
    assert checkerboard_loss(0.1 * enlarged + 0.4).item() == pytest.approx(
        checkerboard_loss(enlarged).item(), rel=1e-3
    )
    assert checkerboard_loss(enlarged, period=5).item() < 0.1
    assert checkerboard_loss(torch.full((1, 3, 9, 9), 0.5)).item() == 0


def test_perceptual_loss_is_the_mean_over_networks_scales_and_taps() -> None:
    networks = [TinyFeatures(torch.float64, width) for width in (4, 6)]
    loss = PerceptualLoss(networks, num_scales=2)
    x, photo = rand(2, 3, 32, 32), rand(2, 3, 32, 32, seed=1)
    paintings = [rand(1, 3, 48, 32, seed=2), rand(1, 3, 32, 40, seed=3)]
    target = StyleTarget.stack([loss.style_target(p) for p in paintings])
    index = torch.tensor([1, 0])
    terms = loss(x, loss.content_target(photo), target.select(index))

    pool, tiny = nn.AvgPool2d(2), 1e-8  # which keeps the losses of nothing finite
    for sample in range(2):
        contents, styles = [], []
        for network in networks:
            one, other = x[sample : sample + 1], photo[sample : sample + 1]
            painting = paintings[index[sample]]
            f, g = (dict(network.activations(each))["b"] for each in (one, other))
            contents.append(float(((f - g) ** 2).sum() / ((g**2).sum() / g.numel() + tiny) / g.numel()))
            for scale in range(2):
                mine, theirs = (
                    dict(network.activations(pool(each) if scale else each)) for each in (one, painting)
                )
                per_tap = []
                for tap in ("a", "b"):
                    a, b = mine[tap].flatten(2)[0], theirs[tap].flatten(2)[0]
                    ga, gb = a @ a.T / a.shape[1], b @ b.T / b.shape[1]
                    per_tap.append(float(((ga - gb) ** 2).sum() / ((gb**2).sum() + tiny)))
                styles.append(np.mean(per_tap))
        assert_close(terms.content[sample], np.mean(contents))
        assert_close(terms.style[sample], np.mean(styles))

"""The Frechet distance, against the formula with a matrix root of SciPy's, and on pictures."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from stylenorm.errors import InputError
from stylenorm.perceptual import FeatureStatistics, frechet_distance, load_features
from tests.requirements_met import need


def test_it_is_the_formula() -> None:
    linalg = need("scipy.linalg", "scipy")
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 5, 40))
    means, covariances = [x.mean(1) for x in (a, b)], [np.cov(x, bias=True) for x in (a, b)]
    root = linalg.sqrtm(covariances[0] @ covariances[1]).real
    expected = np.sum((means[0] - means[1]) ** 2) + np.trace(covariances[0] + covariances[1] - 2 * root)
    assert frechet_distance(means[0], covariances[0], means[1], covariances[1]) == pytest.approx(expected)
    assert frechet_distance(means[0], covariances[0], means[0], covariances[0]) < 1e-9


def test_pictures_of_a_kind_are_near() -> None:
    networks = load_features("vgg16")
    generator = torch.Generator().manual_seed(0)
    noise = [torch.rand(4, 3, 32, 32, generator=generator) for _ in range(4)]
    flat = [torch.rand(4, 3, 1, 1, generator=generator).expand(4, 3, 32, 32) for _ in range(2)]
    one, other, far = (FeatureStatistics.of(networks, batches) for batches in (noise[:2], noise[2:], flat))
    assert one.num_pictures == 8
    assert one.distance(one) < 1e-6
    assert one.distance(other) < 0.3 * far.distance(other)
    # batch by batch is all at once
    whole = FeatureStatistics.of(networks, [torch.cat(noise[:2])])
    for (mean, covariance), (mean_b, covariance_b) in zip(whole.moments(), one.moments(), strict=True):
        np.testing.assert_allclose(mean, mean_b, atol=1e-6)
        np.testing.assert_allclose(covariance, covariance_b, atol=1e-5)
    with pytest.raises(InputError, match="at least one picture"):
        FeatureStatistics(networks).moments()

"""The AdaIN network against its paper's equations."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from stylenorm.errors import InputError, ShapeError
from stylenorm.networks import AdainDecoder
from stylenorm.networks.adain import content_features
from tests.networks.test_papers_networks import random_weights
from tests.tiny_adain import TinyEncoder, tiny_adain
from tests.tolerances import assert_close


def test_the_decoder_is_the_mirror_of_vgg() -> None:
    decoder = AdainDecoder(512)
    mirrored = [(512, 256), *[(256, 256)] * 3, (256, 128), (128, 128), (128, 64), (64, 64), (64, 3)]
    found = [(m.in_channels, m.out_channels) for m in decoder.modules() if isinstance(m, nn.Conv2d)]
    assert found == mirrored
    assert (
        sum(p.numel() for p in decoder.parameters()) == sum(9 * a * b + b for a, b in mirrored) == 3_505_219
    )


def test_the_decoder_is_the_table_of_its_docstring() -> None:
    decoder = AdainDecoder(6, 2)
    random_weights(decoder)
    x = features = torch.rand(2, 6, 4, 5, dtype=torch.float64)
    for number, layer in enumerate(decoder.layers):
        if number in (1, 5, 7):
            x = F.interpolate(x, scale_factor=2, mode="nearest")
        x = F.conv2d(F.pad(x, (1,) * 4, mode="reflect"), layer.conv.weight, layer.conv.bias)
        x = F.relu(x) if number < 8 else x
    painted = decoder(features)
    assert painted.shape == (2, 3, 32, 40)
    assert_close(painted, x)


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_the_network_is_the_papers_equation(alpha: float) -> None:
    network = tiny_adain().double()
    photo, painting = (
        torch.rand(n, 3, 32, size, dtype=torch.float64, generator=torch.Generator().manual_seed(n))
        for n, size in ((2, 40), (1, 24))
    )
    content, style = (dict(TinyEncoder().double().activations(x))["conv4"].numpy() for x in (photo, painting))
    deviation, wanted = ((x.var(axis=(2, 3), keepdims=True) + 1e-5) ** 0.5 for x in (content, style))
    mean, target = (x.mean(axis=(2, 3), keepdims=True) for x in (content, style))
    features = alpha * ((content - mean) / deviation * wanted + target) + (1 - alpha) * content
    with torch.no_grad():
        expected = network.decoder(torch.from_numpy(features))
        assert_close(network(photo, painting, alpha), expected)


def test_encoders_that_do_not_fit() -> None:
    def encoder(size: int) -> SimpleNamespace:
        return SimpleNamespace(
            name="odd", content_tap="last", activations=lambda _: [("last", torch.zeros(1, 4, size, size))]
        )

    assert content_features(encoder(4), torch.zeros(1, 3, 32, 32)).shape == (1, 4, 4, 4)
    with pytest.raises(ShapeError, match="encoder odd: expected features of 4 x 4 at last, got 8 x 8"):
        content_features(encoder(8), torch.zeros(1, 3, 32, 32))
    odd = encoder(4)
    odd.content_tap = "other"
    with pytest.raises(InputError, match="expected a tap 'other'"):
        content_features(odd, torch.zeros(1, 3, 32, 32))
    with pytest.raises(InputError, match="at least one channel"):
        AdainDecoder(0)

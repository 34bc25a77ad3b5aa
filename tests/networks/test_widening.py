"""A wider network does what the narrower one did, and can learn with what is new."""

from __future__ import annotations

import pytest
import torch

from stylenorm.networks import NetworkConfig, build_network, widen, widened_style
from tests.tolerances import assert_close


@pytest.mark.parametrize(
    ("narrow", "wide"),
    [
        (NetworkConfig("quarter-nearest", 6, 2), NetworkConfig("quarter-nearest", 10, 2, head=5)),
        (NetworkConfig("johnson", 4, 1), NetworkConfig("johnson", 6, 1)),
    ],
)
def test_the_pictures_are_the_same(narrow: NetworkConfig, wide: NetworkConfig) -> None:
    torch.manual_seed(0)
    old, new = build_network(narrow).double(), build_network(wide).double()
    widen(new, old.state_dict())
    photo = torch.rand(2, 3, 20, 24, dtype=torch.float64)
    style = torch.rand(old.style_length, dtype=torch.float64) + 0.5
    style[-1] = 0.25
    wider = widened_style(style, old.norm_sizes, new)
    assert wider.shape == (new.style_length,)
    expected = old(photo, style)
    assert_close(new(photo, wider), expected.detach().numpy(), rtol=1e-9, atol=1e-9)

    new(photo, wider).square().sum().backward()
    fresh = new.blocks[0].first.weight
    columns = old.blocks[0].first.weight.shape[1]
    assert fresh.grad[:columns, columns:].abs().min() > 0  # what was there learns to listen to what is new
    assert (fresh[:columns, columns:] == 0).all()

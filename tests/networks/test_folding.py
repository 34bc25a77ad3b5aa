"""Batch norm can be folded into convolutions; instance norm, with one picture's statistics, must not be."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from stylenorm.errors import InputError
from stylenorm.networks import JohnsonNetwork2016, NormConv2d, UlyanovNetwork, fold_batch_norm
from tests.networks.test_papers_networks import random_weights
from tests.tolerances import assert_close


def photo(contrast: float = 1.0, seed: int = 0) -> Tensor:
    x = torch.rand(1, 3, 32, 40, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return 0.5 + contrast * (x - 0.5)


@pytest.mark.parametrize("enlarge", ["transposed", "nearest"])
def test_a_folded_network_paints_what_the_network_paints(enlarge: str) -> None:
    network = JohnsonNetwork2016("batch", 4, 2, enlarge=enlarge)
    random_weights(network)
    for seed in range(4):  # running statistics other than the first ones
        network(photo(seed=seed))
    folded = fold_batch_norm(network)
    assert network.training
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
    network.eval()
    assert_close(folded(photo(0.5, seed=9)), network(photo(0.5, seed=9)))


def test_norms_that_follow_no_convolution_stay() -> None:
    network = UlyanovNetwork("batch", 3)
    random_weights(network)
    noise = network.noise(1, 32, 40, torch.Generator().manual_seed(0)).double()
    network(photo(), noise)
    folded = fold_batch_norm(network)
    assert sum(isinstance(module, nn.BatchNorm2d) for module in folded.modules()) == 4
    network.eval()
    assert_close(folded(photo(0.5), noise), network(photo(0.5), noise))


@torch.no_grad()
def with_measured_statistics(network: JohnsonNetwork2016, x: Tensor) -> nn.Module:
    """The network with batch norms that know what its instance norms measure on ``x``."""
    frozen = JohnsonNetwork2016("batch", network.width, network.num_blocks).double()
    frozen.load_state_dict(network.state_dict(), strict=False)
    frozen.eval()
    measured: list[Tensor] = []
    hooks = [
        module.norm.register_forward_pre_hook(lambda _, inputs: measured.append(inputs[0]))
        for module in network.modules()
        if isinstance(module, NormConv2d) and not isinstance(module.norm, nn.Identity)
    ]
    network(x)
    for hook in hooks:
        hook.remove()
    norms = [module for module in frozen.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm, features in zip(norms, measured, strict=True):
        norm.running_mean = features.mean(dim=(0, 2, 3))
        norm.running_var = features.var(dim=(0, 2, 3), correction=0)
    return frozen


def test_instance_norm_folded_with_one_picture_is_wrong_for_the_next() -> None:
    network = JohnsonNetwork2016("instance", 4, 2)
    random_weights(network)
    with pytest.raises(InputError, match="wrong for the next"):
        fold_batch_norm(network)
    folded = fold_batch_norm(with_measured_statistics(network, photo()))
    # For the picture that was measured it is exact ...
    assert_close(folded(photo()), network(photo()))
    # ... and for the same picture with a fifth of the contrast, which an instance norm does not even notice,
    # it is another painting.
    faint = photo(0.2)
    change = (network(faint) - network(photo())).abs().mean()
    error = (folded(faint) - network(faint)).abs().mean()
    assert error > 0.05
    assert error > 10 * change


def test_nothing_to_fold() -> None:
    with pytest.raises(InputError, match="none to fold"):
        fold_batch_norm(JohnsonNetwork2016("none", 2, 1))

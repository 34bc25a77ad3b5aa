"""What torch's own tests of norms (test_nn) say, for our layers; each difference is listed with its reason.

Of every difference both sides are checked: what torch does, so that a change there is seen, and what ours do.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import stylenorm.nn as sn
from tests.tolerances import assert_close

RANKS = (1, 2, 3)


def norms(rank: int, *args: Any, **kwargs: Any) -> tuple[nn.Module, nn.Module]:
    """Torch's layer and ours."""
    return tuple(getattr(module, f"InstanceNorm{rank}d")(*args, **kwargs) for module in (nn, sn))


def result(call: Callable[[], object]) -> object:
    """What a call returns, or the type of its error."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            value = call()
    except (RuntimeError, ValueError, IndexError, TypeError) as error:
        return next(
            kind for kind in (IndexError, ValueError, TypeError, RuntimeError) if isinstance(error, kind)
        )
    return value.detach() if isinstance(value, Tensor) else value


@pytest.mark.parametrize("rank", RANKS)
def test_statistics_of_the_output_and_of_the_layer(rank: int) -> None:
    """Mean 0 and variance 1 of each plane; with a momentum of 1, the running statistics are the batch's."""
    torch.manual_seed(0)
    x = torch.rand(4, 3, *(6, 5, 4)[:rank])
    for norm in norms(rank, 3, track_running_stats=True, momentum=1, eps=0):
        y = norm(x).detach()
        dims = tuple(range(2, x.dim()))
        assert_close(y.mean(dims), torch.zeros(4, 3), atol=1e-5)
        assert_close(y.var(dims, correction=0), torch.ones(4, 3), atol=1e-4)
        assert_close(norm.running_mean, x.mean(dims).mean(0))
        assert_close(norm.running_var, x.var(dims).mean(0))
        norm.eval()
        shape = (1, 3, *(1,) * rank)
        expected = (x - norm.running_mean.view(shape)) / norm.running_var.view(shape).sqrt()
        assert_close(norm(x).detach(), expected, atol=1e-5)


@pytest.mark.parametrize("rank", RANKS)
def test_without_a_batch(rank: int) -> None:
    x = torch.randn(3, *(5,) * rank)
    for norm in norms(rank, 3):
        assert_close(norm(x), norm(x[None])[0])


@pytest.mark.parametrize("rank", RANKS)
@pytest.mark.parametrize("case", ["dimensions", "channels", "no channels' parameters"])
def test_what_is_refused_by_both(rank: int, case: str) -> None:
    x = torch.rand(2, 4, *(5,) * rank)
    theirs, mine = norms(rank, 3, affine=case != "no channels' parameters")
    if case == "dimensions":
        assert result(lambda: theirs(x[None])) is result(lambda: mine(x[None])) is ValueError
    elif case == "channels":
        assert result(lambda: theirs(x)) is result(lambda: mine(x)) is ValueError
    else:  # nothing depends on the number, so that both only warn
        for norm in (theirs, mine):
            with pytest.warns(UserWarning, match="channels|num_features"):
                assert norm(x).shape == x.shape


@pytest.mark.parametrize("rank", RANKS)
def test_old_state_dicts(rank: int) -> None:
    """Without a version, running statistics are refused, with the counter of batches or not kept."""
    tracking = norms(rank, 3, track_running_stats=True)[0].state_dict()
    plain = {key: value for key, value in tracking.items()}  # noqa: C416 - its metadata must go
    for norm in norms(rank, 3):
        with pytest.raises(RuntimeError):
            norm.load_state_dict(plain)


def after(norm: nn.Module, *batches: Tensor) -> nn.Module:
    """The layer when it has seen batches."""
    for x in batches:
        norm(x)
    return norm


X = torch.arange(2 * 3 * 4 * 4, dtype=torch.float32).view(2, 3, 4, 4).square()
LAST = X.contiguous(memory_format=torch.channels_last)
# What is done to a layer; what torch gives; what ours give; why.
DIFFERENCES: dict[str, tuple[Callable[[Any], object], object, object, str]] = {
    "a plane of one element": (
        lambda m: m.InstanceNorm2d(3, affine=True)(torch.ones(2, 3, 1, 1)).abs().max().item(),
        ValueError,
        0.0,
        "it has a mean, and the result is the shift; networks end in such planes at small inputs",
    ),
    "an empty batch with parameters": (
        lambda m: tuple(m.InstanceNorm2d(3, affine=True)(torch.ones(0, 3, 4, 4)).shape),
        IndexError,
        (0, 3, 4, 4),
        "torch's other norms return it empty as well",
    ),
    "an empty batch and running statistics": (
        lambda m: bool(
            after(m.InstanceNorm2d(3, track_running_stats=True), X[:0]).running_mean.isnan().any()
        ),
        True,
        False,
        "nothing was seen, so nothing changes",
    ),
    "channels last": (
        lambda m: m.InstanceNorm2d(3)(LAST).is_contiguous(memory_format=torch.channels_last),
        False,
        True,
        "torch's test of memory formats leaves its own instance norm out",
    ),
    "momentum=None": (
        lambda m: (
            after(m.InstanceNorm2d(3, momentum=None, track_running_stats=True), X, X)
            .running_mean.sum()
            .item()
        ),
        0.0,
        float(X.mean((0, 2, 3)).sum()),
        "torch documents the average of all batches, and leaves the statistics at their start",
    ),
    "the counter of batches": (
        lambda m: int(after(m.InstanceNorm2d(3, track_running_stats=True), X, X).num_batches_tracked),
        0,
        2,
        "torch documents it, and counts in batch norm only",
    ),
    "a constant plane": (
        lambda m: float(m.InstanceNorm2d(1)(torch.full((1, 1, 64, 64), 1234.567)).abs().max()) == 0,
        False,
        True,
        "its rounded mean is not its value, and torch divides the rest by the root of eps",
    ),
    "a negative eps": (
        lambda m: bool(m.InstanceNorm2d(3, eps=-1e9)(X).isnan().any()),
        True,
        ValueError,
        "there is no right result",
    ),
    "subnormal numbers of float16 with eps=0": (
        lambda m: (
            float(m.InstanceNorm2d(1, eps=0)(torch.tensor([[[[1e-6, -1e-6]]]]).half()).abs().max()) == 1
        ),
        False,
        True,
        "statistics are float32",
    ),
}


@pytest.mark.parametrize("name", DIFFERENCES)
def test_differences(name: str) -> None:
    call, torchs, ours, _ = DIFFERENCES[name]
    assert result(lambda: call(nn)) == torchs
    found = result(lambda: call(sn))
    assert found == (pytest.approx(ours, rel=1e-6) if isinstance(ours, float) else ours)

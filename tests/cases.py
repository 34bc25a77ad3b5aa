"""The table of layers: adding a layer is adding a row, and every row gets every generic test.

A row says how to build the layer, what it takes, what it must return, and what it must refuse.
"""
# ruff: noqa: E501 - tables read better in long lines

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

import stylenorm.nn as sn
from tests import reference as ref

SPATIAL = {1: (11,), 2: (6, 5), 3: (4, 3, 5)}


@dataclass(frozen=True)
class Case:
    """One layer of one rank with one set of arguments."""

    name: str  # of the class in stylenorm.nn
    build: Callable[[], torch.nn.Module]
    inputs: Callable[[torch.Generator], tuple[Tensor, ...]]
    reference: Callable[..., Any]  # (module, *inputs) -> float64 array
    wrong: tuple[tuple[Callable[[], tuple[Tensor, ...]], str], ...]  # inputs, what the message must say
    batch_independent: bool = True
    variant: str = ""
    exports: bool = True
    rank: int = 2
    differentiable: tuple[int, ...] = field(default=(0,))

    @property
    def id(self) -> str:
        return f"{self.name}-{self.variant}" if self.variant else self.name


def features(rank: int, channels: int = 4, batch: int = 3) -> Callable[[torch.Generator], tuple[Tensor, ...]]:
    def make(g: torch.Generator) -> tuple[Tensor, ...]:
        return (torch.randn(batch, channels, *SPATIAL[rank], generator=g) * 2 + 3,)

    return make


def wrong_features(rank: int) -> tuple[tuple[Callable[[], tuple[Tensor, ...]], str], ...]:
    return (
        (lambda: (torch.rand(2, 5, *SPATIAL[rank]),), r"input: expected 4 channels .*got"),
        (lambda: (torch.rand(4),), r"input: expected .*dimensions.*got \(4,\)"),
        (
            lambda: (torch.ones(2, 4, *SPATIAL[rank], dtype=torch.int64),),
            r"input: expected a floating dtype.*int64",
        ),
    )


def perturb(module: torch.nn.Module) -> torch.nn.Module:
    """Give every parameter a value of its own: defaults of zero and one hide mistakes."""
    g = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for p in module.parameters():
            p.add_(torch.randn(p.shape, generator=g) * 0.2)
    return module


def _instance(rank: int) -> list[Case]:
    name = f"InstanceNorm{rank}d"
    cls = getattr(sn, name)
    act = getattr(sn, f"InstanceNormAct{rank}d")

    def expected(m: Any, x: Tensor) -> Any:
        return ref.instance_norm(
            x, m.weight, m.bias, m.eps, eps_mode=m.eps_mode, correction=m.correction, scale_offset=m.scale_offset,
            act=getattr(m, "act", None), slope=getattr(m, "negative_slope", 0), alpha=getattr(m, "alpha", 1.0),
            act_weight=getattr(m, "act_weight", None),
        )  # fmt: skip

    rows = [
        Case(name, lambda: cls(4), features(rank), expected, wrong_features(rank)[1:], rank=rank),
        Case(name, lambda: cls(4, affine=True), features(rank), expected, wrong_features(rank), True, "affine",
             rank=rank),
        Case(name, lambda: cls(4, affine=True, eps=1e-3, eps_mode="outside", correction=1, scale_offset=1.0),
             features(rank), expected, wrong_features(rank), True, "switches", rank=rank),
    ]  # fmt: skip
    rows += [
        Case(f"InstanceNormAct{rank}d", lambda kind=kind: act(4, affine=True, act=kind, alpha=0.7),  # type: ignore[misc]
             features(rank), expected, wrong_features(rank), True, kind, rank=rank)
        for kind in ("relu", "leaky_relu", "prelu", "silu", "gelu", "elu")
    ]  # fmt: skip
    return rows


def _styled(rank: int) -> list[Case]:
    conditional = getattr(sn, f"ConditionalInstanceNorm{rank}d")
    adaptive = getattr(sn, f"AdaptiveInstanceNorm{rank}d")
    spade = getattr(sn, f"SPADE{rank}d")
    base = features(rank)
    labels = torch.tensor([2, 0, 4])

    def mixture(g: torch.Generator) -> tuple[Tensor, ...]:
        return (*base(g), torch.rand(3, 5, generator=g))

    def with_features(g: torch.Generator) -> tuple[Tensor, ...]:
        return (*base(g), torch.randn(1, 4, *(s + 2 for s in SPATIAL[rank]), generator=g))

    def with_vector(g: torch.Generator) -> tuple[Tensor, ...]:
        return (*base(g), torch.randn(3, 6, generator=g))

    def with_labels(g: torch.Generator) -> tuple[Tensor, ...]:
        return (*base(g), torch.randn(3, 2, *SPATIAL[rank], generator=g))

    def picked(m: Any, x: Tensor, style: Tensor) -> Any:
        w, b = ref.f64(m.weight), ref.f64(m.bias)
        if style.is_floating_point():
            return ref.instance_norm(x, ref.f64(style) @ w, ref.f64(style) @ b)
        return ref.instance_norm(x, w[style.numpy()], b[style.numpy()])

    def vector(m: Any, x: Tensor, w: Tensor) -> Any:
        s = ref.f64(w) @ ref.f64(m.fc.weight).T + ref.f64(m.fc.bias)
        return ref.instance_norm(x, s[:, :4] + 1, s[:, 4:])

    def maps(m: Any, x: Tensor, y: Tensor) -> Any:
        hidden = torch.relu(m.mlp_shared[0](y))  # torch's convolution; the norm is the oracle's
        return ref.instance_norm(x, ref.f64(m.mlp_gamma(hidden)) + 1, m.mlp_beta(hidden))

    def bad(second: Tensor) -> Callable[[], tuple[Tensor, ...]]:
        return lambda: (torch.rand(3, 4, *SPATIAL[rank]), second)

    return [
        Case(f"ConditionalInstanceNorm{rank}d", lambda: conditional(4, 5), lambda g: (*base(g), labels), picked,
             ((bad(torch.tensor([0, 5, 1])), r"style: expected labels 0\.\.4, got 0\.\.5"),
              (bad(torch.tensor([0, 1])), r"style: expected labels of shape \(3,\), got \(2,\)"),
              (bad(torch.rand(3, 4)), r"style: expected mixture weights \(3, 5\), got \(3, 4\)")),
             False, "labels", rank=rank),
        Case(f"ConditionalInstanceNorm{rank}d", lambda: conditional(4, 5), mixture, picked,
             ((bad(torch.tensor([True, False, True])), r"style: expected .*torch\.bool"),), True, "mixture",
             rank=rank, differentiable=(0, 1)),
        Case(f"AdaptiveInstanceNorm{rank}d", lambda: adaptive(), with_features,
             lambda _, x, s: ref.adaptive_instance_norm(x, s),
             ((bad(torch.rand(1, 5, *SPATIAL[rank])), r"style: expected shape \(3 or 1, 4.*got \(1, 5"),), False,
             "features", rank=rank, differentiable=(0, 1)),
        Case(f"AdaptiveInstanceNorm{rank}d", lambda: adaptive(4, style_dim=6), with_vector, vector,
             ((bad(torch.rand(3, 7)), r"style: expected style vectors \(3, 6\), got \(3, 7\)"),), True, "vector",
             rank=rank, differentiable=(0, 1)),
        Case(f"SPADE{rank}d", lambda: spade(4, 2, hidden=3), with_labels, maps,
             ((bad(torch.rand(3, 3, *SPATIAL[rank])), r"labels: expected \(3, 2, \*spatial\), got \(3, 3"),), True,
             rank=rank, differentiable=(0, 1)),
    ]  # fmt: skip


def _others(rank: int) -> list[Case]:
    frn = getattr(sn, f"FilterResponseNorm{rank}d")
    bin_ = getattr(sn, f"BatchInstanceNorm{rank}d")
    switch = getattr(sn, f"SwitchableNorm{rank}d")

    def frn_expected(m: Any, x: Tensor) -> Any:
        eps = m.eps + (float(abs(ref.f64(m.learned_eps)[0])) if m.learned_eps is not None else 0.0)
        return ref.filter_response_norm(x, m.weight, m.bias, m.threshold, eps)

    def statistics(m: Any) -> Any:
        return None if m.training else (m.running_mean, m.running_var)

    def switch_expected(m: Any, x: Tensor) -> Any:
        return ref.switchable_norm(
            x, m.mean_weight, m.var_weight, m.weight, m.bias, m.eps, m.correction, statistics(m)
        )

    def bin_expected(m: Any, x: Tensor) -> Any:
        return ref.batch_instance_norm(x, m.gate, m.weight, m.bias, m.eps, statistics(m))

    def ibn_expected(m: Any, x: Tensor) -> Any:
        v = ref.f64(x)
        stats = None if m.training else (m.BN.running_mean, m.BN.running_var)
        rest = ref.batch_norm(v[:, 2:], m.BN.eps, stats)
        rest = rest * ref.channel(m.BN.weight, rest) + ref.channel(m.BN.bias, rest)
        return ref.np.concatenate([ref.instance_norm(v[:, :2], m.IN.weight, m.IN.bias), rest], 1)

    wrong = wrong_features(rank)
    return [
        Case(f"FilterResponseNorm{rank}d", lambda: frn(4), features(rank), frn_expected, wrong, rank=rank),
        Case(f"FilterResponseNorm{rank}d", lambda: frn(4, learn_eps=True, threshold=False), features(rank),
             frn_expected, wrong, True, "learned", rank=rank),
        Case("ThresholdedLinearUnit", lambda: sn.ThresholdedLinearUnit(4), features(rank),
             lambda m, x: ref.np.maximum(ref.f64(x), ref.channel(m.threshold, x)),
             ((wrong[0][0], r"threshold: expected shape \(5,\) or \(1,\), got \(4,\)"), wrong[1], wrong[2]), True,
             f"{rank}d", rank=rank),
        Case(f"BatchInstanceNorm{rank}d", lambda: bin_(4), features(rank), bin_expected, wrong, False, rank=rank),
        Case(f"SwitchableNorm{rank}d", lambda: switch(4), features(rank), switch_expected, wrong, False, rank=rank),
        Case(f"SwitchableNorm{rank}d", lambda: switch(4, use_batch=False, correction=1), features(rank),
             switch_expected, wrong, True, "no-batch", rank=rank),
        Case("IBN", lambda: sn.IBN(4, rank=rank), features(rank), ibn_expected, wrong, False, f"{rank}d", rank=rank),
    ]  # fmt: skip


def _generator() -> list[Case]:
    def inputs(g: torch.Generator) -> tuple[Tensor, ...]:
        return (torch.randn(3, 4, 6, 5, generator=g), torch.randn(3, 6, generator=g))

    def expected(m: Any, x: Tensor, w: Tensor) -> Any:
        style = ref.f64(w) @ ref.f64(m.affine.weight).T + ref.f64(m.affine.bias)
        return ref.modulated_conv2d(x, ref.f64(m.weight) * m.gain, style, m.bias, padding=1)

    return [
        Case("ModulatedConv2d", lambda: sn.ModulatedConv2d(4, 3, 3, style_dim=6), inputs, expected,
             ((lambda: (torch.rand(3, 4, 6, 5), torch.rand(3, 5)), r"style: expected \(N, 6\), got \(3, 5\)"),
              (lambda: (torch.rand(3, 5, 6, 5), torch.rand(3, 6)), r"weight: expected \(O, 5")), True,
             differentiable=(0, 1)),
        Case("PixelNorm", lambda: sn.PixelNorm(), features(2), lambda m, x: ref.pixel_norm(x, m.eps),
             ((lambda: (torch.rand(4),), r"input: expected at least 2 dimensions.*got \(4,\)"),)),
    ]  # fmt: skip


CASES: list[Case] = [c for r in (1, 2, 3) for c in (*_instance(r), *_styled(r), *_others(r))] + _generator()

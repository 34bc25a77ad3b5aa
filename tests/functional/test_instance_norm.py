"""instance_norm: every argument against the oracle, against torch, and what it refuses."""
# ruff: noqa: E501 - tables read better in long lines

from __future__ import annotations

import itertools

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from stylenorm.errors import InputError, ShapeError, UnknownNameError
from stylenorm.functional import (
    ACTIVATION_NAMES,
    NORM_PRESETS,
    adaptive_instance_norm,
    channel_statistics,
    conditional_instance_norm,
    filter_response_norm,
    instance_norm,
    merge_statistics,
    modulated_conv2d,
    norm_preset,
    spade,
)
from tests import reference as ref
from tests.tolerances import assert_close

G = torch.Generator


def data(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=G().manual_seed(seed)) * 2 + 1


AFFINES = {
    "none": lambda: (None, None),
    "channel": lambda: (data(4, seed=1), data(4, seed=2)),
    "weight-only": lambda: (data(4, seed=1), None),
    "bias-only": lambda: (None, data(4, seed=2)),
    "sample": lambda: (data(3, 4, seed=1), data(3, 4, seed=2)),
    "map": lambda: (data(3, 4, 6, 5, seed=1), data(3, 4, 6, 5, seed=2)),
    "one-map": lambda: (data(1, 1, 6, 5, seed=1), data(1, 4, 6, 5, seed=2)),
}


@pytest.mark.parametrize("affine", AFFINES)
@pytest.mark.parametrize("act", [None, *ACTIVATION_NAMES])
@pytest.mark.parametrize("extra", ["", "residual", "mask", "statistics", "outside", "correction", "offset"])
def test_arguments_against_the_oracle(affine: str, act: str | None, extra: str) -> None:
    x = data(3, 4, 6, 5)
    weight, bias = AFFINES[affine]()
    slopes = torch.tensor([0.1, 0.2, 0.3, 0.4]) if act == "prelu" else None
    options = {
        "": {},
        "residual": {"residual": data(3, 4, 6, 5, seed=3)},
        "mask": {"mask": (data(3, 1, 6, 5, seed=4) > 0).float()},
        "statistics": {"statistics": (data(4, seed=5), data(3, 4, seed=6).abs())},
        "outside": {"eps_mode": "outside", "eps": 1e-2},
        "correction": {"correction": 1},
        "offset": {"scale_offset": 1.0} if weight is not None else {},
    }[extra]
    y = instance_norm(
        x, weight=weight, bias=bias, act=act, act_weight=slopes, negative_slope=0.2, alpha=0.5, **options
    )
    expected = ref.instance_norm(x, weight, bias, act=act, act_weight=slopes, slope=0.2, alpha=0.5, **options)
    assert_close(y, expected, atol=2e-5)


@pytest.mark.parametrize("shape", [(2, 3, 7), (2, 3, 5, 4), (2, 3, 4, 3, 5), (1, 1, 9), (3, 2, 2, 2, 2, 2)])
@pytest.mark.parametrize("training", [True, False])
def test_is_torchs(shape: tuple[int, ...], training: bool) -> None:
    x = data(*shape)
    c = shape[1]
    mine, theirs = (
        [data(c, seed=1), data(c, seed=2).abs(), data(c, seed=3), data(c, seed=4)] for _ in range(2)
    )
    assert_close(
        instance_norm(x, *mine, training, 0.3, 1e-3), F.instance_norm(x, *theirs, training, 0.3, 1e-3)
    )
    for a, b in zip(mine, theirs, strict=True):
        assert_close(a, b)


def test_is_group_norm_with_one_channel_a_group() -> None:
    x, w, b = data(3, 6, 5, 4), data(6, seed=1), data(6, seed=2)
    assert_close(instance_norm(x, weight=w, bias=b), F.group_norm(x, 6, w, b))
    # and group norm is instance norm of the groups
    grouped = instance_norm(x.reshape(3, 2, -1)).reshape(x.shape) * w[:, None, None] + b[:, None, None]
    assert_close(grouped, F.group_norm(x, 2, w, b))


@pytest.mark.parametrize("act", [None, "relu", "leaky_relu", "silu", "gelu", "elu", "prelu"])
@pytest.mark.parametrize("kind", ["plain", "residual", "map", "correction", "outside", "mask", "frozen"])
def test_first_and_second_derivatives(act: str | None, kind: str) -> None:
    x = data(2, 2, 5).double().requires_grad_()
    shape = (2, 2, 5) if kind == "map" else (2, 2)
    w, b = (data(*shape, seed=s).double().requires_grad_() for s in (1, 2))
    slopes = (torch.tensor([0.2, 0.3], dtype=torch.float64, requires_grad=True),) if act == "prelu" else ()
    second = (data(2, 2, 5, seed=3).double().requires_grad_(),) if kind == "residual" else ()
    options = {
        "correction": {"correction": 1},
        "outside": {"eps_mode": "outside"},
        "mask": {"mask": torch.tensor([1.0, 1, 0, 1, 1]).expand(2, 1, 5)},
        "frozen": {"statistics": (data(2, seed=5).double(), data(2, seed=6).double().abs())},
    }.get(kind, {})

    def run(x, w, b, *rest):
        named = {"act_weight": rest[-1]} if slopes else {}
        named |= {"residual": rest[0]} if second else {}
        return instance_norm(x, weight=w, bias=b, act=act, **options, **named)

    arguments = (x, w, b, *second, *slopes)
    assert torch.autograd.gradcheck(run, arguments)
    assert torch.autograd.gradgradcheck(run, arguments)


def test_fast_backward_is_the_definitions() -> None:
    """The block-wise gradients (used without create_graph) against the differentiable ones."""
    x = data(2, 3, 40, 40).requires_grad_()
    w, b = data(3, seed=1).requires_grad_(), data(3, seed=2).requires_grad_()
    r = data(2, 3, 40, 40, seed=3).requires_grad_()
    for act, correction in itertools.product((None, "relu", "silu", "gelu", "elu"), (0, 1)):
        y = instance_norm(x, weight=w, bias=b, residual=r, act=act, correction=correction)
        g = data(2, 3, 40, 40, seed=4)
        fast = torch.autograd.grad(y, (x, w, b, r), g, retain_graph=True)
        slow = torch.autograd.grad(y, (x, w, b, r), g, create_graph=True)
        for one, other in zip(fast, slow, strict=True):
            assert_close(one, other.detach(), rtol=1e-4, atol=3e-4)  # sums of 3200 float32 terms of size 5


@pytest.mark.parametrize("name", NORM_PRESETS)
def test_presets_are_their_published_formulas(name: str) -> None:
    x = data(2, 3, 6, 5)
    v = ref.f64(x)
    mean, biased = v.mean((2, 3), keepdims=True), v.var((2, 3), keepdims=True)
    unbiased = v.var((2, 3), keepdims=True, ddof=1)
    np = ref.np
    formulas = {
        "adain": (v - mean) / np.sqrt(unbiased + 1e-5),
        "adain-tutorials": (v - mean) / (np.sqrt(unbiased) + 1e-5),
        "johnson": (v - mean) / np.sqrt(biased + 1e-5),
        "keras-contrib": (v - mean) / (np.sqrt(biased) + 1e-3),
        "lengstrom": (v - mean) / np.sqrt(biased + 1e-3),
        "magenta": (v - mean) / np.sqrt(biased + 1e-5),
        "ncnn": (v - mean) / np.sqrt(biased + 1e-3),
        "onnx": (v - mean) / np.sqrt(biased + 1e-5),
        "spade": (v - mean) / np.sqrt(biased + 1e-5),
        "stargan-v2": (v - mean) / np.sqrt(biased + 1e-5),
        "stylegan": (v - mean) / np.sqrt(biased + 1e-8),
        "torch": (v - mean) / np.sqrt(biased + 1e-5),
    }
    assert set(formulas) == set(NORM_PRESETS)
    gamma, beta = data(2, 3, seed=1), data(2, 3, seed=2)
    one_plus = name in ("spade", "stargan-v2", "stylegan")
    expected = formulas[name] * (ref.channel(gamma, v) + one_plus) + ref.channel(beta, v)
    assert_close(
        instance_norm(x.double(), weight=gamma.double(), bias=beta.double(), **norm_preset(name)), expected
    )


def test_adain_preset_is_the_ports_formula() -> None:
    """mean and var() with torch's default, both plus eps: what the well-known port computes."""
    c, s = data(2, 3, 6, 5).double(), data(2, 3, 4, 4, seed=1).double() * 3
    size = (2, 3, 1, 1)

    def port(v: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        flat = v.reshape(2, 3, -1)
        return flat.mean(2).reshape(size), (flat.var(2) + 1e-5).sqrt().reshape(size)

    (cm, cs), (sm, ss) = port(c), port(s)
    preset = {k: v for k, v in norm_preset("adain").items() if k != "scale_offset"}
    assert_close(adaptive_instance_norm(c, s, **preset), (c - cm) / cs * ss + sm)


def test_modulated_convolution_modes_agree() -> None:
    x, w, s = data(2, 4, 6, 5), data(3, 4, 3, 3, seed=1), data(2, 4, seed=2)
    for options in (
        {"demodulate": False},
        {"stride": 2},
        {"scale_offset": 1.0},
        {"prescale": True},
        {"bias": data(3)},
    ):
        y = modulated_conv2d(x, w, s, padding=1, **options)
        options.pop("prescale", None)
        assert_close(y, ref.modulated_conv2d(x, w, s, padding=1, **options), atol=3e-5)
    huge = (data(2, 4, 6, 5) * 100).half(), (w * 50).half(), (s * 100).half()
    assert bool(modulated_conv2d(*huge, padding=1).isfinite().all())  # 6e4 is float16's end


def test_filter_response_norm_of_zeros_is_bias() -> None:
    y = filter_response_norm(torch.zeros(1, 2, 3), bias=torch.tensor([1.0, 2.0]), eps=0.0)
    assert y[0, :, 0].tolist() == [1.0, 2.0]


@given(
    shape=st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(1, 6), st.integers(2, 6)),
    gain=st.floats(0.5, 100.0), offset=st.floats(-100.0, 100.0), seed=st.integers(0, 1000),
)  # fmt: skip
def test_gain_and_offset_are_taken_out(shape: tuple[int, ...], gain: float, offset: float, seed: int) -> None:
    x = torch.randn(shape, generator=G().manual_seed(seed), dtype=torch.float64)
    assert_close(instance_norm(x * gain + offset, eps=0.0), instance_norm(x, eps=0.0), atol=1e-8, rtol=1e-8)


@given(n=st.integers(2, 4), c=st.integers(1, 5), length=st.integers(1, 40), seed=st.integers(0, 1000))
def test_batch_independence(n: int, c: int, length: int, seed: int) -> None:
    x = torch.randn(n, c, length, generator=G().manual_seed(seed))
    w, b = torch.rand(n, c), torch.rand(n, c)
    apart = [instance_norm(x[i : i + 1], weight=w[i : i + 1], bias=b[i : i + 1]) for i in range(n)]
    assert torch.equal(instance_norm(x, weight=w, bias=b), torch.cat(apart))


@given(cut=st.integers(1, 19), mean=st.sampled_from([0.0, 1e3, 1e6]), seed=st.integers(0, 1000))
def test_merged_statistics_are_those_of_the_whole(cut: int, mean: float, seed: int) -> None:
    x = torch.randn(2, 3, 20, generator=G().manual_seed(seed)) + mean
    whole = channel_statistics(x)
    merged = merge_statistics(channel_statistics(x[..., :cut]), channel_statistics(x[..., cut:]))
    assert torch.equal(merged.count, whole.count)
    assert_close(merged.mean, whole.mean, rtol=1e-12)
    assert_close(merged.m2, whole.m2, rtol=1e-9)
    expected_mean, expected_var = ref.plane_moments(ref.f64(x))
    assert_close(whole.mean, expected_mean, rtol=1e-12)
    assert_close(whole.variance(), expected_var, rtol=1e-9)
    batch = channel_statistics(x, over_batch=True)
    apart = [channel_statistics(x[i : i + 1], over_batch=True) for i in range(2)]
    assert_close(merge_statistics(*apart).m2, batch.m2, rtol=1e-9)


@given(seed=st.integers(0, 1000), scale=st.floats(0.1, 50.0))
def test_adain_of_itself(seed: int, scale: float) -> None:
    x = torch.randn(2, 3, 7, generator=G().manual_seed(seed), dtype=torch.float64) * scale + 3
    for correction, mode in itertools.product((0, 1), ("inside", "outside")):
        assert_close(
            adaptive_instance_norm(x, x, correction=correction, eps_mode=mode), x, rtol=1e-9, atol=1e-9
        )


def test_masked_statistics_are_those_of_the_kept_part() -> None:
    x = data(2, 3, 12)
    mask = torch.zeros(2, 1, 12)
    mask[0, :, :5], mask[1, :, :9] = 1, 1
    x[0, :, 5:], x[1, :, 9:] = 1e4, -1e4  # padding must not matter
    y = instance_norm(x, mask=mask)
    assert_close(y[:1, :, :5], instance_norm(x[:1, :, :5]))
    assert_close(y[1:, :, :9], instance_norm(x[1:, :, :9]))
    assert bool(instance_norm(x, mask=torch.zeros(2, 1, 12)).isfinite().all())


X = torch.rand(2, 3, 4, 4)
BAD = [
    (lambda: instance_norm([1.0]), r"input: expected a torch\.Tensor, got list"),
    (lambda: instance_norm(torch.rand(2, 3)), r"input: expected at least 3 dimensions .*got \(2, 3\)"),
    (lambda: instance_norm(X.long()), r"input: expected a floating dtype.*got torch\.int64"),
    (lambda: instance_norm(X.to(torch.complex64)), r"input: expected a floating dtype.*complex64"),
    (lambda: instance_norm(X, eps=-1.0), r"eps: expected a finite number >= 0, got -1\.0"),
    (lambda: instance_norm(X, eps=float("nan")), r"eps: expected a finite number"),
    (lambda: instance_norm(X, weight=torch.rand(4)), r"weight: expected shape \(3,\), \(2, 3\).*got \(4,\)"),
    (lambda: instance_norm(X, bias=torch.rand(3, 2)), r"bias: expected shape .*got \(3, 2\)"),
    (lambda: instance_norm(X, weight=torch.ones(3, dtype=torch.int32)), r"weight: expected a floating dtype"),
    (lambda: instance_norm(X, weight=torch.rand(3, device="meta")), r"weight: expected device cpu.*got meta"),
    (lambda: instance_norm(X, act="swish"), r"unknown act 'swish'.*Known: elu, gelu"),
    (lambda: instance_norm(X, act="prelu"), r"act_weight: expected the slopes of prelu"),
    (lambda: instance_norm(X, act="prelu", act_weight=torch.rand(2)), r"act_weight: expected shape .*got \(2,\)"),
    (lambda: instance_norm(X, act="relu", act_weight=torch.rand(3)), r"act_weight: expected None unless"),
    (lambda: instance_norm(X, eps_mode="both"), r"unknown eps_mode 'both'"),
    (lambda: instance_norm(X, correction=2), r"correction: expected one of 0, 1, got 2"),
    (lambda: instance_norm(X, residual=torch.rand(2, 3, 4, 5)), r"residual: expected shape .*got \(2, 3, 4, 5\)"),
    (lambda: instance_norm(X, mask=torch.rand(2, 3, 4)), r"mask: expected shape .*got \(2, 3, 4\)"),
    (lambda: instance_norm(X, torch.rand(3)), r"running_mean, running_var: expected both or neither"),
    (lambda: instance_norm(X, torch.rand(2), torch.rand(2)), r"running_mean: expected shape \(3,\), got \(2,\)"),
    (lambda: instance_norm(X, use_input_stats=False), r"use_input_stats=False: expected running_mean"),
    (lambda: instance_norm(X, statistics=torch.rand(3)), r"statistics: expected a pair"),
    (lambda: instance_norm(X, statistics=(torch.rand(3), torch.rand(2))), r"statistics\[1\] \(variance\)"),
    (lambda: instance_norm(X, statistics=(torch.rand(3),) * 2, mask=X), r"mask: expected None where"),
    (lambda: adaptive_instance_norm(X, torch.rand(3, 3, 4, 4)), r"style: expected shape \(2 or 1, 3"),
    (lambda: adaptive_instance_norm(X, torch.rand(1, 3, 0, 4)), r"style: expected at least one element"),
    (lambda: conditional_instance_norm(X, torch.tensor([0, 9]), torch.rand(2, 3), torch.rand(2, 3)), r"labels 0\.\.1"),
    (lambda: conditional_instance_norm(X, [0, 1], torch.rand(2, 3), torch.rand(2, 3)), r"style: expected a torch"),
    (lambda: conditional_instance_norm(X, torch.tensor([0, 1]), torch.rand(2, 4), torch.rand(2, 3)), r"weight: exp"),
    (lambda: spade(X, torch.rand(3), torch.rand(3)), r"gamma: expected a map"),
    (lambda: norm_preset("lengstorm"), r"did you mean 'lengstrom'"),
    (lambda: merge_statistics(channel_statistics(X), (1, 2, 3)), r"statistics: expected ChannelStatistics, got tuple"),
    (lambda: modulated_conv2d(X, torch.rand(2, 3, 3), torch.rand(2, 3)), r"weight: expected \(O, 3, kh, kw\), got"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "message"), BAD, ids=[m[:30] for _, m in BAD])
def test_bad_calls_say_what_was_expected(call, message: str) -> None:
    with pytest.raises((InputError, ShapeError, UnknownNameError), match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


@given(data=st.data())
def test_fuzz(data: st.DataObject) -> None:
    """Any mixture of good and bad arguments: a right result, or an error of ours; never anything else."""
    sizes = st.integers(0, 4)
    x = torch.rand(data.draw(st.lists(sizes, max_size=6)))
    dtypes = [torch.float32, torch.float64, torch.bfloat16, torch.float16, torch.int32, torch.bool]
    x = x.to(data.draw(st.sampled_from(dtypes)))
    if x.dim() == 4 and data.draw(st.booleans()):
        x = x.contiguous(memory_format=torch.channels_last)
    channels = x.shape[1] if x.dim() > 1 else 1

    def maybe(right: list[int]):
        choice = data.draw(st.integers(0, 5))
        if choice < 2:
            return None
        return torch.rand(data.draw(st.lists(sizes, max_size=3)) if choice == 2 else right)

    options = {
        "weight": maybe([channels]),
        "bias": maybe([x.shape[0] if x.dim() else 1, channels]),
        "residual": maybe(list(x.shape)),
        "mask": maybe(list(x.shape)),
        "eps": data.draw(st.sampled_from([1e-5, 0.0, 1.0, -1.0, float("inf"), "1", None])),
        "act": data.draw(st.sampled_from([None, "relu", "silu", "prelu", "tanh", 3])),
        "correction": data.draw(st.sampled_from([0, 1, 2, True])),
        "eps_mode": data.draw(st.sampled_from(["inside", "outside", "", None])),
    }
    try:
        y = instance_norm(x, **options)
    except InputError:
        return
    assert y.shape == x.shape
    assert y.dtype == x.dtype
    expected = ref.instance_norm(
        x, options["weight"], options["bias"], options["eps"], eps_mode=options["eps_mode"],
        correction=options["correction"], mask=options["mask"], residual=options["residual"], act=options["act"],
    )  # fmt: skip
    if options["eps"] > 0:
        rtol, atol = {torch.float64: (1e-6, 1e-6), torch.float32: (1e-3, 1e-3)}.get(x.dtype, (3e-2, 3e-2))
        torch.testing.assert_close(y.double(), torch.from_numpy(expected), rtol=rtol, atol=atol)

"""Where the norm meets torch's machinery: what is no plain tensor is resolved, never read by its address."""

from __future__ import annotations

import pytest
import torch
from torch.autograd import forward_ad
from torch.testing._internal.two_tensor import TwoTensor

from stylenorm.functional import instance_norm
from tests import reference as ref
from tests.tolerances import assert_close


def data(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * 2 + 1


def negated(x: torch.Tensor) -> torch.Tensor:
    """``x``, by torch's lazy negation: memory that holds ``-x``."""
    lazy = torch.complex(torch.zeros_like(x), -x).conj().imag
    assert lazy.is_neg()
    assert torch.equal(lazy, x)
    return lazy


def gradient(x: torch.Tensor, grad: torch.Tensor, **options: object) -> torch.Tensor:
    leaf = x.clone().requires_grad_()
    return torch.autograd.grad(instance_norm(leaf, **options), leaf, grad)[0]


@pytest.mark.parametrize("act", [None, "relu"])
def test_another_default_device(act: str | None) -> None:
    """Statistics are allocated where the input is, not where new tensors are."""
    x, g = data(2, 3, 5, 4), data(2, 3, 5, 4, seed=1)
    w, slopes = data(2, 3, seed=2), torch.full((3,), 0.2)
    expected = gradient(x, g, weight=w, act=act)
    leaf = x.clone().requires_grad_()
    torch.set_default_device("meta")
    try:
        y = instance_norm(leaf, weight=w, act=act)
        (found,) = torch.autograd.grad(y, leaf, g)
        given = instance_norm(x, weight=w, act="prelu", act_weight=slopes, statistics=(w[0], w[1].abs()))
        inplace = instance_norm(leaf * 1, bias=w, act="leaky_relu", inplace=True)
        (from_output,) = torch.autograd.grad(inplace, leaf, g)
    finally:
        torch.set_default_device(None)
    assert found.device.type == given.device.type == "cpu"
    assert torch.equal(found, expected)
    assert_close(from_output, gradient(x, g, bias=w, act="leaky_relu"), rtol=0, atol=2e-5)


def test_a_wrapper_as_gradient() -> None:
    x, g, h = data(2, 3, 5, 4), data(2, 3, 5, 4, seed=1), data(2, 3, 5, 4, seed=2)
    leaf = x.clone().requires_grad_()
    (found,) = torch.autograd.grad(instance_norm(leaf, act="silu"), leaf, TwoTensor(g, h))
    assert isinstance(found, TwoTensor)
    assert_close(found.a, gradient(x, g, act="silu"), atol=2e-6)
    assert_close(found.b, gradient(x, h, act="silu"), atol=2e-6)


def test_a_wrapper_as_input() -> None:
    x = data(2, 3, 5, 4)
    y = instance_norm(TwoTensor(x, -x), act="relu")
    assert_close(y.a, ref.instance_norm(x, act="relu"))
    assert_close(y.b, ref.instance_norm(-x, act="relu"))


def test_a_tensor_of_zeros_without_memory() -> None:
    x = data(1, 3, 5, 4)
    zeros = torch._efficientzerotensor(x.shape)
    assert not gradient(x, zeros).any()
    assert not instance_norm(zeros).any()
    assert torch.equal(instance_norm(x, residual=zeros), instance_norm(x))


@pytest.mark.parametrize(
    "which", ["input", "weight", "bias", "residual", "act_weight", "statistics", "gradient"]
)
def test_lazy_negation(which: str) -> None:
    x, w, b, r = data(2, 3, 5, 4), data(3, seed=1), data(3, seed=2), data(2, 3, 5, 4, seed=3)
    slopes = torch.tensor([0.1, 0.2, 0.3])
    values = {"input": x, "weight": w, "bias": b, "residual": r, "act_weight": slopes, "act": "prelu"}
    if which == "statistics":
        values["statistics"] = (w, b.abs())
        expected = instance_norm(**values)
        assert_close(instance_norm(**values | {"statistics": (negated(w), b.abs())}), expected)
        return
    if which == "gradient":
        assert_close(gradient(x, negated(r), weight=w, act="relu"), gradient(x, r, weight=w, act="relu"))
        return
    expected = ref.instance_norm(x, w, b, residual=r, act="prelu", act_weight=slopes)
    assert_close(instance_norm(**values | {which: negated(values[which])}), expected)


@pytest.mark.parametrize("way", ["out", "inplace"])
@pytest.mark.parametrize("act", [None, "gelu"])
def test_writing_over_what_autograd_saved_is_noticed(way: str, act: str | None) -> None:
    leaf = data(2, 3, 5, 4).requires_grad_()
    saved = leaf.sigmoid()  # keeps its result
    before = saved._version
    with torch.no_grad():
        target = saved.detach()
        instance_norm(target if way == "inplace" else data(2, 3, 5, 4), act=act,
                      **({"inplace": True} if way == "inplace" else {"out": target}))  # fmt: skip
    assert saved._version > before
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        saved.sum().backward()


def test_inference_tensors_are_written_to() -> None:
    x = data(2, 3, 5, 4)
    with torch.inference_mode():
        y = instance_norm(x * 1, inplace=True)
        assert instance_norm(x, out=torch.empty_like(x)).equal(y)
    assert_close(y, ref.instance_norm(x))


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")  # torch's own forward-mode rules
@pytest.mark.parametrize("act", [None, "silu", "gelu", "elu", "relu", "leaky_relu"])
def test_a_dual_gradient_keeps_its_tangent(act: str | None) -> None:
    """The graph was made outside of forward-mode; backward is linear in what comes in."""
    x, g, t = (data(2, 3, 5, 4, seed=i).double() for i in range(3))
    leaf = x.clone().requires_grad_()
    y = instance_norm(leaf, act=act)
    with forward_ad.dual_level():
        dual = forward_ad.make_dual(g, t)
        (found,) = torch.autograd.grad(y, leaf, dual)
        primal, tangent = forward_ad.unpack_dual(found)
    assert_close(primal, gradient(x, g, act=act))
    assert tangent is not None
    assert_close(tangent, gradient(x, t, act=act))


def test_the_profiler_names_it() -> None:
    x = data(2, 3, 5, 4).requires_grad_()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        instance_norm(x.detach())
        instance_norm(x, act="relu", statistics=(torch.zeros(3), torch.ones(3))).sum().backward()
    names = [event.name for event in profile.events()]
    assert names.count("stylenorm::norm_act") == 2
    assert "NormActBackward" in names


@pytest.mark.parametrize("how", ["grad", "vmap", "vmap of grad", "vectorized jacobian"])
@pytest.mark.parametrize("options", ["prelu", "statistics"])
def test_transforms_of_slopes_and_given_statistics(how: str, options: str) -> None:
    x = data(2, 3, 6).double()
    w = data(3, seed=1).double()
    rest = {"act": "prelu", "act_weight": torch.tensor([0.1, 0.2, 0.3], dtype=torch.float64)}
    if options == "statistics":
        rest = {"act": "silu", "statistics": (w, w.abs() + 0.5)}

    def loss(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        return instance_norm(x[None], weight=w, **rest).square().sum()

    def apart(x: torch.Tensor) -> torch.Tensor:
        leaf = w.clone().requires_grad_()
        return torch.autograd.grad(loss(x, leaf), leaf)[0]

    if how == "grad":
        assert_close(torch.func.grad(loss, 1)(x[0], w), apart(x[0]))
    elif how == "vmap":
        found = torch.func.vmap(lambda x: instance_norm(x[None], weight=w, **rest)[0])(x)
        assert_close(found, instance_norm(x, weight=w, **rest))
    elif how == "vmap of grad":
        found = torch.func.vmap(torch.func.grad(loss, 1), (0, None))(x, w)
        assert_close(found, torch.stack([apart(v) for v in x]))
    else:
        found = torch.autograd.functional.jacobian(
            lambda w: instance_norm(x, weight=w, **rest), w, vectorize=True
        )
        expected = torch.autograd.functional.jacobian(lambda w: instance_norm(x, weight=w, **rest), w)
        assert_close(found, expected)


@pytest.mark.parametrize("kind", ["nan", "inf"])
def test_what_a_mask_leaves_out_does_not_count(kind: str) -> None:
    """Neither its value nor its gradient: padding may hold anything."""
    x = data(2, 3, 10)
    keep = torch.ones(2, 1, 10)
    keep[0, :, 6:], keep[1, :, 3:] = 0, 0
    bad = torch.where(keep > 0, x, torch.full_like(x, float(kind)))
    y = instance_norm(bad, mask=keep, act="relu")
    for i, length in enumerate((6, 3)):
        assert_close(y[i, :, :length], ref.instance_norm(x[i : i + 1, :, :length], act="relu")[0])
    leaf = bad.clone().requires_grad_()
    valid = instance_norm(leaf, mask=keep).where(keep > 0, torch.zeros(()))
    (g,) = torch.autograd.grad(valid.square().sum() + (valid**3).sum(), leaf)
    clean = x.clone().requires_grad_()
    valid = instance_norm(clean, mask=keep).where(keep > 0, torch.zeros(()))
    (h,) = torch.autograd.grad(valid.square().sum() + (valid**3).sum(), clean)
    assert_close(g.where(keep > 0, torch.zeros(())), h.where(keep > 0, torch.zeros(())), atol=1e-5)
    assert bool(g.isfinite().all())

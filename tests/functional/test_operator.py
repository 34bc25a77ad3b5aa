"""torch's own checks of an operator, and of what every composite function owes to subclasses."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch.testing._internal import composite_compliance
from torch.testing._internal.common_utils import noncontiguous_like

from stylenorm.functional import instance_norm
from tests.functional.test_others_tests import samples
from tests.tolerances import assert_close

FORWARD = torch.ops.stylenorm.norm_act.default


def data(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).double() * 2 + 1


def arguments() -> list[tuple[object, ...]]:
    x, residual = data(2, 3, 3, 4), data(2, 3, 3, 4, seed=1)
    w, b, slopes = data(3, seed=2), data(2, 3, seed=3), torch.full((3,), 0.2).double()
    given = torch.stack((data(2, 3), torch.zeros(2, 3), data(2, 3).abs()))
    rest = (1e-5, 0)
    return [
        (x, None, None, None, None, None, *rest, None, 0.0),
        (x, w, b, residual, None, None, *rest, "leaky_relu", 0.1),
        (x.to(memory_format=torch.channels_last), w, b, None, slopes, None, *rest, "prelu", 0.0),
        (x[..., ::2], None, b, None, None, None, 1e-5, 1, "gelu", 0.0),
        (x[:, :, 0], w, None, residual[:, :, 0], None, given, *rest, "silu", 0.0),
    ]


# torch 2.13's functorch tells about its own deprecations.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("case", range(5))
def test_opcheck(case: int) -> None:
    """The schema is kept, fake tensors have the real strides, and it can be traced with dynamic shapes."""
    values = arguments()[case]
    differentiated = [
        v.clone().requires_grad_() if isinstance(v, torch.Tensor) and v.dim() != 3 else v for v in values
    ]
    checks = ["test_schema", "test_autograd_registration", "test_faketensor"]
    torch.library.opcheck(FORWARD, values, test_utils=checks)
    checks += ["test_aot_dispatch_dynamic"] if case == 1 else []  # seconds each
    torch.library.opcheck(FORWARD, differentiated, test_utils=checks)


@pytest.mark.parametrize("case", range(5))
def test_gradcheck_and_its_batched_form(case: int) -> None:
    values = arguments()[case]
    tensors = [i for i, v in enumerate(values[:5]) if v is not None]
    leaves = [values[i].detach().clone().requires_grad_() for i in tensors]

    def function(*given: torch.Tensor) -> torch.Tensor:
        filled = list(values)
        for i, v in zip(tensors, given, strict=True):
            filled[i] = v
        return FORWARD(*filled)[0]

    assert torch.autograd.gradcheck(function, leaves, check_batched_grad=True)


def copied(sample) -> dict[str, object]:
    return {k: v.clone() if isinstance(v, torch.Tensor) else v for k, v in sample.kwargs.items()}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("index", [0, 4, 8])  # of nine; each takes a second
def test_composite_compliance_of_opinfos_samples(index: int) -> None:
    """torch's TestCompositeCompliance: wrapper subclasses in any place, also as the gradient, and duals."""
    sample = samples("sample_inputs_instance_norm")[index]
    # Statistics that are written to are wrapped by neither of torch's checks of its own instance norm.
    kwargs = {k: v for k, v in copied(sample).items() if not k.startswith("running")}
    x = sample.input.detach().clone().requires_grad_()
    composite_compliance.check_with_mode(instance_norm, (x.detach(),), kwargs, assert_equal_fn=assert_equal)
    composite_compliance.check_all_permutations(instance_norm, (x.detach(),), kwargs, assert_equal)
    composite_compliance.check_backward_formula(
        instance_norm, (x,), kwargs, assert_equal_fn=assert_equal, gradcheck_wrapper=None
    )
    composite_compliance.check_forward_ad_formula(
        instance_norm, (x,), kwargs, gradcheck_wrapper=None, assert_equal_fn=assert_equal
    )


def assert_equal(found: object, expected: object, **_: object) -> None:
    """Tensors, or tuples of tensors and None."""
    if isinstance(expected, torch.Tensor):
        assert_close(found, expected, rtol=1e-7, atol=1e-7)
    elif expected is not None:
        for a, b in zip(found, expected, strict=True):
            assert_equal(a, b)


@pytest.mark.parametrize("index", range(9))
def test_opinfos_samples_in_other_memory(index: int) -> None:
    """torch's test_noncontiguous_samples and test_neg_view."""
    sample = samples("sample_inputs_instance_norm")[index]
    x, expected = sample.input.detach(), instance_norm(sample.input, **copied(sample))
    for other in (noncontiguous_like(x), torch._neg_view(-x)):
        assert_close(instance_norm(other, **copied(sample)), expected)
        for a, b in itertools.pairwise([copied(sample), copied(sample)]):
            instance_norm(other, **a)
            instance_norm(x, **b)
            for name in ("running_mean", "running_var"):
                if isinstance(a.get(name), torch.Tensor):
                    assert_close(a[name], b[name])

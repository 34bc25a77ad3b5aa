"""What every layer of the table must do."""

from __future__ import annotations

import copy
import inspect
import io
import warnings

import numpy as np
import pytest
import torch

import stylenorm.nn as sn
from stylenorm.errors import StylenormError
from tests.cases import CASES, Case, perturb
from tests.tolerances import assert_close

LAYERS = pytest.mark.parametrize("case", CASES, ids=lambda c: c.id)
# The lazy layers become others, which have rows, at their first input.
NOT_LAYERS = {"Change", "Conversion", "Left", "NormFacts", *(f"LazyInstanceNorm{r}d" for r in (1, 2, 3))}


def make(case: Case, dtype: torch.dtype = torch.float32, training: bool = False):
    module = perturb(case.build()).to(dtype).train(training)
    inputs = case.inputs(torch.Generator().manual_seed(0))
    return module, tuple(x.to(dtype) if x.is_floating_point() else x for x in inputs)


def test_every_public_layer_has_a_row() -> None:
    public = {n for n in sn.__all__ if inspect.isclass(getattr(sn, n))} - NOT_LAYERS
    assert public == {c.name for c in CASES}


@LAYERS
@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
def test_agrees_with_the_float64_oracle(case: Case, training: bool) -> None:
    module, inputs = make(case, training=training)
    expected = case.reference(module, *inputs)
    y = module(*inputs)
    assert y.dtype == inputs[0].dtype
    assert y.shape == expected.shape
    assert_close(y, expected)
    double, inputs64 = make(case, torch.float64, training)
    assert_close(double(*inputs64), case.reference(double, *inputs64))


@LAYERS
def test_half_precision_is_rounded_once(case: Case) -> None:
    module, inputs = make(case)
    for dtype in (torch.bfloat16, torch.float16):
        half = tuple(x.to(dtype) if x.is_floating_point() else x for x in inputs)
        if any(isinstance(m, (torch.nn.modules.conv._ConvNd, torch.nn.Linear)) for m in module.modules()):
            y = copy.deepcopy(module).to(dtype)(*half)
        else:
            y = module(*half)  # parameters stay float32
        assert y.dtype == dtype
        assert bool(y.isfinite().all())


@LAYERS
def test_keeps_channels_last_forward_and_backward(case: Case) -> None:
    if case.rank == 1:
        pytest.skip("torch has no channels-last format for one spatial axis")
    memory_format = torch.channels_last if case.rank == 2 else torch.channels_last_3d
    module, inputs = make(case)
    x = inputs[0].clone().requires_grad_()
    y = module(x, *inputs[1:])
    last = inputs[0].to(memory_format=memory_format).requires_grad_()
    z = module(last, *inputs[1:])
    convolves = case.name == "ModulatedConv2d" or case.name.startswith("SPADE")
    assert_close(z, y.detach(), atol=1e-5)
    if not convolves:
        assert z.is_contiguous(memory_format=memory_format)
    grad = torch.randn(y.shape, generator=torch.Generator().manual_seed(1))
    (gx,) = torch.autograd.grad(y, x, grad)
    (gz,) = torch.autograd.grad(z, last, grad.to(memory_format=memory_format))
    assert_close(gz, gx, atol=2e-5)  # measured: convolutions sum in another order
    if not convolves:
        assert gz.is_contiguous(memory_format=memory_format)


@LAYERS
def test_strided_input(case: Case) -> None:
    module, inputs = make(case)
    wide = torch.stack([inputs[0], inputs[0] + 100], -1)[..., 0]  # every second element
    flipped = inputs[0].transpose(0, -1).contiguous().transpose(0, -1)
    for x in (wide, flipped):
        assert not x.is_contiguous()
        assert_close(module(x, *inputs[1:]), module(*inputs).detach(), atol=1e-5)


@LAYERS
def test_gradients_are_right(case: Case) -> None:
    module, inputs = make(case, torch.float64, training=True)
    for p in module.parameters():
        p.requires_grad_(True)
    wanted = tuple(
        x[..., :2].clone().requires_grad_() if i in case.differentiable and x.dim() > 2 else x.clone()
        for i, x in enumerate(inputs)
    )
    if case.name.startswith("SPADE"):  # both maps must keep one size
        wanted = tuple(x[..., :2].clone().requires_grad_() for x in inputs)
    parameters = dict(module.named_parameters())
    names = list(parameters)

    def run(*args: torch.Tensor) -> torch.Tensor:
        values = dict(zip(names, args[len(wanted) :], strict=True))
        return torch.func.functional_call(module, values, args[: len(wanted)])

    assert torch.autograd.gradcheck(run, (*wanted, *parameters.values()), fast_mode=True)
    assert torch.autograd.gradgradcheck(run, (*wanted, *parameters.values()), fast_mode=True, atol=1e-4)


@LAYERS
def test_state_dict_repr_copies(case: Case) -> None:
    module, inputs = make(case)
    expected = module(*inputs)
    fresh = case.build().eval()
    assert fresh.load_state_dict(module.state_dict()).missing_keys == []
    torch.testing.assert_close(fresh(*inputs), expected, rtol=0, atol=0)
    torch.testing.assert_close(copy.deepcopy(module)(*inputs), expected, rtol=0, atol=0)
    buffer = io.BytesIO()
    torch.save(module, buffer)
    buffer.seek(0)
    torch.testing.assert_close(torch.load(buffer, weights_only=False)(*inputs), expected, rtol=0, atol=0)
    assert repr(module).startswith(case.name + "(")


@LAYERS
def test_samples_do_not_see_each_other(case: Case) -> None:
    module, inputs = make(case)
    if not case.batch_independent:
        return
    whole = module(*inputs)
    for i in range(len(whole)):
        alone = module(*(x[i : i + 1] for x in inputs))
        # Bit for bit; but torch's vectorized exp and erf differ from its scalar ones in the last bit, and
        # which of them serves an element depends on its place in the tensor.
        if case.name.startswith("InstanceNorm") and case.variant not in ("silu", "gelu", "elu"):
            assert torch.equal(alone[0], whole[i])
        else:
            assert_close(alone[0], whole[i].detach())


@LAYERS
def test_wrong_inputs_are_named(case: Case) -> None:
    module, _ = make(case)
    for inputs, message in case.wrong:
        with pytest.raises(StylenormError, match=message):
            module(*inputs())


@LAYERS
def test_torch_export(case: Case) -> None:
    module, inputs = make(case)
    with warnings.catch_warnings():
        # torch 2.13 warns about its own use of its own deprecated class.
        warnings.filterwarnings("ignore", message=".*LeafSpec.*", category=FutureWarning)
        program = torch.export.export(module, inputs)
    assert_close(program.module()(*inputs), module(*inputs).detach(), atol=2e-5)


def test_perturbed_parameters_differ() -> None:
    module = perturb(sn.InstanceNorm2d(4, affine=True))
    assert not np.allclose(module.weight.detach().numpy(), 1.0)

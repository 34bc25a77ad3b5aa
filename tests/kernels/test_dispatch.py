"""Which kernel runs, what forces it, and what is said when it cannot."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from stylenorm.errors import UnknownNameError
from stylenorm.functional import instance_norm
from stylenorm.kernels import dispatch, explain, use_kernels
from tests import reference as ref
from tests.tolerances import assert_close

X = torch.rand(2, 3, 6, 5)


def test_every_row_has_a_reason_or_runs() -> None:
    for act in (None, "relu", "gelu", "prelu"):
        choice = explain(X, act=act)
        names = {kernel.name for kernel in dispatch.KERNELS}
        assert {choice.kernel, *(name for name, _ in choice.rejected)} == names
        assert str(choice).startswith(f"{choice.kernel}: ")


def test_what_no_fused_kernel_serves_goes_to_torch() -> None:
    assert explain(X, act="gelu").kernel == "torch"
    assert explain(X.to("meta")).kernel == "torch"
    assert "meta" in dict(explain(X.to("meta")).rejected)["c"]


class Labelled(torch.Tensor):
    """A subclass with no arithmetic of its own, as MONAI's MetaTensor."""


def test_a_subclass_that_computes_as_torch_does_is_served_and_kept() -> None:
    x = X.as_subclass(Labelled)
    assert explain(x).kernel == explain(X).kernel
    y = instance_norm(x)
    assert isinstance(y, Labelled)
    assert torch.equal(y.as_subclass(torch.Tensor), instance_norm(X))


class Seen(TorchDispatchMode):
    """Writes down what torch's dispatcher is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.names.append(str(func))
        return func(*args, **(kwargs or {}))


def test_a_dispatch_mode_sees_one_operator_each_way() -> None:
    """Under a mode (fake tensors, tracers, counters) nothing happens behind torch's back."""
    leaf = X.clone().requires_grad_()
    with Seen() as seen:
        y = instance_norm(leaf, act="relu")
        (g,) = torch.autograd.grad(y, leaf, X)
    assert seen.names[0] == "stylenorm.norm_act.default"
    assert seen.names.count("stylenorm.norm_act_backward.default") == 1
    assert_close(y, ref.instance_norm(X, act="relu"))
    (expected,) = torch.autograd.grad(instance_norm(leaf, act="relu"), leaf, X)
    assert torch.equal(g, expected)
    assert instance_norm(X.to("meta"), act="relu").shape == X.shape
    for layout in (torch.contiguous_format, torch.channels_last):
        x = X.contiguous(memory_format=layout)
        with FakeTensorMode() as mode:
            fake = mode.from_tensor(x)
            strides = instance_norm(fake, act="relu").stride()
        assert strides == instance_norm(x).stride()
        assert instance_norm(fake, act="relu").shape == X.shape


@pytest.mark.parametrize("name", ["torch", "c", "auto"])
def test_forced_by_a_context(name: str) -> None:
    with use_kernels(name):
        inside = explain(X).kernel
        assert_close(instance_norm(X, act="relu"), ref.instance_norm(X, act="relu"))
    assert name in (inside, "auto") or dispatch.c_norm.reason_missing()


def test_forced_by_the_environment() -> None:
    code = (
        "import torch; from stylenorm.kernels import explain; print(explain(torch.rand(1, 2, 3, 3)).kernel)"
    )
    environment = os.environ | {"STYLENORM_KERNELS": "TORCH"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "torch"


def test_forcing_stays_in_its_thread() -> None:
    with use_kernels("torch"), ThreadPoolExecutor(1) as pool:
        assert explain(X).kernel == "torch"
        elsewhere = pool.submit(lambda: explain(X).kernel).result()
    assert elsewhere == explain(X).kernel
    assert elsewhere != "torch" or dispatch.c_norm.reason_missing()


def test_an_unknown_name_lists_those_known(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'torch'"), use_kernels("torhc"):
        pass
    monkeypatch.setenv("STYLENORM_KERNELS", "cuda")
    monkeypatch.setattr(dispatch, "_asked", None)
    with pytest.raises(UnknownNameError, match=r"STYLENORM_KERNELS 'cuda'.*Known: auto, c, torch, triton"):
        instance_norm(X)


def test_a_fallback_is_said_once(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch, "_said", set())
    with caplog.at_level(logging.INFO, logger="stylenorm.kernels"), use_kernels("c"):
        for _ in range(3):
            instance_norm(X, act="gelu")
    assert [r.levelname for r in caplog.records] == ["WARNING"]
    assert "gelu" in caplog.records[0].message or dispatch.c_norm.reason_missing()
    caplog.clear()
    explain(X, act="gelu")
    assert not caplog.records, "asking is not running"


def test_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a machine without a compiler has: the same numbers, by plain operations."""
    monkeypatch.setattr(dispatch.c_norm, "_library", lambda: "the C kernels were not built")
    assert explain(X).kernel == "torch"
    assert dict(explain(X).rejected)["c"] == "the C kernels were not built"
    assert_close(instance_norm(X, act="relu"), ref.instance_norm(X, act="relu"))
    leaf = X.clone().requires_grad_()
    instance_norm(leaf, act="prelu", act_weight=torch.tensor([0.1])).sum().backward()
    assert bool(leaf.grad.isfinite().all())

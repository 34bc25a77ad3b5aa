"""Any network on OpenVINO, as a module."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import stylenorm.nn as sn
from stylenorm.errors import ExportError, InputError
from stylenorm.export import openvino_module
from tests.tolerances import assert_close


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.ReflectionPad2d(1), nn.Conv2d(3, 8, 3), nn.InstanceNorm2d(8, affine=True), nn.LeakyReLU(0.2),
        nn.Dropout(0.5), nn.Conv2d(8, 2, 3),
    )  # fmt: skip


@pytest.mark.parametrize("converted", [False, True])
def test_the_same_numbers_at_any_size(converted: bool) -> None:
    model = network()
    if converted:
        sn.convert(model)
    fast = openvino_module(model, torch.rand(1, 3, 16, 16), threads=1)
    assert model.training
    for size in (16, 11, 20):
        x = torch.rand(1, 3, size, size + 2)
        with torch.no_grad():
            assert_close(fast(x), model.eval()(x), atol=2e-5)
        model.train()


def test_what_it_refuses() -> None:
    model, x = network(), torch.rand(1, 3, 16, 16)
    fast = openvino_module(model, x)
    with pytest.raises(InputError, match=r"expected float32 tensors on the CPU, got torch\.float64 on cpu"):
        fast(x.double())
    with pytest.raises(InputError, match="expected that no gradient is asked for"):
        fast(x.requires_grad_())
    with pytest.raises(ExportError, match=r"differs by .* expected at most 0"):
        openvino_module(model, x.detach(), tolerance=0.0)

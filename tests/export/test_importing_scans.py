"""nnU-Net's and MONAI's networks with anisotropic strides: nnU-Net's is written out here in plain PyTorch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from stylenorm.errors import InputError
from stylenorm.export.importing import ImportOptions, import_weights
from stylenorm.export.importing_plans import NnUnetPlan, planned_by_nnunet
from stylenorm.models import Segmenter
from stylenorm.networks.unet_3d_published import published_dynunet, published_nnunet
from tests.requirements_met import need
from tests.tolerances import assert_close

# As nnU-Net has them: along z, y, x.
KERNELS, STRIDES, WIDTHS = ((1, 3, 3), (3, 3, 3), (3, 3, 3)), ((1, 1, 1), (1, 2, 2), (2, 2, 2)), (4, 8, 16)


def weights(channels: int = 2, classes: int = 3) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    state: dict[str, Tensor] = {}

    def draw(name: str, *shape: int) -> None:
        size = torch.Size(shape)
        scale = (size[1] * size[2:].numel()) ** -0.5 if len(size) > 1 else 0.3
        state[name] = scale * torch.randn(size, generator=generator)

    def block(name: str, before: int, after: int, kernel: tuple[int, ...]) -> None:
        for i in range(2):
            draw(f"{name}.convs.{i}.conv.weight", after, before if i == 0 else after, *kernel)
            for kind in ("conv.bias", "norm.weight", "norm.bias"):
                draw(f"{name}.convs.{i}.{kind}", after)
            state[f"{name}.convs.{i}.all_modules.0.bias"] = state[f"{name}.convs.{i}.conv.bias"]  # once more

    for level, (kernel, width) in enumerate(zip(KERNELS, WIDTHS, strict=True)):
        block(f"encoder.stages.{level}.0", WIDTHS[level - 1] if level else channels, width, kernel)
    for i, level in enumerate((1, 0)):
        draw(f"decoder.transpconvs.{i}.weight", WIDTHS[level + 1], WIDTHS[level], *STRIDES[level + 1])
        draw(f"decoder.transpconvs.{i}.bias", WIDTHS[level])
        block(f"decoder.stages.{i}", 2 * WIDTHS[level], WIDTHS[level], KERNELS[level])
        draw(f"decoder.seg_layers.{i}.weight", classes, WIDTHS[level], 1, 1, 1)
        draw(f"decoder.seg_layers.{i}.bias", classes)
    return state


def logits(of: dict[str, Tensor], x: Tensor) -> list[Tensor]:
    """The published network's logits at each level, the coarsest first."""

    def block(x: Tensor, name: str, stride: tuple[int, ...]) -> Tensor:
        for i in range(2):
            weight, bias = of[f"{name}.convs.{i}.conv.weight"], of[f"{name}.convs.{i}.conv.bias"]
            padding = tuple(side // 2 for side in weight.shape[2:])
            x = F.conv3d(x, weight, bias, stride if i == 0 else 1, padding)
            gamma, beta = of[f"{name}.convs.{i}.norm.weight"], of[f"{name}.convs.{i}.norm.bias"]
            x = F.leaky_relu(F.instance_norm(x, weight=gamma, bias=beta, eps=1e-5), 0.01)
        return x

    seen = []
    for level, stride in enumerate(STRIDES):
        x = block(x, f"encoder.stages.{level}.0", stride)
        seen.append(x)
    found = []
    for i, level in enumerate((1, 0)):
        weight, bias = of[f"decoder.transpconvs.{i}.weight"], of[f"decoder.transpconvs.{i}.bias"]
        x = F.conv_transpose3d(x, weight, bias, stride=STRIDES[level + 1])
        x = block(torch.cat([x, seen[level]], dim=1), f"decoder.stages.{i}", (1, 1, 1))
        weight, bias = of[f"decoder.seg_layers.{i}.weight"], of[f"decoder.seg_layers.{i}.bias"]
        found.append(F.conv3d(x, weight, bias))
    return found


def plans(**changes: Any) -> dict[str, Any]:
    properties = {"mean": 50.0, "std": 20.0, "percentile_00_5": -10.0, "percentile_99_5": 120.0}
    full = {
        "inherits_from": "base",
        "patch_size": [6, 8, 12],
        "spacing": [3.0, 1.0, 0.5],
        "normalization_schemes": ["CTNormalization", "ZScoreNormalization"],
        "use_mask_for_norm": [False, False],
        **changes,
    }
    return {
        "plans": {
            "transpose_forward": [0, 1, 2],
            "configurations": {"base": {"patch_size": [9, 9, 9]}, "3d_fullres": full},
            "foreground_intensity_properties_per_channel": {"0": properties},
        },
        "configuration": "3d_fullres",
        "dataset_json": {
            "labels": {"background": 0, "a": 1, "b": 2},
            "channel_names": {"0": "CT", "1": "PET"},
        },
    }


def test_nnunets_weights_give_nnunets_logits_at_every_level() -> None:
    state = {key: value.double() for key, value in weights().items()}
    x = torch.randn(1, 2, 6, 8, 12, generator=torch.Generator().manual_seed(1)).double()  # z, y, x
    ours = published_nnunet({key: value.float() for key, value in state.items()}).double()
    assert ours.kernels[0] == (3, 3, 1)
    assert ours.strides == ((1, 1, 1), (2, 2, 1), (2, 2, 2))
    with torch.no_grad():
        found = ours.supervised(x.permute(0, 1, 4, 3, 2))
        for mine, theirs in zip(found, reversed(logits(state, x)), strict=True):
            assert theirs.std() > 0.1
            assert_close(mine.permute(0, 1, 4, 3, 2), theirs, rtol=1e-5, atol=1e-5)  # weights in float32
        # Where the plans have turned the axes: the first is y, the second x, the third z.
        turned = published_nnunet({k: v.float() for k, v in state.items()}, (1, 2, 0)).double()
        made = turned(x.permute(0, 1, 3, 2, 4))  # of x (y, x, z): ours is x, y, z
        assert_close(made.permute(0, 1, 3, 2, 4), logits(state, x)[-1], rtol=1e-5, atol=1e-5)


def test_a_checkpoint_with_its_plans_becomes_a_folder_that_segments(tmp_path: Path) -> None:
    state = weights()
    logged = {"dice": [np.float64(0.5), np.float32(1)]}
    content = {"network_weights": state, "init_args": plans(), "logging": logged, "optimizer_state": None}
    torch.save(content, tmp_path / "checkpoint_final.pth")
    assert import_weights(tmp_path / "checkpoint_final.pth", tmp_path / "run", ImportOptions()) == "nnunet"
    segmenter = Segmenter(tmp_path / "run", threads=1)
    assert (segmenter.window, segmenter.spacing_mm) == ((12, 8, 6), (0.5, 1.0, 3.0))
    assert (segmenter.num_channels, segmenter.channels, segmenter.resamples) == (2, ("CT", "PET"), True)
    scan = 60 * np.random.default_rng(0).normal(size=(2, 12, 8, 6)).astype(np.float32)
    ct = (scan[0].clip(-10, 120) - 50) / 20
    other = (scan[1] - scan[1].mean()) / scan[1].std()
    seen = torch.from_numpy(np.stack([ct, other]).transpose(0, 3, 2, 1).copy())[None]
    wanted = logits(state, seen)[-1][0].permute(0, 3, 2, 1).numpy()
    found = np.concatenate(list(segmenter.logits(scan)), axis=1)
    assert np.abs(found - wanted).max() < 1e-3
    assert np.array_equal(segmenter(scan, spacing_mm=(0.5, 1.0, 3.0)), found.argmax(0))


def test_what_plans_say() -> None:
    assert planned_by_nnunet({"epoch": 3}) == NnUnetPlan()
    turned = plans()
    turned["plans"]["transpose_forward"] = [2, 0, 1]  # its axes: x, z, y
    plan = planned_by_nnunet({"init_args": turned})
    assert (plan.window, plan.spacing_mm) == ((6, 12, 8), (3.0, 0.5, 1.0))
    for changes, message in (
        ({"use_mask_for_norm": [False, True]}, "got nnU-Net's within a mask"),
        ({"normalization_schemes": ["RGBTo01Normalization"]}, "got RGBTo01Normalization"),
        ({"previous_stage": "3d_lowres"}, "second stage of nnU-Net's cascade"),
        ({"patch_size": None}, "cannot read them"),
    ):
        with pytest.raises(InputError, match=message):
            planned_by_nnunet({"init_args": plans(**changes)})
    regions = plans()
    regions["dataset_json"]["labels"]["a"] = [1, 2]
    with pytest.raises(InputError, match="got nnU-Net's regions"):
        planned_by_nnunet({"init_args": regions})


def test_segmentation_networks_that_have_no_equal_here() -> None:
    state = weights()
    for changes, message in (
        ({"encoder.stages.0.blocks.0.conv1.conv.weight": torch.zeros(1)}, "with residual blocks"),
        ({"encoder.stages.0.0.convs.2.conv.weight": torch.zeros(1)}, "two convolutions a level"),
        ({"encoder.stages.0.0.convs.0.norm.running_mean": torch.zeros(4)}, "got batch norm"),
        ({"encoder.stages.0.0.convs.0.conv.weight": torch.zeros(4, 2, 3, 3)}, "in three dimensions"),
        ({"encoder.stages.1.0.convs.0.conv.weight": torch.zeros(9, 4, 3, 3, 3)}, r"down\.1\.convs\.0"),
    ):
        with pytest.raises(InputError, match=message):
            published_nnunet({**state, **changes})
    del state["decoder.seg_layers.1.weight"]
    with pytest.raises(InputError, match=r"got none of its decoder\.seg_layers\.1\.weight"):
        published_nnunet(state)


def test_a_dynunet_with_strides_of_its_own() -> None:
    nets = need("monai.networks.nets", "monai")
    torch.manual_seed(0)
    kernels, strides = [[3, 3, 1], [3, 3, 3], [3, 3, 3]], [[1, 1, 1], [2, 2, 1], [2, 2, 2]]
    norm = ("INSTANCE", {"affine": True})
    theirs = nets.DynUNet(3, 2, 3, kernels, strides, strides[1:], filters=[4, 8, 16], norm_name=norm).eval()
    ours = published_dynunet(theirs.state_dict())
    x = torch.randn(1, 2, 8, 8, 6)
    with torch.no_grad():
        assert_close(ours(x), theirs(x), atol=1e-4, rtol=1e-4)

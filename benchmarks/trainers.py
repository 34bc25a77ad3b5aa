"""What do the trainers of MONAI and nnU-Net gain in their own loops?

    pip install pytorch-ignite dynamic_network_architectures
    python benchmarks/trainers.py

MONAI: DynUNet in `monai.engines.SupervisedTrainer`, batches of MetaTensors from a `monai.data.DataLoader`.
nnU-Net: its PlainConvUNet in the steps of its trainer (gradients set to None, Dice and cross entropy, clipped
at 12, SGD with Nesterov's momentum of 0.99). Scans are drawn. The same weights and batches for each
variant, one epoch a turn, all variants in turn: seconds of processor time (median of the turns), and the loss
of the last batch, which must agree.
"""

from __future__ import annotations

import argparse
import copy
import logging
import statistics
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

from material.synthetic_volumes import synthetic_volume
from measured import write_result

VARIANTS: dict[str, dict[str, Any] | None] = {
    "torch": None,
    "converted": {},
    "winograd": {"engine": "winograd"},
}
CLASSES = 6


def scans(count: int, side: int) -> list[dict[str, Any]]:
    """Drawn scans with a channel axis, intensities of mean 0 and deviation 1."""
    from monai.data import MetaTensor

    rng = np.random.default_rng(0)
    found = []
    for number in range(count):
        image, label = synthetic_volume((side,) * 3, rng)
        image = (image - image.mean()) / image.std()
        found.append({
            "image": MetaTensor(torch.from_numpy(image)[None], meta={"filename_or_obj": f"{number}.nii.gz"}),
            "label": MetaTensor(torch.from_numpy(label.astype(np.float32))[None].clamp(max=CLASSES - 1)),
        })  # fmt: skip
    return found


def loss_function() -> nn.Module:
    """Dice and cross entropy, as both use it."""
    from monai.losses import DiceCELoss

    loss: nn.Module = DiceCELoss(to_onehot_y=True, softmax=True)
    return loss


def monai_network() -> nn.Module:
    """DynUNet, three levels."""
    from monai.networks.nets import DynUNet

    return DynUNet(3, 1, CLASSES, [3] * 3, [1, 2, 2], [2] * 2, filters=[32, 64, 128])


def monai_epoch(network: nn.Module, data: list[dict[str, Any]]) -> float:
    """One epoch of MONAI's trainer."""
    from monai.data import DataLoader, Dataset
    from monai.engines import SupervisedTrainer

    trainer = SupervisedTrainer(
        device=torch.device("cpu"), max_epochs=1, train_data_loader=DataLoader(Dataset(data), batch_size=2),
        network=network, optimizer=torch.optim.SGD(network.parameters(), 1e-2), loss_function=loss_function(),
    )  # fmt: skip
    trainer.logger.setLevel(logging.WARNING)
    trainer.run()
    return float(trainer.state.output[0]["loss"])


def nnunet_network() -> nn.Module:
    """PlainConvUNet as nnU-Net's plans configure it, three stages."""
    from dynamic_network_architectures.architectures.unet import PlainConvUNet

    return PlainConvUNet(
        1, 3, [32, 64, 128], nn.Conv3d, 3, [1, 2, 2], 2, CLASSES, 2, conv_bias=True,
        norm_op=nn.InstanceNorm3d, norm_op_kwargs={"eps": 1e-5, "affine": True},
        nonlin=nn.LeakyReLU, nonlin_kwargs={"inplace": True},
    )  # fmt: skip


def nnunet_epoch(network: nn.Module, data: list[dict[str, Any]]) -> float:
    """One epoch in the steps of nnU-Net's trainer."""
    optimizer = torch.optim.SGD(network.parameters(), 1e-2, momentum=0.99, nesterov=True, weight_decay=3e-5)
    criterion = loss_function()
    loss = torch.zeros(())
    for start in range(0, len(data), 2):
        image, label = (
            torch.stack([one[key].as_tensor() for one in data[start : start + 2]])
            for key in ("image", "label")
        )
        optimizer.zero_grad(set_to_none=True)
        loss = criterion(network(image), label)
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 12)
        optimizer.step()
    return loss.item()


LOOPS: dict[str, tuple[Callable[[], nn.Module], Callable[[nn.Module, list[dict[str, Any]]], float]]] = {
    "MONAI SupervisedTrainer": (monai_network, monai_epoch),
    "nnU-Net": (nnunet_network, nnunet_epoch),
}


def main() -> None:
    """Measure and write results/trainers.json."""
    from stylenorm.nn import convert

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--side", type=int, default=32, help="of the scans, voxels")
    parser.add_argument("--scans", type=int, default=4)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    warnings.simplefilter("ignore")
    data, rows = scans(options.scans, options.side), []
    for loop, (build, epoch) in LOOPS.items():
        torch.manual_seed(0)
        plain = build()
        spent: dict[str, list[float]] = {name: [] for name in VARIANTS}
        last: dict[str, float] = {}
        for turn in range(options.turns + 1):  # the first one warms up
            for name, conversion in VARIANTS.items():
                network = copy.deepcopy(plain).train()
                if conversion is not None:
                    convert(network, **conversion)
                started = time.process_time()
                last[name] = epoch(network, data)
                if turn:
                    spent[name].append(time.process_time() - started)
        middle = {name: statistics.median(values) for name, values in spent.items()}
        for name, values in spent.items():
            spread = [round(min(values), 3), round(max(values), 3)]
            rows.append({
                "loop": loop, "variant": name, "ratio": round(middle["torch"] / middle[name], 3),
                "cpu_s": round(middle[name], 3), "cpu_spread_s": spread, "last_loss": round(last[name], 6),
            })  # fmt: skip
            print(rows[-1], flush=True)
    method = (
        "an epoch of drawn scans in batches of two, float32; the same weights each turn, variants in turn"
    )
    told = {key: getattr(options, key) for key in ("side", "scans", "turns", "threads")}
    write_result("trainers", method, {**told, "rows": rows})


if __name__ == "__main__":
    main()

"""What do whole networks gain, against the best that torch itself offers?

    python benchmarks/networks.py --compile

Johnson's network, CycleGAN's generator, MONAI's DynUNet and SegResNet, timm's ResNet-18 with instance norm,
batch of one, float32: inference, and a training step (forward and backward of a mean square). Every variant
runs in turn, round after round. A cell is the median of the rounds, with the fastest and the slowest:
processor time, because the machine may be busy with other work, and time on the clock. ``ratio`` is eager
torch's processor time of the same run over the variant's (higher is faster), ``best_of_torch`` the same for
the fastest of torch's own.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import time
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from measured import write_result
from training_step import cyclegan


class JohnsonResidual(nn.Module):
    """A block of Johnson's network: no activation behind the addition."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.block = nn.Sequential(
            *(nn.ReflectionPad2d(1), nn.Conv2d(width, width, 3), nn.InstanceNorm2d(width, affine=True)),
            nn.ReLU(),
            *(nn.ReflectionPad2d(1), nn.Conv2d(width, width, 3), nn.InstanceNorm2d(width, affine=True)),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Add what the block makes of x to x."""
        return x + self.block(x)


def johnson() -> nn.Module:
    """Johnson, Alahi & Fei-Fei 2016, arXiv:1603.08155, with instance norm, as PyTorch's example has it."""

    def layer(cin: int, cout: int, size: int, stride: int = 1) -> list[nn.Module]:
        pad, conv = nn.ReflectionPad2d(size // 2), nn.Conv2d(cin, cout, size, stride)
        return [pad, conv, nn.InstanceNorm2d(cout, affine=True), nn.ReLU()]

    parts = [*layer(3, 32, 9), *layer(32, 64, 3, 2), *layer(64, 128, 3, 2)]
    parts += [JohnsonResidual(128) for _ in range(5)]
    for cin, cout in ((128, 64), (64, 32)):
        parts += [nn.Upsample(scale_factor=2), *layer(cin, cout, 3)]
    return nn.Sequential(*parts, nn.ReflectionPad2d(4), nn.Conv2d(32, 3, 9))


def dynunet() -> nn.Module:
    """nnU-Net's plain network, of MONAI."""
    from monai.networks.nets import DynUNet

    return DynUNet(3, 1, 3, [3] * 4, [1, 2, 2, 2], [2] * 3, filters=[32, 64, 128, 256])


def segresnet() -> nn.Module:
    """MONAI's SegResNet with instance norm, which it spells as a group norm of one channel a group."""
    from monai.networks.nets import SegResNet

    return SegResNet(3, init_filters=16, in_channels=1, out_channels=2, norm=("INSTANCE", {"affine": True}))


def timm_resnet() -> nn.Module:
    """ResNet-18 of timm, its norm replaced."""
    import timm

    def norm(channels: int, **_: Any) -> nn.Module:
        return nn.InstanceNorm2d(channels, affine=True)

    model: nn.Module = timm.create_model("resnet18", norm_layer=norm, zero_init_last=False)
    return model


# How each is built, and how many spatial axes its input has.
NETWORKS: dict[str, tuple[Callable[[], nn.Module], int]] = {
    "johnson": (johnson, 2), "dynunet": (dynunet, 3), "cyclegan": (cyclegan, 2), "segresnet": (segresnet, 3),
    "timm_resnet18": (timm_resnet, 2),
}  # fmt: skip
METHOD = (
    "Batch of one, float32, seeded random weights and inputs; all variants in turn in one process, after a "
    "warm-up round; training is forward and backward of a mean square, without an optimizer. cpu_s: median "
    "processor time of a round over all threads; ratio: eager torch's over the variant's."
)
TORCHS = ("torch", "torch, channels_last", "torch.compile")


def variants(build: Callable[[], nn.Module], x: torch.Tensor, compiled: bool) -> dict[str, Any]:
    """Each variant: a network, and its input."""
    from stylenorm.nn import convert

    torch.manual_seed(0)
    plain = build()
    form = torch.channels_last if x.dim() == 4 else torch.channels_last_3d
    found: dict[str, Any] = {}
    for name in ("torch", "converted", "winograd"):
        for layout, memory in (("", torch.contiguous_format), (", channels_last", form)):
            model = copy.deepcopy(plain).to(memory_format=memory)
            if name != "torch":
                convert(model, engine="winograd" if name == "winograd" else None)
            found[name + layout] = (model, x.contiguous(memory_format=memory))
    if compiled:
        found["torch.compile"] = (torch.compile(copy.deepcopy(plain)), x)
    return found


def measure(found: dict[str, Any], training: bool, rounds: int) -> dict[str, list[tuple[float, float]]]:
    """Of each variant and round: seconds of processor time, and on the clock."""
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in found}
    for turn in range(rounds + 1):  # the first one warms up
        for name, (model, x) in found.items():
            model.train(training)
            started = time.process_time(), time.perf_counter()
            with torch.set_grad_enabled(training):
                output = model(x)
                output = output[0] if isinstance(output, (tuple, list)) else output
                if training:
                    output.square().mean().backward()
            if turn:
                seconds[name].append((time.process_time() - started[0], time.perf_counter() - started[1]))
            model.zero_grad()
    return seconds


def summary(seconds: dict[str, list[tuple[float, float]]]) -> list[dict[str, Any]]:
    """Medians, spreads and ratios."""
    medians = {name: statistics.median(cpu for cpu, _ in runs) for name, runs in seconds.items()}
    best = min(medians[name] for name in TORCHS if name in medians)
    rows = []
    for name, runs in seconds.items():
        cpu, wall = ([run[i] for run in runs] for i in (0, 1))
        rows.append({
            "variant": name, "ratio": round(medians["torch"] / medians[name], 3),
            "best_of_torch": round(best / medians[name], 3), "cpu_s": round(medians[name], 4),
            "cpu_spread_s": [round(min(cpu), 4), round(max(cpu), 4)],
            "clock_s": round(statistics.median(wall), 4),
        })  # fmt: skip
    return rows


def main() -> None:
    """Measure and write results/networks.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--size", type=int, default=192, help="of pictures")
    parser.add_argument("--patch", type=int, default=48, help="of volumes")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--compile", action="store_true", help="torch.compile too, which takes minutes")
    parser.add_argument("--inference", action="store_true", help="no training")
    parser.add_argument("--networks", nargs="*", default=list(NETWORKS), choices=list(NETWORKS))
    parser.add_argument("--name", default="networks", help="of the file of results")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    warnings.simplefilter("ignore")
    rows: list[dict[str, Any]] = []
    for name in options.networks:
        build, axes = NETWORKS[name]
        side, channels = (options.size, 3) if axes == 2 else (options.patch, 1)
        found = variants(build, torch.rand(1, channels, *(side,) * axes), options.compile)
        for training in (False,) if options.inference else (False, True):
            if options.compile:
                torch._dynamo.reset()  # or the second mode would count as the first one's failed guess
            for row in summary(measure(found, training, options.rounds)):
                rows.append({"network": name, "what": "training" if training else "inference", **row})
                print(rows[-1], flush=True)
        told = {k: getattr(options, k) for k in ("size", "patch", "rounds", "threads")}
        write_result(options.name, METHOD, {**told, "rows": rows})


if __name__ == "__main__":
    main()

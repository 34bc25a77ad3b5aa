"""What do whole networks gain, against the best that torch itself offers?

    python benchmarks/networks.py --compile

Johnson's network, CycleGAN's generator and MONAI's DynUNet, batch of one, float32, one thread: inference, and
a training step (forward and backward of a mean square). Every variant runs in turn, round after round; a cell
is the processor time of its fastest round, and its ratio to eager torch of the same run (higher is faster).
Processor time, because the machine may be busy with other work.
"""

from __future__ import annotations

import argparse
import copy
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


def variants(build: Callable[[], nn.Module], x: torch.Tensor, compiled: bool) -> dict[str, Any]:
    """Each variant: a network, and the layout of its input."""
    from stylenorm.export import openvino_module
    from stylenorm.nn import convert

    torch.manual_seed(0)
    plain = build()
    form = torch.channels_last if x.dim() == 4 else torch.channels_last_3d
    found: dict[str, Any] = {}
    for name in ("torch", "converted"):
        for layout, memory in (("", torch.contiguous_format), (", channels_last", form)):
            model = copy.deepcopy(plain).to(memory_format=memory)
            if name == "converted":
                convert(model)
            found[name + layout] = (model, x.contiguous(memory_format=memory))
    if compiled:
        found["torch.compile"] = (torch.compile(copy.deepcopy(plain)), x)
        model = copy.deepcopy(plain)
        convert(model)
        found["converted, torch.compile"] = (torch.compile(model), x)
    with torch.no_grad():
        found["openvino_module"] = (openvino_module(plain, x, threads=1), x)
    return found


def measure(found: dict[str, Any], training: bool, rounds: int) -> dict[str, float]:
    """Seconds of processor time of the fastest round."""
    best = dict.fromkeys(found, float("inf"))
    for turn in range(rounds + 1):  # the first one warms up
        for name, (model, x) in found.items():
            model.train(training)
            started = time.process_time()
            with torch.set_grad_enabled(training):
                output = model(x)
                output = output[0] if isinstance(output, (tuple, list)) else output
                if training:
                    output.square().mean().backward()
            if turn:
                best[name] = min(best[name], time.process_time() - started)
            model.zero_grad()
    return best


def main() -> None:
    """Measure and write results/networks.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--size", type=int, default=192, help="of pictures")
    parser.add_argument("--patch", type=int, default=48, help="of volumes")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--compile", action="store_true", help="torch.compile too, which takes minutes")
    parser.add_argument("--networks", nargs="*", default=["johnson", "cyclegan", "dynunet"])
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    rows = []
    for name in options.networks:
        build = {"johnson": johnson, "cyclegan": cyclegan, "dynunet": dynunet}[name]
        size = (options.patch,) * 3 if name == "dynunet" else (options.size,) * 2
        found = variants(build, torch.rand(1, 1 if name == "dynunet" else 3, *size), options.compile)
        for training in (False, True):
            if training:
                found.pop("openvino_module")
            seconds = measure(found, training, options.rounds)
            for variant, value in seconds.items():
                ratio = round(seconds["torch"] / value, 3)
                what = "training" if training else "inference"
                rows.append(
                    {"network": name, "what": what, "variant": variant, "ratio": ratio, "s": round(value, 4)}
                )
                print(rows[-1], flush=True)
    write_result("networks", {"size": options.size, "patch": options.patch, "rows": rows})


if __name__ == "__main__":
    main()

"""What does a training step of a real network cost, before and after ``convert``?

    python benchmarks/training_step.py --patch 96

Forward and backward of a mean square, float32, batch of one, each variant in a process of its own: seconds of
a step (median after one warm-up) and the peak of resident memory above what the model and its input take.
``torch``: the network with torch's norms; ``converted``: after ``stylenorm.nn.convert``; ``in place``: with
``inplace=True`` (norms with leaky_relu); ``difference``: of the output, relative to its largest value.
The stylizer network is built of stylenorm's norms: there ``torch`` means plain torch operations,
``STYLENORM_KERNELS=torch``.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import torch
from torch import nn

from measured import write_result


class Residual(nn.Module):
    """A block of CycleGAN's generator."""

    def __init__(self, width: int) -> None:
        super().__init__()
        parts: list[nn.Module] = []
        for last in (False, True):
            parts += [nn.ReflectionPad2d(1), nn.Conv2d(width, width, 3), nn.InstanceNorm2d(width)]
            parts += [] if last else [nn.ReLU(inplace=True)]
        self.block = nn.Sequential(*parts)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Add what the block makes of x to x."""
        return x + self.block(x)


def cyclegan() -> nn.Module:
    """The 9-block generator of Zhu et al. 2017, arXiv:1703.10593, appendix 7.2."""
    parts: list[nn.Module] = [
        nn.ReflectionPad2d(3),
        nn.Conv2d(3, 64, 7),
        nn.InstanceNorm2d(64),
        nn.ReLU(True),
    ]
    for width in (64, 128):
        parts += [nn.Conv2d(width, 2 * width, 3, 2, 1), nn.InstanceNorm2d(2 * width), nn.ReLU(True)]
    parts += [Residual(256) for _ in range(9)]
    for width in (256, 128):
        up = nn.ConvTranspose2d(width, width // 2, 3, 2, 1, 1)
        parts += [up, nn.InstanceNorm2d(width // 2), nn.ReLU(True)]
    return nn.Sequential(*parts, nn.ReflectionPad2d(3), nn.Conv2d(64, 3, 7), nn.Tanh())


def build(network: str, patch: int, size: int) -> tuple[nn.Module, tuple[torch.Tensor, ...]]:
    """A network and its inputs."""
    if network == "dynunet":
        from monai.networks.nets import DynUNet

        kernels, strides = [3] * 5, [1, 2, 2, 2, 2]
        return DynUNet(3, 1, 3, kernels, strides, strides[1:]), (torch.rand(1, 1, patch, patch, patch),)
    if network == "cyclegan":
        return cyclegan(), (torch.rand(1, 3, size, size),)
    from stylenorm.networks import NetworkConfig, build_network

    model = build_network(NetworkConfig())
    return model, (torch.rand(1, 3, size, size), torch.rand(1, model.style_length))


def resident() -> int:
    """Bytes of memory that the process has now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def child(network: str, variant: str, layout: str, patch: int, size: int, repeats: int) -> dict[str, Any]:
    """Measure one variant, in this process."""
    from stylenorm.nn import convert

    torch.manual_seed(0)
    model, inputs = build(network, patch, size)
    if layout == "channels_last":
        form = torch.channels_last_3d if network == "dynunet" else torch.channels_last
        model, inputs = model.to(memory_format=form), (inputs[0].contiguous(memory_format=form), *inputs[1:])
    found: dict[str, Any] = {}
    if variant != "torch" and network != "stylizer":
        with torch.no_grad():
            before = model.eval()(*inputs)
            convert(model, inplace=variant == "in place")
            after = model(*inputs)
        found["difference"] = float((before - after).abs().max() / before.abs().max())
        del before, after
        model.train()
    peak, running = [resident()], True

    def watch() -> None:
        while running:
            peak[0] = max(peak[0], resident())
            time.sleep(0.002)

    seconds = []
    start = resident()
    watcher = threading.Thread(target=watch)
    watcher.start()
    for _ in range(repeats + 1):
        started = time.perf_counter()
        output = model(*inputs)
        (output[0] if isinstance(output, (tuple, list)) else output).square().mean().backward()
        seconds.append(time.perf_counter() - started)
        del output
        model.zero_grad()
    running = False
    watcher.join()
    found["seconds"] = round(statistics.median(seconds[1:]), 3)
    found["peak MiB"] = round((peak[0] - start) / 2**20)
    return found


def main() -> None:
    """Measure and write results/training_step.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--patch", type=int, default=96, help="side of DynUNet's input")
    parser.add_argument("--size", type=int, default=256, help="side of the others' input")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.child:
        print(json.dumps(child(*options.child, options.patch, options.size, options.repeats)))
        return
    results: dict[str, Any] = {}
    for network in ("dynunet", "cyclegan", "stylizer"):
        variants = ["torch", "converted"] + (["in place"] if network == "dynunet" else [])
        for layout in ("contiguous", "channels_last"):
            for variant in variants:
                environment = dict(os.environ)
                if network == "stylizer":
                    environment["STYLENORM_KERNELS"] = "torch" if variant == "torch" else "auto"
                command = [sys.executable, "-W", "ignore", __file__, "--child", network, variant, layout]
                command += ["--patch", str(options.patch), "--size", str(options.size)]
                command += ["--repeats", str(options.repeats), "--threads", str(options.threads)]
                done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
                key = f"{network} {layout}"
                results.setdefault(key, {})[variant] = json.loads(done.stdout.splitlines()[-1])
                print(key, variant, results[key][variant], flush=True)
    method = " ".join(__doc__.split("\n\n", 2)[2].split())
    write_result(
        "training_step",
        f"{method} Patch {options.patch}, size {options.size}, {options.threads} threads.",
        results,
    )


if __name__ == "__main__":
    main()

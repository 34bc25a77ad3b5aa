"""How long do norm and ReLU take, against torch's own instance norm and group norm?

    python benchmarks/norms.py --repeats 7

Scale and shift per channel, then ReLU, in float32; forward alone, and forward with backward. Rounds alternate
between ours (fused in one call), torch's instance_norm and torch's group_norm with one channel a group (each
followed by relu_); ratios are taken round by round. A copy into a reused output is the measure of memory.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from measured import alternate, ratio, summary, write_result
from stylenorm.functional import instance_norm

SHAPES = [
    (4, 64, 256, 256),
    (1, 32, 64, 128, 128),
    (1, 128, 128, 128),
    (1, 16, 512, 512),
    (4, 48, 64, 64),
    (1, 3, 8, 8),
]
_FORMATS = {4: torch.channels_last, 5: torch.channels_last_3d}


def main() -> None:
    """Measure and write results/norms.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    results = {}
    for shape in SHAPES:
        for layout in ("contiguous", "channels_last"):
            x = torch.randn(shape)
            if layout == "channels_last":
                x = x.contiguous(memory_format=_FORMATS[len(shape)])
            results[f"{'x'.join(map(str, shape))} {layout}"] = measure(x, options.repeats)
    method = " ".join(__doc__.split("\n\n", 2)[2].split())
    write_result("norms", f"{method} {options.threads} threads.", results)


def measure(x: Tensor, repeats: int) -> dict[str, object]:
    """Milliseconds of each, and how many times as long torch takes as ours."""
    channels = x.shape[1]
    weight, bias = torch.rand(channels, requires_grad=True), torch.rand(channels, requires_grad=True)
    output = torch.empty_like(x)
    norms: dict[str, Callable[[Tensor], Tensor]] = {
        "ours": lambda v: instance_norm(v, weight=weight, bias=bias, act="relu"),
        "torch instance_norm": lambda v: F.instance_norm(v, weight=weight, bias=bias).relu_(),
        "torch group_norm": lambda v: F.group_norm(v, channels, weight, bias).relu_(),
    }
    grad = torch.randn_like(x)
    leaf = x.clone().requires_grad_()

    def forward(norm: Callable[[Tensor], Tensor]) -> Callable[[], object]:
        def call() -> object:
            with torch.no_grad():
                return norm(x)

        return call

    def both(norm: Callable[[Tensor], Tensor]) -> Callable[[], object]:
        return lambda: torch.autograd.grad(norm(leaf), (leaf, weight, bias), grad)

    found: dict[str, object] = {}
    for name, wrap in (("forward", forward), ("forward and backward", both)):
        calls = {norm: wrap(function) for norm, function in norms.items()}
        calls["copy"] = lambda: output.copy_(x)
        seconds = alternate(calls, warmup=2, repeats=repeats)
        found[name] = {
            "milliseconds": {key: summary([1e3 * s for s in value], 3) for key, value in seconds.items()},
            "torch instance_norm / ours": ratio(seconds["torch instance_norm"], seconds["ours"]),
            "torch group_norm / ours": ratio(seconds["torch group_norm"], seconds["ours"]),
            "ours / copy": ratio(seconds["ours"], seconds["copy"]),
        }
    return found


if __name__ == "__main__":
    main()

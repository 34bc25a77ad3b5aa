"""How fast are the fused CPU kernels, against a copy, torch's norms, and torch.compile?

    python benchmarks/kernels.py --repeats 15 --compile

Scale and shift per channel, then ReLU. A round calls each contender once, in turn; ratios are taken round by
round and their median is given. ``copy`` is a copy into a reused output. Ours in place, into a reused output
(out=), and with a fresh output; torch's instance_norm and group_norm (one channel a group) with relu_, and
the plain formula under torch.compile. ``small``: shapes down to 1x3x8x8, many calls a round.
"""

from __future__ import annotations

import argparse
import math
import time
import warnings
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from measured import alternate, ratio, summary, timed, write_result
from stylenorm.functional import instance_norm
from stylenorm.kernels import explain

LARGE = [
    (4, 64, 256, 256),
    (1, 32, 64, 128, 128),
    (1, 128, 128, 128),
    (1, 16, 512, 512),
    (1, 64, 256, 256),
    (2, 32, 512, 512),
]
SMALL = [(1, 3, 8, 8), (1, 64, 16, 16), (2, 32, 32, 32), (8, 256, 8, 8), (1, 512, 4, 4), (4, 48, 64, 64)]
FORMATS = {4: torch.channels_last, 5: torch.channels_last_3d}


def formula(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """What a user would write for a compiler."""
    dims = tuple(range(2, x.dim()))
    var, mean = torch.var_mean(x, dims, correction=0, keepdim=True)
    shape = (1, -1, *(1,) * (x.dim() - 2))
    return torch.relu((x - mean) * torch.rsqrt(var + 1e-5) * weight.view(shape) + bias.view(shape))


def large(
    x: Tensor, repeats: int, compiled: Callable[..., Tensor] | None, clock: Callable[[], float]
) -> dict[str, Any]:
    """Forward, and forward with backward, of one large tensor."""
    c = x.shape[1]
    weight, bias = torch.rand(c) + 0.5, torch.rand(c)
    output, work = torch.empty_like(x), x.clone()
    calls: dict[str, Callable[[], object]] = {
        "copy": lambda: output.copy_(x),
        "ours in place": lambda: instance_norm(work, weight=weight, bias=bias, act="relu", inplace=True),
        "ours out=": lambda: instance_norm(x, weight=weight, bias=bias, act="relu", out=output),
        "ours fresh": lambda: instance_norm(x, weight=weight, bias=bias, act="relu"),
        "clone": lambda: x.clone(),
        "torch instance_norm": lambda: F.instance_norm(x, weight=weight, bias=bias).relu_(),
        "torch group_norm": lambda: F.group_norm(x, c, weight, bias).relu_(),
    }
    if compiled is not None:
        calls["torch.compile"] = lambda: compiled(x, weight, bias)
    with torch.no_grad():
        forward = alternate(calls, warmup=2, repeats=repeats, clock=clock)
    leaf, grad = x.clone().requires_grad_(), torch.randn_like(x)
    w, b = weight.clone().requires_grad_(), bias.clone().requires_grad_()
    norms: dict[str, Callable[[], Tensor]] = {
        "ours": lambda: instance_norm(leaf, weight=w, bias=b, act="relu"),
        "torch instance_norm": lambda: F.instance_norm(leaf, weight=w, bias=b).relu_(),
        "torch group_norm": lambda: F.group_norm(leaf, c, w, b).relu_(),
    }
    if compiled is not None:
        norms["torch.compile"] = lambda: compiled(leaf, w, b)

    def both(norm: Callable[[], Tensor]) -> Callable[[], object]:
        return lambda: torch.autograd.grad(norm(), (leaf, w, b), grad)

    backward = alternate({k: both(v) for k, v in norms.items()}, warmup=2, repeats=repeats, clock=clock)
    found: dict[str, Any] = {
        "forward ms": {k: summary([1e3 * s for s in v], 3) for k, v in forward.items()},
        "over copy": {k: ratio(v, forward["copy"]) for k, v in forward.items() if k != "copy"},
        "forward and backward ms": {k: summary([1e3 * s for s in v], 3) for k, v in backward.items()},
    }
    for name in ("torch instance_norm", "torch group_norm", "torch.compile"):
        if name in forward:
            found[f"{name} / ours"] = {
                "in place": ratio(forward[name], forward["ours in place"]),
                "out=": ratio(forward[name], forward["ours out="]),
                "fresh": ratio(forward[name], forward["ours fresh"]),
                "forward and backward": ratio(backward[name], backward["ours"]),
            }
    return found


def small(x: Tensor, repeats: int, clock: Callable[[], float]) -> dict[str, Any]:
    """Microseconds of a call, of a small tensor."""
    c = x.shape[1]
    weight, bias = torch.rand(c), torch.rand(c)
    leaf, grad = x.clone().requires_grad_(), torch.randn_like(x)
    w, b = weight.clone().requires_grad_(), bias.clone().requires_grad_()

    def many(call: Callable[[], object]) -> Callable[[], object]:
        count = max(1, min(200, int(0.01 / timed(call, clock))))

        def run() -> None:
            started = clock()
            for _ in range(count):
                call()
            spent.append((clock() - started) / count)

        return run

    spent: list[float] = []
    found: dict[str, Any] = {}
    norms: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
        "ours": lambda v, w, b: instance_norm(v, weight=w, bias=b, act="relu"),
        "torch instance_norm": lambda v, w, b: F.instance_norm(v, weight=w, bias=b).relu_(),
        "torch group_norm": lambda v, w, b: F.group_norm(v, c, w, b).relu_(),
    }
    for name in ("forward", "forward and backward"):
        runs = {}
        for key, norm in norms.items():
            if name == "forward":
                runs[key] = many(lambda norm=norm: norm(x, weight, bias))
            else:
                runs[key] = many(lambda norm=norm: torch.autograd.grad(norm(leaf, w, b), (leaf, w, b), grad))
        spent.clear()
        for _ in range(repeats):
            for run in runs.values():
                run()
        each = {key: spent[i :: len(runs)] for i, key in enumerate(runs)}
        found[name] = {
            "microseconds": {k: summary([1e6 * s for s in v], 1) for k, v in each.items()},
            "torch instance_norm / ours": ratio(each["torch instance_norm"], each["ours"]),
            "torch group_norm / ours": ratio(each["torch group_norm"], each["ours"]),
        }
    return found


def geometric(results: dict[str, Any], name: str, which: str, layout: str = "") -> float:
    """The geometric mean of a ratio over the six large shapes, in both layouts or one."""
    values = [math.log(r[name][which]["median"]) for key, r in results.items() if key.endswith(layout)]
    return round(math.exp(sum(values) / len(values)), 2)


def main() -> None:
    """Measure and write results/kernels.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--compile", action="store_true", help="torch.compile too: it takes its time")
    parser.add_argument("--busy", action="store_true", help="processor time of one thread: a busy machine")
    options = parser.parse_args()
    clock = time.thread_time if options.busy else time.perf_counter
    torch.set_num_threads(1 if options.busy else options.threads)
    torch.manual_seed(0)
    compiled = torch.compile(formula, dynamic=False) if options.compile else None
    if compiled is not None:
        torch._dynamo.config.recompile_limit = 64
    found: dict[str, Any] = {}
    tiny: dict[str, Any] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the compiler about this machine
        for shapes, into in ((LARGE, found), (SMALL, tiny)):
            for shape in shapes:
                for layout in ("contiguous", "channels_last"):
                    x = torch.randn(shape)
                    if layout == "channels_last":
                        x = x.contiguous(memory_format=FORMATS[len(shape)])
                    key = f"{'x'.join(map(str, shape))} {layout}"
                    into[key] = (
                        large(x, options.repeats, compiled, clock)
                        if into is found
                        else small(x, options.repeats, clock)
                    )
                    print(key, flush=True)
    rivals = ["torch instance_norm", "torch group_norm", *(["torch.compile"] if compiled else [])]
    ways = ("in place", "out=", "fresh", "forward and backward")
    means = {
        f"{name} / ours, {way}, {layout or 'both layouts'}": geometric(found, f"{name} / ours", way, layout)
        for name in rivals
        for way in ways
        for layout in ("", "contiguous", "channels_last")
    }
    kernel = str(explain(torch.rand(1, 2, 4, 4))).splitlines()[0]
    method = " ".join(__doc__.split("\n\n", 2)[2].split())
    method += " Processor time of one thread." if options.busy else f" {options.threads} threads."
    results = {"kernel": kernel, "geometric means": means, "large": found, "small": tiny}
    write_result("kernels_one_thread" if options.busy else "kernels", method, results)


if __name__ == "__main__":
    main()

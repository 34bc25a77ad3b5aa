"""Instance norm + ReLU on a GPU: the Triton kernels against torch, and against copying.

    PYTHONPATH=src python benchmarks/gpu_norms.py --out FILE.json [--sweep] [--no-network] [--seconds N]

Times are medians of CUDA events, all ways of one case in turn in one process. ``copies`` is the time of one
copy of the tensor (backward: of one and a half, as it reads two tensors) over that of the kernel: 1.0 is a
norm that costs what a copy costs, less than 1 is slower. ``bandwidth`` counts the bytes that the kernels ask
for (a split plane is read twice) per second, over those of a copy: what the cache serves the second time
makes it larger than 1.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import json
import statistics
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylenorm.kernels import triton_norm, triton_ops, triton_plan

DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16}
SHAPES = {
    "2d 4x64x256x256": (4, 64, 256, 256),
    "2d 16x64x512x512": (16, 64, 512, 512),
    "3d 2x32x128x128x128": (2, 32, 128, 128, 128),
    "3d 1x64x160x160x160": (1, 64, 160, 160, 160),
    "3d 2x320x8x8x8": (2, 320, 8, 8, 8),
    "2d 8x256x64x64": (8, 256, 64, 64),
}
LARGE = tuple(SHAPES)[:4]
COMPILED = (LARGE[0], LARGE[2])  # torch.compile takes seconds a case


def laid_out(x: Tensor, channels_last: bool) -> Tensor:
    """The same values, channels last or not."""
    formats = {4: torch.channels_last, 5: torch.channels_last_3d}
    return x.contiguous(memory_format=formats[x.dim()] if channels_last else torch.contiguous_format)


def milliseconds(calls: dict[str, Callable[[], object]], budget_s: float = 0.25) -> dict[str, float]:
    """Median time of each call on the GPU, in rounds of all calls."""
    for call in calls.values():
        for _ in range(2):
            call()
    torch.cuda.synchronize()
    started = time.perf_counter()
    for call in calls.values():
        call()
    torch.cuda.synchronize()
    rounds = max(7, min(60, int(budget_s / (time.perf_counter() - started + 1e-9))))
    events: dict[str, list[tuple[Any, Any]]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            begin.record()
            call()
            end.record()
            events[name].append((begin, end))
    torch.cuda.synchronize()
    return {name: statistics.median(b.elapsed_time(e) for b, e in pairs) for name, pairs in events.items()}


def formula(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """What one would write down."""
    dims = tuple(range(2, x.dim()))
    xf = x.float()
    var, mean = torch.var_mean(xf, dims, correction=0, keepdim=True)
    shape = (1, -1) + (1,) * len(dims)
    return F.relu((xf - mean) * (var + 1e-5).rsqrt() * weight.view(shape) + bias.view(shape)).to(x.dtype)


def torch_instance(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Torch's instance norm with ReLU in place."""
    return F.relu_(F.instance_norm(x, weight=weight.to(x.dtype), bias=bias.to(x.dtype)))


def torch_group(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """The same as a group norm of one channel a group."""
    return F.relu_(F.group_norm(x, x.shape[1], weight.to(x.dtype), bias.to(x.dtype)))


def ours(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """The Triton operator."""
    return triton_ops.norm_act(x, weight, bias, None, 1e-5, 0, "relu", 0.0)[0]


def passes(x: Tensor, channels_last: bool, inputs: int) -> int:
    """Tensors that the kernels read and write: inputs once or twice, and one output."""
    n, c = x.shape[:2]
    cut = triton_plan.plan(
        n, c, x.numel() // n // c, x.element_size(), channels_last, inputs, triton_norm.TUNING
    )
    return (1 if cut.whole else 2) * inputs + 1


def measure(
    shape: tuple[int, ...], dtype: torch.dtype, channels_last: bool, compiled: bool
) -> dict[str, Any]:
    """Forward, backward and both, of all ways."""
    x = laid_out(torch.randn(shape, device="cuda", dtype=dtype) * 2 + 1, channels_last)
    c = shape[1]
    weight, bias = torch.rand(c, device="cuda") + 0.5, torch.randn(c, device="cuda")
    w, b = weight.expand(shape[:2]), bias.expand(shape[:2])
    grad, other = torch.randn_like(x), torch.empty_like(x)
    _, stats = triton_norm.norm_forward(x, w, b, None, 1e-5, 0, "relu", 0.0)
    ways: dict[str, Callable[..., Tensor]] = {"instance_norm": torch_instance, "group_norm": torch_group}
    if compiled:
        torch._dynamo.reset()
        ways["compiled formula"] = torch.compile(formula, dynamic=False)
    ways["triton"] = ours

    def both(way: Callable[..., Tensor]) -> None:
        leaves = [v.detach().requires_grad_() for v in (x, weight, bias)]
        torch.autograd.grad(way(*leaves), leaves, grad)

    forward: dict[str, Callable[[], object]] = {"copy": lambda: other.copy_(x)}
    forward |= {name: (lambda way=way: way(x, weight, bias)) for name, way in ways.items()}
    forward["triton kernel, out="] = lambda: triton_norm.norm_forward(
        x, w, b, None, 1e-5, 0, "relu", 0.0, other
    )
    with torch.no_grad():
        times = milliseconds(forward)
    back: dict[str, Callable[[], object]] = {
        "triton kernel": lambda: triton_norm.norm_backward(grad, x, w, b, None, stats, 1e-5, 0, "relu", 0.0)
    }
    backward = milliseconds(back)["triton kernel"]
    step = milliseconds({name: (lambda way=way: both(way)) for name, way in ways.items()})
    copy, size = times["copy"], x.numel() * x.element_size()
    best = times["triton kernel, out="]
    fast = {name: t for name, t in times.items() if name not in ("copy", "triton", "triton kernel, out=")}
    return {
        "megabytes": round(size / 1e6, 1),
        "copy_tb_per_s": round(2 * size / copy / 1e9, 3),
        "forward_ms": {k: round(v, 4) for k, v in times.items()},
        "backward_ms": {"triton kernel": round(backward, 4)},
        "forward_and_backward_ms": {k: round(v, 4) for k, v in step.items()},
        "forward_copies": round(copy / best, 3),
        "forward_bandwidth": round(copy / best * passes(x, channels_last, 1) / 2, 3),
        "backward_copies": round(1.5 * copy / backward, 3),  # reads two tensors, writes one
        "backward_bandwidth": round(copy / backward * passes(x, channels_last, 2) / 2, 3),
        "forward_times_faster": {k: round(v / times["triton"], 2) for k, v in fast.items()},
        "both_times_faster": {k: round(v / step["triton"], 2) for k, v in step.items() if k != "triton"},
    }


class Residual(nn.Module):
    """nnU-Net's residual block: two convolutions, norms and activations, and a way around them."""

    def __init__(self, cin: int, cout: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Sequential(
            nn.Conv3d(cin, cout, 3, stride, 1),
            nn.InstanceNorm3d(cout, affine=True),
            nn.LeakyReLU(inplace=True),
        )
        self.conv2 = nn.Sequential(nn.Conv3d(cout, cout, 3, 1, 1), nn.InstanceNorm3d(cout, affine=True))
        self.skip = nn.Sequential(
            nn.Conv3d(cin, cout, 1, stride, bias=False), nn.InstanceNorm3d(cout, affine=True)
        )
        self.last = nn.LeakyReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Both ways, added."""
        return self.last(self.conv2(self.conv1(x)) + self.skip(x))


class ResidualUNet(nn.Module):
    """A residual-encoder U-Net in nnU-Net's manner; plain decoder, 3 classes."""

    def __init__(self, widths: tuple[int, ...] = (32, 64, 128, 256, 320)) -> None:
        super().__init__()
        before = (1, *widths[:-1])
        self.encoder = nn.ModuleList(
            Residual(a, b, 1 if i == 0 else 2) for i, (a, b) in enumerate(zip(before, widths, strict=True))
        )
        pairs = list(pairwise(widths))[::-1]
        self.up = nn.ModuleList(nn.ConvTranspose3d(b, a, 2, 2) for a, b in pairs)
        self.decoder = nn.ModuleList(
            nn.Sequential(
                nn.Conv3d(2 * a, a, 3, 1, 1), nn.InstanceNorm3d(a, affine=True), nn.LeakyReLU(inplace=True),
                nn.Conv3d(a, a, 3, 1, 1), nn.InstanceNorm3d(a, affine=True), nn.LeakyReLU(inplace=True),
            )
            for a, _ in pairs
        )  # fmt: skip
        self.head = nn.Conv3d(widths[0], 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Down, and up again with what was kept."""
        kept = []
        for block in self.encoder:
            x = block(x)
            kept.append(x)
        kept.pop()
        for up, block in zip(self.up, self.decoder, strict=True):
            x = block(torch.cat((up(x), kept.pop()), 1))
        return self.head(x)


def networks() -> dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]]:
    """Networks and their inputs; MONAI's where it is installed."""
    found: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
        "residual U-Net, 2x1x128^3": (ResidualUNet, (2, 1, 128, 128, 128))
    }
    try:
        from monai.networks.nets import DynUNet
    except ImportError:
        return found

    def dyn() -> nn.Module:
        strides = (1, 2, 2, 2, 2)
        return DynUNet(3, 1, 3, kernel_size=(3,) * 5, strides=strides, upsample_kernel_size=strides[1:])

    return found | {"MONAI DynUNet, 2x1x96^3": (dyn, (2, 1, 96, 96, 96))}


def train_step(build: Callable[[], nn.Module], shape: tuple[int, ...], channels_last: bool) -> dict[str, Any]:
    """Milliseconds and peak memory of a training step in bf16 autocast, torch's norms and then ours."""
    from stylenorm.nn import convert

    torch.backends.cudnn.benchmark = True
    results: dict[str, Any] = {}
    losses = {}
    for name in ("torch", "stylenorm"):
        torch.manual_seed(0)
        network = build().cuda()
        if name == "stylenorm":
            convert(network)
        if channels_last:
            network = network.to(memory_format=torch.channels_last_3d)
        x = laid_out(torch.randn(shape, device="cuda"), channels_last)
        target = torch.randint(0, 3, (shape[0], *shape[2:]), device="cuda")
        optimizer = torch.optim.SGD(network.parameters(), 1e-3, momentum=0.9)

        def step(network=network, x=x, target=target, optimizer=optimizer) -> Tensor:
            optimizer.zero_grad(set_to_none=True)
            with torch.autocast("cuda", torch.bfloat16):
                loss = F.cross_entropy(network(x), target)
            loss.backward()
            optimizer.step()
            return loss.detach()

        losses[name] = float(step())
        for _ in range(2):
            step()
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        ms = milliseconds({"step": step}, budget_s=2.0)["step"]
        results[name] = {
            "step_ms": round(ms, 2),
            "peak_gb": round(torch.cuda.max_memory_allocated() / 1e9, 3),
            "first_loss": losses[name],
        }
        del network, optimizer, step
        torch.cuda.empty_cache()
    results["times_faster"] = round(results["torch"]["step_ms"] / results["stylenorm"]["step_ms"], 3)
    return results


def route_to_triton() -> str:
    """Make the functional norm use the Triton kernels, where no dispatcher does."""
    from stylenorm.functional import _fused

    source = Path(_fused.__file__).read_text()
    if "stylenorm.kernels" in source:
        return "through the package's dispatcher"
    _fused.norm_forward = triton_norm.norm_forward
    _fused.norm_backward = triton_norm.norm_backward
    return "patched in: this version has no dispatcher"


def kernel_calls(
    x: Tensor, w: Tensor, grad: Tensor, out: Tensor, stats: tuple[Tensor, ...]
) -> dict[str, Callable[[], object]]:
    """A copy, the forward and the backward kernels."""
    options = (1e-5, 0, "relu", 0.0)
    return {
        "copy": lambda: out.copy_(x),
        "forward": lambda: triton_norm.norm_forward(x, w, w, None, *options, out),
        "backward": lambda: triton_norm.norm_backward(grad, x, w, w, None, stats, *options),
    }


def sweep(deadline: float) -> dict[str, Any]:
    """Times of forward and backward under other tile sizes."""
    base = triton_norm.TUNING
    variants = {"base": base}
    for mib in (0, 12, 28, 40):
        variants[f"group {mib} MiB"] = dataclasses.replace(base, group_bytes=(mib or 1 << 40) << 20)
    for tile, warps in ((2048, 4), (4096, 4), (8192, 8), (8192, 16)):
        variants[f"tile {tile}, {warps} warps"] = dataclasses.replace(base, tile=tile, split_warps=warps)
    for programs in (1056, 2112, 8448):
        variants[f"programs {programs}"] = dataclasses.replace(base, programs=programs)
    found: dict[str, Any] = {}
    for key, dtype, last in ((LARGE[0], "f32", False), (LARGE[2], "f32", False), (LARGE[2], "bf16", True)):
        x = laid_out(torch.randn(SHAPES[key], device="cuda", dtype=DTYPES[dtype]), last)
        w = torch.ones(x.shape[:2], device="cuda")
        grad, out = torch.randn_like(x), torch.empty_like(x)
        rows = {}
        for name, tuning in variants.items():
            if time.perf_counter() > deadline:
                break
            triton_norm.TUNING = tuning
            _, stats = triton_norm.norm_forward(x, w, w, None, 1e-5, 0, "relu", 0.0, out)
            times = milliseconds(kernel_calls(x, w, grad, out, stats), budget_s=0.1)
            rows[name] = {k: round(v, 4) for k, v in times.items()}
        triton_norm.TUNING = base
        found[f"{key} {dtype} {'channels_last' if last else 'contiguous'}"] = rows
    return found


def main() -> None:
    """Measure, print a table, write JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="where to write the JSON")
    parser.add_argument("--sweep", action="store_true", help="try other tile sizes, too")
    parser.add_argument("--no-network", action="store_true", help="leave the training steps out")
    parser.add_argument("--seconds", type=float, default=240, help="start no new case after so many")
    arguments = parser.parse_args()
    deadline = time.perf_counter() + arguments.seconds
    properties = torch.cuda.get_device_properties(0)
    results: dict[str, Any] = {
        "device": properties.name,
        "multiprocessors": properties.multi_processor_count,
        "torch": torch.__version__,
        "method": __doc__,
        "cases": {},
    }

    def save() -> None:
        arguments.out.write_text(json.dumps(results, indent=1) + "\n")

    big, target = (torch.empty(1 << 28, device="cuda") for _ in range(2))
    ms = milliseconds({"copy": functools.partial(target.copy_, big)})["copy"]
    results["copy_tb_per_s"] = round(2 * big.numel() * 4 / ms / 1e9, 3)
    del big, target
    print(f"{properties.name}: a copy of 1 GiB moves {results['copy_tb_per_s']} TB/s", flush=True)
    print(f"{'case':46} copy ms  fwd   copies bandw. | bwd    copies bandw. | times faster fwd, both")
    if not arguments.no_network:
        results["norms of the networks"] = route_to_triton()
        results["networks"] = {}
        for name, (build, shape) in networks().items():
            for last in (False, True):
                key = f"{name}, {'channels_last_3d' if last else 'NCDHW'}"
                results["networks"][key] = found = train_step(build, shape, last)
                print(key, found, flush=True)
                save()
    for key, shape in SHAPES.items():
        for kind, dtype in DTYPES.items():
            for last in (False, True):
                if time.perf_counter() > deadline:
                    results["cut_short"] = True
                    continue
                name = f"{key} {kind} {'channels_last' if last else 'contiguous'}"
                found = measure(shape, dtype, last, key in COMPILED)
                results["cases"][name] = found
                print(
                    f"{name:46} {found['forward_ms']['copy']:.3f}  "
                    f"{found['forward_ms']['triton kernel, out=']:.3f}  {found['forward_copies']:.2f}  "
                    f"{found['forward_bandwidth']:.2f} | {found['backward_ms']['triton kernel']:.3f}  "
                    f"{found['backward_copies']:.2f}  {found['backward_bandwidth']:.2f} | "
                    f"{found['forward_times_faster']} {found['both_times_faster']}",
                    flush=True,
                )
                save()
                torch.cuda.empty_cache()
    if arguments.sweep:
        results["sweep"] = sweep(deadline + 60)
        for key, rows in results["sweep"].items():
            print(key)
            for name, row in rows.items():
                print(f"  {name:24} {row}")
    save()


if __name__ == "__main__":
    main()

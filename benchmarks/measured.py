"""What the benchmarks share: machine, medians with spread, a result file that says how it was made."""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
_PACKAGES = ("numpy", "pillow", "openvino", "onnxruntime", "torch")


def machine() -> dict[str, Any]:
    """CPU, cores, system, versions, and how busy the machine is now."""
    info = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    fields = {
        key.strip(): value.strip() for key, _, value in (line.partition(":") for line in info.splitlines())
    }
    flags = set(fields.get("flags", "").split())
    return {
        "cpu": fields.get("model name", platform.processor()),
        "instructions": sorted(flags & {"avx2", "avx512f", "avx512_bf16", "amx_bf16"}),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": {package: _version(package) for package in _PACKAGES},
        "load_average": [round(load, 2) for load in os.getloadavg()],
    }


def summary(samples: Sequence[float], digits: int = 4) -> dict[str, Any]:
    """Median, smallest, largest, and how many."""
    return {
        "median": round(statistics.median(samples), digits),
        "smallest": round(min(samples), digits),
        "largest": round(max(samples), digits),
        "repeats": len(samples),
    }


def timed(call: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    """Seconds that one call takes, by a clock."""
    started = clock()
    call()
    return clock() - started


def alternate(
    calls: Mapping[str, Callable[[], object]],
    *,
    warmup: int,
    repeats: int,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:
    """Seconds of each call, in rounds of all calls, so that a busy moment meets all of them."""
    for _ in range(warmup):
        for call in calls.values():
            call()
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(repeats):
        for name, call in calls.items():
            seconds[name].append(timed(call, clock))
    return seconds


def ratio(slower: Sequence[float], faster: Sequence[float]) -> dict[str, Any]:
    """How many times as long, round by round."""
    return summary([a / b for a, b in zip(slower, faster, strict=True)], digits=2)


def write_result(name: str, method: str, results: Mapping[str, Any]) -> None:
    """Write results/NAME.json, and print it."""
    content = {"benchmark": name, "method": method, "machine": machine(), "results": dict(results)}
    text = json.dumps(content, indent=2) + "\n"
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(text)
    print(text)


def add_network_argument(parser: argparse.ArgumentParser) -> None:
    """Add --network; without it, the network that ships, or else random weights of the same layers."""
    parser.add_argument(
        "--network", type=Path, help="network folder; default: the one that ships, else random"
    )


def network_folder(path: Path | None) -> tuple[Path, str]:
    """A network folder and what it is: speed does not depend on the weights, so random ones will do."""
    from stylenorm.errors import InputError
    from stylenorm.zoo import shipped_network

    if path is not None:
        return path, f"given ({path.name})"
    try:
        return shipped_network().path, "the one that ships"
    except InputError:
        return _random_network(), "random weights, the default layers"


def _random_network() -> Path:
    import numpy as np
    import torch

    from stylenorm.export import export_stylizer
    from stylenorm.networks import NetworkConfig, build_network

    torch.manual_seed(0)
    network = build_network(NetworkConfig())
    vector = np.ones(network.style_length, np.float32)
    identity, painted = vector.copy(), vector.copy()
    painted[-1] = 0
    out = Path(tempfile.mkdtemp(prefix="stylenorm-benchmark-"))
    export_stylizer(network, {"identity": identity, "random": painted}, out, about={}, record={})
    return out


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def mean_dice(pairs: list[tuple[Any, Any]]) -> dict[str, float]:
    """Dice of each label of (made, true) label maps, mean over the scans; and the mean of these."""
    from stylenorm.models import dice_scores

    found: dict[str, list[float]] = {}
    for made, truth in pairs:
        for label, score in dice_scores(made, truth).items():
            found.setdefault(str(label), []).append(score)
    each = {label: round(statistics.fmean(scores), 4) for label, scores in sorted(found.items())}
    return {**each, "mean": round(statistics.fmean(each.values()), 4)}

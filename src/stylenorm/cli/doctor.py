"""``stylenorm doctor``: what this machine has, whether the engines work, and what is missing."""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stylenorm.cli.usage import number_from, one_line
from stylenorm.errors import StylenormError

if TYPE_CHECKING:
    from stylenorm.zoo import NetworkFolder

__all__ = ["HELP", "DoctorOptions", "add_arguments", "run"]

HELP = "check engines, threads, bfloat16 and versions; say what is missing and how to install it"

_PACKAGES = ("numpy", "pillow", "safetensors", "openvino", "onnxruntime", "torch", "av")
_CPU_FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "asimd", "bf16", "sve")
_TEST_SIDE_PX = 96


@dataclass(frozen=True)
class DoctorOptions:
    """What is checked; the fields are the command's arguments."""

    network: str | None
    threads: int | None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("--network", metavar="DIR", help="a network folder; default: the one that ships")
    parser.add_argument("--threads", type=number_from(1), metavar="N", help="default: all cores")


def run(options: argparse.Namespace) -> int:
    """Carry the command out."""
    return doctor(DoctorOptions(options.network, options.threads))


def doctor(options: DoctorOptions) -> int:
    """Print the report.

    Returns:
        0, or 1 if the default engine cannot paint.
    """
    import stylenorm
    from stylenorm.engines.engine import num_cores
    from stylenorm.zoo import NetworkFolder, shipped_network

    _say("stylenorm", f"{stylenorm.__version__} ({Path(stylenorm.__file__).parent})")
    _say("python", f"{platform.python_version()} ({sys.executable})")
    _say("platform", platform.platform())
    _say("cpu", f"{_cpu_name()}, {os.cpu_count()} logical cores, {num_cores()} for this process")
    flags = _cpu_flags()
    _say("instructions", ", ".join(flags) if flags else "unknown")
    print()
    for package in _PACKAGES:
        _say(package, _version(package) or "not installed")
    _say("kernels", _kernels())
    print()
    network: NetworkFolder | None = None
    try:
        network = NetworkFolder.open(options.network) if options.network else shipped_network()
        about = f"{network.config.get('family')}, width {network.config.get('width')}"
        _say("network", f"{network.identity} ({about}), {len(network.style_names())} styles, {network.path}")
    except StylenormError as error:
        _say("network", one_line(error))
    _say("cache", "none: compiled graphs are not kept on disk, it would save 0.05 s a run")
    default_works = network is not None and _check_engines(network, options.threads)
    print()
    if default_works:
        print("all well: the default engine works")
    else:
        print("the default engine does not work: see above")
    return 0 if default_works else 1


def _kernels() -> str:
    """Whether the norms of ``stylenorm.functional`` have their fused kernels."""
    if _version("torch") is None:
        return "not used: they are for the layers and training, which need torch"
    from stylenorm.kernels import c_norm

    reason = c_norm.reason_missing()
    if reason is not None:
        return f"plain torch operations: {reason}"
    return f"compiled C, {c_norm.instructions()}, {c_norm.about_threads()}; on GPUs torch operations"


def _check_engines(network: NetworkFolder, threads: int | None) -> bool:
    """Let each engine paint the same small picture; print what came; say whether the default one did."""
    from stylenorm.engines import AUTO, ENGINES

    paintings: dict[str, Any] = {}
    print()
    for name, kind in ENGINES.items():
        if name == "fake":
            continue
        if not kind.is_installed():
            _say(f"engine {name}", f"not installed: pip install 'stylenorm[{kind.extra}]'{_gain(name)}")
            continue
        try:
            paintings[name], about = _paint_test(network, name, threads)
        except (StylenormError, OSError, RuntimeError, ImportError, MemoryError) as error:
            _say(f"engine {name}", f"FAILED: {one_line(error)}")
            continue
        first = next(iter(paintings))
        if name != first:
            about += f", {_psnr(paintings[name], paintings[first]):.0f} dB to {first}"
        _say(f"engine {name}", f"works: {about}")
    chosen, why = _fastest(network)
    _say(f"engine {AUTO}", f"here {chosen}: {why}")
    return chosen in paintings


def _gain(name: str) -> str:
    """What an engine that is not installed would bring to this machine."""
    from stylenorm.engines.winograd_engine import reason_against

    if name != "openvino":
        return ""
    against = reason_against()
    if against is not None:
        return f"; it would paint here: {against}"
    return "; here winograd paints faster, and openvino runs networks of other families and other models"


def _fastest(network: NetworkFolder) -> tuple[str, str]:
    """Which engine ``auto`` is here, and why."""
    from stylenorm.engines import AUTO, open_engine
    from stylenorm.engines.winograd_engine import reason_against

    reason = reason_against()
    try:
        with open_engine(AUTO, network.graph) as engine:
            chosen = engine.name
    except (StylenormError, ImportError) as error:
        return "none", one_line(error)
    if chosen == "winograd":
        if reason is not None:
            return chosen, f"openvino is not installed, and {reason}"
        return chosen, "made for processors with AVX2 and without AVX-512; see docs/kernels.md"
    return chosen, reason or "winograd is for the families quarter and quarter-nearest"


def _paint_test(network: NetworkFolder, engine: str, threads: int | None) -> tuple[Any, str]:
    import numpy as np

    from stylenorm.models.stylizer import Stylizer

    ramp = np.linspace(0, 1, _TEST_SIDE_PX, dtype=np.float32)
    photo = np.stack(np.broadcast_arrays(ramp[:, None], ramp, ramp[::-1]), axis=2)  # every corner a colour
    style = next(iter(network.style_names()), "identity")
    started = time.perf_counter()
    with Stylizer(network.style(style), network=network, engine=engine, threads=threads) as stylizer:
        painting = stylizer.engine.paint(
            np.ascontiguousarray(photo.transpose(2, 0, 1)[None]), stylizer.style.vector()
        )
        if not np.isfinite(painting).all():
            raise RuntimeError("it painted NaN")
        seconds = time.perf_counter() - started
        used = stylizer.engine
        about = (
            f"{used.device}, {used.precision}, {used.threads} threads, first picture after {seconds:.2f} s"
        )
    return painting, about


def _psnr(a: Any, b: Any) -> float:
    import numpy as np

    error = float(np.mean((a.astype(np.float64) - b) ** 2))
    return float("inf") if error == 0 else -10 * float(np.log10(error))


def _say(what: str, text: str) -> None:
    print(f"{what:<20}{text}")


def _version(package: str) -> str | None:
    import importlib.metadata  # 20 ms, which other commands need not pay

    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _cpu_info(field: str) -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:  # not Linux
        return ""
    return next(
        (line.partition(":")[2].strip() for line in lines if line.partition(":")[0].strip() == field), ""
    )


def _cpu_name() -> str:
    return _cpu_info("model name") or platform.processor() or platform.machine()


def _cpu_flags() -> list[str]:
    has = set((_cpu_info("flags") or _cpu_info("Features")).split())
    found = [flag for flag in _CPU_FLAGS if flag in has]
    if found and not has & {"avx512_bf16", "amx_bf16", "bf16"}:
        found.append("no bfloat16")
    return found

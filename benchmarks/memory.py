"""How much memory does a 12-megapixel photo take?

    python benchmarks/memory.py --width 4000 --height 3000

Peak resident memory and wall time of whole processes: the command ``stylenorm stylize`` from JPEG to JPEG
with each engine, and a Python process that only imports the engine.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from measured import add_network_argument, network_folder, write_result
from stylenorm.engines import ENGINES

_DRAW = """
import sys
import numpy as np
from PIL import Image
width, height = int(sys.argv[1]), int(sys.argv[2])
y, x = np.mgrid[0:height, 0:width].astype(np.float32)
waves = np.stack([np.sin(x / 40 + y / 90), np.cos(x / 70 - y / 30), np.sin(y / 50)], 2)
Image.fromarray((waves * 100 + 128).astype(np.uint8)).save(sys.argv[3], quality=92)
"""


def peak(command: list[str]) -> dict[str, float]:
    """Run a command; its peak resident memory in MiB and its wall time."""
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{command} failed with {process.returncode}")
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, KiB here
    return {
        "peak_mib": round(usage.ru_maxrss * unit / 2**20, 1),
        "seconds": round(time.perf_counter() - started, 2),
    }


def main() -> None:
    """Measure and write results/memory.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--width", type=int, default=4000)
    parser.add_argument("--height", type=int, default=3000)
    add_network_argument(parser)
    options = parser.parse_args()
    path, about = network_folder(options.network)
    style = next(p.stem for p in sorted((path / "styles").glob("*.safetensors")) if p.stem != "identity")
    results: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        photo = Path(temporary) / "photo.jpg"
        # in a process of its own: a child's peak counts from its parent's size on
        size = (str(options.width), str(options.height))
        subprocess.run([sys.executable, "-c", _DRAW, *size, str(photo)], check=True)
        stylenorm = str(Path(sys.executable).with_name("stylenorm"))
        command = [stylenorm, "stylize", str(photo), "--style", style, "--network", str(path), "--overwrite"]
        command += ["-o", str(Path(temporary) / "painting.jpg"), "--engine"]
        for name, kind in ENGINES.items():
            if not kind.is_installed():
                continue
            results[name] = peak([*command, name])
            if kind.package:
                results[f"import {kind.package}"] = peak([sys.executable, "-c", f"import {kind.package}"])
        results["openvino, keep colors"] = peak([*command, "openvino", "--keep-colors"])
    megapixels = options.width * options.height / 1e6
    write_result(
        "memory",
        f"{options.width} x {options.height} ({megapixels:g} megapixels), JPEG to JPEG, whole processes, "
        "one run each; peak resident memory by wait4. 'fake' is everything but the network",
        {"network": about, "processes": results},
    )


if __name__ == "__main__":
    main()

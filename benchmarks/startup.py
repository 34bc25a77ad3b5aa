"""Is the whole command, from the shell and back, faster than importing torch?

    python benchmarks/startup.py --repeats 15

Processes alternate: ``python -c "import torch"``, ``stylenorm stylize`` of a 512 x 512 PNG with the default
engine, ``stylenorm --version``, and, for the question whether a cache of compiled models would help, reading
and compiling the graph with and without OpenVINO's.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from measured import add_network_argument, alternate, network_folder, ratio, summary, write_result

_COMPILE = """
import sys, time
from stylenorm.engines.openvino_session import import_openvino
core = import_openvino().Core()
if sys.argv[2]:
    core.set_property({"CACHE_DIR": sys.argv[2]})
started = time.perf_counter()
model = core.read_model(sys.argv[1])
model.reshape({"photo": [1, 3, 512, 512]})
core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"})
print(time.perf_counter() - started)
"""


def main() -> None:
    """Measure and write results/startup.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=11)
    add_network_argument(parser)
    options = parser.parse_args()
    folder, about = network_folder(options.network)
    with tempfile.TemporaryDirectory() as temporary:
        photo, painting = Path(temporary) / "photo.png", Path(temporary) / "painting.png"
        y, x = np.mgrid[0:512, 0:512] / 511
        Image.fromarray((np.stack([x, y, (x + y) / 2], 2) * 255).astype(np.uint8)).save(photo)
        style = next(
            p.stem for p in sorted((folder / "styles").glob("*.safetensors")) if p.stem != "identity"
        )
        stylenorm = str(Path(sys.executable).with_name("stylenorm"))
        command = [stylenorm, "stylize", str(photo), "--style", style, "-o", str(painting), "--overwrite"]
        command += ["--network", str(folder)]
        cache = Path(temporary) / "cache"
        compile_s: dict[str, list[float]] = {"without cache": [], "with cache": []}

        def compiled(kind: str, directory: str) -> None:
            words = [sys.executable, "-c", _COMPILE, str(folder / "network.onnx"), directory]
            compile_s[kind].append(float(subprocess.run(words, capture_output=True, check=True).stdout))

        seconds = alternate(
            {
                "import torch": lambda: subprocess.run([sys.executable, "-c", "import torch"], check=True),
                "stylenorm stylize": lambda: subprocess.run(command, check=True),
                "stylenorm --version": lambda: subprocess.run(
                    [stylenorm, "--version"], check=True, stdout=subprocess.DEVNULL
                ),
                "without cache": lambda: compiled("without cache", ""),
                "with cache": lambda: compiled("with cache", str(cache)),
            },
            warmup=2,
            repeats=options.repeats,
        )
        blobs = [file.stat().st_size for file in cache.iterdir()]
    commands = ("import torch", "stylenorm stylize", "stylenorm --version")
    write_result(
        "startup",
        "whole processes, alternating, after 2 warm-up rounds; 512 x 512 PNG in and out; compile_s inside "
        "processes of their own, reading, reshaping and compiling for 512 x 512",
        {
            "network": about,
            "seconds": {name: summary(seconds[name]) for name in commands},
            "import_torch_over_stylize": ratio(seconds["import torch"], seconds["stylenorm stylize"]),
            "compile_s": {kind: summary(values[2:]) for kind, values in compile_s.items()},
            "cache_bytes_for_one_size": sum(blobs),
        },
    )


if __name__ == "__main__":
    main()

"""How fast does each engine paint, against other libraries and eager PyTorch?

    python benchmarks/engines.py --repeats 9
    python benchmarks/engines.py --no-eager --threads 1 2 --sizes 512x512 1280x720 1920x1080 4000x3000

Engines and libraries paint the same uint8 photo by the same weights, from array to array, conversions
included; MNN and ncnn where they are installed (`other_libraries.py`). Beside them the same network, and
Johnson's at width 16, in eager PyTorch, float32 tensors in and out (without conversions, to their
advantage): as `stylenorm.networks` has them, and as one writes them with torch's own layers. Rounds
alternate; ratios are taken round by round. With one thread processor time is taken, which other work on the
machine disturbs less; with several, wall time.
"""

from __future__ import annotations

import argparse
import functools
import importlib.metadata
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from measured import add_network_argument, alternate, network_folder, ratio, summary, timed, write_result
from other_libraries import library_calls
from plain_torch import PlainStylizer
from stylenorm.engines import ENGINES, Engine, open_engine
from stylenorm.errors import InputError
from stylenorm.export import load_network
from stylenorm.networks import NetworkConfig, build_network
from stylenorm.zoo import NetworkFolder

PHOTO = Path(__file__).parents[1] / "examples" / "photo.jpg"
WANTED = [("winograd", "f32"), ("openvino", "f32"), ("openvino", "bf16"), ("onnxruntime", "f32")]
Calls = dict[str, Callable[[Any], Any]]


def main() -> None:
    """Measure and write results/engines.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--warmup", type=int, default=2)
    parser.add_argument("--sizes", nargs="+", default=["1920x1080"], metavar="WIDTHxHEIGHT")
    parser.add_argument("--threads", type=int, nargs="+", default=[2])
    parser.add_argument("--eager", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--result", default="engines", help="name of the result file")
    add_network_argument(parser)
    options = parser.parse_args()
    path, about = network_folder(options.network)
    folder = NetworkFolder.open(path)
    vector = folder.style(next(iter(folder.style_names()))).vector()
    runs: dict[str, Any] = {}
    for threads in options.threads:
        torch.set_num_threads(threads)
        with tempfile.TemporaryDirectory() as work:
            calls, absent = _engines(folder, vector, threads)
            calls |= library_calls(folder, vector, threads, Path(work))
            for size in options.sizes:
                eager = _eager(path, vector) if options.eager else {}
                found = _measured(calls, eager, size, threads, options.warmup, options.repeats)
                runs[f"{size}, threads: {threads}"] = found
                print(size, threads, found["times as long"], flush=True)
            errors = {} if threads != options.threads[0] else _errors(calls, path, vector)
            runs |= {"largest difference from float64, grey levels": errors} if errors else {}
    write_result(
        options.result,
        f"rounds of all engines, alternating after {options.warmup} warm-up rounds; engines and libraries: "
        "uint8 array in and out; eager PyTorch: float32 tensor in and out; processor time where threads is 1",
        {
            "network": f"{about}: {dict(folder.config)}",
            "runs": runs,
            "installed_MB": {
                name: _installed_mb(name) for name in ("openvino", "onnxruntime", "MNN", "ncnn")
            },
            "not_measured": absent,
        },
    )


def _engines(folder: NetworkFolder, vector: np.ndarray, threads: int) -> tuple[Calls, list[str]]:
    """What paints by each engine that is here, and the names of the others."""

    def opened(name: str, precision: str) -> Engine | None:
        if not ENGINES[name].is_installed():
            return None
        try:
            return open_engine(name, folder.graph, precision=precision, threads=threads)
        except InputError:  # no bfloat16 here
            return None

    engines = {f"{name} {precision}": opened(name, precision) for name, precision in WANTED}
    calls: Calls = {
        name: functools.partial(engine.paint_image, style=vector)
        for name, engine in engines.items()
        if engine is not None
    }
    return calls, [name for name in engines if name not in calls]


def _eager(path: Path, vector: np.ndarray) -> Calls:
    network = load_network(path)
    johnson = build_network(NetworkConfig("johnson", width=16)).eval()
    style, plain = torch.from_numpy(vector), torch.ones(johnson.style_length)
    plain_network, plain_johnson = PlainStylizer(network, style), PlainStylizer(johnson, plain)
    photo = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(plain_network(photo), network(photo, style), rtol=0, atol=1e-3)
    return {
        "eager": lambda photo: network(photo, style),
        "eager, torch's own layers": plain_network,
        "johnson 16, eager": lambda photo: johnson(photo, plain),
        "johnson 16, eager, torch's own layers": plain_johnson,
    }


def _measured(
    calls: Calls, eager: Calls, size: str, threads: int, warmup: int, repeats: int
) -> dict[str, Any]:
    """Seconds of one size, and how many times as long each takes as our own engine."""
    width, height = (int(side) for side in size.split("x"))
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    photo = torch.from_numpy(image).permute(2, 0, 1)[None].float().div(255).contiguous()
    clock = time.process_time if threads == 1 else time.perf_counter
    first = {name: timed(lambda call=call: call(image)) for name, call in calls.items()}
    with torch.inference_mode():
        seconds = alternate(
            {
                **{name: functools.partial(call, image) for name, call in calls.items()},
                **{name: functools.partial(call, photo) for name, call in eager.items()},
            },
            warmup=warmup,
            repeats=repeats,
            clock=clock,
        )
    ours = next(iter(calls))
    return {
        "seconds": {name: summary(values) for name, values in seconds.items()},
        "times as long": {
            f"{slow} / {ours}": ratio(seconds[slow], seconds[ours]) for slow in seconds if slow != ours
        },
        "first_s": {name: round(value, 3) for name, value in first.items()},
    }


def _errors(calls: Calls, path: Path, vector: np.ndarray) -> dict[str, float]:
    """Largest difference from the network in float64, in grey levels, and 8-bit results are rounded."""
    with Image.open(PHOTO) as photo:
        image = np.asarray(photo.convert("RGB").resize((320, 240)))
    network = load_network(path).double()
    given = torch.from_numpy(image / 255.0).permute(2, 0, 1)[None]
    with torch.inference_mode():
        expected = network(given, torch.from_numpy(vector).double())[0].permute(1, 2, 0).numpy() * 255
    return {name: round(float(np.abs(call(image) - expected).max()), 3) for name, call in calls.items()}


def _installed_mb(package: str) -> int | None:
    """Megabytes of a package's files, without what it depends on."""
    try:
        files = importlib.metadata.files(package) or []
    except importlib.metadata.PackageNotFoundError:
        return None
    return round(
        sum(Path(file.locate()).stat().st_size for file in files if Path(file.locate()).is_file()) / 1e6
    )


if __name__ == "__main__":
    main()

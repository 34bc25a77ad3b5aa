"""How fast does each engine paint a 1920 x 1080 photo, against eager PyTorch?

    python benchmarks/engines.py --repeats 9

Engines paint the same uint8 photo by the same weights, from array to array, conversions included. Beside
them the same network, and Johnson's at width 16, in eager PyTorch, float32 tensors in and out (without
conversions, to their advantage): as `stylenorm.networks` has them, and as one writes them with torch's own
layers. Rounds alternate; ratios are taken round by round.
"""

from __future__ import annotations

import argparse

import numpy as np

from measured import add_network_argument, alternate, network_folder, ratio, summary, write_result
from plain_torch import PlainStylizer
from stylenorm.engines import ENGINES, Engine, open_engine
from stylenorm.errors import InputError
from stylenorm.zoo import NetworkFolder


def main() -> None:
    """Measure and write results/engines.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--width", type=int, default=1920)
    parser.add_argument("--height", type=int, default=1080)
    parser.add_argument("--threads", type=int, default=2)
    add_network_argument(parser)
    options = parser.parse_args()
    import torch

    from stylenorm.export import load_network
    from stylenorm.networks import NetworkConfig, build_network

    torch.set_num_threads(options.threads)
    path, about = network_folder(options.network)
    folder = NetworkFolder.open(path)
    network = load_network(path)
    johnson = build_network(NetworkConfig("johnson", width=16)).eval()
    vector = folder.style(next(iter(folder.style_names()))).vector()
    plain_network = PlainStylizer(network, torch.from_numpy(vector))
    plain_johnson = PlainStylizer(johnson, torch.ones(johnson.style_length))
    image = np.random.default_rng(0).integers(0, 256, (options.height, options.width, 3), np.uint8)
    photo = torch.from_numpy(image).permute(2, 0, 1)[None].float().div(255).contiguous()
    style, plain = torch.from_numpy(vector), torch.ones(johnson.style_length)

    def open_or_none(name: str, precision: str) -> Engine | None:
        if not ENGINES[name].is_installed():
            return None
        try:
            return open_engine(
                name, folder.graph, precision=precision, threads=options.threads, load_module=lambda: network
            )
        except InputError:  # no bfloat16 here
            return None

    wanted = [("winograd", "f32"), ("openvino", "f32"), ("openvino", "bf16"), ("onnxruntime", "f32")]
    engines = {f"{name} {precision}": open_or_none(name, precision) for name, precision in wanted}
    calls = {
        name: (lambda engine=engine: engine.paint_image(image, vector))
        for name, engine in engines.items()
        if engine is not None
    }
    with torch.inference_mode():
        torch.testing.assert_close(plain_network(photo), network(photo, style), rtol=0, atol=1e-3)
        seconds = alternate(
            {
                **calls,
                "eager": lambda: network(photo, style),
                "eager, torch's own layers": lambda: plain_network(photo),
                "johnson 16, eager": lambda: johnson(photo, plain),
                "johnson 16, eager, torch's own layers": lambda: plain_johnson(photo),
            },
            warmup=2,
            repeats=options.repeats,
        )
    eager = [name for name in seconds if name not in calls]
    write_result(
        "engines",
        f"{options.width} x {options.height}, {options.threads} threads, rounds of all engines, alternating "
        "after 2 warm-up rounds; engines: uint8 array in and out; eager PyTorch: float32 tensor in and out",
        {
            "network": f"{about}: {dict(folder.config)}",
            "seconds": {name: summary(values) for name, values in seconds.items()},
            "times as long": {
                f"{slow} / {name}": ratio(seconds[slow], seconds[name]) for slow in eager for name in calls
            },
            "not_measured": [name for name, engine in engines.items() if engine is None],
        },
    )


if __name__ == "__main__":
    main()

"""How far is bfloat16 from float32, in dB, on real photos?

    python benchmarks/precision.py PHOTOS --network DIR --most 40

Every photo is painted in every style in both precisions; PSNR is of the 8-bit paintings, peak 255. Where
OpenVINO has bfloat16 it is measured itself. torch's autocast is measured everywhere: convolutions take and
give bfloat16 (emulated where the CPU has no such instructions), norms are float32; that is what OpenVINO
does, except that it also keeps what lies between the layers in bfloat16.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from measured import add_network_argument, network_folder, summary, write_result
from stylenorm.engines import open_engine
from stylenorm.errors import InputError
from stylenorm.media import find_pictures, read_picture
from stylenorm.zoo import NetworkFolder


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    """Peak signal to noise ratio of two uint8 images, in dB; 99 if they are the same."""
    error = float(np.mean((a.astype(np.float64) - b) ** 2))
    return 99.0 if error == 0 else 10 * float(np.log10(255**2 / error))


def main() -> None:
    """Measure and write results/precision.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", type=Path)
    parser.add_argument("--most", type=int, default=24, help="photos, evenly chosen from the folder")
    add_network_argument(parser)
    options = parser.parse_args()
    from stylenorm.export import load_network

    path, about = network_folder(options.network)
    folder = NetworkFolder.open(path)
    pictures = find_pictures(options.photos)
    pictures = pictures[:: max(1, len(pictures) // options.most)][: options.most]
    pairs = {}
    for name in ("openvino", "torch"):
        try:
            pairs[name] = [
                open_engine(name, folder.graph, precision=precision, load_module=lambda: load_network(path))
                for precision in ("f32", "bf16")
            ]
        except InputError:  # no bfloat16 here
            continue
    values: dict[str, dict[str, list[float]]] = {
        name: {style: [] for style in folder.style_names()} for name in pairs
    }
    worst: dict[str, int] = dict.fromkeys(pairs, 0)
    for picture in pictures:
        pixels = read_picture(picture).pixels
        for style in folder.style_names():
            vector = folder.style(style).vector()
            for name, (exact, fast) in pairs.items():
                expected, actual = exact.paint_image(pixels, vector), fast.paint_image(pixels, vector)
                values[name][style].append(psnr(actual, expected))
                worst[name] = max(worst[name], int(np.abs(actual.astype(int) - expected).max()))
    write_result(
        "precision",
        f"{len(pictures)} photos, every style, bfloat16 against float32 of the same engine, PSNR of 8-bit "
        "paintings; torch: autocast on the CPU, emulated where there are no bfloat16 instructions",
        {
            "network": about,
            "psnr_db": {
                name: {style: summary(samples, 2) for style, samples in styles.items()}
                for name, styles in values.items()
            },
            "largest_difference_in_grey_levels": worst,
            "not_measured": [name for name in ("openvino", "torch") if name not in pairs],
        },
    )


if __name__ == "__main__":
    main()

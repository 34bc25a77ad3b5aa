"""What do tiles cost, and how near do they come to the whole picture?

    python benchmarks/tiling.py --width 4000 --height 3000
    python benchmarks/tiling.py --photos FOLDER

Against the picture painted whole, in float32: exact tiles; fast ones, with frozen statistics from sampled
full-resolution tiles; frozen statistics from a thumbnail (URST, arXiv:2103.11784); and naive tiles, each by
its own statistics, with the same surroundings as the fast ones. Two pictures: photos side by side, so that no
part is like the rest, and one photo enlarged, with grain.

Each method runs in a process of its own: its peak resident memory, and of its second run, when all is
compiled, wall and processor time. Seams: the mean difference of neighbours across tile borders, over that in
the whole painting at the same places; 1 is none. SSIM by MONAI.
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from measured import add_network_argument, network_folder, write_result
from stylenorm import Stylizer
from stylenorm.graphs import cut_graph, frozen_vector
from stylenorm.tiles import MemoryWorkspace, TileGrid, paint_exact, paint_frozen, sample_statistics

METHODS = ("whole", "exact", "fast", "thumbnail", "naive")
TILE_PX, THUMBNAIL_PX = 512, 1024
EXAMPLES = Path(__file__).parent.parent / "examples" / "photos"


class FloatSink:
    """Keeps the painting in float32."""

    def __init__(self, height: int, width: int) -> None:
        self.painting = np.empty((height, width, 3), np.float32)

    def write(self, box: Any, painting: NDArray[np.float32]) -> None:
        """Take one tile."""
        box = box.clipped(*self.painting.shape[:2])
        self.painting[box.top : box.bottom, box.left : box.right] = painting[: box.height, : box.width]


def paint(method: str, stylizer: Stylizer, photo: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Paint a photo by one method; (H, W, 3) float32."""
    engine, style = stylizer.engine, stylizer.style
    if method == "whole":
        whole = (photo / np.float32(255)).astype(np.float32).transpose(2, 0, 1)[None]
        return engine.paint(whole, style.vector(), exact=True)[0].transpose(1, 2, 0)
    plan, sink = cut_graph(stylizer.network.graph.read_bytes()), FloatSink(*photo.shape[:2])
    if method == "exact":
        paint_exact(engine, plan, photo, style, sink, tile=TILE_PX, workspace=MemoryWorkspace())
    elif method == "naive":
        grid = TileGrid(*photo.shape[:2], TILE_PX, plan.multiple)
        for box in grid.boxes():
            around = box.padded(plan.radius, plan.radius).clipped(*photo.shape[:2])
            part = paint("whole", stylizer, photo[around.top : around.bottom, around.left : around.right])
            top, left = box.top - around.top, box.left - around.left
            sink.write(box, part[top : top + box.height, left : left + box.width])
    else:
        if method == "fast":
            statistics = sample_statistics(engine, photo, style)
        else:
            small = Image.fromarray(photo)
            small.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX), Image.Resampling.LANCZOS)
            statistics = stylizer.measure([np.asarray(small)])
        paint_frozen(engine, plan, photo, frozen_vector(statistics, style), sink, tile=TILE_PX)
    return sink.painting


def one(method: str, photo: Path, out: Path, style: str, network: Path) -> None:
    """Paint twice in this process; tell time and memory on standard output."""
    pixels = np.load(photo)
    with Stylizer(style, network=network, precision="f32") as stylizer:
        before = peak_mb()
        paint(method, stylizer, pixels)
        wall, processor = time.perf_counter(), time.process_time()
        painting = paint(method, stylizer, pixels)
        told = {
            "seconds": round(time.perf_counter() - wall, 3),
            "processor_seconds": round(time.process_time() - processor, 3),
            "peak_mb": round(peak_mb()),
            "peak_over_start_mb": round(peak_mb() - before),
        }
    np.save(out, painting)
    print(json.dumps(told))


def peak_mb() -> float:
    """Peak resident memory of this process."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def compared(painting: NDArray[np.float32], whole: NDArray[np.float32]) -> dict[str, float]:
    """How far a painting is from the whole one."""
    import torch
    from monai.metrics.regression import SSIMMetric

    difference = painting.astype(np.float64) - whole
    mse = float((difference**2).mean())
    tensors = [torch.from_numpy(p.transpose(2, 0, 1)[None].copy()) for p in (painting, whole)]
    return {
        "largest_levels": round(float(np.abs(difference).max()) * 255, 3),
        "mean_levels": round(float(np.abs(difference).mean()) * 255, 4),
        "psnr_db": round(-10 * math.log10(max(mse, 1e-20)), 2),
        "ssim": round(float(SSIMMetric(spatial_dims=2, data_range=1.0)(*tensors)), 5),
        "seam_ratio": round(seams(painting) / seams(whole), 4),
    }


def seams(painting: NDArray[np.float32]) -> float:
    """Mean difference of neighbours across tile borders."""
    height, width = painting.shape[:2]
    across = [np.abs(painting[y] - painting[y - 1]).mean() for y in range(TILE_PX, height, TILE_PX)]
    across += [np.abs(painting[:, x] - painting[:, x - 1]).mean() for x in range(TILE_PX, width, TILE_PX)]
    return float(np.mean(across))


def pictures(folder: Path, width: int, height: int) -> dict[str, Callable[[], NDArray[np.uint8]]]:
    """The two pictures, of the photos of a folder."""
    paths = sorted(p for p in folder.iterdir() if p.suffix in (".jpg", ".png"))[:24]

    def mosaic() -> NDArray[np.uint8]:
        canvas, cell = Image.new("RGB", (width, height)), (width // 4, height // 3)
        for i in range(12):
            with Image.open(paths[i % len(paths)]) as photo:
                part = photo.convert("RGB").resize(cell, Image.Resampling.LANCZOS)
            canvas.paste(part, (i % 4 * cell[0], i // 4 * cell[1]))
        return np.asarray(canvas)

    def enlarged() -> NDArray[np.uint8]:
        with Image.open(paths[0]) as photo:
            large = np.asarray(photo.convert("RGB").resize((width, height), Image.Resampling.LANCZOS))
        grain = np.random.default_rng(0).normal(0, 4, (height, width, 1))
        return np.asarray((large + grain).clip(0, 255), np.uint8)

    return {"photos side by side": mosaic, "one photo, enlarged": enlarged}


def child(*arguments: object) -> Any:
    """Run this file in a process of its own, whose peak counts from this one's size on."""
    command = [sys.executable, __file__, *map(str, arguments)]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)


def main() -> None:
    """Measure and write results/tiling.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--width", type=int, default=4000)
    parser.add_argument("--height", type=int, default=3000)
    parser.add_argument("--photos", type=Path, default=EXAMPLES)
    parser.add_argument("--one", nargs=4, metavar=("METHOD", "PHOTO", "OUT", "STYLE"), help="for itself")
    parser.add_argument("--compare", nargs=2, metavar=("PAINTING", "WHOLE"), help="for itself")
    add_network_argument(parser)
    options = parser.parse_args()
    if options.compare:
        print(json.dumps(compared(*(np.load(each) for each in options.compare))))
        return
    path, about = network_folder(options.network)
    if options.one:
        method, photo, out, style = options.one
        one(method, Path(photo), Path(out), style, path)
        return
    style = next(p.stem for p in sorted((path / "styles").glob("*.safetensors")) if p.stem != "identity")
    results: dict[str, Any] = {
        "network": about,
        "style": style,
        "megapixels": options.width * options.height / 1e6,
    }
    with tempfile.TemporaryDirectory() as folder:
        photo, out, whole = (Path(folder) / f"{name}.npy" for name in ("photo", "out", "whole"))
        for name, make in pictures(options.photos, options.width, options.height).items():
            np.save(photo, make())
            rows: dict[str, Any] = {}
            for method in METHODS:
                target = whole if method == "whole" else out
                rows[method] = child("--network", path, "--one", method, photo, target, style)
                if method != "whole":
                    rows[method]["times_whole"] = round(
                        rows[method]["processor_seconds"] / rows["whole"]["processor_seconds"], 2
                    )
                    rows[method] |= child("--compare", out, whole)
                print(name, method, rows[method], file=sys.stderr)
            results[name] = rows
    method = (
        f"tiles of {TILE_PX} pixels, thumbnail of {THUMBNAIL_PX}; float32; a process a method, its second "
        "run; times_whole by processor time of all threads; compared with the whole painting in float32"
    )
    write_result("tiling", method, results)


if __name__ == "__main__":
    main()

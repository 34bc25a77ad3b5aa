"""How much sooner than a straightforward implementation is Gatys' optimisation at the same loss?

    python benchmarks/optimize.py --paintings DIR

Each drawn photo, its longer side at --size, is optimised with L-BFGS from the photo, on the same loss
(`stylenorm.perceptual.PaintingLoss` on VGG-16), in two ways. Straightforward: at full size from the first
step on, the losses written out on torch's own convolutions and differentiated by autograd,
torch.optim.LBFGS with its own settings (history 100, learning rate 1, no line search), one iteration a
step. Ours: `stylenorm.optimize` with its defaults. Time to the same loss: when ours is at or below the
straightforward one's total after 50 and 100 evaluations. Evaluations are timed inside the runs; building
the targets is counted in ours, and not in the straightforward one. The two ways run in turn, each --repeats
times, and the ratios are those of the medians. Part of the gain is fewer evaluations at full size, part is
a cheaper evaluation; the table says how much each of them costs.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from measured import summary, write_result
from stylenorm.allocation import keep_freed_memory
from stylenorm.media import read_picture
from stylenorm.optimize import OptimizeConfig, optimize
from stylenorm.perceptual import PaintingLoss, load_feature_network

PAIRS = (
    ("harbour", "vincent-van-gogh--the-starry-night"),
    ("mountain-lake", "katsushika-hokusai--the-great-wave"),
    ("still-life", "edvard-munch--the-scream"),
)
PHOTOS = Path(__file__).parent.parent / "examples" / "photos"
CHECKPOINTS = (50, 100)


def main() -> None:
    """Measure and write results/optimize.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--paintings", type=Path, required=True)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    keep_freed_memory()  # both ways: it is the allocator's
    loss = PaintingLoss(load_feature_network("vgg16"))
    config = OptimizeConfig(steps=max(CHECKPOINTS))

    results: dict[str, object] = {
        "size": options.size,
        "threads": options.threads,
    }
    gains: dict[int, list[float]] = {count: [] for count in CHECKPOINTS}
    for name, painting_name in PAIRS:
        photo = load(PHOTOS / f"{name}.jpg", options.size)
        painting = load(options.paintings / f"{painting_name}.jpg", options.size)
        plain_runs, our_runs = [], []
        for _ in range(options.repeats):
            plain_runs.append(straightforward(photo, painting, loss, config))
            our_runs.append(ours(photo, painting, loss, config))
        table: dict[str, object] = {"shape": list(photo.shape[2:])}
        for count in CHECKPOINTS:
            target = min(total for total, _ in plain_runs[0][:count])
            plain_s = statistics.median(run[count - 1][1] for run in plain_runs)
            times = [first_at(run, target) for run in our_runs]
            row: dict[str, object] = {"loss": round(target, 4), "straightforward_s": round(plain_s, 2)}
            if None in times:
                row["ours_s"], row["times as fast"] = "never in its 100 evaluations at full size", None
            else:
                ours_s = statistics.median(t for t in times if t is not None)
                row["ours_s"], row["times as fast"] = round(ours_s, 2), round(plain_s / ours_s, 2)
                gains[count].append(plain_s / ours_s)
            table[f"after {count}"] = row
        evaluations = [(run[-1][1] - run[49][1]) / (len(run) - 50) for run in plain_runs]
        full = [run[-50:] for run in our_runs]
        cheap = [(run[-1][1] - run[0][1]) / (len(run) - 1) for run in full]
        table["seconds an evaluation, straightforward"] = summary(evaluations)
        table["seconds an evaluation, ours at full size"] = summary(cheap)
        results[f"{name}, {painting_name}"] = table
        print(name, table, flush=True)
    results["times as fast, pairs"] = {
        f"after {count}": summary(values, digits=2) if values else None for count, values in gains.items()
    }
    write_result("optimize", " ".join(__doc__.split("\n\n", 2)[2].split()), results)


def load(path: Path, longer_px: int) -> Tensor:
    """A picture as (1, 3, H, W), RGB, 0..1, its longer side scaled."""
    image = read_picture(path).to_image().convert("RGB")
    scale = longer_px / max(image.size)
    image = image.resize((round(image.width * scale), round(image.height * scale)))
    pixels = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8)
    return (pixels.reshape(1, image.height, image.width, 3).permute(0, 3, 1, 2).float() / 255).contiguous()


def ours(
    photo: Tensor, painting: Tensor, loss: PaintingLoss, config: OptimizeConfig
) -> list[tuple[float, float]]:
    """Totals (at full size; infinite before) and seconds."""
    _, history = optimize(photo, [painting], loss, config)
    full = photo.shape[2]
    return [(e.total if e.height == full else float("inf"), e.seconds) for e in history]


def straightforward(
    photo: Tensor, painting: Tensor, loss: PaintingLoss, config: OptimizeConfig
) -> list[tuple[float, float]]:
    """Totals and seconds of the plain implementation."""

    def moments(features: Tensor) -> tuple[Tensor, Tensor]:
        flat = features.flatten(2)[0]
        mean = flat.mean(dim=1)
        centred = flat - mean[:, None]
        return mean, centred @ centred.T / flat.shape[1]

    def normalized(features: Tensor) -> Tensor:
        centred = features - features.mean(dim=(2, 3), keepdim=True)
        variance = centred.square().mean(dim=(2, 3), keepdim=True)
        return centred / (variance + 0.1 * variance.mean() + 1e-8).sqrt()

    def around(f: Tensor) -> Tensor:
        return F.avg_pool2d(f, 5, stride=1, padding=2, count_include_pad=False)

    def detail(f: Tensor) -> Tensor:
        found = around((f - around(f)).square().mean(dim=1, keepdim=True))
        weights = 0.2 * found.mean() + 0.8 * found.clamp(max=3 * float(found.mean())) + 1e-8
        return weights / weights.mean()

    def relative(a: Tensor, b: Tensor) -> Tensor:
        return (a - b).square().sum() / (b.square().sum() + 1e-8)

    def quantiles(x: Tensor, pool: int) -> Tensor:
        ordered = (loss.directions @ F.avg_pool2d(x, pool).flatten(2)[0]).sort(dim=1).values
        return ordered[:, ((torch.arange(128) + 0.5) / 128 * ordered.shape[1]).long()]

    def features(x: Tensor) -> dict[tuple[int, str], Tensor]:
        found = {}
        for look in loss.looks:
            y, block = F.avg_pool2d(x, 2**look.halvings), "1"
            y = (y - loss.network.mean) / loss.network.std  # type: ignore[union-attr]
            for tap, conv in loss.network.convs.items():  # type: ignore[union-attr]
                if tap[4] != block:
                    y, block = F.avg_pool2d(y, 2), tap[4]
                y = F.relu(F.conv2d(y, conv.weight.contiguous(), conv.bias, padding=1))
                found[look.halvings, tap] = y
                if tap == max(look.taps):
                    break
        return found

    pools = ((1, 1.0), (4, 1.0), (16, 0.5))
    style_keys = [(look.halvings, tap) for look in loss.looks for tap in look.style_taps]
    content_keys = [(look.halvings, tap) for look in loss.looks for tap in look.content_taps]
    with torch.no_grad():
        seen, wanted = features(photo), features(painting)
        contents = {key: normalized(seen[key]) for key in content_keys}
        details = {key: detail(contents[key]) for key in content_keys}
        targets = {key: moments(wanted[key]) for key in style_keys}
        palette = {pool: quantiles(painting, pool) for pool, _ in pools}
        spread = palette[1].var(dim=1, correction=0).mean()
    x = photo.clone().requires_grad_()
    optimizer = torch.optim.LBFGS([x], lr=1, max_iter=1, tolerance_grad=0, tolerance_change=0)
    history: list[tuple[float, float]] = []
    started = time.perf_counter()

    def closure() -> Tensor:
        optimizer.zero_grad()
        found = features(x)
        content = torch.stack(
            [(details[k] * (normalized(found[k]) - contents[k]).square()).mean() for k in content_keys]
        ).mean()
        terms = [
            relative(ours, theirs)
            for key in style_keys
            for ours, theirs in zip(moments(found[key]), targets[key], strict=True)
        ]
        colors = sum(w * (quantiles(x, pool) - palette[pool]).square().mean() for pool, w in pools) / spread
        down = (x[:, :, 1:] - x[:, :, :-1]).abs().mean()
        right = (x[..., 1:] - x[..., :-1]).abs().mean()
        total = (
            config.content_weight * content
            + config.style_weight * torch.stack(terms).mean()
            + config.palette_weight * colors
            + config.tv_weight * (down + right)
        )
        total.backward()
        history.append((total.item(), time.perf_counter() - started))
        return total

    while len(history) < config.steps:
        optimizer.step(closure)
    return history


def first_at(run: list[tuple[float, float]], target: float) -> float | None:
    """When the total is first at or below the target."""
    return next((seconds for total, seconds in run if total <= target), None)


if __name__ == "__main__":
    main()

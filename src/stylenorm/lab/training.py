"""The one training that the experiments share: a small generator, one painting, a few minutes.

Adam, warmed up over 5 % of the steps, then falling to a twentieth by a cosine. Content and style are relative
(`stylenorm.perceptual.losses`), so one weight serves every painting. Batch norm is judged as it is used: with
running statistics, and, apart from that, with the statistics of the batch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from stylenorm.errors import InputError, TrainingError, UnknownNameError
from stylenorm.lab.bench import Arm, Bench
from stylenorm.lab.experiment import Size
from stylenorm.lab.material import PhotoPool
from stylenorm.lab.preparing import prepare
from stylenorm.networks import JohnsonNetwork2016, UlyanovNetwork
from stylenorm.perceptual import PerceptualLoss, StyleTarget
from stylenorm.training.recipe import warmed_cosine

__all__ = [
    "TRAINING_SIZES",
    "GeneratorArm",
    "TrainingSize",
    "build_generator",
    "contrast_changed",
    "paint",
    "train_generator",
]

_GENERATORS = ("johnson", "ulyanov")
_CURVE_POINTS, _CHECKS = 25, 5
_HELD_OUT_SEED = 977  # noise for held-out photos, the same in every arm


@dataclass(frozen=True)
class TrainingSize:
    """How large the trainings of one size are.

    Attributes:
        width: channels of the Johnson network's first convolution.
        num_blocks: its residual blocks.
        num_scales: of Ulyanov's network.
        crop_px: side of the crops.
        batch_size: crops a step.
        steps: of Adam.
        painting_px: shorter side of the painting, which sets the size of the strokes.
        num_seeds: each arm is run with seeds 0, 1, ...
        num_photos: of the pool; None takes all.
        num_held_out: of the pool.
        learning_rate: at the peak.
        style_weight: style loss in content losses.
    """

    width: int = 8
    num_blocks: int = 2
    num_scales: int = 4
    crop_px: int = 48
    batch_size: int = 4
    steps: int = 120
    painting_px: int = 96
    num_seeds: int = 3
    num_photos: int | None = None
    num_held_out: int = 16
    learning_rate: float = 4e-3
    style_weight: float = 2.0

    @classmethod
    def tiny(cls) -> TrainingSize:
        """Only to see that it runs."""
        return cls(
            width=4, num_blocks=1, num_scales=2, crop_px=32, batch_size=2, steps=2, painting_px=32,
            num_seeds=2, num_photos=8, num_held_out=2,
        )  # fmt: skip

    @classmethod
    def gpu(cls) -> TrainingSize:
        """The papers' widths, crops and batch; a quarter of Johnson's steps."""
        return cls(
            width=32, num_blocks=5, num_scales=6, crop_px=256, steps=10_000, painting_px=384,
            num_held_out=24, learning_rate=1e-3,
        )  # fmt: skip


TRAINING_SIZES: Mapping[Size, TrainingSize] = {
    Size.TINY: TrainingSize.tiny(),
    Size.CPU: TrainingSize(),
    Size.GPU: TrainingSize.gpu(),
}
"""How the experiments with generators are run."""


@dataclass(frozen=True)
class GeneratorArm:
    """One training, told from others by all of this.

    Attributes:
        size: how large it is.
        generator: ``"johnson"`` or ``"ulyanov"``.
        norm: one of `stylenorm.networks.NORMS`; ``"group deeper"`` is instance norm with group norm in the
            residual blocks, ``"instance first"`` group norm with instance norm behind the first convolution.
        padding: one of `stylenorm.networks.PADDINGS`.
        photos: how they are prepared; see `stylenorm.lab.preparing.prepare`.
        num_photos: trained on; None takes all of the pool.
        painting_contrast: the painting's distance from its mean colour is multiplied by this.
        seed: of weights, photos and noise.
    """

    size: TrainingSize
    generator: str = "johnson"
    norm: str = "instance"
    padding: str = "reflect"
    photos: str = "original"
    num_photos: int | None = None
    painting_contrast: float = 1.0
    seed: int = 0

    @property
    def label(self) -> str:
        """A file name that says the most of it."""
        parts = [self.generator, self.norm.replace(" ", "-"), self.padding, self.photos]
        parts += [f"{self.num_photos}photos"] if self.num_photos is not None else []
        parts += [f"contrast{self.painting_contrast:g}"] if self.painting_contrast != 1 else []
        return "-".join([*parts, f"batch{self.size.batch_size}", f"seed{self.seed}"])


def build_generator(arm: GeneratorArm) -> nn.Module:
    """Build the arm's network, with fresh weights drawn by its seed."""
    torch.manual_seed(arm.seed)
    size = arm.size
    if arm.generator == "ulyanov":
        return UlyanovNetwork(arm.norm, size.num_scales, padding=arm.padding)
    if arm.generator != "johnson":
        raise UnknownNameError("generator", arm.generator, _GENERATORS)

    def johnson(norm: str) -> JohnsonNetwork2016:
        return JohnsonNetwork2016(norm, size.width, size.num_blocks, arm.padding, enlarge="nearest")

    if arm.norm == "group deeper":
        network = johnson("instance")
        network.blocks = johnson("group").blocks
    elif arm.norm == "instance first":
        network = johnson("group")
        network.down[0] = johnson("instance").down[0]
    else:
        network = johnson(arm.norm)
    return network


def paint(network: nn.Module, photos: Tensor, generator: torch.Generator) -> Tensor:
    """Paint photos (N, 3, H, W), RGB, 0..1; noise for the networks that want some is drawn on the CPU."""
    if isinstance(network, UlyanovNetwork):
        height, width = photos.shape[-2:]
        noise = network.noise(len(photos), height, width, generator).to(photos.device)
        painted: Tensor = network(photos, noise)
    else:
        painted = network(photos)
    return painted


def train_generator(bench: Bench, arm: GeneratorArm) -> tuple[dict[str, Any], nn.Module]:
    """Train the arm's network, or find it trained.

    Returns:
        Its numbers and the network, in evaluation mode. The numbers: ``curve``, rows of step, content and
        style loss, means over the steps since the row before; ``checks``, rows of step, content and style
        loss on held-out photos in evaluation mode; ``held_out`` and ``held_out_batch``, ``content``,
        ``style`` and ``objective`` at the end, in evaluation mode and with statistics of the batch.

    Raises:
        InputError: it was trained by another version of the package.
        TrainingError: the loss is no longer finite.
    """
    settings = {"arm": asdict(arm), "material": bench.material.identity()}
    found = bench.arm(arm.label, settings, lambda: _train(bench, arm))
    network = build_generator(arm).to(bench.device)
    try:
        network.load_state_dict(found.tensors)
    except RuntimeError as error:
        raise InputError(
            f"{arm.label}: expected the weights of this network, got those of another version; delete its "
            f"files in {bench.out / 'arms'} to train it again"
        ) from error
    return found.numbers, network.eval()


def contrast_changed(picture: Tensor, contrast: float) -> Tensor:
    """Multiply a picture's distance from its mean colour by ``contrast`` (0..1); (N, 3, H, W)."""
    mean = picture.mean(dim=(2, 3), keepdim=True)
    return mean + contrast * (picture - mean)


def _train(bench: Bench, arm: GeneratorArm) -> Arm:
    size = arm.size
    pool = _pool(bench, arm)
    loss = bench.material.loss(num_scales=1, device=bench.device)
    painting = contrast_changed(bench.material.painting(size.painting_px), arm.painting_contrast)
    target = loss.style_target(painting.to(bench.device))
    held_out = pool.held_out(size.crop_px).to(bench.device)
    network = build_generator(arm).to(bench.device).train()
    optimizer = torch.optim.Adam(network.parameters(), lr=size.learning_rate)
    noise = torch.Generator().manual_seed(arm.seed)

    def check(*, as_in_training: bool = False) -> dict[str, float]:
        return _check(network, held_out, loss, target, size, as_in_training=as_in_training)

    curve, checks, since = [], [[0, *_pair(check())]], []
    for step in range(size.steps):
        for group in optimizer.param_groups:
            group["lr"] = size.learning_rate * warmed_cosine(step, size.steps, last=0.05)
        photos = _batch(pool, arm, step).to(bench.device)
        terms = loss(paint(network, photos, noise), loss.content_target(photos), target)
        content, style = terms.content.mean(), terms.style.mean()
        total = content + size.style_weight * style
        if not torch.isfinite(total):
            raise TrainingError(f"{arm.label}: step {step}: the loss is no longer finite")
        optimizer.zero_grad(set_to_none=True)
        total.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        since.append((content.item(), style.item()))
        done = step + 1
        if _is_mark(done, size.steps, _CURVE_POINTS):
            curve.append([done, *(round(sum(v) / len(since), 5) for v in zip(*since, strict=True))])
            since = []
            bench.tell(f"step {done}/{size.steps}, style {curve[-1][2]:.3f}")
        if _is_mark(done, size.steps, _CHECKS):
            checks.append([done, *_pair(check())])
    numbers = {
        "curve": curve,
        "checks": checks,
        "held_out": check(),
        "held_out_batch": check(as_in_training=True),
    }
    return Arm(numbers, dict(network.state_dict()))


def _pool(bench: Bench, arm: GeneratorArm) -> PhotoPool:
    """The photos, prepared whole, before they are cropped; kept for the arms that follow."""
    size = arm.size
    key = (size.crop_px, size.num_photos, size.num_held_out, arm.photos)
    if key not in bench.pools:
        pool = bench.material.pool(*key[:3])
        if arm.photos == "style-normalized":
            pool = pool.changed(_painter(bench, size))
        elif arm.photos != "original":
            pool = pool.changed(lambda photos: prepare(photos, arm.photos))
        bench.pools[key] = pool
    pool = bench.pools[key]
    return pool if arm.num_photos is None else pool.subset(arm.num_photos, arm.seed)


def _painter(bench: Bench, size: TrainingSize) -> Callable[[Tensor], Tensor]:
    """A network that normalizes style: one of its own, with another seed, trained longer."""
    _, first = train_generator(bench, GeneratorArm(replace(size, steps=2 * size.steps), seed=1000))

    @torch.no_grad()
    def change(photos: Tensor) -> Tensor:
        return paint(first, photos.to(bench.device), torch.Generator())

    return change


def _batch(pool: PhotoPool, arm: GeneratorArm, step: int) -> Tensor:
    return pool.batch(arm.size.crop_px, arm.size.batch_size, arm.seed, step)


@torch.no_grad()
def _check(
    network: nn.Module,
    photos: Tensor,
    loss: PerceptualLoss,
    target: StyleTarget,
    size: TrainingSize,
    *,
    as_in_training: bool,
) -> dict[str, float]:
    """Losses on held-out photos, in batches of the training's size; running statistics stay as they are."""
    kept = {name: buffer.clone() for name, buffer in network.named_buffers()}
    network.train(as_in_training)
    noise = torch.Generator().manual_seed(_HELD_OUT_SEED)
    content, style = [], []
    for photo in torch.split(photos, size.batch_size):
        terms = loss(paint(network, photo, noise), loss.content_target(photo), target)
        content.append(terms.content)
        style.append(terms.style)
    for name, buffer in network.named_buffers():
        buffer.copy_(kept[name])
    network.train()
    means = {"content": float(torch.cat(content).mean()), "style": float(torch.cat(style).mean())}
    means["objective"] = means["content"] + size.style_weight * means["style"]
    return {name: round(value, 5) for name, value in means.items()}


def _pair(losses: dict[str, float]) -> tuple[float, float]:
    return losses["content"], losses["style"]


def _is_mark(done: int, steps: int, count: int) -> bool:
    """Whether one of ``count`` evenly spread marks of ``steps`` lies at ``done``; the last is the end."""
    return done * count // steps > (done - 1) * count // steps

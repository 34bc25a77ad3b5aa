"""What the processes of `test_torchrun` run: every recipe at toy size, each in a folder of its own.

    torchrun --standalone --nproc-per-node 2 -m tests.training.together MATERIAL OUT NAME... [--resume]

``killed`` after a name: at step 3 the second process ends itself as nothing can catch.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from stylenorm.errors import TrainingError
from stylenorm.networks import NetworkConfig
from stylenorm.training import (
    Adain,
    AdainConfig,
    CycleGan,
    CycleGanConfig,
    Ibn,
    IbnConfig,
    Johnson,
    JohnsonConfig,
    Learn,
    LearnConfig,
    LoopConfig,
    Multistyle,
    MultistyleConfig,
    Painting,
    Photos,
    Pix2Pix,
    Pix2PixConfig,
    Predict,
    PredictConfig,
    Recipe,
    Spade,
    SpadeConfig,
    StyleGan,
    StyleGan2,
    StyleGan2Config,
    StyleGanConfig,
    Texture,
    TextureConfig,
    Ulyanov,
    UlyanovConfig,
    Volumes,
    VolumesConfig,
    fit,
    ranks,
)
from tests.engines.tiny_network import tiny_network

STEPS = 4
LEARNING_RATE = 1e-3


class Batchy(Recipe):
    """Batch norms of every kind, and a parameter that only one sample of the batch has a gradient for."""

    name = "batchy"

    def __init__(self, photos: Path) -> None:
        self.photos = Photos(photos, crop_px=16, batch_size=4, seed=0, num_held_out=1)
        torch.manual_seed(0)
        self.model = nn.ModuleDict(
            {
                "conv": nn.Conv2d(3, 4, 3, bias=False),
                "norm": nn.BatchNorm2d(4),
                "deep": nn.BatchNorm3d(4, momentum=None),
                "flat": nn.BatchNorm1d(4, affine=False),
                "unused": nn.Linear(2, 2),
            }
        )
        nn.init.constant_(self.model["norm"].bias, 0.5)
        self.model.register_parameter("rare", nn.Parameter(torch.ones(4)))

    def to(self, device: torch.device) -> None:
        self.model.to(device)

    def config(self) -> Mapping[str, object]:
        return {}

    def losses(self, step: int, generator: torch.Generator) -> dict[str, Tensor]:
        photo = self.photos.batch(step)
        chosen = ranks.shard(torch.arange(4) == int(torch.randint(4, (1,), generator=generator)))
        y = F.relu(self.model["norm"](self.model["conv"](photo)))
        y = self.model["deep"](y[:, :, None])[:, :, 0]
        means = self.model["flat"]((y**2).mean(dim=(2, 3)))
        losses = {"size": (y - means[..., None, None]).abs().mean()}
        if chosen.any():
            losses["size"] = losses["size"] + (self.model.rare * y[chosen].mean(dim=(2, 3))).sum() / len(
                photo
            )
        return losses

    def sample(self, model: nn.Module) -> NDArray[np.uint8]:  # noqa: ARG002
        return np.zeros((2, 2, 3), np.uint8)

    def finish(self, model: nn.Module, record: Mapping[str, str]) -> None: ...


def multistyle(material: Path, out: Path) -> Recipe:
    config = MultistyleConfig(
        photos=material / "photos",
        network=NetworkConfig("quarter", 8, 1),
        crop_px=32,
        batch_size=4,
        painting_px=32,
        warmup_steps=3,
        num_held_out=4,
    )
    paintings = [Painting(path, f"style-{path.stem}") for path in sorted((material / "paintings").glob("*"))]
    return Multistyle(config, paintings, out)


def predict(material: Path, out: Path) -> Recipe:
    config = PredictConfig(
        network=tiny_network().path,
        photos=material / "photos",
        paintings=material / "photos",
        crop_px=48,
        painting_px=64,
        num_held_out=4,
    )
    return Predict(config)


def learn(material: Path, out: Path) -> Recipe:
    config = LearnConfig(crop_px=48, stroke_px=48)
    painting = material / "paintings" / "0.png"
    return Learn(config, painting, "mine", out / "mine.safetensors", network=tiny_network())


def one_painting(material: Path, out: Path, kind: str) -> Recipe:
    """Johnson's network with batch norm; Ulyanov's, whose noise each process draws and shares.

    With group norm: a bias before an instance norm has no gradient, and Adam moves it by rounding's sign.
    """
    painting = Painting(material / "paintings" / "0.png", "mine")
    toy = {"features": "vgg16", "crop_px": 32, "batch_size": 4}
    toy |= {"painting_px": 48, "num_held_out": 4}
    if kind == "johnson":
        network = JohnsonConfig(material / "photos", norm="batch", width=4, num_blocks=1, **toy)
        return Johnson(network, painting, out)
    return Ulyanov(UlyanovConfig(material / "photos", norm="group", pyramid=2, **toy), painting, out)


def texture(material: Path, out: Path) -> Recipe:
    toy = {"features": "vgg16", "crop_px": 32, "batch_size": 4, "picture_px": 48}
    return Texture(TextureConfig(material / "paintings" / "0.png", norm="batch", pyramid=2, **toy), out)


def adain(material: Path, out: Path) -> Recipe:
    toy = {"features": "vgg16", "crop_px": 32, "painting_px": 32, "batch_size": 4}
    config = AdainConfig(material / "photos", material / "photos", num_held_out=2, width=4, **toy)
    return Adain(config, out)


def cyclegan(material: Path, out: Path) -> Recipe:
    toy = {"num_blocks": 1, "width": 4, "judge_width": 4, "crop_px": 32, "batch_size": 4}
    toy |= {"pool_size": 6, "num_held_out": 2}
    return CycleGan(CycleGanConfig(material / "photos", material / "photos", **toy), out)


def ibn(material: Path, out: Path) -> Recipe:
    toy = {"depth": 10, "width": 4, "crop_px": 16, "batch_size": 4, "num_held_out": 2}
    return Ibn(IbnConfig(material / "classes", **toy), out)


def pix2pix(material: Path, out: Path) -> Recipe:
    """Of few levels: on small grids flat ground fills planes, and these are divided by next to nothing."""
    toy = {"num_levels": 4, "width": 4, "judge_width": 4, "crop_px": 64, "batch_size": 4, "num_held_out": 2}
    return Pix2Pix(Pix2PixConfig(material / "pairs", **toy), out)


def volumes(material: Path, out: Path) -> Recipe:
    """With batch norm, and so with the statistics of both processes' patches."""
    toy = {"patch_voxels": 8, "num_levels": 2, "width": 4, "batch_size": 4, "deep_supervision": True}
    return Volumes(VolumesConfig(material / "scans", norm="batch", num_held_out=1, **toy), out)


def spade(material: Path, out: Path) -> Recipe:
    """Looks are drawn for the whole batch, and shared.

    Judgements begin beyond the hinge: before it true and made pictures push the last bias by equal amounts to
    either side, and Adam moves it by the rounding's sign.
    """
    toy = {"features": "vgg16", "width": 2, "hidden": 4, "judge_width": 4}
    toy |= {"num_doublings": 3, "latent": 3, "crop_px": 24, "batch_size": 4, "num_held_out": 2}
    recipe = Spade(SpadeConfig(material / "labelled", **toy), out)
    for scale in recipe.model.judge.scales:
        torch.nn.init.constant_(scale.convs[-1].bias, 2.0)
    return recipe


def stylegan(material: Path, out: Path, kind: str) -> Recipe:
    toy = {"size_px": 16, "channel_base": 64, "channel_max": 8, "style_length": 8, "num_mapping_layers": 2}
    toy |= {"batch_size": 4, "group_size": 2, "r1_every": 2}
    if kind == "stylegan":
        recipe = StyleGan(StyleGanConfig(material / "photos", **toy), out)
        # The paper's constant is 1 all over, and an instance norm divides what is flat by next to nothing.
        torch.nn.init.normal_(recipe.model.generator.constant)
        return recipe
    return StyleGan2(StyleGan2Config(material / "photos", path_every=2, **toy), out)


RECIPES: dict[str, Callable[[Path, Path], Recipe]] = {
    "adain": adain,
    "batchy": lambda material, _: Batchy(material / "photos"),
    "johnson": lambda material, out: one_painting(material, out, "johnson"),
    "cyclegan": cyclegan,
    "ibn": ibn,
    "learn": learn,
    "multistyle": multistyle,
    "pix2pix": pix2pix,
    "predict": predict,
    "spade": spade,
    "stylegan": lambda material, out: stylegan(material, out, "stylegan"),
    "stylegan2": lambda material, out: stylegan(material, out, "stylegan2"),
    "texture": texture,
    "ulyanov": lambda material, out: one_painting(material, out, "ulyanov"),
    "volumes": volumes,
}


def train(name: str, material: Path, out: Path, *, resume: bool = False, kill_at: int | None = None) -> None:
    """Train; the results are the checkpoint, since exports are tested elsewhere and take their time."""
    recipe = RECIPES[name](material, out / name)
    recipe.finish = Batchy.finish.__get__(recipe)  # type: ignore[method-assign]
    losses = recipe.losses

    def watched(step: int, generator: torch.Generator) -> dict[str, Tensor]:
        if step == kill_at and not ranks.is_first():
            os.kill(os.getpid(), signal.SIGKILL)
        return losses(step, generator)

    recipe.losses = watched  # type: ignore[method-assign]
    fit(
        recipe,
        LoopConfig(
            out / name,
            steps=STEPS,
            sample_every=2,
            checkpoint_every_s=0.0,
            learning_rate=LEARNING_RATE,
            clip=1.0,
            average=0.998,
            resume=resume,
            device="cpu",
        ),
    )


def main(material: str, out: str, *names: str) -> None:
    torch.set_num_threads(1)
    for name in names:
        if name not in RECIPES:
            continue
        kill_at = 3 if "killed" in names else None
        train(name, Path(material), Path(out), resume="--resume" in names, kill_at=kill_at)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except TrainingError as error:
        sys.exit(f"TrainingError: {error}")

"""A tiny training: drawn photos and paintings, a small network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from material.renderings import write_renderings
from material.scenes import write_scenes
from material.synthetic_volumes import write_volumes
from stylenorm.networks import NetworkConfig
from stylenorm.training import LoopConfig, Multistyle, MultistyleConfig, Painting


def draw(path: Path, seed: int, size: tuple[int, int]) -> None:
    """A picture with smooth areas and edges."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (4, 5, 3), dtype=np.uint8))
    coarse.resize(size, Image.Resampling.NEAREST if seed % 2 else Image.Resampling.BICUBIC).save(path)


@pytest.fixture(scope="session")
def material(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("material")
    for kind, count in (("photos", 7), ("paintings", 2)):
        (folder / kind).mkdir()
        for i in range(count):
            draw(folder / kind / f"{i}.png", i, (64 + 8 * i, 56))
    (folder / "photos" / "broken.jpg").write_bytes(b"\xff\xd8 this is no photo")
    write_renderings(folder / "pairs", 6, 64)
    write_scenes(folder / "labelled", 6, 24)
    write_volumes(folder / "scans", 4, 16)
    for i in range(6):
        (folder / "classes" / "ab"[i % 2]).mkdir(parents=True, exist_ok=True)
        draw(folder / "classes" / "ab"[i % 2] / f"{i}.png", i, (24, 24))
    return folder


TrainingMaker = Callable[..., tuple[Multistyle, LoopConfig]]


@pytest.fixture
def make_training(material: Path, tmp_path: Path) -> TrainingMaker:
    return training_maker(material, tmp_path)


def training_maker(material: Path, root: Path) -> TrainingMaker:
    """What makes tiny trainings, in folders of ``root``."""

    def make(out: str = "run", **changes: object) -> tuple[Multistyle, LoopConfig]:
        loop = {k: changes.pop(k) for k in list(changes) if k in LoopConfig.__dataclass_fields__}
        network = changes.pop("network", NetworkConfig("quarter", 8, 1))
        config = MultistyleConfig(
            photos=material / "photos",
            network=network,  # type: ignore[arg-type]
            crop_px=changes.pop("crop_px", 32),  # type: ignore[arg-type]
            batch_size=2,
            painting_px=32,
            warmup_steps=4,
            num_held_out=4,
            **changes,  # type: ignore[arg-type]
        )
        paintings = [
            Painting(path, name, artist="A. Painter", title=name.title(), licence="CC0")
            for path, name in zip(sorted((material / "paintings").glob("*.png")), ["one", "two"], strict=True)
        ]
        folder = root / out
        recipe = Multistyle(config, paintings, folder, command="stylenorm train multistyle")
        return recipe, LoopConfig(out=folder, **{"steps": 6, "sample_every": 0, **loop})  # type: ignore[arg-type]

    return make

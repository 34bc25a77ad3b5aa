"""What a stylizer network and its styles learn from."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import ClassVar

from stylenorm.configurations.loop import LoopDefaults

__all__ = ["LearnConfig", "MultistyleConfig", "NetworkConfig", "PredictConfig"]


@dataclass(frozen=True)
class NetworkConfig:
    """Which stylizer network: enough to build it again.

    Attributes:
        family: ``"quarter"``, ``"quarter-nearest"`` or ``"johnson"``.
        width: channels of the trunk (quarter) or of the first convolution (Johnson).
        num_blocks: residual blocks.
        head: channels on the half grid (quarter); 0 for a third of the width.
    """

    family: str = "quarter"
    width: int = 48
    num_blocks: int = 5
    head: int = 0

    def to_dict(self) -> dict[str, str | int]:
        """Return the fields, for a file's metadata; a head of the usual size is not mentioned."""
        return {key: value for key, value in asdict(self).items() if (key, value) != ("head", 0)}


@dataclass(frozen=True, kw_only=True)
class _LossConfig:
    """How paintings are compared.

    Attributes:
        style_weight: style weight to start from; where there is a balance, each painting's own is found,
            between a quarter of it and twice as much.
        palette_weight: weight of the distance of colours.
        tv_weight: weight of the total variation.
        lattice_weight: weight of `stylenorm.perceptual.checkerboard_loss`.
        seed: what all choices are drawn from.
    """

    style_weight: float = 10.0
    palette_weight: float = 2.0
    tv_weight: float = 1.0
    lattice_weight: float = 5.0
    seed: int = 0


@dataclass(frozen=True)
class MultistyleConfig(_LossConfig):
    """What `Multistyle` learns from, and how hard it tries.

    Attributes:
        photos: folder of photos.
        features: the network that compares.
        network: which stylizer network.
        crop_px: side of the training crops.
        batch_size: crops a step, of all processes together.
        painting_px: shorter side of the paintings when they are measured; sets the size of the strokes.
        content_target: content loss that the balance aims at (0 is the photo, 2 has nothing to do with it).
        identity_weight: weight of the identity's squared error.
        identity_share: share of the samples that are trained as the identity, once the warm-up is over.
        noise: standard deviation of the noise that photos get before they are painted (`stylenorm.noise`), so
            that motifs begin where a photo is flat; 0 for none.
        others_share: share of the styled samples that go to the ``others`` of `Multistyle`, if there are any.
        warmup_steps: over these steps the share falls from 1, and the style weight rises from 0 as the square
            of the step: the network learns to see before it paints.
        start_from: a network folder whose weights, where they fit, and styles are started from; styles that
            it has not start from the mean of its own.
        num_held_out: photos (the first by name) that are never trained on, for samples and measurements.
    """

    photos: Path
    features: str = "vgg16"
    network: NetworkConfig = field(default_factory=NetworkConfig)
    crop_px: int = 256
    batch_size: int = 4
    painting_px: int = 400
    content_target: float = 0.75
    identity_weight: float = 20.0
    identity_share: float = 0.1
    noise: float = 0.04
    others_share: float = 0.3
    warmup_steps: int = 1000
    start_from: Path | None = None
    num_held_out: int = 24


@dataclass(frozen=True)
class PredictConfig(_LossConfig):
    """What `Predict` learns from.

    Attributes:
        network: folder of the network that it is for; the predictor is written into it.
        photos: folder of photos.
        paintings: folder of paintings.
        features: the network that compares.
        crop_px: side of the crops of photos.
        painting_px: side of the crops of paintings; strokes come out as large, in pixels, as they are here.
        num_paintings: paintings a step, of all processes together.
        photos_each: photos a step that are painted in each of them.
        photo_share: share of the steps whose paintings are photos.
        recolor_share: share of the paintings whose colours are changed.
        start_from: folder of another training of a predictor, of this network or one much like it, whose
            linear layers are started from.
        num_held_out: photos, and as many paintings (the first by name), that are never trained on.
    """

    network: Path
    photos: Path
    paintings: Path
    features: str = "vgg16"
    crop_px: int = 256
    painting_px: int = 400
    num_paintings: int = 2
    photos_each: int = 2
    photo_share: float = 0.1
    recolor_share: float = 0.5
    start_from: Path | None = None
    num_held_out: int = 16


@dataclass(frozen=True)
class LearnConfig(_LossConfig):
    """What a style is learned from.

    Attributes:
        photos: folder of photos to practise on; without one, pictures are drawn.
        features: the network that compares.
        crop_px: side of the crops of photos.
        batch_size: crops a step, of all processes together.
        stroke_px: shorter side of the painting when it is measured; strokes come out as large, in pixels, as
            they are there.
        content_target: content loss (0 is the photo, about 2 has nothing to do with it) that is aimed at.
        thorough: learn the network too; takes longer, and makes a network folder with this style alone.
        num_held_out: photos (the first by name) that are kept out; at most half of those there are.
    """

    photos: Path | None = None
    features: str = "vgg16"
    crop_px: int = 224
    batch_size: int = 2
    stroke_px: int = 400
    content_target: float = 0.7
    thorough: bool = False
    num_held_out: int = 4
    loop: ClassVar[LoopDefaults] = LoopDefaults(steps=120, learning_rate=0.03, average=0.9)
    thorough_loop: ClassVar[LoopDefaults] = LoopDefaults(steps=2000, learning_rate=0.001, average=0.9)

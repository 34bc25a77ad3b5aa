"""What networks that translate pictures, or make them from nothing, learn from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from stylenorm.configurations.loop import LoopDefaults

__all__ = ["CycleGanConfig", "Pix2PixConfig", "SpadeConfig", "StyleGan2Config", "StyleGanConfig"]


@dataclass(frozen=True)
class CycleGanConfig:
    """What `CycleGan` learns from, and how.

    Attributes:
        a: folder of pictures of one domain; train, val and test in it are respected.
        b: folder of pictures of the other.
        domains: in their place: a folder with trainA and trainB, and testA and testB to hold out, as the
            authors publish them.
        num_blocks: residual blocks of the generators; 6 in the paper for 128 pixels, 9 from 256 on.
        width: channels of the generators' first convolution.
        judge_width: channels of the discriminators' first convolution.
        judge_halvings: of the discriminators; each number that they give scores 70 x 70 pixels with 3, as in
            the paper, 34 x 34 with 2, 16 x 16 with 1.
        judge_norm: of the discriminators: instance as in the paper, or none, which sees a palette sooner.
        judge_rate: how many times as fast as the generators the discriminators learn.
        residual: add what a generator makes to the picture, and begin as the identity; not in the paper. For
            short trainings, which have no time to learn to paint the picture itself.
        up: how the generators enlarge: transposed convolutions as in the paper, or nearest, which doubles
            pixels before a convolution and leaves no checkerboard.
        norm: of the generators: instance as in the paper, or none, for residual generators, which else
            may paint bright blotches.
        crop_px: side of the training crops.
        batch_size: crops of each domain a step, of all processes together.
        cycle_weight: weight of the way there and back.
        identity_weight: weight of leaving alone what is in the domain already.
        pool_size: pictures that each discriminator's pool holds.
        num_held_out: pictures of each domain (the first by name) that are never trained on.
        seed: what all choices are drawn from.
    """

    a: Path | None = None
    b: Path | None = None
    domains: Path | None = None
    num_blocks: int = 9
    width: int = 64
    judge_width: int = 64
    judge_halvings: int = 3
    judge_norm: Literal["instance", "none"] = "instance"
    judge_rate: float = 1.0
    residual: bool = False
    up: Literal["transposed", "nearest"] = "transposed"
    norm: Literal["instance", "none"] = "instance"
    crop_px: int = 256
    batch_size: int = 1
    cycle_weight: float = 10.0
    identity_weight: float = 5.0
    pool_size: int = 50
    num_held_out: int = 8
    seed: int = 0
    loop: ClassVar[LoopDefaults] = LoopDefaults(steps=100_000, learning_rate=2e-4, clip=0.0)


@dataclass(frozen=True)
class Pix2PixConfig:
    """What `Pix2Pix` learns from, and how.

    Attributes:
        pairs: folder with sub-folders a and b, whose pictures have the same names; or of pictures that have a
            in their left half and b in their right; train, val and test are respected, in it or in a and b.
        layout: folders or sides (two pictures side by side), where the folders' names do not tell (auto).
        direction: a-to-b, or b-to-a to learn the other way.
        num_levels: halvings of the generator; 8 in the paper, for 256 pixels.
        width: channels of the generator's first level.
        judge_width: channels of the discriminator's first convolution.
        crop_px: side of the training crops.
        batch_size: pairs a step, of all processes together; 1 in the paper.
        pixel_weight: weight of the difference to the true picture.
        num_held_out: pairs (the first by name) that are never trained on.
        seed: what all choices are drawn from.
    """

    pairs: Path
    layout: Literal["auto", "folders", "sides"] = "auto"
    direction: Literal["a-to-b", "b-to-a"] = "a-to-b"
    num_levels: int = 8
    width: int = 64
    judge_width: int = 64
    crop_px: int = 256
    batch_size: int = 1
    pixel_weight: float = 100.0
    num_held_out: int = 8
    seed: int = 0
    loop: ClassVar[LoopDefaults] = LoopDefaults(steps=100_000, learning_rate=2e-4, clip=0.0)


@dataclass(frozen=True)
class SpadeConfig:
    """What `Spade` learns from, and how.

    Attributes:
        pairs: folder with sub-folders photos and labels; labels has a map of the same name for each photo, an
            8-bit palette or grey PNG whose pixel values are class numbers, 255 where there is none. The
            folders of SPADE's authors, COCO-Stuff and ADE20K are known too.
        num_classes: classes; 0 takes the highest number in the maps.
        first_class: number of the first class in the maps: 0, or 1, where 0 is the unlabelled; as the layout
            says if it is not given, which is 1 for ADE20K's.
        width: channels of the generator's last block.
        hidden: channels of the convolution that a norm's scale and shift share.
        judge_width: channels of the discriminators' first convolution.
        num_doublings: 3 to 6; 5 in the paper, for 256 pixels.
        norm: instance, or batch as in the paper.
        latent: numbers that say what a picture looks like beyond its labels; 256 in the paper, 0 for none.
        crop_px: side of the training crops.
        batch_size: photos a step, of all processes together.
        features: the network that the perceptual loss looks through: vgg16 or vgg19.
        feature_weight: weight of feature matching.
        perceptual_weight: weight of the perceptual loss; 0 turns it off.
        divergence_weight: weight of how far the encoder is from normal numbers.
        num_held_out: pairs (the first by name) that are never trained on.
        seed: what all choices are drawn from.
    """

    pairs: Path
    num_classes: int = 0
    first_class: int | None = None
    width: int = 64
    hidden: int = 128
    judge_width: int = 64
    num_doublings: int = 5
    norm: Literal["instance", "batch"] = "instance"
    latent: int = 0
    crop_px: int = 256
    batch_size: int = 1
    features: str = "vgg16"
    feature_weight: float = 10.0
    perceptual_weight: float = 10.0
    divergence_weight: float = 0.05
    num_held_out: int = 8
    seed: int = 0
    loop: ClassVar[LoopDefaults] = LoopDefaults(
        steps=100_000, learning_rate=1e-4, clip=0.0
    )  # the discriminators learn four times as fast


@dataclass(frozen=True)
class StyleGanConfig:
    """What `StyleGan` learns from, and how.

    Attributes:
        photos: folder of pictures, sub-folders included.
        size_px: side of the pictures that are made, a power of 2 from 8; 1024 in the paper.
        channel_base: channels of the layers at a size, times that size.
        channel_max: the most channels of a layer.
        style_length: numbers in a latent vector and in a style vector.
        num_mapping_layers: layers from latent vectors to styles.
        batch_size: pictures a step, of all processes together.
        group_size: pictures over which the discriminator measures how much they differ.
        mixing: share of pictures that are made of two styles.
        r1_weight: weight of the discriminator's gradient at real pictures.
        r1_every: steps from one to the next that it is measured in.
        fit: how a picture becomes a square: centre, random, or squeeze.
        mirror: show one of two pictures mirrored.
        seed: what all choices are drawn from.
    """

    photos: Path
    size_px: int = 256
    channel_base: int = 16384
    channel_max: int = 512
    style_length: int = 512
    num_mapping_layers: int = 8
    batch_size: int = 32
    group_size: int = 4
    mixing: float = 0.9
    r1_weight: float = 10.0
    r1_every: int = 1
    fit: Literal["centre", "random", "squeeze"] = "centre"
    mirror: bool = False
    seed: int = 0
    loop: ClassVar[LoopDefaults] = LoopDefaults(
        steps=780_000, learning_rate=2e-3, clip=0.0
    )  # 25 million pictures by 32


@dataclass(frozen=True)
class StyleGan2Config(StyleGanConfig):
    """What `StyleGan2` learns from, and how.

    Attributes:
        path_weight: weight of the differences in how far a step in the styles moves the picture; 0 for none.
        path_every: steps from one to the next that they are measured in.
    """

    channel_base: int = 32768
    r1_every: int = 16
    path_weight: float = 2.0
    path_every: int = 4

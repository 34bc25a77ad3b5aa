"""What generators of one style, and of any, learn from."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import ClassVar, Literal

from stylenorm.configurations.loop import LoopDefaults

__all__ = ["AdainConfig", "JohnsonConfig", "OnePaintingConfig", "TextureConfig", "UlyanovConfig"]


@dataclass(frozen=True, kw_only=True)
class _NoiseConfig:
    """The network of Ulyanov et al.

    Attributes:
        norm: instance, batch (the first paper's), group or none.
        channels: of a scale's block, and by which the joined blocks grow; 8 in the paper.
        noise_channels: channels of noise a scale; 3 in the paper, 0 makes the result a function of the photo.
        padding: circular (the first paper's), replicate (its authors' later code), reflect or zeros.
    """

    norm: Literal["instance", "batch", "group", "none"] = "instance"
    channels: int = 8
    noise_channels: int = 3
    padding: Literal["circular", "replicate", "reflect", "zeros"] = "circular"


@dataclass(frozen=True)
class OnePaintingConfig:
    """What generators of one style learn from.

    Attributes:
        photos: folder of photos.
        features: the network whose features are compared: vgg16, which ships; vgg19; or both, separated by a
            comma.
        crop_px: side of the training crops.
        batch_size: crops a step.
        painting_px: shorter side of the painting when it is measured; sets the size of the strokes.
        num_scales: scales at which style is compared; 1 in the papers.
        content_weight: weight of the content loss.
        style_weight: weight of the style loss.
        tv_weight: weight of the total variation.
        num_held_out: photos (the first by name) that are never trained on, for samples.
        seed: what photos and noise are drawn from.
    """

    photos: Path
    features: str = "vgg16"
    _: KW_ONLY
    crop_px: int = 256
    batch_size: int = 4
    painting_px: int = 384
    num_scales: int = 1
    content_weight: float = 1.0
    style_weight: float = 10.0
    tv_weight: float = 0.0
    num_held_out: int = 16
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class JohnsonConfig(OnePaintingConfig):
    """What `Johnson` learns from, and which network; the paper compares by vgg16.

    Attributes:
        norm: instance, batch (the paper's), group or none.
        width: channels of the first convolution; the paper has 32, its authors' instance-norm models 16.
        num_blocks: residual blocks.
        padding: start (the paper's: once, by reflection), reflect, replicate, zeros or circular.
        enlarge: transposed (the paper's) or nearest, which leaves no checkerboard.
    """

    norm: Literal["instance", "batch", "group", "none"] = "instance"
    width: int = 32
    num_blocks: int = 5
    padding: Literal["start", "reflect", "replicate", "zeros", "circular"] = "start"
    enlarge: Literal["transposed", "nearest"] = "transposed"
    tv_weight: float = 1.0
    loop: ClassVar[LoopDefaults] = LoopDefaults(steps=40_000, learning_rate=1e-3)


@dataclass(frozen=True, kw_only=True)
class UlyanovConfig(_NoiseConfig, OnePaintingConfig):
    """What `Ulyanov` learns from, and which network; the paper compares by vgg19.

    Attributes:
        pyramid: scales at which noise and photo enter; 6 in the paper.
    """

    pyramid: int = 6
    loop: ClassVar[LoopDefaults] = LoopDefaults(steps=20_000, learning_rate=1e-2)


@dataclass(frozen=True)
class TextureConfig(_NoiseConfig):
    """What `Texture` learns from, and which network.

    Attributes:
        picture: the picture whose texture is wanted.
        features: the network whose features are compared: vgg16, which ships; vgg19 as in the paper; or both,
            separated by a comma.
        pyramid: scales at which noise enters; 5 in the paper.
        crop_px: side of the samples that are trained on.
        batch_size: samples a step.
        picture_px: shorter side of the picture when it is measured; sets the size of the texture.
        num_scales: scales at which style is compared; 1 in the paper.
        tv_weight: weight of the total variation; the style loss counts 1.
        result_px: side of the texture that is painted at the end; the network paints any size.
        seed: what the noise is drawn from.
    """

    picture: Path
    features: str = "vgg16"
    pyramid: int = 5
    crop_px: int = 256
    batch_size: int = 4
    picture_px: int = 256
    num_scales: int = 1
    tv_weight: float = 0.0
    result_px: int = 512
    seed: int = 0
    loop: ClassVar[LoopDefaults] = LoopDefaults(steps=3000, learning_rate=1e-2)


@dataclass(frozen=True)
class AdainConfig:
    """What `Adain` learns from, and how large the decoder is.

    Attributes:
        photos: folder of photos.
        paintings: folder of paintings.
        features: the encoder, which also compares: vgg16, which ships, or vgg19 as in the paper.
        width: channels of the decoder's last layers; the paper's is 64.
        crop_px: side of the crops of photos; a multiple of 8.
        painting_px: side of the crops of paintings; a multiple of 8. Strokes come out as large, in pixels,
            as they are here.
        batch_size: photos, and as many paintings, a step.
        content_weight: weight of the content loss.
        style_weight: weight of the style loss.
        tv_weight: weight of the total variation.
        num_held_out: photos, and as many paintings (the first by name), that are never trained on.
        seed: what all choices are drawn from.
    """

    photos: Path
    paintings: Path
    features: str = "vgg16"
    width: int = 64
    crop_px: int = 256
    painting_px: int = 256
    batch_size: int = 8
    content_weight: float = 1.0
    style_weight: float = 10.0
    tv_weight: float = 0.0
    num_held_out: int = 16
    seed: int = 0
    loop: ClassVar[LoopDefaults] = LoopDefaults(steps=160_000, learning_rate=1e-4)

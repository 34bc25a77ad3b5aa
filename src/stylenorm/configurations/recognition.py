"""What classifiers and segmenters learn from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from stylenorm.configurations.loop import LoopDefaults

__all__ = ["IbnConfig", "VolumesConfig"]


@dataclass(frozen=True)
class IbnConfig:
    """What `Ibn` learns from, and how.

    Attributes:
        source: folder of pictures in a sub-folder for each class; None draws scikit-learn's digits in two
            domains, in the folder of the results.
        unseen: the same classes in another domain, which is only looked at to see how many are recognized.
        norm: batch, instance, ibn-a or ibn-b.
        depth: of the network: 10, 18, 34, 50, 101 or 152.
        width: channels of its first convolution; 64 in the paper.
        stem: small, for pictures of some tens of pixels, or large, as published.
        crop_px: side of the square that the network sees.
        batch_size: pictures a step, of all processes together.
        flip: mirror pictures at random; not for writing.
        num_held_out: pictures of the source, of all classes, that are never trained on.
        num_unseen: at most so many pictures of the other domain are looked at.
        seed: what all choices are drawn from.
    """

    source: Path | None = None
    unseen: Path | None = None
    norm: Literal["batch", "instance", "ibn-a", "ibn-b"] = "ibn-a"
    depth: Literal[10, 18, 34, 50, 101, 152] = 18
    width: int = 16
    stem: Literal["small", "large"] = "small"
    crop_px: int = 32
    batch_size: int = 48
    flip: bool = False
    num_held_out: int = 200
    num_unseen: int = 1000
    seed: int = 0
    loop: ClassVar[LoopDefaults] = LoopDefaults(steps=1000, average=0.99)


@dataclass(frozen=True)
class VolumesConfig:
    """What `Volumes` learns from, and how.

    Attributes:
        cases: folder with imagesTr and labelsTr, or images and labels, of NIfTI files with the same names.
        patch_voxels: side of the patches, and of the windows in use; 128 in the paper.
        num_levels: sizes of the U-Net; 6 in the paper, for patches of 128.
        width: channels of the finest level.
        norm: instance; group (8 channels a group); or batch, to see what it does with batches of 2.
        batch_size: patches a step, of all processes together; 2 in the paper.
        foreground_share: share of each batch whose patches have foreground in the middle.
        deep_supervision: let coarser levels learn from coarser labels too, as in the paper.
        dice_weight: weight of the Dice loss.
        entropy_weight: weight of the cross entropy.
        num_held_out: scans (the first by name) that are never trained on.
        seed: what all choices are drawn from.
    """

    cases: Path
    patch_voxels: int = 128
    num_levels: int = 6
    width: int = 32
    norm: Literal["instance", "group", "batch"] = "instance"
    batch_size: int = 2
    foreground_share: float = 0.33
    deep_supervision: bool = False
    dice_weight: float = 1.0
    entropy_weight: float = 1.0
    num_held_out: int = 2
    seed: int = 0
    loop: ClassVar[LoopDefaults] = LoopDefaults(
        steps=250_000, learning_rate=3e-4, clip=12.0
    )  # nnU-Net's; the rate is of 2018, for Adam

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
        cases: folder with imagesTr and labelsTr, or images and labels, of NIfTI files with the same names;
            or a BIDS data set.
        channels: of BIDS, the suffixes that are read, such as T1w,FLAIR; empty for all that every case has.
        spacing: what scans are resampled to: median (of all, as in nnU-Net), three numbers in mm such as
            1,1,2.5, or none.
        interpolation: of images: cubic or linear; labels go by the largest share.
        intensities: scan (mean 0, deviation 1 of each scan), ct (clipped to the percentiles of the
            foreground), or auto: ct for the channels that dataset.json calls CT.
        window_low: a fixed window instead: what is below is cut off, in the file's units; CT in Hounsfield's.
        window_high: its upper end.
        patch_voxels: side of a cube with as many voxels as a patch; 128 in the paper.
        patch: auto (sides, kernels and strides after the spacing and size of the scans, as in nnU-Net),
            cube (kernels of 3, strides of 2), or three numbers such as 160,160,32.
        num_levels: sizes of the U-Net, at most; 6 in the paper, for patches of 128.
        width: channels of the finest level.
        norm: instance; group (8 channels a group); or batch, to see what it does with batches of 2.
        batch_size: patches a step, of all processes together; 2 in the paper.
        foreground_share: share of each batch whose patches have foreground in the middle.
        deep_supervision: let coarser levels learn from coarser labels too, as in the paper.
        dice_weight: weight of the Dice loss.
        entropy_weight: weight of the cross entropy.
        num_held_out: scans (the first by name) that are never trained on.
        fold: hold out this fold instead, counted from 0.
        folds: into how many the scans are divided, by their names alone.
        seed: what all choices are drawn from.
    """

    cases: Path
    channels: str = ""
    spacing: str = "median"
    interpolation: Literal["cubic", "linear"] = "cubic"
    intensities: Literal["auto", "scan", "ct", "window"] = "auto"
    window_low: float | None = None
    window_high: float | None = None
    patch_voxels: int = 128
    patch: str = "auto"
    num_levels: int = 6
    width: int = 32
    norm: Literal["instance", "group", "batch"] = "instance"
    batch_size: int = 2
    foreground_share: float = 0.33
    deep_supervision: bool = False
    dice_weight: float = 1.0
    entropy_weight: float = 1.0
    num_held_out: int = 2
    fold: int | None = None
    folds: int = 5
    seed: int = 0
    loop: ClassVar[LoopDefaults] = LoopDefaults(
        steps=250_000, learning_rate=3e-4, clip=12.0
    )  # nnU-Net's; the rate is of 2018, for Adam

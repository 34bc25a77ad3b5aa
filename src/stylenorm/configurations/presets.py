"""Sizes for this machine: what ``--preset cpu`` and ``gpu`` set where nothing else is asked for."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any

__all__ = ["PRESETS", "preset_values"]

_SMALL_GAN = {"size_px": 64, "channel_base": 1024, "channel_max": 128, "style_length": 128, "batch_size": 8}
_PAPERS_GAN = {"size_px": 256, "batch_size": 32}

PRESETS: Mapping[str, Mapping[str, Mapping[str, Any]]] = MappingProxyType(
    {
        "johnson": {"cpu": {"crop_px": 128, "steps": 5000}, "gpu": {"features": "vgg16"}},
        "ulyanov": {"cpu": {"crop_px": 128, "steps": 5000}, "gpu": {"features": "vgg19"}},
        "texture": {"cpu": {"crop_px": 128, "steps": 1000}, "gpu": {"features": "vgg19"}},
        "cyclegan": {
            "cpu": {
                "crop_px": 128,
                "num_blocks": 4,
                "width": 16,
                "judge_width": 24,
                "judge_halvings": 2,
                "judge_norm": "none",
                "residual": True,
                "up": "nearest",
                "norm": "none",
                "cycle_weight": 1.5,
                "identity_weight": 0.0,
                "steps": 9000,
                "learning_rate": 4e-4,
                "clip": 5.0,
                "average": 0.99,
            },
            "gpu": {"crop_px": 256, "num_blocks": 9, "width": 64},
        },
        "pix2pix": {
            "cpu": {"crop_px": 128, "num_levels": 7, "width": 32, "judge_width": 32, "steps": 20_000},
            "gpu": {"crop_px": 256, "num_levels": 8, "width": 64},
        },
        "spade": {
            "cpu": {
                "crop_px": 128,
                "width": 16,
                "hidden": 32,
                "judge_width": 24,
                "num_doublings": 4,
                "batch_size": 2,
                "feature_weight": 4.0,
                "steps": 5000,
                "learning_rate": 6e-4,
                "average": 0.995,
            },
            "gpu": {"crop_px": 256, "width": 64, "hidden": 128, "batch_size": 32, "features": "vgg19"},
        },
        "ibn": {
            "cpu": {"crop_px": 64, "steps": 2000},
            "gpu": {
                "depth": 50,
                "width": 64,
                "stem": "large",
                "crop_px": 224,
                "batch_size": 256,
                "flip": True,
                "steps": 100_000,
            },
        },
        "stylegan": {"cpu": {**_SMALL_GAN, "steps": 20_000}, "gpu": _PAPERS_GAN},
        "stylegan2": {"cpu": {**_SMALL_GAN, "steps": 20_000}, "gpu": _PAPERS_GAN},
        "volumes": {
            "cpu": {
                "patch_voxels": 32,
                "num_levels": 4,
                "width": 16,
                "steps": 2000,
                "learning_rate": 2e-3,
                "average": 0.99,
            },
            "gpu": {"patch_voxels": 128, "num_levels": 6, "width": 32, "deep_supervision": True},
        },
    }
)
"""By recipe and machine. The sizes of ``cpu`` are small, those of ``gpu`` are the papers'. For CycleGAN,
``cpu`` also has what docs/translation.md recommends for short trainings."""


def preset_values(recipe: str, machine: str, given: Collection[str]) -> dict[str, Any]:
    """Return what a preset changes: its values for what was not given.

    Args:
        recipe: one that has presets.
        machine: cpu or gpu.
        given: names of the fields that somebody chose, were it the default.

    Example:
        >>> values = preset_values("pix2pix", "cpu", ["width"])
        >>> values["crop_px"], "width" in values
        (128, False)
    """
    return {name: value for name, value in PRESETS[recipe][machine].items() if name not in given}

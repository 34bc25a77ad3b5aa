"""What nnU-Net's checkpoints say of scans: spacing, patch, intensities, as their plans have them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stylenorm.errors import InputError
from stylenorm.models import Intensities

__all__ = ["NnUnetPlan", "planned_by_nnunet"]


@dataclass(frozen=True)
class NnUnetPlan:
    """What a segmenter's folder needs to know beside the weights.

    Attributes:
        window: sides of the windows (x, y, z), in voxels; None if not known.
        spacing_mm: what scans are brought to; None if not known.
        intensities: of each channel; empty if not known.
        channels: their names.
        transposed: which of z, y, x each axis of the network is.
    """

    window: tuple[int, int, int] | None = None
    spacing_mm: tuple[float, float, float] | None = None
    intensities: tuple[Intensities, ...] = ()
    channels: tuple[str, ...] = ()
    transposed: tuple[int, int, int] = (0, 1, 2)


def planned_by_nnunet(about: Mapping[str, Any]) -> NnUnetPlan:
    """Return what a checkpoint of nnU-Net (version 2) says; without its plans, nothing is known.

    Args:
        about: the content of ``checkpoint_final.pth``.

    Raises:
        InputError: the plan asks for something that is not known here, or is none.
    """
    given = about.get("init_args")
    if not isinstance(given, Mapping) or "plans" not in given:
        return NnUnetPlan()
    try:
        return _planned(given["plans"], str(given["configuration"]), given.get("dataset_json", {}))
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"expected nnU-Net's plans in its checkpoint, cannot read them: {error!r}"
        ) from error


def _planned(plans: Mapping[str, Any], name: str, data: Mapping[str, Any]) -> NnUnetPlan:
    chosen: dict[str, Any] = {}
    following: str | None = name
    while following is not None:  # a configuration may inherit from another
        configuration = plans["configurations"][following]
        chosen = {**configuration, **chosen}
        following = configuration.get("inherits_from")
    if any(isinstance(value, list | tuple) for value in data.get("labels", {}).values()):
        raise InputError("expected labels that exclude one another, got nnU-Net's regions: not known here")
    if chosen.get("previous_stage") or chosen.get("previous_stage_name"):
        raise InputError(
            "expected a network of its own, got the second stage of nnU-Net's cascade: not known here"
        )
    if any(chosen.get("use_mask_for_norm", ())):
        raise InputError("expected intensities of whole scans, got nnU-Net's within a mask: not known here")
    x, y, z = (list(plans.get("transpose_forward", (0, 1, 2))).index(axis) for axis in (2, 1, 0))
    patch, spacing = chosen["patch_size"], chosen["spacing"]
    properties = plans.get("foreground_intensity_properties_per_channel", {})
    first, second, third = (int(axis) for axis in plans.get("transpose_forward", (0, 1, 2)))
    return NnUnetPlan(
        window=(int(patch[x]), int(patch[y]), int(patch[z])),
        spacing_mm=(float(spacing[x]), float(spacing[y]), float(spacing[z])),
        intensities=tuple(
            _way(str(scheme), properties.get(str(i), {}))
            for i, scheme in enumerate(chosen["normalization_schemes"])
        ),
        channels=tuple(str(each) for each in data.get("channel_names", {}).values()),
        transposed=(first, second, third),
    )


def _way(scheme: str, properties: Mapping[str, Any]) -> Intensities:
    if scheme == "ZScoreNormalization":
        return Intensities()
    if scheme == "CTNormalization":
        low, high = float(properties["percentile_00_5"]), float(properties["percentile_99_5"])
        return Intensities(low, high, float(properties["mean"]), max(float(properties["std"]), 1e-8))
    raise InputError(
        f"expected nnU-Net's ZScoreNormalization or CTNormalization, got {scheme}: not known here"
    )

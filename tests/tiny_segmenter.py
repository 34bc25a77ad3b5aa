"""A small segmentation network with random weights, exported once."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import torch

from stylenorm.export import export_segmenter
from stylenorm.networks import UNet3d
from tests.made_once import made_once

WINDOW = (8, 12, 8)


@cache
def tiny_network() -> UNet3d:
    """Three classes, three levels, width 4; scales, shifts and biases that are not 1 and 0."""
    generator = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    network = UNet3d(3, 3, 4).eval()
    for parameter in network.parameters():
        if parameter.dim() == 1:
            parameter.data += 0.5 * torch.rand(parameter.shape, generator=generator)
    return network.requires_grad_(requires_grad=False)


def tiny_segmenter() -> Path:
    """Its folder."""
    about = {"window": WINDOW, "spacing_mm": (1.0, 1.0, 1.5), "record": {"steps": "0"}}
    return made_once(
        "segmenter",
        lambda folder: export_segmenter(tiny_network(), folder, **about),  # type: ignore[arg-type]
    )

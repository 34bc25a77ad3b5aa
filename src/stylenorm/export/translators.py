"""Networks that translate pictures, or paint labels -> the folders of `stylenorm.models.translator`.

Each graph is compared with PyTorch before anything is written. Weights are stored in float16, and widened
where they are used.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from stylenorm.export.checked import checked_graph, rounded
from stylenorm.model_folder import TRANSLATOR
from stylenorm.models.translator import FROM_LABELS
from stylenorm.networks import CycleGanGenerator, SpadeGenerator, UNetGenerator

__all__ = ["export_label_painter", "export_translator"]


def export_label_painter(
    generator: SpadeGenerator,
    out: Path,
    record: Mapping[str, str],
    *,
    scale_px: tuple[int, int] | None = None,
    first_class: int = 0,
) -> None:
    """Write ``labels-to-photo.onnx`` and ``translator.json``.

    The graph takes class numbers, one plane, and makes the channels of the classes itself; spectral norm is
    folded into the weights.

    Args:
        generator: its last channel of labels is the unlabelled.
        out: the folder.
        record: how it was trained.
        scale_px: shortest and longest shorter side of the pictures that it learned from; None if not known.
        first_class: number of the first class in the maps of its data; with 1, 0 is the unlabelled.

    Raises:
        ExportError: the graph's numbers differ from PyTorch's; nothing is written.
    """
    multiple, latent = generator.multiple, generator.latent
    random = torch.Generator().manual_seed(0)

    def given(rows: int, columns: int) -> tuple[Tensor, ...]:
        shape = (1, 1, multiple * rows, multiple * columns)
        labels = torch.randint(generator.label_channels, shape, generator=random).float()
        return (labels, torch.randn(1, latent, generator=random)) if latent else (labels,)

    graph = checked_graph(
        _FromNumbers(rounded(generator.folded())),
        given(2, 3),
        [given(2, 1), given(1, 3)],
        name="generator",
        inputs=("labels", "z") if latent else ("labels",),
        output="photo",
        dynamic={"labels": _multiples(multiple), **({"z": None} if latent else {})},
        allowed=2e-3,
        half=True,
    )
    asked = {
        "multiple": multiple,
        "smallest_px": generator.smallest_px,
        "num_classes": generator.label_channels - 1,
        "latent": latent,
        "first_class": first_class,
        **({"scale_px": list(scale_px)} if scale_px else {}),
    }
    TRANSLATOR.write(out, {FROM_LABELS: graph}, {"directions": {FROM_LABELS: asked}}, record)


def export_translator(
    networks: Mapping[str, CycleGanGenerator | UNetGenerator],
    out: Path,
    record: Mapping[str, str],
    *,
    scale_px: tuple[int, int] | None = None,
) -> None:
    """Write ``DIRECTION.onnx`` for each network, and ``translator.json``.

    Args:
        networks: by direction.
        out: the folder.
        record: how they were trained.
        scale_px: shortest and longest shorter side of the pictures that they learned from; None if not known.

    Raises:
        ExportError: a graph's numbers differ from PyTorch's; nothing is written.
    """
    graphs, asked = {}, {}
    for direction, network in networks.items():
        least = max(network.multiple, 8)
        random = torch.Generator().manual_seed(0)
        sizes = ((least, 2 * least), (3 * least, least))
        graphs[direction] = checked_graph(
            rounded(network),
            (torch.rand(1, 3, 2 * least, 3 * least),),
            [(torch.rand(1, 3, *size, generator=random),) for size in sizes],
            name="generator",
            inputs=("photo",),
            output="translation",
            dynamic={"x": _multiples(network.multiple)},
            allowed=2e-3,
            half=True,
        )
        asked[direction] = {
            "multiple": network.multiple,
            "smallest_px": network.smallest_px,
            **({"scale_px": list(scale_px)} if scale_px else {}),
        }
    TRANSLATOR.write(out, graphs, {"directions": asked}, record)


class _FromNumbers(nn.Module):
    """Takes class numbers (1, 1, H, W) in float32; one more than the highest is the unlabelled."""

    numbers: Tensor

    def __init__(self, generator: SpadeGenerator) -> None:
        super().__init__()
        self.generator = generator
        count = generator.label_channels
        self.register_buffer("numbers", torch.arange(count, dtype=torch.float32).reshape(1, count, 1, 1))

    def forward(self, labels: Tensor, z: Tensor | None = None) -> Tensor:
        painted: Tensor = self.generator((labels == self.numbers).float(), z)
        return painted


def _multiples(multiple: int) -> dict[int, Any]:
    return {i: multiple * torch.export.Dim(name, min=1) for i, name in ((2, "rows"), (3, "columns"))}

"""A trained SPADE generator -> a translator folder that takes label maps.

The graph takes class numbers, one plane, and makes the channels of the classes itself; spectral norm is
folded into the weights. Weights are stored in float16 as those of every translator are.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from stylenorm.engines.openvino_engine import run_graph
from stylenorm.errors import ExportError
from stylenorm.export.onnx_writing import module_to_onnx, round_weights
from stylenorm.export.translator import ALLOWED_DIFFERENCE, SMALL, write_translator
from stylenorm.models.translator import FROM_LABELS
from stylenorm.networks import SpadeGenerator

__all__ = ["export_label_painter"]


def export_label_painter(generator: SpadeGenerator, out: Path, record: Mapping[str, str]) -> None:
    """Write ``labels-to-photo.onnx`` and ``translator.json``.

    Args:
        generator: its last channel of labels is the unlabelled.
        out: the folder.
        record: how it was trained.

    Raises:
        ExportError: the graph's numbers differ from PyTorch's; nothing is written.
    """
    described = {
        "multiple": generator.multiple,
        "smallest_px": generator.smallest_px,
        "num_classes": generator.label_channels - 1,
        "latent": generator.latent,
    }
    write_translator({FROM_LABELS: _graph(generator)}, {FROM_LABELS: described}, out, record)


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


def _graph(generator: SpadeGenerator) -> bytes:
    rounded = generator.folded()
    round_weights(rounded, SMALL)
    network, m = _FromNumbers(rounded), generator.multiple
    rows, columns = torch.export.Dim("rows", min=1), torch.export.Dim("columns", min=1)
    random = torch.Generator().manual_seed(0)

    def inputs(height: int, width: int) -> tuple[Tensor, ...]:
        shape = (1, 1, height, width)
        labels = torch.randint(generator.label_channels, shape, generator=random).float()
        return (labels, torch.randn(1, generator.latent, generator=random)) if generator.latent else (labels,)

    names = ("labels", "z")[: 2 if generator.latent else 1]
    sides = {2: m * rows, 3: m * columns}
    graph = module_to_onnx(
        network,
        inputs(2 * m, 3 * m),
        inputs=names,
        outputs=("photo",),
        dynamic={name: sides if name == "labels" else None for name in names},
        half_weights_from=SMALL,
    )
    for height, width in ((2 * m, m), (m, 3 * m)):
        given = inputs(height, width)
        with torch.no_grad():
            expected = network(*given).numpy()
        (found,) = run_graph(graph, *(each.numpy() for each in given))
        difference = float(np.abs(found - expected).max())
        if not difference <= ALLOWED_DIFFERENCE:
            raise ExportError(
                f"the exported generator differs from PyTorch by {difference:g} "
                f"(allowed: {ALLOWED_DIFFERENCE:g}): nothing was written"
            )
    return graph

"""Trained generators -> a translator folder: one ONNX graph a direction, checked against PyTorch.

Weights are stored in float16 and widened where they are used, which halves the files; all arithmetic is in
float32.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import nn

from stylenorm.engines.openvino_engine import run_graph
from stylenorm.errors import ExportError
from stylenorm.export.onnx_writing import module_to_onnx, round_weights
from stylenorm.media import atomic_write, write_json
from stylenorm.models.translator import TRANSLATOR_FORMAT
from stylenorm.networks import CycleGanGenerator, UNetGenerator

__all__ = ["ALLOWED_DIFFERENCE", "SMALL", "export_translator", "write_translator"]

SMALL = 256
"""Tensors below so many numbers stay float32."""

ALLOWED_DIFFERENCE = 2e-3
"""Of a graph from PyTorch, in a picture of 0..1."""


def export_translator(
    networks: Mapping[str, CycleGanGenerator | UNetGenerator], out: Path, record: Mapping[str, str]
) -> None:
    """Write ``DIRECTION.onnx`` for each network, and ``translator.json``.

    Args:
        networks: by direction.
        out: the folder.
        record: how they were trained.

    Raises:
        ExportError: a graph's numbers differ from PyTorch's; nothing is written.
    """
    graphs = {direction: _graph(network) for direction, network in networks.items()}
    asked = {
        direction: {"multiple": network.multiple, "smallest_px": network.smallest_px}
        for direction, network in networks.items()
    }
    write_translator(graphs, asked, out, record)


def write_translator(
    graphs: Mapping[str, bytes],
    asked: Mapping[str, Mapping[str, int]],
    out: Path,
    record: Mapping[str, str],
) -> None:
    """Write checked graphs, and what `stylenorm.models.translator` has to know of them, by direction."""
    for direction, graph in graphs.items():
        with atomic_write(out / f"{direction}.onnx", overwrite=True) as file:
            file.write(graph)
    described = {"format": TRANSLATOR_FORMAT, "directions": asked, "record": dict(record)}
    write_json(out / "translator.json", described)


def _graph(network: nn.Module) -> bytes:
    rounded = copy.deepcopy(network).eval()
    round_weights(rounded, SMALL)
    multiple: int = network.multiple  # type: ignore[assignment]
    rows, columns = torch.export.Dim("rows", min=1), torch.export.Dim("columns", min=1)
    least = max(multiple, 8)
    graph = module_to_onnx(
        rounded,
        (torch.rand(1, 3, 2 * least, 3 * least),),
        inputs=("photo",),
        outputs=("translation",),
        dynamic={"x": {2: multiple * rows, 3: multiple * columns}},
        half_weights_from=SMALL,
    )
    generator = torch.Generator().manual_seed(0)
    for height, width in ((least, 2 * least), (3 * least, least)):
        photo = torch.rand(1, 3, height, width, generator=generator)
        with torch.no_grad():
            expected = rounded(photo).numpy()
        difference = float(np.abs(run_graph(graph, photo.numpy())[0] - expected).max())
        if not difference <= ALLOWED_DIFFERENCE:
            raise ExportError(
                f"the exported generator differs from PyTorch by {difference:g} "
                f"(allowed: {ALLOWED_DIFFERENCE:g}): nothing was written"
            )
    return graph

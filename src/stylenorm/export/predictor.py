"""A trained style predictor -> ``predictor.onnx`` in the network's folder: any picture becomes a style.

Weights are stored in float16 and widened where they are used, which halves the file; all arithmetic is in
float32. The graph is run beside PyTorch before it is written; a difference is an error.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from stylenorm.engines.openvino_engine import run_graph
from stylenorm.errors import ExportError
from stylenorm.export.onnx_writing import module_to_onnx, round_weights
from stylenorm.media import atomic_write, write_json
from stylenorm.networks import StylePredictor

__all__ = ["export_predictor"]

_SMALL = 256  # tensors below so many numbers stay float32
_ALLOWED = 2e-3  # of the largest number in the style
_PARITY_SIZES = ((256, 320), (97, 33))


def export_predictor(
    predictor: StylePredictor, folder: Path, identity: str, record: Mapping[str, str]
) -> None:
    """Write ``predictor.onnx`` and ``predictor.json``.

    Args:
        predictor: the trained predictor.
        folder: the network's folder.
        identity: of the network that the predicted styles are for.
        record: how it was trained.

    Raises:
        ExportError: the graph's numbers differ from PyTorch's; nothing is written.
    """
    rounded = copy.deepcopy(predictor).eval()
    round_weights(rounded, _SMALL)
    size = torch.export.Dim("height", min=16), torch.export.Dim("width", min=16)
    graph = module_to_onnx(
        rounded,
        (torch.rand(1, 3, 64, 80),),
        inputs=("painting",),
        outputs=("style",),
        dynamic={"painting": {2: size[0], 3: size[1]}},
        half_weights_from=_SMALL,
    )
    generator = torch.Generator().manual_seed(0)
    for height, width in _PARITY_SIZES:
        painting = torch.rand(1, 3, height, width, generator=generator)
        with torch.no_grad():
            expected = rounded(painting).numpy()
        difference = float(
            np.abs(run_graph(graph, painting.numpy())[0] - expected).max() / np.abs(expected).max()
        )
        if not difference <= _ALLOWED:
            raise ExportError(
                f"the exported predictor differs from PyTorch by {difference:g} of the largest number "
                f"(allowed: {_ALLOWED:g}): nothing was written"
            )
    with atomic_write(folder / "predictor.onnx", overwrite=True) as file:
        file.write(graph)
    write_json(folder / "predictor.json", {"network": identity, "record": dict(record)})

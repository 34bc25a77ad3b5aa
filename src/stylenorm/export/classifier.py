"""A trained classifier -> a classifier folder: one ONNX graph, checked against PyTorch.

Weights are stored in float16 and widened where they are used, which halves the file; all arithmetic is in
float32.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from stylenorm.engines.openvino_engine import run_graph
from stylenorm.errors import ExportError
from stylenorm.export.onnx_writing import module_to_onnx, round_weights
from stylenorm.media import atomic_write, write_json
from stylenorm.models.classifier import CLASSIFIER_FORMAT
from stylenorm.networks import IbnResNet

__all__ = ["export_classifier"]

_SMALL = 256  # tensors below so many numbers stay float32
_ALLOWED = 1e-3  # of the largest output


def export_classifier(
    network: IbnResNet, classes: Sequence[str], size_px: int, out: Path, record: Mapping[str, str]
) -> None:
    """Write ``classifier.onnx`` and ``classifier.json``.

    Args:
        network: what was trained.
        classes: names of its outputs.
        size_px: side of the square that it sees.
        out: the folder.
        record: how it was trained.

    Raises:
        ExportError: the graph's numbers differ from PyTorch's; nothing is written.
    """
    rounded = copy.deepcopy(network).eval()
    round_weights(rounded, _SMALL)
    graph = module_to_onnx(
        rounded,
        (torch.rand(1, 3, size_px, size_px),),
        inputs=("picture",),
        outputs=("classes",),
        dynamic={"x": None},
        half_weights_from=_SMALL,
    )
    generator = torch.Generator().manual_seed(0)
    for contrast in (1.0, 0.1):
        picture = 0.5 + contrast * (torch.rand(1, 3, size_px, size_px, generator=generator) - 0.5)
        with torch.no_grad():
            expected = rounded(picture).numpy()
        difference = float(np.abs(run_graph(graph, picture.numpy())[0] - expected).max())
        if not difference <= _ALLOWED * max(1.0, float(np.abs(expected).max())):
            raise ExportError(
                f"the exported classifier differs from PyTorch by {difference:g} of "
                f"{np.abs(expected).max():g} (allowed: {_ALLOWED:g} of it): nothing was written"
            )
    described = {
        "format": CLASSIFIER_FORMAT,
        "size_px": size_px,
        "classes": list(classes),
        "record": dict(record),
    }
    with atomic_write(out / "classifier.onnx", overwrite=True) as file:
        file.write(graph)
    write_json(out / "classifier.json", described)

"""A trained 3-D U-Net -> a segmenter folder: one ONNX graph, checked against PyTorch."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from stylenorm.engines.openvino_engine import run_graph
from stylenorm.errors import ExportError
from stylenorm.export.onnx_writing import module_to_onnx
from stylenorm.media import atomic_write, write_json
from stylenorm.models import SEGMENTER_FORMAT
from stylenorm.networks import UNet3d

__all__ = ["export_segmenter"]

_ALLOWED = 1e-3  # of the largest logit; measured: 1e-5, at sizes whose coarsest maps have a voxel or more


def export_segmenter(
    network: UNet3d,
    out: Path,
    *,
    window: tuple[int, int, int],
    spacing_mm: tuple[float, float, float],
    record: Mapping[str, str],
) -> None:
    """Write ``segmenter.onnx`` and ``segmenter.json``.

    Args:
        network: the trained network, on the CPU; its head of the finest level is what is kept.
        out: the folder.
        window: sides of the windows that it is run on, in voxels.
        spacing_mm: of the volumes that it learned from.
        record: how it was trained.

    Raises:
        ExportError: the graph's numbers differ from PyTorch's; nothing is written.
    """
    network = copy.deepcopy(network).eval()
    multiple = network.multiple
    dims = [multiple * torch.export.Dim(name, min=1) for name in ("x", "y", "z")]
    graph = module_to_onnx(
        network,
        (torch.rand(1, network.in_channels, 2 * multiple, 3 * multiple, 4 * multiple),),
        inputs=("volume",),
        outputs=("logits",),
        dynamic={"x": dict(enumerate(dims, start=2))},
    )
    generator = torch.Generator().manual_seed(0)
    for sides in ((2, 3, 2), (3, 2, 4)):
        shape = [1, network.in_channels, *(side * multiple for side in sides)]
        volume = torch.randn(shape, generator=generator)
        with torch.no_grad():
            expected = network(volume).numpy()
        difference = float(np.abs(run_graph(graph, volume.numpy())[0] - expected).max())
        if not difference <= _ALLOWED * max(1.0, float(np.abs(expected).max())):
            raise ExportError(
                f"the exported network differs from PyTorch by {difference:g}: nothing was written"
            )
    described = {
        "format": SEGMENTER_FORMAT,
        "num_classes": network.num_classes,
        "window": list(window),
        "multiple": multiple,
        "norm": network.norm,
        "spacing_mm": list(spacing_mm),
        "record": dict(record),
    }
    with atomic_write(out / "segmenter.onnx", overwrite=True) as file:
        file.write(graph)
    write_json(out / "segmenter.json", described)

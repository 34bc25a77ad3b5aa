"""A trained AdaIN network -> two ONNX graphs, which `stylenorm.models.adain` paints with.

.. code-block:: text

    encoder.onnx   picture (N, 3, 8 H, 8 W), RGB, 0..1 -> features (N, C, H, W)
    decoder.onnx   features (N, C, H, W) -> picture (N, 3, 8 H, 8 W)
    adain.json     format, channels, training record

What happens between them (statistics, mixtures, regions, strength) is a page of numpy, so the graphs serve
every use. Both are run beside PyTorch before anything is written.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from stylenorm.engines.openvino_engine import run_graph
from stylenorm.errors import ExportError
from stylenorm.export.onnx_writing import module_to_onnx
from stylenorm.media import atomic_write
from stylenorm.networks import ADAIN_GRID, AdainNetwork

__all__ = ["export_adain"]

_FORMAT = "stylenorm-adain-1"
_ALLOWED = 1e-4  # of the largest number


class _Encoder(nn.Module):
    def __init__(self, network: AdainNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, picture: Tensor) -> Tensor:
        return self.network.encode(picture)


def export_adain(network: AdainNetwork, out: Path, record: Mapping[str, str]) -> None:
    """Write the folder; see the module's docstring.

    Args:
        network: trained, on the CPU.
        out: the folder; made if it does not exist.
        record: how it was trained.

    Raises:
        ExportError: a graph's numbers differ from PyTorch's; nothing is written.
    """
    network = network.eval()
    rows, columns = torch.export.Dim("rows", min=2), torch.export.Dim("columns", min=2)
    batch = torch.export.Dim("batch")
    channels = network.decoder.channels
    encoder = module_to_onnx(
        _Encoder(network),
        (torch.rand(2, 3, 4 * ADAIN_GRID, 5 * ADAIN_GRID),),
        inputs=("picture",),
        outputs=("features",),
        dynamic={"picture": {0: batch, 2: ADAIN_GRID * rows, 3: ADAIN_GRID * columns}},
    )
    decoder = module_to_onnx(
        network.decoder,
        (torch.rand(2, channels, 4, 5),),
        inputs=("features",),
        outputs=("picture",),
        dynamic={"features": {0: batch, 2: rows, 3: columns}},
    )
    generator = torch.Generator().manual_seed(0)
    for count, height, width in ((1, 7, 3), (2, 2, 6)):
        picture = torch.rand(count, 3, ADAIN_GRID * height, ADAIN_GRID * width, generator=generator)
        with torch.no_grad():
            features = network.encode(picture)
            painted = network.decoder(features)
        _check("encoder", encoder, picture, features)
        _check("decoder", decoder, features, painted)
    description = {
        "format": _FORMAT,
        "channels": channels,
        "encoder": [str(each.name) for each in network.encoders],
        "record": dict(record),
    }
    for name, content in (
        ("encoder.onnx", encoder),
        ("decoder.onnx", decoder),
        ("adain.json", (json.dumps(description, indent=2) + "\n").encode()),
    ):
        with atomic_write(out / name, overwrite=True) as file:
            file.write(content)


def _check(name: str, graph: bytes, given: Tensor, expected: Tensor) -> None:
    (actual,) = run_graph(graph, np.ascontiguousarray(given.numpy()))
    wanted = expected.numpy()
    difference = float(np.abs(actual - wanted).max() / np.abs(wanted).max())
    if not difference <= _ALLOWED:
        raise ExportError(
            f"the exported {name} differs from PyTorch by {difference:g} of the largest number "
            f"(allowed: {_ALLOWED:g}): nothing was written"
        )

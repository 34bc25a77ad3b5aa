"""A trained StyleGAN or StyleGAN2 generator -> a generator folder, checked against PyTorch.

Two graphs: latent vectors to styles, and styles with noise to a picture. Weights are stored in float16 and
widened where they are used, which halves the files; all arithmetic is in float32.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from stylenorm.engines.openvino_engine import run_graph
from stylenorm.errors import ExportError
from stylenorm.export.onnx_writing import module_to_onnx, round_weights
from stylenorm.media import atomic_write, write_json
from stylenorm.models.generator import GENERATOR_FORMAT
from stylenorm.networks.style_based import Equalized, StyleGenerator

__all__ = ["export_generator"]

_SMALL = 256  # tensors below so many numbers stay float32
_ALLOWED = 2e-3


def export_generator(network: StyleGenerator, out: Path, record: Mapping[str, str]) -> None:
    """Write ``mapping.onnx``, ``synthesis.onnx`` and ``generator.json``.

    Args:
        network: on the CPU.
        out: the folder.
        record: how it was trained.

    Raises:
        ExportError: a graph's numbers differ from PyTorch's; nothing is written.
    """
    rounded = _rounded(network)
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(1, network.style_length, generator=generator)
    with torch.no_grad():
        styles = rounded.spread(rounded.mapping(z)).contiguous()
    noise = rounded.draw_noise(1, generator)
    graphs = {
        "mapping": _graph(rounded.mapping, (z,), ("latent",), "style"),
        "synthesis": _graph(
            _Synthesis(rounded),
            (styles, *noise),
            ("styles", *(f"noise_{i}" for i in range(len(noise)))),
            "picture",
        ),
    }
    described = {
        "format": GENERATOR_FORMAT,
        "network": type(network).__name__,
        "size_px": network.size_px,
        "num_styles": network.num_styles,
        "noise_px": list(network.noise_px),
        "mean_style": rounded.mean_style().tolist(),
        "record": dict(record),
    }
    for name, graph in graphs.items():
        with atomic_write(out / f"{name}.onnx", overwrite=True) as file:
            file.write(graph)
    write_json(out / "generator.json", described)


def _rounded(network: StyleGenerator) -> StyleGenerator:
    """Return a copy whose weights are as they are used, not yet to be scaled, and as float16 holds them."""
    rounded = copy.deepcopy(network).eval()
    for module in rounded.modules():
        if isinstance(module, Equalized):
            module.bake()
    round_weights(rounded, _SMALL)
    return rounded


class _Synthesis(nn.Module):
    """Only the way from styles to the picture, each noise an input of its own."""

    def __init__(self, network: StyleGenerator) -> None:
        super().__init__()
        self.network = network

    def forward(self, styles: Tensor, *noise: Tensor) -> Tensor:
        return self.network.synthesize(styles, noise)


def _graph(module: nn.Module, example: tuple[Tensor, ...], inputs: tuple[str, ...], output: str) -> bytes:
    graph = module_to_onnx(
        module, example, inputs=inputs, outputs=(output,), dynamic={}, half_weights_from=_SMALL
    )
    with torch.no_grad():
        expected = module(*example).numpy()
    found = run_graph(graph, *(each.numpy() for each in example))[0]
    difference = float(np.abs(found - expected).max() / max(1.0, np.abs(expected).max()))
    if not difference <= _ALLOWED:
        raise ExportError(
            f"the exported {output} differs from PyTorch's by {difference:g} (allowed: {_ALLOWED:g}): "
            "nothing was written"
        )
    return graph

"""No exporter writes a graph that was not compared with its network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from stylenorm.errors import ExportError
from stylenorm.export import (
    export_adain,
    export_classifier,
    export_generator,
    export_label_painter,
    export_predictor,
    export_segmenter,
    export_stylizer,
    export_texture,
    export_translator,
    stylizer_to_onnx,
)
from stylenorm.export.checked import checked_graph
from stylenorm.networks import (
    CycleGanGenerator,
    IbnResNet,
    NetworkConfig,
    SingleStyleConfig,
    SingleStyleNetwork,
    SpadeGenerator,
    StylePredictor,
    UlyanovNetwork,
    build_network,
)
from tests.tiny_adain import tiny_adain
from tests.tiny_generator import tiny_generator
from tests.tiny_segmenter import tiny_network


class Untrue(nn.Module):
    """Doubles, but not quite where it is exported."""

    def __init__(self, error: float) -> None:
        super().__init__()
        self.error = error

    def forward(self, x: Tensor) -> Tensor:
        return 2 * x + (self.error if torch.compiler.is_exporting() else 0.0)


def exported(error: float, size: float) -> bytes:
    example = (torch.rand(1, 4),)
    case = (torch.full((1, 4), size),)
    return checked_graph(
        Untrue(error), example, [case], name="double", inputs=("x",), output="y", dynamic={}, allowed=1e-3
    )


def test_a_graph_is_compared_with_its_module() -> None:
    exported(0.9e-3, 0.5)
    exported(0.9e-1, 50.0)  # of the largest number
    with pytest.raises(
        ExportError, match=r"the exported double differs from PyTorch by 0\.001[01]\d* \(allowed: 0\.001"
    ):
        exported(1.1e-3, 0.5)
    with pytest.raises(ExportError, match=r"differs from PyTorch by nan .* nothing was written"):
        exported(float("nan"), 0.5)
    with pytest.raises(ValueError, match="expected a case to compare with"):
        checked_graph(
            Untrue(0), (torch.rand(1, 4),), [], name="x", inputs=("x",), output="y", dynamic={}, allowed=1e-3
        )


def export_johnson(out: Path) -> None:
    network = build_network(NetworkConfig("johnson", 4, 1))
    vector = np.zeros(network.style_length, np.float32)
    export_stylizer(network, {"identity": vector}, out, about={}, record={})


def export_single(out: Path) -> None:
    network = SingleStyleNetwork(SingleStyleConfig("ulyanov", {"norm": "instance"}))
    export_stylizer(network, {"identity": np.ones(1, np.float32)}, out, about={}, record={})


def test_a_stylizer_may_differ_by_a_twentieth_of_a_grey_level(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 8 bits; with more, a graph would paint other pictures than PyTorch."""
    monkeypatch.setattr("stylenorm.export.checked.module_to_onnx", lambda *_, **__: b"graph")
    network = build_network(NetworkConfig("quarter", 8, 1))
    for difference, allowed in ((0.9e-4, True), (1.1e-4, False)):
        monkeypatch.setattr("stylenorm.export.checked._difference", lambda *_, d=difference: d)
        if allowed:
            assert stylizer_to_onnx(network) == b"graph"
        else:
            with pytest.raises(ExportError, match="the exported network differs"):
                stylizer_to_onnx(network)


EXPORTERS: dict[str, Callable[[Path], None]] = {
    "adain": lambda out: export_adain(tiny_adain(), out, {}),
    "classifier": lambda out: export_classifier(
        IbnResNet(3, depth=10, width=4, stem="small"), "abc", 16, out, {}
    ),
    "generator": lambda out: export_generator(tiny_generator(), out, {}),
    "label painter": lambda out: export_label_painter(SpadeGenerator(4, 2, 4, num_doublings=3), out, {}),
    "predictor": lambda out: export_predictor(StylePredictor(7), out, "0" * 16, {}),
    "segmenter": lambda out: export_segmenter(
        tiny_network(), out, window=(8, 8, 8), spacing_mm=(1.0, 1.0, 1.0), record={}
    ),
    "single style": export_single,
    "stylizer": export_johnson,
    "texture": lambda out: export_texture(UlyanovNetwork("instance", 3, "texture"), out),
    "translator": lambda out: export_translator({"a-to-b": CycleGanGenerator(1, 4)}, out, {}),
}


@pytest.mark.parametrize("name", EXPORTERS)
def test_every_exporter_compares(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the exporter of PyTorch made: a graph that computes something else is not written."""
    monkeypatch.setattr("stylenorm.export.checked.module_to_onnx", lambda *_, **__: b"")
    monkeypatch.setattr("stylenorm.export.checked.run_graph", lambda *_: [np.full((1, 1), 9.0, np.float32)])
    with pytest.raises(ExportError, match=r"differs from PyTorch by .* nothing was written"):
        EXPORTERS[name](tmp_path / "out")
    assert not (tmp_path / "out").exists()

"""Statistics of windows and of the whole volume, against PyTorch in float64 on the whole volume at once."""

from __future__ import annotations

import copy
import itertools
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from stylenorm.engines.openvino_engine import OpenVinoEngine
from stylenorm.engines.openvino_session import run_graph
from stylenorm.errors import InputError, ShapeError, UnknownNameError
from stylenorm.graphs import Graph, frozen_volume_graph, volume_layers, volume_norms
from stylenorm.models import (
    METHODS,
    LayeredRun,
    Segmenter,
    gaussian_weights,
    standardized,
    window_starts,
)
from stylenorm.networks import UNet3d
from tests.requirements_met import need
from tests.tiny_segmenter import WINDOW, tiny_network, tiny_segmenter

# Logits are about 5. Measured: 1e-5 for the whole network in float32.
CLOSE = {"rtol": 1e-4, "atol": 2e-4}
VOXELS = 300 + 40 * np.random.default_rng(1).normal(size=(21, 16, 11)).cumsum(0)


@pytest.fixture(scope="module")
def folder() -> Path:
    return tiny_segmenter()


@pytest.fixture(scope="module")
def graph(folder: Path) -> Graph:
    return Graph.parse((folder / "segmenter.onnx").read_bytes())


def run_of(graph: Graph, **changes: object) -> LayeredRun:
    engine = OpenVinoEngine(graph.to_bytes(), precision="f32", threads=1)
    return LayeredRun(graph, engine.program, **changes)  # type: ignore[arg-type]


def normalized(voxels: np.ndarray) -> np.ndarray:
    return (voxels - voxels.mean()) / voxels.std()


def layers_of(network: UNet3d, x: np.ndarray) -> tuple[np.ndarray, list[Tensor]]:
    """Logits of a volume (X, Y, Z) in float64, and what each norm takes in, in the order of computing."""
    network = copy.deepcopy(network).double()
    seen: list[Tensor] = []
    for module in network.modules():
        if isinstance(module, nn.InstanceNorm3d):
            module.register_forward_hook(lambda *args: seen.append(args[1][0][0]))
    logits = network(torch.from_numpy(np.asarray(x, np.float64))[None, None])
    return logits[0].numpy(), seen


def frozen(network: UNet3d, seen: list[Tensor]) -> UNet3d:
    """The network whose norms use the statistics of ``seen``, in float64."""

    class Frozen(nn.Module):
        def __init__(self, norm: nn.Module, x: Tensor) -> None:
            super().__init__()
            self.norm, self.mean = norm, x.mean((1, 2, 3))
            self.deviation = (x.var((1, 2, 3), correction=0) + 1e-5).sqrt()

        def forward(self, x: Tensor) -> Tensor:
            def wide(v: Tensor) -> Tensor:
                return v.reshape(1, -1, 1, 1, 1)

            y = (x - wide(self.mean)) / wide(self.deviation)
            return nn.functional.leaky_relu(y * wide(self.norm.weight) + wide(self.norm.bias), 0.01)

    network, order = copy.deepcopy(network).double(), iter(seen)
    for block in [*network.down, *reversed(network.up)]:
        block.norms = nn.ModuleList(Frozen(norm, next(order)) for norm in block.norms)
    return network


def by_windows(network: UNet3d, volume: np.ndarray, overlap: float) -> np.ndarray:
    weights = gaussian_weights(WINDOW).astype(np.float64)
    total, weight = np.zeros((3, *volume.shape)), np.zeros(volume.shape)
    places = (window_starts(side, w, overlap) for side, w in zip(volume.shape, WINDOW, strict=True))
    for starts in itertools.product(*places):
        there = tuple(slice(s, s + w) for s, w in zip(starts, WINDOW, strict=True))
        total[:, *there] += network(torch.from_numpy(volume[there])[None, None])[0].numpy() * weights
        weight[there] += weights
    return total / weight


def extended(volume: np.ndarray) -> np.ndarray:
    return np.pad(volume, [(0, -side % 4) for side in volume.shape], mode="edge")


def logits_of(segmenter: Segmenter, voxels: np.ndarray) -> np.ndarray:
    told: list[None] = []
    logits = np.concatenate(list(segmenter.logits(voxels, lambda: told.append(None))), axis=1)
    assert len(told) == segmenter.num_steps(voxels.shape)
    return logits


def test_the_whole_volume_layer_by_layer_is_the_networks_own(folder: Path) -> None:
    expected, _ = layers_of(tiny_network(), normalized(VOXELS))
    segmenter = Segmenter(folder, "whole", threads=1)
    np.testing.assert_allclose(logits_of(segmenter, VOXELS), expected, **CLOSE)
    assert np.array_equal(segmenter(VOXELS), logits_of(segmenter, VOXELS).argmax(0))
    assert np.abs(expected).max() > 1


def test_windows_with_their_own_statistics(folder: Path) -> None:
    for overlap in (0.5, 0.0):
        expected = by_windows(copy.deepcopy(tiny_network()).double(), normalized(VOXELS), overlap)
        found = logits_of(Segmenter(folder, threads=1, overlap=overlap), VOXELS)
        np.testing.assert_allclose(found, expected, **CLOSE)


def test_windows_with_the_whole_volumes_statistics(folder: Path) -> None:
    volume = normalized(VOXELS)
    _, seen = layers_of(tiny_network(), extended(volume))
    expected = by_windows(frozen(tiny_network(), seen), volume, 0.5)
    found = logits_of(Segmenter(folder, "volume", threads=1), VOXELS)
    np.testing.assert_allclose(found, expected, **CLOSE)
    by_patch = by_windows(copy.deepcopy(tiny_network()).double(), volume, 0.5)
    assert np.abs(expected - by_patch).max() > 0.1  # the choice is one


@pytest.mark.parametrize(
    "changes",
    [{}, {"slab_bytes": 1}, {"slab_bytes": 60_000, "memory_bytes": 0}],
    ids=["one", "rows", "files"],
)
def test_statistics_of_slabs_are_those_of_the_whole(
    graph: Graph, changes: dict[str, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    volume = extended(normalized(VOXELS))
    expected, seen = layers_of(tiny_network(), volume)
    run = run_of(graph, **changes)
    statistics, vectors = run.measure(volume.astype(np.float32))
    assert len(statistics.counts) == len(seen) == 10
    for count, mean, variance, x in zip(
        statistics.counts, statistics.means, statistics.variances(), seen, strict=True
    ):
        assert count == x[0].numel()
        np.testing.assert_allclose(mean, x.mean((1, 2, 3)), rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(variance, x.var((1, 2, 3), correction=0), rtol=1e-4)
    logits = np.concatenate(list(run.logits(volume.astype(np.float32))), axis=1)
    np.testing.assert_allclose(logits, expected, **CLOSE)
    (by_frozen,) = run_graph(frozen_volume_graph(graph), volume[None, None].astype(np.float32), *vectors)
    np.testing.assert_allclose(by_frozen[0], expected, **CLOSE)
    if not changes:
        assert run.num_steps(volume.shape) == len(run.layers) == 11
    assert not list(tmp_path.iterdir())  # nothing is left behind


def test_onnx_runtime_runs_the_graphs_too(folder: Path, graph: Graph) -> None:
    runtime = need("onnxruntime")
    x = np.random.default_rng(3).normal(size=(8, 12, 16)).astype(np.float32)
    expected, seen = layers_of(tiny_network(), x)
    session = runtime.InferenceSession(folder / "segmenter.onnx")
    np.testing.assert_allclose(session.run(None, {"volume": x[None, None]})[0][0], expected, **CLOSE)
    vectors = {}
    for i, (norm, each) in enumerate(zip(volume_norms(graph), seen, strict=True)):
        scale = norm.gamma / np.sqrt(each.var((1, 2, 3), correction=0).numpy() + norm.eps)
        pair = {"scale": scale, "shift": norm.beta - each.mean((1, 2, 3)).numpy() * scale}
        vectors |= {f"{k}.{i:02d}": v.astype(np.float32).reshape(1, -1, 1, 1, 1) for k, v in pair.items()}
    session = runtime.InferenceSession(frozen_volume_graph(graph))
    found = session.run(None, {"volume": x[None, None], **vectors})[0][0]
    np.testing.assert_allclose(found, expected, **CLOSE)
    for layer in volume_layers(graph):
        runtime.InferenceSession(layer.graph)  # is well-formed


def test_a_volume_smaller_than_a_window(folder: Path) -> None:
    voxels = VOXELS[:6, :14, :7]
    padded = np.pad(normalized(voxels), [(0, 2), (0, 0), (0, 1)])
    expected = by_windows(copy.deepcopy(tiny_network()).double(), padded, 0.5)[:, :6, :, :7]
    np.testing.assert_allclose(logits_of(Segmenter(folder, threads=1), voxels), expected, **CLOSE)
    for method in METHODS:
        assert Segmenter(folder, method, threads=1)(voxels).shape == voxels.shape


def test_intensities_are_normalized_over_the_volume() -> None:
    made = standardized(VOXELS + 1e4)
    np.testing.assert_allclose(made, normalized(VOXELS), atol=1e-4)
    assert made.dtype == np.float32
    assert not standardized(np.full((3, 4, 5), 0.1, np.float32)).any()
    assert not standardized(np.zeros((3, 4, 5), np.int16)).any()


@pytest.mark.parametrize("method", ["patch", "whole"])
def test_a_folder_of_the_first_format_opens_and_does_what_it_did(
    folder: Path, tmp_path: Path, method: str
) -> None:
    """It had one channel, one multiple for all axes, and knew neither spacings nor intensities."""
    shutil.copy(folder / "segmenter.onnx", tmp_path)
    written = {
        "format": "stylenorm-segmenter-1",
        "num_classes": 3,
        "window": list(WINDOW),
        "multiple": 4,
        "norm": "instance",
        "spacing_mm": [1.0, 1.0, 1.5],
        "record": {"recipe": "volumes", "steps": "0"},
    }
    (tmp_path / "segmenter.json").write_text(json.dumps(written))
    network, volume = copy.deepcopy(tiny_network()).double(), normalized(VOXELS)
    expected = by_windows(network, volume, 0.5) if method == "patch" else layers_of(network, volume)[0]
    segmenter = Segmenter(tmp_path, method, threads=1)
    assert (segmenter.num_channels, segmenter.resamples, segmenter.spacing_mm) == (1, False, (1.0, 1.0, 1.5))
    np.testing.assert_allclose(logits_of(segmenter, VOXELS), expected, **CLOSE)
    # Of another spacing, too: as then, it is taken as it is.
    assert np.array_equal(segmenter(VOXELS, spacing_mm=(2.0, 2.0, 2.0)), expected.argmax(0))


def test_it_runs_without_torch(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = Segmenter(folder, "volume", threads=1)(VOXELS)
    for name in [name for name in sys.modules if name.startswith("stylenorm.models")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "torch", None)
    from stylenorm.models import Segmenter as Anew

    assert np.array_equal(Anew(folder, "volume", threads=1)(VOXELS), expected)


def test_what_cannot_be(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected a folder that 'stylenorm train volumes' wrote"):
        Segmenter(tmp_path)
    with pytest.raises(UnknownNameError, match="unknown method 'volumes': did you mean 'volume'"):
        Segmenter(folder, "volumes")
    with pytest.raises(InputError, match="overlap: expected 0 to below 1, got -1"):
        Segmenter(folder, overlap=-1)
    with pytest.raises(ShapeError, match=r"voxels: expected \(X, Y, Z\), got \(3, 4\)"):
        Segmenter(folder)(np.zeros((3, 4)))
    shutil.copytree(folder, tmp_path / "batch")
    described = json.loads((folder / "segmenter.json").read_text()) | {"norm": "batch"}
    (tmp_path / "batch" / "segmenter.json").write_text(json.dumps(described))
    assert Segmenter(tmp_path / "batch").num_classes == 3
    for method in ("volume", "whole"):
        with pytest.raises(InputError, match="expected a network with instance norm, got batch norm"):
            Segmenter(tmp_path / "batch", method)
    (tmp_path / "batch" / "segmenter.onnx").write_bytes(b"no graph")
    with pytest.raises(InputError, match="expected an exported network"):
        Segmenter(tmp_path / "batch")

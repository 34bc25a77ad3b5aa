"""Our own engine: against torch in float64 and OpenVINO, the same bits for any threads, what it refuses."""

from __future__ import annotations

import functools
import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stylenorm.engines import open_engine, openvino_session, registry, winograd_engine
from stylenorm.engines.winograd_engine import WinogradEngine
from stylenorm.errors import InputError, MissingExtraError
from stylenorm.graphs import Graph, frozen_vector
from stylenorm.zoo import NetworkFolder, shipped_network
from tests.engines.tiny_network import needs, needs_winograd, random_photo, tiny_network

EXAMPLE = Path(__file__).parents[2] / "examples" / "photo.jpg"
LIVE = Path(winograd_engine.__file__).parents[1] / "zoo" / "live"


@pytest.fixture(autouse=True)
def runs() -> None:
    needs_winograd()


@functools.cache
def odd_network(folder: Path):
    """Channels that are no multiples of 8, an even number of blocks; its module, graph and a style."""
    needs("torch", "onnx")
    import torch

    from stylenorm.export import export_stylizer
    from stylenorm.networks import NetworkConfig, build_network

    torch.manual_seed(3)
    network = build_network(NetworkConfig("quarter-nearest", width=20, num_blocks=2))
    torch.nn.init.normal_(network.last_bias)
    rng = np.random.default_rng(0)
    vector = rng.normal(1, 0.4, network.style_length).astype(np.float32)
    vector[-1] = 0.25  # the gate
    about = {"odd": {"artist": "A", "title": "T", "year": "1"}}
    identity = network.initial_style().numpy()
    export_stylizer(network, {"identity": identity, "odd": vector}, folder, about=about, record={"seed": "0"})
    return network.double().eval(), folder / "network.onnx", vector


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory):
    return odd_network(tmp_path_factory.mktemp("odd"))


@pytest.mark.parametrize("size", [(1, 7), (18, 5), (61, 130), (128, 96)])
def test_against_torch_in_float64(odd, size: tuple[int, int]) -> None:
    import torch

    module, graph, vector = odd
    photo = np.random.default_rng(1).random((2, 3, *size), np.float32)
    with torch.no_grad():
        expected = module(torch.from_numpy(photo).double(), torch.from_numpy(vector).double()).numpy()
    with WinogradEngine(graph, threads=2) as engine:
        painting = engine.paint(photo, vector)
    # Planes of one or two positions are constant but for rounding, which norms amplify.
    np.testing.assert_allclose(painting, expected, rtol=0, atol=1e-4 if min(size) > 4 else 2e-3)


@pytest.mark.parametrize("folder", ["shipped", "live"])
def test_a_photo_as_openvino_paints_it(folder: str) -> None:
    needs("openvino")
    network = shipped_network() if folder == "shipped" else NetworkFolder.open(LIVE)
    with Image.open(EXAMPLE) as photo:
        image = np.asarray(photo.convert("RGB").resize((241, 162)))
    vector = network.style(network.style_names()[1]).vector()
    with open_engine("openvino", network.graph) as openvino, WinogradEngine(network.graph) as engine:
        difference = engine.paint_image(image, vector).astype(int) - openvino.paint_image(image, vector)
        assert np.abs(difference).max() <= 1
        flat = np.full((40, 52, 3), 200, np.uint8)
        assert np.isfinite(engine.paint(flat.transpose(2, 0, 1)[None] / np.float32(255), vector)).all()


def test_given_statistics_as_openvino_paints_with_them() -> None:
    needs("openvino")
    network = tiny_network()
    style = network.style("scream")
    photos = np.random.default_rng(2).random((2, 3, 45, 52), np.float32)
    with open_engine("openvino", network.graph) as openvino, WinogradEngine(network.graph) as engine:
        statistics = engine.measure(photos, style.vector())
        vector = frozen_vector(statistics, style)
        frozen = engine.frozen()
        assert isinstance(frozen, WinogradEngine)
        expected = openvino.frozen().paint(photos, vector)
        np.testing.assert_allclose(frozen.paint(photos, vector), expected, rtol=0, atol=1e-4)


def test_the_same_bits_whatever_the_threads() -> None:
    network = tiny_network()
    image, vector = random_photo(150, 203), network.style("scream").vector()
    paintings = []
    for threads in (1, 2, 5):
        with WinogradEngine(network.graph, threads=threads) as engine:
            paintings.append(engine.paint_image(image, vector))
            engine.paint_image(
                random_photo(300, 210), vector
            )  # what an engine painted before changes nothing
            assert np.array_equal(engine.paint_image(image, vector), paintings[-1])
    assert np.array_equal(paintings[1], paintings[0])
    assert np.array_equal(paintings[2], paintings[0])


@pytest.mark.parametrize(
    ("kind", "attributes"),
    [
        ("Pad", {"mode": "reflect"}),
        ("Conv", {"strides": (2, 2)}),
        ("InstanceNormalization", {"epsilon": 1e-3}),
        ("DepthToSpace", {"mode": "DCR"}),
    ],
)
def test_another_network_is_left_to_openvino(
    kind: str, attributes: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = Graph.parse(tiny_network().graph.read_bytes())
    last = max(i for i, node in enumerate(graph.nodes) if node.kind == kind)
    node = graph.nodes[last]
    changed = replace(node, attributes={**node.attributes, **attributes})
    path = tmp_path / "network.onnx"
    path.write_bytes(
        replace(graph, nodes=(*graph.nodes[:last], changed, *graph.nodes[last + 1 :])).to_bytes()
    )
    with pytest.raises(InputError, match="expected a network of the family quarter"):
        open_engine("winograd", path)
    needs("openvino")
    monkeypatch.setattr(winograd_engine, "reason_against", lambda: None)
    with open_engine("auto", path) as engine:
        assert engine.name == "openvino"


def test_auto(monkeypatch: pytest.MonkeyPatch) -> None:
    needs("openvino")
    graph = tiny_network().graph
    monkeypatch.setattr(winograd_engine, "reason_against", lambda: None)
    with open_engine("auto", graph) as engine:
        assert engine.name == "winograd"
    monkeypatch.setattr(winograd_engine, "reason_against", lambda: "another machine")
    with open_engine("auto", graph) as engine:
        assert engine.name == "openvino"
    with pytest.raises(InputError, match="computes in float32"):
        open_engine("winograd", graph, precision="bf16")
    monkeypatch.setattr(winograd_engine, "library", lambda: "it is not there")
    with pytest.raises(InputError, match="cannot run: it is not there; use engine 'openvino'"):
        open_engine("winograd", graph)


def without(monkeypatch: pytest.MonkeyPatch, *packages: str) -> None:
    """As if these were not installed."""
    find_spec = registry.importlib.util.find_spec
    monkeypatch.setattr(
        registry.importlib.util,
        "find_spec",
        lambda name, *rest: None if name in packages else find_spec(name, *rest),
    )
    for package in packages:
        monkeypatch.setitem(sys.modules, package, None)


def test_auto_without_openvino(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = tiny_network().graph
    without(monkeypatch, "openvino")
    monkeypatch.setattr(winograd_engine, "reason_against", lambda: "OpenVINO was made for it")
    with open_engine("auto", graph) as engine:
        assert engine.name == "winograd"
    hint = re.escape("needs openvino: pip install 'stylenorm[openvino]'")
    with pytest.raises(MissingExtraError, match=f"^precision 'bf16' {hint}$"):
        open_engine("auto", graph, precision="bf16")
    with pytest.raises(MissingExtraError, match=f"^engine 'openvino' {hint}$"):
        open_engine("openvino", graph)
    with pytest.raises(MissingExtraError, match=f"^running this model's graph {hint}$"):
        openvino_session.import_openvino()
    other = tmp_path / "network.onnx"
    content = Graph.parse(graph.read_bytes())
    other.write_bytes(replace(content, nodes=content.nodes[:-1]).to_bytes())
    with pytest.raises(MissingExtraError, match=f"another family than quarter and quarter-nearest, {hint}$"):
        open_engine("auto", other)
    needs("onnxruntime")
    with open_engine("onnxruntime", graph) as engine:
        assert engine.name == "onnxruntime"
    with pytest.raises(MissingExtraError, match=f"^checking .*, {hint}$"):
        open_engine("onnxruntime", other)
    other.write_bytes(b"rubbish")
    for name in ("auto", "onnxruntime"):
        with pytest.raises(InputError, match="expected an exported network"):
            open_engine(name, other)
    with pytest.raises(InputError, match="found no such file"):
        open_engine("auto", tmp_path / "nowhere.onnx")
    monkeypatch.setattr(winograd_engine, "library", lambda: "the C kernels were not built")
    with pytest.raises(MissingExtraError, match=rf"^painting on this machine \(the C kernels .*\) {hint}$"):
        open_engine("auto", graph)


def test_a_frozen_engine_measures_nothing() -> None:
    with WinogradEngine(tiny_network().graph) as engine, pytest.raises(InputError, match="found none"):
        engine.frozen().measurer()


def test_ctrl_c_stops_it_and_it_goes_on_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    network = tiny_network()
    image, vector = random_photo(64, 80), network.style("scream").vector()

    class Interrupted(winograd_engine.threading.Thread):
        def join(self, timeout: float | None = None) -> None:
            if timeout is not None:
                raise KeyboardInterrupt
            super().join()

        def is_alive(self) -> bool:
            return True

    with WinogradEngine(network.graph) as engine:
        expected = engine.paint_image(image, vector)
        with monkeypatch.context() as patched:
            patched.setattr(winograd_engine.threading, "Thread", Interrupted)
            with pytest.raises(KeyboardInterrupt):
                engine.paint_image(image, vector)
        assert np.array_equal(engine.paint_image(image, vector), expected)


def test_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    network = tiny_network()
    with WinogradEngine(network.graph) as engine:
        monkeypatch.setattr(engine, "_call", lambda *_: -1)
        with pytest.raises(MemoryError, match="no memory left for 8 x 9 pixels"):
            engine.paint_image(random_photo(8, 9), network.style("scream").vector())

"""Export: the graph agrees with PyTorch, or nothing is written."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from safetensors.torch import save_file

from stylenorm import Style
from stylenorm.errors import ExportError, InputError
from stylenorm.export import export_stylizer, load_network, network_identity, stylizer_to_onnx
from stylenorm.networks import NetworkConfig, StylizerNetwork, build_network
from tests.export.graphs import graph_of, network_of
from tests.tolerances import assert_close

CONFIGS = [NetworkConfig("quarter", 8, 1), NetworkConfig("johnson", 4, 1)]


def style_of(network: StylizerNetwork, gate: float = 0.0) -> np.ndarray:
    vector = torch.randn(network.style_length, generator=torch.Generator().manual_seed(3)).numpy()
    vector[-1] = gate
    return vector


def write(network: StylizerNetwork, out: Path) -> Path:
    styles = {"identity": style_of(network, 1.0), "a": style_of(network)}
    export_stylizer(network, styles, out, about={"a": {"artist": "X"}}, record={"seed": "7"})
    return out


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the first network; not to be changed. Its graph is the one that other tests have."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("stylenorm.export.stylizer.stylizer_to_onnx", lambda _: graph_of(CONFIGS[0]))
        return write(network_of(CONFIGS[0]), tmp_path_factory.mktemp("written") / "net")


@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: c.family)
def test_graph_in_onnx_runtime_is_the_network(config: NetworkConfig) -> None:
    network = network_of(config)
    graph = graph_of(config)
    onnx.checker.check_model(onnx.load_from_string(graph))
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    assert [i.name for i in session.get_inputs()] == ["photo", "style"]
    style = style_of(network, 0.25)
    for n, height, width in [(1, 3, 2), (2, 16, 20), (1, 33, 47), (3, 21, 64)]:
        photo = torch.rand(n, 3, height, width)
        with torch.no_grad():
            expected = network(photo, torch.from_numpy(style))
        (painting,) = session.run(None, {"photo": photo.numpy(), "style": style})
        # constant-free planes of a few pixels: 2e-4 was the largest difference measured
        assert_close(painting, expected, atol=1e-3 if height * width < 100 else 5e-5)


def test_graph_tells_nothing_of_the_machine_that_made_it() -> None:
    graph = graph_of(CONFIGS[0])
    assert b"stylizer.py" not in graph
    assert b"site-packages" not in graph
    assert str(Path.cwd()).encode() not in graph


def test_graph_is_clean() -> None:
    operators = {node.op_type for node in onnx.load_from_string(graph_of(CONFIGS[0])).graph.node}
    assert {"InstanceNormalization", "Conv", "Pad", "DepthToSpace"} <= operators
    assert not operators & {"Transpose", "Resize", "Loop", "If", "BatchNormalization", "GroupNormalization"}


def test_folder_and_back(written: Path) -> None:
    network, out = network_of(CONFIGS[0]), written
    assert (out / "network.onnx").read_bytes() == graph_of(CONFIGS[0])
    description = json.loads((out / "network.json").read_text())
    assert description["identity"] == network_identity(network)
    assert tuple(description["norm_sizes"]) == network.norm_sizes
    style = Style.load(out / "styles" / "a.safetensors")
    np.testing.assert_array_equal(style.vector(), style_of(network))
    assert (style.artist, style.record["seed"], style.network) == ("X", "7", network_identity(network))
    again = load_network(out)
    for (name, a), b in zip(network.state_dict().items(), again.state_dict().values(), strict=True):
        assert torch.equal(a, b), name
    assert not list(out.rglob("*.part"))


def test_a_graph_that_differs_fails_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = network_of(CONFIGS[0])
    broken = onnx.load_from_string(graph_of(CONFIGS[0]))
    weights = next(w for w in broken.graph.initializer if w.name == "last_bias" or len(w.dims) == 4)
    values = onnx.numpy_helper.to_array(weights).copy()
    values.flat[0] += 0.5
    weights.CopyFrom(onnx.numpy_helper.from_array(values, weights.name))

    def export(*args: object, **settings: object) -> SimpleNamespace:
        return SimpleNamespace(model_proto=broken)

    monkeypatch.setattr(torch.onnx, "export", export)
    with pytest.raises(ExportError, match="differs from PyTorch"):
        write(network, tmp_path / "net")
    assert not (tmp_path / "net").exists()


def test_a_network_whose_rounding_is_amplified_on_few_pixels_is_exported() -> None:
    torch.manual_seed(0)
    wide = build_network(NetworkConfig("johnson", 32, 1))
    assert len(stylizer_to_onnx(wide)) > 4 * sum(p.numel() for p in wide.parameters())


def test_identity_changes_with_weights_and_layers() -> None:
    a = network_of(CONFIGS[0])
    assert network_identity(a) == network_identity(network_of(CONFIGS[0]))
    assert network_identity(a) != network_identity(network_of(CONFIGS[0], seed=1))
    with torch.no_grad():
        a.last_bias[0] += 1e-7
    assert network_identity(a) != network_identity(network_of(CONFIGS[0]))


def test_weights_of_another_export_are_refused(written: Path, tmp_path: Path) -> None:
    one = Path(shutil.copytree(written, tmp_path / "1"))
    save_file(network_of(CONFIGS[0], seed=1).state_dict(), one / "network.safetensors")
    with pytest.raises(ExportError, match="not of one export"):
        load_network(one)
    for name, content in (("network.safetensors", b"nothing"), ("network.json", b"{}")):
        broken = Path(shutil.copytree(written, tmp_path / name))
        (broken / name).write_bytes(content)
        with pytest.raises(InputError, match="expected a network folder"):
            load_network(broken)

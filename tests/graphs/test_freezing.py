"""Graphs made from the exported one, run by ONNX Runtime or by the engines, against float64 statistics."""

from __future__ import annotations

import numpy as np
import pytest

from stylenorm import Statistics, Stylizer
from stylenorm.engines import ENGINES, Engine, FakeEngine, open_engine
from stylenorm.errors import InputError, ShapeError
from stylenorm.graphs import Graph, frozen_graph, frozen_vector, measuring_graph, norm_sizes
from stylenorm.style import Style
from stylenorm.zoo import NetworkFolder
from tests.engines.tiny_network import needs, needs_winograd, random_photo, tiny_network
from tests.requirements_met import need


@pytest.fixture(scope="module")
def network() -> NetworkFolder:
    return tiny_network()


@pytest.fixture(scope="module")
def content(network: NetworkFolder) -> bytes:
    return network.graph.read_bytes()


@pytest.fixture(scope="module", params=["openvino", "onnxruntime", "torch", "winograd"])
def engine(request: pytest.FixtureRequest, network: NetworkFolder) -> Engine:
    if request.param == "winograd":
        needs_winograd()
    else:
        needs(ENGINES[request.param].package)

    def load_module() -> object:
        from stylenorm.export import load_network

        return load_network(network.path)

    return open_engine(request.param, network.graph, load_module=load_module)


def oracle(content: bytes, photo: np.ndarray, vector: np.ndarray) -> Statistics:
    """Statistics of one photo by the onnx package and ONNX Runtime, in float64 from the norms' inputs."""
    onnx, onnxruntime = need("onnx"), need("onnxruntime")
    model = onnx.load_from_string(content)
    norms = [node.input[0] for node in model.graph.node if node.op_type == "InstanceNormalization"]
    model.graph.output.extend(
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in norms
    )
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    features = session.run(norms, {"photo": photo, "style": vector})
    counts = tuple(feature[0, 0].size for feature in features)
    flats = [feature[0].reshape(feature.shape[1], -1).astype(np.float64) for feature in features]
    return Statistics(counts, tuple(f.mean(1) for f in flats), tuple(f.var(1) * f.shape[1] for f in flats))


def test_a_graph_read_and_written_is_the_same_to_onnx(content: bytes) -> None:
    onnx = need("onnx")
    again = Graph.parse(content).to_bytes()
    for made in (again, frozen_graph(content), measuring_graph(content)):
        onnx.checker.check_model(onnx.load_from_string(made), full_check=True)
    before, after = onnx.load_from_string(content).graph, onnx.load_from_string(again).graph
    assert [(n.op_type, list(n.input), list(n.output)) for n in before.node] == [
        (n.op_type, list(n.input), list(n.output)) for n in after.node
    ]
    for a, b in zip(before.node, after.node, strict=True):
        assert {s.name: onnx.helper.get_attribute_value(s) for s in a.attribute} == {
            s.name: onnx.helper.get_attribute_value(s) for s in b.attribute
        }
    tensors = {t.name: onnx.numpy_helper.to_array(t) for t in before.initializer}
    for name, values in tensors.items():
        np.testing.assert_array_equal(Graph.parse(content).array(name), values)


def test_norm_sizes(content: bytes, network: NetworkFolder) -> None:
    assert norm_sizes(Graph.parse(content)) == network.norm_sizes


@pytest.mark.parametrize("broken", [b"", b"nothing", b"\x3a\x05ab", b"\x08\x08"])
def test_what_is_no_graph_is_refused(broken: bytes) -> None:
    with pytest.raises(InputError, match="expected"):
        frozen_graph(broken)


def test_a_frozen_graph_has_nothing_to_freeze(content: bytes) -> None:
    with pytest.raises(InputError, match="found none"):
        frozen_graph(frozen_graph(content))


def test_frozen_at_its_own_statistics_is_the_network(
    engine: Engine, network: NetworkFolder, content: bytes
) -> None:
    style = network.style("scream")
    # Of two positions a norm makes plus and minus one, however close they are: rounding grows with it.
    for height, width, atol in ((33, 47, 1e-4), (5, 3, 2e-3), (64, 64, 1e-4)):
        photo = np.random.default_rng(0).random((1, 3, height, width), np.float32)
        statistics = engine.measure(photo, style.vector())
        expected = oracle(content, photo, style.vector())
        assert statistics.counts == expected.counts
        for mean, other in zip(statistics.means, expected.means, strict=True):
            np.testing.assert_allclose(mean, other, rtol=0, atol=1e-4)
        for variance, other in zip(statistics.variances(), expected.variances(), strict=True):
            np.testing.assert_allclose(variance, other, rtol=1e-3, atol=1e-5)
        painting = engine.frozen().paint(photo, frozen_vector(expected, style))
        np.testing.assert_allclose(painting, engine.paint(photo, style.vector()), rtol=0, atol=atol)


def test_statistics_of_two_photos_are_joint(engine: Engine, network: NetworkFolder) -> None:
    """A black and a white photo: what merges only variances, or paints each by its own, fails here."""
    style = network.style("scream").vector()
    photos = np.stack([np.zeros((3, 16, 16), np.float32), np.ones((3, 16, 16), np.float32)])
    first = engine.measure(photos, style)
    alone = engine.measure(photos[:1], style).merge(engine.measure(photos[1:], style))
    np.testing.assert_allclose(first.means[0], alone.means[0], atol=1e-5)  # before any norm: a plain merge
    np.testing.assert_allclose(first.m2s[0], alone.m2s[0], rtol=1e-4)
    assert first.counts == alone.counts
    assert np.abs(first.means[1] - alone.means[1]).max() > 0.01, "deep statistics must see joint shallow ones"


def test_a_part_is_painted_as_in_the_whole(network: NetworkFolder) -> None:
    needs("openvino")
    stylizer, image = Stylizer("scream", network=network), random_photo(96, 128)
    frozen = stylizer.freeze(stylizer.measure([image]))
    whole, part = stylizer(image).astype(int), frozen(image[:, :64]).astype(int)
    assert np.abs(part[:, :32] - whole[:, :32]).max() <= 1
    assert np.abs(stylizer(image[:, :64])[:, :32].astype(int) - whole[:, :32]).max() > 1
    weak = stylizer.freeze(stylizer.measure([image], strength=0.5))
    assert np.abs(weak(image, strength=0.5).astype(int) - stylizer(image, strength=0.5)).max() <= 1


def test_stylizers_freeze_and_thaw(network: NetworkFolder) -> None:
    fake = Stylizer("scream", network=network, engine="fake")
    frames = [random_photo(8, 12), random_photo(8, 12)[::-1]]
    frozen = fake.freeze(fake.measure(frames))
    assert frozen.statistics is not None
    assert [len(mean) for mean in frozen.statistics.means] == list(network.norm_sizes)
    assert np.array_equal(frozen(frames[0]), 255 - frames[0])
    assert frozen.with_style("great-wave").statistics is None
    with pytest.raises(ShapeError, match="of one size, got 12 x 8, 12 x 9"):
        fake.measure([random_photo(8, 12), random_photo(9, 12)])
    with pytest.raises(ShapeError, match="got none"):
        fake.measure([])
    with pytest.raises(ShapeError, match="expected norms"):
        fake.freeze(Statistics((1,), (np.zeros(1),), (np.zeros(1),)))


def test_engines_without_a_graph_say_so() -> None:
    with pytest.raises(InputError, match="without a graph"):
        FakeEngine().measure(np.zeros((1, 3, 4, 4), np.float32), np.zeros(3, np.float32))


def test_mixtures_that_do_not_add_up_are_refused(network: NetworkFolder) -> None:
    style: Style = 0.5 * network.style("scream")
    statistics = Statistics(
        (1,) * len(style.sizes), tuple(map(np.zeros, style.sizes)), tuple(map(np.ones, style.sizes))
    )
    with pytest.raises(InputError, match="add up to 1"):
        frozen_vector(statistics, style)

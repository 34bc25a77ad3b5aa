"""Engines: one protocol, the same numbers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from stylenorm.engines import ENGINES, Engine, FakeEngine, memory, open_engine, registry
from stylenorm.errors import EngineError, InputError, MissingExtraError, ShapeError, UnknownNameError
from stylenorm.zoo import NetworkFolder
from tests.engines.tiny_network import needs, needs_winograd, random_photo, tiny_network

REAL = ("openvino", "onnxruntime", "torch", "winograd")
SIZES = ((1, 1), (1, 9), (2, 3), (5, 3), (33, 47), (64, 64), (97, 50))


@pytest.fixture(scope="module")
def network() -> NetworkFolder:
    return tiny_network()


def opened(name: str, network: NetworkFolder, **options: object) -> Engine:
    needs(*([ENGINES[name].package] if ENGINES[name].package else []))
    if name == "winograd":
        needs_winograd()

    def load_module() -> object:
        from stylenorm.export import load_network

        return load_network(network.path)

    return open_engine(name, network.graph, load_module=load_module, **options)


@pytest.fixture(scope="module", params=REAL)
def engine(request: pytest.FixtureRequest, network: NetworkFolder) -> Engine:
    return opened(request.param, network)


@pytest.fixture(scope="module")
def openvino(network: NetworkFolder) -> Engine:
    return opened("openvino", network)


@pytest.fixture(scope="module")
def vector(network: NetworkFolder) -> np.ndarray:
    return network.style("scream").vector()


@pytest.mark.parametrize("size", SIZES, ids=lambda s: f"{s[1]}x{s[0]}")
def test_engines_agree(engine: Engine, openvino: Engine, vector: np.ndarray, size: tuple[int, int]) -> None:
    photo = np.random.default_rng(0).random((1, 3, *size), np.float32)
    painting = engine.paint(photo, vector)
    assert painting.shape == photo.shape
    assert painting.dtype == np.float32
    # One pixel, as in the export's parity check: planes constant but for rounding, which norms amplify.
    atol = 2e-2 if size == (1, 1) else 1e-4
    np.testing.assert_allclose(painting, openvino.paint(photo, vector), rtol=0, atol=atol)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("size", [(5, 3), (33, 47), (64, 64)])
def test_integers_are_the_floats_rounded(
    engine: Engine, vector: np.ndarray, dtype: str, size: tuple[int, int]
) -> None:
    image = random_photo(*size, dtype)
    highest = np.iinfo(dtype).max
    photo = (image.astype(np.float64) / highest).astype(np.float32).transpose(2, 0, 1)[None]
    exact = engine.paint(photo, vector, exact=True)[0].transpose(1, 2, 0).astype(np.float64) * highest
    painting = engine.paint_image(image, vector)
    assert painting.dtype == image.dtype
    # half a level of rounding; float32 itself leaves 1e-6 of the range, which is 0.07 levels of 16 bits
    np.testing.assert_allclose(painting, exact, rtol=0, atol=0.51 if dtype == "uint8" else 2.0)


def test_a_batch_is_its_pictures(engine: Engine, vector: np.ndarray) -> None:
    photos = np.random.default_rng(1).random((2, 3, 20, 28), np.float32)
    alone = np.concatenate([engine.paint(photo[None], vector) for photo in photos])
    np.testing.assert_allclose(engine.paint(photos, vector), alone, rtol=0, atol=1e-5)


def test_the_style_is_an_input(engine: Engine, network: NetworkFolder) -> None:
    image = random_photo(24, 24)
    paintings = [engine.paint_image(image, network.style(name).vector()) for name in network.style_names()]
    assert not np.array_equal(paintings[0], paintings[1])
    identity = engine.paint_image(image, network.style("identity").vector())
    assert np.array_equal(identity, image)


def test_views_and_read_only_arrays(engine: Engine, vector: np.ndarray) -> None:
    image = random_photo(20, 31)
    expected = engine.paint_image(image, vector)
    mirrored = np.asfortranarray(image[:, ::-1])[:, ::-1]
    assert np.array_equal(engine.paint_image(mirrored, vector), expected)
    frozen = image.copy()
    frozen.setflags(write=False)
    assert np.array_equal(engine.paint_image(frozen, vector), expected)
    assert np.array_equal(image, random_photo(20, 31)), "the photo was changed"


def test_the_result_is_the_callers_own(engine: Engine, vector: np.ndarray) -> None:
    first = engine.paint_image(random_photo(16, 16), vector)
    before = first.copy()
    first_again = first
    engine.paint_image(random_photo(16, 16)[::-1], vector)
    assert np.array_equal(first_again, before)
    first[:] = 0  # writeable


@pytest.mark.parametrize(
    "photo",
    [
        np.zeros((3, 4, 4), np.float32),
        np.zeros((1, 4, 4, 3), np.float32),
        np.zeros((1, 3, 0, 4), np.float32),
        np.zeros((1, 3, 4, 4)),
        [[1.0]],
    ],
    ids=["no batch", "channels last", "empty", "float64", "a list"],
)
def test_paint_refuses_other_shapes(photo: object) -> None:
    with pytest.raises(ShapeError, match=r"expected float32 \(N, 3, H, W\), got"):
        FakeEngine().paint(photo, np.ones(3, np.float32))


@pytest.mark.parametrize(
    "image", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4, 3), np.float32)]
)
def test_paint_image_refuses_other_shapes(image: np.ndarray) -> None:
    with pytest.raises(ShapeError, match=r"expected uint8 or uint16 \(H, W, 3\), got"):
        FakeEngine().paint_image(image, np.ones(3, np.float32))


def test_a_style_of_another_length_is_refused(engine: Engine) -> None:
    with pytest.raises(ShapeError, match=r"style: expected .* for this network, got"):
        engine.paint(np.zeros((1, 3, 8, 8), np.float32), np.zeros(7, np.float32))
    with pytest.raises(ShapeError, match="float32 vector"):
        engine.paint(np.zeros((1, 3, 8, 8), np.float32), np.zeros((2, 7), np.float32))


def test_the_fake_paints_the_negative() -> None:
    image = random_photo(5, 7)
    style = np.array([0.3, 0.0], np.float32)
    with FakeEngine() as fake:
        assert np.array_equal(fake.paint_image(image, style), 255 - image)
        assert np.array_equal(fake.paint_image(image, np.array([1.0], np.float32)), image)
        assert fake.num_paintings == 2


@pytest.mark.parametrize("name", REAL)
def test_threads(name: str, network: NetworkFolder, vector: np.ndarray) -> None:
    image = random_photo(40, 40)
    with opened(name, network, threads=1) as one:
        assert one.threads == 1
        painting = one.paint_image(image, vector)
    with opened(name, network, threads=2) as two:
        assert two.threads == 2
        difference = two.paint_image(image, vector).astype(int) - painting
    assert np.abs(difference).max() <= 1


@pytest.mark.parametrize("name", REAL)
@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"precision": "f16"}, UnknownNameError, "unknown precision 'f16'.*Known: auto, bf16, f32"),
        ({"threads": 0}, InputError, "threads: expected a whole number from 1"),
    ],
)
def test_options_are_checked(
    name: str, network: NetworkFolder, options: dict[str, object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        opened(name, network, **options)


@pytest.mark.parametrize("name", ["openvino", "onnxruntime", "winograd", "auto"])
def test_a_broken_graph_is_one_error(name: str, tmp_path: Path) -> None:
    if name == "winograd":
        needs_winograd()
    elif name != "auto":
        needs(name)
    broken = tmp_path / "network.onnx"
    broken.write_bytes(b"no graph at all")
    with pytest.raises(InputError, match=r"network\.onnx: expected an exported network"):
        open_engine(name, broken)
    with pytest.raises(InputError, match="found no such file"):
        open_engine(name, tmp_path / "nothing.onnx")


def test_unknown_engine(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="unknown engine 'openvin': did you mean 'openvino'"):
        open_engine("openvin", tmp_path)


def test_torch_needs_a_module(tmp_path: Path) -> None:
    needs("torch")
    with pytest.raises(InputError, match="expected load_module"):
        open_engine("torch", tmp_path)


@pytest.mark.parametrize("name", ["openvino", "onnxruntime", "torch"])
def test_a_missing_backend_says_what_to_install(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(registry.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=rf"needs {name}: pip install"):
        open_engine(name, tmp_path)


# --- OpenVINO's own ---------------------------------------------------------------------------------------


def test_the_last_sizes_are_kept_and_memory_is_bounded(network: NetworkFolder, vector: np.ndarray) -> None:
    with opened("openvino", network) as engine:
        images = [random_photo(8 + i, 9 + i) for i in range(6)]
        first = [engine.paint_image(image, vector) for image in images]
        assert len(engine._requests) == 4
        kept = dict(engine._requests)
        again = [engine.paint_image(image, vector) for image in images[-4:]]
        assert dict(engine._requests) == kept, "nothing was compiled again"
        assert all(map(np.array_equal, again, first[-4:]))
        assert np.array_equal(engine.paint_image(images[0], vector), first[0])
        engine.paint_image(random_photo(2900, 2100), vector)
        assert len(engine._requests) == 1, "a picture beyond the limit is alone"


def test_out_of_memory_is_a_memory_error(
    network: NetworkFolder, vector: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened("openvino", network) as engine:

        def fail(key: object) -> None:
            raise RuntimeError("Exception from allocator.cpp:79:\nstd::bad_alloc")

        monkeypatch.setattr(engine, "_compile", fail)
        with pytest.raises(MemoryError, match="no memory left"):
            engine.paint_image(random_photo(4, 4), vector)


def test_what_cannot_fit_is_refused_before_linux_kills(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal: 900000 kB\nMemAvailable: 200000 kB\nSwapFree: 50000 kB\n")
    monkeypatch.setattr(memory, "_MEMINFO", meminfo)
    monkeypatch.setattr(memory, "_CGROUP", tmp_path)
    assert memory.available_bytes() == 250_000 * 1024
    memory.check_memory(4_000_000)
    with pytest.raises(MemoryError, match=r"5 megapixels need more than 0\.3 GB, 0\.3 GB are free"):
        memory.check_memory(5_000_000)
    (tmp_path / "memory.max").write_text("1000000\n")
    (tmp_path / "memory.current").write_text("400000\n")
    assert memory.available_bytes() == 600_000
    (tmp_path / "memory.max").write_text("max\n")
    assert memory.available_bytes() == 250_000 * 1024
    wide = np.broadcast_to(np.zeros((1, 1, 3), np.uint8), (2000, 2500, 3))
    with pytest.raises(MemoryError, match="are free"):
        FakeEngine().paint_image(wide, np.ones(1, np.float32))
    meminfo.unlink()
    assert memory.available_bytes() is None
    memory.check_memory(10**12)


def test_a_closed_engine_starts_anew(network: NetworkFolder, vector: np.ndarray) -> None:
    engine = opened("openvino", network)
    image = random_photo(12, 12)
    painting = engine.paint_image(image, vector)
    engine.close()
    assert np.array_equal(engine.paint_image(image, vector), painting)


def test_bf16_is_refused_where_there_is_none(network: NetworkFolder) -> None:
    from stylenorm.engines.openvino_session import openvino_core

    if "BF16" in openvino_core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        with opened("openvino", network, precision="bf16") as engine:
            assert engine.precision == "bf16"
        return
    with pytest.raises(InputError, match="expected a CPU with bfloat16 instructions"):
        opened("openvino", network, precision="bf16")
    with opened("openvino", network) as engine:
        assert engine.precision == "f32"


def test_onnxruntime_has_no_bf16(network: NetworkFolder) -> None:
    with pytest.raises(InputError, match="computes in float32"):
        opened("onnxruntime", network, precision="bf16")


def test_torch_bf16_is_close_and_exact_means_exact(network: NetworkFolder, vector: np.ndarray) -> None:
    photo = np.random.default_rng(2).random((1, 3, 32, 40), np.float32)
    with (
        opened("torch", network, precision="f32") as exact,
        opened("torch", network, precision="bf16") as fast,
    ):
        expected, actual = exact.paint(photo, vector), fast.paint(photo, vector)
    assert fast.precision == "bf16"
    assert not np.array_equal(actual, expected)
    # bfloat16 has 8 bits; measured 0.009 after the sigmoid
    np.testing.assert_allclose(actual, expected, rtol=0, atol=0.05)


def test_ctrl_c_is_survived_when_engines_have_come_and_gone(network: NetworkFolder) -> None:
    needs("openvino")
    code = (
        "import faulthandler, gc, signal, sys\n"
        "from pathlib import Path\n"
        "from stylenorm.engines import open_engine\n"
        "faulthandler.enable()\n"  # as pytest does: gives the signals a stack of their own
        "first = open_engine('openvino', Path(sys.argv[1]))\n"
        "second = open_engine('openvino', Path(sys.argv[1]))\n"
        "del first; gc.collect()\n"
        "del second; gc.collect()\n"
        "try: signal.raise_signal(signal.SIGINT)\n"
        "except KeyboardInterrupt: print('survived')\n"
    )
    default = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    done = subprocess.run(
        [sys.executable, "-c", default + code, str(network.graph)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "survived\n"), done.stderr


def test_openvino_does_not_pin_a_number_of_threads_that_is_given(
    network: NetworkFolder, vector: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Engines of one thread work side by side: were each pinned, all would share the first core."""
    needs("openvino")
    from openvino import Core

    compiled = []
    compile_model = Core.compile_model

    def watched(core: Core, *given: object) -> object:
        compiled.append(compile_model(core, *given))
        return compiled[-1]

    monkeypatch.setattr(Core, "compile_model", watched)
    with opened("openvino", network, threads=1) as engine:
        engine.paint_image(random_photo(8, 8), vector)
        engine.program(network.graph.read_bytes())(np.zeros((1, 3, 8, 8), np.float32), vector)
    assert [each.get_property("INFERENCE_NUM_THREADS") for each in compiled] == [1, 1]
    assert [each.get_property("ENABLE_CPU_PINNING") for each in compiled] == [False, False]


def test_openvino_is_imported_without_telemetry(tmp_path: Path) -> None:
    needs("openvino")
    code = (
        "import socket, sys, threading\n"
        "def refuse(*a, **k): raise SystemExit('the network was used')\n"
        "socket.socket.connect = socket.create_connection = refuse\n"
        "from stylenorm.engines.openvino_session import import_openvino\n"
        "import_openvino().Core()\n"
        "assert 'openvino_telemetry' not in sys.modules\n"
        "assert threading.active_count() == 1\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert not list(tmp_path.iterdir()), "files appeared in the home folder"


GROUP = "work/inner"


@pytest.mark.parametrize(
    ("lines", "root", "names"),
    [
        ("0::/work/inner\n", "", ("memory.max", "memory.current", "inactive_file")),
        (
            "9:cpu:/elsewhere\n4:freezer,memory:/work/inner\n0::/elsewhere\n",
            "memory",
            ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
        ),
    ],
    ids=["version 2", "version 1"],
)
@pytest.mark.parametrize("limited", ["", "work", GROUP])
def test_limits_of_control_groups(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    lines: str,
    root: str,
    names: tuple[str, str, str],
    limited: str,
) -> None:
    limit, usage, reclaimable = names
    (tmp_path / "meminfo").write_text("MemAvailable: 9000000 kB\n")
    (tmp_path / "cgroup").write_text(lines)
    groups = tmp_path / "groups"
    (groups / root / GROUP).mkdir(parents=True)
    monkeypatch.setattr(memory, "_MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(memory, "_OWN_GROUPS", tmp_path / "cgroup")
    monkeypatch.setattr(memory, "_CGROUP", groups)
    free = memory.available_bytes()
    assert free is not None
    assert free > 5e9
    for each in ("", "work", GROUP):
        place = groups / root / each
        (place / limit).write_text("1500000000\n" if each == limited else "max\n")
        (place / usage).write_text("700000000\n")
        (place / "memory.stat").write_text(f"anon 1\n{reclaimable} 200000000\nslab 3\n")
    assert memory.available_bytes() == 1_000_000_000


def test_a_group_that_this_container_does_not_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "meminfo").write_text("MemAvailable: 9000000 kB\n")
    (tmp_path / "cgroup").write_text("0::/docker/0123\n")
    (tmp_path / "memory.max").write_text("600\n")  # its own, seen as the root
    (tmp_path / "memory.current").write_text("100\n")
    monkeypatch.setattr(memory, "_MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(memory, "_OWN_GROUPS", tmp_path / "cgroup")
    monkeypatch.setattr(memory, "_CGROUP", tmp_path)
    assert memory.available_bytes() == 500


@pytest.mark.parametrize(
    ("said", "error"),
    [
        ("Exception from plugin.cpp:54:\nResource temporarily unavailable", MemoryError),
        ("Cannot allocate memory", MemoryError),
        ("Exception from core.cpp:117:\nsomething else", EngineError),
    ],
)
def test_errors_while_compiling(
    network: NetworkFolder, vector: np.ndarray, monkeypatch: pytest.MonkeyPatch, said: str, error: type
) -> None:
    with opened("openvino", network) as engine:

        def fail(key: object) -> None:
            raise RuntimeError(said)

        monkeypatch.setattr(engine, "_compile", fail)
        with pytest.raises(error) as caught:
            engine.paint_image(random_photo(4, 4), vector)
        assert "\n" not in str(caught.value)

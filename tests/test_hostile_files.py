"""Style files and network folders that are broken or meant ill: one clear line, and soon."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stylenorm import Statistics, Style, Stylizer
from stylenorm.errors import InputError
from stylenorm.graphs import check_graph
from stylenorm.graphs.onnx_file import _encoded
from stylenorm.zoo import NetworkFolder
from tests.engines.tiny_network import needs, random_photo, tiny_network


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    shutil.copytree(tiny_network().path, tmp_path / "network")
    return tmp_path / "network"


Entry = tuple[str, list[int], bytes]


def safetensors(entries: dict[str, Entry], metadata: dict[str, Any]) -> bytes:
    """A file by the format's definition: a length, a header in JSON, the tensors' bytes."""
    header: dict[str, Any] = {"__metadata__": metadata}
    at = 0
    for name, (dtype, shape, content) in entries.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + len(content)]}
        at += len(content)
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + b"".join(content for _, _, content in entries.values())


def floats(*values: float) -> Entry:
    return "F32", [len(values)], np.array(values, "<f4").tobytes()


ABOUT = {"format": "stylenorm-style-1", "name": "a", "network": "x"}
WHOLE = {"gamma.00": floats(1, 2), "beta.00": floats(0, 1), "photo_gate": floats(0)}
NAN = float("nan")


def test_the_whole_style_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes(safetensors(WHOLE, ABOUT))
    style = Style.load(tmp_path / "a.safetensors")
    assert (style.gammas[0].tolist(), style.photo_gate) == ([1, 2], 0)
    assert repr(style) == "<Style 'a', 1 norms>"


@pytest.mark.parametrize(
    ("entries", "about", "message"),
    [
        ({**WHOLE, "gamma.00": floats(NAN, 1)}, {}, "finite numbers"),
        ({**WHOLE, "beta.00": floats(float("inf"), 1)}, {}, "finite numbers"),
        ({**WHOLE, "gamma.00": floats(3e38, 1)}, {}, "finite numbers"),
        ({**WHOLE, "photo_gate": floats(NAN)}, {}, "finite numbers"),
        ({**WHOLE, "photo_gate": floats()}, {}, "broken"),
        ({**WHOLE, "photo_gate": floats(0, 1)}, {}, "broken"),
        ({**WHOLE, "photo_gate": ("F32", [], bytes(4))}, {}, "broken"),
        ({**WHOLE, "photo_gate": ("BF16", [1], bytes(2))}, {}, "type BF16, expected F32"),
        ({**WHOLE, "gamma.00": ("F8_E4M3", [2], bytes(2))}, {}, "expected F32"),
        ({**WHOLE, "gamma.00": floats(1, 2, 3)}, {}, "gamma and beta"),
        ({**WHOLE, "gamma.00": ("F32", [1, 2], bytes(8))}, {}, "gamma and beta"),
        ({"gamma.00": floats(1), "photo_gate": floats(0)}, {}, "missing"),
        ({**WHOLE, "gamma.05": floats(1)}, {}, "missing"),
        (WHOLE, {"record": "{"}, "broken"),
        (WHOLE, {"record": "[1]"}, "broken"),
        (WHOLE, {"record": "[" * 100_000}, "broken"),
        (WHOLE, {"record": 5}, "cannot read it"),
        (WHOLE, {"format": "another"}, "got another"),
        ({f"t{i}": floats() for i in range(20_000)}, {}, "20001 tensors"),
    ],
)
def test_a_style_that_is_none(
    tmp_path: Path, entries: dict[str, Entry], about: dict[str, Any], message: str
) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(safetensors(entries, {**ABOUT, **about}))
    with pytest.raises(InputError, match=message) as caught:
        Style.load(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"short",
        struct.pack("<Q", 2**63),
        struct.pack("<Q", 100) + b"{}",
        struct.pack("<Q", 8) + b"[[[[[[[[",
        struct.pack("<Q", 2) + b"[]",
        struct.pack("<Q", 4) + b"null",
        struct.pack("<Q", 8) + b'{"a":1} ',
        struct.pack("<Q", 200_000) + b"[" * 200_000,
    ],
)
def test_a_file_that_is_no_style(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(content)
    for load in (Style.load, Statistics.load):
        with pytest.raises(InputError, match="cannot read it"):
            load(path)


@pytest.mark.parametrize(
    ("counts", "mean", "m2"),
    [
        ([0], [1.0], [1.0]),
        ([-4], [1.0], [1.0]),
        ([4], [1.0], [-1.0]),
        ([4], [NAN], [1.0]),
        ([4], [1.0, 2], [1.0]),
    ],
)
def test_statistics_that_are_none(
    tmp_path: Path, counts: list[int], mean: list[float], m2: list[float]
) -> None:
    path = tmp_path / "a.safetensors"
    entries: dict[str, Entry] = {
        "counts": ("I64", [len(counts)], np.array(counts, "<i8").tobytes()),
        "mean.00": ("F64", [len(mean)], np.array(mean, "<f8").tobytes()),
        "m2.00": ("F64", [len(m2)], np.array(m2, "<f8").tobytes()),
    }
    path.write_bytes(safetensors(entries, {"format": "stylenorm-statistics-1"}))
    with pytest.raises(InputError, match="expected"):
        Statistics.load(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no pipes with names")
@pytest.mark.timeout(20)
def test_pipes_are_not_waited_for(tmp_path: Path, copied: Path) -> None:
    os.mkfifo(tmp_path / "a.safetensors")
    with pytest.raises(InputError, match="no regular file"):
        Style.load(tmp_path / "a.safetensors")
    (copied / "network.json").unlink()
    os.mkfifo(copied / "network.json")
    with pytest.raises(InputError, match="no regular file"):
        NetworkFolder.open(copied)


@pytest.mark.parametrize(
    "change",
    [
        {"norm_sizes": [10**30]},
        {"norm_sizes": [-1]},
        {"norm_sizes": [True]},
        {"norm_sizes": 5},
        {"config": 5},
        {"record": "x"},
        {"sha256": [1]},
    ],
)
def test_a_description_that_is_none(copied: Path, change: dict[str, Any]) -> None:
    description = json.loads((copied / "network.json").read_text())
    (copied / "network.json").write_text(json.dumps({**description, **change}))
    with pytest.raises(InputError, match=r"network\.json"):
        NetworkFolder.open(copied)


def test_a_description_that_is_nested(copied: Path) -> None:
    (copied / "network.json").write_text('{"a":' * 50_000)
    with pytest.raises(InputError, match="cannot be read"):
        NetworkFolder.open(copied)


def flip(path: Path, word: bytes, after: int) -> None:
    """Change one byte that stands so many bytes behind a word."""
    content = bytearray(path.read_bytes())
    at = content.index(word) + after
    content[at] ^= 0x40
    path.write_bytes(bytes(content))


def without_checksums(folder: Path) -> None:
    """As a folder of an older version has it."""
    description = json.loads((folder / "network.json").read_text())
    del description["sha256"]
    (folder / "network.json").write_text(json.dumps(description))


@pytest.mark.parametrize("file", ["network.onnx", "network.safetensors"])
@pytest.mark.parametrize("with_checksum", [True, False])
def test_altered_weights_are_refused(copied: Path, file: str, with_checksum: bool) -> None:
    if not with_checksum:
        without_checksums(copied)
    Stylizer("scream", network=copied, engine="fake")  # as they were
    if file == "network.safetensors":
        flip(copied / file, b"}}", 400)
    else:
        name = b"blocks.0.first.weight"
        content = (copied / file).read_bytes()
        # the name stands in the node that reads it, too; its tensor holds it behind field 8
        flip(copied / file, bytes([8 << 3 | 2, len(name)]) + name, len(name) + 100)
        assert content != (copied / file).read_bytes()
    with pytest.raises(InputError, match=rf"{file}: the weights were changed"):
        Stylizer("scream", network=copied, engine="fake")


def test_weights_of_another_export_are_refused(copied: Path) -> None:
    description = json.loads((copied / "network.json").read_text())
    for style in (copied / "styles").iterdir():
        content = style.read_bytes().replace(description["identity"].encode(), b"0" * 16)
        style.write_bytes(content)
    (copied / "network.json").write_text(json.dumps({**description, "identity": "0" * 16}))
    with pytest.raises(InputError, match="its identity is"):
        Stylizer("scream", network=copied, engine="fake")


# --- ONNX files, written by hand


def tensor(name: str, shape: list[int], kind: int, raw: bytes, extra: bytes = b"") -> bytes:
    dims = b"".join(_encoded(1, size) for size in shape)
    return dims + _encoded(2, kind) + _encoded(8, name.encode()) + _encoded(9, raw) + extra


def attribute(name: str, content: bytes, kind: int) -> bytes:
    return _encoded(5, _encoded(1, name.encode()) + content + _encoded(20, kind))


def node(kind: str, inputs: list[str], output: str, extra: bytes = b"") -> bytes:
    named = b"".join(_encoded(1, name.encode()) for name in inputs)
    return _encoded(1, named + _encoded(2, output.encode()) + _encoded(4, kind.encode()) + extra)


def described(name: str, sides: list[int | str]) -> bytes:
    shape = b"".join(
        _encoded(1, _encoded(1, s) if isinstance(s, int) else _encoded(2, s.encode())) for s in sides
    )
    return _encoded(1, name.encode()) + _encoded(2, _encoded(1, _encoded(1, 1) + _encoded(2, shape)))


def onnx(nodes: list[bytes], tensors: list[bytes], style_length: int, more: bytes = b"") -> bytes:
    graph = b"".join(nodes) + _encoded(2, b"g") + b"".join(_encoded(5, each) for each in tensors)
    graph += _encoded(11, described("photo", ["n", 3, "h", "w"])) + _encoded(
        11, described("style", [style_length])
    )
    graph += _encoded(12, described("painting", ["n", 3, "h", "w"]))
    return _encoded(1, 9) + _encoded(7, graph) + _encoded(8, _encoded(2, 18)) + more


def numbers(*values: int) -> bytes:
    return np.array(values, "<i8").tobytes()


BOMBS: dict[str, Callable[[], tuple[list[bytes], list[bytes]]]] = {
    "a constant of 10^11 numbers": lambda: (
        [
            node("ConstantOfShape", ["s"], "c"),
            node("ReduceMax", ["c"], "m", attribute("keepdims", _encoded(3, 0), 2)),
            node("Add", ["photo", "m"], "painting"),
        ],
        [tensor("s", [3], 7, numbers(100_000, 1000, 1000))],
    ),
    "a picture enlarged a million times": lambda: (
        [
            node("Resize", ["photo", "", "up"], "b"),
            node("Resize", ["b", "", "down"], "painting"),
        ],
        [
            tensor("up", [4], 1, np.array([1, 1, 5000, 5000], "<f4").tobytes()),
            tensor("down", [4], 1, np.array([1, 1, 1 / 5000, 1 / 5000], "<f4").tobytes()),
        ],
    ),
    "a picture doubled forty times": lambda: (
        [
            node("Concat", [f"x{i}" if i else "photo"] * 2, f"x{i + 1}", attribute("axis", _encoded(3, 1), 2))
            for i in range(40)
        ]
        + [node("Slice", ["x40", "from", "to", "axis"], "painting")],
        [
            tensor("from", [1], 7, numbers(0)),
            tensor("to", [1], 7, numbers(3)),
            tensor("axis", [1], 7, numbers(1)),
        ],
    ),
}


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
@pytest.mark.parametrize("bomb", BOMBS)
def test_a_graph_that_explodes(copied: Path, bomb: str, engine: str) -> None:
    needs(engine)
    without_checksums(copied)
    nodes, tensors = BOMBS[bomb]()
    folder = NetworkFolder.open(copied)
    (copied / "network.onnx").write_bytes(onnx(nodes, tensors, folder.style_length))
    with pytest.raises((InputError, MemoryError), match=r"million numbers|does not fit"):
        Stylizer("scream", network=copied, engine=engine)(random_photo(32, 32))


EMPTY_GRAPH = _encoded(2, b"inner")
FEW = [tensor("a", [1], 1, bytes(4))]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "0 graphs"),
        (b"\xff" * 40, "more than 64 bits"),
        (b"text, and no network", "got"),
        (
            onnx(
                [node("If", ["a"], "painting", attribute("then_branch", _encoded(6, EMPTY_GRAPH), 5))], FEW, 5
            ),
            "within",
        ),
        (onnx([node("Custom", ["a"], "painting", _encoded(7, b"org.example"))], FEW, 5), "domain"),
        (
            onnx([node("Relu", ["photo"], "painting")], [tensor("a", [10**6, 10**6], 1, bytes(4))], 5),
            "holds 4 of",
        ),
        (
            onnx([node("Relu", ["photo"], "painting")], [tensor("a", [10**9], 1, b"")[:-2]], 5),
            "does not hold",
        ),
        (onnx([node("Relu", ["photo"], "painting")], [tensor("a", [-1], 1, b"")], 5), r"shape \[-1\]"),
        (
            onnx(
                [node("Relu", ["photo"], "painting")],
                [tensor("a", [1], 1, b"", _encoded(13, _encoded(1, b"location")) + _encoded(14, 1))],
                5,
            ),
            "another file",
        ),
        (onnx([node("Relu", ["photo"], "painting")], FEW, 5, _encoded(25, b"f")), "functions"),
        (onnx([node("Relu", ["photo"], "painting")], FEW, 5)[:-9], "got"),
    ],
)
def test_a_graph_that_nobody_exported(content: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        check_graph(content, "a.onnx")
    assert str(caught.value).startswith("a.onnx: expected an exported network (ONNX), got")


def test_a_sound_graph_passes(copied: Path) -> None:
    check_graph((copied / "network.onnx").read_bytes())
    check_graph(onnx([node("Relu", ["photo"], "painting")], FEW, 5))


@pytest.mark.parametrize("content", [b"", b"garbage" * 100, "other"])
def test_a_predictor_that_is_none(copied: Path, content: Any, tmp_path: Path) -> None:
    from PIL import Image

    Image.fromarray(random_photo(40, 40)).save(tmp_path / "art.png")
    graph = (copied / "network.onnx").read_bytes() if content == "other" else content
    (copied / "predictor.onnx").write_bytes(graph)
    with pytest.raises(InputError, match=r"predictor\.onnx: expected"):
        Stylizer(tmp_path / "art.png", network=copied, engine="fake")


def test_the_shipped_checksums_are_true() -> None:
    folder = tiny_network()
    assert folder.sha256 == {"network.onnx": hashlib.sha256(folder.graph.read_bytes()).hexdigest()}

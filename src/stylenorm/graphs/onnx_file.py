"""An ONNX file as nodes and tensors, without the onnx package, which the base install does not have.

Only what a stylizer network's graph is made of is understood; the rest is carried along byte for byte. The
weights are never copied: a graph that was read, changed and written again shares them with the file's bytes.
Field numbers are those of the ONNX specification (onnx.proto3, stable since 2017); a message is a sequence
of (field << 3 | wire type, value), wire type 0 a variable-length integer, 2 a length and so many bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stylenorm.errors import InputError

__all__ = [
    "Graph",
    "Node",
    "constant",
    "message_fields",
    "packed_numbers",
    "signed_number",
    "tensor_info",
]

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_FLOAT, _INT, _STRING, _INTS = 1, 2, 3, 7  # AttributeProto.AttributeType
_DTYPES: dict[int, np.dtype[Any]] = {
    1: np.dtype("<f4"),
    7: np.dtype("<i8"),
    10: np.dtype("<f2"),
}  # TensorProto.DataType, those that networks use
_DTYPE_NUMBERS = {dtype: number for number, dtype in _DTYPES.items()}
_LONGEST_VARINT = 63
_GRAPH, _NODE, _INITIALIZER, _INPUT, _OUTPUT, _VALUE_INFO = 7, 1, 5, 11, 12, 13

Value = float | int | str | tuple[int, ...]


@dataclass(frozen=True)
class Node:
    """One operation.

    Attributes:
        kind: the operator, as ONNX names it.
        inputs: names of tensors; empty names are optional inputs left out.
        outputs: names of tensors.
        attributes: those that are numbers, texts or lists of integers.
    """

    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Value] = field(default_factory=dict)


@dataclass(frozen=True)
class Graph:
    """A network as a list of nodes in the order of computing, and the constants that they read.

    Attributes:
        nodes: each after those whose outputs it reads.
        constants: encoded tensors by name (`constant` decodes nothing: see `array`).
        inputs, outputs: encoded descriptions by name.
        header: encoded fields of the file besides the graph: versions and operator sets.
    """

    nodes: tuple[Node, ...]
    constants: dict[str, bytes]
    inputs: dict[str, bytes]
    outputs: dict[str, bytes]
    header: tuple[tuple[int, int, Any], ...]

    @classmethod
    def parse(cls, content: bytes, name: str = "graph") -> Graph:
        """Read an ONNX file's content; ``name`` is for the error.

        Raises:
            InputError: it is none, or has parts that stylizer networks do not have.
        """
        try:
            fields = list(message_fields(memoryview(content)))
            (graph,) = [value for number, _, value in fields if number == _GRAPH]
            parts = list(message_fields(graph))
            nodes = tuple(_parse_node(value) for number, _, value in parts if number == _NODE)
            return cls(
                nodes,
                {_text(value, 8): value for number, _, value in parts if number == _INITIALIZER},
                {_text(value, 1): value for number, _, value in parts if number == _INPUT},
                {_text(value, 1): value for number, _, value in parts if number == _OUTPUT},
                tuple(entry for entry in fields if entry[0] != _GRAPH),
            )
        except (ValueError, IndexError, KeyError, struct.error) as error:
            raise InputError(
                f"{name}: expected an exported network (ONNX), cannot read it: {error}"
            ) from error

    def to_bytes(self) -> bytes:
        """Return the content of an ONNX file with the constants that are used."""
        used = {name for node in self.nodes for name in node.inputs}
        parts = [_encoded(_NODE, _node_bytes(node)) for node in self.nodes]
        parts.append(_encoded(2, b"stylenorm"))
        parts += [_encoded(_INITIALIZER, value) for name, value in self.constants.items() if name in used]
        parts += [_encoded(_INPUT, value) for value in self.inputs.values()]
        parts += [_encoded(_OUTPUT, value) for value in self.outputs.values()]
        graph = _encoded(_GRAPH, b"".join(parts))
        return b"".join(_encoded(number, value, wire) for number, wire, value in self.header) + graph

    def array(self, name: str) -> NDArray[Any]:
        """Return a constant, or what a Reshape makes of one (exporters leave those of large weights).

        Raises:
            InputError: there is no such constant, or of another type than float32 and int64.
        """
        maker = next((node for node in self.nodes if name in node.outputs), None)
        if maker is not None and maker.kind == "Reshape":
            return self.array(maker.inputs[0]).reshape(self.array(maker.inputs[1]))
        if name not in self.constants:
            raise InputError(f"graph: expected {name!r} to be a constant")
        shape: list[int] = []
        raw: bytes | memoryview = b""
        dtype: np.dtype[Any] = np.dtype("V")
        numbers: list[int] = []
        for number, wire, value in message_fields(memoryview(self.constants[name])):
            if number == 1:
                shape += packed_numbers(value) if wire == _BYTES else [value]
            elif number == 2:
                dtype = _DTYPES.get(value, dtype)
            elif number in (4, 9):
                raw = value
            elif number == 7:
                numbers += packed_numbers(value) if wire == _BYTES else [signed_number(value)]
        if dtype.kind == "V":
            raise InputError(f"graph: expected {name!r} to be float32, float16 or int64")
        values = np.array(numbers, dtype) if numbers else np.frombuffer(raw, dtype)
        return values.reshape(shape)

    def producers(self) -> dict[str, Node]:
        """Return of each tensor that is computed the node that computes it."""
        return {name: node for node in self.nodes for name in node.outputs}

    def pruned(self, outputs: Sequence[str]) -> Graph:
        """Return the graph with only the nodes, constants and inputs that ``outputs`` need."""
        needed, kept = set(outputs), []
        for node in reversed(self.nodes):
            if needed & set(node.outputs):
                kept.append(node)
                needed |= set(node.inputs)
        return replace(
            self,
            nodes=tuple(reversed(kept)),
            constants={name: value for name, value in self.constants.items() if name in needed},
            inputs={name: value for name, value in self.inputs.items() if name in needed},
            outputs={name: self.outputs.get(name) or tensor_info(name, 4) for name in outputs},
        )


def constant(name: str, values: NDArray[Any]) -> bytes:
    """Encode a tensor of float32 or int64."""
    number = _DTYPE_NUMBERS[values.dtype.newbyteorder("<")]
    dims = b"".join(_encoded(1, size) for size in values.shape)
    raw = np.ascontiguousarray(values, values.dtype.newbyteorder("<")).tobytes()
    return dims + _encoded(2, number) + _encoded(8, name.encode()) + _encoded(9, raw)


def tensor_info(name: str, dims: int, dtype: str = "float32") -> bytes:
    """Describe an input or output of so many dimensions, all of any size; float32 or int64."""
    shape = b"".join(_encoded(1, _encoded(2, f"{name}_{i}".encode())) for i in range(dims))
    tensor = _encoded(1, _DTYPE_NUMBERS[np.dtype(dtype).newbyteorder("<")]) + _encoded(2, shape)
    return _encoded(1, name.encode()) + _encoded(2, _encoded(1, tensor))


def _parse_node(content: memoryview) -> Node:
    inputs, outputs, kind = [], [], ""
    attributes: dict[str, Value] = {}
    for number, _, value in message_fields(content):
        if number == 1:
            inputs.append(str(value, "utf-8"))
        elif number == 2:
            outputs.append(str(value, "utf-8"))
        elif number == 4:
            kind = str(value, "utf-8")
        elif number == 5:
            name, setting = _parse_attribute(value)
            attributes[name] = setting
        elif number == 7 and len(value):
            raise ValueError(f"an operator of domain {str(value, 'utf-8')!r}")
    return Node(kind, tuple(inputs), tuple(outputs), attributes)


def _parse_attribute(content: memoryview) -> tuple[str, Value]:
    name, kind = "", 0
    values: dict[int, Value] = {_FLOAT: 0.0, _INT: 0, _STRING: "", _INTS: ()}
    for number, wire, value in message_fields(content):
        if number == 1:
            name = str(value, "utf-8")
        elif number == 2:
            values[_FLOAT] = value
        elif number == 3:
            values[_INT] = signed_number(value)
        elif number == 4:
            values[_STRING] = str(value, "utf-8")
        elif number == 8:
            more = packed_numbers(value) if wire == _BYTES else [signed_number(value)]
            values[_INTS] = (*values[_INTS], *more)  # type: ignore[misc]  # a tuple under this key
        elif number == 20:
            kind = value
    if kind not in values:
        raise ValueError(f"attribute {name!r} of type {kind}")
    return name, values[kind]


def _node_bytes(node: Node) -> bytes:
    parts = [_encoded(1, name.encode()) for name in node.inputs]
    parts += [_encoded(2, name.encode()) for name in node.outputs]
    parts.append(_encoded(3, f"node_{node.outputs[0]}".encode()))
    parts.append(_encoded(4, node.kind.encode()))
    for name, value in node.attributes.items():
        if isinstance(value, str):
            content, kind = _encoded(4, value.encode()), _STRING
        elif isinstance(value, float):
            content, kind = _encoded(2, struct.pack("<f", value), _FIXED32), _FLOAT
        elif isinstance(value, int):
            content, kind = _encoded(3, value), _INT
        else:
            content, kind = b"".join(_encoded(8, number) for number in value), _INTS
        parts.append(_encoded(5, _encoded(1, name.encode()) + content + _encoded(20, kind)))
    return b"".join(parts)


def message_fields(content: memoryview) -> Iterator[tuple[int, int, Any]]:
    """Yield (field, wire type, value) of a message; bytes as views, a fixed 32-bit value as a float."""
    at = 0
    while at < len(content):
        key, at = _varint(content, at)
        number, wire = key >> 3, key & 7
        if wire == _VARINT:
            value, at = _varint(content, at)
            yield number, wire, value
        elif wire == _BYTES:
            size, at = _varint(content, at)
            if at + size > len(content):
                raise ValueError("it ends too early")
            yield number, wire, content[at : at + size]
            at += size
        elif wire == _FIXED32:
            yield number, wire, struct.unpack_from("<f", content, at)[0]
            at += 4
        elif wire == _FIXED64:
            yield number, wire, bytes(content[at : at + 8])
            at += 8
        else:
            raise ValueError(f"wire type {wire}")


def _varint(content: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = content[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at
        if shift > _LONGEST_VARINT:
            raise ValueError("a number of more than 64 bits")


def _encoded(number: int, value: Any, wire: int | None = None) -> bytes:
    if isinstance(value, int):
        return _varint_bytes(number << 3 | _VARINT) + _varint_bytes(value)
    if isinstance(value, float):
        return _varint_bytes(number << 3 | _FIXED32) + struct.pack("<f", value)
    if wire in (_FIXED32, _FIXED64):
        return _varint_bytes(number << 3 | wire) + bytes(value)
    return _varint_bytes(number << 3 | _BYTES) + _varint_bytes(len(value)) + bytes(value)


def _varint_bytes(value: int) -> bytes:
    value &= (1 << 64) - 1  # negative numbers are written as their 64-bit complement
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def packed_numbers(content: memoryview) -> list[int]:
    """Numbers that stand one behind the other, as repeated fields do."""
    at, numbers = 0, []
    while at < len(content):
        value, at = _varint(content, at)
        numbers.append(signed_number(value))
    return numbers


def signed_number(value: int) -> int:
    """A variable-length integer as the signed number that it means."""
    return value - (1 << 64) if value >> 63 else value


def _text(content: memoryview, wanted: int) -> str:
    return next(str(value, "utf-8") for number, _, value in message_fields(content) if number == wanted)

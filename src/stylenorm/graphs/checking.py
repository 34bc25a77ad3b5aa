"""What an ONNX file must not have before an engine may read it.

A file of a few kB can tell an engine to read other files, to nest graphs until the stack ends, or to claim
tensors that it does not hold. None of the graphs that are exported here has any of this, so a file that has
is refused, by its bytes alone. How large its tensors become is the engine's to check, once it knows the
picture's size (`stylenorm.engines`).
"""

from __future__ import annotations

import math

from stylenorm.errors import InputError
from stylenorm.graphs.onnx_file import message_fields, packed_numbers, signed_number

__all__ = ["check_graph"]

_MAX_BYTES = 2**31  # what a protobuf message can hold
_MAX_NODES = 200_000
_BYTES = 2
# TensorProto.DataType: bytes of one number; half a byte for those of 4 bits.
_ITEM_BYTES = {
    **dict.fromkeys((2, 3, 9, 17, 18, 19, 20), 1.0),
    **dict.fromkeys((4, 5, 10, 16), 2.0),
    **dict.fromkeys((1, 6, 12), 4.0),
    **dict.fromkeys((7, 11, 13, 14), 8.0),
    15: 16.0,
    **dict.fromkeys((21, 22, 23), 0.5),
}
_SUBGRAPHS = {5, 10}  # AttributeProto.AttributeType: a graph, several graphs


def check_graph(content: bytes, name: str = "graph") -> None:
    """Refuse an ONNX file that no exporter of this package would write.

    Args:
        content: the file's bytes.
        name: of the file, for the error.

    Raises:
        InputError: it is no ONNX file, or has graphs within graphs, functions of its own, operators that are
            not ONNX's, weights in other files, or tensors that claim more than they hold.
    """
    try:
        if len(content) >= _MAX_BYTES:
            raise ValueError(f"{len(content) / 1e9:.1f} GB, where an ONNX file holds at most 2")
        graphs = 0
        for number, wire, value in message_fields(memoryview(content)):
            if number == 25:
                raise ValueError("functions of its own")
            if number == 7 and wire == _BYTES:
                graphs += 1
                _check_content(value)
        if graphs != 1:
            raise ValueError(f"{graphs} graphs")
    except (ValueError, IndexError, TypeError, OverflowError) as error:
        reason = str(error) if isinstance(error, ValueError) else "it is broken"
        raise InputError(f"{name}: expected an exported network (ONNX), got {reason}") from error


def _check_content(graph: memoryview) -> None:
    nodes = 0
    for number, wire, value in message_fields(graph):
        if wire != _BYTES:
            continue
        if number == 1:
            nodes += 1
            if nodes > _MAX_NODES:
                raise ValueError(f"more than {_MAX_NODES} operators")
            _check_node(value)
        elif number == 5:
            _check_tensor(value)
        elif number == 15:
            raise ValueError("sparse tensors")


def _check_node(node: memoryview) -> None:
    for number, wire, value in message_fields(node):
        if wire != _BYTES:
            continue
        if number == 7 and bytes(value) not in (b"", b"ai.onnx"):
            raise ValueError(f"an operator of domain {bytes(value)[:40]!r}")
        if number == 5:
            _check_attribute(value)


def _check_attribute(attribute: memoryview) -> None:
    for number, wire, value in message_fields(attribute):
        if (number == 20 and wire != _BYTES and value in _SUBGRAPHS) or (
            number in (6, 11) and wire == _BYTES
        ):
            raise ValueError("graphs within graphs")
        if number in (22, 23):
            raise ValueError("sparse tensors")
        if number in (5, 10) and wire == _BYTES:
            _check_tensor(value)


def _check_tensor(tensor: memoryview) -> None:
    shape: list[int] = []
    kind, held = 0, 0
    raw = -1
    for number, wire, value in message_fields(tensor):
        if number == 1:
            shape += packed_numbers(value) if wire == _BYTES else [signed_number(value)]
        elif number == 2:
            kind = value
        elif number == 9:
            raw = len(value)
        elif number == 13 or (number == 14 and value == 1):
            raise ValueError("weights in another file; export it as one file")
        elif number in (4, 5, 6, 7, 10, 11):
            held += len(value) if wire == _BYTES else 1
    if any(size < 0 for size in shape):
        raise ValueError(f"a tensor of shape {shape}")
    count = math.prod(shape)
    wanted = math.ceil(count * _ITEM_BYTES.get(kind, 1.0))
    if raw >= 0 and raw != wanted:
        raise ValueError(f"a tensor of shape {shape} that holds {raw} of {wanted} bytes")
    if raw < 0 and count > held * 2:  # an entry takes a byte at least, and may hold two numbers of 4 bits
        raise ValueError(f"a tensor of shape {shape} that does not hold as many numbers")

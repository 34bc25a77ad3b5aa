"""A segmentation network's graph: frozen, and cut into layers that can be run slab by slab.

The exported graph of `stylenorm.networks.UNet3d` normalizes what it is given:
``InstanceNormalization(x, gamma, beta)``. Two others follow from it, in which scale and shift are inputs:

- *frozen*: the whole network with ``x * scale + shift`` in the norms' places. It gives every window of a
  volume the same statistics.
- *layers*: one small graph for each convolution before a norm, and one for what follows the last norm. Each
  reads feature maps that were left before (what norms take in, as it came out of the convolutions), and
  computes some rows of the next. Between two layers the statistics of all rows are merged, and the next layer
  gets them as scale and shift. So a volume goes through the network as a whole, exactly, in as little memory
  as a slab needs, and what is kept of it may be on the disk.

Rows are positions along the first axis of the volume. In the layers the convolutions do not pad along it:
they eat a margin of rows, which beyond the volume's ends is 0 after norm and activation, as padding is
(`INSIDE`). A network may leave axes of coarse voxels as they are: kernels of 1 or 3, strides of 1 or 2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from stylenorm.errors import InputError
from stylenorm.graphs.onnx_file import Graph, Node, tensor_info

__all__ = ["INSIDE", "Layer", "VolumeNorm", "frozen_volume_graph", "volume_layers", "volume_norms"]

INSIDE = "inside"
"""Name of the layers' input (1, 1, rows, 1, 1): 1 for rows of the volume, 0 for rows beyond its ends."""

_SHAPE = 5  # dimensions


@dataclass(frozen=True, eq=False)
class VolumeNorm:
    """One norm.

    Attributes:
        reads: the map that it normalizes.
        gamma, beta: (C,).
        eps: what it adds to the variance.
    """

    reads: str
    gamma: NDArray[np.float32]
    beta: NDArray[np.float32]
    eps: float


@dataclass(frozen=True)
class Layer:
    """One step of the network.

    To make rows a to b of the map, for even a and b (b may be the last), it reads of each map
    ``(a * n) // d - margin`` to ``(b * n) // d + margin``, where n / d is the map's ``ratio``, and what it
    gives is cropped by ``crop``.

    Attributes:
        graph: ONNX; its inputs are ``reads``, then scale and shift (1, C, 1, 1, 1) of each norm in ``norms``,
            then `INSIDE` for the rows of ``inside``, if it has one; its output is ``makes``.
        reads: names of the maps, with ratio (n, d) and margin.
        norms: numbers of the norms that are applied.
        inside: which of ``reads`` has the rows that `INSIDE` is about; None where nothing is padded.
        makes: name of the map.
        crop: rows to cut off before and after.
        like: which of ``reads`` has the grid that the map's follows from.
        strides: by which that grid is divided along each axis.
    """

    graph: bytes
    reads: tuple[tuple[str, tuple[int, int], int], ...]
    norms: tuple[int, ...]
    inside: int | None
    makes: str
    crop: tuple[int, int]
    like: int
    strides: tuple[int, int, int]


def volume_norms(graph: Graph) -> tuple[VolumeNorm, ...]:
    """Return the graph's instance norms, in the order of computing.

    Raises:
        InputError: it has none, as one with batch norm.
    """
    found = []
    for node in graph.nodes:
        if node.kind == "InstanceNormalization":
            x, gamma, beta = node.inputs
            eps = node.attributes.get("epsilon", 1e-5)
            assert isinstance(eps, float)  # noqa: S101 (ONNX says so)
            found.append(VolumeNorm(x, graph.array(gamma), graph.array(beta), eps))
    if not found:
        raise InputError("graph: expected a network with instance norms, found none")
    return tuple(found)


def frozen_volume_graph(graph: Graph) -> bytes:
    """Return the frozen graph: volume, scale and shift (1, C, 1, 1, 1) of each norm in turn -> logits."""
    nodes, names = _frozen(graph)
    return replace(graph, nodes=nodes, inputs={**graph.inputs, **_described(names)}).to_bytes()


def volume_layers(graph: Graph) -> tuple[Layer, ...]:
    """Return the network's layers, in the order of computing; the last makes the logits.

    Raises:
        InputError: the graph has no instance norms, or operations that slabs cannot be made of.
    """
    maps = [norm.reads for norm in volume_norms(graph)]
    nodes, _ = _frozen(graph)
    makers = {node.outputs[0]: node for node in nodes}
    number = {f"{kind}.{i:02d}": i for i in range(len(maps)) for kind in ("scale", "shift")}
    sources = {*maps, *graph.inputs}
    return tuple(_layer(graph, makers, number, sources, made) for made in (*maps, *graph.outputs))


def _layer(
    graph: Graph, makers: dict[str, Node], number: dict[str, int], sources: set[str], made: str
) -> Layer:
    needed: list[Node] = []
    reads: list[str] = []
    norms: list[int] = []
    waiting = [made]
    while waiting:
        node = makers[waiting.pop()]
        if node in needed:
            continue
        needed.insert(0, node)
        for name in node.inputs:
            if name in sources and name not in reads:
                reads.append(name)
            elif name in number and number[name] not in norms:
                norms.append(number[name])
            elif name in makers and name not in sources:
                waiting.append(name)
    order = list(makers.values())
    needed.sort(key=order.index)
    norms.sort()
    last = needed[-1]
    kernel, strides = _three(last, "kernel_shape"), _three(last, "strides")
    lifted = [node for node in needed if node.kind == "ConvTranspose"]
    doubled = lifted[:1] and _three(lifted[0], "strides")
    known = {"Conv", "ConvTranspose", "Mul", "Add", "LeakyRelu", "Concat"}
    if (
        {node.kind for node in needed} > known
        or last.kind != "Conv"
        or sum(node.kind == "Conv" for node in needed) != 1
        or {*kernel} - {1, 3}
        or {*strides, *doubled} - {1, 2}
        or (kernel[:1], strides[:1]) == ((1,), (2,))
    ):
        raise InputError(f"graph: cannot make {made!r} in slabs: expected the layers of a UNet3d")
    ratio, margin = (strides[0], 1), kernel[0] // 2
    if margin:  # no padding along the rows: what is beyond the ends is made 0
        y, z = kernel[1] // 2, kernel[2] // 2
        pads = {**last.attributes, "pads": (0, y, z, 0, y, z)}
        masked = Node("Mul", (last.inputs[0], INSIDE), (f"{made}.inside",))
        needed[-1:] = [masked, replace(last, inputs=(masked.outputs[0], *last.inputs[1:]), attributes=pads)]
    low = _source_of(lifted[0].inputs[0], makers, sources) if lifted else ""
    is_doubled = doubled[:1] == (2,)
    # Rows are lifted two by two: one more of the low map is two more of the others, of which one is cut off.
    beside = 2 * margin if is_doubled else margin
    placed = [
        (name, (1, 2), margin) if is_doubled and name == low else (name, ratio, beside) for name in reads
    ]
    crop = (beside - margin, beside - margin)
    like = next(i for i, name in enumerate(reads) if name != low or len(reads) == 1)
    inside = like if margin else None
    inputs = {name: graph.inputs.get(name) or tensor_info(name, _SHAPE) for name in reads}
    names = [f"{kind}.{i:02d}" for i in norms for kind in ("scale", "shift")]
    inputs |= _described([*names, *([INSIDE] if inside is not None else [])])
    part = replace(
        graph,
        nodes=tuple(needed),
        inputs=inputs,
        outputs={made: graph.outputs.get(made) or tensor_info(made, _SHAPE)},
    )
    # A stride of 2 reads one row more before than after: row j is of rows 2j - 1 to 2j + 1.
    return Layer(part.to_bytes(), tuple(placed), tuple(norms), inside, made, crop, like, strides)


def _three(node: Node, name: str) -> tuple[int, int, int]:
    """An attribute of a convolution, one number an axis; zeros where it has none."""
    numbers = node.attributes.get(name)
    if not isinstance(numbers, tuple) or len(numbers) != 3:
        return 0, 0, 0
    x, y, z = (int(number) for number in numbers)
    return x, y, z


def _source_of(name: str, makers: dict[str, Node], sources: set[str]) -> str:
    while name not in sources:
        name = makers[name].inputs[0]
    return name


def _frozen(graph: Graph) -> tuple[tuple[Node, ...], list[str]]:
    nodes: list[Node] = []
    names: list[str] = []
    for node in graph.nodes:
        if node.kind != "InstanceNormalization":
            nodes.append(node)
            continue
        (y,), i = node.outputs, len(names) // 2
        scale, shift = f"scale.{i:02d}", f"shift.{i:02d}"
        names += [scale, shift]
        nodes += [
            Node("Mul", (node.inputs[0], scale), (f"{y}.scaled",)),
            Node("Add", (f"{y}.scaled", shift), (y,)),
        ]
    return tuple(nodes), names


def _described(names: Sequence[str]) -> dict[str, bytes]:
    return {name: tensor_info(name, _SHAPE) for name in names}

"""A network's graph cut at its norms, so that a picture can be painted in tiles and still be one picture.

A norm needs statistics of the whole picture before it can go on, so the graph is cut into *stages*: each
reads feature maps that earlier stages left, and computes up to the next norms. Between two stages the
statistics of all tiles are merged; then the frozen form of those norms opens the next stage.

In the stages nothing is padded. The networks replicate their borders, and to replicate a border commutes
with everything that works position by position (norms with given statistics, ReLU, sums). So a stage reads
its tile with a margin, of real positions inside the picture and of replicated ones beyond it, and the
convolutions eat the margin. A tile is then computed by the same numbers as in the whole picture.

What is kept between stages is chosen for little room: a map that follows position by position from one other
kept map is computed again rather than kept; one that follows from several (a residual sum) is kept itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from math import ceil

import numpy as np

from stylenorm._moved import OldName
from stylenorm.errors import InputError
from stylenorm.graphs.freezing import frozen, norms_of
from stylenorm.graphs.onnx_file import Graph, Node, constant, tensor_info

__all__ = ["PHOTO", "Map", "Plan", "Stage", "cut_graph"]

PHOTO = "photo"
"""Name of the map that stages read the photo by: 3 channels, 0..1."""

Margin = tuple[int, int]  # positions before (above, left) and after (below, right)

_POINTWISE = {"Relu", "Sigmoid", "Add", "Sub", "Mul"}
_ROW_AXIS, _CHANNEL_SHAPE = "stylenorm.row_axis", "stylenorm.per_channel"


@dataclass(frozen=True)
class Map:
    """A feature map as a stage reads or leaves it.

    Attributes:
        name: of the tensor, or `PHOTO`.
        channels: how many.
        scale: positions to a pixel of the photo, along each side.
        margin: positions before and after the tile that the stage reads, or leaves and are to be cut off.
    """

    name: str
    channels: int
    scale: Fraction
    margin: Margin = (0, 0)


@dataclass(frozen=True)
class Stage:
    """One part of the network.

    Attributes:
        graph: ONNX; its inputs are the tiles of ``inputs``, float32, and the frozen vector (L,); its outputs
            the tiles of ``outputs``, then of each norm of ``measures`` mean and centred second
            moment of each row, (1, C, h, 1). Tiles are (1, h, w, C), channels last: what engines convolve
            in; OpenVINO spent a fifth of its time on the way from there and back. But the photo's are
            (1, 3, h, w).
        inputs: maps, with the margin that the stage eats.
        outputs: maps that later stages read, with the margin to cut off; of the last stage, the painting.
        measures: numbers of the norms whose input is computed here.
    """

    graph: bytes
    inputs: tuple[Map, ...]
    outputs: tuple[Map, ...]
    measures: tuple[int, ...]

    reads = OldName("Stage.reads", "inputs")
    leaves = OldName("Stage.leaves", "outputs")


@dataclass(frozen=True)
class Plan:
    """How a network is painted in tiles.

    Attributes:
        stages: in order.
        multiple: sides are padded to a multiple of this, by replication; tiles begin and end at multiples.
        radius: pixels around a tile that its painting depends on, statistics apart; a multiple of the above.
        frees: for each stage the names of the maps that no later stage reads.
    """

    stages: tuple[Stage, ...]
    multiple: int
    radius: int
    frees: tuple[tuple[str, ...], ...]

    def bytes_per_pixel(self) -> float:
        """Return the most that the kept maps take at any time, in float32."""
        kept: dict[str, float] = {}
        most = 0.0
        for stage, freed in zip(self.stages[:-1], self.frees, strict=False):
            kept |= {each.name: float(each.channels * each.scale**2 * 4) for each in stage.outputs}
            most = max(most, sum(kept.values()))
            for name in freed:
                kept.pop(name, None)
        return most


def cut_graph(content: bytes) -> Plan:
    """Cut a network's graph (``network.onnx``) into stages.

    Raises:
        InputError: it is no stylizer network, or has operations that tiles cannot be made of.
    """
    graph = Graph.parse(content)
    walk = _Walk(frozen(graph), {norm.inputs[0]: i for i, norm in enumerate(norms_of(graph))})
    stored = walk.stored()
    last = walk.stage[walk.painting]
    stages = [walk.build(number, stored) for number in range(last + 1)]
    readers: dict[str, int] = {}
    for number, stage in enumerate(stages):
        readers |= {each.name: number for each in stage.inputs}
    frees = tuple(
        tuple(name for name, number in readers.items() if number == i and name != PHOTO)
        for i in range(last + 1)
    )
    return Plan(tuple(stages), walk.multiple, walk.radius(), frees)


@dataclass
class _Walk:
    """Which tensors are maps, and of each: its stage, whether a convolution led to it there, its size."""

    graph: Graph
    norms: Mapping[str, int]
    stage: dict[str, int] = field(default_factory=dict)
    spatial: dict[str, bool] = field(default_factory=dict)
    scale: dict[str, Fraction] = field(default_factory=dict)
    channels: dict[str, int] = field(default_factory=dict)
    pads: dict[str, tuple[str, int]] = field(default_factory=dict)  # output of a Pad: its input, how much
    nodes: dict[str, Node] = field(default_factory=dict)  # those that compute maps, by output
    source: str = ""
    painting: str = ""
    multiple: int = 1

    def __post_init__(self) -> None:
        if PHOTO not in self.graph.inputs:
            raise InputError("graph: expected an input 'photo'")
        self.source = PHOTO
        self._add(PHOTO, 0, False, Fraction(1), 3)
        for node in self.graph.nodes:
            maps = [name for name in node.inputs if name in self.stage]
            if node.kind == "Mod":
                self.multiple = max(self.multiple, *(self._integer(name) for name in node.inputs))
            if maps and node.kind != "Shape":
                self._take(node, maps)
        if not self.painting:
            self.painting = next(iter(self.graph.outputs))

    def _integer(self, name: str) -> int:
        return int(self.graph.array(name).reshape(-1)[0]) if name in self.graph.constants else 1

    def _add(self, name: str, stage: int, spatial: bool, scale: Fraction, channels: int) -> None:
        self.stage[name], self.spatial[name] = stage, spatial
        self.scale[name], self.channels[name] = scale, channels

    def _take(self, node: Node, maps: Sequence[str]) -> None:
        (out, *more), first = node.outputs, maps[0]
        if more:
            raise _unknown(node)
        stage, spatial = self.stage[first], self.spatial[first]
        scale, channels = self.scale[first], self.channels[first]
        if node.kind == "Slice":  # the painting is cut to the photo's size; tiles are cut elsewhere
            self.painting = self.painting or first
            self._add(out, stage, spatial, scale, channels)
            return
        if self.painting:
            raise _unknown(node)
        if node.kind == "Pad":
            self._take_pad(node, first)
            return
        if node.kind == "Conv":
            weight = self.graph.array(node.inputs[1])
            stride = self._checked_stride(node, weight.shape)
            self._add(out, stage, True, scale / stride, weight.shape[0])
        elif node.kind == "DepthToSpace" and node.attributes.get("mode") == "CRD":
            block = node.attributes["blocksize"]
            if not isinstance(block, int):
                raise _unknown(node)
            self._add(out, stage, True, scale * block, channels // block**2)
        elif node.kind == "Mul" and first in self.norms:  # a norm, frozen: its statistics come between
            self._add(out, stage + 1, False, scale, channels)
        elif node.kind in _POINTWISE:
            stage = max(self.stage[name] for name in maps)
            kinds = {self.spatial[name] for name in maps if self.stage[name] == stage}
            # margins of the two would differ: both are kept, and read again with the same
            stage, spatial = (stage, kinds.pop()) if len(kinds) == 1 else (stage + 1, False)
            if len({self.scale[name] for name in maps}) > 1:
                raise _unknown(node)
            self._add(out, stage, spatial, scale, channels)
        else:
            raise _unknown(node)
        self.nodes[out] = node

    def _take_pad(self, node: Node, first: str) -> None:
        (out,) = node.outputs
        if node.attributes.get("mode") != "edge":
            raise _unknown(node)
        if node.inputs[1] not in self.graph.constants:  # to a multiple: the photo's, before all else
            if first != self.source or self.nodes:
                raise _unknown(node)
            self.source = out
            self._add(out, 0, False, self.scale[first], 3)
            return
        amounts = self.graph.array(node.inputs[1]).tolist()
        if amounts[:2] + amounts[4:6] != [0, 0, 0, 0] or len({*amounts[2:4], *amounts[6:]}) != 1:
            raise _unknown(node)
        # borders of what a convolution made are replicated: that is no longer so once its margin is gone
        stage = self.stage[first] + self.spatial[first]
        self.pads[out] = (first, amounts[2])
        self._add(out, stage, False, self.scale[first], self.channels[first])

    def _checked_stride(self, node: Node, shape: tuple[int, ...]) -> int:
        settings = node.attributes
        strides = settings.get("strides", (1, 1))
        if (
            not isinstance(strides, tuple)
            or len(set(strides)) != 1
            or any(settings.get("pads", ()))  # type: ignore[arg-type]  # a tuple, as the format says
            or set(settings.get("dilations", (1,))) != {1}  # type: ignore[arg-type]
            or settings.get("group", 1) != 1
            or shape[2] != shape[3]
        ):
            raise _unknown(node)
        return strides[0]

    def inputs(self, node: Node) -> list[str]:
        """The maps that a node reads, paddings apart."""
        return [self.pads.get(name, (name, 0))[0] for name in node.inputs if name in self.stage]

    def stored(self) -> set[str]:
        """The maps that one stage leaves and another reads."""
        stored = {self.source}
        roots: dict[str, set[str]] = {self.source: {self.source}}
        for out, node in self.nodes.items():  # in the order of computing
            read = set()
            for name in self.inputs(node):
                crosses = self.stage[name] < self.stage[out] or name in stored
                if crosses and (self.spatial[name] or len(roots[name]) != 1):
                    stored.add(name)
                read |= {name} if name in stored else roots[name]
            roots[out] = read
        return stored

    def build(self, number: int, stored: set[str]) -> Stage:
        """Make one stage's graph."""
        last = self.stage[self.painting] == number
        leaves = [name for name in self.nodes if name in stored and self.stage[name] == number]
        leaves += [self.painting] if last else []
        if not leaves:
            raise InputError("graph: expected each stage to leave something")
        kept, reads = self._inside(leaves, number, stored)
        needs = self._needs(kept, dict.fromkeys(leaves, 0))
        measured = [] if last else sorted(self.norms[name] for name in leaves if name in self.norms)
        by_number = {i: name for name, i in self.norms.items()}
        for i in measured:
            if needs[by_number[i]] != (0, 0):
                raise InputError(f"graph: expected norm {i} to read what the stage before leaves")
        nodes = [self._unpadded(node) for node in kept]
        used = {name for node in nodes for name in node.inputs}
        parameters = [n for n in self.graph.pruned(sorted(used - set(self.stage))).nodes if n.kind != "Shape"]
        # an input under its own name may collide with nothing: in a stage a read map has no producer
        rows: list[str] = []
        for i in measured:
            nodes += _row_statistics(by_number[i], i)
            rows += [f"row_mean_{i:02d}", f"row_m2_{i:02d}"]
        tiles_in = {name: name if name == self.source else f"{name}.last" for name in reads}
        tiles_out = {name: f"{name}.last" for name in leaves}
        first = [Node("Transpose", (t,), (n,), {"perm": (0, 3, 1, 2)}) for n, t in tiles_in.items() if t != n]
        nodes += [Node("Transpose", (n,), (t,), {"perm": (0, 2, 3, 1)}) for n, t in tiles_out.items()]
        graph = replace(
            self.graph,
            nodes=(*first, *parameters, *nodes),
            constants={**self.graph.constants, _ROW_AXIS: constant(_ROW_AXIS, np.array([3], np.int64))},
            inputs={
                **{name: tensor_info(name, 4) for name in tiles_in.values()},
                "style": self.graph.inputs["style"],
            },
            outputs={name: tensor_info(name, 4) for name in (*tiles_out.values(), *rows)},
        )
        if "style" not in {name for node in graph.nodes for name in node.inputs}:
            graph = replace(
                graph, inputs={name: info for name, info in graph.inputs.items() if name != "style"}
            )
        return Stage(
            graph.to_bytes(),
            tuple(self._map(name, needs[name]) for name in reads),
            tuple(self._map(name, needs[name]) for name in leaves),
            tuple(measured),
        )

    def _inside(self, leaves: Sequence[str], number: int, stored: set[str]) -> tuple[list[Node], list[str]]:
        """The nodes that a stage computes, in order, and the maps that it reads."""
        wanted, kept = set(leaves), []
        for out, node in reversed(self.nodes.items()):
            if out not in wanted or (out in stored and self.stage[out] < number):
                continue
            kept.append(node)
            wanted |= set(self.inputs(node))
        reads = [
            name
            for name in (self.source, *self.nodes)
            if name in wanted and name in stored and (self.stage[name] < number or name == self.source)
        ]
        return kept[::-1], reads

    def _needs(self, nodes: Sequence[Node], ends: Mapping[str, int]) -> dict[str, Margin]:
        """The margin that each map of some nodes must have, so that ``ends`` come out whole."""
        needs: dict[str, Margin] = {name: (margin, margin) for name, margin in ends.items()}
        for node in reversed(nodes):
            before, after = needs[node.outputs[0]]
            for name, padded in zip(self.inputs(node), self._padded(node), strict=True):
                margin = (before, after)
                if node.kind == "Conv":
                    size, stride = self.graph.array(node.inputs[1]).shape[2], self._stride(node)
                    margin = (before * stride + padded, after * stride + size - stride - padded)
                elif node.kind == "DepthToSpace":
                    block = int(self.scale[node.outputs[0]] / self.scale[name])
                    margin = (ceil(before / block), ceil(after / block))
                elif padded:
                    raise _unknown(node)
                known = needs.get(name, (0, 0))
                needs[name] = (max(margin[0], known[0]), max(margin[1], known[1]))
        return needs

    def _padded(self, node: Node) -> list[int]:
        return [self.pads.get(name, (name, 0))[1] for name in node.inputs if name in self.stage]

    def _stride(self, node: Node) -> int:
        return int(self.scale[self.inputs(node)[0]] / self.scale[node.outputs[0]])

    def _unpadded(self, node: Node) -> Node:
        return replace(node, inputs=tuple(self.pads.get(name, (name, 0))[0] for name in node.inputs))

    def _map(self, name: str, margin: Margin) -> Map:
        return Map(PHOTO if name == self.source else name, self.channels[name], self.scale[name], margin)

    def radius(self) -> int:
        """Pixels around a tile that its painting depends on."""
        margins = self._needs(list(self.nodes.values()), {self.painting: 0})
        return ceil(max(margins[self.source]) / self.multiple) * self.multiple


def _row_statistics(name: str, number: int) -> list[Node]:
    """Mean and centred second moment of each row: short sums, so that float32 is exact enough."""
    mean, moment = f"row_mean_{number:02d}", f"row_m2_{number:02d}"
    return [
        Node("ReduceMean", (name, _ROW_AXIS), (mean,), {"keepdims": 1}),
        Node("Sub", (name, mean), (f"{moment}.centred",)),
        Node("Mul", (f"{moment}.centred", f"{moment}.centred"), (f"{moment}.squared",)),
        Node("ReduceSum", (f"{moment}.squared", _ROW_AXIS), (moment,), {"keepdims": 1}),
    ]


def _unknown(node: Node) -> InputError:
    return InputError(
        f"graph: expected operations that pictures can be tiled with, got {node.kind} ({node.outputs[0]}); "
        "paint the picture whole, or export the network again"
    )

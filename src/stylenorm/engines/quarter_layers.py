"""A quarter network's exported graph as the convolutions that ``kernels/_c/paint.c`` runs.

All of its convolutions become 3 x 3: the first, 12 x 12 with stride 4, works on blocks of 4 x 4 pixels.
Channels are filled up with zeros to multiples of 8.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stylenorm.errors import InputError
from stylenorm.graphs import Graph, Node
from stylenorm.winograd import winograd_panels

__all__ = ["LANES", "LAST", "QuarterLayers", "quarter_layers"]

LANES = 8  # channels of a vector, as in winograd.h with AVX2
LAST = 16  # numbers that the last convolution writes for 2 x 2 pixels; 12 count
_EPS = 1e-5  # as in paint.c

Array = NDArray[np.float32]


@dataclass(frozen=True)
class QuarterLayers:
    """A network's weights, packed.

    Attributes:
        width, head: channels of the trunk and of the last norm, filled up to multiples of 8.
        weights: of each convolution: stem, two a block, head, last.
        bias: of the last one, (16,).
        sizes: channels of each norm as the style vector has them.
        measures: whether the norms measure; else the vector holds scale and shift (a frozen graph).
    """

    width: int
    head: int
    weights: tuple[Array, ...]
    bias: Array
    sizes: tuple[int, ...]
    measures: bool

    @property
    def num_blocks(self) -> int:
        """Residual blocks."""
        return (len(self.sizes) - 2) // 2

    @property
    def style_length(self) -> int:
        """Numbers in a style vector."""
        return 2 * sum(self.sizes) + 1


def quarter_layers(graph: Graph) -> QuarterLayers:
    """Read a graph of the families quarter and quarter-nearest, as exported or frozen.

    Raises:
        InputError: it is another network's.
    """
    try:
        return _Reader(graph).read()
    except (KeyError, StopIteration, ValueError, IndexError) as error:
        raise InputError(
            "engine 'winograd': expected a network of the family quarter or quarter-nearest; "
            "engine 'openvino' runs the others"
        ) from error


class _Reader:
    """Follows the features through the graph; what is not as expected is a ValueError."""

    def __init__(self, graph: Graph) -> None:
        self.graph, self.producers = graph, graph.producers()
        self.steps = self._steps()
        self.filters: list[NDArray[Any]] = []
        self.parts: list[str] = []
        self.measures: bool | None = None

    def _steps(self) -> Iterator[Node]:
        """The nodes that compute features, in order; not those that compute sizes and parts of the style."""
        features = {"photo"}
        for node in self.graph.nodes:
            if node.kind != "Shape" and features & set(node.inputs):
                features |= set(node.outputs)
                yield node

    def take(self, kind: str, *inputs: str, **attributes: object) -> Node:
        """The next node, which must be of this kind, read these features and have these attributes."""
        node = next(self.steps)
        if node.kind != kind or node.inputs[: len(inputs)] != inputs:
            raise ValueError(node)
        if any(node.attributes.get(name) != value for name, value in attributes.items()):
            raise ValueError(node)
        return node

    def conv(self, x: str, kernel: int, stride: int = 1) -> str:
        """A convolution after a border of the nearest pixels."""
        pad = self.take("Pad", x, mode="edge")
        px = (kernel - stride + 1) // 2
        if tuple(self.graph.array(pad.inputs[1])) != (0, 0, px, px, 0, 0, px, px):
            raise ValueError(pad)
        node = self.take("Conv", *pad.outputs, group=1, pads=(0,) * 4, strides=(stride,) * 2)
        if node.attributes.get("dilations", (1, 1)) != (1, 1):
            raise ValueError(node)
        self.filters.append(self.graph.array(node.inputs[1]))
        if self.filters[-1].shape[2:] != (kernel, kernel):
            raise ValueError(node)
        self.bias = self.graph.array(node.inputs[2]) if len(node.inputs) > 2 else None
        return node.outputs[0]

    def norm(self, x: str) -> str:
        """An instance norm, or the multiplication and addition that a frozen one is."""
        if self.bias is not None:
            raise ValueError("a bias before a norm")
        node = next(self.steps)
        measures = node.kind == "InstanceNormalization"
        if node.inputs[0] != x or self.measures not in (None, measures):
            raise ValueError(node)
        self.measures = measures
        if measures:
            eps = node.attributes.get("epsilon", _EPS)
            if not isinstance(eps, float) or abs(eps / _EPS - 1) > 1e-6:
                raise ValueError(node)
            self.parts += node.inputs[1:]
            return node.outputs[0]
        if node.kind != "Mul":
            raise ValueError(node)
        added = self.take("Add", *node.outputs)
        self.parts += [node.inputs[1], added.inputs[1]]
        return added.outputs[0]

    def style_part(self, name: str) -> int:
        """Which part of the style vector a tensor is."""
        while self.producers[name].kind == "Reshape":
            name = self.producers[name].inputs[0]
        split = self.producers[name]
        if split.kind != "Split" or split.inputs[0] != "style":
            raise ValueError(split)
        self.sizes = tuple(int(size) for size in self.graph.array(split.inputs[1]))
        return split.outputs.index(name)

    def read(self) -> QuarterLayers:
        whole = self.take("Pad", "photo", mode="edge").outputs[0]
        x = self.take("Relu", self.norm(self.conv(whole, 12, 4))).outputs[0]
        num_blocks = (sum(node.kind == "Conv" for node in self.graph.nodes) - 3) // 2
        for _ in range(num_blocks):
            y = self.take("Relu", self.norm(self.conv(x, 3))).outputs[0]
            change = self.norm(self.conv(y, 3))
            x = self.take("Add", x, change).outputs[0]
        y = self.take("DepthToSpace", self.conv(x, 3), mode="CRD", blocksize=2).outputs[0]
        y = self.take("Relu", self.norm(y)).outputs[0]
        y = self.take("DepthToSpace", self.conv(y, 3), mode="CRD", blocksize=2).outputs[0]
        painted = self.take("Sigmoid", y).outputs[0]
        (change,) = self.take("Sub", whole, painted).outputs
        mixed = self.take("Mul")
        if mixed.inputs[1] != change:
            raise ValueError(mixed)
        y = self.take("Add", painted, *mixed.outputs).outputs[0]
        y = self.take("Slice", self.take("Slice", y).outputs[0]).outputs[0]
        parts = [self.style_part(name) for name in (*self.parts, mixed.inputs[0])]
        if tuple(self.graph.outputs) != (y,) or parts != list(range(len(self.sizes))):
            raise ValueError(parts)
        return self.packed()

    def packed(self) -> QuarterLayers:
        stem, *trunk, head, last = self.filters
        c = stem.shape[0]
        h = head.shape[0] // 4
        shapes = [f.shape[:2] for f in self.filters]
        if shapes != [(c, 3), *[(c, c)] * len(trunk), (4 * h, c), (12, h)]:
            raise ValueError(shapes)
        bias = np.zeros(12, np.float32) if self.bias is None else self.bias  # exporters drop one of zeros
        width, head_width = c + -c % LANES, h + -h % LANES
        # (K, colour, a, dy, b, dx) to (K, dy, dx, colour, a, b)
        blocks = stem.reshape(c, 3, 3, 4, 3, 4).transpose(0, 3, 5, 1, 2, 4).reshape(c, 48, 3, 3)
        phases = _filled(head.reshape(h, 4, c, 3, 3).swapaxes(0, 1), (4, head_width, width))
        pixels = last.reshape(3, 4, h, 3, 3).swapaxes(0, 1).reshape(12, h, 3, 3)
        filters = [
            _filled(blocks, (width, 48)),
            *(_filled(f, (width, width)) for f in trunk),
            phases.reshape(4 * head_width, width, 3, 3),
            _filled(pixels, (LAST, head_width)),
        ]
        return QuarterLayers(
            width,
            head_width,
            tuple(winograd_panels(f) for f in filters),
            _filled(bias.reshape(3, 4).T.reshape(12), (LAST,)),
            self.sizes[:-1:2],
            bool(self.measures),
        )


def _filled(values: NDArray[Any], sizes: tuple[int, ...]) -> Array:
    """The first axes filled up with zeros to these sizes."""
    wide = [(0, size - have) for size, have in zip(sizes, values.shape, strict=False)]
    wide += [(0, 0)] * (values.ndim - len(sizes))
    return np.ascontiguousarray(np.pad(values, wide), dtype=np.float32)

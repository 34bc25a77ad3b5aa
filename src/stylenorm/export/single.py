"""A generator of one style -> ONNX.

Exporters reason about every layer's size, and about sizes that are first made multiples of something and then
halved again and again they reason for minutes. So what is exported takes multiples only, and the nodes that
extend the photo and crop the painting are added to the graph afterwards.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from stylenorm.export.checked import checked_graph
from stylenorm.media import atomic_write
from stylenorm.networks import SingleStyleNetwork, UlyanovNetwork

__all__ = ["export_texture", "single_style_graph"]


class _Whole(nn.Module):
    """The network on photos whose sides are multiples already."""

    def __init__(self, network: SingleStyleNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, photo: Tensor, style: Tensor) -> Tensor:
        painted = self.network.paint(photo, [])
        return painted + style * (photo - painted)  # the style is the photo gate alone


class _FromNoise(nn.Module):
    def __init__(self, network: UlyanovNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, noise: Tensor) -> Tensor:
        return self.network.paint(None, noise)


def single_style_graph(network: SingleStyleNetwork, cases: Iterable[tuple[Tensor, ...]]) -> bytes:
    """Return the graph: photo (N, 3, H, W), style (1,) -> painting (N, 3, H, W).

    Raises:
        ExportError: the graph's numbers differ from PyTorch's in one of the cases.
    """
    return checked_graph(
        _Whole(network).eval(),
        (torch.rand(2, 3, 2 * network.grid, 3 * network.grid), torch.zeros(1)),
        cases,
        name="network",
        inputs=("photo", "style"),
        output="painting",
        dynamic={"photo": _multiples(network.grid), "style": None},
        allowed=1e-4,
        finish=lambda graph: for_any_size(graph, "photo", "painting", network.grid),
        reference=network,
    )


def export_texture(network: UlyanovNetwork, out: Path) -> None:
    """Write ``texture.onnx``: noise (N, C, H, W), uniform in 0..1 -> texture (N, 3, H, W); any size.

    Raises:
        ExportError: the graph's numbers differ from PyTorch's; nothing is written.
    """
    network = network.eval()
    generator = torch.Generator().manual_seed(0)
    graph = checked_graph(
        _FromNoise(network),
        (network.noise(2, 2 * network.grid, 3 * network.grid, generator),),
        [(network.noise(*size, generator),) for size in ((1, 64, 72), (2, 33, 47))],
        name="texture",
        inputs=("noise",),
        output="texture",
        dynamic={"noise": _multiples(network.grid)},
        allowed=1e-4,
        finish=lambda graph: for_any_size(graph, "noise", "texture", network.grid),
        reference=lambda noise: network(None, noise),
    )
    with atomic_write(out / "texture.onnx", overwrite=True) as file:
        file.write(graph)


def _multiples(grid: int) -> dict[int, Any]:
    height, width = torch.export.Dim("rows", min=1), torch.export.Dim("columns", min=1)
    return {0: torch.export.Dim("batch"), 2: grid * height, 3: grid * width}


def for_any_size(content: bytes, photo: str, painting: str, multiple: int) -> bytes:
    """Return a graph for multiples with what makes it one for any size: input extended, output cropped.

    Args:
        content: the graph.
        photo: its input (N, C, H, W), which is extended to the right and below by its edge.
        painting: its output (N, C', H, W), which is cropped.
        multiple: what H and W are made multiples of.
    """
    import onnx
    from onnx import TensorProto, helper

    model = onnx.load_from_string(content)
    graph = model.graph
    inner = f"{photo}.whole", f"{painting}.whole"
    for node in graph.node:
        for names, old, new in ((node.input, photo, inner[0]), (node.output, painting, inner[1])):
            names[:] = [new if name == old else name for name in names]
        node.input[:] = [inner[1] if name == painting else name for name in node.input]

    def constant(name: str, values: list[int]) -> str:
        graph.initializer.append(helper.make_tensor(name, TensorProto.INT64, [len(values)], values))
        return name

    axes, zeros = constant("size.axes", [2, 3]), constant("size.zeros", [0] * 6)
    factor, rounding = constant("size.multiple", [multiple]), constant("size.rounding", [multiple - 1])
    before = [
        helper.make_node("Shape", [photo], ["size.shape"]),
        helper.make_node("Gather", ["size.shape", axes], ["size.sides"], axis=0),
        helper.make_node("Add", ["size.sides", rounding], ["size.more"]),
        helper.make_node("Div", ["size.more", factor], ["size.count"]),
        helper.make_node("Mul", ["size.count", factor], ["size.multiples"]),
        helper.make_node("Sub", ["size.multiples", "size.sides"], ["size.missing"]),
        helper.make_node("Concat", [zeros, "size.missing"], ["size.pads"], axis=0),
        helper.make_node("Pad", [photo, "size.pads"], [inner[0]], mode="edge"),
    ]
    starts = constant("size.starts", [0, 0])
    after = [helper.make_node("Slice", [inner[1], starts, "size.sides", axes], [painting])]
    nodes = list(graph.node)
    del graph.node[:]
    graph.node.extend([*before, *nodes, *after])
    for value in (*graph.input, *graph.output):
        if value.name in (photo, painting):
            for axis, name in ((2, "height"), (3, "width")):
                value.type.tensor_type.shape.dim[axis].Clear()
                value.type.tensor_type.shape.dim[axis].dim_param = name
    del graph.value_info[:]  # sizes of the inside, by names that are gone
    return bytes(model.SerializeToString())

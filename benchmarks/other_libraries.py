"""MNN and ncnn, where they are installed, running a stylizer network: what our own engine is compared with.

    pip install MNN ncnn && pip install --no-deps pnnx

MNN converts ``network.onnx`` itself. ncnn's converter reads a traced module, so the same graph is written
down with torch's layers, in one fixed style; sides are multiples of 4 there.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stylenorm.graphs import Graph
from stylenorm.zoo import NetworkFolder

__all__ = ["library_calls"]

Image = NDArray[np.uint8]
Call = Callable[[Image], Image]


def library_calls(
    folder: NetworkFolder, vector: NDArray[np.float32], threads: int, work: Path
) -> dict[str, Call]:
    """Return of each library that is installed what paints (H, W, 3) uint8, conversions included.

    Args:
        folder: the network's.
        vector: the style's.
        threads: how many compute.
        work: where converted models go.
    """
    calls: dict[str, Call] = {}
    if importlib.util.find_spec("MNN"):
        calls["mnn f32"] = _mnn(folder, vector, threads, work)
    if importlib.util.find_spec("ncnn") and importlib.util.find_spec("pnnx"):
        calls["ncnn f32"] = _ncnn(folder, vector, threads, work)
    return calls


def _tool(name: str, *words: str, work: Path) -> None:
    tool = Path(sys.executable).with_name(name)
    done = subprocess.run([str(tool), *words], cwd=work, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{name} failed: {done.stderr[-500:] or done.stdout[-500:]}")


def _mnn(folder: NetworkFolder, vector: NDArray[np.float32], threads: int, work: Path) -> Call:
    import MNN.nn
    from MNN import expr

    model = work / "network.mnn"
    _tool(
        "mnnconvert",
        "-f",
        "ONNX",
        "--modelFile",
        str(folder.graph.resolve()),
        "--MNNModel",
        str(model),
        "--bizCode",
        "b",
        work=work,
    )
    runtime = MNN.nn.create_runtime_manager(({"backend": "CPU", "numThread": threads, "precision": "high"},))
    network = MNN.nn.load_module_from_file(
        str(model), ["photo", "style"], ["painting"], runtime_manager=runtime
    )
    style = expr.const(vector, [len(vector)], expr.NCHW)

    def paint(image: Image) -> Image:
        photo = _photo(image)
        painting = network.forward([expr.const(photo, list(photo.shape), expr.NCHW), style])[0]
        return _image(expr.convert(painting, expr.NCHW).read())

    return paint


def _ncnn(folder: NetworkFolder, vector: NDArray[np.float32], threads: int, work: Path) -> Call:
    import ncnn

    _trace(folder, vector, work / "network.pt")
    _tool("pnnx", "network.pt", "inputshape=[1,3,64,96]", "inputshape2=[1,3,128,160]", "fp16=0", work=work)
    network = ncnn.Net()
    network.opt.num_threads = threads
    network.opt.use_fp16_packed = network.opt.use_fp16_storage = network.opt.use_fp16_arithmetic = False
    network.opt.use_bf16_storage = False
    if network.load_param(str(work / "network.ncnn.param")) or network.load_model(
        str(work / "network.ncnn.bin")
    ):
        raise RuntimeError("ncnn cannot read what pnnx wrote")

    def paint(image: Image) -> Image:
        photo = _photo(image)[0]  # which the Mat shares, and does not keep
        with network.create_extractor() as extractor:
            extractor.input("in0", ncnn.Mat(photo))
            failed, painting = extractor.extract("out0")
            if failed:
                raise RuntimeError(f"ncnn failed: {failed}")
            return _image(np.array(painting)[None])

    return paint


def _trace(folder: NetworkFolder, vector: NDArray[np.float32], path: Path) -> None:
    """Write the network down with torch's layers: the graph's convolutions, in one style."""
    import torch
    from torch import nn

    graph = Graph.parse(folder.graph.read_bytes())
    convs = [node for node in graph.nodes if node.kind == "Conv"]
    pairs: list[Any] = []
    at = 0
    for size in folder.norm_sizes:
        pairs.append((vector[at : at + size], vector[at + size : at + 2 * size]))
        at += 2 * size

    def conv(node: Any) -> list[nn.Module]:
        weight = torch.from_numpy(graph.array(node.inputs[1]).copy())
        k, c, size, _ = weight.shape
        stride = node.attributes["strides"][0]
        layer = nn.Conv2d(c, k, size, stride, bias=len(node.inputs) > 2)
        layer.weight.data = weight
        if layer.bias is not None:
            layer.bias.data = torch.from_numpy(graph.array(node.inputs[2]).copy())
        return [nn.ReplicationPad2d((size - stride + 1) // 2), layer]

    def norm() -> nn.Module:
        gamma, beta = pairs.pop(0)
        layer = nn.InstanceNorm2d(len(gamma), affine=True)
        layer.weight.data, layer.bias.data = torch.from_numpy(gamma.copy()), torch.from_numpy(beta.copy())
        return layer

    class Block(nn.Module):
        def __init__(self, first: Any, second: Any) -> None:
            super().__init__()
            self.change = nn.Sequential(*conv(first), norm(), nn.ReLU(), *conv(second), norm())

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + self.change(x)

    stem, *trunk, head, last = convs
    layers = [*conv(stem), norm(), nn.ReLU()]
    layers += [Block(a, b) for a, b in zip(trunk[::2], trunk[1::2], strict=True)]
    layers += [
        *conv(head),
        nn.PixelShuffle(2),
        norm(),
        nn.ReLU(),
        *conv(last),
        nn.PixelShuffle(2),
        nn.Sigmoid(),
    ]
    network = nn.Sequential(*layers).eval()
    with torch.no_grad():
        torch.jit.trace(network, torch.rand(1, 3, 64, 96)).save(str(path))


def _photo(image: Image) -> NDArray[np.float32]:
    return np.ascontiguousarray(image.transpose(2, 0, 1)[None], np.float32) / np.float32(255)


def _image(painting: NDArray[np.float32]) -> Image:
    return np.rint(painting[0].transpose(1, 2, 0) * np.float32(255)).astype(np.uint8)

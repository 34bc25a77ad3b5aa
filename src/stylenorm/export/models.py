"""Trained networks -> the folders that `stylenorm.models` runs; each graph is compared with PyTorch before.

The layouts of the folders are told where they are read. Where a network is large its weights are stored in
float16 and widened where they are used, which halves the files; all arithmetic is in float32.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from stylenorm.export.checked import checked_graph, rounded
from stylenorm.media import atomic_write, write_json
from stylenorm.model_folder import ADAIN, CLASSIFIER, GENERATOR, SEGMENTER
from stylenorm.models import Intensities
from stylenorm.networks import (
    ADAIN_GRID,
    AdainNetwork,
    IbnResNet,
    StylePredictor,
    UNet3d,
)
from stylenorm.networks.style_based import Equalized, StyleGenerator

__all__ = [
    "export_adain",
    "export_classifier",
    "export_generator",
    "export_predictor",
    "export_segmenter",
]


def export_adain(
    network: AdainNetwork, out: Path, record: Mapping[str, str], *, unbiased: bool = False
) -> None:
    """Write ``encoder.onnx``, ``decoder.onnx`` and ``adain.json``.

    Args:
        network: trained, on the CPU.
        out: the folder; made if it does not exist.
        record: how it was trained.
        unbiased: take the variances that it learned from, divided by n - 1.

    Raises:
        ExportError: a graph's numbers differ from PyTorch's; nothing is written.
    """
    network = network.eval()
    dims = {name: torch.export.Dim(name, min=2) for name in ("rows", "columns")}
    batch, rows, columns = torch.export.Dim("batch"), dims["rows"], dims["columns"]
    random = torch.Generator().manual_seed(0)
    shapes = ((1, 7, 3), (2, 2, 6))
    pictures = [
        (torch.rand(count, 3, ADAIN_GRID * height, ADAIN_GRID * width, generator=random),)
        for count, height, width in shapes
    ]
    with torch.no_grad():
        features = [(network.encode(picture),) for (picture,) in pictures]
    channels = network.decoder.channels
    graphs = {
        "encoder": checked_graph(
            _Encoder(network),
            (torch.rand(2, 3, 4 * ADAIN_GRID, 5 * ADAIN_GRID),),
            pictures,
            name="encoder",
            inputs=("picture",),
            output="features",
            dynamic={"picture": {0: batch, 2: ADAIN_GRID * rows, 3: ADAIN_GRID * columns}},
            allowed=1e-4,
        ),
        "decoder": checked_graph(
            network.decoder,
            (torch.rand(2, channels, 4, 5),),
            features,
            name="decoder",
            inputs=("features",),
            output="picture",
            dynamic={"features": {0: batch, 2: rows, 3: columns}},
            allowed=1e-4,
        ),
    }
    names = [str(each.name) for each in network.encoders]
    fields = {"channels": channels, "encoder": names, "unbiased": unbiased}
    ADAIN.write(out, graphs, fields, record)


def export_classifier(
    network: IbnResNet, classes: Sequence[str], size_px: int, out: Path, record: Mapping[str, str]
) -> None:
    """Write ``classifier.onnx`` and ``classifier.json``.

    Args:
        network: what was trained.
        classes: names of its outputs.
        size_px: side of the square that it sees.
        out: the folder.
        record: how it was trained.

    Raises:
        ExportError: the graph's numbers differ from PyTorch's; nothing is written.
    """
    random = torch.Generator().manual_seed(0)
    noise = torch.rand(1, 3, size_px, size_px, generator=random)
    graph = checked_graph(
        rounded(network),
        (torch.rand(1, 3, size_px, size_px),),
        [(0.5 + contrast * (noise - 0.5),) for contrast in (1.0, 0.1)],
        name="classifier",
        inputs=("picture",),
        output="classes",
        dynamic={"x": None},
        allowed=1e-3,
        half=True,
    )
    CLASSIFIER.write(out, {"classifier": graph}, {"size_px": size_px, "classes": list(classes)}, record)


def export_generator(
    network: StyleGenerator, out: Path, record: Mapping[str, str], *, mean_style: Tensor | None = None
) -> None:
    """Write ``mapping.onnx``, ``synthesis.onnx`` and ``generator.json``.

    Args:
        network: on the CPU.
        out: the folder.
        record: how it was trained.
        mean_style: (style_length,), the centre of truncation; None measures it.

    Raises:
        ExportError: a graph's numbers differ from PyTorch's; nothing is written.
    """
    baked = copy.deepcopy(network)
    for module in baked.modules():
        if isinstance(module, Equalized):
            module.bake()  # weights as they are used, not yet to be scaled
    baked = rounded(baked)
    random = torch.Generator().manual_seed(0)
    z = torch.randn(1, network.style_length, generator=random)
    with torch.no_grad():
        styles = baked.spread(baked.mapping(z)).contiguous()
    noise = baked.draw_noise(1, random)
    noise_names = (f"noise_{i}" for i in range(len(noise)))

    def graph(module: nn.Module, given: tuple[Tensor, ...], inputs: Sequence[str], output: str) -> bytes:
        return checked_graph(
            module,
            given,
            [given],
            name=output,
            inputs=inputs,
            output=output,
            dynamic={},
            allowed=2e-3,
            half=True,
        )

    graphs = {
        "mapping": graph(baked.mapping, (z,), ("latent",), "style"),
        "synthesis": graph(_Synthesis(baked), (styles, *noise), ("styles", *noise_names), "picture"),
    }
    fields = {
        "network": type(network).__name__,
        "size_px": network.size_px,
        "num_styles": network.num_styles,
        "noise_px": list(network.noise_px),
        "mean_style": (baked.mean_style() if mean_style is None else mean_style).tolist(),
    }
    GENERATOR.write(out, graphs, fields, record)


def export_predictor(
    predictor: StylePredictor, folder: Path, identity: str, record: Mapping[str, str]
) -> None:
    """Write ``predictor.onnx`` and ``predictor.json`` into a network's folder.

    Args:
        predictor: the trained predictor.
        folder: the network's folder.
        identity: of the network that the predicted styles are for.
        record: how it was trained.

    Raises:
        ExportError: the graph's numbers differ from PyTorch's; nothing is written.
    """
    height, width = (torch.export.Dim(name, min=16) for name in ("height", "width"))
    random = torch.Generator().manual_seed(0)
    graph = checked_graph(
        rounded(predictor),
        (torch.rand(1, 3, 64, 80),),
        [(torch.rand(1, 3, *size, generator=random),) for size in ((256, 320), (97, 33))],
        name="predictor",
        inputs=("painting",),
        output="style",
        dynamic={"painting": {2: height, 3: width}},
        allowed=2e-3,
        half=True,
    )
    with atomic_write(folder / "predictor.onnx", overwrite=True) as file:
        file.write(graph)
    write_json(folder / "predictor.json", {"network": identity, "record": dict(record)})


def export_segmenter(
    network: UNet3d,
    out: Path,
    *,
    window: tuple[int, int, int],
    spacing_mm: tuple[float, float, float],
    record: Mapping[str, str],
    interpolation: str | None = None,
    intensities: Sequence[Intensities] = (),
    channels: Sequence[str] = (),
) -> None:
    """Write ``segmenter.onnx`` and ``segmenter.json``.

    Args:
        network: the trained network, on the CPU; its head of the finest level is what is kept.
        out: the folder.
        window: sides of the windows that it is run on, in voxels.
        spacing_mm: of the volumes that it learned from.
        record: how it was trained.
        interpolation: how scans are brought to that spacing; None for scans as they are.
        intensities: what is done to each channel; none for mean 0 and deviation 1.
        channels: their names, if they have some.

    Raises:
        ExportError: the graph's numbers differ from PyTorch's; nothing is written.
    """
    network = copy.deepcopy(network).eval()
    multiples, num_channels = network.multiple, network.in_channels
    names = ("x", "y", "z")
    sides = [
        multiple * torch.export.Dim(name, min=1) if multiple > 1 else torch.export.Dim(name, min=2)
        for multiple, name in zip(multiples, names, strict=True)
    ]
    random = torch.Generator().manual_seed(0)

    def volume(*counts: int) -> tuple[Tensor]:
        lengths = (count * max(n, 2) for count, n in zip(counts, multiples, strict=True))
        return (torch.randn(1, num_channels, *lengths, generator=random),)

    graph = checked_graph(
        network,
        volume(2, 3, 4),
        [volume(2, 3, 2), volume(3, 2, 4)],
        name="segmenter",
        inputs=("volume",),
        output="logits",
        dynamic={"x": dict(enumerate(sides, start=2))},
        allowed=1e-3,  # measured: 1e-5, at sizes whose coarsest maps have a voxel or more
    )
    fields = {
        "num_classes": network.num_classes,
        "num_channels": num_channels,
        "channels": list(channels),
        "window": list(window),
        "multiple": list(multiples),
        "norm": network.norm,
        "spacing_mm": list(spacing_mm),
        "interpolation": interpolation,
        "intensities": [way.to_dict() for way in intensities or [Intensities()] * num_channels],
    }
    SEGMENTER.write(out, {"segmenter": graph}, fields, record)


class _Encoder(nn.Module):
    def __init__(self, network: AdainNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, picture: Tensor) -> Tensor:
        return self.network.encode(picture)


class _Synthesis(nn.Module):
    """Only the way from styles to the picture, each noise an input of its own."""

    def __init__(self, network: StyleGenerator) -> None:
        super().__init__()
        self.network = network

    def forward(self, styles: Tensor, *noise: Tensor) -> Tensor:
        return self.network.synthesize(styles, noise)

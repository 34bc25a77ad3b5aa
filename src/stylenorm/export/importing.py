"""Weights that others trained -> folders that the commands take.

A checkpoint is read by ``torch.load(weights_only=True)``, or is a safetensors file: nothing in it is run.
(Numpy's plain numbers, which nnU-Net's checkpoints have in their logs, are let in.) What network it is of is
told by its layers' names; sizes are read from its shapes. The graph that is written is compared with the
network in PyTorch, as every export is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from stylenorm.checkpoint_files import UNREADABLE
from stylenorm.errors import InputError, UnknownNameError
from stylenorm.export.importing_plans import planned_by_nnunet
from stylenorm.export.models import (
    export_adain,
    export_generator,
    export_segmenter,
)
from stylenorm.export.translators import export_label_painter, export_translator
from stylenorm.networks import CycleGanGenerator, JohnsonExamplesNetwork, SpadeGenerator, UNetGenerator
from stylenorm.networks.adain_published import published_adain
from stylenorm.networks.patch_discriminator import without_prefix
from stylenorm.networks.stylegan2_published import published_stylegan2
from stylenorm.networks.unet_3d_published import published_dynunet, published_nnunet

__all__ = ["IMPORTED", "ImportOptions", "import_weights", "read_checkpoint"]

_WRAPPERS = (
    *("state_dict", "model_state_dict", "network_weights", "g_ema", "G_ema", "params_ema", "params"),
    *("generator", "netG", "model"),
)
_LUMA = (0.299, 0.587, 0.114)  # how the authors make one channel of three


_WINDOW = (128, 128, 128)
_SPACING_MM = (1.0, 1.0, 1.0)


@dataclass(frozen=True)
class ImportOptions:
    """What a checkpoint does not say of itself.

    Attributes:
        direction: name of the direction, for networks that translate.
        scale_px: shorter side of the pictures that it learned from; None if not known.
        residual: whether CycleGAN's generator was trained to add what it makes to the picture.
        num_doublings: of SPADE's generator.
        first_class: number of the first class in label maps: 0, or 1, where 0 is the unlabelled.
        edges: whether the last channel of SPADE's labels is the edges of instances; there are none here.
        encoder: file of the encoder's weights, of pytorch-AdaIN.
        window: sides of the windows of a segmenter, in voxels; None for its plan's, or 128.
        spacing_mm: what scans are brought to; None for its plan's, or for scans as they are.
    """

    direction: str = "a-to-b"
    scale_px: int | None = None
    residual: bool = False
    num_doublings: int = 5
    first_class: int = 0
    edges: bool = False
    encoder: Path | None = None
    window: tuple[int, int, int] | None = None
    spacing_mm: tuple[float, float, float] | None = None


@dataclass(frozen=True)
class Checkpoint:
    """What a file holds.

    Attributes:
        path: the file.
        state: tensors by name, of the network alone.
        about: what else is in the file, by name.
    """

    path: Path
    state: dict[str, Tensor]
    about: Mapping[str, Any]


class _Colored(nn.Module):
    """A generator of one channel, on pictures of three."""

    luma: Tensor

    def __init__(self, network: CycleGanGenerator | UNetGenerator) -> None:
        super().__init__()
        self.network = network
        self.multiple, self.smallest_px = network.multiple, network.smallest_px
        self.register_buffer("luma", torch.tensor(_LUMA).reshape(1, 3, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        if self.network.in_channels == 1:
            x = (x * self.luma).sum(dim=1, keepdim=True)
        y: Tensor = self.network(x)
        return y.expand(-1, 3, -1, -1) if self.network.out_channels == 1 else y


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """Return a checkpoint's tensors by name; of a training's checkpoint, those of its network.

    Raises:
        InputError: it is no checkpoint, or holds something else than tensors.
    """
    return _read(path).state


def _read(path: Path) -> Checkpoint:
    from safetensors.torch import load_file

    if not path.is_file():
        raise InputError(f"{path}: expected a checkpoint, found {'a folder' if path.is_dir() else 'nothing'}")
    try:
        with torch.serialization.safe_globals(_plain_numbers()):
            content: Any = (
                load_file(path)
                if path.suffix == ".safetensors"
                else torch.load(path, weights_only=True, map_location="cpu")
            )
    except (*UNREADABLE, SafetensorError) as error:
        reason = " ".join(str(error).split())[:160] or type(error).__name__
        raise InputError(
            f"{path}: expected a checkpoint of plain tensors, cannot read it safely ({reason}); save its "
            "state_dict() where it was trained, by torch.save"
        ) from error
    about = content if isinstance(content, Mapping) else {}
    for name in _WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(name), Mapping):
            content = content[name]
    if not isinstance(content, Mapping) or not content:
        raise InputError(f"{path}: expected tensors by name, got {type(content).__name__}")
    tensors = {str(key): value for key, value in content.items() if isinstance(value, Tensor)}
    if not tensors:
        raise InputError(f"{path}: expected tensors by name, got {', '.join(map(str, list(content)[:4]))}")
    state = {key: v.float() if v.is_floating_point() else v for key, v in without_prefix(tensors).items()}
    return Checkpoint(path, state, about)


def _plain_numbers() -> list[Any]:
    """What unpickles numpy's numbers, under its names before and after numpy 2."""
    made_by = np.float64(0).__reduce__()[0]
    kinds = [type(np.dtype(name)) for name in ("float64", "float32", "int64", "int32", "bool")]
    names = ("numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar")
    return [*((made_by, name) for name in names), np.dtype, *kinds]


def import_weights(path: Path, out: Path, options: ImportOptions, kind: str | None = None) -> str:
    """Write the folder of a checkpoint's network; return what it is, one of `IMPORTED`.

    Args:
        path: the checkpoint.
        out: the folder; made if it does not exist.
        options: what the checkpoint does not say.
        kind: one of `IMPORTED`; None tells it by its layers' names.

    Raises:
        InputError: it is no checkpoint, or of no network that is known.
        ExportError: the graph's numbers differ from PyTorch's; nothing is written.
    """
    checkpoint = _read(path)
    state = checkpoint.state
    if kind is None:
        found = [name for name, (key, _) in IMPORTED.items() if key in state]
        if not found:
            names = ", ".join(list(state)[:3])
            raise InputError(
                f"{path}: expected weights of {', '.join(IMPORTED)}, got none of their layers ({names}, ...)"
            )
        kind = found[0]
    if kind not in IMPORTED:
        raise UnknownNameError("kind of network", kind, IMPORTED)
    record = {"recipe": "imported", "kind": kind, "weights": path.name, "torch": torch.__version__}
    IMPORTED[kind][1](checkpoint, out, options, record)
    return kind


def _translator(build: Callable[..., Any], *, may_be_residual: bool = False) -> Callable[..., None]:
    def write(checkpoint: Checkpoint, out: Path, options: ImportOptions, record: dict[str, str]) -> None:
        if options.residual and not may_be_residual:
            raise InputError(
                f"{checkpoint.path}: expected CycleGAN's generator with residual, got {record['kind']}"
            )
        changes = {"residual": True} if options.residual else {}
        network = build(checkpoint.state, **changes).eval()
        if getattr(network, "in_channels", 3) == 1 or getattr(network, "out_channels", 3) == 1:
            network = _Colored(network)
        scale = None if options.scale_px is None else (options.scale_px, options.scale_px)
        about = {**record, **{name: str(value) for name, value in changes.items()}}
        export_translator({options.direction: network}, out, about, scale_px=scale)

    return write


def _label_painter(checkpoint: Checkpoint, out: Path, options: ImportOptions, record: dict[str, str]) -> None:
    state = checkpoint.state
    shared = state.get("head_0.norm_0.mlp_shared.0.weight")
    first, last = state.get("fc.weight"), state.get("conv_img.weight")
    if shared is None or first is None or last is None:
        raise InputError(
            "expected a checkpoint of SPADE's generator (head_0, ..., conv_img), got other layers"
        )
    if options.edges:  # where there are none, what they would be multiplied with does not matter
        read_labels = [key for key in state if "mlp_shared.0.weight" in key]
        read_labels += ["fc.weight"] if first.dim() == 4 else []
        state = {**state, **{key: state[key][:, :-1] for key in read_labels}}
    channels = shared.shape[1] - options.edges
    has_statistics = any(key.endswith("running_mean") for key in state)
    generator = SpadeGenerator(
        channels,
        last.shape[1],
        len(shared),
        num_doublings=options.num_doublings,
        norm="batch" if has_statistics else "instance",
        latent=first.shape[1] if first.dim() == 2 else 0,
    )
    generator.load_published(state)
    scale = None if options.scale_px is None else (options.scale_px, options.scale_px)
    export_label_painter(generator.eval(), out, record, scale_px=scale, first_class=options.first_class)


def _adain(checkpoint: Checkpoint, out: Path, options: ImportOptions, record: dict[str, str]) -> None:
    if options.encoder is None:
        raise InputError(
            f"{checkpoint.path}: expected the encoder's weights with pytorch-AdaIN's decoder, got none: give "
            "vgg_normalised.pth as its encoder"
        )
    network = published_adain(checkpoint.state, read_checkpoint(options.encoder))
    export_adain(network, out, {**record, "encoder": options.encoder.name}, unbiased=True)


def _generator(
    checkpoint: Checkpoint,
    out: Path,
    options: ImportOptions,  # noqa: ARG001 (the others need it)
    record: dict[str, str],
) -> None:
    network, mean_style = published_stylegan2(checkpoint.state)
    export_generator(network, out, record, mean_style=mean_style)


def _dynunet(checkpoint: Checkpoint, out: Path, options: ImportOptions, record: dict[str, str]) -> None:
    export_segmenter(
        published_dynunet(checkpoint.state),
        out,
        window=options.window or _WINDOW,
        spacing_mm=options.spacing_mm or _SPACING_MM,
        interpolation="linear" if options.spacing_mm else None,  # as MONAI's Spacingd
        record=record,
    )


def _nnunet(checkpoint: Checkpoint, out: Path, options: ImportOptions, record: dict[str, str]) -> None:
    plan = planned_by_nnunet(checkpoint.about)
    network = published_nnunet(checkpoint.state, plan.transposed)
    spacing = options.spacing_mm or plan.spacing_mm
    export_segmenter(
        network,
        out,
        window=options.window or plan.window or _WINDOW,
        spacing_mm=spacing or _SPACING_MM,
        interpolation="cubic" if spacing else None,
        intensities=plan.intensities,
        channels=plan.channels,
        record=record,
    )


_Writer = Callable[[Checkpoint, Path, ImportOptions, dict[str, str]], None]

IMPORTED: Mapping[str, tuple[str, _Writer]] = {
    "cyclegan": (
        "model.10.conv_block.1.weight",
        _translator(CycleGanGenerator.from_published, may_be_residual=True),
    ),
    "pix2pix": ("model.model.0.weight", _translator(UNetGenerator.from_published)),
    "johnson": ("conv1.conv2d.weight", _translator(JohnsonExamplesNetwork.from_published)),
    "spade": ("head_0.norm_0.mlp_shared.0.weight", _label_painter),
    "adain": ("28.weight", _adain),
    "stylegan2": ("input.input", _generator),
    "stylegan2-ada": ("synthesis.b4.const", _generator),
    "dynunet": ("input_block.conv1.conv.weight", _dynunet),
    "nnunet": ("decoder.transpconvs.0.weight", _nnunet),
}
"""The networks whose weights are taken over: a layer's name that tells each, and what writes its folder."""

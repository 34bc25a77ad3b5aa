"""Weights of ``pytorch-AdaIN`` (naoto0804) for `AdainNetwork`: the decoder, and a VGG-19 up to relu4_1.

Both are plain sequences whose layers have numbers for names: reflected borders, convolutions, ReLU; the
encoder begins with a 1 x 1 convolution that brings RGB in 0..1 to what VGG was trained on. Its AdaIN takes
unbiased variances, which the painter does too where the folder says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch.nn.functional as F
from torch import Tensor, nn

from stylenorm.errors import InputError
from stylenorm.networks.adain import AdainDecoder, AdainNetwork

__all__ = ["PublishedEncoder", "published_adain"]

_DECODER = (1, 5, 8, 11, 14, 18, 21, 25, 28)
_ENCODER = (0, 2, 5, 9, 12, 16, 19, 22, 25, 29)
_POOLED_BEFORE = (9, 16, 29)


class PublishedEncoder(nn.Module):
    """VGG-19 up to relu4_1, with reflected borders.

    Args:
        state: the checkpoint's tensors; what comes after relu4_1 is not looked at.

    Shape: (N, 3, H, W), RGB, 0..1, H and W multiples of 8, from 16; the tap is (N, C, H / 8, W / 8).

    Raises:
        InputError: it is of another network.
    """

    name = "vgg-19-normalised"
    content_tap = "relu4_1"

    def __init__(self, state: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.convs = nn.ModuleList()
        before = 3
        for number in _ENCODER:
            weight, bias = _conv(
                state, number, before, 1 if number == 0 else 3, "encoder (vgg_normalised.pth)"
            )
            conv = nn.Conv2d(before, len(weight), weight.shape[2])
            conv.load_state_dict({"weight": weight, "bias": bias})
            self.convs.append(conv)
            before = len(weight)
        self.channels = before
        self.requires_grad_(requires_grad=False)

    def activations(self, x: Tensor) -> Iterator[tuple[str, Tensor]]:
        """Yield the one tap."""
        x = self.convs[0](x)
        for number, conv in zip(_ENCODER[1:], list(self.convs)[1:], strict=True):
            if number in _POOLED_BEFORE:
                x = F.max_pool2d(x, 2)
            x = F.relu(conv(F.pad(x, (1, 1, 1, 1), mode="reflect")))
        yield self.content_tap, x


def published_adain(decoder: Mapping[str, Tensor], encoder: Mapping[str, Tensor]) -> AdainNetwork:
    """Return the network of two checkpoints.

    Args:
        decoder: tensors of ``decoder.pth``.
        encoder: tensors of ``vgg_normalised.pth``.

    Raises:
        InputError: they are of other networks, or do not fit together.
    """
    encodes = PublishedEncoder(encoder)
    width = _conv(decoder, 28, None, 3, "decoder")[0].shape[1]
    ours = AdainDecoder(encodes.channels, width)
    found: dict[str, Tensor] = {}
    for i, (number, layer) in enumerate(zip(_DECODER, ours.layers, strict=True)):
        weight, bias = _conv(decoder, number, layer.conv.in_channels, 3, "decoder")  # type: ignore[union-attr, arg-type]
        found |= {f"layers.{i}.conv.weight": weight, f"layers.{i}.conv.bias": bias}
    wrong = [key for key, value in ours.state_dict().items() if found[key].shape != value.shape]
    if wrong:
        raise InputError(
            f"expected a decoder of pytorch-AdaIN of width {width} ({wrong[0]}: "
            f"{tuple(ours.state_dict()[wrong[0]].shape)}), got {tuple(found[wrong[0]].shape)}"
        )
    ours.load_state_dict(found)
    return AdainNetwork([encodes], ours).eval()


def _conv(
    state: Mapping[str, Tensor], number: int, before: int | None, kernel: int, what: str
) -> tuple[Tensor, Tensor]:
    weight, bias = state.get(f"{number}.weight"), state.get(f"{number}.bias")
    if weight is None or bias is None or weight.dim() != 4 or weight.shape[2:] != (kernel, kernel):
        raise InputError(
            f"expected a checkpoint of pytorch-AdaIN's {what}, got other layers ({number}.weight)"
        )
    if before is not None and weight.shape[1] != before:
        raise InputError(
            f"expected a checkpoint of pytorch-AdaIN's {what} with {before} channels into layer "
            f"{number}, got "
            f"{weight.shape[1]}"
        )
    return weight, bias

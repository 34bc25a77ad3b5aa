"""The discriminator of patches that pix2pix and CycleGAN share.

Isola, Zhu, Zhou, Efros, "Image-to-Image Translation with Conditional Adversarial Networks", CVPR 2017
(arXiv:1611.07004), section 3.2.2 and appendix 6.1.2: every number that comes out scores 70 x 70 pixels.

=================================  =======  ===========
layer (width c)                    grid     channels
=================================  =======  ===========
conv 4x4 / 2, leaky ReLU 0.2       1/2      c
conv 4x4 / 2, norm, leaky ReLU     1/4      2c
conv 4x4 / 2, norm, leaky ReLU     1/8      4c
conv 4x4, norm, leaky ReLU         1/8 - 1  8c
conv 4x4                           1/8 - 2  1
=================================  =======  ===========

With two halvings the third row is left out, and a number scores 34 x 34 pixels; with one, 16 x 16: the
paper's 16 x 16 PatchGAN and the authors' ``--n_layers_D``.

Differs from the papers: pictures are RGB in 0..1 and scaled to -1..1 inside.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from stylenorm.errors import InputError, ShapeError
from stylenorm.nn import InstanceNormAct2d

__all__ = ["PatchDiscriminator", "check_norm", "drawn_from_normal", "load_renamed", "without_prefix"]

_SLOPE = 0.2
_PUBLISHED = ("0", "2", "5", "8", "11")  # the convolutions in the authors' Sequential; each norm follows


class PatchDiscriminator(nn.Module):
    """See the module's table. Width 64 has 2,764,737 parameters, with ``affine`` and 6 channels 2,768,705.

    Args:
        channels: of the input: 3, or 6 where photo and translation are scored together.
        width: channels of the first convolution; 64 in the papers.
        affine: norms with scale and shift, as pix2pix has them; then the convolutions before them have no
            bias. Without, as CycleGAN has them.
        halvings: 3 for 70 x 70 pixels; 2 for 34 x 34, 1 for 16 x 16.
        norm: instance, or none, which is not in the papers: an instance norm takes from every picture what
            light and colour it has as a whole, so that a palette is hard to score behind it.

    Shape: (N, channels, H, W), 0..1; returns (N, 1, H/8 - 2, W/8 - 2), with other halvings H/4 - 2 or
    H/2 - 2; not bounded. H and W from 24.

    Example:
        >>> sum(p.numel() for p in PatchDiscriminator().parameters())
        2764737
    """

    smallest_px = 24

    def __init__(
        self,
        channels: int = 3,
        width: int = 64,
        *,
        affine: bool = False,
        halvings: int = 3,
        norm: str = "instance",
    ) -> None:
        super().__init__()
        check_norm(norm, affine=affine)
        if halvings not in (1, 2, 3):
            raise InputError(f"halvings: expected 1, 2 or 3, got {halvings}")
        widths = [width << i for i in range(halvings + 1)]
        pairs = zip([channels, *widths], [*widths, 1], strict=True)
        self.convs = nn.ModuleList(
            nn.Conv2d(
                a,
                b,
                4,
                2 if i < halvings else 1,
                padding=1,
                bias=i in (0, halvings + 1) or not affine,
            )
            for i, (a, b) in enumerate(pairs)
        )
        self.first_act = nn.LeakyReLU(_SLOPE)
        self.norms = nn.ModuleList(
            InstanceNormAct2d(c, affine=affine, act="leaky_relu", negative_slope=_SLOPE)
            if norm == "instance"
            else nn.LeakyReLU(_SLOPE)
            for c in widths[1:]
        )
        drawn_from_normal(self)
        if norm == "none":  # 0.02 is for layers whose scale a norm sets
            for conv in self.convs[:-1]:
                nn.init.kaiming_normal_(conv.get_parameter("weight"), _SLOPE)

    def forward(self, x: Tensor) -> Tensor:
        """Score pictures; see the class for shapes."""
        if min(x.shape[-2:]) < self.smallest_px:
            raise ShapeError(
                f"x: expected height and width of at least {self.smallest_px}, got {tuple(x.shape)}"
            )
        first, *inner, last = self.convs
        x = self.first_act(first(2 * x - 1))
        for conv, norm in zip(inner, self.norms, strict=True):
            x = norm(conv(x))
        scores: Tensor = last(x)
        return scores

    def load_published(self, state: Mapping[str, Tensor]) -> None:
        """Take the weights of the authors' PyTorch code (``model.0.weight``, ``model.2.weight``, ...).

        Raises:
            InputError: it is a checkpoint of another network.
        """
        numbers = _PUBLISHED[: len(self.convs)]
        names = {f"model.{number}": f"convs.{i}" for i, number in enumerate(numbers)}
        names |= {f"model.{int(number) + 1}": f"norms.{i}" for i, number in enumerate(numbers[1:-1])}
        load_renamed(self, state, names)


def check_norm(norm: str, *, affine: bool) -> None:
    """Refuse norms that these networks do not have."""
    if norm not in ("instance", "none") or (affine and norm == "none"):
        raise InputError(
            f"norm: expected instance, or none without affine, got {norm}{' with affine' * affine}"
        )


def drawn_from_normal(network: nn.Module) -> None:
    """Draw weights as both papers do: N(0, 0.02); scales N(1, 0.02); biases and shifts 0."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, 0.0, 0.02)
        elif isinstance(module, InstanceNormAct2d) and module.weight is not None:
            nn.init.normal_(module.weight, 1.0, 0.02)
        else:
            continue
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def load_renamed(
    network: nn.Module,
    state: Mapping[str, Tensor],
    names: Mapping[str, str],
    *,
    keep_statistics: bool = False,
) -> None:
    """Load a published checkpoint.

    Args:
        network: ours.
        state: theirs. A leading ``module.`` is dropped.
        names: their layers' names to ours.
        keep_statistics: whether running statistics are taken; else they are dropped, since what measures the
            picture at hand has none.

    Raises:
        InputError: a layer is missing, unknown, or of another shape.
    """
    found = {}
    for key, value in without_prefix(state).items():
        layer, _, kind = key.rpartition(".")
        if not keep_statistics and kind in ("running_mean", "running_var", "num_batches_tracked"):
            continue
        found[f"{names.get(layer, layer)}.{kind}"] = value
    ours = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    theirs = {key: tuple(value.shape) for key, value in found.items()}
    if ours != theirs:
        key = sorted(key for key in ours.keys() | theirs.keys() if ours.get(key) != theirs.get(key))[0]
        hint = "build it by from_published" if hasattr(network, "from_published") else _difference(key)
        raise InputError(
            f"expected a checkpoint of {type(network).__name__} with {key} {ours.get(key, 'nowhere')}, "
            f"got {theirs.get(key, 'none')}: {hint}"
        )
    network.load_state_dict(found)


def without_prefix(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a checkpoint without the ``module.`` that PyTorch's parallel wrappers put before each name."""
    return {key.removeprefix("module."): value for key, value in state.items()}


def _difference(key: str) -> str:
    if "norm" in key or key.endswith("bias"):
        return "its norms are others: with scale and shift convolutions have no bias, without them they have"
    return "build the network with the checkpoint's width, depth and channels"

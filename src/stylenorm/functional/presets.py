"""The conventions of known implementations, as keyword arguments of ``instance_norm``.

They disagree in four things: which eps, inside or outside the root, which estimator of the variance, and
whether gamma starts at one or is added to one.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

from stylenorm.errors import UnknownNameError

__all__ = ["NORM_PRESETS", "NormPreset", "norm_preset"]


@dataclass(frozen=True)
class NormPreset:
    """How one implementation normalizes."""

    eps: float
    eps_mode: str = "inside"
    correction: int = 0
    scale_offset: float = 0.0


NORM_PRESETS: dict[str, NormPreset] = {
    # naoto0804/pytorch-AdaIN: torch's var(), which is unbiased, plus eps, then the root.
    "adain": NormPreset(1e-5, correction=1),
    # AdaIN as most tutorials write it: (x - mean) / (std + eps), with torch's std(), which is unbiased.
    "adain-tutorials": NormPreset(1e-5, eps_mode="outside", correction=1),
    # jcjohnson/fast-neural-style (Lua), after texture_nets: batch norm on a reshaped batch.
    "johnson": NormPreset(1e-5),
    # keras-contrib InstanceNormalization: eps is added to the deviation.
    "keras-contrib": NormPreset(1e-3, eps_mode="outside"),
    # lengstrom/fast-style-transfer (TensorFlow): a larger eps, inside.
    "lengstrom": NormPreset(1e-3),
    # magenta's conditional instance norm (TensorFlow).
    "magenta": NormPreset(1e-5),
    # ncnn's InstanceNorm: eps inside the root; older versions added it to the deviation.
    "ncnn": NormPreset(1e-3),
    # ONNX InstanceNormalization, and WebNN's.
    "onnx": NormPreset(1e-5),
    # NVlabs/SPADE: gamma is added to one.
    "spade": NormPreset(1e-5, scale_offset=1.0),
    # clovaai/stargan-v2's AdaIN: gamma is added to one.
    "stargan-v2": NormPreset(1e-5, scale_offset=1.0),
    # NVlabs/stylegan's instance_norm and style_mod: a small eps, and the style is added to one.
    "stylegan": NormPreset(1e-8, scale_offset=1.0),
    # torch.nn.InstanceNorm*d.
    "torch": NormPreset(1e-5),
}


def norm_preset(name: str) -> dict[str, float | int | str]:
    """The keyword arguments of :func:`instance_norm` that reproduce a known implementation.

    Args:
        name: a key of ``NORM_PRESETS``.

    Raises:
        UnknownNameError: there is no such preset; the message lists those known.

    Example:
        >>> norm_preset("lengstrom")
        {'eps': 0.001, 'eps_mode': 'inside', 'correction': 0, 'scale_offset': 0.0}
    """
    if name not in NORM_PRESETS:
        raise UnknownNameError("norm preset", name, NORM_PRESETS)
    return asdict(NORM_PRESETS[name])

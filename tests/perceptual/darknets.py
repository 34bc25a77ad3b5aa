"""Feature networks of the right shapes with random weights, for tests."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

_CHANNELS = {
    "tiny-darknet": [(3, 16, 3), (16, 32, 3), (32, 16, 1), (16, 128, 3), (128, 16, 1), (16, 128, 3),
                     (128, 32, 1), (32, 256, 3), (256, 32, 1), (32, 256, 3), (256, 64, 1), (64, 512, 3)],
    "darknet-reference": [(3, 16, 3), (16, 32, 3), (32, 64, 3), (64, 128, 3), (128, 256, 3)],
}  # fmt: skip


def random_tensors(name: str) -> dict[str, Tensor]:
    """Weights that keep activations of about unit size."""
    generator = torch.Generator().manual_seed(len(name))
    tensors = {}
    for i, (c_in, c_out, kernel) in enumerate(_CHANNELS[name], start=1):
        fan_in = c_in * kernel**2
        tensors[f"conv{i}.weight"] = (
            torch.randn(c_out, c_in, kernel, kernel, generator=generator) * (2 / fan_in) ** 0.5
        )
        tensors[f"bn{i}.weight"] = torch.rand(c_out, generator=generator) + 0.5
        tensors[f"bn{i}.bias"] = torch.randn(c_out, generator=generator) * 0.1
        tensors[f"bn{i}.running_mean"] = torch.randn(c_out, generator=generator) * 0.1
        tensors[f"bn{i}.running_var"] = torch.rand(c_out, generator=generator) + 0.5
    return tensors


def write_features(folder: Path) -> None:
    """Write both networks as `stylenorm.perceptual.load_darknet` expects them."""
    for name in _CHANNELS:
        save_file(random_tensors(name), folder / f"{name}.safetensors")

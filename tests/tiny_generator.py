"""A StyleGAN2 generator folder of random weights, exported once: 16 pixels, 6 layers with styles."""

from __future__ import annotations

import functools
from pathlib import Path

import torch

from stylenorm.export import export_generator
from stylenorm.networks import StyleGan2Generator
from tests.made_once import made_once


@functools.cache
def tiny_generator() -> StyleGan2Generator:
    torch.manual_seed(0)
    network = StyleGan2Generator(16, 128, 20, 18, 2)
    for layer in network.layers:
        layer.noise_strength.data.fill_(0.1)
    for layer in network.to_rgb:
        layer.weight.data *= 0.25  # pictures in the middle of 0..1, where nothing is clipped
    return network.eval()


def tiny_generator_folder() -> Path:
    record = {"recipe": "stylegan2"}
    return made_once("generator", lambda folder: export_generator(tiny_generator(), folder, record))

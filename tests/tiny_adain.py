"""An AdaIN network that paints something in no time: a random Darknet, a random decoder of width 2."""

from __future__ import annotations

import atexit
import functools
import shutil
import tempfile
from pathlib import Path

import torch

from stylenorm.export import export_adain
from stylenorm.networks import AdainDecoder, AdainNetwork
from stylenorm.perceptual import DARKNETS, Darknet
from tests.perceptual.darknets import random_tensors

NAME = "darknet-reference"


def tiny_adain() -> AdainNetwork:
    torch.manual_seed(0)
    decoder = AdainDecoder(128, 2)
    for parameter in decoder.parameters():
        parameter.data = torch.randn_like(parameter) * (2 / max(1, parameter[0].numel())) ** 0.5
    last = decoder.layers[-1].conv
    last.weight.data *= 0.2
    last.bias.data.fill_(0.5)  # a painting in the middle of 0..1, where nothing is clipped
    return AdainNetwork([Darknet(DARKNETS[NAME], random_tensors(NAME))], decoder).eval()


@functools.cache
def tiny_adain_folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="stylenorm-tests-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    export_adain(tiny_adain(), folder, {"seed": "0"})
    return folder

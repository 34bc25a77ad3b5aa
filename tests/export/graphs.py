"""Graphs of small networks, exported once a test run."""

from __future__ import annotations

from pathlib import Path

import torch

from stylenorm.export import stylizer_to_onnx
from stylenorm.networks import NetworkConfig, StylizerNetwork, build_network
from tests.made_once import made_once

__all__ = ["graph_of", "network_of"]


def network_of(config: NetworkConfig, seed: int = 0) -> StylizerNetwork:
    """Build a network of random weights, in evaluation mode."""
    torch.manual_seed(seed)
    return build_network(config).eval()


def graph_of(config: NetworkConfig) -> bytes:
    """Return its graph, of the network with seed 0."""

    def write(folder: Path) -> None:
        folder.mkdir()
        (folder / "network.onnx").write_bytes(stylizer_to_onnx(network_of(config)))

    name = f"graph-{config.family}-{config.width}-{config.num_blocks}"
    return (made_once(name, write) / "network.onnx").read_bytes()

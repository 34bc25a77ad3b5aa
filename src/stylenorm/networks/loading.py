"""A network folder's network, in PyTorch, and what tells one network from another."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from stylenorm.errors import ExportError, InputError
from stylenorm.model_folder import NETWORK
from stylenorm.networks import StylizerNetwork, build_described

__all__ = ["load_network", "network_identity"]


def network_identity(network: StylizerNetwork) -> str:
    """Return 16 hexadecimal digits that change with the network's layers and weights."""
    digest = hashlib.sha256(json.dumps(network.config.to_dict(), sort_keys=True).encode())
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def load_network(folder: Path) -> StylizerNetwork:
    """Build the PyTorch network of a network folder, with its weights.

    Raises:
        InputError: the folder is no network folder.
        ExportError: the weights are not those that ``network.json`` names.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    with NETWORK.reading(folder) as description:
        try:
            network = build_described(description["config"])
            network.load_state_dict(load_file(folder / "network.safetensors"))
        except (OSError, RuntimeError, SafetensorError) as error:
            raise InputError(f"{folder}: expected a network folder, cannot load it: {error}") from error
    if network_identity(network) != description.get("identity"):
        raise ExportError(
            f"{folder}: expected network {description.get('identity')}, got {network_identity(network)}: "
            "network.safetensors and network.json are not of one export"
        )
    return network.eval()

"""Whether the weights of a network folder are those that it says they are."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stylenorm.errors import InputError
from stylenorm.graphs import Graph

__all__ = ["check_weights"]


def check_weights(folder: Path, identity: str, config: Mapping[str, Any], sha256: Mapping[str, str]) -> None:
    """Refuse weights that are not those of the identity; see `NetworkFolder.check_weights`."""
    for name, expected in sha256.items():
        file = folder / name
        if file.is_file() and hashlib.sha256(file.read_bytes()).hexdigest() != expected:
            raise InputError(_changed(file, "its checksum in network.json is another one"))
    weights = folder / "network.safetensors"
    if not weights.is_file():
        return
    tensors = _tensors(weights)
    digest = hashlib.sha256(json.dumps(dict(config), sort_keys=True).encode())
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(tensors[name])
    if digest.hexdigest()[:16] != identity:
        raise InputError(
            _changed(
                weights, f"its identity is {digest.hexdigest()[:16]}, that in network.json is {identity}"
            )
        )
    graph_file = folder / "network.onnx"
    if not graph_file.is_file():
        return
    graph = Graph.parse(graph_file.read_bytes(), str(graph_file))
    for name in graph.constants:
        if name in tensors and graph.array(name).tobytes() != tensors[name]:
            raise InputError(_changed(graph_file, f"{name} is not that of network.safetensors"))


def _tensors(path: Path) -> dict[str, bytes]:
    """Each tensor's bytes as they stand in the file, whatever its type is."""
    content = path.read_bytes()
    try:
        length = int.from_bytes(content[:8], "little")
        header = json.loads(content[8 : 8 + length])
        data = memoryview(content)[8 + length :]
        return {
            name: bytes(data[slice(*about["data_offsets"])])
            for name, about in header.items()
            if name != "__metadata__"
        }
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(f"{path}: expected weights (safetensors), cannot read them: {error}") from error


def _changed(file: Path, why: str) -> str:
    return f"{file}: the weights were changed or damaged, or are of another export ({why}); export them again"

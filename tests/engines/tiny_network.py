"""A tiny network folder, exported once a test run, and what tests of engines need besides."""

from __future__ import annotations

import functools
import importlib.util
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from stylenorm.zoo import NetworkFolder
from tests.made_once import made_once

__all__ = ["STYLES", "needs", "needs_winograd", "random_photo", "tiny_network"]

STYLES = ("great-wave", "scream", "starry-night")


def needs(*packages: str) -> None:
    """Skip the test if a package is missing; fail it if STYLENORM_REQUIRE promises the package."""
    promised = os.environ.get("STYLENORM_REQUIRE", "").split(",")
    for package in packages:
        if importlib.util.find_spec(package) is None:
            if package in promised:
                pytest.fail(f"STYLENORM_REQUIRE promises {package}, but it is not installed")
            pytest.skip(f"{package} is not installed")


def needs_winograd() -> None:
    """Skip the test where our own engine cannot run: no compiler, or a processor without AVX2."""
    from stylenorm.engines import winograd_engine

    library = winograd_engine.library()
    if isinstance(library, str):
        assert shutil.which("cc") is None or "processor" in library, library
        pytest.skip(library)


@functools.cache
def tiny_network() -> NetworkFolder:
    """A quarter network of width 24 with one block and random weights, three styles and the identity."""
    needs("torch", "onnx", "openvino")
    return NetworkFolder.open(made_once("stylizer", _export))


def _export(folder: Path) -> None:
    import torch

    from stylenorm.export import export_stylizer
    from stylenorm.networks import NetworkConfig, build_network

    torch.manual_seed(0)
    network = build_network(NetworkConfig("quarter", width=24, num_blocks=1))
    rng = np.random.default_rng(0)

    def vector(gate: float) -> np.ndarray:
        pairs = [(1 + 0.3 * rng.standard_normal(c), 0.3 * rng.standard_normal(c)) for c in network.norm_sizes]
        return np.concatenate([part for pair in pairs for part in pair] + [[gate]]).astype(np.float32)

    about = {name: {"artist": f"Artist of {name}", "title": name.title(), "year": "1889"} for name in STYLES}
    vectors = {"identity": vector(1.0), **{name: vector(0.0) for name in STYLES}}
    export_stylizer(network, vectors, folder, about=about, record={"seed": "0"})


def random_photo(height: int, width: int, dtype: str = "uint8", channels: int = 3) -> np.ndarray:
    """Smooth noise (H, W, channels), full range."""
    rng = np.random.default_rng(height * 1000 + width)
    values = rng.random((height, width, channels))
    return (values * np.iinfo(dtype).max).astype(dtype)

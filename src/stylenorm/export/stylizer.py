"""A trained stylizer network -> a *network folder*: what engines run, and what the zoo ships.

.. code-block:: text

    network.onnx             photo (N, 3, H, W), style (L,) -> painting (N, 3, H, W); float32, 0..1, any size
    network.safetensors      the same weights for PyTorch
    network.json             format, identity, norm sizes, configuration, noise, training record
    styles/NAME.safetensors  one `stylenorm.Style` each; "identity" gives the photo back

One graph paints every style, mixture and strength, since the style is an input. Before anything is written,
the graph is run beside PyTorch on odd sizes and a batch; a difference is an error, never a warning.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from stylenorm.export.checked import checked_graph
from stylenorm.export.single import single_style_graph
from stylenorm.media import atomic_write
from stylenorm.model_folder import NETWORK
from stylenorm.networks import SingleStyleNetwork, StylizerNetwork
from stylenorm.networks.loading import network_identity
from stylenorm.style import Style

__all__ = ["export_stylizer", "stylizer_to_onnx"]

_PARITY_CASES = ((1, 64, 72), (2, 33, 47), (1, 5, 3), (1, 1, 1))  # batch, height, width
# Pictures of a few pixels make planes that are constant but for rounding, which instance norm amplifies by
# 1 / sqrt(eps) in each layer until nothing else is left: two right answers may then differ by anything.
# Gammas smaller by as much leave rounding as it was, and betas, which are all that such planes should give,
# can be compared.
_FEW_PX = 8
_GAMMA_OF_FEW_PX = 1e-5**0.5


def stylizer_to_onnx(network: StylizerNetwork) -> bytes:
    """Return the network as one ONNX graph, checked against PyTorch.

    Raises:
        ExportError: the graph's numbers differ from PyTorch's.
    """
    network = network.eval()
    cases = list(_parity_cases(network))
    if isinstance(network, SingleStyleNetwork):
        return single_style_graph(network, cases)
    dims = {0: torch.export.Dim("batch"), 2: torch.export.Dim("height"), 3: torch.export.Dim("width")}
    return checked_graph(
        network,
        (torch.rand(1, 3, 64, 72), _random_style(network)),
        cases,
        name="network",
        inputs=("photo", "style"),
        output="painting",
        dynamic={"photo": dims, "style": None},
        # Measured: below 1e-5 for OpenVINO and ONNX Runtime; half a grey level of 8 bits is 2e-3.
        allowed=1e-4,
    )


def export_stylizer(
    network: StylizerNetwork,
    styles: Mapping[str, NDArray[np.float32]],
    out: Path,
    *,
    about: Mapping[str, Mapping[str, str]],
    record: Mapping[str, str],
    noise: float = 0.0,
) -> None:
    """Write a network folder; see the module's docstring.

    Args:
        network: the trained network.
        styles: style vectors (L,) by name; one of them is ``"identity"``.
        out: the folder; made if it does not exist.
        about: artist, title, year and licence by name of the style.
        record: how network and styles were trained.
        noise: how much noise photos got in training (`stylenorm.noise`): they get as much when they are
            painted.

    Raises:
        ExportError: the graph's numbers differ from PyTorch's; nothing is written.
    """
    from safetensors.torch import save

    graph = stylizer_to_onnx(network)
    identity = network_identity(network)
    with atomic_write(out / "network.safetensors", overwrite=True) as file:
        file.write(save({k: v.detach().cpu().contiguous() for k, v in network.state_dict().items()}))
    for name, vector in styles.items():
        texts = {**about.get(name, {}), "name": name, "network": identity}
        style = Style.from_vector(vector, network.norm_sizes, record=record, **texts)
        with atomic_write(out / "styles" / f"{name}.safetensors", overwrite=True) as file:
            file.write(style.to_bytes())
    fields = {
        "identity": identity,
        "norm_sizes": network.norm_sizes,
        "config": network.config.to_dict(),
        "noise": noise,
        "sha256": {"network.onnx": hashlib.sha256(graph).hexdigest()},
    }
    NETWORK.write(out, {"network": graph}, fields, record)


def _random_style(network: StylizerNetwork) -> torch.Tensor:
    """A style that keeps activations of unit size, with all the parts that a real one has."""
    generator = torch.Generator().manual_seed(0)
    return torch.randn(network.style_length, generator=generator) * 0.5 + 0.5


def _with_small_gammas(style: torch.Tensor, norm_sizes: Sequence[int]) -> torch.Tensor:
    factors = [torch.tensor([_GAMMA_OF_FEW_PX, 1.0]).repeat_interleave(size) for size in norm_sizes]
    return style * torch.cat([*factors, torch.ones(1)])


def _parity_cases(network: StylizerNetwork) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    random = torch.Generator().manual_seed(1)
    for count, height, width in _PARITY_CASES:
        if min(height, width) < network.smallest_px:
            continue
        style = _random_style(network)
        if min(height, width) < _FEW_PX:
            style = _with_small_gammas(style, network.norm_sizes)
        yield torch.rand(count, 3, height, width, generator=random), style

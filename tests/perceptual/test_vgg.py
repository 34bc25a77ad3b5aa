"""VGG against torch's own layers in torchvision's order, and its weights from a server on loopback."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from stylenorm.errors import DownloadError, InputError, UnknownNameError
from stylenorm.perceptual import VGGS, PerceptualLoss, Vgg, load_features, load_vgg
from stylenorm.perceptual import vgg as module
from tests.perceptual.test_download import Server, cache_folder
from tests.perceptual.test_download import server as server  # a fixture
from tests.tolerances import assert_close

# Where torchvision pools ("M") in its two networks; of VGG-16, which ships, the part that is there.
LAYOUTS = {
    "vgg16": [64, 64, "M", 128, 128, "M", *[256] * 3, "M", 512],
    "vgg19": [64, 64, "M", 128, 128, "M", *[256] * 4, "M", *[512] * 4, "M", *[512] * 4, "M"],
}


def layers(name: str, pool: nn.Module) -> nn.Sequential:
    """Torchvision's ``features``, with random weights that keep activations of about unit size."""
    torch.manual_seed(len(name))
    made: list[nn.Module] = []
    c_in = 3
    for width in LAYOUTS[name]:
        if width == "M":
            made.append(pool)
        else:
            conv = nn.utils.skip_init(nn.Conv2d, c_in, width, 3, padding=1)
            nn.init.normal_(conv.weight, std=(2 / (9 * c_in)) ** 0.5)
            nn.init.normal_(conv.bias, std=0.1)
            made += [conv, nn.ReLU()]
            c_in = int(width)
    return nn.Sequential(*made).requires_grad_(False)


def state(features: nn.Sequential) -> dict[str, Tensor]:
    return {f"features.{key}": value for key, value in features.state_dict().items()}


@pytest.mark.parametrize(("name", "pool"), [("vgg16", "max"), ("vgg19", "average")])
def test_taps_are_torchvisions_activations(name: str, pool: str) -> None:
    features = layers(name, nn.MaxPool2d(2) if pool == "max" else nn.AvgPool2d(2))
    network = Vgg(VGGS[name], state(features), pool=pool)  # type: ignore[arg-type]
    x = torch.rand(1, 3, 36, 48)
    found = network(x, list(network.convs))
    y = (x - torch.tensor([0.485, 0.456, 0.406])[:, None, None]) / torch.tensor([0.229, 0.224, 0.225])[
        :, None, None
    ]
    block, number = 1, 0
    for layer in features:
        y = layer(y)
        if isinstance(layer, nn.ReLU):
            number += 1
            # Winograd's convolutions: errors of 1e-5 of the largest value were seen.
            scale = float(y.abs().max())
            assert_close(found.pop(f"relu{block}_{number}"), y, rtol=0, atol=5e-5 * scale)
        elif not isinstance(layer, nn.Conv2d):
            block, number = block + 1, 0
    assert not found
    content, deepest, smallest = ("relu3_3", "relu4_1", 8) if name == "vgg16" else ("relu4_2", "relu5_1", 16)
    assert (network.content_tap, network.style_taps[-1], network.smallest_px) == (content, deepest, smallest)
    assert network(torch.rand(1, 3, smallest, smallest))[deepest].shape == (1, 512, 1, 1)
    assert not any(p.requires_grad for p in network.parameters())


def test_johnsons_taps_and_unknown_ones() -> None:
    tensors = state(layers("vgg16", nn.MaxPool2d(2)))
    network = Vgg(VGGS["vgg16"], tensors, content_tap="relu3_3", style_taps=("relu1_2", "relu2_2"))
    assert set(network(torch.rand(1, 3, 4, 4))) == {"relu3_3", "relu1_2", "relu2_2"}
    with pytest.raises(UnknownNameError, match=r"'relu1_3': did you mean"):
        Vgg(VGGS["vgg16"], tensors, style_taps=("relu1_3",))
    assert [VGGS["vgg16"].nearest(tap) for tap in ("relu2_2", "relu4_3")] == ["relu2_2", "relu4_1"]
    with pytest.raises(InputError, match="not the weights of vgg19"):
        Vgg(VGGS["vgg19"], tensors)
    del tensors["features.17.bias"]
    with pytest.raises(InputError, match=r"no tensor 'features\.17\.bias'"):
        Vgg(VGGS["vgg16"], tensors)


def test_the_network_that_ships_is_simonyans_and_zissermans() -> None:
    """Single values as the authors' own file has them (in BGR there), to float16; and no download."""
    (network,) = load_features("vgg16")
    assert isinstance(network, Vgg)
    assert len(network.convs) == 8
    assert sum(p.numel() for p in network.parameters()) == 2_915_648
    assert next(iter(network.convs.values())).weight.dtype == torch.float32
    # A classifier's features tell a picture from its mirror image by little, and from noise by much.
    edge = torch.zeros(1, 3, 32, 32)
    edge[..., 16:] = 1
    noise = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    seen, mirrored, other = (network(x)["relu4_1"].mean(dim=(2, 3)) for x in (edge, edge.flip(3), noise))
    assert (seen - mirrored).norm() < 0.5 * (seen - other).norm()


def test_weights_that_are_missing_or_cut(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(module, "_SHIPPED", tmp_path / "vgg16.safetensors")
    with pytest.raises(InputError, match="install stylenorm again"):
        load_vgg("vgg16")
    (tmp_path / "vgg16.safetensors").write_bytes(b"cut")
    with pytest.raises(InputError, match="install stylenorm again"):
        load_vgg("vgg16")


@pytest.mark.parametrize("zipped", [True, False], ids=["zip format", "format before 1.6"])
def test_from_the_download_address(
    server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, zipped: bool
) -> None:
    """A file as PyTorch publishes it: all convolutions, and a classifier (a small one here)."""
    tensors = {**state(layers("vgg19", nn.MaxPool2d(2))), "classifier.0.weight": torch.ones(2, 3)}
    torch.save(tensors, tmp_path / "weights.pth", _use_new_zipfile_serialization=zipped)
    server.content = (tmp_path / "weights.pth").read_bytes()
    digest = hashlib.sha256(server.content).hexdigest()
    spec = dataclasses.replace(VGGS["vgg19"], file="file.bin", sha256=digest)
    monkeypatch.setattr(module, "VGGS", {"vgg19": spec})
    monkeypatch.setenv(module.DOWNLOADS_VARIABLE, server.url.removesuffix("file.bin"))
    server.ends_after = len(server.content) * 2 // 3
    (network,) = load_features("vgg19")
    assert len(server.asked) == 2  # resumed once
    assert_close(network.convs["relu5_1"].weight, tensors["features.28.weight"])
    photo = torch.rand(1, 3, 32, 32)
    loss = PerceptualLoss([network], num_scales=1)
    terms = loss(photo, loss.content_target(photo), loss.style_target(photo))
    assert (float(terms.content), float(terms.style)) == (0.0, 0.0)
    load_vgg("vgg19")
    assert len(server.asked) == 2  # from the cache


def test_files_that_are_no_weights(server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    torch.save([1, 2], tmp_path / "list.pth")
    for content, message in [
        (b"no weights", "expected a PyTorch file of weights"),
        ((tmp_path / "list.pth").read_bytes(), "expected tensors by name, got list"),
    ]:
        server.content = content
        spec = dataclasses.replace(VGGS["vgg19"], file="file.bin", sha256=hashlib.sha256(content).hexdigest())
        monkeypatch.setattr(module, "VGGS", {"vgg19": spec})
        monkeypatch.setenv(module.DOWNLOADS_VARIABLE, server.url.removesuffix("/file.bin"))
        with pytest.raises(InputError, match=message):
            load_vgg("vgg19")
        (cache_folder() / "file.bin").unlink()


def test_the_published_digests(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """PyTorch's names end in the first digits of the digest; what has another is refused."""
    for spec in (spec for spec in VGGS.values() if spec.file):
        assert spec.file == f"{spec.name}-{spec.sha256[:8]}.pth"
    monkeypatch.setenv(module.DOWNLOADS_VARIABLE, server.url.removesuffix("models/file.bin"))
    with pytest.raises(DownloadError, match="404"):
        load_vgg("vgg19")
    with pytest.raises(UnknownNameError, match="did you mean 'vgg19'"):
        load_vgg("vgg18")

"""Weights that others trained: recognised, written as folders, used by the commands, or refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from stylenorm.errors import InputError
from stylenorm.export.importing import ImportOptions, import_weights, read_checkpoint
from stylenorm.models import Segmenter, Translator
from stylenorm.networks import JohnsonExamplesNetwork
from tests.cli.conftest import Run, run  # noqa: F401 (a fixture)
from tests.networks.test_translation_networks import PublishedCycleGan
from tests.requirements_met import need
from tests.tolerances import assert_close

# pytorch/examples' network, as its paper and the names in its checkpoints describe it, on 0..255.


class Conv(nn.Module):
    def __init__(self, before: int, after: int, size: int, stride: int = 1, *, double: bool = False) -> None:
        super().__init__()
        self.pad, self.double = size // 2, double
        self.conv2d = nn.Conv2d(before, after, size, stride)

    def forward(self, x: Tensor) -> Tensor:
        if self.double:
            x = F.interpolate(x, scale_factor=2, mode="nearest")
        return self.conv2d(F.pad(x, [self.pad] * 4, mode="reflect"))


class Residual(nn.Module):
    def __init__(self, c: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = Conv(c, c, 3), Conv(c, c, 3)
        self.in1, self.in2 = nn.InstanceNorm2d(c, affine=True), nn.InstanceNorm2d(c, affine=True)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.in2(self.conv2(F.relu(self.in1(self.conv1(x)))))


class PublishedExample(nn.Module):
    def __init__(self, c: int) -> None:
        super().__init__()
        self.conv1, self.conv2, self.conv3 = Conv(3, c, 9), Conv(c, 2 * c, 3, 2), Conv(2 * c, 4 * c, 3, 2)
        for i in range(1, 6):
            setattr(self, f"res{i}", Residual(4 * c))
        self.deconv1 = Conv(4 * c, 2 * c, 3, double=True)
        self.deconv2 = Conv(2 * c, c, 3, double=True)
        self.deconv3 = Conv(c, 3, 9)
        for i, channels in enumerate((c, 2 * c, 4 * c, 2 * c, c), 1):
            setattr(self, f"in{i}", nn.InstanceNorm2d(channels, affine=True))

    def forward(self, x: Tensor) -> Tensor:
        for i in (1, 2, 3):
            x = F.relu(getattr(self, f"in{i}")(getattr(self, f"conv{i}")(x)))
        for i in range(1, 6):
            x = getattr(self, f"res{i}")(x)
        x = F.relu(self.in5(self.deconv2(F.relu(self.in4(self.deconv1(x))))))
        return self.deconv3(x)


def example() -> PublishedExample:
    torch.manual_seed(0)
    network = PublishedExample(4)
    for parameter in network.parameters():
        parameter.data += 0.1 * torch.randn(parameter.shape)
    network.deconv3.conv2d.weight.data *= 60
    network.deconv3.conv2d.bias.data += 128
    return network


def test_an_examples_network_paints_what_it_did() -> None:
    published = example()
    ours = JohnsonExamplesNetwork.from_published(
        {f"module.{key}": value for key, value in published.state_dict().items()}
    )
    x = torch.rand(1, 3, 32, 40)
    with torch.no_grad():
        theirs = (published.double()(255 * x.double()) / 255).clamp(0, 1)
        assert ((theirs > 0) & (theirs < 1)).double().mean() > 0.05
        assert_close(ours(x), theirs, rtol=0, atol=1e-4)
        assert ours(torch.rand(2, 3, 9, 14)).shape == (2, 3, 9, 14)
    with pytest.raises(InputError, match="pytorch/examples' fast_neural_style"):
        JohnsonExamplesNetwork.from_published({"conv1.weight": torch.zeros(1)})


def test_weights_become_a_folder_that_translates(
    tmp_path: Path,
    run: Run,  # noqa: F811 (the fixture)
) -> None:
    published = example()
    weights = {**published.state_dict(), "in1.running_mean": torch.zeros(4)}
    torch.save({"state_dict": weights, "epoch": 3}, tmp_path / "mosaic.pth")
    done = run("import", tmp_path / "mosaic.pth", "-o", tmp_path / "run", "--size", "32")
    assert done.code == 0, done.err
    assert "johnson, compared with PyTorch; use it by: stylenorm translate" in done.out.decode()
    pixels = np.random.default_rng(0).integers(0, 256, (32, 40, 3), dtype=np.uint8)
    with torch.no_grad():
        x = torch.from_numpy(pixels).permute(2, 0, 1)[None].float()
        wanted = published(x)[0].permute(1, 2, 0).clamp(0, 255).numpy()
    translator = Translator(tmp_path / "run")
    assert translator.scale_px == (32, 32)
    assert np.abs(translator(pixels) - wanted).mean() < 1.0  # weights in float16
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    done = run("translate", tmp_path / "photo.png", "--network", tmp_path / "run", "-o", tmp_path / "out.png")
    assert done.code == 0, done.err
    done = run("import", tmp_path / "mosaic.pth", "-o", tmp_path / "run")
    assert (done.code, len(done.lines)) == (2, 1)
    assert "expected an empty folder, or --overwrite" in done.err


def test_one_channel_is_made_of_three(tmp_path: Path) -> None:
    torch.manual_seed(0)
    published = PublishedCycleGan(4, 1, channels=1)
    torch.save(published.state_dict(), tmp_path / "latest_net_G.pth")
    kind = import_weights(tmp_path / "latest_net_G.pth", tmp_path / "run", ImportOptions("grey"))
    assert kind == "cyclegan"
    pixels = np.random.default_rng(0).integers(0, 256, (16, 24, 3), dtype=np.uint8)
    grey = pixels @ np.array([0.299, 0.587, 0.114]) / 255
    with torch.no_grad():
        wanted = published(2 * torch.from_numpy(grey).float()[None, None] - 1)[0, 0].numpy()
    made = Translator(tmp_path / "run")(pixels)
    assert (made == made[..., :1]).all()
    assert np.abs(made[..., 0] - 127.5 * (wanted + 1)).max() < 2


def test_a_residual_generator_is_imported_as_one(
    tmp_path: Path,
    run: Run,  # noqa: F811 (the fixture)
) -> None:
    torch.manual_seed(0)
    published = PublishedCycleGan(4, 1)
    torch.save(published.state_dict(), tmp_path / "latest_net_G.pth")
    command = ("import", tmp_path / "latest_net_G.pth", "-o", tmp_path / "run", "--residual")
    done = run(*command)
    assert done.code == 0, done.err
    pixels = np.random.default_rng(0).integers(0, 256, (16, 24, 3), dtype=np.uint8)
    x = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255
    with torch.no_grad():
        made = published.model[:-1](2 * x - 1)  # without tanh
        wanted = 255 * (x + made).clamp(0, 1)[0].permute(1, 2, 0).numpy()
    assert np.abs(Translator(tmp_path / "run")(pixels) - wanted).max() < 2
    torch.save(example().state_dict(), tmp_path / "mosaic.pth")
    done = run("import", tmp_path / "mosaic.pth", "-o", tmp_path / "other", "--residual")
    assert (done.code, len(done.lines)) == (2, 1)
    assert "expected CycleGAN's generator with residual, got johnson" in done.err
    assert not (tmp_path / "other").exists()


def test_a_monai_network_segments(tmp_path: Path) -> None:
    nets = need("monai.networks.nets", "monai")
    torch.manual_seed(0)
    theirs = nets.DynUNet(
        3, 1, 2, [3, 3, 3], [1, 2, 2], [2, 2], filters=[4, 8, 16], norm_name=("INSTANCE", {"affine": True})
    )
    torch.save(theirs.state_dict(), tmp_path / "dynunet.pt")
    options = ImportOptions(window=(8, 8, 8), spacing_mm=(2, 1, 1))
    assert import_weights(tmp_path / "dynunet.pt", tmp_path / "run", options) == "dynunet"
    segmenter = Segmenter(tmp_path / "run")
    assert (segmenter.window, segmenter.spacing_mm, segmenter.num_classes) == ((8, 8, 8), (2, 1, 1), 2)
    scan = np.random.default_rng(0).normal(size=(8, 8, 8))
    seen = torch.from_numpy((scan - scan.mean()) / scan.std()).float()[None, None]
    with torch.no_grad():
        wanted = theirs.eval()(seen)[0].numpy()
    assert np.abs(np.concatenate(list(segmenter.logits(scan)), axis=1) - wanted).max() < 1e-3


def test_what_cannot_be_taken_over(tmp_path: Path) -> None:
    path, out = tmp_path / "weights.pth", tmp_path / "run"
    with pytest.raises(InputError, match="expected a checkpoint, found nothing"):
        read_checkpoint(path)
    torch.save(example(), path)  # a pickled module would run code
    with pytest.raises(InputError, match=r"cannot read it safely .* save its state_dict\(\)"):
        read_checkpoint(path)
    path.write_bytes(b"no checkpoint")
    with pytest.raises(InputError, match="cannot read it safely"):
        read_checkpoint(path)
    torch.save({"epoch": 3}, path)
    with pytest.raises(InputError, match="expected tensors by name, got epoch"):
        read_checkpoint(path)
    torch.save({"layer.weight": torch.zeros(2)}, path)
    with pytest.raises(
        InputError, match=r"expected weights of cyclegan, .* got none of their layers \(layer"
    ):
        import_weights(path, out, ImportOptions())
    with pytest.raises(InputError, match="unknown kind of network 'spad': did you mean 'spade'"):
        import_weights(path, out, ImportOptions(), "spad")
    for kind in ("cyclegan", "pix2pix", "johnson", "spade", "dynunet"):
        with pytest.raises(InputError, match="got other layers"):
            import_weights(path, out, ImportOptions(), kind)
    assert not out.exists()

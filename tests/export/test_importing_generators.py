"""StyleGAN2's and AdaIN's published layouts, against both networks written out here in plain PyTorch."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylenorm.errors import InputError
from stylenorm.export import importing
from stylenorm.export.importing import ImportOptions, import_weights
from stylenorm.models import AdainPainter, PictureGenerator, StylePicture
from stylenorm.networks.adain_published import published_adain
from stylenorm.networks.stylegan2_published import published_stylegan2
from tests.tolerances import assert_close

SIZES, WIDTHS, STYLE, MAPPING = (4, 8, 16), (8, 8, 4), 6, 3
Weights = dict[str, Tensor]


def drawn(*, is_long: bool = False) -> Weights:
    """A generator's tensors under names of this test: m (mapping), l (layers), r (RGB)."""
    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator)

    found = {"constant": draw(WIDTHS[0], 4, 4)}
    for i in range(MAPPING):
        found |= {
            f"m{i}.weight": 100 * draw(STYLE, STYLE + is_long * (i == 0)),
            f"m{i}.bias": 10 * draw(STYLE),
        }
    pairs = ((8, 8), (8, 8), (8, 8), (8, 4), (4, 4))
    for i, (before, after) in enumerate(pairs):
        found |= {f"l{i}.weight": draw(after, before, 3, 3), f"l{i}.bias": 0.3 * draw(after)}
        found |= {f"l{i}.style": draw(before, STYLE), f"l{i}.style_bias": 1 + 0.2 * draw(before)}
        found[f"l{i}.noise"] = 0.3 * draw(1)[0]
    for i, width in enumerate(WIDTHS):
        found |= {f"r{i}.weight": draw(3, width, 1, 1), f"r{i}.bias": 0.3 * draw(3)}
        found |= {f"r{i}.style": draw(width, STYLE), f"r{i}.style_bias": 1 + 0.2 * draw(width)}
    return found


def filtered(x: Tensor, before: int, after: int) -> Tensor:
    """1-3-3-1 in both directions, of sum 4."""
    line = torch.tensor([1.0, 3.0, 3.0, 1.0], dtype=x.dtype)
    kernel = (torch.outer(line, line) / 16).expand(x.shape[1], 1, 4, 4)
    return F.conv2d(F.pad(x, (before, after, before, after)), kernel, groups=x.shape[1])


def convolved(x: Tensor, weight: Tensor, style: Tensor, *, demodulate: bool, up: bool) -> Tensor:
    """Sample by sample, with weights of its own."""
    made = []
    for one, s in zip(x, style, strict=True):
        w = weight * s[:, None, None]
        if demodulate:
            w = w / (w.square().sum((1, 2, 3), keepdim=True) + 1e-8).sqrt()
        if up:
            y = filtered(F.conv_transpose2d(one[None], w.transpose(0, 1), stride=2), 1, 1)
        else:
            y = F.conv2d(one[None], w, padding=weight.shape[-1] // 2)
        made.append(y)
    return torch.cat(made)


def leaky(x: Tensor) -> Tensor:
    return F.leaky_relu(x, 0.2) * math.sqrt(2)


def picture(of: Weights, z: Tensor, noise: list[Tensor]) -> Tensor:
    """The published generator, -1..1."""
    w = z / (z.square().mean(1, keepdim=True) + 1e-8).sqrt()
    for i in range(MAPPING):
        w = leaky(F.linear(w, of[f"m{i}.weight"] * 0.01 / math.sqrt(w.shape[1]), of[f"m{i}.bias"] * 0.01))

    def style(name: str) -> Tensor:
        return F.linear(w, of[f"{name}.style"] / math.sqrt(STYLE), of[f"{name}.style_bias"])

    x, seen = of["constant"][None].expand(len(z), -1, -1, -1), None
    for i in range(2 * len(SIZES) - 1):
        weight = of[f"l{i}.weight"] / math.sqrt(9 * x.shape[1])
        x = convolved(x, weight, style(f"l{i}"), demodulate=True, up=i % 2 == 1)
        x = leaky(x + of[f"l{i}.noise"] * noise[i] + of[f"l{i}.bias"][:, None, None])
        if i % 2 == 0:
            name = f"r{i // 2}"
            weight = of[f"{name}.weight"] / math.sqrt(x.shape[1])
            rgb = convolved(x, weight, style(name), demodulate=False, up=False)
            rgb = rgb + of[f"{name}.bias"][:, None, None]
            if seen is not None:
                doubled = seen.new_zeros(len(z), 3, 2 * seen.shape[2], 2 * seen.shape[3])
                doubled[:, :, ::2, ::2] = seen
                rgb = rgb + filtered(doubled, 2, 1)
            seen = rgb
    assert seen is not None
    return seen


def rosinalitys(of: Weights) -> Weights:
    state = {"input.input": of["constant"][None], "noises.noise_0": torch.zeros(1, 1, 4, 4)}
    for i in range(MAPPING):
        state |= {f"style.{i + 1}.{kind}": of[f"m{i}.{kind}"] for kind in ("weight", "bias")}
    layers = {f"l{i}": "conv1" if i == 0 else f"convs.{i - 1}" for i in range(5)}
    layers |= {f"r{i}": "to_rgb1" if i == 0 else f"to_rgbs.{i - 1}" for i in range(3)}
    for ours, theirs in layers.items():
        state[f"{theirs}.conv.weight"] = of[f"{ours}.weight"][None]
        state[f"{theirs}.conv.modulation.weight"] = of[f"{ours}.style"]
        state[f"{theirs}.conv.modulation.bias"] = of[f"{ours}.style_bias"]
        if ours[0] == "l":
            state[f"{theirs}.noise.weight"] = of[f"{ours}.noise"].reshape(1)
            state[f"{theirs}.activate.bias"] = of[f"{ours}.bias"]
        else:
            state[f"{theirs}.bias"] = of[f"{ours}.bias"].reshape(1, 3, 1, 1)
    state["convs.0.conv.blur.kernel"] = state["to_rgbs.0.upsample.kernel"] = torch.zeros(4, 4)
    return state


def nvidias(of: Weights) -> Weights:
    state = {"synthesis.b4.const": of["constant"], "mapping.w_avg": torch.arange(STYLE, dtype=torch.float32)}
    for i in range(MAPPING):
        state |= {f"mapping.fc{i}.{kind}": of[f"m{i}.{kind}"] for kind in ("weight", "bias")}
    layers = {"l0": "b4.conv1", "l1": "b8.conv0", "l2": "b8.conv1", "l3": "b16.conv0", "l4": "b16.conv1"}
    layers |= {"r0": "b4.torgb", "r1": "b8.torgb", "r2": "b16.torgb"}
    for ours, theirs in layers.items():
        name = f"synthesis.{theirs}"
        state |= {f"{name}.weight": of[f"{ours}.weight"], f"{name}.bias": of[f"{ours}.bias"]}
        state |= {
            f"{name}.affine.weight": of[f"{ours}.style"],
            f"{name}.affine.bias": of[f"{ours}.style_bias"],
        }
        if ours[0] == "l":
            state |= {f"{name}.noise_strength": of[f"{ours}.noise"], f"{name}.noise_const": torch.zeros(4, 4)}
            state[f"{name}.resample_filter"] = torch.zeros(4, 4)
    return state


@pytest.mark.parametrize("named", [rosinalitys, nvidias])
def test_stylegan2_makes_the_pictures_that_it_made(named: object) -> None:
    of = drawn()
    network, mean = published_stylegan2(named(of))  # type: ignore[operator]
    assert (network.size_px, network.style_length) == (16, STYLE)
    generator = torch.Generator().manual_seed(1)
    z = torch.randn(3, STYLE, generator=generator).double()
    noise = [torch.randn(3, 1, px, px, generator=generator).double() for px in network.noise_px]
    wanted = picture({key: value.double() for key, value in of.items()}, z, noise)
    with torch.no_grad():
        found = network.double()(z, noise)
    assert wanted.std() > 0.3
    assert_close(found, (wanted + 1) / 2, rtol=1e-6, atol=1e-6)  # the weights are drawn in float32
    assert (mean is None) == (named is rosinalitys)


def test_a_training_checkpoint_becomes_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both spellings give one network; it is exported once."""
    of = drawn()
    torch.save({"g": {}, "g_ema": rosinalitys(of), "latent_avg": torch.zeros(STYLE)}, tmp_path / "550000.pt")
    given: list[tuple[Weights, Tensor | None]] = []
    with monkeypatch.context() as patch:
        patch.setattr(
            importing,
            "export_generator",
            lambda network, *_, mean_style: given.append((network.state_dict(), mean_style)),
        )
        assert import_weights(tmp_path / "550000.pt", tmp_path / "run", ImportOptions()) == "stylegan2"
    export = importing.export_generator
    monkeypatch.setattr(
        importing,
        "export_generator",
        lambda network, *rest, mean_style: (
            given.append((network.state_dict(), mean_style)) or export(network, *rest, mean_style=mean_style)
        ),
    )
    torch.save(nvidias(of), tmp_path / "ada.pt")
    assert import_weights(tmp_path / "ada.pt", tmp_path / "ada", ImportOptions()) == "stylegan2-ada"
    (one, no_mean), (other, _) = given
    assert no_mean is None
    assert one.keys() == other.keys()
    for name, value in one.items():
        torch.testing.assert_close(value, other[name], rtol=1e-5, atol=1e-6)
    made = PictureGenerator(tmp_path / "ada", threads=1)
    assert np.array_equal(made.mean_style, np.arange(STYLE, dtype=np.float32))
    assert made.picture(3).shape == (16, 16, 3)


def test_generators_that_have_no_equal_here() -> None:
    with pytest.raises(InputError, match="without classes whose z is as long as w, got a mapping of 7 to 6"):
        published_stylegan2(nvidias(drawn(is_long=True)))
    with pytest.raises(InputError, match="without classes, got one with them"):
        published_stylegan2({**nvidias(drawn()), "mapping.embed.weight": torch.zeros(6, 10)})
    other = rosinalitys(drawn())
    del other["convs.3.activate.bias"]
    with pytest.raises(InputError, match=r"as published \(layers\.4\.bias: \(4,\)\), got none"):
        published_stylegan2(other)
    with pytest.raises(InputError, match="got other layers"):
        published_stylegan2({"weight": torch.zeros(1)})


class Padded(nn.Sequential):
    def __init__(self, before: int, after: int) -> None:
        super().__init__(nn.ReflectionPad2d(1), nn.Conv2d(before, after, 3), nn.ReLU())


def flat(*layers: nn.Module) -> nn.Sequential:
    """The layers with numbers for names, as the authors have them."""
    return nn.Sequential(
        *(each for layer in layers for each in (layer if isinstance(layer, Padded) else [layer]))
    )


def authors() -> tuple[nn.Sequential, nn.Sequential]:
    """Encoder and decoder, with few channels."""
    torch.manual_seed(0)
    pool, up = nn.MaxPool2d(2, 2, 0, ceil_mode=True), nn.Upsample(scale_factor=2, mode="nearest")
    encoder = flat(
        *(nn.Conv2d(3, 3, 1), Padded(3, 4), Padded(4, 4), pool, Padded(4, 8), Padded(8, 8), pool),
        *(
            Padded(8, 16),
            Padded(16, 16),
            Padded(16, 16),
            Padded(16, 16),
            pool,
            Padded(16, 32),
            Padded(32, 32),
        ),
    )
    decoder = flat(
        *(
            Padded(32, 16),
            up,
            Padded(16, 16),
            Padded(16, 16),
            Padded(16, 16),
            Padded(16, 8),
            up,
            Padded(8, 8),
        ),
        *(Padded(8, 4), up, Padded(4, 4), nn.ReflectionPad2d(1), nn.Conv2d(4, 3, 3)),
    )
    for network in (encoder, decoder):
        for parameter in network.parameters():
            parameter.data *= 2 if parameter.dim() > 1 else 1
    return encoder, decoder


def stylized(encoder: nn.Sequential, decoder: nn.Sequential, photo: Tensor, painting: Tensor) -> Tensor:
    content, style = encoder[:31](photo), encoder[:31](painting)

    def moments(x: Tensor) -> tuple[Tensor, Tensor]:
        return x.mean((2, 3), keepdim=True), (x.var((2, 3), correction=1, keepdim=True) + 1e-5).sqrt()

    (mean, deviation), (own_mean, own_deviation) = moments(style), moments(content)
    return decoder((content - own_mean) / own_deviation * deviation + mean)


def test_adains_decoder_and_encoder(tmp_path: Path) -> None:
    encoder, decoder = authors()
    assert isinstance(encoder[29], nn.Conv2d)
    assert isinstance(decoder[28], nn.Conv2d)
    ours = published_adain(decoder.state_dict(), encoder.state_dict())
    x = torch.rand(2, 3, 32, 40)
    with torch.no_grad():
        features = encoder[:31](x)
        assert_close(ours.encode(x), features, atol=1e-5)
        assert_close(ours.decoder(features), decoder(features), atol=1e-5)
    torch.save(decoder.state_dict(), tmp_path / "decoder.pth")
    torch.save(encoder.state_dict(), tmp_path / "vgg_normalised.pth")
    with pytest.raises(
        InputError, match=r"decoder\.pth: expected the encoder's weights .* vgg_normalised\.pth"
    ):
        import_weights(tmp_path / "decoder.pth", tmp_path / "run", ImportOptions())
    options = ImportOptions(encoder=tmp_path / "vgg_normalised.pth")
    assert import_weights(tmp_path / "decoder.pth", tmp_path / "run", options) == "adain"
    rng = np.random.default_rng(0)
    photo, painting = (rng.integers(0, 256, (h, w, 3), dtype=np.uint8) for h, w in ((16, 24), (40, 32)))
    painted = AdainPainter(tmp_path / "run", threads=1)(photo, [StylePicture(painting)])
    with torch.no_grad():
        seen = [torch.from_numpy(each / 255).float().permute(2, 0, 1)[None] for each in (photo, painting)]
        wanted = 255 * stylized(encoder, decoder, *seen)[0].permute(1, 2, 0).clamp(0, 1).numpy()
    assert wanted.std() > 5
    assert np.abs(painted - wanted).max() < 1
    with pytest.raises(InputError, match=r"encoder \(vgg_normalised\.pth\), got other layers"):
        published_adain(decoder.state_dict(), decoder.state_dict())
    with pytest.raises(InputError, match="decoder, got other layers"):
        published_adain(encoder.state_dict(), encoder.state_dict())

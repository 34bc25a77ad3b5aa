"""Networks of image translation: sizes, receptive field, published checkpoints."""

from __future__ import annotations

from collections import OrderedDict

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stylenorm.errors import InputError, ShapeError
from stylenorm.networks import CycleGanGenerator, PatchDiscriminator, UNetGenerator
from tests.tolerances import assert_close


def num_parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def test_parameters_are_as_many_as_published() -> None:
    # in millions, as the authors' code prints them
    assert round(num_parameters(CycleGanGenerator(9)) / 1e6, 3) == 11.378
    assert round(num_parameters(CycleGanGenerator(6)) / 1e6, 3) == 7.838
    assert round(num_parameters(PatchDiscriminator()) / 1e6, 3) == 2.765
    assert round(num_parameters(UNetGenerator()) / 1e6, 3) == 54.414
    assert round(num_parameters(PatchDiscriminator(6, affine=True)) / 1e6, 3) == 2.769


def test_a_judgement_sees_70_pixels() -> None:
    judge = PatchDiscriminator(3, 4)
    judge.norms = nn.ModuleList(nn.Identity() for _ in judge.norms)  # a norm sees the whole picture
    x = torch.rand(1, 3, 128, 160, requires_grad=True)
    judged = judge(x)
    assert judged.shape == (1, 1, 14, 18)
    judged[0, 0, 7, 9].backward()
    assert x.grad is not None
    rows, columns = (x.grad.abs().sum((0, 1, dim)).nonzero().flatten() for dim in (3, 2))
    for seen in (rows, columns):
        assert seen.max() - seen.min() + 1 == 70


@pytest.mark.parametrize(("halvings", "seen_px", "step_px"), [(1, 16, 2), (2, 34, 4)])
def test_a_judgement_of_fewer_halvings_sees_less(halvings: int, seen_px: int, step_px: int) -> None:
    judge = PatchDiscriminator(3, 4, halvings=halvings)
    judge.norms = nn.ModuleList(nn.Identity() for _ in judge.norms)
    x = torch.rand(1, 3, 64, 80, requires_grad=True)
    judged = judge(x)
    assert judged.shape == (1, 1, 64 // step_px - 2, 80 // step_px - 2)
    judged[0, 0, 7, 9].backward()
    assert x.grad is not None
    rows, columns = (x.grad.abs().sum((0, 1, dim)).nonzero().flatten() for dim in (3, 2))
    for seen in (rows, columns):
        assert seen.max() - seen.min() + 1 == seen_px
    with pytest.raises(InputError, match="halvings: expected 1, 2 or 3, got 4"):
        PatchDiscriminator(halvings=4)


def test_a_judge_without_norms_sees_contrast_and_one_with_them_does_not() -> None:
    torch.manual_seed(0)
    x = 0.3 + 0.4 * torch.rand(1, 3, 64, 64)
    weaker = 0.5 + 0.5 * (x - 0.5)  # around 0.5, which the borders are padded with
    changed = {}
    for norm in ("instance", "none"):
        judge = PatchDiscriminator(3, 8, norm=norm)
        with torch.no_grad():
            scores = [judge(each) for each in (x, weaker)]
        changed[norm] = float((scores[1] - scores[0]).abs().mean() / scores[0].std())
    assert changed["instance"] < 0.05  # measured: 0.026, of the eps of the norms
    assert changed["none"] > 0.3
    with pytest.raises(InputError, match="expected instance, or none without affine, got none with affine"):
        PatchDiscriminator(affine=True, norm="none")


def test_doubled_pixels_leave_no_checkerboard() -> None:
    torch.manual_seed(0)
    x = torch.full((1, 3, 64, 64), 0.7)  # every place is alike, so a difference is the grid's own
    for up, is_even in (("transposed", False), ("nearest", True)):
        network = CycleGanGenerator(0, 8, up=up)
        network.norms = nn.ModuleList(nn.ReLU() for _ in network.norms)  # a norm takes constants away
        for parameter in network.parameters():
            nn.init.normal_(parameter, 0.0, 0.1)
        with torch.no_grad():
            middle = network(x)[0, :, 24:40, 24:40]
        assert (float(middle.std(dim=(1, 2)).max()) < 1e-5) == is_even
    with pytest.raises(InputError, match="up: expected transposed or nearest, got bicubic"):
        CycleGanGenerator(1, 4, up="bicubic")


def test_a_residual_generator_begins_as_the_identity_and_adds() -> None:
    torch.manual_seed(0)
    network, plain = CycleGanGenerator(1, 4, residual=True), CycleGanGenerator(1, 4)
    x = torch.rand(2, 3, 30, 41)
    with torch.no_grad():
        assert torch.equal(network.eval()(x), x)
        plain.last.weight.mul_(4)
        network.load_state_dict(plain.state_dict())
        made = torch.atanh(2 * plain.double()(x.double()) - 1)
        assert made.abs().max() > 0.5
        assert_close(network.train()(x), x.double() + made, rtol=0, atol=1e-4)
        assert_close(network.eval()(x), (x.double() + made).clamp(0, 1), rtol=0, atol=1e-4)
    with pytest.raises(InputError, match="as many channels in as out, got 1 and 3"):
        CycleGanGenerator(1, 4, in_channels=1, residual=True)


def test_a_generator_without_norms() -> None:
    torch.manual_seed(0)
    network = CycleGanGenerator(1, 4, norm="none", residual=True, up="nearest").double()
    nn.init.normal_(network.last.weight, 0.0, 0.1)
    assert not any("Norm" in type(module).__name__ for module in network.modules())
    x = torch.rand(1, 3, 16, 24, dtype=torch.float64)

    def conv(layer: nn.Conv2d, y: Tensor, edge: int = 1) -> Tensor:
        padded = F.pad(y, (edge,) * 4, mode="reflect")
        return F.conv2d(padded, layer.weight, layer.bias)

    y = conv(network.first, 2 * x - 1, 3).relu()
    for down in network.down:
        y = F.conv2d(y, down.weight, down.bias, stride=2, padding=1).relu()
    (block,) = network.blocks
    y = y + conv(block.second, conv(block.first, y).relu())
    for up in network.up:
        y = conv(up[1], y.repeat_interleave(2, 2).repeat_interleave(2, 3)).relu()
    assert_close(network(x), x + conv(network.last, y, 3))

    # light that is twice as strong changes it: with norms it is almost the same
    bright, dim = 0.5 + 0.4 * (x - 0.5), 0.5 + 0.2 * (x - 0.5)
    for norm, is_even in (("instance", True), ("none", False)):
        network = CycleGanGenerator(1, 4, norm=norm).double()
        for conv_bias in (p for name, p in network.named_parameters() if name.endswith("bias")):
            nn.init.zeros_(conv_bias)
        with torch.no_grad():
            assert torch.allclose(network(bright), network(dim), atol=0.01) == is_even
    with pytest.raises(InputError, match="expected instance, or none without affine, got none with affine"):
        CycleGanGenerator(1, 4, affine=True, norm="none")


@pytest.mark.parametrize("size", [(5, 7), (8, 8), (30, 41)])
@pytest.mark.parametrize(
    "network", [CycleGanGenerator(1, 4), UNetGenerator(4, 4)], ids=["cyclegan", "pix2pix"]
)
def test_any_size(network: nn.Module, size: tuple[int, int]) -> None:
    translated = network(torch.rand(2, 3, *size))
    assert translated.shape == (2, 3, *size)
    assert translated.min() >= 0
    assert translated.max() <= 1


def test_a_bottleneck_of_one_pixel_lets_the_picture_through() -> None:
    network = UNetGenerator(5, 4)
    x = torch.rand(1, 3, 32, 32)
    innermost = {}
    network.down[-1].register_forward_hook(lambda *args: innermost.update(y=args[-1]))
    network(x)
    first = innermost["y"]
    assert first.shape == (1, 32, 1, 1)
    network(x.flip(3) * 0.5)
    assert (innermost["y"] - first).abs().max() > 1e-3 * first.abs().max()
    assert first.abs().max() > 0


def test_sizes_that_cannot_be(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ShapeError, match="at least 5, got"):
        CycleGanGenerator(1, 4)(torch.rand(1, 3, 4, 8))
    with pytest.raises(ShapeError, match="at least 24, got"):
        PatchDiscriminator(3, 4)(torch.rand(1, 3, 23, 64))
    with pytest.raises(InputError, match="0 or more blocks"):
        CycleGanGenerator(-1)
    with pytest.raises(InputError, match="at least 2 levels"):
        UNetGenerator(1)


def test_dropout_is_of_the_inner_levels_and_keeps_the_mean() -> None:
    masks = UNetGenerator(7, 16).dropout(3, 128, 100, torch.Generator().manual_seed(0))
    assert [tuple(mask.shape) for mask in masks] == [(3, 128, 8, 8), (3, 128, 4, 4)]
    assert set(torch.cat([mask.flatten() for mask in masks]).tolist()) == {0.0, 2.0}
    assert abs(float(masks[0].mean()) - 1) < 0.05
    network, x = UNetGenerator(6, 4), torch.rand(1, 3, 64, 64)
    (mask,) = network.dropout(1, 64, 64, torch.Generator())
    assert not torch.equal(network(x, [mask]), network(x))
    assert torch.equal(network(x, [torch.ones_like(mask)]), network(x))


# The authors' networks, as their papers and the names in their checkpoints describe them, on -1..1.


def norm(c: int, *, batch: bool) -> nn.Module:
    return nn.BatchNorm2d(c) if batch else nn.InstanceNorm2d(c)


class Block(nn.Module):
    def __init__(self, c: int, *, batch: bool, dropout: bool) -> None:
        super().__init__()
        half = [nn.ReflectionPad2d(1), nn.Conv2d(c, c, 3, bias=not batch), norm(c, batch=batch)]
        again = [nn.ReflectionPad2d(1), nn.Conv2d(c, c, 3, bias=not batch), norm(c, batch=batch)]
        drop = [nn.Dropout(0.0)] if dropout else []
        self.conv_block = nn.Sequential(*half, nn.ReLU(), *drop, *again)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv_block(x)


class PublishedCycleGan(nn.Module):
    def __init__(
        self, c: int, n: int, *, batch: bool = False, channels: int = 3, dropout: bool = False
    ) -> None:
        super().__init__()
        bias = not batch
        layers: list[nn.Module] = [nn.ReflectionPad2d(3), nn.Conv2d(channels, c, 7, bias=bias)]
        layers += [norm(c, batch=batch), nn.ReLU()]
        for k in (1, 2):
            down = nn.Conv2d(k * c, 2 * k * c, 3, 2, 1, bias=bias)
            layers += [down, norm(2 * k * c, batch=batch), nn.ReLU()]
        layers += [Block(4 * c, batch=batch, dropout=dropout) for _ in range(n)]
        for k in (4, 2):
            up = nn.ConvTranspose2d(k * c, k * c // 2, 3, 2, 1, output_padding=1, bias=bias)
            layers += [up, norm(k * c // 2, batch=batch), nn.ReLU()]
        self.model = nn.Sequential(*layers, nn.ReflectionPad2d(3), nn.Conv2d(c, channels, 7), nn.Tanh())

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x)


class PublishedPatchGan(nn.Module):
    def __init__(self, channels: int, c: int, *, batch: bool, halvings: int = 3) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(channels, c, 4, 2, 1), nn.LeakyReLU(0.2)]
        for k, stride in [(1 << i, 2) for i in range(halvings - 1)] + [(1 << (halvings - 1), 1)]:
            layers += [nn.Conv2d(k * c, 2 * k * c, 4, stride, 1, bias=not batch)]
            layers += [
                nn.BatchNorm2d(2 * k * c) if batch else nn.InstanceNorm2d(2 * k * c),
                nn.LeakyReLU(0.2),
            ]
        self.model = nn.Sequential(*layers, nn.Conv2d(c << halvings, 1, 4, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x)


class Level(nn.Module):
    """One level of the published U-Net around the next; its batch norms see one picture."""

    def __init__(
        self,
        outer: int,
        inner: int,
        inside: nn.Module | None,
        *,
        is_first: bool = False,
        batch: bool = True,
    ) -> None:
        super().__init__()
        self.is_first = is_first
        down = nn.Conv2d(outer, inner, 4, 2, 1, bias=not batch)
        width = inner if inside is None else 2 * inner
        up = nn.ConvTranspose2d(width, outer, 4, 2, 1, bias=is_first or not batch)
        if is_first:
            layers = [down, inside, nn.ReLU(), up, nn.Tanh()]
        elif inside is None:
            layers = [nn.LeakyReLU(0.2), down, nn.ReLU(), up, norm(outer, batch=batch)]
        else:
            layers = [
                nn.LeakyReLU(0.2),
                down,
                norm(inner, batch=batch),
                inside,
                nn.ReLU(),
                up,
                norm(outer, batch=batch),
            ]
        self.model = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        y = self.model(x)
        return y if self.is_first else torch.cat([x, y], dim=1)


class PublishedUNet(nn.Module):
    def __init__(self, c: int, num_levels: int, *, batch: bool = True, channels: int = 3) -> None:
        super().__init__()
        widths = [c * min(8, 2**i) for i in range(num_levels)]
        level: nn.Module | None = None
        for i in reversed(range(1, num_levels)):
            level = Level(widths[i - 1], widths[i], level, batch=batch)
        self.model = Level(channels, c, level, is_first=True, batch=batch)

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x)


@pytest.mark.parametrize(
    ("published", "ours", "channels"),
    [
        (PublishedCycleGan(4, 2), CycleGanGenerator(2, 4), 3),
        (PublishedPatchGan(3, 4, batch=False), PatchDiscriminator(3, 4), 3),
        (PublishedPatchGan(6, 4, batch=True), PatchDiscriminator(6, 4, affine=True), 6),
        (PublishedPatchGan(3, 4, batch=False, halvings=2), PatchDiscriminator(3, 4, halvings=2), 3),
        (PublishedUNet(4, 5), UNetGenerator(5, 4), 3),
        (PublishedCycleGan(4, 2, batch=True), CycleGanGenerator, 3),
        (PublishedCycleGan(4, 1, channels=1, dropout=True), CycleGanGenerator, 1),
        (PublishedUNet(4, 4, batch=False), UNetGenerator, 3),
        (PublishedUNet(4, 5, channels=1), UNetGenerator, 1),
    ],
    ids=[
        "cyclegan",
        "patchgan",
        "conditional-patchgan",
        "patchgan-34",
        "pix2pix",
        "cyclegan-batch",
        "cyclegan-grey-dropout",
        "pix2pix-instance",
        "pix2pix-grey",
    ],
)
def test_published_checkpoints_give_the_published_pictures(
    published: nn.Module,
    ours: CycleGanGenerator | PatchDiscriminator | UNetGenerator | type[CycleGanGenerator | UNetGenerator],
    channels: int,
) -> None:
    generator = torch.Generator().manual_seed(0)
    for parameter in published.parameters():
        parameter.data = torch.rand(parameter.shape, generator=generator) - 0.4
    state = OrderedDict((f"module.{key}", value) for key, value in published.state_dict().items())
    if isinstance(ours, type):
        ours = ours.from_published(state)
    else:
        ours.load_published(state)
    x = torch.rand(1, channels, 64, 64, generator=generator)
    with torch.no_grad():
        theirs = published.double()(2 * x.double() - 1)
        if not isinstance(ours, PatchDiscriminator):
            theirs = (theirs + 1) / 2
        found = ours(x)
    scale = float(theirs.abs().max())
    assert_close(found, theirs, rtol=0, atol=1e-4 * scale)  # measured: 2e-5, of ten layers in float32


def test_a_checkpoint_of_another_network() -> None:
    with pytest.raises(
        InputError, match=r"expected a checkpoint of CycleGanGenerator .*: build it by from_pub"
    ):
        CycleGanGenerator(2, 4).load_published(PublishedCycleGan(4, 3).state_dict())
    with pytest.raises(InputError, match="its norms are others: with scale and shift"):
        PatchDiscriminator(6, 4).load_published(PublishedPatchGan(6, 4, batch=True).state_dict())
    with pytest.raises(InputError, match="the checkpoint's width, depth and channels"):
        PatchDiscriminator(3, 4).load_published(PublishedPatchGan(6, 4, batch=False).state_dict())
    for network in (CycleGanGenerator, UNetGenerator):
        with pytest.raises(InputError, match="got other layers"):
            network.from_published({"layer.weight": torch.zeros(1)})
    with pytest.raises(InputError, match=r"expected a checkpoint of UNetGenerator with .*, got \(8,"):
        UNetGenerator(5, 4).load_published(PublishedUNet(8, 5).state_dict())

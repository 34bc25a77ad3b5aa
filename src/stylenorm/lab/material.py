"""What the experiments are made from: photos, paintings, pictures to show, and the feature networks."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from stylenorm.errors import InputError
from stylenorm.media import find_pictures, read_picture, resize_shorter, to_uint8
from stylenorm.perceptual import FeatureNetwork, PerceptualLoss, load_features
from stylenorm.training import DeadLeaves
from stylenorm.zoo import shipped_network

__all__ = ["Material", "PhotoPool"]

_NUM_DRAWN = 1000  # pictures drawn where there is no folder of photos
_NUM_SHOWN = 3
_CHANGED_TOGETHER = 32
_ZOOM = 1.35  # photos are kept so much larger than crops


class PhotoPool:
    """Photos in memory, and crops of them that are a pure function of (seed, step).

    Args:
        pictures: (N, 3, S, S) uint8.
        num_held_out: so many, spread evenly, are kept out of `batch`.
    """

    def __init__(self, pictures: Tensor, num_held_out: int) -> None:
        if len(pictures) <= num_held_out:
            raise InputError(
                f"photos: expected more than the {num_held_out} that are held out, got {len(pictures)}; "
                "give a folder with more of them by --photos"
            )
        chosen = np.linspace(0, len(pictures) - 1, num_held_out).round().astype(int)
        kept = np.setdiff1d(np.arange(len(pictures)), chosen)
        self.held_out_pictures, self.pictures = pictures[chosen], pictures[kept]

    def __len__(self) -> int:
        return len(self.pictures)

    def subset(self, count: int, seed: int) -> PhotoPool:
        """Return a pool of ``count`` of the training photos, drawn by ``seed``; the held-out ones stay."""
        other = object.__new__(PhotoPool)
        other.held_out_pictures = self.held_out_pictures
        order = np.random.default_rng([seed, 7]).permutation(len(self.pictures))
        other.pictures = self.pictures[np.sort(order[:count])]
        return other

    def changed(self, change: Callable[[Tensor], Tensor]) -> PhotoPool:
        """Return a pool of changed photos; ``change`` takes and gives (N, 3, S, S), RGB, 0..1."""

        def of(pictures: Tensor) -> Tensor:
            parts = [change(part.float() / 255) for part in torch.split(pictures, _CHANGED_TOGETHER)]
            return (torch.cat(parts).clamp(0, 1) * 255).round().byte().cpu()

        other = object.__new__(PhotoPool)
        other.held_out_pictures, other.pictures = of(self.held_out_pictures), of(self.pictures)
        return other

    def batch(self, crop_px: int, batch_size: int, seed: int, step: int) -> Tensor:
        """Return random, randomly mirrored crops: (batch_size, 3, crop_px, crop_px), RGB, 0..1."""
        rng = np.random.default_rng([seed, 1, step])
        span = self.pictures.shape[-1] - crop_px + 1
        crops = []
        for i in range(step * batch_size, (step + 1) * batch_size):
            epoch, position = divmod(i, len(self.pictures))
            order = np.random.default_rng([seed, 0, epoch]).permutation(len(self.pictures))
            y, x = rng.integers(span, size=2)
            crop = self.pictures[order[position], :, y : y + crop_px, x : x + crop_px]
            crops.append(crop.flip(-1) if rng.uniform() < 0.5 else crop)
        return torch.stack(crops).float() / 255

    def held_out(self, crop_px: int) -> Tensor:
        """Return the centres of the held-out photos: (num_held_out, 3, crop_px, crop_px), RGB, 0..1."""
        start = (self.held_out_pictures.shape[-1] - crop_px) // 2
        crops = self.held_out_pictures[..., start : start + crop_px, start : start + crop_px]
        return crops.float() / 255


class Material:
    """Photos, paintings, pictures to show, feature networks; without folders, what the package can make.

    Args:
        photos: folder of photos; None draws dead leaves (`stylenorm.training.DeadLeaves`).
        paintings: files; the first is the painting where an experiment needs one. None takes the thumbnails
            of the styles that ship.
        show: files of photos that results are shown on; None shows photos that were held out, so name some
            if results are published and the photos may not be.
        features: what `stylenorm.perceptual.load_features` understands.

    Raises:
        InputError: a folder or file is not there or has no pictures.
    """

    def __init__(
        self,
        photos: Path | None = None,
        paintings: Sequence[Path] | None = None,
        show: Sequence[Path] | None = None,
        features: str = "vgg16",
    ) -> None:
        self._photos = find_pictures(photos) if photos is not None else []
        if photos is not None and not self._photos:
            raise InputError(f"{photos}: expected photos, got a folder without any; name one by --photos")
        self.paintings = tuple(paintings) if paintings else _shipped_paintings()
        self._show = list(show or [])
        for path in (*self.paintings, *self._show):
            if not path.is_file():
                raise InputError(f"{path}: expected a picture, got no such file")
        self.features = features
        self._networks: Sequence[FeatureNetwork] | None = None
        self._pools: dict[int, Tensor] = {}

    def identity(self) -> dict[str, Any]:
        """What tells this material from another, for the names of arms."""
        names = [[path.name, path.stat().st_size] for path in self._photos] or "dead leaves"
        weights = hashlib.sha256()
        for network in self.networks():
            for tensor in network.state_dict().values():
                weights.update(tensor.cpu().numpy().tobytes())
        return {
            "photos": hashlib.sha256(repr(names).encode()).hexdigest()[:12],
            "paintings": [[path.name, path.stat().st_size] for path in self.paintings],
            "features": weights.hexdigest()[:12],
        }

    def describe(self) -> dict[str, Any]:
        """What it is, for people; names without folders."""
        many = f"{len(self._photos)} photos" if self._photos else f"{_NUM_DRAWN} drawn pictures (dead leaves)"
        return {
            "photos": many,
            "paintings": [path.stem for path in self.paintings],
            "features": [network.name for network in self.networks()],
        }

    def networks(self) -> Sequence[FeatureNetwork]:
        """Return the feature networks, loaded once."""
        if self._networks is None:
            self._networks = load_features(self.features)
        return self._networks

    def pool(self, crop_px: int, count: int | None = None, num_held_out: int = 16) -> PhotoPool:
        """Return photos for crops of ``crop_px``: all of them, or ``count`` spread evenly."""
        side = round(crop_px * _ZOOM)
        total = len(self._photos) or _NUM_DRAWN
        wanted = np.arange(total)
        if count is not None and count < total:
            wanted = np.linspace(0, total - 1, count).round().astype(int)
        key = hash((side, len(wanted)))
        if key not in self._pools:
            self._pools[key] = torch.stack([self._square(int(i), side) for i in wanted])
        return PhotoPool(self._pools[key], num_held_out)

    def held_out(self, side_px: int, count: int) -> Tensor:
        """Return the middles of ``count`` photos, spread evenly: (count, 3, side_px, side_px), RGB, 0..1.

        They are those that `pool` holds out of trainings with as many held out.
        """
        total = len(self._photos) or _NUM_DRAWN
        chosen = np.linspace(0, total - 1, count).round().astype(int)
        return torch.stack([self._square(int(i), side_px) for i in chosen]).float() / 255

    def painting(self, shorter_px: int, index: int = 0) -> Tensor:
        """Return a whole painting, (1, 3, H, W), RGB, 0..1, its shorter side scaled to ``shorter_px``."""
        return _open(self.paintings[index], shorter_px)

    def loss(self, num_scales: int, device: torch.device) -> PerceptualLoss:
        """Return the losses that the experiments train and measure with."""
        return PerceptualLoss([network.to(device) for network in self.networks()], num_scales)

    def shown(self, shorter_px: int, count: int = _NUM_SHOWN) -> list[Tensor]:
        """Return pictures to show results on, (1, 3, H, W) each, RGB, 0..1."""
        if self._show:
            return [_open(path, shorter_px) for path in self._show[:count]]
        total = len(self._photos) or _NUM_DRAWN
        wanted = np.linspace(0, total - 1, count + 2).round().astype(int)[1:-1]
        return [self._square(int(i), shorter_px)[None].float() / 255 for i in wanted]

    def shown_names(self) -> list[str]:
        """Names of the pictures to show, without folders; none if they are chosen here."""
        return [path.name for path in self._show]

    def _square(self, index: int, side: int) -> Tensor:
        """Photo ``index``, its middle square: (3, side, side) uint8."""
        if not self._photos:
            drawn = DeadLeaves(crop_px=side, batch_size=1, seed=11).batch(index)
            return (drawn[0] * 255).round().byte()
        image = _resized(self._photos[index], side)
        x, y = (image.width - side) // 2, (image.height - side) // 2
        pixels = np.array(image.crop((x, y, x + side, y + side)))
        return torch.from_numpy(pixels).permute(2, 0, 1)


def _shipped_paintings() -> tuple[Path, ...]:
    network = shipped_network()
    files = [network.thumbnail(name) for name in network.style_names()]
    found = tuple(file for file in files if file is not None)
    if not found:
        raise InputError("this installation ships no thumbnails: name a painting by --paintings")
    return found


def _resized(path: Path, shorter_px: int) -> Image.Image:
    return resize_shorter(Image.fromarray(to_uint8(read_picture(path).pixels)), shorter_px)


def _open(path: Path, shorter_px: int) -> Tensor:
    pixels: NDArray[np.uint8] = np.array(_resized(path, shorter_px))
    return torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255

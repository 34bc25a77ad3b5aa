"""Photos and paintings for training.

Every batch is a pure function of (seed, step): which photos, which crops, which flips. So a resumed training
sees exactly what an uninterrupted one would have seen, with no sampler to save; and batches can be made ahead
by threads, in any order. Of several processes (`stylenorm.training.ranks`) each makes its share of it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from stylenorm.errors import PictureError, TrainingError
from stylenorm.media import LeftOut, find_pictures, read_picture, resize_shorter, to_uint8
from stylenorm.training import ranks
from stylenorm.training.data.layouts import find_split, too_many_skipped

__all__ = ["LARGEST_SHIFT_PX", "Photos", "read_painting", "shifted"]

LARGEST_SHIFT_PX = 7
"""How many pixels `shifted` may crop."""

_MOST_UNREADABLE = 100  # in a row: then it is the folder that is wrong, not a picture
_LOOKED_AT = 100  # photos, before the training begins
_LARGEST_ZOOM = 1.35
_CACHE_BYTES = 1 << 30  # decoded photos kept in memory, already scaled down to what a crop can need
_BATCHES_AHEAD = 8


class Photos:
    """Random crops of the photos in a folder, sub-folders included.

    Args:
        folder: where the photos are. If it has ``train`` and ``val`` or ``test`` (see `find_split`), the
            first is trained on, and of the other come the photos that are held out.
        crop_px: side of the square crops.
        batch_size: crops a step, of all processes together.
        seed: what the choice of photos, crops and flips is drawn from.
        num_held_out: the first so many photos (by name) are kept out of training; `held_out` gives them.
        held_out: folder of those; None takes them from ``folder``.

    Attributes:
        paths: the photos, those that are held out first.
        unreadable: photos that could not be read, with the reason; they are skipped.
        left_out: what the folder holds beside photos that are read.
        notes: how the folder was understood, where that is worth a word.

    Raises:
        TrainingError: the folder has too few pictures.
    """

    def __init__(
        self,
        folder: Path,
        *,
        crop_px: int,
        batch_size: int,
        seed: int,
        num_held_out: int,
        held_out: Path | None = None,
    ) -> None:
        self.left_out = LeftOut()
        self.notes: list[str] = []
        self.folder, self._held_out_folder = folder, held_out
        trained_on, kept = self._find(folder)
        if self.left_out.unreadable:
            raise TrainingError(f"{self.left_out.problems()[0]}; make it readable, or move it elsewhere")
        if kept is not None:
            kept = kept[:num_held_out]
            num_held_out = len(kept)
        self.paths = [*(kept or ()), *trained_on]
        if len(self.paths) <= num_held_out:
            raise TrainingError(self._too_few(num_held_out))
        self.crop_px, self.batch_size, self.seed, self.num_held_out = crop_px, batch_size, seed, num_held_out
        self.unreadable: dict[Path, str] = {}
        self._decoded: dict[Path, NDArray[np.uint8]] = {}
        self._decoded_bytes = 0
        self._readable: set[Path] = set()
        self._smaller: dict[Path, int] = {}  # shorter sides of those that are smaller than a crop
        self._ahead: dict[tuple[int, range], Future[Tensor]] = {}
        self._pool: ThreadPoolExecutor | None = None

    def memory(self) -> dict[str, Any]:
        """Return which photos there are, with their sizes, and which could not be read."""
        return {
            "photos": {self._name(path): path.stat().st_size if path.exists() else -1 for path in self.paths},
            "unreadable": {self._name(path): reason for path, reason in self.unreadable.items()},
        }

    def recall(self, memory: Mapping[str, Any]) -> str:
        """Take up which photos could not be read; return what has changed since, empty if nothing has."""
        before, now = memory["photos"], self.memory()["photos"]
        by_name = {self._name(path): path for path in self.paths}
        for name, reason in memory["unreadable"].items():
            if name in by_name and before.get(name) == now.get(name):
                self.unreadable[by_name[name]] = reason
        gone, came = before.keys() - now.keys(), now.keys() - before.keys()
        other = [name for name in before.keys() & now.keys() if before[name] != now[name]]
        changes = [
            f"{len(names)} {what} ({', '.join(sorted(names)[:3])}{', ...' if len(names) > 3 else ''})"
            for what, names in (("gone", gone), ("new", came), ("changed", other))
            if names
        ]
        return (
            f"{self.folder}: the photos are not those of the checkpoint: {', '.join(changes)}"
            if changes
            else ""
        )

    def look_through(self) -> list[str]:
        """Read what is held out and up to 100 others, spread evenly; return what a user should know.

        Raises:
            TrainingError: more than one in ten of them cannot be used.
        """
        others = self.paths[self.num_held_out :]
        spread = np.linspace(0, len(others) - 1, min(_LOOKED_AT, len(others))).round().astype(int)
        chosen = [*self.paths[: self.num_held_out][:_LOOKED_AT], *(others[i] for i in spread)]
        with ThreadPoolExecutor(max(1, (os.cpu_count() or 1) // 2)) as pool:
            list(pool.map(self._decode, chosen))
        self._check_share()
        notes = list(self.notes)
        of = f"{len(chosen)} photos" + ("" if len(chosen) == len(self.paths) else " that were looked at")
        if self._smaller:
            notes.append(
                f"{self.folder}: {len(self._smaller)} of {of} are smaller than the crops of {self.crop_px} "
                f"pixels, and enlarged; the smallest has {min(self._smaller.values())}"
            )
        skipped = sorted(path for path in chosen if path in self.unreadable)
        if skipped:
            notes.append(
                f"{self.folder}: skipped {len(skipped)} of {of}; the first: {self.unreadable[skipped[0]]}"
            )
        return notes

    @property
    def scale_px(self) -> tuple[int, int]:
        """Shortest and longest shorter side that the pictures have when they are cropped."""
        return self.crop_px, round(self.crop_px * _LARGEST_ZOOM)

    @property
    def counted(self) -> str:
        """How many photos there are, and where; if some were skipped, how many were not: 12 of 30 (x)."""
        total, skipped = len(self.paths), len(self.unreadable)
        return (
            f"{total - skipped} of {total} ({self.folder.name})"
            if skipped
            else f"{total} ({self.folder.name})"
        )

    def _find(self, folder: Path) -> tuple[list[Path], list[Path] | None]:
        """Return photos to train on, and those that the folder itself holds out; None if it does not."""
        split = find_split(folder)
        if split is not None:
            self.notes.append(split.note)
            folder, self._held_out_folder = split.training, self._held_out_folder or split.held_out
        kept = self._held_out_folder
        return (
            find_pictures(folder, left_out=self.left_out),
            None if kept is None else find_pictures(kept, left_out=self.left_out),
        )

    def _too_few(self, num_held_out: int) -> str:
        return (
            f"{self.folder}: expected more than {num_held_out} photos, got {len(self.paths)}; "
            "name a folder with photos by --photos"
        )

    def _name(self, path: Path) -> str:
        return path.relative_to(self.folder).as_posix() if path.is_relative_to(self.folder) else str(path)

    @contextmanager
    def ahead(self) -> Iterator[None]:
        """Within the block, threads begin the batches that follow the one asked for."""
        # Half the cores: the other half computes, or feeds a GPU.
        num_threads = max(1, (os.cpu_count() or 1) // 2)
        self._pool = ThreadPoolExecutor(num_threads, thread_name_prefix="photos")
        try:
            yield
        finally:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None
            self._ahead.clear()

    def batch(self, step: int) -> Tensor:
        """Return the crops of ``step``: (batch_size, 3, crop_px, crop_px), RGB, 0..1.

        Of several processes each gets its share: batch_size / processes of them.
        """
        mine = ranks.shard(range(self.batch_size))
        if self._pool is None:
            return self._make_batch(step, mine)
        wanted = [(s, mine) for s in range(step, step + _BATCHES_AHEAD)]
        self._ahead = {
            key: self._ahead.get(key) or self._pool.submit(self._make_batch, *key) for key in wanted
        }
        return self._ahead.pop((step, mine)).result()

    def _make_batch(self, step: int, mine: range) -> Tensor:
        trained_on = self.paths[self.num_held_out :]
        rng = np.random.default_rng([self.seed, 1, step])
        crops = []
        for number in range(self.batch_size):
            epoch, position = divmod(step * self.batch_size + number, len(trained_on))
            order = np.random.default_rng([self.seed, 0, epoch]).permutation(len(trained_on))
            index = int(order[position])
            for _ in range(_MOST_UNREADABLE):
                if number not in mine:
                    if self._pass_over(trained_on[index], rng):
                        break
                elif (crop := self._crop(trained_on[index], rng)) is not None:
                    crops.append(crop)
                    break
                index = int(rng.integers(len(trained_on)))
            else:
                (path, reason), *others = self.unreadable.items()
                raise TrainingError(
                    f"{len(others) + 1} photos could not be read; the first: {path}: {reason}"
                )
        return _to_tensor(np.stack(crops))

    def held_out(self, count: int) -> Tensor:
        """Return centre crops of ``count`` held-out photos, spread evenly: (count, 3, crop_px, crop_px).

        What cannot be read is passed over.

        Raises:
            TrainingError: none can be read.
        """
        kept = [path for path in self.paths[: self.num_held_out] if self._decode(path) is not None]
        if not kept:
            raise TrainingError(
                f"{self.folder}: expected photos that are held out and can be read, got none; "
                f"the first: {self.unreadable.get(self.paths[0], 'num_held_out is 0')}"
            )
        chosen = np.linspace(0, len(kept) - 1, count).round().astype(int)
        return _to_tensor(np.stack([self._centre_crop(self._read(kept[i])) for i in chosen]))

    def some(self, count: int) -> Tensor:
        """Return crops of ``count`` photos that are trained on, spread evenly, always the same."""
        trained_on = self.paths[self.num_held_out :]
        rng = np.random.default_rng([self.seed, 2])
        chosen = np.linspace(0, len(trained_on) - 1, min(count, len(trained_on))).round().astype(int)
        crops = [crop for i in chosen if (crop := self._crop(trained_on[i], rng)) is not None]
        return _to_tensor(np.stack(crops))

    def _read(self, path: Path) -> NDArray[np.uint8]:
        """Return a photo's pixels (H, W, 3), or of several pictures that belong together (H, W, 3 k)."""
        return to_uint8(read_picture(path).pixels)

    def _scaled(self, pixels: NDArray[np.uint8], shorter_px: int) -> NDArray[np.uint8]:
        """Return (H, W, 3 k) with the shorter side scaled, three channels at a time: Pillow knows no more."""
        pictures = [Image.fromarray(pixels[..., i : i + 3]) for i in range(0, pixels.shape[2], 3)]
        return np.concatenate([np.asarray(resize_shorter(each, shorter_px)) for each in pictures], axis=2)

    def _centre_crop(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        pixels, size = self._scaled(pixels, self.crop_px), self.crop_px
        x, y = (pixels.shape[1] - size) // 2, (pixels.shape[0] - size) // 2
        return pixels[y : y + size, x : x + size]

    def _crop(self, path: Path, rng: np.random.Generator) -> NDArray[np.uint8] | None:
        zoom, left, top = rng.uniform(1.0, _LARGEST_ZOOM), rng.uniform(), rng.uniform()
        flip = rng.uniform() < 0.5
        pixels = self._decode(path)
        if pixels is None:
            return None
        pixels = self._scaled(pixels, round(self.crop_px * zoom))
        x = round(left * (pixels.shape[1] - self.crop_px))
        y = round(top * (pixels.shape[0] - self.crop_px))
        crop = pixels[y : y + self.crop_px, x : x + self.crop_px]
        return crop[:, ::-1] if flip else crop

    def _pass_over(self, path: Path, rng: np.random.Generator) -> bool:
        """Draw what `_crop` would; return whether there would be a crop, which another process makes."""
        rng.random(4)
        return path in self._readable or self._decode(path) is not None

    def _decode(self, path: Path) -> NDArray[np.uint8] | None:
        """The photo, no larger than a crop can need; None if it cannot be read."""
        if path in self.unreadable:
            return None
        if path in self._decoded:
            return self._decoded[path]
        try:
            pixels = self._read(path)
        except PictureError as error:
            self.unreadable[path] = str(error)
            self._check_share()
            return None
        self._readable.add(path)
        if min(pixels.shape[:2]) < self.crop_px:
            self._smaller[path] = min(pixels.shape[:2])
        largest_px = round(self.crop_px * _LARGEST_ZOOM)
        if min(pixels.shape[:2]) > largest_px:
            pixels = self._scaled(pixels, largest_px)
        if self._decoded_bytes + pixels.nbytes <= _CACHE_BYTES:
            self._decoded[path] = pixels
            self._decoded_bytes += pixels.nbytes
        return pixels

    def _check_share(self) -> None:
        """Refuse a folder of which more than one photo in ten, and more than one, cannot be used."""
        skipped, seen = len(self.unreadable), len(self.unreadable) + len(self._readable)
        if seen >= min(len(self.paths), _LOOKED_AT) and too_many_skipped(skipped, seen):
            path = min(tuple(self.unreadable))  # a copy: threads may add to it
            raise TrainingError(
                f"{self.folder}: expected at most one photo in ten that cannot be used, got {skipped} of the "
                f"{seen} read so far; the first: {self.unreadable[path]}; mend them, or move them elsewhere"
            )


def read_painting(
    path: Path, shorter_px: int, crop: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)
) -> Tensor:
    """Return a painting, or a part of it, (1, 3, H, W), RGB, 0..1, its shorter side scaled to ``shorter_px``.

    The size sets the size of the strokes: they come out as large, in pixels, as they are here.

    Args:
        path: picture file.
        shorter_px: of the part, in pixels.
        crop: left, top, right and bottom of the part, as shares of the painting's width and height.
    """
    whole = Image.fromarray(to_uint8(read_picture(path).pixels))
    sides = (whole.width, whole.height) * 2
    part = whole.crop([round(share * side) for share, side in zip(crop, sides, strict=True)])  # type: ignore[arg-type]
    image = resize_shorter(part, shorter_px)
    return _to_tensor(np.asarray(image)[None])


def _to_tensor(pixels: NDArray[np.uint8]) -> Tensor:
    return torch.tensor(pixels).permute(0, 3, 1, 2).float() / 255


def shifted(painted: Tensor, photo: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Crop paintings and photos, (N, 3, H, W) each, by the same random 0 to 7 pixels at the top and the left.

    Before the losses: the feature networks pool by 2 again and again, and at a fixed phase a generator hides
    checkerboard artefacts where they do not look.
    """
    dy, dx = torch.randint(LARGEST_SHIFT_PX + 1, (2,), generator=generator).tolist()
    return painted[..., dy:, dx:], photo[..., dy:, dx:]

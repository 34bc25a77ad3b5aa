"""A classifier for a domain that it was not trained on: norms of instances and of batches in one network.

Pan, Luo, Shi, Tang, "Two at Once: Enhancing Learning and Generalization Capacities via IBN-Net", ECCV 2018
(arXiv:1807.09441).

As published: networks (see `stylenorm.networks.IbnResNet`), cross entropy.

Differs from the paper: Adam in place of SGD with momentum, with the loop's rate; the defaults are of a size
for a CPU (the paper's: ``--depth 50 --width 64 --stem large --crop-px 224 --batch-size 256 --flip``); crops
are of nearly the whole picture; the result is the running average of the weights (``--average 0`` for the
last ones).
"""

from __future__ import annotations

import platform
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from stylenorm.configurations import IbnConfig
from stylenorm.errors import InputError
from stylenorm.export import export_classifier
from stylenorm.networks import IbnResNet
from stylenorm.training.data.class_folders import ClassFolders
from stylenorm.training.data.digit_domains import DOMAINS, write_domain
from stylenorm.training.recipe import Recipe

__all__ = ["Ibn", "IbnConfig"]

_NUM_SAMPLES = 12
_SAMPLE_PX, _FRAME_PX = 64, 4
_RIGHT, _WRONG = (26, 127, 55), (209, 36, 47)
_AT_ONCE = 100
_DRAWN_PX = 32


class Ibn(Recipe):
    """The recipe; see the module's docstring.

    Args:
        config: what to learn from.
        out: folder for the results: ``classifier.onnx``, ``classifier.json``; ``digits`` for drawn ones.
        command: the command that started the training, for the record.

    Attributes:
        accuracy: after the training, the share of held-out pictures that was recognised, by domain: source
            and, where there is one, unseen.
    """

    name = "ibn"
    loop_defaults = IbnConfig.loop
    model: IbnResNet

    def __init__(self, config: IbnConfig, out: Path, command: str = "") -> None:
        self.settings, self.out, self.command = config, out, command
        self.accuracy: dict[str, float] = {}
        if config.batch_size < 2:
            raise InputError(f"batch_size: expected at least 2, got {config.batch_size}")
        source, unseen = config.source, config.unseen
        if source is None:
            if unseen is not None:
                raise InputError("unseen: expected a source with it, got none: name one by --source")
            source, unseen = (out / "digits" / domain for domain in DOMAINS)
            for folder, domain in zip((source, unseen), DOMAINS, strict=True):
                write_domain(folder, domain, _DRAWN_PX)
        options: dict[str, Any] = {
            "crop_px": config.crop_px,
            "batch_size": config.batch_size,
            "seed": config.seed,
        }
        self.source = ClassFolders(source, num_held_out=config.num_held_out, flip=config.flip, **options)
        self.unseen = unseen and ClassFolders(unseen, num_held_out=0, classes=self.source.classes, **options)
        torch.manual_seed(config.seed)
        self.model = IbnResNet(
            len(self.source.classes), config.norm, depth=config.depth, width=config.width, stem=config.stem
        )
        if config.crop_px < self.model.smallest_px:
            raise InputError(
                f"crop_px: expected at least {self.model.smallest_px} with the {config.stem} stem, "
                f"got {config.crop_px}"
            )

    def prefetch(self) -> AbstractContextManager[None]:
        """Batches are made ahead."""
        return self.source.ahead()

    def config(self) -> Mapping[str, Any]:
        """Return the settings, and how many classes there are."""
        values = {k: v for k, v in vars(self.settings).items() if isinstance(v, int | float | str)}
        return {**values, "num_classes": len(self.source.classes)}

    def losses(self, step: int, generator: torch.Generator) -> dict[str, Tensor]:  # noqa: ARG002 (nothing is drawn)
        """Return the cross entropy."""
        x, y = (tensor.to(self.device) for tensor in self.source.labelled(step))
        return {"classes": F.cross_entropy(self.model(x), y)}

    def sample(self, model: nn.Module) -> NDArray[np.uint8]:
        """Return a grid: held-out pictures of the source, then of the other domain; red frames are wrong."""
        rows = []
        count = min(_NUM_SAMPLES, self.source.num_held_out)
        for domain in self._domains().values():
            squares, classes = domain.squares(count)
            found = self._classify(model, squares)
            tiles = [_framed(square, of == y) for square, of, y in zip(squares, found, classes, strict=True)]
            tiles += [np.zeros_like(tiles[0])] * (count - len(tiles))
            rows.append(np.concatenate(tiles, axis=1))
        return np.concatenate(rows)

    def metrics(self, model: nn.Module) -> dict[str, float]:
        """Return the share of held-out pictures that is recognized, by domain."""
        counts = {"source": self.source.num_held_out, "unseen": self.settings.num_unseen}
        found = {}
        for name, domain in self._domains().items():
            squares, classes = domain.squares(counts[name])
            found[f"accuracy {name}"] = float((self._classify(model, squares) == classes).mean())
            self.accuracy[name] = round(found[f"accuracy {name}"], 4)
        return found

    def finish(self, model: nn.Module, record: Mapping[str, str]) -> None:
        """Export the network, checked against PyTorch."""
        assert isinstance(model, IbnResNet)  # noqa: S101 (narrows the type; not a user's input)
        whole = {
            **record,
            **{key: str(value) for key, value in self.config().items()},
            **{key: domain.counted for key, domain in self._domains().items()},
            **{f"accuracy, {key}": f"{value:.4f}" for key, value in self.accuracy.items()},
            "command": self.command,
            "machine": f"{platform.machine()}, {self.device.type}",
        }
        export_classifier(model.cpu(), self.source.classes, self.settings.crop_px, self.out, whole)

    def _domains(self) -> dict[str, ClassFolders]:
        return {"source": self.source} | ({"unseen": self.unseen} if self.unseen else {})

    @torch.no_grad()
    def _classify(self, model: nn.Module, squares: NDArray[np.uint8]) -> NDArray[np.int64]:
        """Return the class of each of (N, S, S, 3)."""
        was_training = model.training
        model.eval()
        found = [
            model(torch.tensor(part).to(self.device).permute(0, 3, 1, 2).contiguous().float() / 255).argmax(
                dim=1
            )
            for part in np.array_split(squares, -(-len(squares) // _AT_ONCE))
        ]
        model.train(was_training)
        classes: NDArray[np.int64] = torch.cat(found).cpu().numpy()
        return classes


def _framed(square: NDArray[np.uint8], is_right: bool) -> NDArray[np.uint8]:
    repeats = -(-_SAMPLE_PX // len(square))
    large = np.kron(square, np.ones((repeats, repeats, 1), np.uint8))
    framed = np.empty((len(large) + 2 * _FRAME_PX, len(large) + 2 * _FRAME_PX, 3), np.uint8)
    framed[:] = _RIGHT if is_right else _WRONG
    framed[_FRAME_PX:-_FRAME_PX, _FRAME_PX:-_FRAME_PX] = large
    return framed

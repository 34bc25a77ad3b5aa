"""Where experiments are run: arms that are kept once finished, a bar, pictures.

An arm is one training or one measurement with one seed. It is kept in ``arms/`` under a name made of its
settings, so a run that was stopped goes on with the arms that are missing, and experiments that share an arm
(the instance norm network of one is the baseline of five others) train it once.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from stylenorm.errors import InputError
from stylenorm.lab.material import Material, PhotoPool
from stylenorm.media import atomic_write

__all__ = ["Arm", "Bench"]

_FORMAT = "stylenorm-arm-1"  # changes when the same settings would give other numbers


@dataclass(frozen=True)
class Arm:
    """What an arm leaves.

    Attributes:
        numbers: for the figures and the verdict.
        tensors: a trained network, for other experiments.
        cpu_s: processor time that it took; the bench measures it.
    """

    numbers: dict[str, Any]
    tensors: dict[str, Tensor] = field(default_factory=dict)
    cpu_s: float = 0.0


class Bench:
    """Runs arms, or finds them finished.

    Args:
        out: folder of the laboratory; arms are kept in ``out/arms``.
        material: photos, paintings and feature networks.
        device: where to compute.
        quiet: no progress.

    Attributes:
        pictures: what the experiment has to show, by name: (H, W, 3) uint8.
        pools: photos that were prepared for some arms and serve others too.
        num_found: arms that were finished before.
        num_run: arms that were run.
        cpu_s: processor time of all of them, when they were run.
    """

    def __init__(
        self, out: Path, material: Material, device: torch.device | str = "cpu", *, quiet: bool = False
    ) -> None:
        self.out, self.material, self.device = out, material, torch.device(device)
        self.pictures: dict[str, NDArray[np.uint8]] = {}
        self.pools: dict[Any, PhotoPool] = {}
        self.num_found = self.num_run = 0
        self.cpu_s = self._spent_s = 0.0
        self._quiet = quiet
        self._bar: Any = None

    def __enter__(self) -> Self:
        from tqdm import tqdm

        self._bar = tqdm(total=0, unit="arm", dynamic_ncols=True, disable=True if self._quiet else None)
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()
        self._bar = None

    def expect(self, count: int) -> None:
        """Say how many arms are still to come."""
        if self._bar is not None:
            self._bar.total = self._bar.n + count
            self._bar.refresh()

    def tell(self, text: str) -> None:
        """Say how far the arm is."""
        if self._bar is not None:
            self._bar.set_postfix_str(text)

    def arm(self, label: str, settings: Mapping[str, Any], compute: Callable[[], Arm]) -> Arm:
        """Return the arm with these settings: from its file, or computed now and kept.

        Args:
            label: for the bar and the file's name, which are for people; settings alone tell arms apart.
            settings: everything that the numbers depend on, as JSON has it.
            compute: makes the arm.

        Raises:
            InputError: the arm's file is broken.
        """
        text = json.dumps({"format": _FORMAT, **settings}, sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()[:12]
        if self._bar is not None:
            self._bar.set_description_str(label)
        path = self.out / "arms" / f"{label}-{digest}.json"
        found = _read(path)
        if found is None:
            started, inner = time.process_time(), self._spent_s
            found = compute()
            own_s = time.process_time() - started - (self._spent_s - inner)  # arms within it have their own
            self._spent_s += own_s
            found = replace(found, cpu_s=round(own_s, 1))
            _write(path, text, found)
            self.num_run += 1
        else:
            self.num_found += 1
        self.cpu_s += found.cpu_s
        if self._bar is not None:
            self._bar.set_postfix_str("", refresh=False)
            self._bar.update()
        return found

    def show(self, name: str, picture: NDArray[np.uint8] | Image.Image) -> None:
        """Keep a picture of the result, (H, W, 3)."""
        self.pictures[name] = np.asarray(picture)


def _read(path: Path) -> Arm | None:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not path.exists():
        return None
    tensors_path = path.with_suffix(".safetensors")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        tensors = load_file(tensors_path) if content["tensors"] else {}
        return Arm(dict(content["numbers"]), tensors, float(content["cpu_s"]))
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise InputError(
            f"{path}: expected a finished arm ({error!r}); delete the file to run it again"
        ) from error


def _write(path: Path, settings: str, arm: Arm) -> None:
    from safetensors.torch import save

    if arm.tensors:  # first, so that an arm whose numbers are there is whole
        with atomic_write(path.with_suffix(".safetensors"), overwrite=True) as file:
            file.write(save({name: tensor.cpu().contiguous() for name, tensor in arm.tensors.items()}))
    content = {
        "settings": json.loads(settings),
        "cpu_s": arm.cpu_s,
        "tensors": bool(arm.tensors),
        "numbers": arm.numbers,
    }
    with atomic_write(path, overwrite=True) as file:
        file.write((json.dumps(content, indent=1) + "\n").encode())

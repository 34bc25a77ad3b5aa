"""What a training measured, step by step, on disk.

``log.jsonl`` has a line of JSON for each report: the step, the seconds since the start (or since the run was
resumed), the learning rate, the losses (means since the line before), and ``held_out``, what the recipe
measured of pictures or scans that it never trains on. ``curve.png`` draws them. Where it is asked for,
``tensorboard/`` has the same for TensorBoard.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stylenorm.errors import MissingExtraError
from stylenorm.media import atomic_write
from stylenorm.media.pictures.line_chart import draw_lines

__all__ = ["Journal"]


class Journal:
    """The files; of several processes the first alone has one.

    Args:
        out: folder of the training.
        step: that it goes on from: lines behind it are of a run that ended behind its last checkpoint.
        tensorboard: write for TensorBoard, too.

    Raises:
        MissingExtraError: TensorBoard is not installed.
    """

    def __init__(self, out: Path, step: int, *, tensorboard: bool = False) -> None:
        self.path, self._out = out / "log.jsonl", out
        self._started = time.monotonic()
        self._lines = [line for line in _read(self.path) if line.get("step", 0) <= step] if step else []
        with atomic_write(self.path, overwrite=True) as file:
            file.write("".join(json.dumps(line) + "\n" for line in self._lines).encode())
        self._board = _board(out / "tensorboard", step) if tensorboard else None

    def write(
        self,
        step: int,
        losses: Mapping[str, float] | None = None,
        held_out: Mapping[str, float] | None = None,
        rate: float | None = None,
    ) -> None:
        """Add a line."""
        line: dict[str, Any] = {"step": step, "seconds": round(time.monotonic() - self._started, 2)}
        if rate is not None:
            line["rate"] = rate
        for name, values in (("losses", losses), ("held_out", held_out)):
            if values:
                line[name] = {key: float(f"{value:.6g}") for key, value in values.items()}
                for key, value in values.items():
                    if self._board is not None:
                        self._board.add_scalar(f"{name}/{key}", value, step)
        self._lines.append(line)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def draw(self) -> None:
        """Write ``curve.png``: losses and, behind them in the legend, what was held out."""
        lines: dict[str, list[tuple[float, float]]] = {}
        for line in self._lines:
            for kind, prefix in (("losses", ""), ("held_out", "held out: ")):
                for name, value in line.get(kind, {}).items():
                    lines.setdefault(prefix + name, []).append((line["step"], value))
        if not lines:
            return
        with atomic_write(self._out / "curve.png", overwrite=True) as file:
            draw_lines(lines, footer="steps").save(file, format="PNG")

    def close(self) -> None:
        """Draw the curve, and finish TensorBoard's files."""
        self.draw()
        if self._board is not None:
            self._board.close()


def _read(path: Path) -> list[dict[str, Any]]:
    """The lines; one that was cut short by a kill, and what is behind it, is left out."""
    lines: list[dict[str, Any]] = []
    if path.exists():
        for text in path.read_text(encoding="utf-8").splitlines():
            try:
                lines.append(json.loads(text))
            except ValueError:
                break
    return lines


def _board(folder: Path, step: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise MissingExtraError("tensorboard", "torch", "--tensorboard") from error
    return SummaryWriter(str(folder), purge_step=step + 1)

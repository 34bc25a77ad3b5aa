"""``--timing``: where the time went, for people to read."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stylenorm.timing import Timing

__all__ = ["add_timing_argument", "stages_line", "timing_lines"]

_MEANINGS = {
    "load": "network, engine, styles",
    "read": "decode",
    "look": "cuts and light, the first reading",
    "measure": "statistics",
    "prepare": "sizes, colours, types",
    "paint": "the network",
    "smooth": "strokes along the motion",
    "write": "encode",
    "show": "window or page",
    "wait for reading": "nothing to paint yet",
    "wait for writing": "paintings that are not written yet",
}
# What goes on at the same time in a film: the names of a part, and its stages.
_PARTS = {
    "reading": ("read",),
    "painting": ("measure", "prepare", "paint", "smooth"),
    "writing": ("write", "show"),
}


def add_timing_argument(parser: argparse.ArgumentParser) -> None:
    """Add the argument."""
    parser.add_argument(
        "--timing", action="store_true", help="say where the time went, on standard error; not with --quiet"
    )


def stages_line(stages: Mapping[str, float]) -> str:
    """One picture's stages, as ``read 12 ms, paint 130 ms``."""
    return ", ".join(f"{name} {_short(seconds)}" for name, seconds in stages.items())


def timing_lines(timing: Timing, wall_s: float) -> list[str]:
    """Return a table: of each stage the time that it was busy, how often, and its share of the wall time."""
    lines = [f"{'stage':<17}{'busy':>9}{'times':>7}{'each':>9}{'share':>7}"]
    for name in sorted(timing.stages, key=list(_MEANINGS).index):
        stage = timing.stages[name]
        each = stage.seconds / max(stage.count, 1)
        share = stage.seconds / wall_s if wall_s > 0 else 0.0
        line = f"{name:<17}{stage.seconds:>7.2f} s{stage.count:>7}{_short(each):>9}{share:>6.0%}"
        if name == "paint" and stage.count > 1:
            line += f"   {_MEANINGS[name]}; the first time {_short(stage.first_s)}"
        else:
            line += f"   {_MEANINGS[name]}"
        lines.append(line)
    lines.append(_conclusion(timing, wall_s))
    return lines


def _conclusion(timing: Timing, wall_s: float) -> str:
    """How busy that makes a run, and which part the others of a film waited for."""
    waits = {name: stage.seconds for name, stage in timing.stages.items() if name.startswith("wait")}
    busy = sum(stage.seconds for name, stage in timing.stages.items() if name not in waits)
    text = f"{wall_s:.2f} s passed, stages were busy for {busy:.2f} s"
    if not waits:
        return text
    parts = {
        part: sum(timing.stages[name].seconds for name in names if name in timing.stages)
        for part, names in _PARTS.items()
    }
    slowest = max(parts, key=parts.__getitem__)
    overlap = ", ".join(f"{part} {seconds:.2f} s" for part, seconds in parts.items())
    return f"{text}; at the same time: {overlap}: {slowest} is the bottleneck"


def _short(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 10 else f"{seconds:.1f} s"

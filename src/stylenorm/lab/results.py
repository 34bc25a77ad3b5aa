"""Results: what a run leaves in a folder, those that ship with the package, and how runs are made.

.. code-block:: text

    OUT/arms/                finished trainings and measurements, each in files of its own
    OUT/NAME/result.json     numbers, settings, seeds, machine, versions, verdict
    OUT/NAME/*.svg, *.jpg    figures and pictures
    OUT/NAME-tiny, NAME-gpu  the same of other sizes, which never take the place of one another
"""

from __future__ import annotations

import importlib.metadata
import io
import json
import os
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from stylenorm.errors import InputError
from stylenorm.lab.bench import Bench
from stylenorm.lab.catalogue import EXPERIMENTS, find_experiment
from stylenorm.lab.drawing import standalone
from stylenorm.lab.experiment import Figure, Size, Verdict
from stylenorm.media import atomic_write

__all__ = ["PUBLISHED", "Result", "read_results", "run_experiment"]

PUBLISHED = Path(__file__).parent / "published"
"""The folder of the results that ship."""

_FORMAT = "stylenorm-lab-1"
_PACKAGES = ("torch", "numpy", "pillow", "openvino", "scikit-learn")
_JPEG_QUALITY = 80


@dataclass(frozen=True)
class Result:
    """One experiment's result. Verdict and figures are made anew from the numbers.

    Attributes:
        name: of the experiment.
        content: what ``result.json`` holds: ``size``, ``settings``, ``material``, ``numbers``, ``machine``,
            ``arms``.
        pictures: files, by name.
        folder: where it lies.
    """

    name: str
    content: Mapping[str, Any]
    pictures: Mapping[str, Path]
    folder: Path

    @property
    def origin(self) -> str:
        """Whose it is, and of which size: ``"published, cpu size"``."""
        return f"{'published' if self.folder.parent == PUBLISHED else 'yours'}, {self.size} size"

    @property
    def size(self) -> Size:
        """How much was run."""
        return Size(self.content["size"])

    def verdict(self) -> Verdict:
        """Judge the numbers by the experiment's rule."""
        return find_experiment(self.name).judge(self.content["numbers"])

    def figures(self) -> list[Figure]:
        """Draw the numbers."""
        return find_experiment(self.name).figures(self.content["numbers"])


def run_experiment(bench: Bench, name: str, size: Size) -> Result:
    """Run an experiment, or what is left of it, and write its result to ``bench.out``.

    Ctrl-C may stop it at any moment: finished arms are kept, and the same call goes on with the others.

    Raises:
        UnknownNameError: there is no such experiment.
        MissingExtraError: it needs a package that is not installed.
        TrainingError: a training cannot go on.
        OutputError: the result cannot be written.
    """
    experiment = find_experiment(name)
    bench.pictures.clear()
    settings = experiment.sizes[size]
    found_before, run_before, cpu_before = bench.num_found, bench.num_run, bench.cpu_s
    with bench:
        numbers = experiment.run(bench, settings)
    numbers = json.loads(json.dumps(numbers))  # as it will be read again
    verdict = experiment.judge(numbers)
    content = {
        "format": _FORMAT,
        "experiment": name,
        "size": str(size),
        "verdict": {"outcome": verdict.words, "text": verdict.text, "reasons": verdict.reasons},
        "settings": asdict(settings),
        "material": bench.material.describe(),
        "machine": _machine(str(bench.device)),
        "arms": {
            "run": bench.num_run - run_before,
            "found_finished": bench.num_found - found_before,
            "cpu_s": round(bench.cpu_s - cpu_before, 1),
        },
        "numbers": numbers,
    }
    folder = bench.out / _folder(name, size)
    for figure in experiment.figures(numbers):
        with atomic_write(folder / f"{figure.name}.svg", overwrite=True) as file:
            file.write(standalone(figure.svg).encode())
    for picture, pixels in bench.pictures.items():
        memory = io.BytesIO()
        Image.fromarray(pixels).save(memory, "JPEG", quality=_JPEG_QUALITY, optimize=True)
        with atomic_write(folder / f"{picture}.jpg", overwrite=True) as file:
            file.write(memory.getvalue())
    with atomic_write(folder / "result.json", overwrite=True) as file:
        file.write(_compact(content).encode())
    return _read(folder, name)


def read_results(folder: Path, size: Size = Size.CPU) -> dict[str, Result]:
    """Read the results of a size in a folder, in the catalogue's order; those that are missing are left out.

    Raises:
        InputError: a result is broken, or of another version.
    """
    places = {name: folder / _folder(name, size) for name in EXPERIMENTS}
    return {name: _read(place, name) for name, place in places.items() if (place / "result.json").exists()}


def _folder(name: str, size: Size) -> str:
    return name if size is Size.CPU else f"{name}-{size}"


def _read(folder: Path, name: str) -> Result:
    path = folder / "result.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] != _FORMAT or content["experiment"] != name:
            raise ValueError(f"format {content['format']!r}, experiment {content['experiment']!r}")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path}: expected the result of {name!r} ({error}); run 'stylenorm lab run {name}' again"
        ) from error
    return Result(name, content, {picture.stem: picture for picture in sorted(folder.glob("*.jpg"))}, folder)


def _compact(content: Mapping[str, Any]) -> str:
    """JSON with a line for each of the innermost lists, which are long and dull."""
    text = json.dumps(content, indent=1, ensure_ascii=False)
    lines: list[str] = []
    depth = 0  # of open lists without a key: their elements go on one line
    for line in text.splitlines():
        stripped = line.strip()
        if depth:
            lines[-1] += stripped if lines[-1].endswith("[") or stripped[0] in "]" else f" {stripped}"
        else:
            lines.append(line)
        depth += stripped.endswith("[")
        depth -= stripped.rstrip(",").endswith("]") and not stripped.endswith("[]")
    return "\n".join(lines) + "\n"


def _machine(device: str) -> dict[str, Any]:
    versions = {}
    for package in _PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "cpu": _cpu(),
        "cores": cores,
        "device": device,
        "system": platform.system(),
        "python": platform.python_version(),
        "versions": versions,
    }


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()

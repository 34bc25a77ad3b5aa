"""``stylenorm segment``: labels for CT, MR and other volumes."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from stylenorm.cli.progress import Progress
from stylenorm.cli.usage import (
    UsageError,
    add_network_argument,
    add_quiet_argument,
    as_usage,
    number_from,
    one_line,
)
from stylenorm.errors import OutputError, StylenormError

if TYPE_CHECKING:
    from stylenorm.models import Segmenter

__all__ = ["HELP", "add_arguments", "run"]

HELP = "label the voxels of scans (NIfTI) by a network that train volumes made"
EPILOG = """examples:
  stylenorm segment scan.nii.gz --network run/ -o labels.nii.gz
  stylenorm segment scans/ --network run/ --method whole -o labels/"""
RENAMED = {"--model": "--network"}

_UNLIKE = 1.5  # spacings that differ by more are told


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "inputs", nargs="+", type=Path, metavar="SCAN", help="NIfTI files, or folders of them"
    )
    add_network_argument(parser, "'stylenorm train volumes'")
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="PATH",
        help="a file, or of several scans a folder; default: beside the scan, scan.labels.nii.gz",
    )
    parser.add_argument(
        "--method",
        default="patch",
        metavar="NAME",
        help="whose statistics instance norm uses: patch (each window's own, as in nnU-Net; default), volume "
        "(windows, with the whole volume's), whole (no windows: the volume at once, layer after layer)",
    )
    parser.add_argument(
        "--overlap",
        type=float,
        default=0.5,
        metavar="SHARE",
        help="share of a window that the next one covers (default: 0.5)",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace what is there")
    parser.add_argument("--threads", type=number_from(1), metavar="N", help="default: all cores")
    add_quiet_argument(parser)


def run(options: argparse.Namespace) -> int:
    """Segment; a scan that fails is reported, and the others are done.

    Raises:
        UsageError: model, method or targets are not as expected; nothing was done.
    """
    from stylenorm.models import Segmenter

    with as_usage():
        jobs = _planned(options.inputs, options.output)
        segmenter = Segmenter(
            options.network, options.method, overlap=options.overlap, threads=options.threads
        )
    num_failed = 0
    progress = Progress(0, "step", enabled=not options.quiet)
    with progress:
        for source, target in jobs.items():
            progress.show(source.name)
            try:
                _segment(segmenter, source, target, progress, options)
            except (StylenormError, MemoryError, OSError) as error:
                if len(jobs) == 1 or (isinstance(error, OSError) and not isinstance(error, OutputError)):
                    raise
                num_failed += 1
                progress.print(f"stylenorm: {one_line(error)}")
    if num_failed:
        print(f"stylenorm: {num_failed} of {len(jobs)} scans failed", file=sys.stderr)
    return 1 if num_failed else 0


def _segment(
    segmenter: Segmenter, source: Path, target: Path, progress: Progress, options: argparse.Namespace
) -> None:
    from stylenorm.media import check_output
    from stylenorm.media.scans import read_volume, write_labels

    check_output(target, overwrite=options.overwrite)
    scan = read_volume(source)
    if not options.quiet:
        pairs = list(zip(scan.spacing_mm, segmenter.spacing_mm, strict=True))
        if any(max(a / b, b / a) > _UNLIKE for a, b in pairs):
            here, there = (" x ".join(f"{each:.2g}" for each in side) for side in zip(*pairs, strict=True))
            progress.print(
                f"stylenorm: note: {source}: voxels of {here} mm, learned from {there} mm: resample it first"
            )
    progress.add_steps(segmenter.num_steps(scan.voxels.shape))
    labels = segmenter(scan.voxels, progress.step)
    write_labels(labels, scan, target, overwrite=options.overwrite)


def _planned(inputs: list[Path], output: Path | None) -> dict[Path, Path]:
    """Sources and targets."""
    from stylenorm.media.scans import SUFFIXES, check_name

    sources: list[Path] = []
    for path in inputs:
        if path.is_dir():
            found = sorted(
                each
                for each in path.iterdir()
                if each.name.lower().endswith(SUFFIXES)
                and ".labels.nii" not in each.name.lower()  # what an earlier run wrote beside the scans
                and not each.name.startswith(".")
            )
            if not found:
                raise UsageError(f"{path}: expected a folder with NIfTI files, found none in it")
            sources += found
        else:
            sources.append(check_name(path))
    is_folder = output is not None and (
        len(sources) > 1 or output.is_dir() or any(path.is_dir() for path in inputs)
    )
    if output is not None and not is_folder:
        return {sources[0]: check_name(output)}
    jobs: dict[Path, Path] = {}
    for source in sources:
        stem = source.name[: source.name.lower().rindex(".nii")]
        target = (output or source.parent) / (f"{stem}.nii.gz" if output else f"{stem}.labels.nii.gz")
        if target in jobs.values():
            raise UsageError(f"{source}: another scan is written to {target} already; name the outputs apart")
        jobs[source] = target
    return jobs

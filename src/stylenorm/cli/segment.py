"""``stylenorm segment``: labels for CT, MR and other volumes."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from stylenorm.cli.progress import Failures, Progress
from stylenorm.cli.usage import (
    UsageError,
    add_network_argument,
    add_quiet_argument,
    as_usage,
    number_from,
)

if TYPE_CHECKING:
    from stylenorm.media.scan_layouts import ScanCase
    from stylenorm.models import Segmenter

__all__ = ["HELP", "add_arguments", "run"]

HELP = "label the voxels of scans (NIfTI) by a network that train volumes made"
EPILOG = """examples:
  stylenorm segment scan.nii.gz --network run/ -o labels.nii.gz
  stylenorm segment t1.nii.gz flair.nii.gz --network two-channels/ -o labels.nii.gz
  stylenorm segment imagesTs/ --network run/ -o labels/"""
RENAMED = {"--model": "--network"}

_UNLIKE = 1.5  # spacings that differ by more are told


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "inputs",
        nargs="+",
        type=Path,
        metavar="SCAN",
        help="NIfTI files, folders of them, or BIDS data sets; channels are NAME_0000, NAME_0001, ..., one "
        "4-D file, or 3-D files in the network's order",
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
        segmenter = Segmenter(
            options.network, options.method, overlap=options.overlap, threads=options.threads
        )
        jobs = _planned(options.inputs, options.output, segmenter)
    progress = Progress(0, "step", enabled=not options.quiet)
    failures = Failures(len(jobs), "scans", progress)
    with progress:
        for target, scan in jobs.items():
            progress.show(scan.images[0].name)
            with failures.counted():
                _segment(segmenter, scan, target, progress, options)
    return failures.exit_code()


def _segment(
    segmenter: Segmenter, case: ScanCase, target: Path, progress: Progress, options: argparse.Namespace
) -> None:
    from stylenorm.errors import ShapeError
    from stylenorm.media import check_output
    from stylenorm.media.scans import read_scan, write_labels

    check_output(target, overwrite=options.overwrite)
    scan = read_scan(case.images)
    if len(scan.voxels) != segmenter.num_channels:
        raise ShapeError(
            f"{scan.path}: expected one volume in 3 dimensions, got {len(scan.voxels)} channels"
            if segmenter.num_channels == 1
            else f"{scan.path}: expected the {segmenter.num_channels} channels of the network, got "
            f"{len(scan.voxels)}"
        )
    if not options.quiet and not segmenter.resamples:
        pairs = list(zip(scan.spacing_mm, segmenter.spacing_mm, strict=True))
        if any(max(a / b, b / a) > _UNLIKE for a, b in pairs):
            here, there = (" x ".join(f"{each:.2g}" for each in side) for side in zip(*pairs, strict=True))
            progress.print(
                f"stylenorm: note: {scan.path}: voxels of {here} mm, learned from {there} mm: "
                "resample it first"
            )
    progress.add_steps(segmenter.num_steps(scan.voxels.shape, scan.spacing_mm))
    labels = segmenter(scan.voxels, progress.step, spacing_mm=scan.spacing_mm)
    write_labels(labels, scan, target, overwrite=options.overwrite)


def _planned(inputs: list[Path], output: Path | None, segmenter: Segmenter) -> dict[Path, ScanCase]:
    """The scan of each target."""
    from stylenorm.media.scan_layouts import find_scans
    from stylenorm.media.scans import check_name

    scans = find_scans(inputs, segmenter.num_channels, segmenter.channels)
    is_folder = output is not None and (
        len(scans) > 1 or output.is_dir() or any(path.is_dir() for path in inputs)
    )
    if output is not None and not is_folder:
        return {check_name(output): scans[0]}
    jobs: dict[Path, ScanCase] = {}
    for scan in scans:
        target = (output or scan.images[0].parent) / (
            f"{scan.name}.nii.gz" if output else f"{scan.name}.labels.nii.gz"
        )
        if target in jobs:
            raise UsageError(
                f"{scan.images[0]}: another scan is written to {target} already; name the outputs apart"
            )
        jobs[target] = scan
    return jobs

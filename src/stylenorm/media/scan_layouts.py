"""Where scans and their labels lie: nnU-Net's folders, the Medical Segmentation Decathlon's, BIDS.

=============================  =================================================  ============================
layout                         a case's images                                    its labels
=============================  =================================================  ============================
nnU-Net                        ``imagesTr/NAME_0000``, ``NAME_0001``, ...         ``labelsTr/NAME``
Decathlon, or plain            ``imagesTr/NAME`` (3-D, or 4-D of its channels)    ``labelsTr/NAME``
the same, other names          ``images/...``                                     ``labels/NAME``
BIDS                           ``sub-X[/ses-Y]/anat/sub-X[_ses-Y]_T1w``, ...      ``..._dseg`` or ``..._mask``
=============================  =================================================  ============================

All are NIfTI files. ``dataset.json`` says which channels are CT (``channel_names``, or ``modality``). Labels
of a BIDS data set may lie among its derivatives; a channel is a suffix (T1w, FLAIR, ...).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stylenorm.errors import InputError
from stylenorm.media.scans import SUFFIXES, check_name, grid_of

__all__ = ["LABELS_NAME", "ScanCase", "ScanLayout", "ct_channels", "find_labelled_scans", "find_scans"]

LABELS_NAME = ".labels.nii"
"""What the name of labels that `stylenorm segment` wrote beside a scan has in it."""

_FOLDERS = (("imagesTr", "labelsTr"), ("images", "labels"))
_NUMBERED = re.compile(r"(.+)_(\d{4})")
_BIDS_FOLDERS = ("anat", "ct", "pet")
_BIDS_LABELS = ("dseg", "mask")


@dataclass(frozen=True)
class ScanCase:
    """One scan.

    Attributes:
        name: what its files have in common.
        images: a file a channel, or one file with all of them.
        labels: None where there are none.
    """

    name: str
    images: tuple[Path, ...]
    labels: Path | None = None


@dataclass(frozen=True)
class ScanLayout:
    """What was found in a folder.

    Attributes:
        cases: by name.
        channels: names of the channels, as far as they are known; BIDS has suffixes.
        note: what a user should know; empty for nothing.
    """

    cases: tuple[ScanCase, ...]
    channels: tuple[str, ...] = ()
    note: str = ""


def find_labelled_scans(folder: Path, channels: Sequence[str] = ()) -> ScanLayout:
    """Return the cases of a folder, each with its labels; see the module's table.

    Args:
        folder: of the data set.
        channels: which suffixes of a BIDS data set are read, in this order; none for all that every case has.

    Raises:
        InputError: it has no layout that is known, an image has no labels, or a channel is missing.
    """
    for images, labels in _FOLDERS:
        if (folder / images).is_dir() and (folder / labels).is_dir():
            if channels:
                raise InputError(
                    f"channels: expected none for {folder}, where they are numbered or in one file, got "
                    f"{', '.join(channels)}"
                )
            return _in_two_folders(folder, folder / images, folder / labels)
    if _is_bids(folder):
        return _labelled_bids(folder, channels)
    raise InputError(
        f"{folder}: expected folders imagesTr and labelsTr, or images and labels, or a BIDS data "
        "set (sub-...), "
        "found none of them"
    )


def find_scans(inputs: Sequence[Path], num_channels: int, channels: Sequence[str] = ()) -> list[ScanCase]:
    """Return the scans of some files and folders, for a network of so many channels.

    A folder may be as in the module's table, without the labels. Files that are numbered (``_0000``) are
    channels of one scan; of a network with one channel, only if all of a folder are ``_0000``. Files that
    are not numbered, as many as channels and of one volume each, are one scan in the given order.

    Args:
        inputs: NIfTI files, folders of them, BIDS data sets.
        num_channels: of the network.
        channels: names of its channels, as BIDS has them; none if not known.

    Raises:
        InputError: a folder has no scans, or a channel is missing.
    """
    found: list[ScanCase] = []
    files: list[Path] = []
    for path in inputs:
        if path.is_dir() and _is_bids(path):
            found += _bids_scans(path, num_channels, channels)
        elif path.is_dir():
            inside = _nifti_files(path)
            if not inside:
                raise InputError(f"{path}: expected a folder with NIfTI files, found none in it")
            found += _grouped(inside, num_channels)
        else:
            files.append(check_name(path))
    together = (
        1 < num_channels == len(files)
        and not any(_NUMBERED.fullmatch(_stem(path)) for path in files)
        and all(path.is_file() and grid_of(path).num_channels == 1 for path in files)
    )
    if together:
        return [*found, ScanCase(_stem(files[0]), tuple(files))]
    return [*found, *_grouped(files, num_channels)]


def ct_channels(folder: Path, num_channels: int) -> tuple[bool, ...]:
    """Return for each channel whether ``dataset.json`` says that it is CT; without the file, none is.

    Raises:
        InputError: the file is no JSON.
    """
    names = _described(folder)
    return tuple(names.get(str(i), "").upper() == "CT" for i in range(num_channels))


def _described(folder: Path) -> dict[str, str]:
    """The names of the channels by number, as ``dataset.json`` has them."""
    path = folder / "dataset.json"
    if not path.is_file():
        return {}
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: expected JSON, cannot read it: {error}") from error
    names = content.get("channel_names", content.get("modality")) if isinstance(content, Mapping) else None
    return {str(k): str(v) for k, v in names.items()} if isinstance(names, Mapping) else {}


def _in_two_folders(folder: Path, images: Path, labels: Path) -> ScanLayout:
    truths = {_stem(path): path for path in _nifti_files(labels)}
    channels: dict[str, dict[int, Path]] = {}
    for path in _nifti_files(images):
        name, number = _stem(path), 0
        numbered = _NUMBERED.fullmatch(name)
        if name not in truths and numbered:
            name, number = numbered[1], int(numbered[2])
        if name not in truths:
            raise InputError(f"{path}: expected labels of the same name in {labels}, found none")
        if number in channels.setdefault(name, {}):
            raise InputError(f"{path}: expected one file a channel, got {channels[name][number].name} too")
        channels[name][number] = path
    cases = [
        ScanCase(name, _all_channels(name, found, images), truths[name])
        for name, found in sorted(channels.items())
    ]
    if cases:
        _check_counts(cases, len(cases[0].images))
    names = _described(folder)
    alone = sorted(truths.keys() - channels.keys())
    note = (
        f"{labels}: {len(alone)} of {len(truths)} labels have no images; the first: {alone[0]}"
        if alone
        else ""
    )
    return ScanLayout(tuple(cases), tuple(names[key] for key in sorted(names)), note)


def _grouped(files: Sequence[Path], num_channels: int) -> list[ScanCase]:
    """Files of one folder, numbered ones together."""
    stems = {path: _NUMBERED.fullmatch(_stem(path)) for path in files}
    if num_channels == 1:
        is_nnunets = all(match and match[2] == "0000" for match in stems.values())
        return [
            ScanCase(match[1] if match and is_nnunets and len(files) > 1 else _stem(path), (path,))
            for path, match in stems.items()
        ]
    numbered: dict[tuple[Path, str], dict[int, Path]] = {}
    cases = []
    for path, match in stems.items():
        if match and grid_of(path).num_channels == 1:
            numbered.setdefault((path.parent, match[1]), {})[int(match[2])] = path
        else:
            cases.append(ScanCase(_stem(path), (path,)))
    together = [
        ScanCase(name, _all_channels(name, found, folder)) for (folder, name), found in numbered.items()
    ]
    _check_counts(together, num_channels)
    return sorted([*cases, *together], key=lambda case: case.name)


def _all_channels(name: str, found: Mapping[int, Path], folder: Path) -> tuple[Path, ...]:
    missing = sorted(set(range(max(found) + 1)) - set(found))
    if missing:
        raise InputError(
            f"{folder}: expected channels {name}_0000 to {name}_{max(found):04d}, found no _{missing[0]:04d}"
        )
    return tuple(found[i] for i in sorted(found))


def _check_counts(cases: Sequence[ScanCase], num_channels: int) -> None:
    for case in cases:
        if len(case.images) != num_channels:
            raise InputError(
                f"{case.images[0]}: expected {num_channels} channels of {case.name}, got {len(case.images)}"
            )


# BIDS


def _is_bids(folder: Path) -> bool:
    return folder.is_dir() and any(each.is_dir() for each in folder.glob("sub-*"))


def _labelled_bids(folder: Path, channels: Sequence[str]) -> ScanLayout:
    images, labels = _bids_images(folder), _bids_labels(folder)
    both = sorted(images.keys() & labels.keys())
    if not both:
        raise InputError(
            f"{folder}: expected a subject with images and with labels (_dseg or _mask), found none"
        )
    common = sorted(set.intersection(*(set(images[name]) for name in both)))
    chosen = list(channels) or common
    unused = sorted({suffix for name in both for suffix in images[name]} - {*chosen})
    notes = []
    if len(both) < len(images):
        notes.append(f"{len(images) - len(both)} of {len(images)} subjects have no labels")
    if unused:
        notes.append(f"{', '.join(unused)} not used")
    cases = tuple(
        ScanCase(name, _suffixed(folder, name, images[name], chosen), labels[name]) for name in both
    )
    return ScanLayout(cases, tuple(chosen), f"{folder}: {'; '.join(notes)}" if notes else "")


def _bids_scans(folder: Path, num_channels: int, channels: Sequence[str]) -> list[ScanCase]:
    images = _bids_images(folder)
    known = sorted(set.intersection(*(set(found) for found in images.values()))) if images else []
    chosen = list(channels) or known
    if len(chosen) != num_channels:
        raise InputError(
            f"{folder}: expected the {num_channels} channels of the network, found "
            f"{', '.join(known) or 'none'}: "
            "give the files instead"
        )
    return [
        ScanCase(f"{name}_dseg", _suffixed(folder, name, found, chosen))
        for name, found in sorted(images.items())
    ]


def _suffixed(folder: Path, name: str, found: Mapping[str, Path], chosen: Sequence[str]) -> tuple[Path, ...]:
    for suffix in chosen:
        if suffix not in found:
            raise InputError(
                f"{folder}: expected a {suffix} of {name}, found {', '.join(sorted(found)) or 'none'}"
            )
    if not chosen:
        raise InputError(f"{folder}: expected images that all subjects have, found none: name channels")
    return tuple(found[suffix] for suffix in chosen)


def _bids_images(folder: Path) -> dict[str, dict[str, Path]]:
    found: dict[str, dict[str, Path]] = {}
    for path in sorted(folder.glob("sub-*/**/*.nii*")):
        name, suffix = _bids_name(path)
        if path.parent.name not in _BIDS_FOLDERS or suffix in _BIDS_LABELS or not _is_nifti(path):
            continue
        if suffix in found.setdefault(name, {}):
            raise InputError(
                f"{path}: expected one {suffix} of {name}, got {found[name][suffix].name} too: keep "
                "the one meant"
            )
        found[name][suffix] = path
    return found


def _bids_labels(folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in sorted(folder.glob("**/sub-*.nii*")):
        name, suffix = _bids_name(path)
        if suffix not in _BIDS_LABELS or not _is_nifti(path):
            continue
        if name in found:
            raise InputError(
                f"{path}: expected one file of labels of {name}, got {found[name]} too: keep one"
            )
        found[name] = path
    return found


def _bids_name(path: Path) -> tuple[str, str]:
    """What names the case (subject and session), and the suffix."""
    *entities, suffix = _stem(path).split("_")
    return "_".join(each for each in entities if each.startswith(("sub-", "ses-"))), suffix


def _nifti_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if _is_nifti(path))


def _is_nifti(path: Path) -> bool:
    name = path.name.lower()
    return name.endswith(SUFFIXES) and not name.startswith(".") and LABELS_NAME not in name


def _stem(path: Path) -> str:
    return path.name[: path.name.lower().rindex(".nii")]

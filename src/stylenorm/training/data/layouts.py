"""How published data sets lie in their folders: splits, pairs, domains, photos with label maps.

What a folder is, is told by the names of its sub-folders alone. Where they do not tell, the caller is asked;
nothing is guessed from the pictures.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from stylenorm.errors import PictureError, TrainingError
from stylenorm.media import LeftOut, find_pictures, is_picture_name

__all__ = [
    "Domains",
    "LabelLayout",
    "PairLayout",
    "Split",
    "check_partner",
    "find_domains",
    "find_labelled",
    "find_pairs",
    "find_split",
    "partners",
    "too_many_skipped",
]

_TRAINING = re.compile(r"train(ing)?(\d{4})?", re.IGNORECASE)  # COCO has train2017
_HELD_OUT = re.compile(r"(val|valid|validation|dev|test|testing)(\d{4})?", re.IGNORECASE)
_ORDER = ("val", "dev", "test")  # whichever comes first is held out

# Photos beside their label maps, sub-folders of splits perhaps in both. SPADE's own folders come last.
_LABELLED = (("photos", "labels"), ("images", "annotations"), ("images", "labels"), ("images", "masks"))
_ADE20K = ("images", "annotations", "training")  # whose 0 is "other objects", and no class
_CITYSCAPES = ("_leftImg8bit", "_gtFine_labelIds")  # how the names of a photo and its map end
_MOST_SKIPPED = 0.1  # of the pictures


@dataclass(frozen=True)
class Split:
    """A folder of which a part is for training.

    Attributes:
        training: the sub-folder to learn from.
        held_out: that of pictures never to learn from; None where there is none.
    """

    training: Path
    held_out: Path | None

    @property
    def note(self) -> str:
        """What is used, in one line."""
        rest = f", {self.held_out.name}/ is held out" if self.held_out else ""
        return f"{self.training.parent}: {self.training.name}/ is trained on{rest}"


def find_split(folder: Path) -> Split | None:
    """Return the parts of a folder that has ``train`` beside ``val`` or ``test``; None if it has not.

    ``training``, ``valid``, ``validation``, ``dev`` and ``testing`` are known too, and years behind a name.
    Of several held-out parts ``val`` is taken; a folder with pictures beside the parts is no split.
    """
    parts = sorted(each for each in folder.iterdir() if each.is_dir()) if folder.is_dir() else []
    training = [each for each in parts if _TRAINING.fullmatch(each.name)]
    held_out = [each for each in parts if _HELD_OUT.fullmatch(each.name)]
    if len(training) != 1 or not held_out or _has_own_pictures(folder):
        return None
    for start in _ORDER:
        for each in held_out:
            if each.name.lower().startswith(start):
                return Split(training[0], each)
    return None


@dataclass(frozen=True)
class PairLayout:
    """Pairs of pictures.

    Attributes:
        training: pictures of a, each with its b; None for b where one file has both, side by side.
        held_out: those that the folder itself holds out; None where it does not say.
        note: what was understood, where that is worth a word.
    """

    training: Mapping[Path, Path | None]
    held_out: Mapping[Path, Path | None] | None = None
    note: str = ""


def find_pairs(folder: Path, layout: str = "auto", left_out: LeftOut | None = None) -> PairLayout:
    """Return the pairs of a folder.

    Known are sub-folders ``a`` and ``b`` (or ``A`` and ``B``) with the same names in both, perhaps with
    ``train``, ``val`` and ``test`` in each; ``trainA``, ``trainB``, ``testA``, ``testB``; ``train`` and
    ``val`` or ``test`` with either of these in them; and pictures that have a in their left half and b in
    their right.

    Args:
        folder: where to look.
        layout: ``"folders"`` or ``"sides"`` where it cannot be told.
        left_out: takes what is not among the pictures.

    Raises:
        TrainingError: the layout is none of these, or too many pictures have no partner.
    """
    found = None if layout == "sides" else _in_folders(folder)
    if found is not None:
        return found
    if layout == "folders":
        raise TrainingError(f"{folder}: expected sub-folders a and b, found {_named(folder)}")
    split = find_split(folder)
    if split is not None:
        held_out = find_pairs(split.held_out, layout).training if split.held_out else None
        return PairLayout(find_pairs(split.training, layout).training, held_out, split.note)
    if layout != "sides" and not _has_own_pictures(folder) and folder.is_dir():
        raise TrainingError(
            f"{folder}: expected sub-folders a and b, or train and val, or pictures with a in the left half "
            f"and b in the right, found {_named(folder)}; name them so, or say --layout sides"
        )
    return PairLayout(dict.fromkeys(find_pictures(folder, left_out=left_out)))


def _in_folders(folder: Path) -> PairLayout | None:
    a, b = _child(folder, "a"), _child(folder, "b")
    if a and b:
        splits = find_split(a), find_split(b)
        if (splits[0] is None) != (splits[1] is None):
            having = a if splits[0] else b
            raise TrainingError(f"{folder}: expected train/ in both of a and b, found it in {having} alone")
        if splits[0] is None or splits[1] is None:
            return PairLayout(partners(a, b))
        return PairLayout(*_partners_by_split(splits[0], splits[1]), splits[0].note)
    domains = find_domains(folder)
    if domains is None:
        return None
    try:
        training = partners(domains.a, domains.b, complete=True)
        held_out = (
            partners(domains.held_out_a, domains.held_out_b, complete=True)
            if domains.held_out_a and domains.held_out_b
            else None
        )
    except TrainingError as error:
        raise TrainingError(
            f"{error}; trainA and trainB without pairs are for: stylenorm train cyclegan --domains {folder}"
        ) from None
    return PairLayout(training, held_out, domains.note)


@dataclass(frozen=True)
class Domains:
    """Two folders that need not match, as CycleGAN's authors publish them."""

    a: Path
    b: Path
    held_out_a: Path | None
    held_out_b: Path | None

    @property
    def note(self) -> str:
        """What is used, in one line."""
        held = [each.name for each in (self.held_out_a, self.held_out_b) if each]
        rest = f"; {' and '.join(held)} are held out" if held else ""
        return f"{self.a.parent}: {self.a.name} and {self.b.name} are trained on{rest}"


def find_domains(folder: Path) -> Domains | None:
    """Return ``trainA``, ``trainB`` and, where they are, ``testA``, ``testB`` of a folder; None without."""
    a, b = _child(folder, "trainA"), _child(folder, "trainB")
    if a is None or b is None:
        return None
    held = tuple(_child(folder, f"val{x}") or _child(folder, f"test{x}") for x in "AB")
    return Domains(a, b, *held)


@dataclass(frozen=True)
class LabelLayout:
    """Photos with their label maps.

    Attributes:
        training: photos with their maps.
        held_out: those that the folder itself holds out; None where it does not say.
        first_class: number in the maps of the first class; with 1, 0 is the unlabelled.
        note: what was understood, where that is worth a word.
    """

    training: dict[Path, Path]
    held_out: dict[Path, Path] | None = None
    first_class: int = 0
    note: str = ""


def find_labelled(folder: Path) -> LabelLayout:
    """Return the labelled photos of a folder.

    Known are ``photos`` with ``labels``; ``images`` with ``annotations``, ``labels`` or ``masks``, both
    perhaps with ``train`` and ``val`` in them, as COCO-Stuff (``train2017``) and ADE20K (``training``) have
    it; Cityscapes' ``leftImg8bit`` with ``gtFine``, of which the maps with ``labelIds`` are taken; and
    SPADE's ``train_img``, ``train_label``, ``val_img``, ``val_label``. In ADE20K's folders, classes are
    numbered from 1.

    Raises:
        TrainingError: the layout is none of these, or too many photos have no map.
    """
    photos, maps = _child(folder, "train_img"), _child(folder, "train_label")
    if photos and maps:
        held = [_child(folder, f"val_{what}") for what in ("img", "label")]
        held_out = partners(held[0], held[1]) if held[0] and held[1] else None
        note = f"{folder}: train_img is trained on{', val_img is held out' if held_out else ''}"
        return LabelLayout(partners(photos, maps), held_out, 0, note)
    photos, maps = _child(folder, "leftImg8bit"), _child(folder, "gtFine")
    if photos and maps and (parts := find_split(photos)) and (parts_of_maps := find_split(maps)):
        return LabelLayout(*_partners_by_split(parts, parts_of_maps, _CITYSCAPES), 0, parts.note)
    for names in _LABELLED:
        photos, maps = (_child(folder, name) for name in names)
        if photos is None or maps is None:
            continue
        splits = find_split(photos), find_split(maps)
        if splits[0] is None or splits[1] is None:
            return LabelLayout(partners(photos, maps))
        training, held_out = _partners_by_split(splits[0], splits[1])
        is_ade = (*names, splits[1].training.name.lower()) == _ADE20K
        note = splits[0].note + ("; ADE20K's maps: classes from 1, 0 is unlabelled" if is_ade else "")
        return LabelLayout(training, held_out, int(is_ade), note)
    raise TrainingError(
        f"{folder}: expected sub-folders photos and labels (or images and annotations, or train_img and "
        f"train_label), found {_named(folder)}"
    )


def partners(
    a: Path, b: Path, endings: tuple[str, str] = ("", ""), *, complete: bool = False
) -> dict[Path, Path]:
    """Return for each picture in ``a`` that of the same name, whatever its suffix, in ``b``.

    Args:
        a: folder of pictures.
        b: folder of their partners.
        endings: how names in ``a`` end, and what stands there in ``b``.
        complete: every picture must have a partner.

    Returns:
        The pairs. Where there is no partner, a path in ``b`` that does not exist, which `check_partner`
        refuses when it is read.

    Raises:
        TrainingError: more than one in ten, and more than one, has none; with ``complete``, any.
    """
    named = {path.relative_to(b).with_suffix(""): path for path in find_pictures(b)}
    found, alone = {}, []
    for path in find_pictures(a):
        name = path.relative_to(a).with_suffix("")
        name = name.with_name(name.name.removesuffix(endings[0]) + endings[1])
        if name not in named:
            alone.append(path)
        found[path] = named.get(name, b / name.with_name(f"{name.name}.png"))
    if alone if complete or len(found) == 1 else too_many_skipped(len(alone), len(found)):
        rest = f"; {len(alone)} of {len(found)} have none" if len(alone) > 1 else ""
        raise TrainingError(f"{_without_partner(alone[0], found[alone[0]])}{rest}")
    return found


def too_many_skipped(skipped: int, of: int) -> bool:
    """Return whether more than one picture in ten, and more than one, cannot be used: the folder is wrong."""
    return skipped > max(1, _MOST_SKIPPED * of)


def check_partner(path: Path, partner: Path) -> None:
    """Refuse a picture whose partner is not there.

    Raises:
        PictureError: so it is.
    """
    if not partner.exists():
        raise PictureError(_without_partner(path, partner))


def _without_partner(path: Path, partner: Path) -> str:
    same = "the same name" if path.stem == partner.stem else f"the name {partner.name}"
    return f"{path}: expected a picture of {same} in {partner.parent}, got none"


def _partners_by_split(
    a: Split, b: Split, endings: tuple[str, str] = ("", "")
) -> tuple[dict[Path, Path], dict[Path, Path] | None]:
    """Return the pairs to learn from, and those held out; None where either side holds none out."""
    training = partners(a.training, b.training, endings)
    return training, partners(a.held_out, b.held_out, endings) if a.held_out and b.held_out else None


def _child(folder: Path, name: str) -> Path | None:
    """The sub-folder of a name, in whatever case."""
    exact = folder / name
    if exact.is_dir():
        return exact
    if not folder.is_dir():
        return None
    found = [each for each in folder.iterdir() if each.is_dir() and each.name.lower() == name.lower()]
    return found[0] if len(found) == 1 else None


def _has_own_pictures(folder: Path) -> bool:
    return any(each.is_file() and is_picture_name(each.name) for each in folder.iterdir())


def _named(folder: Path) -> str:
    names = sorted(each.name for each in folder.iterdir() if each.is_dir()) if folder.is_dir() else []
    return f"{', '.join(names[:6])}{', ...' if len(names) > 6 else ''}" if names else "none"

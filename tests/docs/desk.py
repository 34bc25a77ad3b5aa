"""A folder with the files that the pages speak of, all of them small and made here."""

from __future__ import annotations

import shutil
import tarfile
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image

from material.renderings import write_renderings
from material.scenes import write_scenes
from material.synthetic_volumes import write_volumes
from stylenorm.model_folder import CLASSIFIER, TRANSLATOR
from tests.docs.pages import ROOT
from tests.media.tiny_films import make_film
from tests.requirements_met import need
from tests.training.conftest import draw

ZOO = ROOT / "src" / "stylenorm" / "zoo" / "data"

_PICTURES = ("photo", "painting", "pebbles", "picture", "starry-night", "a", "b", "c", "d", "sky", "land")
_PNG = ("picture",)
_MASKS = ("up", "down")

Shape = list[int | str]


def lay_out(folder: Path) -> None:
    """Put everything there."""
    for i, name in enumerate(_PICTURES):
        draw(folder / f"{name}.{'png' if name in _PNG else 'jpg'}", i, (64, 48))
    for name in _MASKS:
        values = np.zeros((48, 64), np.uint8)
        values[slice(0, 24) if name == "up" else slice(24, 48)] = 255
        Image.fromarray(values).save(folder / f"{name}.png")
    draw(folder / "huge.tif", 1, (150, 120))
    (folder / "examples").mkdir()
    shutil.copy(folder / "photo.jpg", folder / "examples" / "photo.jpg")
    for name in ("holiday", "holiday/day 2", "photos", "paintings", "pictures", "faces", "imagenet", "inbox"):
        (folder / name).mkdir()
        for i in range(9 if name in ("photos", "paintings", "faces") else 1):
            draw(folder / name / f"artist--title {i}.png", i, (64, 48))
    for domain in ("drawings", "sketches"):
        for kind in ("cat", "dog"):
            (folder / domain / kind).mkdir(parents=True)
            for i in range(4):
                draw(folder / domain / kind / f"{i}.png", i, (24, 24))
    for name in ("translated", "true", "made"):  # results, and what they should be
        (folder / name).mkdir()
        for i in range(2):
            draw(folder / name / f"{i}.png", i + (name == "made"), (48, 40))
    (folder / "shards").mkdir()
    write_renderings(folder / "pairs", 12, 48)
    write_scenes(folder / "labelled", 12, 40)
    shutil.copy(next((folder / "labelled" / "labels").iterdir()), folder / "labels.png")
    with tarfile.open(folder / "shards" / "0.tar", "w") as shard:
        shard.add(folder / "photo.jpg", "photo.jpg")
    _write_scans(folder)
    _write_networks(folder)
    rng = np.random.default_rng(0)
    pictures = list(rng.integers(0, 256, (82, 4, 6, 3), dtype=np.uint8).repeat(8, 1).repeat(8, 2))
    make_film(folder / "film.mp4", pictures, times=range(82), time_base=Fraction(1), rate=1)


def _write_networks(folder: Path) -> None:
    """What the model card's command begins with: a list of styles, and a network of the same family."""
    network_folder(folder / "narrow")
    names = sorted(path.name for path in (folder / "paintings").iterdir())
    about = 'painting = "{0}"\nartist = "A. Painter"\ntitle = "{1}"\nlicence = "CC0"\n'
    entries = [f"[style-{i}]\n" + about.format(name, i) for i, name in enumerate(names[:2])]
    (folder / "styles.toml").write_text("\n".join(entries))


def _write_scans(folder: Path) -> None:
    nibabel = need("nibabel")
    write_volumes(folder / "cases", 3, 16)
    for name in ("found", "truth"):
        shutil.copytree(folder / "cases" / "labels", folder / name)
    (folder / "scans").mkdir()
    voxels = np.random.default_rng(0).standard_normal((12, 14, 10)).astype(np.float32)
    scan = nibabel.Nifti1Image(voxels, np.diag([1, 1, 1.5, 1]))
    for path in (folder / "scan.nii.gz", folder / "scans" / "one.nii.gz"):
        nibabel.save(scan, path)


def network_folder(out: Path) -> None:
    """The network that ships, with two styles more, as a training would have named them."""
    shutil.copytree(ZOO, out, dirs_exist_ok=True)
    for name in ("painting", "mine"):
        shutil.copy(ZOO / "styles" / "scream.safetensors", out / "styles" / f"{name}.safetensors")


def _graph(nodes: Sequence[tuple[str, list[str], dict[str, object]]], given: Shape, made: Shape) -> bytes:
    """A network of operators in a row: each with its inputs and attributes; "x" comes in."""
    onnx = need("onnx")
    helper, float32 = onnx.helper, onnx.TensorProto.FLOAT
    names = [*(f"n{i}" for i in range(len(nodes) - 1)), "y"]
    built = [
        helper.make_node(op, inputs, [name], **attributes)
        for (op, inputs, attributes), name in zip(nodes, names, strict=True)
    ]
    ends = [helper.make_tensor_value_info(name, float32, of) for name, of in (("x", given), ("y", made))]
    graph = helper.make_graph(built, "made by a test", ends[:1], ends[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return bytes(model.SerializeToString())


def translator_folder(out: Path) -> None:
    """Two directions, each of which gives the picture back."""
    shape: Shape = [1, 3, "H", "W"]
    same = _graph([("Identity", ["x"], {})], shape, shape)
    asked = {"multiple": 4, "smallest_px": 16}
    names = ("a-to-b", "b-to-a")
    TRANSLATOR.write(out, dict.fromkeys(names, same), {"directions": dict.fromkeys(names, asked)}, {})


def labels_folder(out: Path) -> None:
    """A grey level for each class."""
    name = "labels-to-photo"
    nodes = [("Sigmoid", ["x"], {}), ("Concat", ["n0"] * 3, {"axis": 1})]
    graph = _graph(nodes, [1, 1, "H", "W"], [1, 3, "H", "W"])
    asked = {"multiple": 8, "smallest_px": 1, "num_classes": 32}
    TRANSLATOR.write(out, {name: graph}, {"directions": {name: asked}}, {})


def classifier_folder(out: Path) -> None:
    """The class is the channel with the largest mean."""
    nodes = [("GlobalAveragePool", ["x"], {}), ("Flatten", ["n0"], {})]
    graph = _graph(nodes, [1, 3, 24, 24], [1, 3])
    CLASSIFIER.write(out, {"classifier": graph}, {"classes": ["cat", "dog", "bird"], "size_px": 24}, {})


def _copied(made: Callable[[], Path]) -> Callable[[Path], None]:
    return lambda out: shutil.copytree(made(), out, dirs_exist_ok=True) and None


def stand_in(recipe: str, out: Path) -> None:
    """Put a small result of that recipe there; the exports themselves have tests of their own."""
    from tests.tiny_adain import tiny_adain_folder
    from tests.tiny_generator import tiny_generator_folder
    from tests.tiny_segmenter import tiny_segmenter

    makers: dict[str, Callable[[Path], None]] = {
        "adain": _copied(tiny_adain_folder),
        "cyclegan": translator_folder,
        "ibn": classifier_folder,
        "johnson": network_folder,
        "multistyle": network_folder,
        "pix2pix": translator_folder,
        "predict": lambda _: None,  # is written into the network's folder, where the shipped one is already
        "spade": labels_folder,
        "stylegan": _copied(tiny_generator_folder),
        "stylegan2": _copied(tiny_generator_folder),
        "texture": lambda out: (out / "texture.png").write_bytes(b"") and None,
        "ulyanov": network_folder,
        "volumes": _copied(tiny_segmenter),
    }
    makers[recipe](out)

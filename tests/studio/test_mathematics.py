"""The page's mathematics, names and words against Python's, on the same numbers, run by Node."""

from __future__ import annotations

import io
import json
import shlex
import shutil
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import stylenorm.studio
from stylenorm import Style
from stylenorm.cli import main
from stylenorm.colors import keep_luminance
from stylenorm.films import preset_named
from stylenorm.media import plan_outputs
from stylenorm.noise import smooth_noise, with_noise
from stylenorm.tiles import carry_detail, shrunk
from stylenorm.zoo import parse_style

JS = Path(stylenorm.studio.__file__).parent / "page" / "js"
NETWORK = preset_named("live").open_network()
RNG = np.random.default_rng(0)
ONES = (np.ones(3, np.float32),)


def node(module: str, expression: str, **given: Any) -> Any:
    """What the body of a JavaScript function gives, of a module ``m`` and of what is ``g`` given."""
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    code = (
        f"import * as m from {json.dumps((JS / module).as_uri())};"
        "import { readFileSync } from 'node:fs';"
        "const g = JSON.parse(readFileSync(0, 'utf8'));"
        f"const found = await (async () => {{ {expression} }})();"
        "process.stdout.write(JSON.stringify(found, (_, v) => ArrayBuffer.isView(v) ? Array.from(v) : v));"
    )
    done = subprocess.run(
        ["node", "--input-type=module", "-e", code],
        input=json.dumps(given, default=lambda array: array.tolist()),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def vector(name: str) -> np.ndarray:
    return NETWORK.style(name).vector()


def test_mixtures_are_the_same_to_the_bit() -> None:
    names = ("scream", "great-wave", "starry-night")
    mixtures = [(60, 40), (50, 50), (10, 33, 7), (100, 1), (99,)]
    cases = [(weights, strength) for weights in mixtures for strength in (1, 0.7, 0.31, 0)]
    found = node(
        "styles.js",
        "const vectors = g.vectors.map((v) => new Float32Array(v)), identity = new Float32Array(g.identity);"
        "return g.cases.map(([weights, strength]) => m.weaken(m.mix(weights.map("
        "(weight, i) => ({ vector: vectors[i], weight: weight / 100 }))), strength, identity));",
        vectors=[vector(name) for name in names],
        identity=vector("identity"),
        cases=cases,
    )
    for (weights, strength), painted in zip(cases, found, strict=True):
        words = [f"{name}:{weight / 100:g}" for name, weight in zip(names, weights, strict=False)]
        style = parse_style(",".join(words) if len(words) > 1 else names[0], NETWORK)
        expected = style.weaken(strength, NETWORK.style("identity")).vector()
        np.testing.assert_array_equal(np.array(painted, np.float32), expected, err_msg=f"{words}, {strength}")


READ = (
    "const { vector } = m.readStyleFile(new Uint8Array(g.file).buffer, 'mine.safetensors', [g.network]);"
    "return vector;"
)


def test_a_style_file() -> None:
    file = list((NETWORK.path / "styles" / "scream.safetensors").read_bytes())
    network = {"identity": NETWORK.identity, "norm_sizes": NETWORK.norm_sizes}
    np.testing.assert_array_equal(
        np.array(node("styles.js", READ, file=file, network=network), np.float32), vector("scream")
    )


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is no style file"),
        (b"\xff" * 40, "is no style file"),
        (
            Style((np.ones(3, np.float32),), (np.ones(3, np.float32),), network="other").to_bytes(),
            "another network",
        ),
        (
            Style((np.ones(3, np.float32),), (np.ones(3, np.float32),), network=NETWORK.identity).to_bytes(),
            "is damaged",
        ),
    ],
)
def test_a_file_that_is_no_style_here(content: bytes, said: str) -> None:
    network = {"identity": NETWORK.identity, "norm_sizes": NETWORK.norm_sizes}
    code = f"try {{ {READ} }} catch (error) {{ return error.message; }}"
    message = node("styles.js", code, file=list(content), network=network)
    assert message.startswith("mine.safetensors ")
    assert said in message


def test_the_noise() -> None:
    rng = np.random.default_rng(0)
    photo = rng.integers(100, 120, (40, 70, 3), dtype=np.uint8)
    photo[:, :30, 1] += rng.integers(0, 90, (40, 30), dtype=np.uint8)
    small = 0.5 + 0.1 * rng.random((37, 53, 3), dtype=np.float32)
    found = node(
        "noise.js",
        "const noisy = (planes, size, isBytes) => m.withNoise(new Float32Array(planes), size, 0.06, isBytes);"
        "return [m.smoothNoise([40, 70]), noisy(g.photo, [40, 70], true), noisy(g.small, [37, 53], false)];",
        photo=(photo / 255).transpose(2, 0, 1).ravel(),
        small=small.transpose(2, 0, 1).ravel(),
    )
    np.testing.assert_allclose(np.reshape(found[0], (40, 70)), smooth_noise(40, 70), atol=1e-5)
    np.testing.assert_allclose(
        np.reshape(found[1], (3, 40, 70)), with_noise(photo, 0.06).transpose(2, 0, 1) / 255, atol=1e-6
    )
    np.testing.assert_allclose(
        np.reshape(found[2], (3, 37, 53)), with_noise(small, 0.06).transpose(2, 0, 1), atol=1e-6
    )


def test_the_photos_colors() -> None:
    painting, photo = RNG.random((2, 9, 7, 3), dtype=np.float32)
    photo[0] = photo[0, :, :1]  # grey
    painting[1], painting[2] = 0, 1
    found = node(
        "colors.js",
        "const p = new Float32Array(g.painting); m.keepLuminance(p, new Float32Array(g.photo)); return p;",
        painting=painting.transpose(2, 0, 1).ravel(),
        photo=photo.transpose(2, 0, 1).ravel(),
    )
    planes = np.array(found, np.float32).reshape(3, 9, 7).transpose(1, 2, 0)
    np.testing.assert_allclose(planes, keep_luminance(painting, photo), atol=2e-6)


@pytest.mark.parametrize("stroke_size", [1.3, 2.0, 3.7])
def test_broad_strokes(stroke_size: float) -> None:
    photo = RNG.random((41, 58, 3), dtype=np.float32)
    small = shrunk(photo, stroke_size)
    painting = (1 - small).clip(0, 1)
    expected = np.empty_like(photo)
    carry_detail(photo, small, painting, expected)
    found = node(
        "strokes.js",
        "const size = [41, 58], to = m.shrunkSize(size, g.stroke), photo = new Float32Array(g.photo);"
        "const small = m.resize(photo, size, to).map((v) => Math.min(1, Math.max(0, v)));"
        "const all = m.carryDetail(photo, size, small, small.map((v) => 1 - v), to);"
        "return [to, small, all];",
        photo=photo.transpose(2, 0, 1).ravel(),
        stroke=stroke_size,
    )
    assert tuple(found[0]) == small.shape[:2]
    reduced = np.array(found[1], np.float32).reshape(3, *small.shape[:2]).transpose(1, 2, 0)
    np.testing.assert_allclose(reduced, small, atol=2e-6)
    enlarged = np.array(found[2], np.float32).reshape(3, 41, 58).transpose(1, 2, 0)
    np.testing.assert_allclose(enlarged, expected, atol=2e-4)  # measured: 3e-5


def test_pixels_there_and_back() -> None:
    rgba = RNG.integers(0, 256, (6, 5, 4), np.uint8)
    rgba[0, :, 3] = 0
    found = node(
        "planes.js",
        "const p = new Uint8ClampedArray(g.rgba), planes = m.toPlanes(p);"
        "return [planes, m.toPixels(planes, p)];",
        rgba=rgba.ravel(),
    )
    planes = np.array(found[0]).reshape(3, 6, 5).transpose(1, 2, 0)
    np.testing.assert_allclose(planes[1:], rgba[1:, :, :3] / 255, atol=1e-7)
    np.testing.assert_allclose(
        planes[0], np.tile(rgba[rgba[..., 3] > 0][:, :3].mean(0) / 255, (5, 1)), atol=1e-6
    )
    np.testing.assert_array_equal(np.array(found[1]).reshape(6, 5, 4)[1:], rgba[1:])


NAMES = [
    ("photo.jpg", "jpeg", [("scream", 1)]),
    ("photo.jpg", "png", [("scream", 0.6), ("great-wave", 0.4)]),
    ("My photo (1).PNG", "png", [("Müller’s own style.safetensors", 0.25), ("scream", 0.75)]),
    ("IMG_1.heic", "jpeg", [("a painting.jpg", 1)]),
    ("no-suffix", "png", [("scream", 1)]),
    ("a.tar.jpeg", "jpeg", [("!!!", 1)]),
]


def shown(photo: str, format: str, parts: Any, **more: Any) -> dict[str, Any]:  # noqa: A002
    named = [{"text": text, "weight": weight} for text, weight in parts]
    settings = {"strength": 1, "keepColors": False, "strokeSize": 1, "preset": "standard", **more}
    return {"photo": photo, "format": format, "parts": named, **settings}


def test_paintings_are_called_as_by_the_command_line() -> None:
    found = node(
        "names.js",
        "return g.cases.map((c) => { const style = m.styleText(c.parts);"
        " return [style, m.paintingName(c.photo, style, c.format)]; });",
        cases=[shown(*case) for case in NAMES],
    )
    for (photo, kind, parts), (style, name) in zip(NAMES, found, strict=True):
        text = ",".join(f"{text}:{weight:g}" for text, weight in parts) if len(parts) > 1 else parts[0][0]
        assert style == text
        (job,) = plan_outputs([photo], styles=[style], format=kind)
        assert name == job.target.name


def test_the_command_and_the_lines_paint_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Image.fromarray(RNG.integers(0, 256, (20, 30, 3), np.uint8)).save("it's a photo.png")
    settings = shown(
        "it's a photo.png", "png", [("scream", 0.6), ("great-wave", 0.4)],
        strength=0.7, keepColors=True, strokeSize=1.5, preset="live",
    )  # fmt: skip
    command, lines, name = node(
        "names.js",
        "return [m.commandLine(g), m.pythonLines(g),"
        " m.paintingName(g.photo, m.styleText(g.parts), g.format)];",
        **settings,
    )
    program, *words = shlex.split(command)
    assert program == "stylenorm"
    assert main(words) == 0, capsys.readouterr().err
    by_command = np.asarray(Image.open(name))
    Path(name).unlink()
    exec(lines, {})  # noqa: S102 (what people are given to copy)
    np.testing.assert_array_equal(np.asarray(Image.open(name)), by_command)
    photo = np.asarray(Image.open("it's a photo.png"))
    assert np.abs(by_command.astype(int) - photo).max() > 10


def test_the_zip() -> None:
    files = {"a.png": b"first", "ä ß.png": bytes(range(256)) * 9, "empty.jpg": b""}
    found = node(
        "zip.js",
        "const zip = new m.Zip();"
        "for (const [name, bytes] of g.files) await zip.add(name, new Blob([new Uint8Array(bytes)]));"
        "await zip.add('a.png', new Blob(['twin']));"
        "return new Uint8Array(await zip.toBlob().arrayBuffer());",
        files=[(name, list(content)) for name, content in files.items()],
    )
    with zipfile.ZipFile(io.BytesIO(bytes(found))) as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == {**files, "a-2.png": b"twin"}


def test_sizes_by_the_header() -> None:
    exif = Image.Exif()
    exif[0x010E] = "x" * 9000  # metadata stand before a JPEG's size
    savings = {"JPEG": {"exif": exif}, "lossless WEBP": {"lossless": True}}
    files = []
    for kind in ("PNG", "JPEG", "GIF", "BMP", "WEBP", "lossless WEBP"):
        file = io.BytesIO()
        image = Image.new("RGB", (301, 77), (9, 99, 200))
        image.save(file, kind.split()[-1], **savings.get(kind, {}))
        files.append(list(file.getvalue()))
    files += [content[:7] for content in files]
    sizes = node("pictures.js", "return g.files.map((f) => m.sizeOf(new Uint8Array(f)));", files=files)
    assert sizes == [[301, 77]] * 6 + [None] * 6


def test_undo_and_redo() -> None:
    code = """
    const h = new m.History({ a: 1 }); h.push({ a: 2 }); h.push({ a: 2 }); h.push({ a: 3 });
    const seen = [h.undo().a, h.undo().a, h.undo().a, h.canUndo, h.redo().a];
    h.push({ a: 9 }); return [...seen, h.canRedo, h.undo().a, h.redo().a];
    """
    assert node("history.js", code) == [2, 1, 1, False, 2, False, 2, 9]


def test_what_is_looked_at_goes_first() -> None:
    code = """
    const turns = new m.Turns(), order = [];
    const work = (name) => async () => { order.push(name); await null; };
    await Promise.allSettled([
      turns.take(false, work('first')), turns.take(false, work('wall')),
      turns.take(true, async () => { order.push('urgent'); throw new Error('fails'); }),
      turns.take(false, work('last')),
    ]);
    return order;
    """
    assert node("turns.js", code) == ["first", "urgent", "wall", "last"]

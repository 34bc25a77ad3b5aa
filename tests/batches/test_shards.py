"""Tar and Parquet files: pictures painted inside, labels and keys carried along."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stylenorm.batches import RandomStyles
from stylenorm.zoo import shipped_network
from tests.cli.conftest import Run, hidden_files
from tests.engines.tiny_network import random_photo
from tests.requirements_met import need

SHADES = {"a": 10, "b": 90, "c": 200}


def png(shade: int) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (9, 7), (shade, shade, shade)).save(out, "PNG")
    return out.getvalue()


def shade_of(content: bytes) -> int:
    """Of the painting: the fake engine makes the negative."""
    return int(np.asarray(Image.open(io.BytesIO(content)).convert("RGB")).mean())


def tar_file(path: Path, members: dict[str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as out:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size, info.mtime = len(content), 1234
            out.addfile(info, io.BytesIO(content))
    return path


def members(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]


def samples() -> dict[str, bytes]:
    """As WebDataset has them: a label before, a description after the picture."""
    found: dict[str, bytes] = {}
    for name, shade in SHADES.items():
        found |= {f"x/{name}.cls": str(shade).encode(), f"x/{name}.png": png(shade), f"x/{name}.json": b"{}"}
    return found


def test_a_tar_file(stylize: Run, tmp_path: Path) -> None:
    tar_file(tmp_path / "in" / "deep" / "0.tar", samples())
    listed = tmp_path / "m.jsonl"
    command = (
        tmp_path / "in",
        "--style",
        "random",
        "--seed",
        "3",
        "-o",
        tmp_path / "out",
        "--manifest",
        listed,
    )
    assert stylize(*command).code == 0
    painted = members(tmp_path / "out" / "deep" / "0.tar")
    assert list(painted) == list(samples())
    for name, shade in SHADES.items():
        assert painted[f"x/{name}.cls"] == str(shade).encode()
        assert shade_of(painted[f"x/{name}.png"]) == 255 - shade
    rows = {row["target"]: row for row in map(json.loads, listed.read_text().splitlines())}
    draw = RandomStyles(shipped_network().style_names(), 3)
    for name in SHADES:
        row = rows[f"{tmp_path}/out/deep/0.tar::x/{name}.png"]
        assert row["source"] == f"{tmp_path}/in/deep/0.tar::x/{name}.png"
        assert (row["style"],) == draw.styles(f"deep/0.tar/x/{name}.png")
        assert row["status"] == "painted"
    before = (tmp_path / "out" / "deep" / "0.tar").read_bytes()
    again = stylize(*command)
    assert (again.code, (tmp_path / "out" / "deep" / "0.tar").read_bytes()) == (0, before)
    assert "0 painted, 1 skipped" in again.lines[-1]


def test_another_format_and_several_styles(stylize: Run, tmp_path: Path) -> None:
    source = tar_file(tmp_path / "0.tar", {"a.png": png(100), "a.cls": b"7"})
    done = stylize(
        source, "--style", "scream", "--style", "great-wave", "--format", "jpeg", "-o", tmp_path / "new.tar"
    )
    assert (done.code, done.err) == (0, "")
    painted = members(tmp_path / "new.tar")
    assert list(painted) == ["a.scream.jpg", "a.great-wave.jpg", "a.cls"]
    with Image.open(io.BytesIO(painted["a.scream.jpg"])) as image:
        assert image.format == "JPEG"


def test_the_sample_of_a_broken_picture_is_left_out(stylize: Run, tmp_path: Path) -> None:
    content = samples() | {"x/b.png": b"no picture"}
    source = tar_file(tmp_path / "0.tar", content)
    listed = tmp_path / "m.jsonl"
    done = stylize(source, "--style", "scream", "-o", f"{tmp_path}/out/", "--manifest", listed)
    assert done.code == 1
    assert "0.tar::x/b.png" in done.lines[0]
    assert "2 painted, 0 skipped (done before), 1 failed" in done.lines[-1]
    assert list(members(tmp_path / "out" / "0.tar")) == [n for n in content if "/b." not in n]
    assert sum('"failed"' in line for line in listed.read_text().splitlines()) == 1


@pytest.mark.parametrize("kind", ["text", "cut"])
def test_a_tar_file_that_is_none(stylize: Run, tmp_path: Path, kind: str) -> None:
    source = tar_file(tmp_path / "0.tar", {"a.png": png(3), "b.png": random_photo(40, 40).tobytes()})
    source.write_bytes(b"text" if kind == "text" else source.read_bytes()[:2500])
    done = stylize(source, "--style", "scream", "-o", f"{tmp_path}/out/")
    assert (done.code, len(done.lines)) == (1, 1)
    assert "expected a tar file" in done.err
    assert not (tmp_path / "out").exists()


def test_large_pictures_of_a_tar_file(stylize: Run, tmp_path: Path) -> None:
    out = io.BytesIO()
    Image.new("RGB", (1400, 800), "teal").save(out, "PNG")
    source = tar_file(tmp_path / "0.tar", {"a.png": out.getvalue(), "b.png": png(1)})
    assert stylize(source, "--style", "scream", "-o", tmp_path / "o.tar", "--threads", "2").code == 0
    painted = members(tmp_path / "o.tar")
    assert np.asarray(Image.open(io.BytesIO(painted["a.png"])))[5, 5].tolist() == [255, 127, 127]


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ((), "expected an output folder"),
        (("-o", "o.parquet"), "of the kind .tar"),
        (("-o", "0.tar"), "is one of"),
    ],
)
def test_outputs_that_do_not_fit(
    stylize: Run, tmp_path: Path, output: tuple[str, ...], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    tar_file(tmp_path / "0.tar", samples())
    done = stylize("0.tar", "--style", "scream", *output)
    assert (done.code, len(done.lines)) == (2, 1)
    assert message in done.err


@pytest.mark.parametrize("kind", ["plain", "hugging face"])
def test_a_parquet_file(stylize: Run, tmp_path: Path, kind: str) -> None:
    pa, pq = need("pyarrow"), need("pyarrow.parquet", "pyarrow")
    contents: list[object] = [png(shade) for shade in SHADES.values()]
    contents[1] = b"no picture"
    if kind == "hugging face":
        contents = [
            {"bytes": content, "path": f"{name}.png"} for name, content in zip(SHADES, contents, strict=True)
        ]
    table = pa.table(
        {
            "label": pa.array([3, 1, 2, 9], pa.int32()),
            "image": [*contents, None],
            "note": ["u", "v", None, "w"],
        }
    ).replace_schema_metadata({"about": "kept"})
    pq.write_table(table, tmp_path / "0.parquet")
    done = stylize(tmp_path / "0.parquet", "--style", "scream", "-o", f"{tmp_path}/out/")
    assert done.code == 1
    name = "b.png" if kind == "hugging face" else "1"
    assert f"0.parquet::{name}" in done.lines[0]
    painted = pq.read_table(tmp_path / "out" / "0.parquet")
    assert painted.schema == table.schema
    assert painted.schema.metadata[b"about"] == b"kept"
    assert painted["label"].to_pylist() == [3, 2, 9]
    assert painted["note"].to_pylist() == ["u", None, "w"]
    first, second, none = painted["image"].to_pylist()
    assert none is None or none["bytes"] is None
    if kind == "hugging face":
        assert [first["path"], second["path"]] == ["a.png", "c.png"]
        first, second = first["bytes"], second["bytes"]
    assert (shade_of(first), shade_of(second)) == (245, 55)
    assert not hidden_files(tmp_path)


def test_which_column_holds_the_pictures(stylize: Run, tmp_path: Path) -> None:
    pa, pq = need("pyarrow"), need("pyarrow.parquet", "pyarrow")
    pq.write_table(pa.table({"left": [png(1)], "right": [png(2)]}), tmp_path / "0.parquet")
    command = (tmp_path / "0.parquet", "--style", "scream", "-o", f"{tmp_path}/out/")
    done = stylize(*command)
    assert done.code == 1
    assert "got left, right; name one (--column NAME)" in done.err
    assert stylize(*command, "--column", "right").code == 0
    painted = pq.read_table(tmp_path / "out" / "0.parquet").to_pylist()[0]
    assert painted["left"] == png(1)
    assert shade_of(painted["right"]) == 253
    assert stylize(*command, "--column", "up", "--overwrite").code == 1


def test_a_parquet_file_that_is_none(stylize: Run, tmp_path: Path) -> None:
    need("pyarrow")
    (tmp_path / "0.parquet").write_text("text")
    done = stylize(tmp_path / "0.parquet", "--style", "scream", "-o", f"{tmp_path}/out/")
    assert (done.code, len(done.lines)) == (1, 1)
    assert "expected a Parquet file" in done.err
    assert not (tmp_path / "out").exists()

"""The files of the page: whole, pinned, and ours."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from pathlib import Path

import numpy as np
import pytest

from stylenorm.errors import OutputError
from stylenorm.films import PRESETS
from stylenorm.studio import export_site, site_files

RUNTIME = {  # onnxruntime-web 1.30.0, as the npm registry has it
    "ort.jspi.min.mjs": "bc57179d923fda2d88d4a395359c8df44399dde087bf9ff44fc0e40ab398e4d9",
    "ort-wasm-simd-threaded.jspi.mjs": "270e2c6da9f297239d301d329782b6446641cb1e16a77967690adcfca35f3268",
    "ort-wasm-simd-threaded.jspi.wasm": "a54c76f86b0f0d9572380cf1c6292a7b3903716ffcbcd6b0e5c7050bf430eb93",
}
MOST_BYTES = 5_000_000  # of a first visit, compressed


def test_the_export(tmp_path: Path) -> None:
    site = tmp_path / "site"
    count = export_site(site)
    written = {path.relative_to(site).as_posix() for path in site.rglob("*") if path.is_file()}
    assert written == set(site_files())
    assert count == len(written)
    assert not any(path.endswith(".gz") for path in written)  # plain hosts send files as they are
    with pytest.raises(OutputError, match="holds files already"):
        export_site(site)
    assert export_site(site, overwrite=True) == count
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="is a file"):
        export_site(tmp_path / "file")


def test_the_runtime_is_the_one_that_was_pinned() -> None:
    files = site_files()
    for name, digest in RUNTIME.items():
        assert hashlib.sha256(files[f"runtime/{name}"].plain()).hexdigest() == digest, name
    assert b"Permission is hereby granted" in files["runtime/LICENSE"].plain()
    assert b"protobuf" in files["runtime/ThirdPartyNotices.txt"].plain()


def test_a_first_visit_is_light() -> None:
    files = site_files()
    first = json.loads(re.search(r"FIRST = .*?(\[.*?\])", files["sw.js"].content.decode())[1])
    assert "networks/live/network.onnx" in first
    assert "networks/standard/network.onnx" in files
    assert "networks/standard/network.onnx" not in first
    weight = sum(
        len(file.content if file.gzipped else gzip.compress(file.content))
        for path, file in files.items()
        if path in (*first, "index.html", "sw.js")
    )
    assert 4_000_000 < weight < MOST_BYTES


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_the_styles_are_the_networks_own(preset: str) -> None:
    network = PRESETS[preset].open_network()
    files = site_files()
    about = json.loads(files[f"networks/{preset}/styles.json"].content)
    names = [style["name"] for style in about["styles"]]
    vectors = np.frombuffer(files[f"networks/{preset}/styles.bin"].content, "<f4").reshape(len(names), -1)
    assert names[0] == "identity"
    assert sorted(names[1:]) == sorted(network.style_names())
    for name, vector in zip(names, vectors, strict=True):
        np.testing.assert_array_equal(vector, network.style(name).vector())
    assert about["identity"] == network.identity
    assert tuple(about["norm_sizes"]) == network.norm_sizes


def test_every_address_in_the_page_is_a_file_of_it() -> None:
    files = site_files()
    html = files["index.html"].content.decode()
    for path in re.findall(r'(?:src|href)="([^"#]+)"', html):
        assert path in files, path
    for name in re.search(r"FAN = \[(.*?)\]", files["js/main.js"].content.decode())[1].split(", "):
        assert f"thumbnails/{json.loads(name)}.jpg" in files
    for icon in json.loads(files["manifest.webmanifest"].content)["icons"]:
        assert icon["src"] in files
    for name, file in files.items():
        if name.startswith("js/"):
            for path in re.findall(r'^import .*from "\./(.+)";', file.content.decode(), re.MULTILINE):
                assert f"js/{path}" in files, f"{name} imports {path}"
            assert not re.search(r"https?://", file.content.decode()), name

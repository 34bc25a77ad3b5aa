"""``stylenorm doctor``."""

from __future__ import annotations

from pathlib import Path

import pytest

from stylenorm.engines import registry, winograd_engine
from stylenorm.zoo import NetworkFolder
from tests.cli.conftest import Run
from tests.engines.tiny_network import needs, needs_winograd


def test_all_well(run: Run, network: NetworkFolder) -> None:
    needs("openvino", "onnxruntime", "torch")
    done = run("doctor", "--network", network.path, "--threads", "1")
    report = done.out.decode()
    assert (done.code, done.err) == (0, "")
    for word in (
        "stylenorm",
        "python",
        "platform",
        "cpu",
        "instructions",
        "numpy",
        "pillow",
        network.identity,
    ):
        assert word in report
    assert "3 styles" in report
    assert "engine openvino     works: CPU, " in report
    assert report.count(" dB to openvino") == (3 if "engine winograd     works" in report else 2)
    assert "engine auto         here " in report
    assert report.splitlines()[-1] == "all well: the default engine works"


def test_a_missing_engine_says_how_to_install_it(
    run: Run, network: NetworkFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    find_spec = registry.importlib.util.find_spec
    monkeypatch.setattr(
        registry.importlib.util,
        "find_spec",
        lambda name, *rest: None if name in ("onnxruntime", "torch") else find_spec(name, *rest),
    )
    done = run("doctor", "--network", network.path)
    assert done.code == 0
    assert b"engine onnxruntime  not installed: pip install 'stylenorm[onnxruntime]'" in done.out
    assert b"engine torch        not installed: pip install 'stylenorm[torch]'" in done.out


@pytest.mark.parametrize("reason", [None, "it has AVX-512"])
def test_without_openvino(
    run: Run, network: NetworkFolder, monkeypatch: pytest.MonkeyPatch, reason: str | None
) -> None:
    needs_winograd()
    monkeypatch.setattr(registry.importlib.util, "find_spec", lambda *_: None)
    monkeypatch.setattr(winograd_engine, "reason_against", lambda: reason)
    done = run("doctor", "--network", network.path)
    report = done.out.decode()
    assert done.code == 0
    assert "engine openvino     not installed: pip install 'stylenorm[openvino]'; " in report
    gain = "openvino runs networks of other families" if reason is None else f"it would paint here: {reason}"
    assert gain in report
    assert "engine auto         here winograd: " in report
    assert ("openvino is not installed, and it has AVX-512" in report) == (reason is not None)


def test_a_default_engine_that_fails(run: Run, network: NetworkFolder, tmp_path: Path) -> None:
    (tmp_path / "network.json").write_text((network.path / "network.json").read_text())
    (tmp_path / "network.onnx").write_bytes(b"rubbish")
    (tmp_path / "styles").mkdir()
    for file in (network.path / "styles").iterdir():
        (tmp_path / "styles" / file.name).write_bytes(file.read_bytes())
    done = run("doctor", "--network", tmp_path)
    assert done.code == 1
    assert b"engine openvino     FAILED" in done.out
    assert b"the default engine does not work" in done.out


def test_without_a_network(run: Run, tmp_path: Path) -> None:
    done = run("doctor", "--network", tmp_path / "nowhere")
    assert done.code == 1
    assert b"expected a network folder" in done.out

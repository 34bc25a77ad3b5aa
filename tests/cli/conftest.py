"""What every test of the command line needs."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

from stylenorm.cli import main
from stylenorm.zoo import NetworkFolder
from tests.engines.tiny_network import random_photo, tiny_network

sys.path.append(str(Path(__file__).parent.parent / "media"))  # its table of odd pictures


@dataclass
class Done:
    """A finished command."""

    code: int
    out: bytes
    err: str

    @property
    def lines(self) -> list[str]:
        """The lines on stderr."""
        return self.err.splitlines()


Run = Callable[..., Done]


@pytest.fixture(scope="session")
def network() -> NetworkFolder:
    return tiny_network()


@pytest.fixture
def run(capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command in this process, with nothing on stdin unless given."""

    def run(*argv: str | Path, stdin: bytes = b"") -> Done:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        capfdbinary.readouterr()
        code = main([str(word) for word in argv])
        out, err = capfdbinary.readouterr()
        return Done(code, out, err.decode())

    return run


@pytest.fixture
def stylize(run: Run, network: NetworkFolder) -> Run:
    """Run ``stylenorm stylize`` with the tiny network; the fake engine unless another is named."""

    def stylize(*argv: str | Path, engine: str = "fake", stdin: bytes = b"") -> Done:
        return run("stylize", *argv, "--network", network.path, "--engine", engine, stdin=stdin)

    return stylize


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    return write_photo(tmp_path / "photo.jpg")


def write_photo(path: Path, height: int = 24, width: int = 32) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(random_photo(height, width)).save(path, quality=95)
    return path


def hidden_files(folder: Path) -> Sequence[Path]:
    """What a half-written output would leave."""
    return [path for path in folder.rglob(".*") if path.is_file()]

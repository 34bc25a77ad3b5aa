"""``stylenorm studio``."""

from __future__ import annotations

import http.client
import re
import signal
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.cli.conftest import Run
from tests.requirements_met import need


def test_the_page_as_files(run: Run, tmp_path: Path) -> None:
    done = run("studio", "--export", tmp_path / "site")
    assert (done.code, done.out) == (0, b"")
    assert re.fullmatch(rf"stylenorm: \d+ files in {re.escape(str(tmp_path / 'site'))}; .*\n", done.err)
    assert (tmp_path / "site" / "index.html").is_file()
    again = run("studio", "--export", tmp_path / "site")
    assert (again.code, len(again.lines)) == (2, 1)
    assert "holds files already" in again.err


def test_it_serves_until_ctrl_c(tmp_path: Path) -> None:
    need("uvicorn")
    command = [sys.executable, "-m", "stylenorm", "studio", "--no-browser", "--save-to", str(tmp_path)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        line = process.stderr.readline()
        url = re.search(r"http://127\.0\.0\.1:\d+/#token=[\w-]{43}", line)
        assert url, line
        connection = http.client.HTTPConnection(urlsplit(url[0]).netloc, timeout=30)
        connection.request("GET", "/")
        assert connection.getresponse().status == 200
        connection.close()
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
        assert process.stderr.read() == ""  # no log of what was asked


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--save-to", "nowhere"), "nowhere: expected a folder"),
        (("--host", "203.0.113.9"), "cannot be listened on"),
        (("--max-megapixels", "0"), "greater than 0"),
    ],
)
def test_what_cannot_be_had(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], said: str
) -> None:
    need("uvicorn")
    monkeypatch.chdir(tmp_path)
    done = run("studio", "--no-browser", *words)
    assert done.code == 2
    assert said in done.err
    assert "Traceback" not in done.err

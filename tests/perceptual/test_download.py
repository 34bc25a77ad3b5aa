"""Downloads, from a server on loopback that breaks, refuses and lies."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from stylenorm.errors import DownloadError
from stylenorm.perceptual.download import CACHE_VARIABLE, cache_folder, fetch

CONTENT = bytes(range(256)) * 3000
DIGEST = hashlib.sha256(CONTENT).hexdigest()


class Server:
    """Serves one file; ``ends_after`` cuts each answer short, ``ranges`` turns resuming off."""

    def __init__(self) -> None:
        self.content, self.ends_after, self.ranges, self.failures = CONTENT, 10**9, True, 0
        self.asked: list[str | None] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked = self.headers.get("Range")
                outer.asked.append(asked)
                if outer.failures > 0:
                    outer.failures -= 1
                    self.send_error(503)
                    return
                if not self.path.endswith("/file.bin"):
                    self.send_error(404)
                    return
                start = int(re.findall(r"\d+", asked)[0]) if asked and outer.ranges else 0
                if start >= len(outer.content):
                    self.send_error(416)
                    return
                body = outer.content[start:]
                self.send_response(206 if start else 200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body[: outer.ends_after])

            def log_message(self, *_: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/models/file.bin"
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server = Server()
    yield server
    server.http.shutdown()
    server.http.server_close()
    server.thread.join()


def get(server: Server, digest: str = DIGEST) -> Path:
    return fetch(server.url, "file.bin", digest, pause_s=0.01)


def files() -> list[str]:
    return sorted(path.name for path in cache_folder().iterdir())


def test_once(server: Server) -> None:
    path = get(server)
    assert path.read_bytes() == CONTENT
    assert get(server) == path
    assert server.asked == [None]
    assert files() == ["file.bin"]


def test_a_connection_that_breaks_is_resumed(server: Server) -> None:
    server.ends_after = 300_000
    assert get(server).read_bytes() == CONTENT
    assert server.asked == [None, "bytes=300000-", "bytes=600000-"]


def test_another_process_goes_on(server: Server) -> None:
    cache_folder().mkdir()
    (cache_folder() / ".file.bin.part").write_bytes(CONTENT[:1000])
    assert get(server).read_bytes() == CONTENT
    assert server.asked == ["bytes=1000-"]
    assert files() == ["file.bin"]


def test_a_server_that_cannot_resume(server: Server) -> None:
    cache_folder().mkdir()
    (cache_folder() / ".file.bin.part").write_bytes(b"x" * 1000)
    server.ranges = False
    assert get(server).read_bytes() == CONTENT


def test_a_part_that_is_whole(server: Server) -> None:
    cache_folder().mkdir()
    (cache_folder() / ".file.bin.part").write_bytes(CONTENT)
    assert get(server).read_bytes() == CONTENT


def test_a_server_that_is_busy(server: Server) -> None:
    server.failures = 2
    assert get(server).read_bytes() == CONTENT


def test_other_content_is_refused_and_removed(server: Server) -> None:
    with pytest.raises(DownloadError, match=f"expected the SHA-256 {'0' * 64}, got {DIGEST}"):
        get(server, "0" * 64)
    assert files() == []
    (cache_folder() / "file.bin").write_bytes(b"put there by hand")
    with pytest.raises(DownloadError, match="expected the SHA-256"):
        get(server)
    assert files() == []


def test_no_such_file(server: Server) -> None:
    server.url += ".gone"
    with pytest.raises(DownloadError, match="the server says 404"):
        get(server)


def test_no_network(server: Server) -> None:
    server.ends_after = 0
    cache_folder().mkdir()
    (cache_folder() / ".file.bin.part").write_bytes(CONTENT[: 3 << 17])
    with pytest.raises(DownloadError, match=r"0\.4 MiB are kept.*--features vgg16"):
        get(server)
    assert files() == [".file.bin.part"]
    server.http.shutdown()
    server.http.server_close()
    with pytest.raises(DownloadError, match=r"cannot download .*refused.*put it at .*file\.bin"):
        get(server)


def test_two_at_once(server: Server) -> None:
    fcntl = pytest.importorskip("fcntl")
    cache_folder().mkdir()
    with (cache_folder() / ".file.bin.part").open("ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(DownloadError, match="another process is downloading it"):
            get(server)


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(CACHE_VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder().name == "stylenorm"

"""A page that shows live pictures in any browser: motion JPEG over HTTP, by the standard library.

It listens on this machine alone unless told otherwise, and answers only requests that name the host it was
opened for: another site's page that points its own name at this address (DNS rebinding) gets nothing.
"""

from __future__ import annotations

import ipaddress
import socket
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from stylenorm.closing import Closing
from stylenorm.errors import OutputError

__all__ = ["LivePage"]

_BOUNDARY = "stylenorm-frame"
_WAIT_S = 1.0
_CLOSING_S = 0.05  # how long closing may take
_HTML = b"""<!doctype html><html lang="en"><meta charset="utf-8"><title>stylenorm live</title>
<style>html,body{margin:0;height:100%;background:#111}img{width:100%;height:100%;object-fit:contain}</style>
<img src="/stream.mjpg" alt="the live painting"></html>
"""


class LivePage(Closing):
    """Serves the picture that was shown last; a context manager.

    Args:
        host: the address to listen on.
        port: 0 takes a free one.
        quality: of the JPEGs.

    Attributes:
        url: where the page is.
        num_encoded: pictures that somebody looked at.

    Raises:
        OutputError: the address or port cannot be had.
    """

    def __init__(self, host: str = "127.0.0.1", port: int = 0, *, quality: int = 85) -> None:
        self._quality = quality
        self._pixels: NDArray[np.uint8] | None = None
        self._jpeg = b""
        self._number = self._encoded_number = self.num_encoded = 0
        self._change = threading.Condition()
        self._encoding = threading.Lock()
        self._closed = False
        page = self

        class Handler(_Handler):
            live = page

        host = host.strip("[]")
        shown = f"[{host}]" if ":" in host else host
        try:
            self._server = (_SixServer if ":" in host else ThreadingHTTPServer)((host, port), Handler)
        except OSError as error:
            raise OutputError(
                f"{shown}:{port}: cannot be listened on ({error.strerror}); give another --port"
            ) from error
        self._server.daemon_threads = True
        self.url = f"http://{shown}:{self._server.server_address[1]}/"
        self.any_host = not _is_loopback(host)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(_CLOSING_S,), name="page", daemon=True
        )
        self._thread.start()

    def show(self, pixels: NDArray[np.uint8]) -> bool:
        """Show a picture, (H, W, 3) uint8; encoded only if somebody looks. Returns True: it never closes."""
        with self._change:
            self._pixels = pixels
            self._number += 1
            self._change.notify_all()
        return True

    def newest(self, after: int) -> tuple[int, bytes]:
        """Wait for a picture newer than number ``after``; its number and JPEG, or (after, b"") at the end."""
        with self._change:
            while self._number <= after and not self._closed:
                self._change.wait(_WAIT_S)
            if self._number <= after:
                return after, b""
            number, pixels = self._number, self._pixels
        with self._encoding:  # once for all who look
            if self._encoded_number < number and pixels is not None:
                self._jpeg, self._encoded_number = _jpeg(pixels, self._quality), number
                self.num_encoded += 1
            return self._encoded_number, self._jpeg

    def close(self) -> None:
        """Stop serving."""
        with self._change:
            self._closed = True
            self._change.notify_all()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _SixServer(ThreadingHTTPServer):
    address_family = socket.AF_INET6


class _Handler(BaseHTTPRequestHandler):
    live: ClassVar[Any]
    server_version = "stylenorm"
    sys_version = ""
    timeout = 30

    def do_GET(self) -> None:
        if not self.live.any_host and not _is_loopback(self._host()):
            self.send_error(HTTPStatus.FORBIDDEN, "only this machine is served")
        elif self.path == "/":
            self._send("text/html; charset=utf-8", _HTML)
        elif self.path == "/frame.jpg":
            self._send("image/jpeg", self.live.newest(0)[1])
        elif self.path == "/stream.mjpg":
            self._stream()
        else:
            self.send_error(HTTPStatus.NOT_FOUND)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the standard library's name)
        """Keep quiet: the terminal has the rate of frames."""

    def _host(self) -> str:
        name = str(self.headers.get("Host", ""))
        if name.startswith("["):  # an address of IP version 6 has colons itself
            return name[1:].partition("]")[0]
        return name.partition(":")[0]

    def _send(self, kind: str, content: bytes) -> None:
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(content)

    def _stream(self) -> None:
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", f"multipart/x-mixed-replace; boundary={_BOUNDARY}")
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        number = 0
        try:
            while True:
                number, jpeg = self.live.newest(number)
                if not jpeg:
                    return
                head = f"--{_BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
                self.wfile.write(head.encode() + jpeg + b"\r\n")
        except (ConnectionError, TimeoutError):  # the browser went away
            return


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _jpeg(pixels: NDArray[np.uint8], quality: int) -> bytes:
    import io

    from PIL import Image

    memory = io.BytesIO()
    Image.fromarray(pixels).save(memory, "JPEG", quality=quality)
    return memory.getvalue()

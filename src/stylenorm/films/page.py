"""A page that shows live pictures in any browser: motion JPEG over HTTP.

`stylenorm.serving` says who may look: this machine alone unless told otherwise.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stylenorm.closing import Closing
from stylenorm.errors import MissingExtraError
from stylenorm.serving import LocalServer

__all__ = ["LivePage"]

_BOUNDARY = "stylenorm-frame"
_WAIT_S = 1.0
_POLICY = "default-src 'none'; img-src 'self'; style-src 'unsafe-inline'; frame-ancestors 'none'"
_HTML = """<!doctype html><html lang="en"><meta charset="utf-8"><title>stylenorm live</title>
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
        any_host: whether it is seen from other machines.
        num_encoded: pictures that somebody looked at.

    Raises:
        MissingExtraError: starlette and uvicorn are not installed.
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
        self._server = LocalServer(self._app(), host, port, policy=_POLICY)
        self.url, self.any_host = self._server.url, self._server.any_host

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
        self._server.close()

    def _app(self) -> Any:
        try:
            from starlette.applications import Starlette
            from starlette.responses import HTMLResponse, Response, StreamingResponse
            from starlette.routing import Route
        except ImportError as error:
            raise MissingExtraError("starlette", "studio", "a page") from error
        fresh = {"Cache-Control": "no-store"}

        def page(_: Any) -> Response:
            return HTMLResponse(_HTML, headers=fresh)

        def frame(_: Any) -> Response:
            return Response(self.newest(0)[1], media_type="image/jpeg", headers=fresh)

        def stream(_: Any) -> Response:
            kind = f"multipart/x-mixed-replace; boundary={_BOUNDARY}"
            return StreamingResponse(self._parts(), media_type=kind, headers=fresh)

        routes = [Route("/", page), Route("/frame.jpg", frame), Route("/stream.mjpg", stream)]
        return Starlette(routes=routes)

    def _parts(self) -> Iterator[bytes]:
        number = 0
        while True:
            number, jpeg = self.newest(number)
            if not jpeg:
                return
            head = f"--{_BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
            yield head.encode() + jpeg + b"\r\n"


def _jpeg(pixels: NDArray[np.uint8], quality: int) -> bytes:
    from PIL import Image

    memory = io.BytesIO()
    Image.fromarray(pixels).save(memory, "JPEG", quality=quality)
    return memory.getvalue()

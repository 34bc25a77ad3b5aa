"""The page on this machine, and the few routes by which it asks the engine."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import secrets
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from stylenorm.closing import Closing
from stylenorm.errors import InputError, MissingExtraError, OutputError, StylenormError
from stylenorm.serving import LocalServer
from stylenorm.studio.painting import NativePainter, Request, write_new
from stylenorm.studio.site import POLICY, SiteFile, site_files

__all__ = ["STUDIO_PORT", "Studio"]

STUDIO_PORT = 8817
"""Where the studio is if nothing else is there: browsers keep a page by its address."""

_QUEUE = 8  # requests that may wait; a page has one or two under way
_HEADROOM = 1 << 20  # bytes of a request beside the picture
_BYTES_A_PIXEL = 4


class Studio(Closing):
    """Serves the page and paints for it; a context manager.

    Args:
        host: the address to listen on.
        port: 0 takes a free one, where browsers do not keep the page for the next time.
        engine: what paints, as `stylenorm.Stylizer` has it.
        threads: likewise.
        save_to: a folder that the page may save paintings in; without it, the browser saves them.
        max_megapixels: larger pictures are refused before they are decoded.

    Attributes:
        url: the address to open; behind its ``#`` is the secret without which nothing is painted. Browsers
            do not send that part, so it is in no log.

    Raises:
        MissingExtraError: starlette and uvicorn are not installed.
        OutputError: the address or port cannot be had, or ``save_to`` is no folder.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        engine: str = "auto",
        threads: int | None = None,
        save_to: Path | None = None,
        max_megapixels: float = 100.0,
    ) -> None:
        if save_to is not None and not save_to.is_dir():
            raise OutputError(f"{save_to}: expected a folder to save paintings in, found none; make it first")
        self._painter = NativePainter(engine, threads, max_megapixels)
        self._save_to = save_to
        self._token = secrets.token_urlsafe(32)
        self._waiting = 0
        self._one_at_a_time: asyncio.Lock | None = None
        self._max_bytes = int(max_megapixels * 1e6) * _BYTES_A_PIXEL + _HEADROOM
        policy = f"{POLICY}; frame-ancestors 'none'"
        self._server = LocalServer(self._app(keep=port != 0), host, port, policy=policy)
        self.url = f"{self._server.url}#token={self._token}"
        self.any_host = self._server.any_host

    def close(self) -> None:
        """Stop serving."""
        self._server.close()
        self._painter.close()

    def _app(self, *, keep: bool) -> Any:
        try:
            from starlette.applications import Starlette
            from starlette.requests import Request as HttpRequest
            from starlette.responses import JSONResponse, PlainTextResponse, Response
            from starlette.routing import Route
        except ImportError as error:
            raise MissingExtraError("starlette", "studio", "the studio") from error
        fresh = {"Cache-Control": "no-store"}
        files = {path: _Kept(file) for path, file in site_files(native=True, keep=keep).items()}

        def failed(error: Exception, status: int) -> Response:
            sentence = str(error).removeprefix("<bytes>: ")  # the page knows which file it was
            return PlainTextResponse(sentence, status, headers=fresh)

        def fixed(request: HttpRequest) -> Response:
            kept = files.get(request.path_params["path"] or "index.html")
            if kept is None:
                return PlainTextResponse("there is no such file", 404)
            headers = {"ETag": kept.tag, "Cache-Control": "no-cache", "Vary": "Accept-Encoding"}
            if request.headers.get("if-none-match") == kept.tag:
                return Response(status_code=304, headers=headers)
            content = kept.file.content
            if kept.file.gzipped and "gzip" in request.headers.get("accept-encoding", ""):
                headers["Content-Encoding"] = "gzip"
            elif kept.file.gzipped:
                content = gzip.decompress(content)
            return Response(content, headers=headers, media_type=kept.file.kind)

        def guarded(work: Callable[[bytes], Response]) -> Callable[[HttpRequest], Awaitable[Response]]:
            """A route that needs the secret, takes a body of bounded size, and waits for its turn."""

            async def route(request: HttpRequest) -> Response:
                told = request.headers.get("authorization", "")
                if not secrets.compare_digest(told.encode(), f"Bearer {self._token}".encode()):
                    return PlainTextResponse("open the link that the terminal shows", 403, headers=fresh)
                if self._waiting >= _QUEUE:
                    return PlainTextResponse("too much at once: try again in a moment", 503, headers=fresh)
                self._waiting += 1
                try:
                    body = await self._body(request)
                    if self._one_at_a_time is None:
                        self._one_at_a_time = asyncio.Lock()
                    async with self._one_at_a_time:
                        if await request.is_disconnected():
                            return Response(status_code=204)  # nobody waits for it any more
                        return await asyncio.to_thread(work, body)
                except StylenormError as error:
                    return failed(error, 400 if isinstance(error, InputError) else 500)
                except MemoryError:
                    return PlainTextResponse(
                        "out of memory: paint with broader strokes, or a smaller picture", 500, headers=fresh
                    )
                finally:
                    self._waiting -= 1

            return route

        def about(_: bytes) -> Response:
            told = {
                "engine": self._painter.warm_up(),
                "folder": self._save_to.name if self._save_to else "",
                "maxMegapixels": self._painter.max_megapixels,
            }
            return JSONResponse(told, headers=fresh)

        def paint(body: bytes) -> Response:
            pixels = self._painter.paint_pixels(Request.parse(body))
            return Response(pixels, media_type="application/octet-stream", headers=fresh)

        def render(body: bytes) -> Response:
            request = Request.parse(body)
            content = self._painter.paint_file(request)
            if not request.name:
                return Response(content, media_type=f"image/{request.format}", headers=fresh)
            if self._save_to is None:
                raise InputError("folder: expected the studio to be started with --save-to, which it was not")
            name = write_new(self._save_to, request.name, content)
            return Response(status_code=201, headers={**fresh, "X-Saved-As": quote(name)})

        def decode(body: bytes) -> Response:
            return Response(self._painter.decode_file(body), media_type="image/png", headers=fresh)

        def post(path: str, work: Callable[[bytes], Response]) -> Route:
            return Route(path, guarded(work), methods=["POST"])

        return Starlette(
            routes=[
                post("/api/about", about),
                post("/api/paint", paint),
                post("/api/render", render),
                post("/api/decode", decode),
                Route("/{path:path}", fixed, methods=["GET"]),
            ]
        )

    async def _body(self, request: Any) -> bytes:
        parts, size = [], 0
        async for part in request.stream():
            size += len(part)
            if size > self._max_bytes:
                raise InputError(
                    f"picture: expected a file of up to {self._max_bytes // 1_000_000} MB, got a larger one"
                )
            parts.append(part)
        return b"".join(parts)


class _Kept:
    """A file of the page with the tag by which a browser knows it."""

    def __init__(self, file: SiteFile) -> None:
        self.file = file
        self.tag = f'"{hashlib.sha256(file.content).hexdigest()[:32]}"'

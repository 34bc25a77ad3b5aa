"""A small server for pages on this machine: who may ask, what every answer says, and its end.

It listens on this machine alone unless told otherwise. A browser sends requests for whatever page it shows,
so each must name exactly the host it was opened for (against DNS rebinding: another site's page that points
its own name at this address), and, if it says where it comes from, come from the page itself (against
requests that another site's page makes). A secret besides is the application's own matter.
"""

from __future__ import annotations

import ipaddress
import socket
import threading
import time
from collections.abc import Mapping
from typing import Any

from stylenorm.closing import Closing
from stylenorm.errors import MissingExtraError, OutputError

__all__ = ["LocalServer", "is_loopback"]

_STARTING_S = 10.0
_CLOSING_S = 1  # how long an answer that is under way may still take
_DEFAULT_PORT = 80
_HEADERS = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",  # with the line above: threads for WebAssembly
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class LocalServer(Closing):
    """Serves an application in a thread; a context manager.

    Args:
        app: an ASGI application.
        host: the address to listen on.
        port: 0 takes a free one.
        policy: Content-Security-Policy of every answer.

    Attributes:
        url: where it is.
        any_host: whether it was asked to be seen from other machines.

    Raises:
        MissingExtraError: uvicorn is not installed.
        OutputError: the address or port cannot be had.
    """

    def __init__(self, app: Any, host: str = "127.0.0.1", port: int = 0, *, policy: str) -> None:
        uvicorn = _import_uvicorn()
        host = host.strip("[]")
        shown = f"[{host}]" if ":" in host else host
        self._socket = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._socket.bind((host, port))
            self._socket.listen(64)
        except OSError as error:
            self._socket.close()
            raise OutputError(
                f"{shown}:{port}: cannot be listened on ({error.strerror}); give another --port"
            ) from error
        port = self._socket.getsockname()[1]
        self.url = f"http://{shown}:{port}/"
        self.any_host = not is_loopback(host)
        guard = _Guard(app, host, port, {**_HEADERS, "Content-Security-Policy": policy})
        self._server = uvicorn.Server(
            uvicorn.Config(
                guard,
                log_config=None,
                access_log=False,
                lifespan="off",
                server_header=False,
                timeout_graceful_shutdown=_CLOSING_S,
            )
        )
        self._thread = threading.Thread(
            target=self._server.run, args=([self._socket],), name="page", daemon=True
        )
        self._thread.start()
        until = time.monotonic() + _STARTING_S
        while not self._server.started and self._thread.is_alive() and time.monotonic() < until:
            time.sleep(0.005)

    def close(self) -> None:
        """Stop serving."""
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()


class _Guard:
    """The ASGI application around the application: refuses what no page of ours asks."""

    def __init__(self, app: Any, host: str, port: int, headers: Mapping[str, str]) -> None:
        self._app, self._host, self._port = app, host, port
        self._headers = [(name.lower().encode(), value.encode()) for name, value in headers.items()]

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        reason = self._refused(scope["headers"])

        async def answer(message: Any) -> None:
            if message["type"] == "http.response.start":
                own = {name for name, _ in message.get("headers", [])}
                added = [header for header in self._headers if header[0] not in own]
                message = {**message, "headers": [*message.get("headers", []), *added]}
            await send(message)

        if reason is None:
            await self._app(scope, receive, answer)
            return
        head = [(b"content-type", b"text/plain; charset=utf-8")]
        await answer({"type": "http.response.start", "status": 403, "headers": head})
        await answer({"type": "http.response.body", "body": reason.encode()})

    def _refused(self, headers: list[tuple[bytes, bytes]]) -> str | None:
        hosts = [value.decode("latin-1").lower() for name, value in headers if name == b"host"]
        origins = [value.decode("latin-1").lower() for name, value in headers if name == b"origin"]
        if len(hosts) != 1 or not self._is_ours(hosts[0]):
            return "this address is served under its own name only: open the link that the terminal shows"
        if any(origin != f"http://{hosts[0]}" for origin in origins):
            return "only the page itself may ask for this"
        return None

    def _is_ours(self, named: str) -> bool:
        name, colon, port = named.rpartition(":")
        if not colon or (name.startswith("[") and not name.endswith("]")):
            name, port = named, str(_DEFAULT_PORT)
        if port != str(self._port):
            return False
        name = name.strip("[]")
        if is_loopback(self._host):
            return is_loopback(name)
        if name in (self._host.lower(), socket.gethostname().lower()):
            return True
        try:  # seen from other machines, under whatever address: no name points there but by its own right
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True


def is_loopback(host: str) -> bool:
    """Say whether a name or an address means this machine alone.

    >>> is_loopback("localhost"), is_loopback("::1"), is_loopback("localhost.example.org")
    (True, True, False)
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _import_uvicorn() -> Any:
    try:
        import starlette  # noqa: F401 (what applications are made of comes with the same extra)
        import uvicorn
    except ImportError as error:
        raise MissingExtraError("starlette and uvicorn", "studio", "a page") from error
    return uvicorn

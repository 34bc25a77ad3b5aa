"""Who is answered by a small server, and what every answer says."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from stylenorm import serving

OK = "served"


def answer(host: str, port: int, *headers: tuple[str, str]) -> tuple[int, dict[str, str]]:
    """Ask an application that listens on ``host``; no socket is needed to ask who may."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"referrer-policy", b"own")]})
        await send({"type": "http.response.body", "body": OK.encode()})

    told: list[Any] = []

    async def send(message: Any) -> None:
        told.append(message)

    guard = serving._Guard(app, host, port, {"Referrer-Policy": "no-referrer", "X-More": "yes"})
    encoded = [(name.encode(), value.encode()) for name, value in headers]
    asyncio.run(guard({"type": "http", "headers": encoded}, None, send))
    return told[0]["status"], {name.decode(): value.decode() for name, value in told[0]["headers"]}


@pytest.mark.parametrize(
    ("listens", "asked", "status"),
    [
        ("127.0.0.1", "127.0.0.1:8000", 200),
        ("127.0.0.1", "LOCALHOST:8000", 200),
        ("::1", "[::1]:8000", 200),
        ("127.0.0.1", "127.0.0.1", 403),  # port 80 is another server's
        ("127.0.0.1", "127.0.0.1:8001", 403),
        ("127.0.0.1", "localhost.evil.example:8000", 403),
        ("127.0.0.1", "192.168.1.7:8000", 403),
        ("127.0.0.1", "evil.example:8000", 403),
        ("127.0.0.1", "", 403),
        ("0.0.0.0", "192.168.1.7:8000", 200),  # noqa: S104 (who asks to be seen is)
        ("0.0.0.0", "evil.example:8000", 403),  # noqa: S104
        ("photos.lan", "photos.lan:8000", 200),
        ("photos.lan", "evil.lan:8000", 403),
    ],
)
def test_hosts(listens: str, asked: str, status: int) -> None:
    assert answer(listens, 8000, ("host", asked))[0] == status


def test_two_hosts_are_none() -> None:
    assert answer("127.0.0.1", 80, ("host", "127.0.0.1"), ("host", "evil.example"))[0] == 403
    assert answer("127.0.0.1", 80)[0] == 403
    assert answer("127.0.0.1", 80, ("host", "127.0.0.1"))[0] == 200


def test_headers_are_added_and_an_answers_own_stay() -> None:
    for host in ("127.0.0.1:8000", "evil.example"):
        _, headers = answer("127.0.0.1", 8000, ("host", host))
        assert headers["x-more"] == "yes"
    assert answer("127.0.0.1", 8000, ("host", "127.0.0.1:8000"))[1]["referrer-policy"] == "own"

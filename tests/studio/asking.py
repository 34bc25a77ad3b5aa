"""Requests to a studio as its page makes them, and as others would."""

from __future__ import annotations

import http.client
import json
import struct
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from stylenorm.studio import Studio

__all__ = ["ask", "body_of", "token_of"]


def token_of(studio: Studio) -> str:
    return urlsplit(studio.url).fragment.removeprefix("token=")


def body_of(vector: np.ndarray, content: bytes, **settings: Any) -> bytes:
    told = json.dumps({"preset": "live", **settings}).encode()
    return struct.pack("<I", len(told)) + told + vector.astype("<f4").tobytes() + content


def ask(
    studio: Studio,
    path: str,
    body: bytes | None = None,
    *,
    token: str | None = "",
    **headers: str,
) -> tuple[int, dict[str, str], bytes]:
    """Ask, with the right token unless another is given (None: without one); headers with _ for -."""
    address = urlsplit(studio.url).netloc
    told = {"Host": address, **{name.replace("_", "-"): value for name, value in headers.items()}}
    if token is not None:
        told["Authorization"] = f"Bearer {token or token_of(studio)}"
    connection = http.client.HTTPConnection(address, timeout=30)
    try:
        connection.request("GET" if body is None else "POST", path, body, told)
        answer = connection.getresponse()
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
    finally:
        connection.close()

"""ICC profiles put together byte by byte, so that tests depend on nobody's profile files."""

from __future__ import annotations

import struct

import numpy as np


def _profile(space: bytes, connection: bytes, kind: bytes, tags: dict[bytes, bytes]) -> bytes:
    table = struct.pack(">I", len(tags))
    at = 128 + 4 + 12 * len(tags)
    body = b""
    for name, data in tags.items():
        data += bytes(-len(data) % 4)
        table += struct.pack(">4sII", name, at + len(body), len(data))
        body += data
    size = 128 + len(table) + len(body)
    head = struct.pack(">I4sI4s4s4s", size, b"test", 0x02400000, kind, space, connection)
    head += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(28)
    head += struct.pack(">3i", 63190, 65536, 54061)  # D50
    return head + bytes(128 - len(head)) + table + body


def _text() -> dict[bytes, bytes]:
    name = b"a test\0"
    desc = b"desc" + bytes(4) + struct.pack(">I", len(name)) + name + bytes(78)
    return {b"desc": desc, b"cprt": b"text" + bytes(4) + b"none\0"}


def _xyz(x: float, y: float, z: float) -> bytes:
    return b"XYZ " + bytes(4) + struct.pack(">3i", *(round(v * 65536) for v in (x, y, z)))


def gamma_curve(gamma: float) -> bytes:
    return b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256))


# ProPhoto RGB's primaries (ROMM, ISO 22028-2), white D50: far outside of sRGB
WIDE_MATRIX = np.array(
    [[0.7976749, 0.1351917, 0.0313534], [0.2880402, 0.7118741, 0.0000857], [0.0, 0.0, 0.8252100]]
)
WIDE_GAMMA = 461 / 256  # as near to 1.8 as a profile can say


def rgb_profile(matrix: np.ndarray = WIDE_MATRIX, curve: bytes | None = None) -> bytes:
    curve = curve or gamma_curve(WIDE_GAMMA)
    tags = {**_text(), b"wtpt": _xyz(0.9642, 1.0, 0.8249)}
    for index, color in enumerate("rgb"):
        tags[f"{color}XYZ".encode()] = _xyz(*matrix[:, index])
        tags[f"{color}TRC".encode()] = curve
    return _profile(b"RGB ", b"XYZ ", b"mntr", tags)


def grey_profile(gamma: float = 1.0) -> bytes:
    tags = {**_text(), b"wtpt": _xyz(0.9642, 1.0, 0.8249), b"kTRC": gamma_curve(gamma)}
    return _profile(b"GRAY", b"XYZ ", b"mntr", tags)


def cmyk_profile() -> bytes:
    """Inks that darken: L* falls with each of them; a* and b* stay 0 but for cyan and magenta."""
    grid = []
    for node in range(16):  # C slowest, K fastest
        c, m, y, k = (node >> shift & 1 for shift in (3, 2, 1, 0))
        light = max(0.12, 1.0 - 0.3 * (c + m + y) - 0.7 * k)
        grid += [round(light * 255), 128 - 60 * c + 60 * m, 128]
    ramp = bytes(range(256))
    lut = b"mft1" + bytes(4) + bytes([4, 3, 2, 0])
    lut += struct.pack(">9i", *(65536 if i % 4 == 0 else 0 for i in range(9)))
    lut += ramp * 4 + bytes(grid) + ramp * 3
    tags = {**_text(), b"wtpt": _xyz(0.9642, 1.0, 0.8249)}
    tags |= {b"A2B0": lut, b"A2B1": lut}
    return _profile(b"CMYK", b"Lab ", b"scnr", tags)

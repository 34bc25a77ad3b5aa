"""Whether a picture fits into memory, asked before Linux kills the process instead of refusing it."""

from __future__ import annotations

from pathlib import Path

__all__ = ["available_bytes", "check_memory"]

# The default network took 84 bytes a pixel beyond an empty run (OpenVINO, 8 bits, 12 megapixels), others take
# more: a picture that is refused by this would not have been painted.
_LEAST_BYTES_PER_PIXEL = 64
_CHECKED_PIXELS = 4_000_000  # smaller ones fit anywhere; reading the files costs more than it tells

_MEMINFO = Path("/proc/meminfo")
_CGROUP = Path("/sys/fs/cgroup")


def check_memory(num_pixels: int) -> None:
    """Refuse a picture that cannot fit.

    Raises:
        MemoryError: it needs more than there is. Where the system does not say how much there is, never.
    """
    if num_pixels < _CHECKED_PIXELS:
        return
    needed, available = num_pixels * _LEAST_BYTES_PER_PIXEL, available_bytes()
    if available is not None and needed > available:
        raise MemoryError(
            f"{num_pixels / 1e6:.0f} megapixels need more than {needed / 1e9:.1f} GB, "
            f"{available / 1e9:.1f} GB are free"
        )


def available_bytes() -> int | None:
    """Return how much memory this process could still get: the machine's, swap included, and its cgroup's.

    None if the system does not say (only Linux does it in this way).
    """
    try:
        lines = _MEMINFO.read_text().splitlines()
        kib = {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines)}
        available = (kib["MemAvailable"] + kib.get("SwapFree", 0)) * 1024
    except (OSError, LookupError, ValueError):
        return None
    try:
        limit = int((_CGROUP / "memory.max").read_text())  # "max" if there is none
        used = int((_CGROUP / "memory.current").read_text())
    except (OSError, ValueError):
        return available
    return min(available, max(0, limit - used))

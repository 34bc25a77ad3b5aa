"""Whether a picture fits into memory, asked before Linux kills the process instead of refusing it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from stylenorm.errors import InputError

__all__ = ["available_bytes", "check_memory", "check_tensor", "is_out_of_memory"]

_OUT_OF_MEMORY = (
    "alloc",  # std::bad_alloc, cannot allocate, failed to allocate
    "out of memory",
    "not enough memory",
    "resource temporarily unavailable",  # no room for another thread's stack
)

# The default network took 84 bytes a pixel beyond an empty run (OpenVINO, 8 bits, 12 megapixels), others take
# more: a picture that is refused by this would not have been painted.
_LEAST_BYTES_PER_PIXEL = 64
_CHECKED_PIXELS = 4_000_000  # smaller ones fit anywhere; reading the files costs more than it tells

# A tensor may be so many times as large as the inputs (64 channels of full size are 21), and so much more.
_LARGEST_SHARE = 1000
_LARGEST_NUMBERS = 2**28
_CHECKED_NUMBERS = 2**26  # smaller tensors fit anywhere

_MEMINFO = Path("/proc/meminfo")
_STATM = Path("/proc/self/statm")
_OWN_GROUPS = Path("/proc/self/cgroup")
_CGROUP = Path("/sys/fs/cgroup")
# Of a control group: the files with its limits, the one with its use, and what of that can be reclaimed.
_VERSION_2 = (("memory.max", "memory.high"), "memory.current", "inactive_file")
_VERSION_1 = (("memory.limit_in_bytes",), "memory.usage_in_bytes", "total_inactive_file")


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


def check_tensor(numbers: int, given: int) -> None:
    """Refuse a tensor that is out of proportion to what a graph is given.

    Args:
        numbers: of the tensor.
        given: numbers of the graph's inputs together.

    Raises:
        InputError: it is larger than any network of pictures has.
        MemoryError: it is larger than the memory that is free.
    """
    if numbers > given * _LARGEST_SHARE + _LARGEST_NUMBERS:
        raise InputError(
            f"graph: expected an exported network, got one that makes a tensor of {numbers / 1e6:.0f} "
            f"million numbers of {given / 1e6:.2g} million; do not use it"
        )
    free = available_bytes() if numbers > _CHECKED_NUMBERS else None
    if free is not None and numbers > free:  # in 8 bits; most tensors take four times as much
        raise MemoryError(f"a tensor of {numbers / 1e9:.1f} GB does not fit, {free / 1e9:.1f} GB are free")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a backend's error says that memory has ended; each says so in its own words."""
    text = str(error).lower()
    return any(words in text for words in _OUT_OF_MEMORY)


def available_bytes() -> int | None:
    """Return how much memory this process could still get.

    That is the machine's, swap included; less where a control group (of version 1 or 2, or one around it) or
    a limit of the process itself (``ulimit -v``) leaves less. None if the system does not say (only Linux
    does it in this way).
    """
    try:
        lines = _MEMINFO.read_text().splitlines()
        kib = {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines)}
        available = (kib["MemAvailable"] + kib.get("SwapFree", 0)) * 1024
    except (OSError, LookupError, ValueError):
        return None
    return max(0, min([available, *_left_in_groups(), *_left_to_process()]))


def _left_in_groups() -> Iterator[int]:
    """What each control group that holds this process has left."""
    try:
        lines = _OWN_GROUPS.read_text().splitlines()
    except OSError:
        lines = []
    yield from _left_in_tree(_CGROUP, _path_in(lines, ""), _VERSION_2)
    yield from _left_in_tree(_CGROUP / "memory", _path_in(lines, "memory"), _VERSION_1)


def _path_in(lines: list[str], controller: str) -> str:
    """The process's group in a hierarchy, from lines such as ``0::/user.slice`` or ``4:memory:/a/b``."""
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controller in controllers.split(","):
            return path.strip("/")
    return ""


def _left_in_tree(root: Path, path: str, names: tuple[tuple[str, ...], str, str]) -> Iterator[int]:
    """What the group at a path has left, and each group around it; the limit of any of them holds."""
    limits, usage, reclaimable = names
    group = root / path
    while True:
        try:
            used = int((group / usage).read_text())
            used -= _stat(group / "memory.stat", reclaimable)  # a file's pages are given back when asked for
            for name in limits:
                with suppress(OSError, ValueError):  # "max" if there is none
                    yield int((group / name).read_text()) - used
        except (OSError, ValueError):  # not mounted in this container, or the root, which has no limits
            pass
        if group == root:
            return
        group = group.parent


def _stat(path: Path, name: str) -> int:
    with suppress(OSError, ValueError, LookupError):
        pairs = (line.split() for line in path.read_text().splitlines())
        return next((int(value) for key, value in pairs if key == name), 0)
    return 0


def _left_to_process() -> Iterator[int]:
    with suppress(ImportError, OSError, ValueError, LookupError):
        import resource

        limit, _ = resource.getrlimit(resource.RLIMIT_AS)
        if limit != resource.RLIM_INFINITY:
            yield limit - int(_STATM.read_text().split()[0]) * resource.getpagesize()

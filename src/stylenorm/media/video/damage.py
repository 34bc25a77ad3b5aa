"""What of a film could not be read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["Damage", "Flags"]

_FLAGGED_PACKETS = 3


@dataclass(frozen=True)
class Damage:
    """Something in the file that could not be read.

    Attributes:
        time_s: about where, in seconds since the film's first frame.
        reason: what was found.
        final: nothing after it could be read.
    """

    time_s: float
    reason: str
    final: bool = False


class Flags:
    """Packets that the container flags as broken, until it is clear why.

    Where files are joined, a container's counters begin anew, and the last packets before it are flagged
    though nothing is missing.
    """

    def __init__(self) -> None:
        self._waiting: dict[int, list[tuple[int, Damage]]] = {}  # by stream: packets since, and the damage

    def add(self, packet: Any, damage: Damage) -> None:
        """Note a flagged packet."""
        self._waiting.setdefault(packet.stream.index, []).append((0, damage))

    def drop(self, packet: Any) -> None:
        """Forget a packet that was just added: its decoder has said more."""
        waiting = self._waiting.get(packet.stream.index)
        if waiting and waiting[-1][0] == 0:
            waiting.pop()

    def settled(self, packet: Any, *, joined: bool) -> list[Damage]:
        """Return what is broken indeed, as a stream's next packet shows."""
        waiting = self._waiting.pop(packet.stream.index, [])
        if joined or not waiting:
            return []
        older = [(count + 1, damage) for count, damage in waiting]
        self._waiting[packet.stream.index] = [each for each in older if each[0] < _FLAGGED_PACKETS]
        return [damage for count, damage in older if count >= _FLAGGED_PACKETS]

    def rest(self) -> list[Damage]:
        """Return what is not settled when the file ends."""
        return [damage for waiting in self._waiting.values() for _, damage in waiting]

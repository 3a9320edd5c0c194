"""What a crowd saw, counted: gaps, repeats, when each event reached its last viewer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

KNOWN_MAX = 512
"""Reads recognised by their bytes; when full they are booked and forgotten, and parsed again when they come again."""


class Batch:
    """What one read holds when it is nothing but events in order (and state that concerns no audit)."""

    __slots__ = ("arrivals", "count", "events", "first", "last", "last_at", "stock")

    def __init__(self, events: list[tuple[int, int]], stock: list[bytes]) -> None:
        self.events = events
        self.stock = stock
        self.count = len(events)
        self.first, self.last = (events[0][0], events[-1][0]) if events else (-2, -2)
        self.arrivals = 0
        self.last_at = 0.0


@dataclass(slots=True)
class Tally:
    """What all viewers of a process saw. `progress` is by how much their `seq` rose, together."""

    progress: int = 0
    gaps: int = 0
    repeats: int = 0
    snapshots: int = 0
    """Viewers who came back with a position and were given a snapshot instead of what they missed."""

    strange: Counter[str] = field(default_factory=Counter)
    target: int = 1 << 62
    on_target: Callable[[], None] = lambda: None
    known: dict[bytes, Batch] = field(default_factory=dict)
    seen: dict[int, list[float]] = field(default_factory=dict)
    """For each event: [`at` in ms, seconds since the epoch when its last viewer had it live, viewers it reached]."""

    def advance(self, by: int) -> None:
        """Some viewer's `seq` rose."""
        self.progress += by
        if self.progress >= self.target:
            self.on_target()

    def note(self, seq: int, at_ms: int, now_s: float, arrivals: int = 1) -> None:
        """An event reached so many viewers, the last of them now; `now_s` 0.0 is one that was missed and made up."""
        seen = self.seen.get(seq)
        if seen is None:
            self.seen[seq] = [at_ms, now_s, arrivals]
        else:
            seen[1] = max(seen[1], now_s)
            seen[2] += arrivals

    def know(self, read: bytes, events: list[tuple[int, int]], stock: list[bytes]) -> None:
        """Whoever reads these very bytes next has these events, which must follow each other by exactly one."""
        if len(self.known) >= KNOWN_MAX:
            self.book()
        self.known.setdefault(read, Batch(events, stock))

    def book(self) -> None:
        """Counts what the recognised reads brought, and forgets them."""
        for batch in self.known.values():
            for seq, at_ms in batch.events if batch.arrivals else ():
                self.note(seq, at_ms, batch.last_at, batch.arrivals)
        self.known.clear()

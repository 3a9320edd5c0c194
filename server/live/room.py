"""A room: the viewers of one stream on this replica, and the fan-out to them.

What makes it cheap: a frame is encoded once; frames that are due in the same turn of the event loop become one write
per viewer; the writes are a plain loop over a dense list of bound methods, in slices, so that receipts pass in between.

    fan_out ──▶ pending ──(next turn)──▶ slow viewers: events only, bounded
                                     └─▶ dense list, slice by slice, one loop turn each
    join ──▶ newcomers: get only what was fanned out after their welcome, then move to the dense list
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Generic, Protocol, TypeVar

SLICE = 50
"""Viewers written to before the loop breathes: about half a millisecond on one core.

An order's transaction takes more than ten turns of the loop, and each may have to wait for a slice. Behind a fan-out to
5,000 at full speed the receipts of 50 buyers took 277 / 510 ms (p50 / p99) with 500, 53 / 89 with 100, 32 / 61 with 50
and 28 / 58 with 25, at 1.3 to 1.7 CPU seconds per million deliveries. docs/performance.md has the commands.
"""


class Member(Protocol):
    """A viewer's way out, as a room sees it. `write_bytes` writes at once; `place` and `skip` belong to the room."""

    person: str
    place: int
    skip: int

    write_bytes: Callable[[bytes], None]

    def write_bounded(self, data: bytes) -> None:
        """Writes for a viewer that does not keep up: closes it with 4008 rather than let its buffer grow."""
        ...


M = TypeVar("M", bound=Member)


class Room(Generic[M]):
    """All methods are plain and never wait; the loop calls back for each slice.

    Order is the same for everyone: a flush begins only when the one before it has reached its last viewer.
    Bounded by what is fanned out in one turn of the loop; each viewer's own buffer is bounded by its socket.
    """

    __slots__ = (
        "_at",
        "_blob",
        "_end",
        "_events",
        "_flushing",
        "_holes",
        "_loop",
        "_members",
        "_newcomers",
        "_pending",
        "_scheduled",
        "_slow",
        "_then",
        "_writes",
        "people",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        self._loop = loop or asyncio.get_running_loop()
        self._members: list[M | None] = []
        self._writes: list[Callable[[bytes], None]] = []
        self._holes: list[int] = []
        self._newcomers: dict[M, None] = {}
        self._slow: dict[M, None] = {}
        self._pending: list[tuple[bytes, bool]] = []
        self._scheduled = False
        self._flushing = False
        self._blob = b""
        self._events = b""
        self._at = 0
        self._end = 0
        self._then: list[Callable[[], None]] = []
        self.people: dict[str, tuple[M, ...]] = {}
        """The sockets each person has here; a reload, or a second tab, is not a second viewer."""

    def __len__(self) -> int:
        return len(self._members) - len(self._holes) + len(self._newcomers) + len(self._slow)

    def __iter__(self) -> Iterator[M]:
        return iter([*(m for m in self._members if m is not None), *self._newcomers, *self._slow])

    def add(self, member: M) -> None:
        """A viewer joins, having been told everything fanned out so far."""
        self.people[member.person] = (*self.people.get(member.person, ()), member)
        member.skip = len(self._pending)
        self._admit(member)

    def remove(self, member: M) -> None:
        """A viewer leaves; one that is not here changes nothing."""
        if not self._take_out(member):
            return
        sockets = tuple(other for other in self.people.pop(member.person) if other is not member)
        if sockets:
            self.people[member.person] = sockets

    def of(self, person: str) -> tuple[M, ...]:
        """The sockets of one person."""
        return self.people.get(person, ())

    def slow_down(self, member: M) -> None:
        """A viewer's buffer is full: from now on it gets events only."""
        waits = self._flushing and self._at <= member.place < self._end
        if not self._take_out(member):
            return
        self._slow[member] = None
        if waits and self._events:  # the flush has not reached it, and will not any more
            member.write_bounded(self._events)

    def speed_up(self, member: M) -> bool:
        """A viewer's buffer has drained. True when it was slow: it then wants the state of now."""
        if member not in self._slow:
            return False
        del self._slow[member]
        events = _events_of(self._pending[member.skip :])
        member.skip = len(self._pending)
        self._admit(member)
        if events:
            member.write_bytes(events)  # last: this may fill it up again
        return True

    def fan_out(self, frame: bytes, *, state: bool = False) -> None:
        """Sends a frame to everyone in the next turn of the loop; slow viewers get no `state`."""
        self._pending.append((frame, state))
        if not self._scheduled and not self._flushing:
            self._scheduled = True
            self._loop.call_soon(self._flush)

    def then(self, work: Callable[[], None]) -> None:
        """Does `work` once everything fanned out so far is written to everyone; at once when it is."""
        if self._flushing or self._pending:
            self._then.append(work)
        else:
            work()

    def _admit(self, member: M) -> None:
        member.place = -1
        if self._flushing or self._pending:
            self._newcomers[member] = None
        else:
            self._seat(member)

    def _seat(self, member: M) -> None:
        member.skip = 0
        member.place = len(self._members)
        self._members.append(member)
        self._writes.append(member.write_bytes)

    def _take_out(self, member: M) -> bool:
        if member in self._newcomers:
            del self._newcomers[member]
        elif member in self._slow:
            del self._slow[member]
        elif member.place >= 0 and self._members[member.place] is member:
            self._empty(member.place)
            member.place = -1
        else:
            return False
        return True

    def _empty(self, place: int) -> None:
        if self._flushing:
            # moving the last one here now could skip it, or write to it twice: leave a hole until the flush is over
            self._members[place] = None
            self._writes[place] = _nowhere
            self._holes.append(place)
            return
        last, write = self._members.pop(), self._writes.pop()
        if place < len(self._members):
            self._members[place], self._writes[place] = last, write
            if last is not None:
                last.place = place

    def _flush(self) -> None:
        self._scheduled = False
        self._flushing = True
        pending, self._pending = self._pending, []
        self._blob = b"".join([frame for frame, _ in pending])
        self._events = _events_of(pending)
        self._at, self._end = 0, len(self._members)
        for member in list(self._slow):  # before the newcomers: what they are told may make them slow
            events = _events_of(pending[member.skip :]) if member.skip else self._events
            member.skip = 0
            if events:
                member.write_bounded(events)
        newcomers, self._newcomers = self._newcomers, {}
        for member in newcomers:
            missed = pending[member.skip :]
            self._seat(member)  # behind the end of this flush; what it missed since its welcome comes now
            if missed:
                member.write_bytes(b"".join([frame for frame, _ in missed]))
        self._write_slice()

    def _write_slice(self) -> None:
        blob, at, end = self._blob, self._at, min(self._at + SLICE, self._end)
        self._at = end  # whoever becomes slow inside its own write has been reached
        for write in self._writes[at:end]:
            write(blob)
        if end < self._end:
            self._loop.call_soon(self._write_slice)
        else:
            self._finish()

    def _finish(self) -> None:
        self._flushing = False
        self._blob = self._events = b""
        for place in sorted(self._holes, reverse=True):
            self._empty(place)
        self._holes.clear()
        if self._pending:
            self._scheduled = True
            self._loop.call_soon(self._flush)
            return
        newcomers, self._newcomers = self._newcomers, {}
        for member in newcomers:
            self._seat(member)
        then, self._then = self._then, []
        for work in then:
            work()


def _events_of(frames: list[tuple[bytes, bool]]) -> bytes:
    """What slow viewers get of some frames."""
    return b"".join([frame for frame, state in frames if not state])


def _nowhere(_data: bytes) -> None:
    """In the place of a viewer that left during a flush."""

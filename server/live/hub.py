"""The hub: the viewers of this replica, by stream. A frame is made once and written to every one of them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from server.live.ports import Outlet

_LOOK_EVERY_S = 0.05


class Room:
    """The viewers of one stream: a dense list, so that fan-out is a plain loop and leaving costs no search."""

    __slots__ = ("_outlets", "_places", "people")

    def __init__(self) -> None:
        self._outlets: list[Outlet] = []
        self._places: dict[Outlet, int] = {}
        self.people: dict[str, int] = {}
        """How many sockets each person has here; a reload, or a second tab, is not a second viewer."""

    def __len__(self) -> int:
        return len(self._outlets)

    def add(self, outlet: Outlet) -> None:
        """A viewer joins."""
        self._places[outlet] = len(self._outlets)
        self._outlets.append(outlet)
        self.people[outlet.person] = self.people.get(outlet.person, 0) + 1

    def remove(self, outlet: Outlet) -> None:
        """A viewer leaves; one that is not here changes nothing."""
        place = self._places.pop(outlet, None)
        if place is None:
            return
        last = self._outlets.pop()
        if last is not outlet:
            self._outlets[place] = last
            self._places[last] = place
        sockets = self.people.pop(outlet.person) - 1
        if sockets:
            self.people[outlet.person] = sockets

    def fan_out(self, frame: str, *, state: bool = False) -> None:
        """Writes one frame to every viewer, in the same order for all."""
        for outlet in self._outlets:
            outlet.write(frame, state=state)

    def __iter__(self) -> Iterator[Outlet]:
        return iter(tuple(self._outlets))


class Hub:
    """All rooms of this replica."""

    def __init__(self) -> None:
        self._rooms: dict[str, Room] = {}

    async def emptied(self) -> None:
        """Waits until nobody is here. Leaving is rare news to wait for, so it is looked for, not signalled."""
        while len(self):  # noqa: ASYNC110  the hot path should not pay for an event only a drain awaits
            await asyncio.sleep(_LOOK_EVERY_S)

    def room(self, slug: str) -> Room:
        """The room of a stream, made when there is none."""
        return self._rooms.setdefault(slug, Room())

    def forget(self, slug: str) -> None:
        """Drops an empty room."""
        if slug in self._rooms and not self._rooms[slug]:
            del self._rooms[slug]

    def everyone(self) -> list[Outlet]:
        """Every viewer of this replica."""
        return [outlet for room in self._rooms.values() for outlet in room]

    def __len__(self) -> int:
        return sum(len(room) for room in self._rooms.values())

"""The hub: the rooms of this replica, by stream."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from server.live.room import Room

if TYPE_CHECKING:
    from server.live.socket import LiveSocket

_LOOK_EVERY_S = 0.05


class Hub:
    """All rooms of this replica."""

    def __init__(self) -> None:
        self._rooms: dict[str, Room[LiveSocket]] = {}

    def room(self, slug: str) -> Room[LiveSocket]:
        """The room of a stream, made when there is none."""
        room = self._rooms.get(slug)
        if room is None:
            room = self._rooms[slug] = Room()
        return room

    def forget(self, slug: str) -> None:
        """Drops an empty room."""
        if slug in self._rooms and not self._rooms[slug]:
            del self._rooms[slug]

    def everyone(self) -> list[LiveSocket]:
        """Every viewer of this replica."""
        return [viewer for room in self._rooms.values() for viewer in room]

    def __len__(self) -> int:
        return sum(len(room) for room in self._rooms.values())

    async def emptied(self) -> None:
        """Waits until nobody is here. The hot path should not pay for an event that only a drain awaits."""
        while len(self):  # noqa: ASYNC110
            await asyncio.sleep(_LOOK_EVERY_S)

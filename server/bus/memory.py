"""The bus of the embedded default: one process, the same contract as Redis."""

from __future__ import annotations

import asyncio

from broadcaster import BroadcastBackend, Event

PENDING_MAX = 10_000
"""Messages published and not yet handed on; when full, `publish` waits (the listener never does)."""


class MemoryBackend(BroadcastBackend):
    """Hands messages to the subscribers of the same process."""

    up = True

    def __init__(self) -> None:
        self._published: asyncio.Queue[Event] = asyncio.Queue(PENDING_MAX)
        self._subscribed: set[str] = set()

    async def connect(self) -> None:
        """Nothing to connect to."""

    async def disconnect(self) -> None:
        """Nothing to disconnect from."""

    async def subscribe(self, group: str) -> None:
        """Messages of this channel are heard from now on."""
        self._subscribed.add(group)

    async def unsubscribe(self, group: str) -> None:
        """Messages of this channel are dropped from now on."""
        self._subscribed.discard(group)

    async def publish(self, channel: str, message: str) -> None:
        """Rings; waits while `PENDING_MAX` messages are pending."""
        if channel in self._subscribed:
            await self._published.put(Event(channel, message))

    async def next_published(self) -> Event:
        """The next message of a subscribed channel."""
        return await self._published.get()

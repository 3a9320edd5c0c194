"""`Doorbell`: broadcaster with what its 0.3.1 lacks: bounded inboxes, safe first subscriptions, a word for "missed"."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary

from broadcaster import Broadcast, BroadcastBackend, Event

from server.bus.names import stream_channel

CATCH_UP = ""
"""Heard first after every (re)subscription, and whenever something was dropped: read the log, then listen on."""

INBOX_MAX = 1_000
"""Messages waiting for one subscriber. When full they are all dropped and replaced by one `CATCH_UP`."""


class Inbox(asyncio.Queue[Event | None]):
    """A subscriber's queue that never makes the publisher wait and never grows beyond its bound."""

    async def put(self, item: Event | None) -> None:
        """Adds a message; a full inbox is emptied and says `CATCH_UP` instead."""
        if self.full():
            while not self.empty():
                self.get_nowait()
            item = item and Event(item.channel, CATCH_UP)
        self.put_nowait(item)


class Doorbell(Broadcast):
    """Pub/sub over a backend of ours. The contract, the same for Redis and memory (tests/contract/test_bus.py):

    a subscription's first message is `CATCH_UP`, and every message published after that is heard once and in order,
    until something is lost, which is said by another `CATCH_UP`. Messages are text.
    """

    def __init__(self, backend: BroadcastBackend) -> None:
        super().__init__(backend=backend)
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def ring(self, stream: str, message: str) -> None:
        """Tells every replica that listens to the stream. Raises `Unavailable`."""
        await self.publish(stream_channel(stream), message)

    @asynccontextmanager
    async def listen(self, stream: str) -> AsyncIterator[AsyncIterator[str]]:
        """Subscribes to a stream's news while the block runs and gives its messages. Cancelling it unsubscribes."""
        channel = stream_channel(stream)
        inbox = Inbox(INBOX_MAX)
        await inbox.put(Event(channel, CATCH_UP))
        lock = self._locks.setdefault(channel, asyncio.Lock())
        try:
            # broadcaster's own subscribe() loses queues when two first subscribers come at once: one at a time here
            async with lock:
                listeners = self._subscribers.setdefault(channel, set())
                listeners.add(inbox)
                if len(listeners) == 1:
                    await self._backend.subscribe(channel)
            yield _messages(inbox)
        finally:
            async with lock:
                listeners = self._subscribers.get(channel, set())
                listeners.discard(inbox)
                if not listeners and self._subscribers.pop(channel, None) is not None:
                    await self._backend.unsubscribe(channel)


async def _messages(inbox: Inbox) -> AsyncIterator[str]:
    while (event := await inbox.get()) is not None:
        yield event.message

"""The bus over Redis: a supervised broadcaster backend that survives what Redis and networks do."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from contextlib import suppress
from typing import Any

from broadcaster import BroadcastBackend, Event
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.client import PubSub
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from server.bus.doorbell import CATCH_UP
from server.bus.names import HEARTBEAT
from server.domain.errors import Unavailable

log = logging.getLogger(__name__)

HEARD_MAX = 10_000
"""Messages read from Redis and not yet handed on; when full, the connection is dropped and everyone catches up."""

_SILENCE_S = 3.0  # no traffic at all for this long, our own pings included: the connection is dead
_PING_AFTER_S = 1.0
_BACKOFF_S = (0.1, 2.0)
_SUBSCRIBE_WITHIN_S = 1.0
_LOST = (RedisError, OSError, TimeoutError, AttributeError, RuntimeError)
"""How redis-py says that a connection is gone; the last two when it is closed while it is written to (uvloop's is the
RuntimeError)."""
_FIRST_CONNECT_WITHIN_S = 5.0


class RedisBackend(BroadcastBackend):
    """One connection that listens, owned by one task, and a small pool that publishes.

    The listening task reconnects for ever with a jittered backoff; each channel that Redis confirms anew is told
    to catch up. Nothing here retries a publish: what is missed is read from the log.
    """

    def __init__(self, url: str, *, publishers: int = 8) -> None:
        once: dict[str, Any] = {
            "protocol": 2,  # RESP3 pushes are lost after a single subscribe (redis-py 8 on Python 3.11)
            "retry": Retry(NoBackoff(), 0),
            "socket_connect_timeout": 1.0,
            "socket_timeout": 1.0,
        }
        self._listening = Redis.from_url(url, **once)
        self._publishing = Redis.from_pool(
            BlockingConnectionPool.from_url(url, max_connections=publishers, timeout=1.0, **once)
        )
        self._heard: asyncio.Queue[Event] = asyncio.Queue(HEARD_MAX)
        self._wanted: set[str] = set()
        self._confirmed: dict[str, asyncio.Event] = {}
        self._pubsub: PubSub | None = None
        self._is_up = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def up(self) -> bool:
        """Whether the listening connection lives."""
        return self._is_up.is_set()

    async def connect(self) -> None:
        """Starts to listen. Raises `Unavailable` when Redis cannot be reached within five seconds."""
        self._task = asyncio.create_task(self._supervise(), name="bus: redis listener")
        try:
            await asyncio.wait_for(self._is_up.wait(), _FIRST_CONNECT_WITHIN_S)
        except TimeoutError:
            await self.disconnect()
            raise Unavailable("Redis does not answer: check DROPCAST_BUS_URL and that Redis runs there") from None

    async def disconnect(self) -> None:
        """Stops listening and closes every connection."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        await self._listening.aclose()
        await self._publishing.aclose()

    async def subscribe(self, group: str) -> None:
        """Wants a channel, and waits (at most a second) until Redis has confirmed it.

        While Redis is away this returns all the same: the channel is subscribed on reconnection.
        """
        self._wanted.add(group)
        confirmed = self._confirmed[group] = asyncio.Event()
        pubsub = self._pubsub
        if pubsub is None:
            return
        with suppress(*_LOST):
            async with asyncio.timeout(_SUBSCRIBE_WITHIN_S):
                await pubsub.subscribe(group)
                await confirmed.wait()

    async def unsubscribe(self, group: str) -> None:
        """No longer wants a channel; waits a second at the most, for whoever leaves must not hang on this."""
        self._wanted.discard(group)
        self._confirmed.pop(group, None)
        pubsub = self._pubsub
        if pubsub is not None:
            with suppress(*_LOST):
                async with asyncio.timeout(_SUBSCRIBE_WITHIN_S):
                    await pubsub.unsubscribe(group)

    async def publish(self, channel: str, message: str) -> None:
        """Rings once. Raises `Unavailable` when Redis does not take it within a second."""
        try:
            await self._publishing.publish(channel, message)
        except _LOST as error:
            raise Unavailable(f"Redis took no message: {error}") from error

    async def next_published(self) -> Event:
        """The next message heard; never raises, so broadcaster's listener never dies."""
        return await self._heard.get()

    async def _supervise(self) -> None:
        backoff = _BACKOFF_S[0]
        while True:
            try:
                await self._listen()
            except (*_LOST, asyncio.QueueFull) as error:
                if self.up:
                    backoff = _BACKOFF_S[0]
                    log.warning("the connection to Redis was lost", extra={"error": repr(error)})
            finally:
                self._is_up.clear()
                self._pubsub = None
            await asyncio.sleep(random.uniform(backoff / 2, backoff))  # noqa: S311  jitter, no secret
            backoff = min(backoff * 2, _BACKOFF_S[1])

    async def _listen(self) -> None:
        async with self._listening.pubsub() as pubsub:
            subscribed: set[str] = set()
            # channels may be wanted while a SUBSCRIBE is under way: look again until there is nothing new
            while missing := ({HEARTBEAT} | self._wanted) - subscribed:
                await pubsub.subscribe(*missing)
                subscribed |= missing
            self._pubsub = pubsub
            last_heard = time.monotonic()
            while True:
                # None also stands for a message that was none; only silence tells that the connection is dead
                message = await pubsub.get_message(timeout=_PING_AFTER_S)
                now = time.monotonic()
                if message is not None:
                    last_heard = now
                    self._take(message)
                elif now - last_heard > _SILENCE_S:
                    raise TimeoutError("Redis fell silent")
                else:
                    await pubsub.ping()

    def _take(self, message: dict[str, Any]) -> None:
        kind, channel = message["type"], (message["channel"] or b"").decode("utf-8", "replace")
        if kind == "subscribe":
            if channel == HEARTBEAT:
                self._is_up.set()
                log.info("listening to Redis")
            elif channel in self._wanted:
                self._heard.put_nowait(Event(channel, CATCH_UP))
                self._confirmed[channel].set()
        elif kind == "message" and channel in self._wanted:
            try:
                text = message["data"].decode()
            except UnicodeDecodeError:
                log.warning("a message on the bus is not text", extra={"channel": channel})
                return
            self._heard.put_nowait(Event(channel, text))

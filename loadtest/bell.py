"""Who publishes the load: straight onto the bus of a shop, or at the textbook's door.

`Bus` needs nothing but the public name of a stream's channel. What it rings is of a kind no client knows and stands in
no log, so it measures a replica's relay, hub and sockets alone; a stream it has rung for is good for nothing else.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Protocol

import httpx
from redis.asyncio import Redis

from loadtest.errors import CannotGoOn
from loadtest.process import pin

TEXT_BYTES = 204
"""Length of an event's text, as in the trials of 2026-11-23."""

_UP_WITHIN_S = 10.0
_PUBLISHES_WITHIN_S = 120.0


class Publisher(Protocol):
    """Publishes texts to everyone on the stream, as close together as the system allows."""

    async def publish(self, texts: Sequence[str]) -> None:
        """Returns when the system has taken them."""
        ...


def event_text(seq: int, at_ms: int) -> str:
    """An event of `TEXT_BYTES`; `at_ms` is when it was meant to start."""
    head = f'{{"type":"event","seq":{seq},"at":{at_ms},"event":{{"kind":"load","pad":"'
    return f'{head}{"x" * (TEXT_BYTES - len(head) - 3)}"}}}}'


class Bus:
    """Rings a stream's channel on Redis."""

    def __init__(self, redis: Redis, stream: str) -> None:
        self._redis = redis
        self._channel = f"dropcast:{{{stream}}}:news"

    async def publish(self, texts: Sequence[str]) -> None:
        """In one write. Raises `CannotGoOn` when no replica listens."""
        async with self._redis.pipeline(transaction=False) as pipeline:
            for text in texts:
                pipeline.publish(self._channel, text)
            heard = await pipeline.execute()
        if not all(heard):
            raise CannotGoOn(f"nobody listens to {self._channel}: is --redis the shop's DROPCAST_BUS_URL?")


@asynccontextmanager
async def bus(redis_url: str, stream: str) -> AsyncIterator[Bus]:
    """A `Bus` while the block runs."""
    async with Redis.from_url(redis_url, protocol=2) as redis:
        yield Bus(redis, stream)


class Textbook:
    """A textbook server of our own, `url`, in the process `pid`."""

    STREAM = "load"

    def __init__(self, url: str, pid: int, http: httpx.AsyncClient) -> None:
        self.url = url
        self.pid = pid
        self._http = http

    async def publish(self, texts: Sequence[str]) -> None:
        """One request with all texts."""
        (await self._http.post(f"/publish/{self.STREAM}", json=list(texts))).raise_for_status()


@asynccontextmanager
async def textbook(core: int | None) -> AsyncIterator[Textbook]:
    """Runs the textbook on this core while the block runs. Raises `CannotGoOn` when it does not start."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "loadtest.peers.textbook", "--port", str(port), "--until-input-ends"),
        stdin=asyncio.subprocess.PIPE,
        env={name: value for name, value in os.environ.items() if not name.startswith("DROPCAST_")},
    )
    try:
        pin(process.pid, core)
        url = f"http://127.0.0.1:{port}"
        async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=_PUBLISHES_WITHIN_S) as http:
            await _up(http)
            yield Textbook(url, process.pid, http)
    finally:
        if process.returncode is None:
            process.kill()  # a graceful end would wait for every viewer
            await process.wait()


async def _up(http: httpx.AsyncClient) -> None:
    try:
        async with asyncio.timeout(_UP_WITHIN_S):
            while True:
                try:
                    await http.post(f"/publish/{Textbook.STREAM}", json=[])
                    return
                except httpx.TransportError:
                    await asyncio.sleep(0.1)
    except TimeoutError:
        raise CannotGoOn(f"the textbook did not start in {_UP_WITHIN_S:.0f} s") from None

"""Recent answers: what is asked again and again by a crowd is read once a second, and asked together."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Generic, TypeVar

from server import tasks
from server.domain.errors import Unavailable

FRESH_S = 1.0
"""How old an answer may be."""

STALE_S = 60.0
"""How old it may be while the database does not answer, where nothing can be changed either."""

KNOWN_MAX = 10_000
"""Answers that are kept. When full, the one read longest ago is forgotten, and read again when it is asked for."""

WAITING_MAX = 50_000
"""Questions that wait on one replica: more than it can hold sockets. A further one is `Unavailable`."""

_TOGETHER_MAX = 500

V = TypeVar("V")


class Recent(Generic[V]):
    """Answers by key, at most `FRESH_S` old. One reading at a time, of all keys asked for meanwhile.

    `read` gives the answers it has; a key without one is answered `nothing`. Owns one task while something is read.
    """

    def __init__(
        self,
        name: str,
        read: Callable[[Collection[str]], Awaitable[Mapping[str, V]]],
        nothing: V,
        *,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name = name
        self._read = read
        self._nothing = nothing
        self._now_s = now_s
        self._known: OrderedDict[str, tuple[float, V]] = OrderedDict()
        self._waiting: dict[str, list[asyncio.Future[V]]] = {}
        self._count = 0
        self._reading: asyncio.Task[None] | None = None

    async def get(self, key: str) -> V:
        """The answer for a key. Raises `Unavailable`; cancelled, it leaves nothing behind."""
        found = self._known.get(key)
        if found is not None and self._now_s() - found[0] < FRESH_S:
            return found[1]
        if self._count >= WAITING_MAX:
            raise Unavailable(f"too many wait for {self._name}")
        answer: asyncio.Future[V] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(key, []).append(answer)
        self._count += 1
        if self._reading is None:
            self._reading = tasks.start(self._read_all(), self._name, may_end=True)
        return await answer

    async def _read_all(self) -> None:
        """Reads until nobody waits: who asks while others are read is read with the next."""
        asked: dict[str, list[asyncio.Future[V]]] = {}
        try:
            while self._waiting:
                asked = {key: self._waiting.pop(key) for key in list(self._waiting)[:_TOGETHER_MAX]}
                self._count -= sum(map(len, asked.values()))
                began_s = self._now_s()
                try:
                    found = await self._read(list(asked))
                except Unavailable as error:
                    for key, waiting in asked.items():
                        self._say_what_was(key, waiting, error)
                    continue
                for key, waiting in asked.items():
                    value = found.get(key, self._nothing)
                    self._keep(key, began_s, value)
                    for answer in waiting:
                        if not answer.done():  # else who asked has left
                            answer.set_result(value)
        finally:
            self._reading = None  # no await since nobody was seen waiting
            for waiting in [*asked.values(), *self._waiting.values()]:  # after a bug: nobody may wait for ever
                for answer in waiting:
                    if not answer.done():
                        answer.set_exception(Unavailable(f"what reads {self._name} has ended"))
            self._waiting.clear()
            self._count = 0

    def _keep(self, key: str, began_s: float, value: V) -> None:
        self._known[key] = began_s, value
        self._known.move_to_end(key)
        if len(self._known) > KNOWN_MAX:
            self._known.popitem(last=False)

    def _say_what_was(self, key: str, waiting: list[asyncio.Future[V]], error: Unavailable) -> None:
        read_at_s, value = self._known.get(key, (float("-inf"), self._nothing))
        for answer in waiting:
            if answer.done():
                continue
            if self._now_s() - read_at_s < STALE_S:
                answer.set_result(value)
            else:
                answer.set_exception(Unavailable(str(error)))

"""Where short-lived state is kept: in Redis, or in the process for the embedded default."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from server.domain.errors import Unavailable
from server.together import Tell, Together

MEMORY_MAX = 100_000
"""Values the process keeps. When full, the one touched longest ago is forgotten: a session's row is read again, and the
bearer of a ticket asks for another."""

_PREFIX = "dropcast:"

# a script, because a counter whose second half is lost would never end
_COUNT = """
local n = redis.call('INCR', KEYS[1])
if n == 1 then redis.call('EXPIRE', KEYS[1], ARGV[1]) end
return n
"""

_Command = tuple[str | int, ...]


class MemoryKeep:
    """For one process."""

    def __init__(self, now_s: Callable[[], float] = time.monotonic, *, most: int = MEMORY_MAX) -> None:
        self._now_s = now_s
        self._most = most
        self._values: OrderedDict[str, tuple[float, str]] = OrderedDict()

    async def put(self, key: str, value: str, ttl_s: int) -> None:
        """Keeps a value for so long."""
        self._put_until(self._now_s() + ttl_s, key, value)

    async def add(self, key: str, value: str, ttl_s: int) -> None:
        """Keeps a value for so long, unless there is one."""
        if await self.peek(key) is None:
            await self.put(key, value, ttl_s)

    async def peek(self, key: str) -> str | None:
        """A value, which stays and expires as it would have."""
        until, value = self._values.get(key, (0.0, None))
        if until <= self._now_s():
            return None
        self._values.move_to_end(key)
        return value

    async def count(self, key: str, ttl_s: int) -> int:
        """Counts up by one, from the first time on for so long."""
        until, value = self._values.get(key, (0.0, "0"))
        if until <= self._now_s():
            until, value = self._now_s() + ttl_s, "0"
        count = int(value) + 1
        self._put_until(until, key, str(count))
        return count

    async def take(self, key: str) -> str | None:
        """A value, given out once."""
        until, value = self._values.pop(key, (0.0, None))
        return value if until > self._now_s() else None

    async def drop(self, key: str) -> None:
        """Forgets a value."""
        self._values.pop(key, None)

    def _put_until(self, until_s: float, key: str, value: str) -> None:
        self._values[key] = (until_s, value)
        self._values.move_to_end(key)
        while len(self._values) > self._most:
            self._values.popitem(last=False)


LOST = (RedisError, OSError, TimeoutError, AttributeError, RuntimeError)
"""How redis-py says that Redis is away; the last two are its own and uvloop's, of a connection that is closed while it
is written to."""


class RedisKeep:
    """For many replicas. Questions that come while others are on their way go together, in one round trip.

    After a replica died thousands of viewers come back at once, each with a ticket or a session: one by one, each costs
    five times as much and they wait for each other's connections.
    """

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._questions = Together("keep", self._answer)

    async def put(self, key: str, value: str, ttl_s: int) -> None:
        """Keeps a value for so long. Raises `Unavailable`."""
        await self._ask("SET", _PREFIX + key, value, "EX", ttl_s)

    async def add(self, key: str, value: str, ttl_s: int) -> None:
        """Keeps a value for so long, unless there is one. Raises `Unavailable`."""
        await self._ask("SET", _PREFIX + key, value, "EX", ttl_s, "NX")

    async def peek(self, key: str) -> str | None:
        """A value, which stays and expires as it would have. Raises `Unavailable`."""
        return _text(await self._ask("GET", _PREFIX + key))

    async def count(self, key: str, ttl_s: int) -> int:
        """Counts up by one, from the first time on for so long. Raises `Unavailable`."""
        return int(await self._ask("EVAL", _COUNT, 1, _PREFIX + key, ttl_s))

    async def take(self, key: str) -> str | None:
        """A value, given out once. Cancelled, it may be gone all the same. Raises `Unavailable`."""
        return _text(await self._ask("GETDEL", _PREFIX + key))

    async def drop(self, key: str) -> None:
        """Forgets a value. Raises `Unavailable`."""
        await self._ask("DEL", _PREFIX + key)

    async def _ask(self, *command: str | int) -> Any:
        return await self._questions.ask(command)

    async def _answer(self, commands: Sequence[_Command], tell: Tell[Any]) -> None:
        answers = await self._answers(commands)
        lost = (Unavailable(f"Redis does not answer: {one}") if isinstance(one, Exception) else one for one in answers)
        tell(list(lost))

    async def _answers(self, commands: Sequence[_Command]) -> Sequence[Any]:
        try:
            async with self._redis.pipeline(transaction=False) as pipeline:
                for command in commands:
                    pipeline.execute_command(*command)
                return await pipeline.execute(raise_on_error=False)
        except LOST as error:
            return [error] * len(commands)


def _text(value: bytes | str | None) -> str | None:
    return value.decode() if isinstance(value, bytes) else value

"""Where short-lived state is kept: in Redis, or in the process for the embedded default."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

from redis.asyncio import Redis
from redis.exceptions import RedisError

from server.domain.errors import Unavailable

MEMORY_MAX = 100_000
"""Values the process keeps. When full, the one touched longest ago is forgotten: its owner signs in again."""

_PREFIX = "dropcast:"


class MemoryKeep:
    """For one process."""

    def __init__(self, now_s: Callable[[], float] = time.monotonic, *, most: int = MEMORY_MAX) -> None:
        self._now_s = now_s
        self._most = most
        self._values: OrderedDict[str, tuple[float, str]] = OrderedDict()

    async def put(self, key: str, value: str, ttl_s: int) -> None:
        """Keeps a value for so long."""
        self._values[key] = (self._now_s() + ttl_s, value)
        self._values.move_to_end(key)
        while len(self._values) > self._most:
            self._values.popitem(last=False)

    async def get(self, key: str, ttl_s: int) -> str | None:
        """A value, kept for so long again."""
        value = await self.take(key)
        if value is not None:
            await self.put(key, value, ttl_s)
        return value

    async def take(self, key: str) -> str | None:
        """A value, given out once."""
        until, value = self._values.pop(key, (0.0, None))
        return value if until > self._now_s() else None

    async def drop(self, key: str) -> None:
        """Forgets a value."""
        self._values.pop(key, None)


class RedisKeep:
    """For many replicas."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def put(self, key: str, value: str, ttl_s: int) -> None:
        """Keeps a value for so long. Raises `Unavailable`."""
        try:
            await self._redis.set(_PREFIX + key, value, ex=ttl_s)
        except (RedisError, OSError, TimeoutError) as error:
            raise _gone(error) from error

    async def put_many(self, values: dict[str, str], ttl_s: int) -> None:
        """Keeps many values for so long, in one round trip. Raises `Unavailable`."""
        try:
            async with self._redis.pipeline(transaction=False) as pipeline:
                for key, value in values.items():
                    pipeline.set(_PREFIX + key, value, ex=ttl_s)
                await pipeline.execute()
        except (RedisError, OSError, TimeoutError) as error:
            raise _gone(error) from error

    async def get(self, key: str, ttl_s: int) -> str | None:
        """A value, kept for so long again. Raises `Unavailable`."""
        try:
            return _text(await self._redis.getex(_PREFIX + key, ex=ttl_s))
        except (RedisError, OSError, TimeoutError) as error:
            raise _gone(error) from error

    async def take(self, key: str) -> str | None:
        """A value, given out once. Raises `Unavailable`."""
        try:
            return _text(await self._redis.getdel(_PREFIX + key))
        except (RedisError, OSError, TimeoutError) as error:
            raise _gone(error) from error

    async def drop(self, key: str) -> None:
        """Forgets a value. Raises `Unavailable`."""
        try:
            await self._redis.delete(_PREFIX + key)
        except (RedisError, OSError, TimeoutError) as error:
            raise _gone(error) from error


def _gone(error: Exception) -> Unavailable:
    return Unavailable(f"Redis does not answer: {error}")


def _text(value: bytes | str | None) -> str | None:
    return value.decode() if isinstance(value, bytes) else value

"""Sliding windows in the process, for one replica or while Redis is away: bounded, without a task or a thread.

`limits` has a storage of its own for this. It has no bound, looks through all its keys after every hit, and asks a
thread for each of them: a flood of keys makes each further hit slower.
"""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Callable

from limits.aio.storage import MovingWindowSupport, Storage

HITS_MAX = 200_000
"""Hits remembered together, about 10 MB. When full, the key that was hit longest ago is forgotten, and may go on."""


class LatestHits(Storage, MovingWindowSupport):
    """Remembers when each key was hit, for `limits`' moving windows and nothing else."""

    STORAGE_SCHEME = None

    def __init__(self, *, most: int = HITS_MAX, now_s: Callable[[], float] = time.time) -> None:
        super().__init__()
        self._most = most
        self._now_s = now_s
        self._hits: OrderedDict[str, deque[float]] = OrderedDict()
        self._count = 0

    async def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Counts a hit, unless the window of `expiry` seconds has `limit` of them."""
        hits, now_s = self._within(key, expiry), self._now_s()
        if len(hits) + amount > limit:
            return False
        hits.extend([now_s] * amount)
        self._count += amount
        self._hits[key] = hits
        self._hits.move_to_end(key)
        while self._count > self._most and len(self._hits) > 1:
            self._forget(next(iter(self._hits)))
        return True

    async def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:  # noqa: ARG002
        """When the oldest hit in the window was, and how many there are."""
        hits = self._within(key, expiry)
        return (hits[0] if hits else self._now_s()), len(hits)

    async def clear(self, key: str) -> None:
        """Forgets a key."""
        self._forget(key)

    async def reset(self) -> int | None:
        """Forgets everything."""
        keys = len(self._hits)
        self._hits.clear()
        self._count = 0
        return keys

    async def check(self) -> bool:
        """It is there."""
        return True

    @property
    def base_exceptions(self) -> type[Exception]:
        """What a broken storage raises: this one does not break."""
        return OSError

    async def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Fixed windows are not kept."""
        raise NotImplementedError

    async def get(self, key: str) -> int:
        """Fixed windows are not kept."""
        raise NotImplementedError

    async def get_expiry(self, key: str) -> float:
        """Fixed windows are not kept."""
        raise NotImplementedError

    def _within(self, key: str, expiry: int) -> deque[float]:
        hits = self._hits.get(key)
        if hits is None:
            return deque()
        over_s = self._now_s() - expiry
        while hits and hits[0] <= over_s:
            hits.popleft()
            self._count -= 1
        if not hits:
            del self._hits[key]
        return hits

    def _forget(self, key: str) -> None:
        self._count -= len(self._hits.pop(key, ()))

"""How often somebody may try: a table of named rules, counted in the process or, over all replicas, in Redis."""

from __future__ import annotations

import ipaddress
import math
import time

from limits import RateLimitItem, parse_many
from limits.aio.storage import MemoryStorage, RedisStorage, Storage
from limits.aio.strategies import MovingWindowRateLimiter
from limits.errors import StorageError
from redis.asyncio import Redis
from redis.exceptions import RedisError

from server.domain.errors import Reason, Refused, Unavailable

RULES = {
    # each of them is a mail to somebody who may not have asked for it
    "codes.network": "1/minute; 5/hour",
    "codes.address": "1/minute; 5/hour",
}
"""How often each thing may happen for one key; all windows of a rule hold, and each slides."""

_V4_PREFIX, _V6_PREFIX = 24, 56


class Limiter:
    """Counts. `storage` None refuses nobody (`DROPCAST_RATE_LIMITS=off`).

    In the process the counts are forgotten as their windows end. In Redis they are shared by all replicas; while it is
    away nobody is let through, because everybody would be.
    """

    def __init__(self, storage: Storage | None) -> None:
        self._windows = None if storage is None else MovingWindowRateLimiter(storage)
        # the shortest window first: who asks again too soon loses nothing of the longer ones
        self._rules = {name: sorted(parse_many(text), key=RateLimitItem.get_expiry) for name, text in RULES.items()}

    async def hit(self, rule: str, key: str) -> None:
        """One more. Raises `Refused` (`rate_limited`) with when to come back, and `Unavailable`."""
        if self._windows is None:
            return
        try:
            for window in self._rules[rule]:
                if not await self._windows.hit(window, rule, key):
                    ends_s, _ = await self._windows.get_window_stats(window, rule, key)
                    raise _too_often(max(1, math.ceil(ends_s - time.time())))
        except (StorageError, RedisError, OSError, TimeoutError) as error:
            raise Unavailable(f"the limits cannot be looked at: {error}") from error


def limits_in_memory() -> Storage:
    """For one replica."""
    return MemoryStorage()


def limits_in_redis(redis: Redis) -> Storage:
    """For many replicas; shares the connections of `redis`."""
    # the address only names the scheme: the pool knows where Redis is
    pool = redis.connection_pool
    return RedisStorage("async+redis://", implementation="redispy", key_prefix="dropcast:limits", connection_pool=pool)  # type: ignore[arg-type]


def network_of(host: str) -> str:
    """The network an address is counted in.

    IPv6: /56, what a provider gives one home; single addresses are free there. IPv4: /24, the smallest block that is
    routed, so that renting a block does not multiply what one sender may do; neighbours share its few mails a minute.
    """
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv6Address):
        address = address.ipv4_mapped or address
    prefix = _V4_PREFIX if address.version == 4 else _V6_PREFIX
    return str(ipaddress.ip_network((address, prefix), strict=False))


def _too_often(wait_s: int) -> Refused:
    when = f"{wait_s} seconds" if wait_s < 120 else f"{math.ceil(wait_s / 60)} minutes"
    return Refused(Reason.RATE_LIMITED, f"too many tries: come back in {when}", retry_after_s=wait_s)

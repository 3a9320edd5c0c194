"""How often somebody may try: a table of named rules, counted in the process or, over all replicas, in Redis."""

from __future__ import annotations

import ipaddress
import math
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from functools import lru_cache, partial
from typing import NamedTuple

from limits import RateLimitItem, parse_many
from limits.aio.storage import RedisStorage, Storage
from limits.aio.strategies import MovingWindowRateLimiter
from limits.errors import StorageError
from redis.asyncio import Redis

from server import metrics
from server.accounts.keep import LOST
from server.accounts.windows import LatestHits
from server.domain.errors import Reason, Refused, Unavailable
from server.domain.pace import Pace


class Rule(NamedTuple):
    """How often something may happen for one key, all windows hold and each slides; and what its refusal says.

    `alone`: while Redis is away each replica counts for itself. Otherwise nobody is let through then.
    """

    windows: str
    why: str = "too many tries"
    alone: bool = True


RULES = {
    # each of them is a mail to somebody who may not have asked for it: without a count everybody could send them
    "codes.network": Rule("1/minute; 5/hour", alone=False),
    "codes.address": Rule("1/minute; 5/hour", alone=False),
    # guesses of codes: each code has five tries, this is for who asks for many codes. A try may cost a hash
    "codes.guess": Rule("30/minute; 200/hour", "too many codes were tried from your network"),
    # a new password is judged (up to 30 ms of the interpreter) and hashed (40 ms of a core)
    "passwords.new": Rule("20/minute; 200/hour", "too many new passwords came from your network"),
    "passwords.again": Rule("10/15 minute", "too many wrong passwords"),
    # signing in, see docs/decisions/0010-who-may-try-to-sign-in.md
    "signin.network": Rule("30/second; 900/minute", "too many people sign in from your network"),
    "signin.wrong": Rule("60/minute; 600/hour", "too many wrong passwords came from your network"),
    "signin.known": Rule("30/second; 300/minute", "you sign in too often"),
    "signin.pair": Rule("10/15 minute", "too many wrong passwords"),
    "signin.account": Rule("100/hour", "somebody tries passwords of this account; a new one by mail gets you in"),
}

PACES = {
    # a ticket is for one connection, and a page or an embed that comes back needs a new one
    "tickets": Pace(per_s=1.0, at_once=60),
    # a pass is for hours, and each was allowed by hand
    "passes": Pace(per_s=0.1, at_once=20),
}
"""What happens too often to ask Redis for each: counted on each replica by itself."""

PACED_MAX = 50_000
"""Keys that are paced, about 10 MB. When full, the one paced longest ago is forgotten, and may go on."""

AWAY_S = 1.0
"""Redis is not asked again for so long after it did not answer: everybody would wait for it."""

_V4_PREFIX, _V6_PREFIX = 24, 56


class Limiter:
    """Counts. `storage` None refuses nobody (`DROPCAST_RATE_LIMITS=off`).

    In Redis the counts are shared by all replicas; while it is away, see `Rule.alone`.
    """

    def __init__(self, storage: Storage | None) -> None:
        self._shared = None if storage is None else MovingWindowRateLimiter(storage)
        self._alone = MovingWindowRateLimiter(LatestHits())
        self._away_until_s = 0.0
        self._paced: OrderedDict[tuple[str, str], float] = OrderedDict()
        # the shortest window first: who asks again too soon loses nothing of the longer ones
        self._windows = {
            name: sorted(parse_many(rule.windows), key=RateLimitItem.get_expiry) for name, rule in RULES.items()
        }

    async def hit(self, rule: str, key: str) -> None:
        """One more. Raises `Refused` (`rate_limited`) with when to come back, and `Unavailable`."""
        await self._ask(rule, partial(self._hit, rule, key))

    async def hit_code(self, address: str, host: str) -> None:
        """One more code mailed to an address, asked for by `host`. Raises as `hit` does."""
        await self.hit("codes.network", network_of(host))
        await self.hit("codes.address", address)

    async def look(self, rule: str, key: str) -> None:
        """Raises as `hit` does when one more would be too many, and counts nothing."""
        await self._ask(rule, partial(self._look, rule, key))

    async def forget(self, rule: str, key: str) -> None:
        """Counts from nothing again. Raises `Unavailable`."""
        await self._ask(rule, partial(self._forget, rule, key))

    def pace(self, rule: str, key: str) -> None:
        """One more of what is counted on this replica alone. Raises `Refused` with when to come back."""
        if self._shared is None:
            return
        pace, now_s = PACES[rule], time.monotonic()
        full_at_s = self._paced.get((rule, key), 0.0)
        taken = pace.take(full_at_s, now_s)
        if taken is None:
            raise too_often(rule, "too many tries", pace.wait_s(full_at_s, now_s))
        self._paced[rule, key] = taken
        self._paced.move_to_end((rule, key))
        if len(self._paced) > PACED_MAX:
            self._paced.popitem(last=False)

    async def _ask(self, rule: str, question: Callable[[MovingWindowRateLimiter], Awaitable[None]]) -> None:
        if self._shared is None:
            return
        if time.monotonic() >= self._away_until_s:
            try:
                await question(self._shared)
                return
            except (StorageError, *LOST):
                self._away_until_s = time.monotonic() + AWAY_S
        if not RULES[rule].alone:
            raise Unavailable("the limits cannot be looked at")
        await question(self._alone)

    async def _hit(self, rule: str, key: str, windows: MovingWindowRateLimiter) -> None:
        for window in self._windows[rule]:
            if not await windows.hit(window, rule, key):
                raise await self._refused(windows, window, rule, key)

    async def _look(self, rule: str, key: str, windows: MovingWindowRateLimiter) -> None:
        for window in self._windows[rule]:
            if not await windows.test(window, rule, key):
                raise await self._refused(windows, window, rule, key)

    async def _forget(self, rule: str, key: str, windows: MovingWindowRateLimiter) -> None:
        for window in self._windows[rule]:
            await windows.clear(window, rule, key)

    @staticmethod
    async def _refused(windows: MovingWindowRateLimiter, window: RateLimitItem, rule: str, key: str) -> Refused:
        ends_s, _ = await windows.get_window_stats(window, rule, key)
        return too_often(rule, RULES[rule].why, ends_s - time.time())


def limits_in_memory() -> Storage:
    """For one replica."""
    return LatestHits()


def limits_in_redis(redis: Redis) -> Storage:
    """For many replicas; shares the connections of `redis`."""
    # the address only names the scheme: the pool knows where Redis is
    pool = redis.connection_pool
    return RedisStorage("async+redis://", implementation="redispy", key_prefix="dropcast:limits", connection_pool=pool)  # type: ignore[arg-type]


@lru_cache(maxsize=4096)
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


def too_often(rule: str, why: str, wait_s: float) -> Refused:
    """The refusal of a rule, counted: why, and when to come back."""
    metrics.LIMITED.labels(rule).inc()
    wait = max(1, math.ceil(wait_s))
    when = f"{wait} seconds" if 1 < wait < 120 else "a second" if wait == 1 else f"{math.ceil(wait / 60)} minutes"
    return Refused(Reason.RATE_LIMITED, f"{why}: come back in {when}", retry_after_s=wait)

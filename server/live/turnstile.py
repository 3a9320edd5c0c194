"""The turnstile: how many sockets one network and one user may open and hold on this replica.

Counted in the process, exactly: a crowd that comes back after a replica died must not wait for a count in Redis.
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable

from server import metrics
from server.domain.errors import Reason, Refused
from server.domain.pace import Pace

SOCKETS_PER_USER = 50
"""Pages and devices of one account on one replica."""

REFILL_S = 100
"""As many as a network may hold may come at once, and again after so long: a crowd may be cut twice in a short time."""

FULL_FOR_S = 10
"""When to come back where nobody knows when somebody leaves."""

IDLE_MAX = 20_000
"""Networks without a socket whose upgrades are remembered, about 8 MB. The one that left first is forgotten first."""


class Turnstile:
    """Lets sockets in. `sockets_per_network` None refuses nobody (`DROPCAST_RATE_LIMITS=off`).

    A network may be a home, a campus, or a carrier that shows thousands of people as one address, so its numbers are a
    crowd's: the default of 40,000 is more than a replica serves. Half of them may be guests: 10,000 people behind one
    address may watch without signing in, and all come back while their broken sockets are not yet found dead (30 s).
    What remains of an attack from one network is its first burst, and then 200 to 400 upgrades a second.
    """

    def __init__(self, sockets_per_network: int | None, *, now_s: Callable[[], float] = time.monotonic) -> None:
        most = sockets_per_network
        self._now_s = now_s
        self.on = most is not None
        self._most, self._guests_most = most or 0, (most or 0) // 2
        self._upgrades = Pace(max(1, self._most) / REFILL_S, max(1, self._most))
        self._guests_upgrades = Pace(max(1, self._guests_most) / REFILL_S, max(1, self._guests_most))
        self._open: dict[str, _Network] = {}
        self._idle: OrderedDict[str, _Network] = OrderedDict()
        self._users: dict[str, int] = {}

    def enter(self, network: str, user: str | None) -> Entry:
        """Counts a socket in, until its entry leaves. `user` None is a guest, or somebody who brings a ticket.

        Raises `Refused` (`rate_limited`), with when to come back.
        """
        there = self._network(network)
        if self.on:
            self._admit(there, user)
        self._open[network] = there
        there.sockets += 1
        entry = Entry(there)
        if user is None:
            there.guests += 1
        else:
            entry.user = user
            self._users[user] = self._users.get(user, 0) + 1
        return entry

    def name(self, entry: Entry, user: str) -> None:
        """A guest has shown a ticket. Raises `Refused` when its user holds too many already."""
        if entry.user is None and not entry.left:
            if self.on:
                self._admit_user(user)
            entry.network.guests -= 1
            entry.user = user
            self._users[user] = self._users.get(user, 0) + 1

    def leave(self, entry: Entry) -> None:
        """Counts a socket out, once."""
        if entry.left:
            return
        entry.left = True
        there = entry.network
        there.sockets -= 1
        if entry.user is None:
            there.guests -= 1
        elif self._users[entry.user] > 1:
            self._users[entry.user] -= 1
        else:
            del self._users[entry.user]
        if not there.sockets:
            del self._open[there.name]
            self._rest(there)

    def _network(self, name: str) -> _Network:
        return self._open.get(name) or self._idle.pop(name, None) or _Network(name)

    def _admit(self, there: _Network, user: str | None) -> None:
        try:
            if user is not None:
                self._admit_user(user)
            if there.sockets >= self._most:
                raise _refused("sockets.network", "too many watch from your network", FULL_FOR_S)
            if user is None and there.guests >= self._guests_most:
                raise _refused("sockets.guests", "too many watch from your network without signing in", FULL_FOR_S)
            self._admit_upgrade(there, user)
        except Refused:
            if not there.sockets:
                self._rest(there)
            raise

    def _admit_user(self, user: str) -> None:
        if self._users.get(user, 0) >= SOCKETS_PER_USER:
            raise _refused("sockets.user", f"you watch on {SOCKETS_PER_USER} pages already, close some", FULL_FOR_S)

    def _admit_upgrade(self, there: _Network, user: str | None) -> None:
        pace = self._guests_upgrades if user is None else self._upgrades
        full_at_s, now_s = there.guests_full_at_s if user is None else there.full_at_s, self._now_s()
        taken = pace.take(full_at_s, now_s)
        if taken is None:
            rule = "upgrades.guests" if user is None else "upgrades.network"
            raise _refused(rule, "too many come from your network at once", pace.wait_s(full_at_s, now_s))
        if user is None:
            there.guests_full_at_s = taken
        else:
            there.full_at_s = taken

    def _rest(self, there: _Network) -> None:
        self._idle[there.name] = there
        if len(self._idle) > IDLE_MAX:
            self._idle.popitem(last=False)


class Entry:
    """One socket that was let in. `handed_over`: its `LiveSocket` leaves for it; until then whoever let it in."""

    __slots__ = ("handed_over", "left", "network", "user")

    def __init__(self, network: _Network) -> None:
        self.network = network
        self.user: str | None = None
        self.handed_over = False
        self.left = False


class _Network:
    __slots__ = ("full_at_s", "guests", "guests_full_at_s", "name", "sockets")

    def __init__(self, name: str) -> None:
        self.name = name
        self.sockets = 0
        self.guests = 0
        self.full_at_s = 0.0
        self.guests_full_at_s = 0.0


def _refused(rule: str, why: str, wait_s: float) -> Refused:
    metrics.LIMITED.labels(rule).inc()
    wait = max(1, math.ceil(wait_s))
    return Refused(Reason.RATE_LIMITED, f"{why}: come back in {wait} s", retry_after_s=wait)

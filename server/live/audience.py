"""How many people watch a stream, over all replicas: people, not sockets."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping

from server.protocol.frames import Present

NAMED_MAX = 500
"""Up to so many people a replica names them (by a 32-bit digest), so that one who watches on two replicas counts once.

Above, it says only how many: with thousands the few who are counted twice do not show.
"""

FORGOTTEN_AFTER_S = 12.0
"""A replica that has said nothing for so long is gone, and its viewers with it; it speaks every three seconds."""


class Audience:
    """The people of this replica, and what the others say of theirs. Bounded by the number of replicas."""

    __slots__ = ("_elsewhere", "_here", "_now_s", "_replica")

    def __init__(self, replica: str, here: Mapping[str, object], now_s: Callable[[], float]) -> None:
        self._replica = replica
        self._here = here
        self._now_s = now_s
        self._elsewhere: dict[str, tuple[float, Present]] = {}

    def said(self) -> Present:
        """What this replica tells the others."""
        named = tuple(map(_digest, self._here)) if len(self._here) <= NAMED_MAX else None
        return Present(self._replica, len(self._here), named)

    def hear(self, present: Present) -> None:
        """What another replica tells; our own words come back to us and are ignored."""
        if present.replica != self._replica:
            self._elsewhere[present.replica] = (self._now_s(), present)

    def count(self) -> int:
        """People on this replica and on those heard of lately."""
        since = self._now_s() - FORGOTTEN_AFTER_S
        self._elsewhere = {replica: heard for replica, heard in self._elsewhere.items() if heard[0] >= since}
        if not self._elsewhere:
            return len(self._here)
        told = [self.said(), *(present for _, present in self._elsewhere.values())]
        named: set[int] = set()
        unnamed = 0
        for present in told:
            if present.people is None:
                unnamed += present.viewers
            else:
                named.update(present.people)
        return len(named) + unnamed


def _digest(person: str) -> int:
    """32 bits of a person: enough to tell some thousands apart, and nobody's id."""
    return zlib.crc32(person.encode())

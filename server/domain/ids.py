"""Ids: made in the app, rising with time, opaque to clients."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable

_RANDOM_BITS = 74  # RFC 9562, section 5.7: 12 bits rand_a and 62 bits rand_b


class IdMaker:
    """Makes UUIDv7 (RFC 9562) as 32 lower-case hex digits: strictly rising within one maker.

    Within one millisecond the random part is counted up by a random step (section 6.2, method 2), so
    rows made together are neighbours in the primary key and ids stay unguessable between makers.
    Should the clock stand still or go back, the last millisecond seen is used on.
    """

    __slots__ = ("_last_ms", "_low", "_now_ms", "_randbits")

    def __init__(
        self,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        randbits: Callable[[int], int] = secrets.randbits,
    ) -> None:
        self._now_ms = now_ms
        self._randbits = randbits
        self._last_ms = 0
        self._low = 0

    def __call__(self) -> str:
        """The next id: 32 lower-case hex digits."""
        now = self._now_ms()
        if now > self._last_ms:
            self._last_ms = now
            self._low = self._randbits(_RANDOM_BITS - 1)  # top bit free: room to count up
        else:
            self._low += 1 + self._randbits(32)
            if self._low >> _RANDOM_BITS:  # ran out of room in this millisecond: borrow from the next
                self._last_ms += 1
                self._low = self._randbits(_RANDOM_BITS - 1)
        rand_a, rand_b = self._low >> 62, self._low & ((1 << 62) - 1)
        return f"{self._last_ms << 80 | 7 << 76 | rand_a << 64 | 2 << 62 | rand_b:032x}"


new_id = IdMaker()
"""The process-wide maker; constructors take an `IdMaker` where a test wants its own."""

_ID = re.compile(r"[0-9a-f]{32}")


def is_id(text: str) -> bool:
    """Whether a text from outside has the shape of an id; anything else cannot name a thing of ours."""
    return _ID.fullmatch(text) is not None

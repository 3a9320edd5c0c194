"""Whether to come back, and when: decided without I/O."""

from __future__ import annotations

from dataclasses import dataclass

LOST = 1006
"""What RFC 6455 calls a connection that ended without a close frame."""

RESTARTING, TOO_BUSY, NOT_ALLOWED, STREAM_OVER = 1012, 1013, 4501, 4503

STABLE_S = 10.0
"""A link that lived this long was a good one: the next wait starts short again."""

_FOR_GOOD = frozenset({1000, 1002, 1003, 1007, 1008, 1009, 1010})  # both sides agree that this cannot go on
_SPREAD_FROM = 2  # 1012 and 1013 hit everybody at once, so the first wait is already four times as wide


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to wait before the next try: evenly anywhere in 0 … min(cap_s, base_s x 2^attempt).

    Full jitter after M. Brooker, "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015).
    """

    base_s: float = 0.5
    cap_s: float = 15.0

    def ceiling_s(self, attempt: int) -> float:
        """The longest wait before try number `attempt` (0 is the first again)."""
        return min(self.cap_s, self.base_s * float(1 << min(attempt, 30)))

    def delay_s(self, attempt: int, luck: float) -> float:
        """The wait before try number `attempt`; `luck` is random in 0 ≤ luck < 1."""
        return luck * self.ceiling_s(attempt)


def comes_back(code: int) -> bool:
    """Whether to connect again after this close code: 4500-4999 say no, and so do RFC 6455's final ones."""
    return code not in _FOR_GOOD and not 4500 <= code <= 4999


def wait_s(backoff: Backoff, code: int, attempt: int, luck: float, drain_left_s: float | None) -> float:
    """How long to stay away after a close with `code`. Who was told to leave was also told when to come back."""
    if drain_left_s is not None:
        return max(0.0, drain_left_s)
    return backoff.delay_s(max(attempt, _SPREAD_FROM) if code in (RESTARTING, TOO_BUSY) else attempt, luck)


def dead_after_s(tick_s: float) -> float:
    """Silence longer than this means a dead link."""
    return 2.5 * tick_s

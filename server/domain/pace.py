"""A pace: so many a second, and so many at once. A token bucket that is kept as one number (GCRA)."""

from __future__ import annotations

from dataclasses import dataclass, field

_ROUNDING = 1e-3  # of one token: far above the rounding of clocks, far below what anybody could use


@dataclass(frozen=True, slots=True)
class Pace:
    """`at_once` may come together, then `per_s` a second; in any t seconds at most `at_once + per_s · t`.

    The bucket itself is the caller's one number: the second in which it is full again, any past one at first.
    """

    per_s: float
    at_once: int
    _each_s: float = field(init=False)
    _behind_max_s: float = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_each_s", 1 / self.per_s)
        object.__setattr__(self, "_behind_max_s", (self.at_once - 1 + _ROUNDING) / self.per_s)

    def take(self, full_at_s: float, now_s: float) -> float | None:
        """When the bucket is full again after one more was taken out; None when it is empty, and nothing is taken."""
        if full_at_s <= now_s:
            return now_s + self._each_s
        return full_at_s + self._each_s if full_at_s - now_s <= self._behind_max_s else None

    def wait_s(self, full_at_s: float, now_s: float) -> float:
        """How long until one can be taken; 0 when one can be taken now."""
        return max(0.0, full_at_s - now_s - self._behind_max_s)

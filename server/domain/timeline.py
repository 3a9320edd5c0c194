"""The timeline: a stream's recent events in memory, from which a returning viewer is answered."""

from __future__ import annotations

from collections import deque

MISSED_MAX = 1_000
"""How many events back a viewer gets exactly what it missed (the interface's promise 3)."""


class Gap(Exception):
    """An event does not follow the last one: what lies between must be read from the log first."""


class Timeline:
    """The last `capacity` event frames, as the texts that go out, without holes.

    Bounded: when full, the oldest frame falls off, and viewers further back get a snapshot instead.
    """

    __slots__ = ("_frames", "seq")

    def __init__(self, seq: int, capacity: int = MISSED_MAX) -> None:
        self.seq = seq
        self._frames: deque[str] = deque(maxlen=capacity)

    def __len__(self) -> int:
        return len(self._frames)

    def append(self, seq: int, frame: str) -> bool:
        """Adds the next event; False when it is already here. Raises `Gap` when events before it are missing."""
        if seq <= self.seq:
            return False
        if seq != self.seq + 1:
            raise Gap(f"event {seq} after {self.seq}")
        self._frames.append(frame)
        self.seq = seq
        return True

    def since(self, seq: int) -> tuple[str, ...] | None:
        """Exactly the frames after `seq`, in order; None when they are not all here (or lie in the future)."""
        missing = self.seq - seq
        if missing < 0 or missing > len(self._frames):
            return None
        if not missing:
            return ()
        return tuple(self._frames[i] for i in range(len(self._frames) - missing, len(self._frames)))

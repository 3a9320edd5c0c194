"""Close codes. 4000-4499: come back; 4500-4999: do not. Below 4000 they mean what RFC 6455 says."""

from __future__ import annotations

from enum import IntEnum


class CloseCode(IntEnum):
    """Why a socket was closed."""

    DONE = 1000
    NOT_UTF8 = 1007
    TOO_BIG = 1009
    RESTARTING = 1012
    TOO_BUSY = 1013
    TOO_SLOW = 4008
    NO_HELLO = 4012
    BAD_FRAME = 4500
    NOT_ALLOWED = 4501
    STREAM_OVER = 4503
    UNKNOWN_STREAM = 4504

    @property
    def come_back(self) -> bool:
        """Whether a client should connect again."""
        return self in (CloseCode.RESTARTING, CloseCode.TOO_BUSY) or 4000 <= self < 4500

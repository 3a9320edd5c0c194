"""A stream as every viewer sees it; apart from `stream.py` because events carry it and the fold reads events."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum


class StreamStatus(StrEnum):
    """`scheduled → live → ended`."""

    SCHEDULED = "scheduled"
    LIVE = "live"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Stream:
    """A stream as every viewer sees it. `host` is the host's name; `viewers` is state, not history."""

    slug: str
    title: str
    host: str
    status: StreamStatus
    starts_at: int | None
    video: str | None
    viewers: int = 0


_SLUG = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?")


def is_slug(text: str) -> bool:
    """Whether a text can name a stream: 1..64 of a-z, 0-9 and inner hyphens."""
    return _SLUG.fullmatch(text) is not None

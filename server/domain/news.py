"""News: what a commit leaves to be announced."""

from __future__ import annotations

from dataclasses import dataclass

from server.domain.drop import StockLine


@dataclass(frozen=True, slots=True)
class News:
    """What is new on a stream since a COMMIT: event frames in `seq` order, and stock as it stands now."""

    stream: str
    events: tuple[str, ...] = ()
    stock: tuple[StockLine, ...] = ()

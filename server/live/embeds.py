"""Embeds: which other sites may show a stream, and who watches there; a site that was taken off loses its viewers."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from server import tasks
from server.domain.embed import is_origin
from server.domain.errors import ProtocolViolation, Unavailable
from server.domain.views import is_slug
from server.live.ports import EmbedList
from server.live.recent import Recent
from server.protocol.codes import CloseCode

log = logging.getLogger(__name__)

LOOK_EVERY_S = 1.0
"""How often the lists of the streams that are watched on other sites are looked at."""


_SLICE = 100
"""Sockets closed before the loop breathes."""


@dataclass(frozen=True, slots=True)
class Page:
    """The page a socket comes from. `origin` None: it comes from no browser's page."""

    origin: str | None
    foreign: bool
    """It is of another site, which the stream's host allows."""


class Embedded(Protocol):
    """A viewer on a page of another site."""

    def fail(self, violation: ProtocolViolation) -> None:
        """Says why, then closes; harmless when closed already."""
        ...


class Embeds:
    """Knows the lists, at most a second late, and closes the sockets of an origin that is not on its stream's any more.

    Owns one task, which ends with `close()`. What it remembers is bounded by the sockets of this replica.
    """

    def __init__(self, list_: EmbedList, *, now_s: Callable[[], float] = time.monotonic) -> None:
        self._of_stream = Recent[frozenset[str]]("embeds", list_.of_streams, frozenset(), now_s=now_s)
        self._anywhere = Recent[bool]("embedding sites", list_.embedding, nothing=False, now_s=now_s)
        self._watching: dict[tuple[str, str], dict[object, Embedded]] = {}
        self._places: dict[object, tuple[str, str]] = {}
        self._looker: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Starts to look."""
        self._looker = tasks.start(self._look_for_ever(), "embeds: look")

    async def close(self) -> None:
        """Ends the task."""
        await tasks.stop(self._looker)

    async def allowed(self, slug: str, origin: str) -> bool:
        """Whether a page of this origin may show the stream. Raises `Unavailable`."""
        return is_slug(slug) and is_origin(origin) and origin in await self._of_stream.get(slug)

    async def allowed_anywhere(self, origin: str) -> bool:
        """Whether a page of this origin may show any stream. Raises `Unavailable`."""
        return is_origin(origin) and await self._anywhere.get(origin)

    def enter(self, entry: object, slug: str, origin: str, viewer: Embedded) -> None:
        """A viewer watches on a page of another site, until `entry` leaves."""
        self._places[entry] = slug, origin
        self._watching.setdefault((slug, origin), {})[entry] = viewer

    def leave(self, entry: object) -> None:
        """They do not any more; one who watches on our own site changes nothing."""
        place = self._places.pop(entry, None)
        if place is not None:
            del self._watching[place][entry]
            if not self._watching[place]:
                del self._watching[place]

    async def _look_for_ever(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            try:
                await self._look()
            except Unavailable as error:
                log.warning("the look at the lists of embeds is put off", extra={"error": str(error)})

    async def _look(self) -> None:
        shown = list(self._watching)
        # asked all at once, so that they are read together
        allowed = await asyncio.gather(*(self.allowed(slug, origin) for slug, origin in shown))
        for place, still in zip(shown, allowed, strict=True):
            if not still:
                await self._close_all(place)

    async def _close_all(self, place: tuple[str, str]) -> None:
        said = "this site may not embed the stream any more: its host has taken the origin off the list"
        for number, viewer in enumerate(list(self._watching.get(place, {}).values()), 1):
            viewer.fail(ProtocolViolation(said, code=CloseCode.NOT_ALLOWED, reason="not_allowed"))
            if number % _SLICE == 0:
                await asyncio.sleep(0)

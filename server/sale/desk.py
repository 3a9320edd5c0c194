"""The desk: the host's commands. Each is committed with its event, then announced; each is safe to repeat."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from server.domain import embed
from server.domain.drop import QUANTITY_MAX, TIME_MAX_MS, Drop, DropPlan, DropStatus
from server.domain.errors import Reason, Refused
from server.domain.ids import is_id
from server.domain.news import News
from server.domain.user import User
from server.domain.video import check as check_video
from server.domain.views import Stream, StreamStatus, is_slug
from server.sale.ports import DropBook, EmbedBook, StreamBook

TITLE_MAX = 200
_REF = re.compile(r"[\x21-\x7e]{1,64}")


class Desk:
    """Everything a host commands. Raises `Refused` with a sentence for the host, `Unavailable`."""

    def __init__(
        self, streams: StreamBook, drops: DropBook, embeds: EmbedBook, announce: Callable[[News], None]
    ) -> None:
        self._streams = streams
        self._drops = drops
        self._embeds = embeds
        self._announce = announce

    async def create_stream(
        self,
        host: User,
        slug: str,
        title: str,
        *,
        starts_at: int | None = None,
        video: str | None = None,
        embed_origins: Sequence[str] = (),
    ) -> Stream:
        """Creates a stream, not live yet. `embed_origins` may show it on their pages."""
        if not is_slug(slug):
            raise _bad("slug must be 1..64 of a-z, 0-9 and - (not first or last)")
        title = title.strip()
        if not 1 <= len(title) <= TITLE_MAX:
            raise _bad(f"title must be 1..{TITLE_MAX} characters")
        if starts_at is not None and not 0 <= starts_at <= TIME_MAX_MS:
            raise _bad("starts_at must be ms since the epoch, before the year 2100")
        if video is not None:
            check_video(video)
        origins = embed.checked(embed_origins, field="embed_origins")
        return await self._streams.create(
            host, slug=slug, title=title, starts_at=starts_at, video=video, embed_origins=origins
        )

    async def allow_embedding(self, host: User, slug: str, origins: Sequence[str]) -> tuple[str, ...]:
        """Replaces the list of origins that may show the stream on their pages; gives it back as it is now.

        Every replica follows within about two seconds; who watches on a page that was taken off is closed by then.
        """
        allowed = embed.checked(origins, field="origins")
        await self._embeds.replace(host, _slug(slug), allowed)
        return allowed

    async def start_stream(self, host: User, slug: str) -> Stream:
        """Goes live."""
        stream, news = await self._streams.change_status(host, _slug(slug), StreamStatus.LIVE)
        self._announce(news)
        return stream

    async def end_stream(self, host: User, slug: str) -> Stream:
        """Closes every drop of the stream, then ends it."""
        state = await self._streams.whole(_slug(slug))
        if state is not None and state.stream.status is not StreamStatus.ENDED:
            for drop in state.drops.values():
                if drop.status is not DropStatus.CLOSED:
                    await self.close_drop(host, drop.id)
        stream, news = await self._streams.change_status(host, slug, StreamStatus.ENDED)
        self._announce(news)
        return stream

    async def schedule_drop(self, host: User, slug: str, plan: DropPlan) -> Drop:
        """Puts a drop on the run sheet."""
        plan.check()
        return self._told(await self._drops.schedule(host, _slug(slug), plan))

    async def open_drop(self, host: User, drop_id: str) -> Drop:
        """Opens a drop to every viewer."""
        return self._told(await self._drops.open(host, _known(drop_id)))

    async def close_drop(self, host: User, drop_id: str) -> Drop:
        """Closes a drop; what is left goes back to the catalogue."""
        return self._told(await self._drops.close(host, _known(drop_id)))

    async def restock_drop(self, host: User, drop_id: str, variant: str, quantity: int, ref: str | None) -> Drop:
        """Puts more of a variant into a drop. The same `ref` puts it in once."""
        if not 1 <= quantity <= QUANTITY_MAX:
            raise _bad(f"quantity must be 1..{QUANTITY_MAX}")
        if ref is not None and not _REF.fullmatch(ref):
            raise _bad("ref must be 1..64 printable ASCII characters without spaces")
        return self._told(await self._drops.restock(host, _known(drop_id), variant, quantity, ref))

    def _told(self, changed: tuple[Drop, News]) -> Drop:
        drop, news = changed
        self._announce(news)
        return drop


def _slug(slug: str) -> str:
    if not is_slug(slug):
        raise Refused(Reason.NOT_FOUND, "there is no such stream")
    return slug


def _known(drop_id: str) -> str:
    if not is_id(drop_id):
        raise Refused(Reason.NOT_FOUND, "there is no such drop")
    return drop_id


def _bad(detail: str) -> Refused:
    return Refused(Reason.BAD_REQUEST, detail)

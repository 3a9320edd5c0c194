"""Embeds: a crowd from a partner's page costs a question a second, and a site that is taken off loses its viewers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection

import pytest
import pytest_asyncio

from server import together
from server.domain.errors import ProtocolViolation, Unavailable
from server.live import embeds as embeds_module
from server.live import recent as recent_module
from server.live.embeds import Embeds
from server.live.recent import FRESH_S, STALE_S, Recent
from server.protocol.codes import CloseCode

PARTNER, OTHER = "https://partner.example", "https://other.example"


class Lists:
    """The lists of the database; each question is noted."""

    def __init__(self) -> None:
        self.of = {"friday": {PARTNER, OTHER}}
        self.asked: list[list[str]] = []
        self.looked = asyncio.Event()
        self.down = False

    async def of_streams(self, slugs: Collection[str]) -> dict[str, frozenset[str]]:
        self.asked.append(sorted(slugs))
        self.looked.set()
        await asyncio.sleep(0)
        if self.down:
            raise Unavailable("no database")
        return {slug: frozenset(self.of[slug]) for slug in slugs if slug in self.of}

    async def embedding(self, origins: Collection[str]) -> dict[str, bool]:
        self.asked.append(sorted(origins))
        anywhere = set().union(*self.of.values())
        return {origin: True for origin in origins if origin in anywhere}


class Viewer:
    """A socket on a partner's page."""

    def __init__(self) -> None:
        self.code: int | None = None
        self.closed = asyncio.Event()

    def fail(self, violation: ProtocolViolation) -> None:
        self.code = violation.code
        self.closed.set()


class Place:
    def __init__(self) -> None:
        self.lists, self.now_s = Lists(), 100.0
        self.embeds = Embeds(self.lists, now_s=lambda: self.now_s)


@pytest_asyncio.fixture
async def place(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Place]:
    monkeypatch.setattr(embeds_module, "LOOK_EVERY_S", 0.01)
    place = Place()
    yield place
    await place.embeds.close()


async def test_a_storm_from_a_partners_page_is_one_question(place: Place) -> None:
    answers = await asyncio.gather(*(place.embeds.allowed("friday", PARTNER) for _ in range(5_000)))
    assert all(answers)
    for _ in range(100):
        assert await place.embeds.allowed("friday", PARTNER)
        assert not await place.embeds.allowed("friday", "https://evil.example")
    assert place.lists.asked == [["friday"]]


async def test_who_asks_for_many_streams_meanwhile_is_answered_together(place: Place) -> None:
    answers = await asyncio.gather(*(place.embeds.allowed(f"s{n}", PARTNER) for n in range(400)))
    assert not any(answers)
    assert len(place.lists.asked) == 1


async def test_what_cannot_be_an_origin_or_a_slug_is_never_asked_about(place: Place) -> None:
    for origin in ("null", "", "https://Partner.example", "x" * 10_000, "http://partner.example"):
        assert not await place.embeds.allowed("friday", origin)
        assert not await place.embeds.allowed_anywhere(origin)
    assert not await place.embeds.allowed("../friday", PARTNER)
    assert place.lists.asked == []


async def test_a_change_is_seen_after_a_second(place: Place) -> None:
    assert await place.embeds.allowed("friday", PARTNER)
    assert await place.embeds.allowed_anywhere(PARTNER)
    place.lists.of["friday"] = {OTHER}
    place.now_s += FRESH_S
    assert not await place.embeds.allowed("friday", PARTNER)
    assert not await place.embeds.allowed_anywhere(PARTNER)
    assert await place.embeds.allowed("friday", OTHER)


async def test_without_the_database_what_was_known_lately_counts_and_nothing_else(place: Place) -> None:
    assert await place.embeds.allowed("friday", PARTNER)
    place.lists.down = True
    place.now_s += STALE_S - 1
    assert await place.embeds.allowed("friday", PARTNER)
    with pytest.raises(Unavailable):
        await place.embeds.allowed("monday", PARTNER)
    place.now_s += 1
    with pytest.raises(Unavailable):
        await place.embeds.allowed("friday", PARTNER)
    place.lists.down = False
    assert await place.embeds.allowed("friday", PARTNER)


async def test_who_leaves_before_the_answer_leaves_nothing_behind(place: Place) -> None:
    asking = asyncio.create_task(place.embeds.allowed("friday", PARTNER))
    await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert await place.embeds.allowed("friday", PARTNER)


async def test_a_site_that_was_taken_off_loses_its_viewers_and_nobody_else(place: Place) -> None:
    gone, other, left = Viewer(), Viewer(), Viewer()
    place.embeds.enter("one", "friday", PARTNER, gone)
    place.embeds.enter("two", "friday", OTHER, other)
    place.embeds.enter("three", "friday", PARTNER, left)
    place.embeds.leave("three")
    place.embeds.leave("nobody")
    place.embeds.start()
    await asyncio.wait_for(place.lists.looked.wait(), 5)
    place.lists.of["friday"] = {OTHER}
    place.now_s += FRESH_S
    await asyncio.wait_for(gone.closed.wait(), 5)
    assert gone.code == CloseCode.NOT_ALLOWED
    assert (other.code, left.code) == (None, None)


async def test_viewers_stay_while_the_database_is_away_and_go_when_it_says_so(place: Place) -> None:
    viewer = Viewer()
    place.embeds.enter("one", "friday", PARTNER, viewer)
    place.lists.down = True
    place.embeds.start()
    for _ in range(3):
        place.lists.looked.clear()
        await asyncio.wait_for(place.lists.looked.wait(), 5)
    assert viewer.code is None
    place.lists.down, place.lists.of = False, {}
    await asyncio.wait_for(viewer.closed.wait(), 5)


async def test_so_much_is_kept_and_so_many_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recent_module, "KNOWN_MAX", 3)
    monkeypatch.setattr(together, "WAITING_MAX", 5)
    reads: list[Collection[str]] = []
    may_read = asyncio.Event()

    async def read(keys: Collection[str]) -> dict[str, int]:
        reads.append(keys)
        await may_read.wait()
        return dict.fromkeys(keys, 1)

    recent = Recent("numbers", read, 0, now_s=lambda: 0.0)
    asking = [asyncio.create_task(recent.get(f"k{n}")) for n in range(5)]
    await asyncio.sleep(0)
    with pytest.raises(Unavailable, match="too many wait for numbers"):
        await recent.get("one more")
    may_read.set()
    assert await asyncio.gather(*asking) == [1] * 5
    assert len(reads) == 1
    await recent.get("k4")
    assert len(reads) == 1
    await recent.get("k0")  # forgotten, for there was no room
    assert len(reads) == 2

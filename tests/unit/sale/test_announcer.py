"""The announcer: events whole and in order, stock conflated, exact at the end, a lost ring only counted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise

import pytest

from server import metrics
from server.domain.drop import StockLine
from server.domain.errors import Unavailable
from server.domain.news import News
from server.protocol import codec, frames
from server.sale import announcer as announcer_module
from server.sale.announcer import EVENTS_MAX, EXACT_BELOW, STOCK_EVERY_S, Announcer

PLENTY = 1_000


class Bell:
    """Keeps what was rung and when; may be broken, or held."""

    def __init__(self) -> None:
        self.rung: list[tuple[float, str, str]] = []
        self.broken = False
        self.free = asyncio.Event()
        self.free.set()
        self._changed = asyncio.Condition()
        self._broken_rings = asyncio.Semaphore(0)

    async def lost(self, number: int) -> None:
        for _ in range(number):
            await self._broken_rings.acquire()

    async def ring(self, stream: str, message: str) -> None:
        await self.free.wait()
        if self.broken:
            self._broken_rings.release()
            raise Unavailable("no Redis")
        self.rung.append((asyncio.get_running_loop().time(), stream, message))
        async with self._changed:
            self._changed.notify_all()

    async def rings(self, number: int) -> None:
        async with asyncio.timeout(5), self._changed:
            await self._changed.wait_for(lambda: len(self.rung) >= number)

    @property
    def stock(self) -> list[tuple[float, list[StockLine]]]:
        """The stock frames: when, and their lines."""
        read = (
            (at, codec.decode_news(message)) for at, _, message in self.rung if message.startswith('{"type":"stock"')
        )
        return [(at, list(frame.stock)) for at, frame in read if isinstance(frame, frames.Stock)]


@pytest.fixture
def bell() -> Bell:
    return Bell()


@asynccontextmanager
async def announcing(bell: Bell) -> AsyncIterator[Announcer]:
    announcer = Announcer(bell)
    announcer.start()
    yield announcer
    await announcer.close()


def line(left: int, version: int, variant: str = "v", drop: str = "d") -> StockLine:
    return StockLine(drop, variant, left, version)


async def test_events_are_rung_whole_and_in_order(bell: Bell) -> None:
    async with announcing(bell) as announcer:
        announcer.announce(News("friday", ("e1", "e2")))
        announcer.announce(News("monday", ("e1",)))
        announcer.announce(News("friday", ("e3",)))
        await bell.rings(4)
    assert [(stream, message) for _, stream, message in bell.rung] == [
        ("friday", "e1"),
        ("friday", "e2"),
        ("monday", "e1"),
        ("friday", "e3"),
    ]


async def test_an_event_is_rung_before_the_stock_it_came_with(bell: Bell) -> None:
    async with announcing(bell) as announcer:
        announcer.announce(News("friday", ("sold out",), (line(0, 9),)))
        await bell.rings(2)
    assert [message for _, _, message in bell.rung] == ["sold out", codec.encode_stock([line(0, 9)])]


async def test_stock_goes_out_at_most_every_hundred_ms_and_ends_on_the_last_value(bell: Bell) -> None:
    async with announcing(bell) as announcer:
        for version in range(1, 301):
            announcer.announce(News("friday", stock=(line(PLENTY - version, version),)))
            await asyncio.sleep(0.001)
        started = len(bell.stock)
        await bell.rings(started + 1)
        times = [at for at, _ in bell.stock]
        pauses = [later - earlier for earlier, later in pairwise(times)]
        assert min(pauses) >= STOCK_EVERY_S * 0.95
        assert bell.stock[-1][1] == [line(PLENTY - 300, 300)]


async def test_the_last_units_are_told_at_once_and_one_by_one(bell: Bell) -> None:
    async with announcing(bell) as announcer:
        announcer.announce(News("friday", stock=(line(PLENTY, 1),)))
        await bell.rings(1)
        for left in range(EXACT_BELOW, -1, -1):
            announcer.announce(News("friday", stock=(line(left, 100 - left),)))
            await bell.rings(len(bell.rung) + 1)
    times = [at for at, _ in bell.stock]
    assert [lines[0].left for _, lines in bell.stock] == [PLENTY, *range(EXACT_BELOW, -1, -1)]
    assert times[-1] - times[0] < STOCK_EVERY_S * EXACT_BELOW


async def test_the_newest_version_wins_whatever_the_order(bell: Bell) -> None:
    async with announcing(bell) as announcer:
        announcer.announce(News("friday", stock=(line(500, 7), line(3, 1, "w"))))
        announcer.announce(News("friday", stock=(line(600, 5), line(900, 2, drop="d2"))))
        await bell.rings(1)
    assert {said for _, lines in bell.stock for said in lines} == {
        line(500, 7),
        line(3, 1, "w"),
        line(900, 2, drop="d2"),
    }
    assert len(bell.rung) == 1  # all variants of a stream in one frame


async def test_streams_have_frames_of_their_own(bell: Bell) -> None:
    async with announcing(bell) as announcer:
        announcer.announce(News("friday", stock=(line(1, 1),)))
        announcer.announce(News("monday", stock=(line(2, 1),)))
        await bell.rings(2)
    assert {stream for _, stream, _ in bell.rung} == {"friday", "monday"}


async def test_closing_rings_what_is_left(bell: Bell) -> None:
    async with announcing(bell) as announcer:
        announcer.announce(News("friday", stock=(line(PLENTY, 1),)))
        await bell.rings(1)
        announcer.announce(News("friday", ("e1",), (line(PLENTY - 1, 2),)))
    assert [message for _, _, message in bell.rung[1:]] == ["e1", codec.encode_stock([line(PLENTY - 1, 2)])]


async def test_closing_in_the_middle_of_a_ring_loses_nothing(bell: Bell) -> None:
    announcer = Announcer(bell)
    announcer.start()
    bell.free.clear()
    announcer.announce(News("friday", ("e1", "e2"), (line(5, 1),)))
    announcer.announce(News("monday", stock=(line(6, 1),)))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    closing = asyncio.create_task(announcer.close())
    await asyncio.sleep(0)
    bell.free.set()
    await asyncio.wait_for(closing, 5)
    assert [message for _, _, message in bell.rung] == [
        "e1",
        "e2",
        codec.encode_stock([line(5, 1)]),
        codec.encode_stock([line(6, 1)]),
    ]


async def test_closing_in_the_middle_of_ringing_stock_loses_nothing(bell: Bell) -> None:
    announcer = Announcer(bell)
    announcer.start()
    bell.free.clear()
    announcer.announce(News("friday", stock=(line(5, 1),)))
    announcer.announce(News("monday", stock=(line(6, 1),)))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    closing = asyncio.create_task(announcer.close())
    await asyncio.sleep(0)
    bell.free.set()
    await asyncio.wait_for(closing, 5)
    assert sorted(stream for _, stream, _ in bell.rung) == ["friday", "monday"]


async def test_a_lost_ring_is_counted_not_raised_and_the_next_one_is_tried(
    bell: Bell, caplog: pytest.LogCaptureFixture
) -> None:
    before = metrics.RINGS_LOST._value.get()
    async with announcing(bell) as announcer:
        bell.broken = True
        announcer.announce(News("friday", ("e1",), (line(5, 1),)))
        await asyncio.wait_for(bell.lost(2), 5)
        bell.broken = False
        announcer.announce(News("friday", ("e2",)))
        await bell.rings(1)
    assert [message for _, _, message in bell.rung] == ["e2"]
    assert metrics.RINGS_LOST._value.get() == before + 2
    assert "a ring was lost; relays will read the log" in caplog.text


async def test_events_that_wait_are_bounded_and_those_too_many_are_counted(
    bell: Bell, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert EVENTS_MAX == 10_000
    monkeypatch.setattr(announcer_module, "EVENTS_MAX", 3)
    before = metrics.RINGS_LOST._value.get()
    announcer = Announcer(bell)
    announcer.announce(News("friday", ("e1", "e2", "e3", "e4")))
    announcer.announce(News("friday", ("e5",), (line(4, 1),)))
    await announcer.close()
    assert [message for _, _, message in bell.rung] == ["e1", "e2", "e3", codec.encode_stock([line(4, 1)])]
    assert metrics.RINGS_LOST._value.get() == before + 2

"""The relay over a log and a bus in memory: when a stream is opened, kept, swept and let go."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import msgspec
import pytest

from server import metrics
from server.domain.errors import Unavailable
from server.domain.order import Accepted
from server.live import relay as relay_module
from server.live.courier import Courier
from server.live.hub import Hub
from server.live.relay import Relay
from server.live.stream import LiveStream
from server.protocol import codec, frames

from .examples import DROP, EPOCH, SLUG, MemoryBell, MemoryLog, Viewer

WITHIN_S = 5.0


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay_module, "SWEEP_S", 0.005)


@pytest.fixture
def log() -> MemoryLog:
    log = MemoryLog()
    log.start()
    log.schedule()
    log.open()
    return log


@pytest.fixture
def bell() -> MemoryBell:
    return MemoryBell()


@pytest.fixture
async def relay(log: MemoryLog, bell: MemoryBell) -> AsyncIterator[Relay]:
    relay = Relay(Hub(), log, bell, Courier(bell, "here"), replica="here", epoch=EPOCH, tick_ms=10)
    await relay.start()
    yield relay
    await relay.close()
    assert bell.listening == {}


@asynccontextmanager
async def watching(relay: Relay, slug: str) -> AsyncIterator[LiveStream | None]:
    """`hold` while the block runs."""
    stream = await relay.hold(slug)
    try:
        yield stream
    finally:
        if stream is not None:
            relay.release(stream)


async def becomes(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(WITHIN_S):
        while not condition():  # noqa: ASYNC110  the sweep signals nobody
            await asyncio.sleep(0.001)


def viewer_of(stream: object) -> Viewer:
    viewer = Viewer()
    stream.join(viewer, "session", None, None)  # type: ignore[attr-defined]
    return viewer


async def test_a_stream_is_opened_once_however_many_come_at_once(
    relay: Relay, log: MemoryLog, bell: MemoryBell
) -> None:
    seen = []

    async def visit() -> None:
        async with watching(relay, SLUG) as stream:
            seen.append(stream)

    await asyncio.gather(*(visit() for _ in range(10)))
    assert len(set(map(id, seen))) == 1
    assert list(bell.listening) == [SLUG]


@pytest.mark.parametrize("slug", ["monday", "", "NO", "a b", "../etc", "x" * 65])
async def test_a_slug_nobody_has_costs_no_subscription(relay: Relay, bell: MemoryBell, slug: str) -> None:
    async with watching(relay, slug) as stream:
        assert stream is None
    assert bell.listening == {}
    assert relay.viewers(slug) == 0


async def test_a_database_that_does_not_answer_is_said_and_the_next_visit_tries_again(
    relay: Relay, log: MemoryLog
) -> None:
    log.down = True
    with pytest.raises(Unavailable):
        async with watching(relay, SLUG):
            pass
    log.down = False
    async with watching(relay, SLUG) as stream:
        assert stream is not None


async def test_what_the_bus_did_not_bring_is_found_by_the_sweep(relay: Relay, log: MemoryLog) -> None:
    healed = metrics.HEALED._value.get()
    async with watching(relay, SLUG) as stream:
        assert stream is not None
        viewer = viewer_of(stream)
        log.start()
        log.start()
        log.stock(7, 2)
        await becomes(lambda: viewer.seqs == [4, 5] and viewer.stock)
        assert viewer.stock == [{"drop": "hoodie", "variant": "S", "left": 7, "version": 2}]
    assert metrics.HEALED._value.get() == healed + 2


async def test_the_sweep_outlives_a_database_that_is_away(
    relay: Relay, log: MemoryLog, caplog: pytest.LogCaptureFixture
) -> None:
    async with watching(relay, SLUG) as stream:
        assert stream is not None
        viewer = viewer_of(stream)
        log.down = True
        await becomes(lambda: "the sweep is put off" in caplog.text)
        log.start()
        log.down = False
        await becomes(lambda: viewer.seqs == [4])


async def test_news_of_the_bus_reaches_the_viewers_at_once(
    relay: Relay, log: MemoryLog, bell: MemoryBell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_module, "SWEEP_S", 3600)
    async with watching(relay, SLUG) as stream:
        assert stream is not None
        viewer = viewer_of(stream)
        bell.listening[SLUG].put_nowait(log.start())
        await becomes(lambda: viewer.seqs == [4])


async def test_replicas_tell_each_other_how_many_watch(relay: Relay, bell: MemoryBell) -> None:
    async with watching(relay, SLUG) as stream:
        assert stream is not None
        viewer_of(stream)
        await becomes(lambda: bell.rung)
        assert (SLUG, codec.encode(stream.audience.said())) in bell.rung
        assert stream.audience.said().viewers == 1
        bell.listening[SLUG].put_nowait(codec.encode(frames.Present("there", 5)))
        await becomes(lambda: relay.viewers(SLUG) == 6)


async def test_everybody_gets_ticks(relay: Relay) -> None:
    async with watching(relay, SLUG) as stream:
        assert stream is not None
        viewer = viewer_of(stream)
        await becomes(lambda: len([frame for frame in viewer.frames if frame["type"] == "tick"]) >= 2)


async def test_a_stream_is_kept_for_a_while_after_the_last_viewer_and_then_let_go(
    relay: Relay, bell: MemoryBell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_module, "KEPT_S", 0.1)
    async with watching(relay, SLUG) as first:
        await asyncio.sleep(0.15)  # longer than KEPT_S: who is here is not idle
        assert SLUG in bell.listening
    async with watching(relay, SLUG) as second:
        assert second is first
    await becomes(lambda: bell.listening == {})
    async with watching(relay, SLUG) as third:
        assert third is not first


async def test_who_comes_while_a_stream_is_being_let_go_is_in_the_hub(
    log: MemoryLog, bell: MemoryBell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a drain would not know of this viewer."""
    monkeypatch.setattr(relay_module, "KEPT_S", 0)
    hub = Hub()
    relay = Relay(hub, log, bell, Courier(bell, "here"), replica="here", epoch=EPOCH)
    await relay.start()
    async with watching(relay, SLUG):
        bell.may_leave.clear()
    await asyncio.wait_for(bell.leaving.wait(), WITHIN_S)  # the old one is on its way out
    async with watching(relay, SLUG) as stream:
        bell.may_leave.set()
        for _ in range(20):
            await asyncio.sleep(0)
        viewer = viewer_of(stream)
        assert hub.everyone() == [viewer]
    await relay.close()


async def test_a_late_receipt_reaches_every_socket_of_its_viewer_in_the_drops_stream(relay: Relay) -> None:
    receipt = Accepted("r1", "o1", 1, 2400, "USD")
    async with watching(relay, SLUG) as stream:
        assert stream is not None
        ann, bob, again = viewer_of(stream), Viewer("bob"), viewer_of(stream)
        stream.join(bob, "session", None, None)  # type: ignore[arg-type]
        relay.deliver(DROP.id, "ann", receipt)
        relay.deliver("another", "ann", msgspec.structs.replace(receipt, ref="r2"))
        assert (ann.receipts, again.receipts, bob.receipts) == (["r1"], ["r1"], [])


async def test_a_late_receipt_waits_for_its_viewer(relay: Relay) -> None:
    async with watching(relay, SLUG) as stream:
        assert stream is not None
        relay.deliver(DROP.id, "ann", Accepted("r1", "o1", 1, 2400, "USD"))
        ann = Viewer("ann")
        stream.join(ann, "session", frames.Viewer("ann", "Ann"), None)  # type: ignore[arg-type]
        assert ann.receipts == ["r1"]

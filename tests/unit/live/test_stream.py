"""One stream on one replica: what viewers are told when they join, what they hear, and how gaps are healed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from server.domain.drop import DropStatus, StockLine
from server.domain.errors import Unavailable
from server.domain.events import DropEvent, EventKind, Position
from server.domain.timeline import MISSED_MAX, Gap
from server.live.stream import LiveStream
from server.protocol import codec, frames
from server.protocol.codes import CloseCode

from .examples import DROP, EPOCH, NOON, Clock, MemoryLog, Viewer, live


@pytest.fixture
def log() -> MemoryLog:
    log = MemoryLog()
    log.start()
    log.schedule()
    log.open()
    return log


def joined(stream: LiveStream, at: int | None = None, *, epoch: str = EPOCH, person: str = "ann") -> Viewer:
    viewer = Viewer(person)
    stream.join(viewer, "session", frames.Viewer(person, "Ann"), None if at is None else Position(epoch, at))
    return viewer


def welcome(viewer: Viewer) -> dict[str, Any]:
    return viewer.frames[0]


async def messages(*said: str) -> AsyncIterator[str]:
    for message in said:
        yield message


# Joining


async def test_a_newcomer_gets_the_stream_whole(log: MemoryLog) -> None:
    stream = await live(log)
    said = welcome(joined(stream))
    assert (said["type"], said["position"], said["now"]) == ("welcome", {"epoch": EPOCH, "seq": 3}, NOON)
    assert "missed" not in said
    assert said["snapshot"]["drops"] == msgspec.json.decode(msgspec.json.encode([log.state.drops[DROP.id]]))
    assert [(line["variant"], line["left"]) for line in said["stock"]] == [("S", 30), ("M", 20)]


async def test_who_comes_back_gets_exactly_what_was_missed(log: MemoryLog) -> None:
    stream = await live(log)
    for at in range(4):
        said = welcome(joined(stream, at))
        assert "snapshot" not in said
        assert said["missed"] == [msgspec.json.decode(frame) for frame in log.frames[at:]]
        assert said["position"]["seq"] == 3


@pytest.mark.parametrize(
    ("at", "epoch"), [(4, EPOCH), (2**53 - 1, EPOCH), (2, "e000")], ids=["future", "far future", "another log"]
)
async def test_a_position_that_cannot_be_answered_gets_the_stream_whole(log: MemoryLog, at: int, epoch: str) -> None:
    said = welcome(joined(await live(log), at, epoch=epoch))
    assert "missed" not in said
    assert said["snapshot"]["stream"]["status"] == "live"


async def test_a_thousand_events_back_is_exact_and_one_more_is_a_snapshot() -> None:
    log = MemoryLog()
    for _ in range(MISSED_MAX + 5):
        log.start()
    stream = await live(log)
    assert stream.seq == MISSED_MAX + 5
    assert len(welcome(joined(stream, 5))["missed"]) == MISSED_MAX
    assert "snapshot" in welcome(joined(stream, 4))
    stream.hear(log.start())  # the window moves on
    assert len(welcome(joined(stream, 6))["missed"]) == MISSED_MAX
    assert "snapshot" in welcome(joined(stream, 5))


async def test_what_is_committed_between_the_two_reads_of_a_load_is_neither_lost_nor_twice(log: MemoryLog) -> None:
    class Busy(MemoryLog):
        async def whole(self, slug: str) -> Any:
            state = await super().whole(slug)
            self.end()
            return state

    busy = Busy(log.state, log.frames)
    stream = await live(busy)
    assert stream.seq == 3
    viewer = joined(stream, 1)
    assert [event["seq"] for event in welcome(viewer)["missed"]] == [2, 3]
    await stream.catch_up()
    assert viewer.seqs == [4]


async def test_no_event_falls_between_the_past_and_the_present(log: MemoryLog) -> None:
    stream = await live(log)
    before = joined(stream, 0)
    stream.hear(log.start())
    after = joined(stream, 0)
    stream.hear(log.end())
    for viewer in (before, after):
        assert [event["seq"] for event in welcome(viewer)["missed"]] + viewer.seqs == [1, 2, 3, 4, 5]


async def test_a_snapshot_is_never_older_than_its_position(log: MemoryLog) -> None:
    stream = await live(log)
    joined(stream)
    stream.restock([log.stock(7, 2)])
    said = welcome(joined(stream))
    assert said["snapshot"]["drops"][0]["variants"][0]["left"] == 7
    assert said["stock"][0] == {"drop": DROP.id, "variant": "S", "left": 7, "version": 2}
    stream.hear(log.end())
    assert welcome(joined(stream))["snapshot"]["stream"]["status"] == "ended"


async def test_there_is_no_stream_of_another_name(log: MemoryLog) -> None:
    stream = await live(log)
    stream.slug = "monday"
    assert not await stream.load()


# Hearing


async def test_an_event_goes_out_as_the_text_that_was_logged(log: MemoryLog) -> None:
    stream = await live(log)
    viewer = joined(stream)
    stream.hear(log.end())
    assert viewer.texts[1:] == [log.frames[-1]]


async def test_an_event_heard_twice_goes_out_once(log: MemoryLog) -> None:
    stream = await live(log)
    viewer = joined(stream)
    frame = log.start()
    stream.hear(frame)
    stream.hear(frame)
    stream.hear(log.frames[0])
    assert viewer.seqs == [4]


async def test_an_event_after_a_hole_is_held_back_until_the_hole_is_healed_from_the_log(log: MemoryLog) -> None:
    stream = await live(log)
    viewer = joined(stream)
    log.start()
    late = log.start()
    with pytest.raises(Gap):
        stream.hear(late)
    assert viewer.seqs == []
    await stream.listen(messages(late))
    assert viewer.seqs == [4, 5]


async def test_rings_of_two_replicas_out_of_order_are_put_in_order(log: MemoryLog) -> None:
    stream = await live(log)
    viewer = joined(stream)
    frames_ = [log.start() for _ in range(6)]
    await stream.listen(messages(*(frames_[n] for n in (1, 0, 3, 2, 5, 4))))
    assert viewer.seqs == [4, 5, 6, 7, 8, 9]


async def test_the_word_for_missed_reads_the_log(log: MemoryLog) -> None:
    stream = await live(log)
    viewer = joined(stream)
    for _ in range(1_201):  # more than two pages
        log.start()
    await stream.listen(messages(""))
    assert viewer.seqs == list(range(4, 1_205))


async def test_healing_from_two_sides_at_once_sends_each_event_once(log: MemoryLog) -> None:
    stream = await live(log)
    viewer = joined(stream)
    for _ in range(600):
        log.start()
    await asyncio.gather(stream.catch_up(), stream.catch_up(), stream.listen(messages(*log.frames[-3:])))
    assert viewer.seqs == list(range(4, 604))


async def test_a_log_that_cannot_be_read_is_tried_again_later(log: MemoryLog) -> None:
    stream = await live(log)
    viewer = joined(stream)
    log.start()
    late = log.start()
    log.down = True
    await stream.listen(messages("", late))
    assert viewer.seqs == []
    with pytest.raises(Unavailable):
        await stream.catch_up()
    log.down = False
    await stream.listen(messages(late))
    assert viewer.seqs == [4, 5]


@pytest.mark.parametrize("said", ["{", "null", '{"type":"party"}', "[" * 100_000, '{"type":"event","seq":"4"}'])
async def test_a_message_that_cannot_be_read_is_passed_over(
    log: MemoryLog, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    stream = await live(log)
    viewer = joined(stream)
    await stream.listen(messages(said, log.start()))
    assert viewer.seqs == [4]
    assert "cannot be read" in caplog.text


async def test_an_event_of_an_unknown_kind_passes_through_and_counts(log: MemoryLog) -> None:
    stream = await live(log)
    viewer = joined(stream)
    unknown = '{"type":"event","seq":4,"at":1,"event":{"kind":"poll_opened","poll":1}}'
    stream.hear(unknown)
    assert (viewer.texts[-1], stream.seq) == (unknown, 4)


# Stock


async def test_newer_stock_goes_out_as_state_and_older_is_dropped(log: MemoryLog) -> None:
    stream = await live(log)
    viewer = joined(stream)
    for line in (log.stock(20, 3), StockLine(DROP.id, "S", 25, 2), StockLine(DROP.id, "S", 20, 3)):
        stream.hear(codec.encode_stock([line]))
    assert viewer.stock == [{"drop": DROP.id, "variant": "S", "left": 20, "version": 3}]
    assert viewer.texts[1:] == []


async def test_of_several_lines_only_the_newer_go_out(log: MemoryLog) -> None:
    stream = await live(log)
    viewer = joined(stream)
    stream.restock([log.stock(20, 3), StockLine(DROP.id, "M", 20, 1), StockLine("cap", "S", 1, 9)])
    assert [line["variant"] for line in viewer.stock] == ["S"]


async def test_stock_of_a_drop_that_closed_is_no_longer_told_to_newcomers(log: MemoryLog) -> None:
    stream = await live(log)
    stream.hear(log.commit(DropEvent(EventKind.DROP_CLOSED, replace(DROP, status=DropStatus.CLOSED))))
    assert welcome(joined(stream))["stock"] == []


async def test_stock_that_an_event_tells_first_goes_out_as_state_too(log: MemoryLog) -> None:
    stream = await live(log)
    viewer = joined(stream)
    emptied = tuple(replace(variant, left=0, version=7) for variant in DROP.variants)
    stream.hear(
        log.commit(DropEvent(EventKind.DROP_SOLD_OUT, replace(DROP, status=DropStatus.SOLD_OUT, variants=emptied)))
    )
    assert [(line["variant"], line["left"], line["version"]) for line in viewer.stock] == [("S", 0, 7), ("M", 0, 7)]
    stream.hear(log.open())  # tells of version 1: nothing new
    assert len(viewer.stock) == 2


async def test_an_event_never_turns_stock_back(log: MemoryLog) -> None:
    stream = await live(log)
    stream.restock([StockLine(DROP.id, "S", 4, 50)])
    stream.hear(log.open())  # tells of version 1
    assert stream.snapshot().drops[DROP.id].variants[0].left == 4


# Presence


async def test_viewers_are_people_here_and_on_replicas_heard_of_lately(log: MemoryLog) -> None:
    clock = Clock()
    stream = await live(log, clock)
    first, second_tab, other = joined(stream), joined(stream), joined(stream, person="bob")
    assert stream.viewers == 2
    stream.hear(codec.encode(frames.Present("there", 40)))
    stream.hear(codec.encode(frames.Present("there", 41)))
    stream.hear(codec.encode(frames.Present("far", 100)))
    stream.hear(codec.encode(frames.Present("here", 7)))  # our own word, come back to us
    assert stream.viewers == 2 + 41 + 100
    clock.ms += 10_000
    stream.hear(codec.encode(frames.Present("far", 90)))
    clock.ms += 2_001
    assert stream.viewers == 2 + 90  # "there" fell silent
    stream.room.remove(second_tab)
    assert stream.viewers == 2 + 90
    stream.room.remove(first)
    stream.room.remove(other)
    assert stream.snapshot().stream.viewers == 90


async def test_a_tick_tells_time_position_and_viewers(log: MemoryLog) -> None:
    stream = await live(log)
    viewer = joined(stream)
    stream.tick()
    assert viewer.frames[-1] == {"type": "tick", "now": NOON, "seq": 3, "viewers": 1}


# The end


async def test_the_end_is_told_and_then_everybody_is_let_go(log: MemoryLog) -> None:
    stream = await live(log)
    viewers = [joined(stream), joined(stream, person="bob")]
    stream.hear(log.end())
    for viewer in viewers:
        assert (viewer.frames[-1]["event"]["kind"], viewer.code) == ("stream_ended", CloseCode.STREAM_OVER)


async def test_who_comes_after_the_end_sees_it_and_is_let_go(log: MemoryLog) -> None:
    log.end()
    viewer = joined(await live(log), 3)
    assert welcome(viewer)["missed"][0]["event"]["kind"] == "stream_ended"
    assert viewer.code == CloseCode.STREAM_OVER

"""The crowd's own ears: what they hear of any cut of the bytes, and that each audit can fail."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN, Protocol, Side

from loadtest.bell import TEXT_BYTES, event_text
from loadtest.crew import add_up, audit
from loadtest.crowd import Report
from loadtest.report import latency, percentile
from loadtest.tally import KNOWN_MAX, Tally
from loadtest.thresholds import Threshold, judge, read
from loadtest.watcher import LOST, MOVED, Watcher
from loadtest.wire import TEXT, Strange, client_frame, whole_frames
from server.protocol import codec, frames

UPGRADED = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"


class Wire(asyncio.Transport):
    """What a viewer wrote."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.aborted = self.closed = False

    def write(self, data: Any) -> None:
        self.written += bytes(data)

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed or self.aborted

    def abort(self) -> None:
        self.aborted = True


class Company:
    """A crowd that only counts."""

    def __init__(self) -> None:
        self.tally = Tally()
        self.upgrade = b"GET /ws/show HTTP/1.1\r\n\r\n"
        self.tickets: list[str] = []
        self.came: list[Watcher] = []
        self.went: list[Watcher] = []

    def ticket(self, watcher: Watcher) -> str | None:  # noqa: ARG002
        return self.tickets.pop(0) if self.tickets else None

    def welcomed(self, watcher: Watcher) -> None:
        self.came.append(watcher)

    def left(self, watcher: Watcher) -> None:
        self.went.append(watcher)

    def viewer(self, *, seq: int | None = 0) -> tuple[Watcher, Wire]:
        """A viewer whose upgrade is through; welcomed at `seq`, unless that is None."""
        watcher, wire = Watcher(self), Wire()
        connect(watcher, wire)
        if seq is not None:
            watcher.data_received(welcome(seq))
        return watcher, wire


def connect(watcher: Watcher, wire: Wire) -> None:
    watcher.connection_made(wire)
    watcher.data_received(UPGRADED)


def said(text: str) -> bytes:
    return Frame(Opcode.TEXT, text.encode()).serialize(mask=False)


def event(seq: int) -> bytes:
    return said(event_text(seq, 1_000 + seq))


def welcome(seq: int, *, missed: list[int] | None = None, epoch: str = "e") -> bytes:
    answer: dict[str, Any] = {"type": "welcome", "session": "s", "viewer": None, "now": 1, "tick_ms": 15_000}
    answer |= {"position": {"epoch": epoch, "seq": seq}, "stock": []}
    if missed is None:
        answer["snapshot"] = {}
    else:
        answer["missed"] = [json.loads(event_text(n, 1)) for n in missed]
    return said(json.dumps(answer, separators=(",", ":")))


STATE = said(codec.encode_stock([]))


SIZES = st.integers(0, 200) | st.sampled_from([125, 126, 127, 65_534, 65_535])


@given(SIZES.map(lambda size: bytes(n % 251 for n in range(size))) | st.binary(max_size=300))
def test_a_server_reads_what_a_viewer_frames(payload: bytes) -> None:
    parser = Protocol(Side.SERVER, state=OPEN, max_size=None)
    parser.receive_data(client_frame(Opcode.BINARY, payload))
    (heard,) = parser.events_received()
    assert isinstance(heard, Frame)
    assert (heard.opcode, bytes(heard.data), heard.fin) == (Opcode.BINARY, payload, True)
    assert parser.parser_exc is None


def test_frames_are_masked_each_with_its_own_mask() -> None:
    assert len({client_frame(TEXT, b"the same words") for _ in range(8)}) > 1
    assert all(client_frame(TEXT, b"x")[1] & 0x80 for _ in range(3))


@given(st.lists(SIZES | st.sampled_from([65_536, 70_000]), max_size=5), st.integers(0, 20))
def test_whole_frames_are_taken_and_the_rest_is_left(sizes: list[int], cut: int) -> None:
    payloads = [b"x" * size for size in sizes]
    data = b"".join(Frame(Opcode.TEXT, payload).serialize(mask=False) for payload in payloads)
    found, rest = whole_frames(data + event(1)[:cut])
    assert found == [(TEXT, payload) for payload in payloads]
    assert rest == event(1)[:cut]


@pytest.mark.parametrize("head", [b"\x01\x00", b"\x80\x00", b"\x81\x80\0\0\0\0", b"\xc1\x00"])
def test_fragments_masks_and_compression_are_strange(head: bytes) -> None:
    with pytest.raises(Strange):
        whole_frames(head)


@given(st.integers(1, 12), st.data())
def test_however_the_bytes_are_cut_every_event_is_heard_once(events: int, data: st.DataObject) -> None:
    company = Company()
    stream = UPGRADED + welcome(5) + b"".join(event(5 + n) + STATE * (n % 2) for n in range(1, events + 1))
    for _ in range(3):  # the second and third viewers meet reads that are known
        watcher = Watcher(company)
        watcher.connection_made(Wire())
        cuts = sorted(data.draw(st.sets(st.integers(1, len(stream) - 1), max_size=6)))
        for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
            watcher.data_received(stream[start:end])
        assert watcher.seq == 5 + events
    tally = company.tally
    tally.book()
    assert (tally.gaps, tally.repeats, tally.progress, not tally.strange) == (0, 0, 3 * events, True)
    assert {seq: arrivals for seq, (_, _, arrivals) in tally.seen.items()} == {5 + n: 3 for n in range(1, events + 1)}


def test_hello_waits_for_the_upgrade_and_carries_ticket_and_position() -> None:
    company = Company()
    company.tickets = ["t-1", "t-2"]
    watcher, wire = Watcher(company), Wire()
    watcher.connection_made(wire)
    assert wire.written == company.upgrade
    watcher.data_received(UPGRADED)
    assert hello_in(wire, company) == frames.Hello(1, "t-1")
    watcher.data_received(welcome(7))
    watcher.connection_lost(None)
    assert (company.went, watcher.code) == ([watcher], LOST)
    back = Wire()
    connect(watcher, back)
    assert hello_in(back, company) == frames.Hello(1, "t-2", frames.Position("e", 7))


def hello_in(wire: Wire, company: Company) -> frames.ClientFrame:
    parser = Protocol(Side.SERVER, state=OPEN)
    parser.receive_data(wire.written.removeprefix(company.upgrade))
    (heard,) = parser.events_received()
    assert isinstance(heard, Frame)
    return codec.decode_client(bytes(heard.data))


def test_a_missing_event_is_a_gap() -> None:
    company = Company()
    watcher, _ = company.viewer(seq=3)
    watcher.data_received(event(4) + event(6))
    assert company.tally.gaps == 1
    assert watcher.seq == 6


def test_an_event_sent_twice_is_a_repeat() -> None:
    company = Company()
    watcher, _ = company.viewer(seq=3)
    watcher.data_received(event(4) + event(4))
    assert company.tally.repeats == 1


def test_a_read_that_is_known_still_counts_as_gap_or_repeat_where_it_does_not_follow() -> None:
    company = Company()
    first, _ = company.viewer(seq=3)
    behind, _ = company.viewer(seq=2)
    ahead, _ = company.viewer(seq=5)
    for watcher in (first, behind, ahead):
        watcher.data_received(event(4) + event(5))
    assert (company.tally.gaps, company.tally.repeats) == (1, 2)
    assert {watcher.seq for watcher in (first, behind, ahead)} == {5}


def test_a_tick_ahead_of_the_viewer_is_a_gap() -> None:
    company = Company()
    watcher, _ = company.viewer(seq=3)
    watcher.data_received(said(codec.encode(frames.Tick(1, 3, 1))))
    assert company.tally.gaps == 0
    watcher.data_received(said(codec.encode(frames.Tick(1, 4, 1))))
    assert company.tally.gaps == 1


@pytest.mark.parametrize(
    ("missed", "reached", "gaps", "repeats"),
    [
        ([4, 5, 6], 6, 0, 0),
        ([], 3, 0, 0),
        ([4, 6], 6, 1, 0),
        ([5, 6], 6, 1, 0),
        ([4, 5], 6, 1, 0),
        ([3, 4], 4, 0, 1),
        ([], 2, 1, 0),
    ],
)
def test_what_was_missed_must_be_exactly_what_lies_between(
    missed: list[int], reached: int, gaps: int, repeats: int
) -> None:
    company = Company()
    watcher, _ = company.viewer(seq=3)
    watcher.connection_lost(None)
    connect(watcher, Wire())
    watcher.data_received(welcome(reached, missed=missed))
    assert (company.tally.gaps, company.tally.repeats, company.tally.snapshots) == (gaps, repeats, 0)


def test_a_snapshot_for_somebody_who_came_with_a_position_is_counted() -> None:
    company = Company()
    watcher, _ = company.viewer(seq=3)
    watcher.connection_lost(None)
    connect(watcher, Wire())
    watcher.data_received(welcome(9))
    assert (company.tally.snapshots, watcher.seq) == (1, 9)


@pytest.mark.parametrize("bytes_", [event(1), said("{"), said('{"type":"welcome"}'), said("[]"), b"\x02\x00\x00\x00"])
def test_what_is_not_the_protocol_is_strange_and_ends_the_connection(bytes_: bytes) -> None:
    company = Company()
    watcher, wire = company.viewer(seq=None)
    watcher.data_received(bytes_)
    assert company.tally.strange
    assert wire.aborted
    assert not watcher.here


async def test_a_refused_upgrade_says_why() -> None:
    watcher = Watcher(Company())
    watcher.arriving = asyncio.get_running_loop().create_future()
    watcher.connection_made(Wire())
    watcher.data_received(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
    assert await watcher.arriving == "503"


async def test_drain_is_obeyed_and_a_close_frame_is_remembered() -> None:
    company = Company()
    told, wire = company.viewer()
    told.data_received(said(codec.encode(frames.DrainFrame(0))))
    await asyncio.sleep(0.02)
    assert wire.written[-8] == 0x88  # a close frame of two bytes
    told.data_received(Frame(Opcode.CLOSE, b"\x03\xe8").serialize(mask=False))
    told.connection_lost(None)
    cut, _ = company.viewer()
    cut.data_received(Frame(Opcode.CLOSE, b"\x0f\xa8").serialize(mask=False))
    cut.connection_lost(None)
    assert [watcher.code for watcher in company.went] == [MOVED, 4008]


def test_what_is_recognised_is_bounded_and_booked() -> None:
    company = Company()
    watcher, _ = company.viewer()
    for seq in range(1, KNOWN_MAX + 50):
        watcher.data_received(event(seq))
    assert len(company.tally.known) <= KNOWN_MAX
    company.tally.book()
    assert len(company.tally.seen) == KNOWN_MAX + 49


def test_reaching_a_target_is_told_once_everyone_has_it() -> None:
    company = Company()
    viewers = [company.viewer()[0] for _ in range(3)]
    told: list[int] = []
    company.tally.target = company.tally.progress + 6
    company.tally.on_target = lambda: told.append(company.tally.progress)
    for watcher in viewers:
        assert not told
        watcher.data_received(event(1) + event(2))
    assert told == [6]


GOOD = Report(viewers=2, here=2, lowest_seq=9, highest_seq=9)


def test_a_good_report_passes_the_audit() -> None:
    assert audit(GOOD, 9) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"gaps": 1},
        {"repeats": 1},
        {"here": 1},
        {"over": 1},
        {"lowest_seq": 8},
        {"highest_seq": 10},
        {"strange": {"what?": 1}},
    ],
)
def test_each_fault_fails_the_audit(wrong: dict[str, Any]) -> None:
    names = ("viewers", "here", "lowest_seq", "highest_seq")
    assert len(audit(Report(**({name: getattr(GOOD, name) for name in names} | wrong)), 9)) == 1


def test_processes_are_added_up() -> None:
    one = Report(viewers=2, here=2, lowest_seq=4, highest_seq=5, gaps=1, closed={1006: 1}, seen={5: (1.0, 2.0, 2)})
    two = Report(viewers=1, here=0, lowest_seq=3, highest_seq=3, gaps=2, closed={1006: 2}, seen={5: (1.0, 3.0, 1)})
    both = add_up([one, two])
    assert (both.viewers, both.here, both.lowest_seq, both.highest_seq, both.gaps) == (3, 2, 3, 5, 3)
    assert (both.closed, both.seen) == ({1006: 3}, {5: (1.0, 3.0, 3)})


def test_percentiles_are_values_that_were_measured() -> None:
    values = [float(value) for value in range(1, 101)]
    assert [percentile(values, percent) for percent in (0, 1, 50, 99, 100)] == [1, 1, 50, 99, 100]
    assert latency([3.0, 1.0]) == {"p50": 1.0, "p90": 3.0, "p99": 3.0, "max": 3.0}
    assert latency([]) == {}


def test_a_rung_event_has_its_length_and_reads_as_an_event() -> None:
    for seq in (1, 999_999):
        text = event_text(seq, 1_767_225_600_456)
        assert len(text) == TEXT_BYTES
        news = codec.decode_news(text)
        assert isinstance(news, frames.EventFrame)
        assert (news.seq, codec.read_event(news)) == (seq, None)


def test_counts_fail_timings_warn_and_strict_timings_fail() -> None:
    thresholds = {"s": {"gaps": Threshold("count", max=0), "ms": Threshold("timing", max=80.0, from_viewers=1_000)}}
    figures = {"gaps": 1.0, "ms": 90.0, "other": 1.0}

    def words(viewers: int, strict: bool) -> list[str]:
        return [one.word for one in judge("s", figures, viewers=viewers, strict=strict, thresholds=thresholds)]

    assert words(1_000, strict=False) == ["FAIL", "warn", ""]
    assert words(1_000, strict=True) == ["FAIL", "FAIL", ""]
    assert words(999, strict=True) == ["FAIL", "", ""]


def test_the_thresholds_we_ship_say_something_about_every_scenario() -> None:
    assert read().keys() == {
        "fan_out",
        "flash_sale",
        "mixed",
        "page_rush",
        "reconnect_storm",
        "rolling_drain",
        "search",
        "signing_in",
    }
    for scenario in read().values():
        for threshold in scenario.values():
            assert threshold.kind in ("count", "timing")
            assert threshold.max is not None or threshold.min is not None

"""Snapshot at n and events n+1..m give the snapshot at m: through the wire, against the host's own book."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import msgspec
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from server.domain.drop import StockLine, lines_of
from server.domain.events import DropEvent, Event, Position
from server.domain.stream import StreamState, apply, stock_of, with_stock
from server.domain.timeline import Gap, Timeline
from server.protocol import codec, frames

from .hosts import EPOCH, NOON, Page, books

LAW = settings(max_examples=200, deadline=None)

Stocker = Callable[[StreamState, Iterable[StockLine]], StreamState]
Applier = Callable[[StreamState, Event | None, int], StreamState]


def fold(
    state: StreamState, texts: Iterable[str], stocker: Stocker = with_stock, applier: Applier = apply
) -> StreamState:
    """What a client does with the frames it hears."""
    for text in texts:
        match codec.decode_server(text):
            case frames.EventFrame() as frame:
                state = applier(state, codec.read_event(frame), frame.seq)
            case frames.Stock(stock=lines):
                state = stocker(state, lines)
    return state


def through_the_wire(page: Page) -> StreamState:
    """The snapshot at a page as a client has it that got it in a welcome."""
    return welcomed(None, welcome(page, snapshot=codec.snapshot_of(page.state)))


def welcome(page: Page, *, snapshot: bytes | None = None, missed: tuple[str, ...] | None = None) -> str:
    return codec.encode_welcome(
        session="s1",
        viewer=None,
        now_ms=NOON,
        tick_ms=15_000,
        position=Position(EPOCH, page.seq),
        stock=codec.stock_lines(stock_of(page.state)),
        snapshot=snapshot,
        missed=missed,
    )


def welcomed(state: StreamState | None, text: str) -> StreamState:
    """What a client has after a welcome."""
    frame = codec.decode_server(text)
    assert isinstance(frame, frames.Welcome)
    assert (frame.snapshot is msgspec.UNSET) is not (frame.missed is msgspec.UNSET)
    if frame.snapshot is not msgspec.UNSET:
        whole = msgspec.json.decode(frame.snapshot, type=frames.Snapshot)
        state = StreamState(whole.stream, {drop.id: drop for drop in whole.drops}, frame.position.seq)
    else:
        assert state is not None
        state = fold(state, (json.dumps(event) for event in msgspec.json.decode(frame.missed)))
    assert state.seq == frame.position.seq
    return with_stock(state, msgspec.json.decode(frame.stock, type=tuple[StockLine, ...]))


def whole(state: StreamState) -> tuple[bytes, int]:
    """All there is to compare, the order of drops included; the viewer count is state and comes with ticks."""
    still = replace(state, stream=replace(state.stream, viewers=0))
    return codec.snapshot_of(still), still.seq


def frames_between(pages: Sequence[Page], n: int, m: int) -> list[str]:
    return [text for page in pages[n + 1 : m + 1] for text in page.frames]


def stock_frame(lines: Iterable[StockLine]) -> str:
    return codec.encode_stock(lines)


@st.composite
def spans(draw: st.DrawFn) -> tuple[tuple[Page, ...], int, int]:
    """A book and two of its pages, n ≤ m."""
    pages = draw(books())
    n = draw(st.integers(0, len(pages) - 1))
    return pages, n, draw(st.integers(n, len(pages) - 1))


@LAW
@given(spans())
def test_a_snapshot_and_the_events_since_are_the_later_snapshot(span):
    pages, n, m = span
    state = fold(through_the_wire(pages[n]), frames_between(pages, n, m))
    assert whole(with_stock(state, stock_of_all(pages[m]))) == whole(through_the_wire(pages[m]))


def stock_of_all(page: Page) -> list[StockLine]:
    return [line for drop in page.drops for line in lines_of(drop)]


@LAW
@given(spans())
def test_the_stock_in_a_welcome_is_all_the_events_lack(span):
    """Also without the lines of closed drops: what closes a drop carries its last stock."""
    pages, n, m = span
    state = fold(through_the_wire(pages[n]), frames_between(pages, n, m))
    assert whole(with_stock(state, stock_of(pages[m].state))) == whole(pages[m].state)


@LAW
@given(spans())
def test_events_without_any_stock_lines_still_give_everything_but_stock(span):
    pages, n, m = span
    state = fold(through_the_wire(pages[n]), frames_between(pages, n, m))
    assert [(drop.id, drop.status) for drop in state.drops.values()] == [(d.id, d.status) for d in pages[m].drops]
    assert state.stream.status is pages[m].stream.status
    assert state.stream.viewers == pages[n].stream.viewers
    assert state.seq == pages[m].seq


@LAW
@given(spans(), st.data())
def test_events_heard_again_change_nothing(span, data):
    pages, n, m = span
    news = frames_between(pages, n, m)
    heard: list[str] = []
    for upto in range(len(news) + 1):
        again = frames_between(pages, 0, n) + news[:upto]
        heard += data.draw(st.lists(st.sampled_from(again), max_size=3)) if again else []
        heard += news[upto : upto + 1]
    assert whole(fold(through_the_wire(pages[n]), heard)) == whole(fold(through_the_wire(pages[n]), news))


@st.composite
def deliveries(draw: st.DrawFn) -> tuple[Page, list[str], list[StockLine]]:
    """A start, frames as the bus may bring them (stock anywhere, in any order and number), and the lines heard in time.

    A line heard before the drop it is about is not heard in time: the drop's own event is newer or the relay's
    next look into the database brings it again.
    """
    pages, n, m = draw(spans())
    lines = [line for page in pages for line in page.lines]
    heard: list[str] = []
    in_time: list[StockLine] = []
    known = {drop.id for drop in pages[n].drops}
    for text in [*frames_between(pages, n, m), None]:
        if lines:
            for group in draw(st.lists(st.lists(st.integers(0, len(lines) - 1), max_size=4), max_size=2)):
                chosen = [lines[index] for index in group]
                heard.append(stock_frame(chosen))
                in_time += [line for line in chosen if line.drop in known]
        if text is not None:
            heard.append(text)
            known |= {json.loads(text)["event"].get("drop", {}).get("id")}
    return pages[n], heard, in_time


def stock_ends_as_if_heard_once(
    stocker: Stocker, applier: Applier, delivery: tuple[Page, list[str], list[StockLine]]
) -> None:
    page, heard, in_time = delivery
    start = through_the_wire(page)
    newest: dict[tuple[str, str], StockLine] = {}
    for line in in_time:
        key = (line.drop, line.variant)
        if key not in newest or newest[key].version < line.version:
            newest[key] = line
    events_only = fold(start, [text for text in heard if '"type":"stock"' not in text])
    assert whole(fold(start, heard, stocker, applier)) == whole(with_stock(events_only, newest.values()))


@settings(max_examples=500, deadline=None)
@given(deliveries())
def test_stock_heard_anywhere_in_any_order_and_number_ends_as_if_the_newest_was_heard_once(delivery):
    stock_ends_as_if_heard_once(with_stock, apply, delivery)


def the_last_heard_wins(state: StreamState, lines: Iterable[StockLine]) -> StreamState:
    for line in lines:
        if (drop := state.drops.get(line.drop)) is not None:
            variants = tuple(
                replace(v, left=line.left, version=line.version) if v.id == line.variant else v for v in drop.variants
            )
            state = replace(state, drops={**state.drops, drop.id: replace(drop, variants=variants)})
    return state


def the_last_of_a_frame_hides_the_others(state: StreamState, lines: Iterable[StockLine]) -> StreamState:
    return with_stock(state, {(line.drop, line.variant): line for line in lines}.values())


def an_event_brings_its_own_stock(state: StreamState, event: Event | None, seq: int) -> StreamState:
    after = apply(state, event, seq)
    if after is state or not isinstance(event, DropEvent):
        return after
    return replace(after, drops={**after.drops, event.drop.id: event.drop})


@pytest.mark.parametrize(
    ("stocker", "applier"),
    [
        pytest.param(the_last_heard_wins, apply, id="the last heard wins"),
        pytest.param(the_last_of_a_frame_hides_the_others, apply, id="the last of a frame hides the others"),
        pytest.param(with_stock, an_event_brings_its_own_stock, id="an event brings its own stock"),
    ],
)
def test_the_law_of_stock_catches_a_fold_in_which(stocker, applier):
    @settings(max_examples=1_500, deadline=None, database=None, derandomize=True, phases=[Phase.generate])
    @given(deliveries())
    def holds(delivery):
        stock_ends_as_if_heard_once(stocker, applier, delivery)

    with pytest.raises(AssertionError):
        holds()


@LAW
@given(spans())
def test_a_fold_that_loses_one_event_that_tells_something_is_caught(span):
    """The control of the first law: leave out the last event a drop's status hangs on, and the end differs."""
    pages, n, m = span
    events = [codec.decode_server(text) for text in frames_between(pages, n, m)]
    read = [(frame.seq, codec.read_event(frame)) for frame in events if isinstance(frame, frames.EventFrame)]
    start = through_the_wire(pages[n])
    full = start
    for seq, event in read:
        full = apply(full, event, seq)
    for lost in range(len(read)):
        state = start
        for at, (seq, event) in enumerate(read):
            state = apply(state, None if at == lost else event, seq)
        told_later = read[lost][1] is None or any(
            later is not None and about(later) == about(read[lost][1]) for _, later in read[lost + 1 :]
        )
        if not told_later:
            assert whole(state) != whole(full)


def about(event: Event | None) -> str:
    return event.drop.id if isinstance(event, DropEvent) else "stream"


# The timeline


def timeline_of(pages: Sequence[Page], first: int, capacity: int) -> Timeline:
    timeline = Timeline(pages[first].seq, capacity)
    for page in pages[first + 1 :]:
        for text in page.frames:
            assert timeline.append(json.loads(text)["seq"], text)
    return timeline


@LAW
@given(books(), st.integers(1, 8), st.data())
def test_the_timeline_gives_exactly_what_is_missing_or_nothing(pages, capacity, data):
    first = data.draw(st.integers(0, len(pages) - 1))
    timeline = timeline_of(pages, first, capacity)
    end = pages[-1].seq
    log = {json.loads(text)["seq"]: text for page in pages for text in page.frames}
    held = min(capacity, end - pages[first].seq)
    assert len(timeline) == held
    for seq in range(-1, end + 3):
        if end - held <= seq <= end:
            assert timeline.since(seq) == tuple(log[n] for n in range(seq + 1, end + 1))
        else:
            assert timeline.since(seq) is None


@LAW
@given(books(), st.integers(1, 8), st.data())
def test_a_viewer_who_returns_has_the_whole_truth_after_its_welcome(pages, capacity, data):
    """Whatever page it left at, and whether the timeline still reaches back that far."""
    first = data.draw(st.integers(0, len(pages) - 1))
    left_at = data.draw(st.integers(0, len(pages) - 1))
    timeline, page = timeline_of(pages, first, capacity), pages[-1]
    state = through_the_wire(pages[left_at])
    missed = timeline.since(state.seq)
    text = welcome(page, snapshot=codec.snapshot_of(page.state)) if missed is None else welcome(page, missed=missed)
    assert whole(welcomed(state, text)) == whole(page.state)


@LAW
@given(books(), st.data())
def test_a_relay_that_heals_its_gaps_from_the_log_ends_with_every_event_once(pages, data):
    """The doorbell may ring twice, late or not at all; the log has everything."""
    log = [text for page in pages for text in page.frames]
    timeline = Timeline(0)
    for seq in data.draw(st.lists(st.integers(1, len(log)), max_size=20)):
        before = timeline.since(0)
        try:
            added = timeline.append(seq, log[seq - 1])
        except Gap:
            assert seq > timeline.seq + 1
            assert timeline.since(0) == before  # a gap adds nothing
            for lacking in range(timeline.seq + 1, seq + 1):
                assert timeline.append(lacking, log[lacking - 1])
        else:
            assert added is (len(before or ()) == seq - 1)
        assert timeline.since(0) == tuple(log[: timeline.seq])

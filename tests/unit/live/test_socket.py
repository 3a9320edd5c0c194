"""A viewer's socket after hello: orders, receipts, faults and the end."""

# ruff: noqa: ARG002  a port is implemented whole, and a test needs but some of its arguments

from __future__ import annotations

import asyncio
import json
import time
from types import SimpleNamespace
from typing import Any

import pytest
from websockets.frames import Frame, Opcode
from websockets.protocol import Protocol, Side

from server import metrics
from server.domain.drop import Drop
from server.domain.errors import Reason
from server.domain.order import Accepted, Receipt, Rejected
from server.domain.user import Role, User
from server.live.room import Room
from server.live.socket import ASKED_MAX, FRAMES, ORDERS_IN_FLIGHT_MAX, OUTBOX_MAX_BYTES, SURPLUS, LiveSocket
from server.protocol import frames
from server.protocol.session import ClientSession

HELLO = '{"type":"hello","v":1}'


class Wire:
    """What the socket writes; `waiting` is what the client has not read."""

    def __init__(self) -> None:
        self.waiting = 0
        self.closed = False
        self._reader = Protocol(Side.CLIENT, max_size=None)
        self.said: list[dict[str, Any]] = []
        self.code: int | None = None
        self.pongs = 0

    def write(self, data: bytes) -> None:
        self._reader.receive_data(data)
        for frame in self._reader.events_received():
            assert isinstance(frame, Frame)
            self.pongs += frame.opcode is Opcode.PONG
            if frame.opcode is Opcode.TEXT:
                self.said.append(json.loads(bytes(frame.data)))
        if self._reader.close_rcvd is not None:
            self.code = self._reader.close_rcvd.code

    def get_write_buffer_size(self) -> int:
        return self.waiting

    def set_write_buffer_limits(self, high: int, low: int) -> None: ...

    def resume_reading(self) -> None: ...

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    abort = close


class Till:
    """Takes orders; the test decides them."""

    def __init__(self) -> None:
        self.taken: list[tuple[User | None, frames.PlaceOrder, asyncio.Future[Receipt]]] = []

    def place(
        self, viewer: User | None, order: frames.PlaceOrder, known: Drop | None, joined_at_s: float
    ) -> asyncio.Future[Receipt]:
        future: asyncio.Future[Receipt] = asyncio.get_running_loop().create_future()
        self.taken.append((viewer, order, future))
        return future


class Show:
    def __init__(self) -> None:
        self.room: Room[Any] = Room()
        self.refreshed: list[object] = []
        self.brought: list[tuple[str, Receipt, float | None]] = []

    def refresh(self, member: object) -> None:
        self.refreshed.append(member)

    def known(self, drop_id: str) -> Drop | None:
        return None

    def bring(self, viewer: str, receipt: Receipt, asked_at_s: float | None) -> None:
        self.brought.append((viewer, receipt, asked_at_s))


class Scene:
    """A socket that has said hello."""

    def __init__(self, viewer: User | None = None, *, paced: bool = True) -> None:
        self.wire, self.till, self.show = Wire(), Till(), Show()
        self.gone = 0
        session = ClientSession()
        session.receive(HELLO)
        self.socket = LiveSocket(self.show, viewer, "ann", session, self.till, self._gone, paced=paced)  # type: ignore[arg-type]
        self.connections: set[object] = {self.socket}
        parser = Protocol(Side.SERVER)
        self.socket.take(self.wire, self.connections, parser, None)  # type: ignore[arg-type]
        self.show.room.add(self.socket)
        self.socket.begin([])

    def _gone(self) -> None:
        self.gone += 1

    def hears(self, said: dict[str, Any] | str) -> None:
        text = said if isinstance(said, str) else json.dumps(said)
        self.socket.data_received(Frame(Opcode.TEXT, text.encode()).serialize(mask=True))


@pytest.fixture
async def scene() -> Scene:
    return Scene()


def order(ref: str) -> dict[str, Any]:
    return {"type": "order", "ref": ref, "drop": "d", "quantity": 1}


async def test_a_receipt_comes_when_the_order_is_decided_whatever_the_order_of_deciding(scene: Scene) -> None:
    scene.hears(order("one"))
    scene.hears(order("two"))
    (_, _, one), (_, _, two) = scene.till.taken
    two.set_result(Rejected("two", Reason.SOLD_OUT))
    one.set_result(Accepted("one", "o1", 1, 2400, "USD"))
    await asyncio.sleep(0)
    assert [said["ref"] for said in scene.wire.said] == ["two", "one"]


async def test_too_many_orders_in_flight_are_busy_at_once(scene: Scene) -> None:
    for number in range(ORDERS_IN_FLIGHT_MAX + 1):
        scene.hears(order(f"r{number}"))
    assert len(scene.till.taken) == ORDERS_IN_FLIGHT_MAX
    assert scene.wire.said == [
        {
            "type": "receipt",
            "ref": f"r{ORDERS_IN_FLIGHT_MAX}",
            "status": "rejected",
            "reason": "busy",
            "retry": True,
            "retry_in_ms": 1_000,
        }
    ]
    scene.till.taken[0][2].set_result(Rejected("r0", Reason.SOLD_OUT))
    await asyncio.sleep(0)
    scene.hears(order("again"))
    assert len(scene.till.taken) == ORDERS_IN_FLIGHT_MAX + 1


async def test_orders_that_come_too_fast_are_told_when_to_come_again(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = _stopped(monkeypatch)
    refused = metrics.LIMITED.labels("frames")._value.get()
    for number in range(FRAMES.at_once + 2):
        scene.hears(order(f"r{number}"))
    answers = [said["reason"] for said in scene.wire.said]
    assert answers.count("busy") == FRAMES.at_once - ORDERS_IN_FLIGHT_MAX
    limited = [said for said in scene.wire.said if said["reason"] == "rate_limited"]
    assert [said["ref"] for said in limited] == [f"r{FRAMES.at_once}", f"r{FRAMES.at_once + 1}"]
    assert all(said["retry"] and 500 <= said["retry_in_ms"] <= 1_500 for said in limited)
    assert metrics.LIMITED.labels("frames")._value.get() == refused + 2
    now_s[0] += 1 / FRAMES.per_s
    scene.till.taken[0][2].set_result(Rejected("r0", Reason.SOLD_OUT))
    await asyncio.sleep(0)
    scene.hears(order("again"))
    assert scene.till.taken[-1][1].ref == "again"
    assert scene.wire.code is None


async def test_who_does_not_heed_that_is_closed_and_may_not_come_back(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    _stopped(monkeypatch)
    for number in range(FRAMES.at_once + SURPLUS.at_once):
        scene.hears(order(f"r{number}"))
    assert scene.wire.code is None
    scene.hears(order("once too often"))
    assert (scene.wire.said[-1]["type"], scene.wire.said[-1]["reason"]) == ("fault", "rate_limited")
    assert (scene.wire.code, len(scene.till.taken)) == (4500, ORDERS_IN_FLIGHT_MAX)


@pytest.mark.parametrize("opcode", [Opcode.PING, Opcode.PONG, Opcode.CONT])
async def test_frames_that_say_nothing_count_as_well(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, opcode: Opcode
) -> None:
    _stopped(monkeypatch)
    if opcode is Opcode.CONT:
        scene.socket.data_received(Frame(Opcode.TEXT, b"{", fin=False).serialize(mask=True))
    empty = Frame(opcode, b"", fin=opcode is not Opcode.CONT).serialize(mask=True)
    for _ in range(FRAMES.at_once + SURPLUS.at_once + 1):
        scene.socket.data_received(empty)
    assert scene.wire.code == 4500
    assert scene.wire.pongs == (FRAMES.at_once if opcode is Opcode.PING else 0)


async def test_thirty_two_orders_that_are_busy_twice_a_second_keep_the_pace(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = _stopped(monkeypatch)
    for _ in range(20):
        for number in range(ORDERS_IN_FLIGHT_MAX):
            scene.hears(order(f"r{number}"))
            scene.till.taken.pop()[2].set_result(Rejected(f"r{number}", Reason.BUSY, 500))
        await asyncio.sleep(0)
        now_s[0] += 0.5
    assert {said["reason"] for said in scene.wire.said} == {"busy"}
    assert len(scene.wire.said) == 20 * ORDERS_IN_FLIGHT_MAX


async def test_switched_off_no_frame_is_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(paced=False)
    _stopped(monkeypatch)
    for number in range(1_000):
        scene.hears(order(f"r{number}"))
    assert {said["reason"] for said in scene.wire.said} == {"busy"}


def _stopped(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, which does not go by."""
    now_s = [time.monotonic()]
    monkeypatch.setattr("server.live.socket.time", SimpleNamespace(monotonic=lambda: now_s[0]))
    return now_s


async def test_who_leaves_is_out_of_the_room_and_its_order_is_still_decided(scene: Scene) -> None:
    scene.hears(order("one"))
    scene.wire.closed = True
    scene.socket.connection_lost(None)
    assert (len(scene.show.room), scene.gone, scene.connections) == (0, 1, set())
    scene.till.taken[0][2].set_result(Accepted("one", "o1", 1, 2400, "USD"))
    await asyncio.sleep(0)
    assert scene.wire.said == []


async def test_a_frame_that_cannot_be_read_is_told_and_nothing_after_it_is_heard(scene: Scene) -> None:
    scene.hears("{")
    scene.hears(order("late"))
    scene.socket.write('{"type":"late"}')
    assert [said["type"] for said in scene.wire.said] == ["fault"]
    assert (scene.wire.code, scene.till.taken, len(scene.show.room)) == (4500, [], 0)


async def test_a_close_that_is_answered_ends_the_connection(scene: Scene) -> None:
    scene.socket.close(1012)
    assert (scene.wire.code, scene.wire.closed) == (1012, False)
    scene.socket.data_received(Frame(Opcode.CLOSE, b"\x03\xf4").serialize(mask=True))
    assert scene.wire.closed


async def test_a_close_that_is_not_answered_cuts_the_connection(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.live.socket.CLOSE_WITHIN_S", 0)
    scene.socket.close(1012)
    for _ in range(10):  # a timer of no time is due in the next turns of the loop
        await asyncio.sleep(0)
    assert scene.wire.closed


async def test_a_viewer_whose_buffer_is_full_is_closed_as_too_slow(scene: Scene) -> None:
    scene.wire.waiting = OUTBOX_MAX_BYTES
    scene.socket.write_bounded(b"x")
    assert scene.wire.code == 4008


async def test_a_welcome_of_any_size_goes_out_and_does_not_make_its_viewer_too_slow(scene: Scene) -> None:
    text = json.dumps({"type": "welcome", "pad": "é" * OUTBOX_MAX_BYTES})
    scene.socket.welcome(text)
    scene.wire.waiting = 2 * OUTBOX_MAX_BYTES
    scene.socket.write('{"type":"tick"}')
    assert ([said["type"] for said in scene.wire.said], scene.wire.code) == (["welcome", "tick"], None)


async def test_a_viewer_that_has_caught_up_is_told_the_state_of_now(scene: Scene) -> None:
    scene.socket.pause_writing()
    scene.socket.resume_writing()
    scene.socket.resume_writing()
    assert scene.show.refreshed == [scene.socket]


async def test_an_error_of_ours_closes_this_socket_only(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    def broken(*_: object) -> asyncio.Future[Receipt]:
        raise RuntimeError("a bug")

    scene.till.place = broken  # type: ignore[method-assign]
    scene.hears(order("one"))
    assert scene.wire.code == 1013
    assert "a socket failed" in caplog.text


# Receipts whose socket is gone

ANN = User("a" * 32, "ann@example.com", "Ann", Role.VIEWER)


async def _decided(scene: Scene, receipt: Receipt, n: int = 0) -> None:
    scene.till.taken[n][2].set_result(receipt)
    await asyncio.sleep(0)


@pytest.mark.parametrize(
    "receipt", [Accepted("one", "o1", 1, 2400, "USD"), Rejected("one", Reason.SOLD_OUT)], ids=["accepted", "sold out"]
)
async def test_a_receipt_whose_socket_is_gone_is_brought_to_its_viewer(receipt: Receipt) -> None:
    scene = Scene(ANN)
    before = time.monotonic()
    scene.hears(order("one"))
    scene.wire.closed = True  # the transport knows; connection_lost is only due
    await _decided(scene, receipt)
    ((viewer, brought, asked_at_s),) = scene.show.brought
    assert (viewer, brought) == (ANN.id, receipt)
    assert asked_at_s is not None
    assert before <= asked_at_s <= time.monotonic()


async def test_a_receipt_that_is_written_is_brought_to_nobody() -> None:
    scene = Scene(ANN)
    scene.hears(order("one"))
    await _decided(scene, Accepted("one", "o1", 1, 2400, "USD"))
    assert ([said["ref"] for said in scene.wire.said], scene.show.brought) == (["one"], [])


async def test_a_receipt_that_does_not_fit_any_more_is_brought_to_its_viewer() -> None:
    scene = Scene(ANN)
    scene.hears(order("one"))
    scene.wire.waiting = OUTBOX_MAX_BYTES
    await _decided(scene, Accepted("one", "o1", 1, 2400, "USD"))
    assert (scene.wire.code, len(scene.show.brought)) == (4008, 1)


async def test_an_order_that_was_not_decided_and_an_order_of_a_guest_have_nothing_to_bring() -> None:
    for scene, reason in ((Scene(ANN), Reason.BUSY), (Scene(ANN), Reason.DRAINING), (Scene(), Reason.LOGIN_REQUIRED)):
        scene.hears(order("one"))
        scene.wire.closed = True
        await _decided(scene, Rejected("one", reason))
        assert scene.show.brought == []


@pytest.mark.parametrize(
    "first", [Accepted("one", "o1", 1, 2400, "USD"), Rejected("one", Reason.SOLD_OUT)], ids=["accepted", "sold out"]
)
async def test_a_double_click_gets_the_first_receipt_twice_and_is_asked_for_once(first: Receipt) -> None:
    scene = Scene(ANN)
    scene.hears(order("one"))
    scene.hears(order("one"))
    await _decided(scene, first)
    scene.hears(order("one"))
    await asyncio.sleep(0)
    assert len(scene.till.taken) == 1
    assert [(said["ref"], said["status"]) for said in scene.wire.said] == [("one", scene.wire.said[0]["status"])] * 3


async def test_who_was_told_to_ask_again_is_asked_for_again() -> None:
    scene = Scene(ANN)
    scene.hears(order("one"))
    scene.hears(order("one"))
    await _decided(scene, Rejected("one", Reason.BUSY))
    scene.hears(order("one"))
    assert [taken[1].ref for taken in scene.till.taken] == ["one", "one"]


async def test_the_same_ref_with_another_body_is_asked_for_by_itself() -> None:
    scene = Scene(ANN)
    scene.hears(order("one"))
    scene.hears(order("one") | {"quantity": 2})
    assert len(scene.till.taken) == 2
    await _decided(scene, Rejected("one", Reason.CONFLICT), 1)
    await _decided(scene, Accepted("one", "o1", 1, 2400, "USD"))
    scene.hears(order("one"))
    await asyncio.sleep(0)
    assert [said["status"] for said in scene.wire.said] == ["rejected", "accepted", "accepted"]


async def test_a_socket_knows_what_it_asked_for_unless_it_was_told_to_ask_again() -> None:
    scene = Scene(ANN)
    scene.hears(order("one"))
    scene.hears(order("two"))
    assert (scene.socket.has_asked("one"), scene.socket.has_asked("three")) == (True, False)
    await _decided(scene, Accepted("one", "o1", 1, 2400, "USD"))
    await _decided(scene, Rejected("two", Reason.BUSY), 1)
    assert (scene.socket.has_asked("one"), scene.socket.has_asked("two")) == (True, False)
    for number in range(ASKED_MAX):
        scene.hears(order(f"r{number}"))
        await _decided(scene, Rejected(f"r{number}", Reason.SOLD_OUT), number + 2)
    assert not scene.socket.has_asked("one")
    scene.wire.closed = True
    assert not scene.socket.has_asked("r1")  # it will not get that answer

"""A viewer's connection: bounded on its way out, and what the session answers to what comes in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from server.domain.errors import Reason
from server.domain.order import Accepted, Receipt, Rejected
from server.domain.user import Role, User
from server.live import connection as connection_module
from server.live.connection import (
    ORDERS_IN_FLIGHT_MAX,
    OUTBOX_MAX_BYTES,
    OUTBOX_SLOW_BYTES,
    Connection,
    Disconnected,
    Reception,
)
from server.live.hub import Hub
from server.live.relay import Relay
from server.protocol.codes import CloseCode
from server.protocol.frames import PlaceOrder

from .examples import EPOCH, SLUG, MemoryBell, MemoryLog

ANN = User("a" * 32, "ann@example.com", "Ann", Role.VIEWER)
BOB = User("b" * 32, "bob@example.com", "Bob", Role.VIEWER)
HELLO = '{"type":"hello","v":1}'
WITHIN_S = 5.0


class Socket:
    """A wire whose other side is the test: it says texts, hears texts, stalls and hangs up."""

    def __init__(self) -> None:
        self.heard: asyncio.Queue[str] = asyncio.Queue()
        self.code: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.takes = asyncio.Event()
        self.takes.set()
        self._said: asyncio.Queue[str | None] = asyncio.Queue()
        self._gone = False

    # The test's side

    def say(self, text: str | dict[str, Any]) -> None:
        self._said.put_nowait(text if isinstance(text, str) else msgspec.json.encode(text).decode())

    def hang_up(self) -> None:
        self._gone = True
        self._said.put_nowait(None)

    async def hear(self) -> dict[str, Any]:
        return dict(msgspec.json.decode(await asyncio.wait_for(self.heard.get(), WITHIN_S)))

    async def closed(self) -> int:
        return await asyncio.wait_for(asyncio.shield(self.code), WITHIN_S)

    # The server's side

    async def receive(self) -> str:
        said = await self._said.get()
        if said is None:
            raise Disconnected
        return said

    async def send(self, text: str) -> None:
        await self.takes.wait()
        if self._gone:
            raise Disconnected
        self.heard.put_nowait(text)

    async def close(self, code: int) -> None:
        if not self.code.done():
            self.code.set_result(code)


@asynccontextmanager
async def running(connection: Connection) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(connection.run())
    yield task
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


# The way out


async def test_frames_go_out_in_order_and_then_the_socket_closes() -> None:
    socket = Socket()
    connection = Connection(socket)
    for frame in ("1", "2", "3"):
        connection.write(frame)
    connection.close(CloseCode.RESTARTING)
    connection.close(CloseCode.TOO_SLOW)  # the first code counts
    connection.write("too late")
    await asyncio.wait_for(connection.run(), WITHIN_S)
    assert [socket.heard.get_nowait() for _ in range(socket.heard.qsize())] == ["1", "2", "3"]
    assert await socket.closed() == CloseCode.RESTARTING
    assert connection.closed


async def test_a_slow_viewer_is_spared_state_frames_but_no_facts() -> None:
    socket = Socket()
    connection = Connection(socket)
    connection.write("x" * OUTBOX_SLOW_BYTES)
    connection.write("still fits", state=True)
    connection.write("skipped", state=True)
    connection.write("a fact")
    async with running(connection):
        heard = [await asyncio.wait_for(socket.heard.get(), WITHIN_S) for _ in range(3)]
        assert heard[1:] == ["still fits", "a fact"]
        await asyncio.sleep(0)
        connection.write("fast again", state=True)
        assert await asyncio.wait_for(socket.heard.get(), WITHIN_S) == "fast again"


async def test_a_viewer_who_does_not_keep_up_is_cut_before_the_outbox_grows() -> None:
    socket = Socket()
    connection = Connection(socket)
    connection.write("")  # the first frame does not count
    kept = 0
    for _ in range(10):
        connection.write("x" * (OUTBOX_MAX_BYTES // 4))
        kept = max(kept, sum(map(len, connection._outbox)))
    assert kept == OUTBOX_MAX_BYTES
    assert not connection._outbox  # nothing is kept for who is cut
    await asyncio.wait_for(connection.run(), WITHIN_S)
    assert await socket.closed() == CloseCode.TOO_SLOW


async def test_a_welcome_of_any_size_goes_out_and_what_comes_after_it_is_bounded_as_ever() -> None:
    socket = Socket()
    connection = Connection(socket)
    connection.write("w" * (OUTBOX_MAX_BYTES * 4))  # a thousand missed events of a busy stream
    connection.write("x" * OUTBOX_MAX_BYTES)
    async with running(connection):
        assert [len(await asyncio.wait_for(socket.heard.get(), WITHIN_S)) for _ in "12"] == [
            OUTBOX_MAX_BYTES * 4,
            OUTBOX_MAX_BYTES,
        ]
    assert not connection._outbox


async def test_the_bound_is_in_bytes_whatever_the_language() -> None:
    connection = Connection(Socket())
    connection.write("the first frame")
    connection.write("限" * (OUTBOX_MAX_BYTES // 2))
    assert not connection._outbox


async def test_a_socket_that_takes_nothing_at_all_is_closed_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_module, "_CLOSE_WITHIN_S", 0.05)
    socket = Socket()
    socket.takes.clear()
    connection = Connection(socket)
    async with running(connection) as task:
        connection.write("never taken")
        await asyncio.sleep(0)
        connection.write("x")
        connection.write("x" * OUTBOX_MAX_BYTES)
        connection.write("x" * OUTBOX_MAX_BYTES)
        assert await socket.closed() == CloseCode.TOO_SLOW
        await asyncio.wait_for(task, WITHIN_S)


async def test_a_viewer_who_is_gone_ends_the_sending() -> None:
    socket = Socket()
    connection = Connection(socket)
    socket.hang_up()
    connection.write("to nobody")
    await asyncio.wait_for(connection.run(), WITHIN_S)
    assert connection.closed


# The session


class Till:
    """Takes orders; the test answers them."""

    def __init__(self) -> None:
        self.taken: list[tuple[User | None, PlaceOrder, asyncio.Future[Receipt]]] = []

    def place(self, viewer: User | None, order: PlaceOrder) -> asyncio.Future[Receipt]:
        future: asyncio.Future[Receipt] = asyncio.get_running_loop().create_future()
        self.taken.append((viewer, order, future))
        return future


class Tickets:
    async def redeem(self, ticket: str, stream: str) -> User | None:
        return BOB if (ticket, stream) == ("bobs", SLUG) else None


class House:
    """A reception over a log in memory."""

    def __init__(self) -> None:
        self.log, self.hub, self.till = MemoryLog(), Hub(), Till()
        self.log.start()
        self.log.schedule()
        self.log.open()
        self.relay = Relay(self.hub, self.log, MemoryBell(), replica="here", epoch=EPOCH)
        self.reception = Reception(self.relay, self.till, Tickets())

    @asynccontextmanager
    async def visited(self, *said: str | dict[str, Any], user: User | None = None, slug: str = SLUG):
        """A socket that says these frames."""
        socket = Socket()
        for text in said:
            socket.say(text)
        serving = asyncio.create_task(self.reception.receive(socket, slug, user))
        try:
            yield socket
            socket.hang_up()
            await asyncio.wait_for(serving, WITHIN_S)
        finally:
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)


@pytest.fixture
async def house() -> AsyncIterator[House]:
    house = House()
    yield house
    await house.relay.close()
    assert len(house.hub) == 0


def order(ref: str, **more: Any) -> dict[str, Any]:
    return {"type": "order", "ref": ref, "drop": "d" * 32, "quantity": 1, **more}


async def test_hello_is_answered_with_a_welcome_and_orders_with_receipts(house: House) -> None:
    async with house.visited(HELLO, order("r1"), order("r2"), user=ANN) as socket:
        welcome = await socket.hear()
        assert (welcome["type"], welcome["viewer"]) == ("welcome", {"id": ANN.id, "name": "Ann"})
        while len(house.till.taken) < 2:  # noqa: ASYNC110
            await asyncio.sleep(0)
        (_, _, first), (viewer, placed, second) = house.till.taken
        assert (viewer, placed.ref) == (ANN, "r2")
        second.set_result(Accepted("r2", "o2", 1, 2400, "USD"))
        assert (await socket.hear())["ref"] == "r2"  # whichever is decided first
        first.set_result(Rejected("r1", Reason.SOLD_OUT))
        assert await socket.hear() == {
            "type": "receipt",
            "ref": "r1",
            "status": "rejected",
            "reason": "sold_out",
            "retry": False,
        }


async def test_without_a_cookie_you_are_a_guest_and_with_a_ticket_its_bearer(house: House) -> None:
    async with house.visited(HELLO) as guest:
        assert (await guest.hear())["viewer"] is None
    async with house.visited('{"type":"hello","v":1,"ticket":"bobs"}', user=ANN) as bearer:
        assert (await bearer.hear())["viewer"]["name"] == "Bob"


async def test_a_bad_ticket_is_told_and_closed(house: House) -> None:
    async with house.visited('{"type":"hello","v":1,"ticket":"used"}', user=ANN) as socket:
        assert (await socket.hear())["reason"] == "not_allowed"
        assert await socket.closed() == CloseCode.NOT_ALLOWED


async def test_a_stream_that_is_not_there_is_unknown(house: House) -> None:
    for slug in ("monday", "NO SLUG", "x" * 100):
        async with house.visited(HELLO, slug=slug) as socket:
            assert await socket.closed() == CloseCode.UNKNOWN_STREAM


async def test_who_says_nothing_is_let_go(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_module, "HELLO_WITHIN_S", 0.02)
    async with house.visited() as socket:
        assert await socket.closed() == CloseCode.NO_HELLO


@pytest.mark.parametrize("said", ["{", '{"type":"order"}', HELLO, '{"type":"order","ref":"r"}'])
async def test_a_bad_frame_is_told_and_closed_and_nobody_else_notices(house: House, said: str) -> None:
    async with house.visited(HELLO) as other, house.visited(HELLO, said) as socket:
        await socket.hear()
        assert (await socket.hear())["type"] == "fault"
        assert await socket.closed() == CloseCode.BAD_FRAME
        await other.hear()
        house.relay._open[SLUG].stream.tick()
        assert (await other.hear())["type"] == "tick"


async def test_a_database_that_does_not_answer_means_come_back_later(house: House) -> None:
    house.log.down = True
    async with house.visited(HELLO) as socket:
        assert await socket.closed() == CloseCode.TOO_BUSY


async def test_a_stream_that_cannot_be_read_closes_its_viewers_and_does_not_hold_them(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> object:
        raise ValueError("a row nobody can read")

    monkeypatch.setattr(house.log, "whole", broken)
    async with house.visited(HELLO) as socket:
        assert await socket.closed() == CloseCode.TOO_BUSY


async def test_too_many_orders_in_flight_are_busy_at_once(house: House) -> None:
    said = [order(f"r{n}") for n in range(ORDERS_IN_FLIGHT_MAX + 1)]
    async with house.visited(HELLO, *said, user=ANN) as socket:
        await socket.hear()
        assert (await socket.hear())["reason"] == "busy"
        assert len(house.till.taken) == ORDERS_IN_FLIGHT_MAX
        house.till.taken[0][2].set_result(Rejected("r0", Reason.SOLD_OUT))
        await socket.hear()
        socket.say(order("again"))
        while len(house.till.taken) <= ORDERS_IN_FLIGHT_MAX:  # noqa: ASYNC110
            await asyncio.sleep(0)


async def test_who_heard_more_elsewhere_is_answered_exactly(house: House) -> None:
    """The viewer comes from a replica that heard event 4 before this one did."""
    async with house.visited(HELLO) as first:
        await first.hear()
        house.log.start()
        async with house.visited({"type": "hello", "v": 1, "position": {"epoch": EPOCH, "seq": 4}}) as second:
            assert (await second.hear())["missed"] == []
        assert (await first.hear())["seq"] == 4


async def test_who_leaves_is_out_of_the_room_and_its_orders_are_still_decided(house: House) -> None:
    async with house.visited(HELLO, order("r1"), user=ANN) as socket:
        await socket.hear()
        while not house.till.taken:  # noqa: ASYNC110
            await asyncio.sleep(0)
        assert len(house.hub) == 1
    assert len(house.hub) == 0
    future = house.till.taken[0][2]
    assert not future.cancelled()
    future.set_result(Rejected("r1", Reason.SOLD_OUT))
    await asyncio.sleep(0)

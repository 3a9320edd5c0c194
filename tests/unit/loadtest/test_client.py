"""The viewer against a scripted server: every connection is answered by the next act of a play."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from types import MappingProxyType
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve

from loadtest.backoff import Backoff
from loadtest.client import Viewer, comes_back
from loadtest.errors import Gone, Over
from server.domain.drop import Drop, DropStatus, DropVariant, StockLine
from server.domain.events import DropEvent, EventKind, Position
from server.domain.stream import StreamState
from server.domain.views import Stream, StreamStatus
from server.protocol import codec

Act = Callable[["Stage"], Awaitable[None]]
QUICK = Backoff(base_s=0.001, cap_s=0.002)


class Stage:
    """One connection, seen from the server."""

    def __init__(self, socket: ServerConnection, hello: dict[str, Any]) -> None:
        self.hello = hello
        self._socket = socket

    async def say(self, text: str | dict[str, Any]) -> None:
        await self._socket.send(text if isinstance(text, str) else json.dumps(text))

    async def hear(self) -> dict[str, Any]:
        return dict(json.loads(await self._socket.recv()))

    async def close(self, code: int) -> None:
        await self._socket.close(code)

    async def vanish(self) -> None:
        self._socket.transport.abort()

    async def stay(self) -> None:
        await self._socket.wait_closed()


@asynccontextmanager
async def server(*acts: Act) -> AsyncIterator[str]:
    play = iter(acts)

    async def receive(socket: ServerConnection) -> None:
        act = next(play, None)
        if act is None:
            await socket.close(4500, "the play is over")
            return
        await act(Stage(socket, json.loads(await socket.recv())))

    async with serve(receive, "127.0.0.1", 0) as listening:
        port = next(iter(listening.sockets)).getsockname()[1]
        yield f"http://127.0.0.1:{port}"


def viewer(url: str, **options: Any) -> Viewer:
    return Viewer(url, "demo", backoff=QUICK, **options)


def drop(left: int, version: int, status: DropStatus = DropStatus.OPEN) -> Drop:
    variants = (DropVariant("v", "V", left, version),)
    return Drop("d", "Lamp", None, 100, "USD", 2, 1, None, variants, status, "p")


def welcome(seq: int, *drops: Drop, missed: tuple[str, ...] | None = None, stock: tuple[StockLine, ...] = ()) -> str:
    state = StreamState(
        Stream("demo", "T", "H", StreamStatus.LIVE, None, None), MappingProxyType({d.id: d for d in drops}), seq
    )
    return codec.encode_welcome(
        session="s",
        viewer=None,
        now_ms=1,
        tick_ms=15_000,
        position=Position("e", seq),
        stock=codec.stock_lines(stock),
        snapshot=codec.snapshot_of(state) if missed is None else None,
        missed=missed,
    )


def event(seq: int, changed: Drop, kind: EventKind = EventKind.DROP_OPENED) -> str:
    return codec.encode_event(seq, 1, DropEvent(kind, changed))


async def test_it_follows_events_and_stock_with_the_fold_the_server_uses() -> None:
    async def act(stage: Stage) -> None:
        assert stage.hello == {"type": "hello", "v": 1, "ticket": None, "position": None}
        await stage.say(welcome(4))
        await stage.say(event(5, drop(9, 1)))
        await stage.say(codec.encode_stock([StockLine("d", "v", 7, 3)]))
        await stage.say(codec.encode_stock([StockLine("d", "v", 8, 2)]))  # older: says nothing new
        await stage.say(json.dumps({"type": "event", "seq": 6, "at": 1, "event": {"kind": "fireworks"}}))
        await stage.stay()

    async with server(act) as url, viewer(url) as watching:
        state = await watching.until(lambda state: state.seq == 6)
    assert state.drops["d"].variants == (DropVariant("v", "V", 7, 3),)


async def test_it_comes_back_with_its_position_and_takes_what_it_missed() -> None:
    async def first(stage: Stage) -> None:
        await stage.say(welcome(4, drop(9, 1)))
        await stage.vanish()

    async def second(stage: Stage) -> None:
        assert stage.hello["position"] == {"epoch": "e", "seq": 4}
        missed = event(5, drop(0, 2, DropStatus.SOLD_OUT), EventKind.DROP_SOLD_OUT)
        await stage.say(welcome(5, missed=(missed,), stock=(StockLine("d", "v", 0, 3),)))
        await stage.stay()

    async with server(first, second) as url, viewer(url) as watching:
        state = await watching.until(lambda state: state.seq == 5)
    assert state.drops["d"].status is DropStatus.SOLD_OUT
    assert state.drops["d"].variants[0].version == 3


@pytest.mark.parametrize("says", [event(6, drop(9, 1)), '{"type": "tick", "now": 1, "seq": 5, "viewers": 1}', "{"])
async def test_a_hole_or_a_frame_that_cannot_be_read_makes_it_come_back_for_what_it_lacks(says: str) -> None:
    async def first(stage: Stage) -> None:
        await stage.say(welcome(4))
        await stage.say(says)
        await stage.stay()

    async def second(stage: Stage) -> None:
        assert stage.hello["position"] == {"epoch": "e", "seq": 4}
        await stage.say(welcome(6, missed=(event(5, drop(9, 1)), event(6, drop(9, 1)))))
        await stage.stay()

    async with server(first, second) as url, viewer(url) as watching:
        await watching.until(lambda state: state.seq == 6)
        assert watching.reconnects == 1


async def test_an_order_is_sent_again_under_its_ref_until_it_is_answered() -> None:
    refs: list[str] = []

    async def takes_it_and_dies(stage: Stage) -> None:
        await stage.say(welcome(4, drop(9, 1)))
        refs.append((await stage.hear())["ref"])
        await stage.vanish()

    async def answers(stage: Stage) -> None:
        await stage.say(welcome(4, drop(9, 1)))
        order = await stage.hear()
        refs.append(order["ref"])
        assert (order["drop"], order["variant"], order["quantity"]) == ("d", "v", 2)
        receipt = {"type": "receipt", "ref": order["ref"], "status": "accepted", "order": "o", "quantity": 2}
        await stage.say(receipt)
        await stage.say(receipt)  # a second one is nobody's any more
        await stage.stay()

    async with server(takes_it_and_dies, answers) as url, viewer(url) as buying:
        await buying.until(lambda state: "d" in state.drops)
        receipt = await asyncio.wait_for(buying.order("d", 2, "v"), 5)
    assert receipt.order == "o"
    assert len(refs) == 2
    assert refs[0] == refs[1]


async def test_drain_is_obeyed_even_when_the_server_does_not_close() -> None:
    left = asyncio.Event()

    async def leaves(stage: Stage) -> None:
        await stage.say(welcome(4))
        await stage.say({"type": "drain", "reconnect_in_ms": 50})
        await stage.stay()
        left.set()

    async def resumes(stage: Stage) -> None:
        await stage.say(welcome(4, missed=()))
        await stage.say(event(5, drop(1, 1)))
        await stage.stay()

    async with server(leaves, resumes) as url, viewer(url) as watching:
        await watching.until(lambda state: state.seq == 5)
        assert left.is_set()


async def test_after_a_code_that_says_never_it_stays_away_and_everybody_who_waits_is_told() -> None:
    async def over(stage: Stage) -> None:
        await stage.say(welcome(4, drop(9, 1)))
        await stage.hear()
        await stage.close(4503)

    async with server(over) as url, viewer(url) as watching:
        await watching.until(lambda state: state.seq == 4)
        with pytest.raises(Over, match="4503"):
            await watching.order("d", 1)
        with pytest.raises(Over, match="4503"):
            await watching.until(lambda state: state.seq == 5)


async def test_a_refused_ticket_is_replaced_once_and_no_more() -> None:
    tickets: list[str] = []

    async def ticket() -> str:
        tickets.append(f"t{len(tickets)}")
        return tickets[-1]

    async def refuses(stage: Stage) -> None:
        assert stage.hello["ticket"] == tickets[-1]
        await stage.close(4501)

    async with server(refuses, refuses) as url, viewer(url, ticket=ticket) as watching:
        with pytest.raises(Over, match="4501"):
            await watching.until(lambda _: True)
    assert tickets == ["t0", "t1"]


async def test_it_gives_up_when_nobody_answers_for_too_long() -> None:
    async with server() as url:
        pass  # nobody listens here any more
    async with viewer(url, give_up_after_s=0.05) as watching:
        with pytest.raises(Gone, match="no answer"):
            await watching.until(lambda _: True)


async def test_leaving_ends_its_task() -> None:
    async def act(stage: Stage) -> None:
        await stage.say(welcome(4))
        await stage.stay()

    before = asyncio.all_tasks()
    async with server(act) as url:
        async with viewer(url) as watching:
            await watching.until(lambda _: True)
        assert not any(task.get_name().startswith("viewer") for task in asyncio.all_tasks() - before)


@pytest.mark.parametrize("code", [1001, 1006, 1011, 1012, 1013, 4000, 4008, 4012, 4499])
def test_codes_after_which_a_client_comes_back(code: int) -> None:
    assert comes_back(code)


@pytest.mark.parametrize("code", [1000, 1002, 1008, 1009, 4500, 4501, 4503, 4504, 4999])
def test_codes_after_which_a_client_stays_away(code: int) -> None:
    assert not comes_back(code)

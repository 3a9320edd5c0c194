"""A viewer that reads too slowly, or not at all: it costs little, harms nobody, and misses nothing when it returns."""

from __future__ import annotations

import asyncio
import gc
import json
import re
import secrets
import socket
import weakref
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import repeat
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
import uvicorn
import uvloop
from redis.asyncio import Redis as AsyncRedis
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from starlette.types import Receive, Scope, Send

from server.bus.names import stream_channel
from server.domain.drop import StockLine
from server.live import socket as live_socket
from server.live.room import Room
from server.live.socket import LiveSocket, LiveWSProtocol, handover_of
from server.protocol import codec, frames
from server.protocol.session import ClientSession
from tests.client import Api, LiveClient
from tests.journeys.conftest import PASSWORD, furnish
from tests.raw import CLOSE, PING, TEXT, Ended, RawClient, Said, close, frame
from tests.services.mariadb import MariaDB
from tests.services.redis import Redis
from tests.services.replica import Replica, shared_settings

HELLO = frame(TEXT, '{"type":"hello","v":1}')
STALLED = 100
MOST_BYTES_EACH = 256 * 1024


class Stage:
    """A replica, and a host who is on the air."""

    def __init__(self, settings: dict[str, str], replica: Replica) -> None:
        self.settings = settings
        self.replica = replica

    async def metric(self, name: str) -> float:
        async with httpx.AsyncClient(base_url=self.replica.url, trust_env=False) as client:
            said = (await client.get("/metrics")).text
        found = re.search(rf"^{re.escape(name)} (\S+)$", said, re.MULTILINE)
        return float(found.group(1)) if found else 0.0

    async def until(self, name: str, value: float, *, within_s: float = 10.0) -> None:
        """Waits for a metric, which nobody announces."""
        async with asyncio.timeout(within_s):
            while await self.metric(name) != value:  # noqa: ASYNC110
                await asyncio.sleep(0.02)

    def resident_bytes(self, what: str = "VmRSS") -> int:
        """What the replica has in memory; `VmHWM` is the most since `forget_peak`."""
        status = Path(f"/proc/{self.replica.pid}/status").read_text()
        found = re.search(rf"^{what}:\s+(\d+) kB$", status, re.MULTILINE)
        assert found is not None
        return int(found.group(1)) * 1024

    def forget_peak(self) -> None:
        Path(f"/proc/{self.replica.pid}/clear_refs").write_text("5")


class Show:
    """A live stream with a drop on sale. What it tells is committed and rung as the server itself would."""

    def __init__(
        self, stage: Stage, slug: str, drop: str, variant: str, redis: AsyncRedis, stack: AsyncExitStack
    ) -> None:
        self.stage, self.slug, self.drop, self.variant = stage, slug, drop, variant
        self._redis, self._stack = redis, stack

    async def head(self) -> int:
        """The last event there is."""
        return int((await self._sql("SELECT seq FROM streams WHERE slug = :slug", slug=self.slug))[0][0])

    async def tell(self, count: int, size: int = 1500) -> None:
        """So many events of a kind that only a later version knows."""
        head = await self.head()
        told = [
            f'{{"type":"event","seq":{seq},"at":1,"event":{{"kind":"note","pad":"{"x" * size}"}}}}'
            for seq in range(head + 1, head + count + 1)
        ]
        for number, event in enumerate(told, head + 1):
            await self._sql(
                "INSERT INTO events (stream_id, seq, kind, at, frame)"
                " SELECT id, :seq, 'note', UTC_TIMESTAMP(6), :frame FROM streams WHERE slug = :slug",
                slug=self.slug,
                seq=number,
                frame=event,
            )
        await self._sql("UPDATE streams SET seq = seq + :count WHERE slug = :slug", slug=self.slug, count=count)
        for event in told:
            await self._redis.publish(stream_channel(self.slug), event)

    async def sell(self, *versions: int) -> None:
        """Stock of these versions, each told at once, as it is when little is left."""
        for version in versions:
            line = StockLine(self.drop, self.variant, 5, version)
            await self._redis.publish(stream_channel(self.slug), codec.encode_stock([line]))

    async def watch(self, **options: Any) -> LiveClient:
        """Somebody who reads."""
        client = await LiveClient.join(self.stage.replica.ws_url(self.slug), **options)
        return await self._stack.enter_async_context(client)

    async def stall(self) -> RawClient:
        """Somebody who says hello and reads nothing, with as little room as the kernel allows."""
        port = self.stage.replica.port
        client = await RawClient.upgrade(port, f"/ws/{self.slug}", receive_buffer_bytes=2048)
        await client.send(HELLO)
        return await self._stack.enter_async_context(client)

    async def _sql(self, query: str, **values: Any) -> list[Any]:
        async with self._engine.begin() as connection:
            result = await connection.execute(text(query), values)
            return list(result.all()) if result.returns_rows else []

    _engine: Any


@pytest.fixture(scope="module")
def stage(_shared_mariadb: MariaDB, _shared_redis: Redis) -> Iterator[Stage]:
    """One replica over MariaDB and Redis."""
    database = _shared_mariadb.ensure().create_database()
    settings = {
        **shared_settings(_shared_mariadb.url(database), _shared_redis.ensure().fresh_url()),
        "DROPCAST_RATE_LIMITS": "off",
        "DROPCAST_DRAIN_WITHIN_S": "1",
    }
    asyncio.run(furnish(settings))
    with Replica(settings) as replica:
        yield Stage(settings, replica)


async def opened(stage: Stage, stack: AsyncExitStack) -> Show:
    """A new stream with a drop on sale."""
    host = await stack.enter_async_context(Api(stage.replica.url))
    await host.login("host@example.com", PASSWORD)
    (product,) = [known for known in await host.products("DEMO-1") if known["sku"] == "DEMO-1"]
    slug, variant = "show-" + secrets.token_hex(4), product["variants"][0]["id"]
    await host.create_stream(slug)
    await host.start(slug)
    drop = (await host.create_drop(slug, product["id"], stock={variant: 100}, limit=10))["id"]
    await host.open(drop)
    redis = AsyncRedis.from_url(stage.settings["DROPCAST_BUS_URL"], protocol=2)
    stack.push_async_callback(redis.aclose)
    show = Show(stage, slug, drop, variant, redis, stack)
    show._engine = create_async_engine(stage.settings["DROPCAST_DATABASE_URL"])
    stack.push_async_callback(show._engine.dispose)
    return show


@pytest_asyncio.fixture
async def show(stage: Stage) -> AsyncIterator[Show]:
    before = len(stage.replica.log_text())
    async with AsyncExitStack() as stack:
        yield await opened(stage, stack)
    await stage.until("dropcast_sockets", 0)
    said = stage.replica.log_text()[before:]
    assert '"level": "error"' not in said, said
    assert "Traceback" not in said, said


async def test_a_hundred_who_do_not_read_are_let_go_cost_little_and_slow_nobody(stage: Stage, show: Show) -> None:
    async with Api(stage.replica.url) as viewer:
        await viewer.login("viewer@example.com", PASSWORD)
        healthy = await show.watch(ticket=await viewer.ticket(show.slug))
    too_slow = 'dropcast_sockets_closed_total{code="4008"}'
    cut_before = await stage.metric(too_slow)
    await show.tell(1)
    before = stage.resident_bytes()
    stage.forget_peak()
    for _ in range(STALLED):
        await show.stall()
    await stage.until("dropcast_sockets", 1 + STALLED)
    for _ in range(30):
        ref = await healthy.order(show.drop)
        await show.tell(12)
        assert (await healthy.expect_receipt(ref, within=2)).status in ("accepted", "rejected")
    head = await show.head()
    while healthy.position.seq < head:
        await healthy.expect_event("note")
    await stage.until(too_slow, cut_before + STALLED)
    await stage.until("dropcast_sockets", 1)
    grown = stage.resident_bytes("VmHWM") - before
    assert grown <= STALLED * MOST_BYTES_EACH, f"{grown / STALLED / 1024:.0f} KiB each"
    assert healthy.closed is None
    assert healthy.seen == list(range(healthy.seen[0], head + 1))
    await healthy.expect_stock(lambda line: line.left == 90)


def events_of(said: list[Said]) -> list[int]:
    found = [json.loads(each.payload) for each in said if each.opcode == TEXT]
    return [each["seq"] for each in found if each["type"] == "event"]


def versions_of(said: list[Said]) -> list[int]:
    found = [json.loads(each.payload) for each in said if each.opcode == TEXT]
    return [line["version"] for each in found if each["type"] == "stock" for line in each["stock"]]


async def test_who_reads_again_in_time_has_every_event_and_the_stock_of_now(show: Show) -> None:
    healthy = await show.watch()
    start = healthy.position.seq
    lagging = await show.stall()
    welcome = await lagging.said()
    assert json.loads(welcome.payload)["position"]["seq"] == start
    for first in range(1_000, 4_000, 200):  # more stock than its buffers hold: from some point on it gets none
        await show.sell(*range(first, first + 200))
        await healthy.expect_stock(lambda line, last=first + 199: line.version == last)  # type: ignore[misc]
    await show.tell(10)
    await show.sell(5_000)
    for _ in range(10):
        await healthy.expect_event("note")
    await healthy.expect_stock(lambda line: line.version == 5_000)

    heard = await lagging.until(lambda said: 5_000 in versions_of([said]))
    assert events_of(heard) == list(range(start + 1, start + 11))
    versions = versions_of(heard)
    assert versions == sorted(versions)
    assert len(versions) < 3_000, "it was never slow: this test proves nothing"
    await show.tell(1)
    await show.sell(5_001)
    heard = await lagging.until(lambda said: 5_001 in versions_of([said]))
    assert events_of(heard) == [start + 11]


async def test_who_is_cut_comes_back_with_its_position_and_has_missed_nothing(stage: Stage, show: Show) -> None:
    healthy = await show.watch()
    lagging = await show.stall()
    welcome = json.loads((await lagging.said()).payload)
    cut_before = await stage.metric('dropcast_sockets_closed_total{code="4008"}')
    while await stage.metric('dropcast_sockets_closed_total{code="4008"}') == cut_before:
        await show.tell(20)
    await show.tell(5)
    heard = await lagging.until(lambda said: said.opcode == CLOSE)
    assert heard[-1].code == 4008
    await lagging.send(close(4008))
    with pytest.raises(Ended):
        await lagging.said()
    seqs = events_of(heard)
    assert seqs == list(range(welcome["position"]["seq"] + 1, seqs[-1] + 1))

    head = await show.head()
    assert seqs[-1] < head
    back = await show.watch(position=frames.Position(welcome["position"]["epoch"], seqs[-1]))
    assert back.snapshot is None
    assert back.seen == list(range(seqs[-1] + 1, head + 1))
    while healthy.position.seq < head:
        await healthy.expect_event("note")


async def test_viewers_who_leave_during_a_drain_cost_nobody_else_its_goodbye(stage: Stage) -> None:
    with Replica(stage.settings) as leaving:
        async with AsyncExitStack() as stack:
            show = await opened(Stage(stage.settings, leaving), stack)
            staying = [await show.watch() for _ in range(20)]
            going = [await show.stall() for _ in range(20)]
            for client in going:
                await client.until(lambda said: b'"type":"welcome"' in said.payload)
            leaving.terminate()
            drained = [asyncio.create_task(client.expect(frames.DrainFrame)) for client in staying]
            await asyncio.wait(drained, return_when=asyncio.FIRST_COMPLETED)  # it has begun
            for client in going:
                client.reset()
            await asyncio.gather(*drained)
            for client in staying:
                await client.close()
        assert leaving.await_exit(10) == 0
        assert '"level": "error"' not in leaving.log_text()


# In this process, where the bounds can be looked at


class Parlour:
    """A stream of its own for sockets that are handed over at once."""

    def __init__(self) -> None:
        self.room: Room[LiveSocket] = Room()
        self.sockets: list[LiveSocket] = []
        self.shells: weakref.WeakSet[object] = weakref.WeakSet()
        self.largest = 0

    def refresh(self, member: LiveSocket) -> None: ...

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await receive()
        said_hello = ClientSession()
        said_hello.receive('{"type":"hello","v":1}')
        live = LiveSocket(self, None, "ann", said_hello, None, lambda: None)  # type: ignore[arg-type]
        shell = handover_of(scope)
        self.shells |= {shell, shell.conn, shell.queue, shell._http}
        said = shell.hand_over(live)
        self.sockets.append(live)
        self.room.add(live)
        write, transport = live.write_bytes, live._transport

        def watched(data: bytes) -> None:
            write(data)
            self.largest = max(self.largest, transport.get_write_buffer_size())

        live.write_bytes = watched
        live.begin(said)


@asynccontextmanager
async def received(parlour: Parlour) -> AsyncIterator[RawClient]:
    """A client that was handed over to the parlour, and reads nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        config = uvicorn.Config(
            parlour,
            ws=LiveWSProtocol,
            lifespan="off",
            log_config=None,
            ws_per_message_deflate=False,
            timeout_graceful_shutdown=1,
        )
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        try:
            port = listening.getsockname()[1]
            async with await RawClient.upgrade(port, "/", receive_buffer_bytes=2048) as client:
                await client.send(HELLO)
                yield client
        finally:
            server.should_exit = True
            await serving


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def runner(request: pytest.FixtureRequest) -> Iterator[asyncio.Runner]:
    with asyncio.Runner(loop_factory=request.param) as runner:
        yield runner


@pytest.fixture
def collector_off() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


def test_the_kernel_holds_little_for_a_viewer_and_not_for_long(runner: asyncio.Runner) -> None:
    async def look() -> None:
        parlour = Parlour()
        async with received(parlour) as client:
            await client.send(frame(PING, b"there?"))
            await client.said()
            (live,) = parlour.sockets
            sock = live._transport.get_extra_info("socket")
            # Linux doubles what is asked for, for its own book-keeping
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) == 2 * live_socket.SEND_BUFFER_BYTES
            timeout_ms = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
            assert timeout_ms == live_socket.UNACKNOWLEDGED_MS

    runner.run(look())


def test_what_the_hand_over_leaves_behind_is_freed_without_the_cycle_collector(
    runner: asyncio.Runner, collector_off: None
) -> None:
    async def look() -> None:
        parlour = Parlour()
        async with received(parlour) as client:
            await client.send(frame(PING, b"there?"))
            assert (await client.said()).payload == b"there?"
            assert len(parlour.sockets) == 1
            assert list(parlour.shells) == []

    runner.run(look())


def test_a_client_that_pings_and_never_reads_is_cut_and_fills_no_memory(
    runner: asyncio.Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_socket, "CLOSE_WITHIN_S", 0.2)
    pings = frame(PING, b"x" * 125) * 500

    async def flood() -> None:
        parlour = Parlour()
        async with received(parlour) as client, asyncio.timeout(10):
            with pytest.raises(ConnectionError):
                await client.send(*repeat(pings, 100_000))
            assert len(parlour.room) == 0
            assert 0 < parlour.largest <= live_socket.OUTBOX_MAX_BYTES + 1024

    runner.run(flood())


def test_a_client_that_says_goodbye_and_never_reads_is_cut(
    runner: asyncio.Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_socket, "CLOSE_WITHIN_S", 0.2)

    async def leave() -> None:
        parlour = Parlour()
        async with received(parlour) as client, asyncio.timeout(10):
            await client.send(frame(PING))
            await client.said()
            (live,) = parlour.sockets
            while live._transport.get_write_buffer_size() == 0:
                parlour.room.fan_out(b"\x82\x7e\x10\x00" + bytes(4096))
                await asyncio.sleep(0)
            await client.send(close(1000))
            while live in live._connections:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            assert len(parlour.room) == 0
            assert parlour.largest <= live_socket.OUTBOX_MAX_BYTES

    runner.run(leave())

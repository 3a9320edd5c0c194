"""The relay over a real MariaDB and a real Redis: the log is the letter, pub/sub is the doorbell."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import pytest
import pytest_asyncio
from websockets.protocol import Protocol, Side

from server.bus.doorbell import Doorbell
from server.bus.redis import RedisBackend
from server.domain.drop import StockLine
from server.domain.errors import Unavailable
from server.live import relay as relay_module
from server.live.courier import Courier
from server.live.hub import Hub
from server.live.relay import Relay
from server.live.stream import LiveStream
from server.protocol import codec, frames
from server.sale.announcer import Announcer
from server.store.engine import Database, open_database
from server.store.schema import init_db
from tests.contract.shops import Shop
from tests.services.mariadb import MariaDB
from tests.services.redis import Redis

WITHIN_S = 5.0


class Viewer:
    """A socket that keeps the numbers of the events it is sent, and the stock."""

    def __init__(self) -> None:
        self.person = secrets.token_hex(4)
        self.place = -1
        self.skip = 0
        self.seqs: list[int] = []
        self.stock: list[StockLine] = []

    def write_bytes(self, data: bytes) -> None:
        reader = Protocol(Side.CLIENT, max_size=None)
        reader.receive_data(data)
        for message in reader.events_received():
            self.welcome(bytes(message.data).decode())

    write_bounded = write_bytes

    def welcome(self, frame: str) -> None:
        match codec.decode_server(frame):
            case frames.EventFrame(seq=seq):
                self.seqs.append(seq)
            case frames.Stock(stock=lines):
                self.stock += lines

    def close(self, code: int) -> None:
        raise AssertionError(f"closed with {code}")


@dataclass
class Replica:
    """What one replica has of the live side, and its announcer."""

    database: Database
    backend: RedisBackend
    bus: Doorbell
    relay: Relay
    announcer: Announcer
    stream: LiveStream
    viewer: Viewer = field(default_factory=Viewer)


class Pair:
    """Two replicas that watch the same stream."""

    def __init__(self, shop: Shop, one: Replica, two: Replica) -> None:
        self.shop, self.one, self.two = shop, one, two

    async def told(self, seq: int) -> None:
        """Until both viewers saw event `seq`; without a hole, in order, once."""
        await becomes(lambda: all(replica.viewer.seqs[-1:] == [seq] for replica in (self.one, self.two)))
        for replica in (self.one, self.two):
            first = replica.viewer.seqs[0]
            assert replica.viewer.seqs == list(range(first, seq + 1))


async def becomes(condition: Callable[[], object], *, within_s: float = WITHIN_S) -> None:
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110  outlets signal nobody
            await asyncio.sleep(0.005)


@pytest_asyncio.fixture
async def pair(database_url: str, bus_url: str) -> AsyncIterator[Pair]:
    async with AsyncExitStack() as stack:
        databases = []
        for _ in range(2):
            databases.append(open_database(database_url, deadline_s=2.0))
            stack.push_async_callback(databases[-1].close)
        await init_db(databases[0])
        shop = await Shop.opened(databases[0])
        replicas = []
        for n, database in enumerate(databases):
            backend = RedisBackend(bus_url)
            bus = Doorbell(backend)
            await stack.enter_async_context(bus)
            streams = shop.beside(database).streams
            name = f"replica {n}"
            relay = Relay(Hub(), streams, bus, Courier(bus, name), replica=name, epoch=await streams.epoch())
            await relay.start()
            stack.push_async_callback(relay.close)
            announcer = Announcer(bus)
            announcer.start()
            stack.push_async_callback(announcer.close)
            stream = await relay.hold(shop.stream)
            assert stream is not None
            replicas.append(Replica(database, backend, bus, relay, announcer, stream))
            stream.join(replicas[-1].viewer, "session", None, None)
        yield Pair(shop, *replicas)


@pytest.fixture
def no_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is heard now, the bus brought."""
    monkeypatch.setattr(relay_module, "SWEEP_S", 3600)


@pytest.fixture
def quick_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay_module, "SWEEP_S", 0.1)


async def test_what_one_replica_commits_viewers_of_both_see(no_sweep: None, pair: Pair) -> None:
    shop = pair.shop
    drop = await shop.open_drop(3, shelf=0)
    await shop.commit(drop, [shop.wish(drop), shop.wish(drop, 1)])
    await shop.commit(drop, [shop.wish(drop, 2)])
    for news in shop.told[shop.stream]:
        pair.one.announcer.announce(news)
    await pair.told(3)
    assert (await shop.kinds())[-1] == "drop_sold_out"
    await becomes(lambda: all(r.stream.snapshot().drops[drop.id].variants[0].left == 0 for r in (pair.one, pair.two)))


async def test_an_event_whose_ring_was_never_sent_is_there_within_two_seconds(pair: Pair) -> None:
    """Its publisher died between COMMIT and publish."""
    began = time.monotonic()
    drop = await pair.shop.open_drop(5)
    await pair.told(2)
    assert time.monotonic() - began < 2
    await pair.shop.order(drop)  # and stock
    line = StockLine(drop.id, drop.variants[0].id, 4, 2)
    await becomes(lambda: line in pair.one.viewer.stock and line in pair.two.viewer.stock, within_s=2)


async def test_a_hole_before_a_ring_is_healed_at_once(no_sweep: None, pair: Pair) -> None:
    shop = pair.shop
    await shop.open_drop(5)  # two events that nobody rang
    await shop.scheduled(5)
    pair.two.announcer.announce(shop.told[shop.stream][-1])
    await pair.told(3)


async def test_a_cut_connection_is_healed_without_waiting_for_the_sweep(
    no_sweep: None, pair: Pair, redis_server: Redis
) -> None:
    await pair.shop.scheduled(5)  # unrung
    await asyncio.to_thread(redis_server.drop_connections)
    await pair.told(1)


async def test_viewers_stay_in_the_picture_while_redis_is_gone_and_hear_again_when_it_is_back(
    pair: Pair, redis_server: Redis
) -> None:
    shop = pair.shop
    await asyncio.to_thread(redis_server.kill)
    await becomes(lambda: not pair.one.backend.up and not pair.two.backend.up)
    await shop.open_drop(5)
    for news in shop.told[shop.stream]:
        pair.one.announcer.announce(news)  # rings that are lost
    await pair.told(2)
    await asyncio.to_thread(redis_server.start)
    await becomes(lambda: pair.one.backend.up and pair.two.backend.up)

    async def rung(message: str) -> None:
        while True:
            try:
                return await pair.one.bus.ring(shop.stream, message)
            except Unavailable:
                await asyncio.sleep(0.01)

    # only the bus tells of viewers elsewhere
    await asyncio.wait_for(rung(codec.encode(frames.Present("elsewhere", 7))), WITHIN_S)
    await becomes(lambda: pair.two.stream.viewers >= 7)
    await shop.scheduled(5)
    pair.one.announcer.announce(shop.told[shop.stream][-1])
    await pair.told(3)


async def test_viewers_stay_where_they_are_while_the_database_is_gone_and_miss_nothing(
    quick_sweep: None, pair: Pair, mariadb: MariaDB, caplog: pytest.LogCaptureFixture
) -> None:
    await pair.shop.scheduled(5)
    await pair.told(1)
    await asyncio.to_thread(mariadb.kill)
    await becomes(lambda: "the sweep is put off" in caplog.text)
    await asyncio.to_thread(mariadb.start)
    async with asyncio.timeout(WITHIN_S):
        while True:
            try:
                await pair.shop.scheduled(5)
                break
            except Unavailable:  # pooled connections find out one by one that they are dead
                continue
    await pair.told((await pair.shop.whole()).seq)


async def test_replicas_count_the_viewers_of_each_other(quick_sweep: None, pair: Pair) -> None:
    await becomes(lambda: pair.one.stream.viewers == pair.two.stream.viewers == 2)

"""The Python client walks the roads of a real shop: nothing twice, nothing missed, every order answered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

import dropcast
from dropcast.news import Event, LinkChange, LinkState, Whole
from tests.journeys.conftest import PASSWORD, Shop
from tests.services.nginx import Nginx
from tests.services.redis import Redis
from tests.services.replica import Replica


@asynccontextmanager
async def signed_in(at: Replica | Nginx, who: str) -> AsyncIterator[dropcast.Shop]:
    async with dropcast.Shop(at.url, trust_env=False) as there:
        await there.sign_in(f"{who}@example.com", PASSWORD)
        yield there


class Diary:
    """Everything one loop was told, written down in a task of its own."""

    def __init__(self, show: dropcast.Watch) -> None:
        self.seqs: list[int] = []
        self.wholes = 0
        self.links: list[LinkState] = []
        self._task = asyncio.create_task(self._write(aiter(show)))

    async def _write(self, loop: dropcast.Queue) -> None:
        async for news in loop:
            match news:
                case Whole(state=state):
                    self.wholes += 1
                    self.seqs.append(state.seq)
                case Event(seq=seq):
                    self.seqs.append(seq)
                case LinkChange(state=link):
                    self.links.append(link)

    async def closed(self) -> Diary:
        """After the watch was left, all is written."""
        async with asyncio.timeout(5):
            await self._task
        return self

    @property
    def is_gapless(self) -> bool:
        return self.wholes == 1 and self.seqs == list(range(self.seqs[0], self.seqs[-1] + 1))


async def test_a_host_sells_and_a_viewer_buys_from_the_run_sheet_to_the_receipt(shop: Shop) -> None:
    slug = await shop.live_stream()
    async with signed_in(shop.replicas[0], "host") as theirs, signed_in(shop.nginx, "viewer") as mine:
        (product,) = [found async for found in mine.products("DEMO-1") if found.sku == "DEMO-1"]
        variant = product.variants[0].id
        async with mine.watch(slug) as show, asyncio.timeout(20):
            assert show.viewer is not None
            diary = Diary(show)
            drop = await theirs.host.schedule(
                slug, product=product.sku, price=2400, currency="USD", stock={variant: 3}, limit=3
            )
            too_early = asyncio.create_task(show.order(drop, ref="early"))
            await theirs.host.open(drop)
            assert (await too_early).status == "accepted"
            await show.until(lambda state: state.drops[drop.id].left == 2)
            receipt = await show.order(drop, 2, variant)
            assert (receipt.quantity, receipt.total, receipt.currency) == (2, 4800, "USD")
            with pytest.raises(dropcast.Rejected) as refused:
                await show.order(drop)
            assert refused.value.reason in ("sold_out", "limit_reached")
            again = await show.order(drop, ref="early")
            assert again == await too_early  # the first receipt, and nothing bought
            for _ in range(2):
                await theirs.host.restock(drop, variant, 5, ref=f"{slug}-more")
            await show.until(lambda state: state.drops[drop.id].status == "open")
            assert show.state.drops[drop.id].left == 5
            await theirs.host.close(drop)
            await theirs.host.end(slug)
            await diary.closed()
            assert diary.is_gapless
            assert diary.links == [LinkState.OVER]
        mine_now = [order async for order in mine.orders(stream=slug)]
        assert [(order.ref, order.quantity) for order in mine_now] == [(receipt.ref, 2), ("early", 1)]
        assert slug not in {stream.slug async for stream in mine.streams()}
        assert slug in {stream.slug async for stream in mine.streams(dropcast.StreamStatus.ENDED)}
        assert [stream.status async for stream in theirs.host.streams() if stream.slug == slug] == ["ended"]


async def test_guests_tickets_and_cookies_say_who_one_is(shop: Shop) -> None:
    slug = await shop.live_stream()
    drop = await shop.drop(slug, 5)
    await shop.host.open(drop)
    async with dropcast.Shop(shop.nginx.url, trust_env=False) as anybody:
        assert await anybody.me() is None
        async with anybody.watch(slug) as show:
            assert show.viewer is None
            with pytest.raises(dropcast.Rejected, match="login_required"):
                await show.order(drop)
        with pytest.raises(dropcast.Refused, match="bad_credentials"):
            await anybody.sign_in("viewer@example.com", "wrong horse")
        with pytest.raises(dropcast.LinkOver, match="no such stream"):
            async with anybody.watch("no-such-show"):
                pass
        async with anybody.watch(slug, ticket=lambda: shop.viewer.ticket(slug)) as show:
            assert show.viewer is not None
            assert (await show.order(drop)).status == "accepted"


async def test_signing_out_ends_the_watch(shop: Shop) -> None:
    slug = await shop.live_stream()
    async with signed_in(shop.nginx, "viewer") as mine, mine.watch(slug) as show:
        await mine.sign_out()
        async with asyncio.timeout(5):
            with pytest.raises(dropcast.LinkOver) as over:
                await show.until(lambda _: False)
        assert over.value.code == 4501


async def test_lists_are_whole_over_their_pages(shop: Shop) -> None:
    slug = await shop.live_stream()
    drop = await shop.drop(slug, 200, limit=200)
    await shop.host.open(drop)
    async with signed_in(shop.nginx, "viewer") as mine, mine.watch(slug) as show:
        receipts = await asyncio.gather(*(show.order(drop) for _ in range(120)))  # more than one page, more than 32
        listed = [order async for order in mine.orders()]
    assert {receipt.order for receipt in receipts} <= {order.id for order in listed}
    assert len({order.id for order in listed}) == len(listed)


async def test_kill_9_in_the_middle_of_a_sale_costs_no_event_and_no_receipt(own_shop: Shop) -> None:
    shop, people, orders = own_shop, 8, 60
    slug = await shop.live_stream()
    drop = await shop.drop(slug, 100_000, limit=1000)
    await shop.host.open(drop)
    async with signed_in(shop.nginx, "viewer") as mine:

        async def buys(number: int) -> tuple[list[dropcast.Receipt], Diary, int]:
            async with mine.watch(slug) as show:
                diary = Diary(show)
                receipts = [await show.order(drop, ref=f"{number}-{count}", within_s=60) for count in range(orders)]
                await show.until(lambda state: late in state.drops and state.drops[late].status == "open")
            return receipts, await diary.closed(), show.reconnects

        late = ""
        buying = [asyncio.create_task(buys(number)) for number in range(people)]
        async with dropcast.Shop(shop.replicas[1].url, trust_env=False) as there, there.watch(slug) as watching:
            await watching.until(lambda state: state.drops[drop].left < 100_000 - people * orders // 4)
            shop.replicas[0].kill()
            await there.sign_in("host@example.com", PASSWORD)
            stock = {shop.variant: 1}
            made = await there.host.schedule(slug, product="DEMO-1", price=1, currency="USD", stock=stock, limit=1)
            late = made.id
            await there.host.open(late)
            bought = await asyncio.gather(*buying)

    assert sum(reconnects for _, _, reconnects in bought) > 0, "nobody was cut: the kill proved nothing"
    accepted = [receipt.order for receipts, _, _ in bought for receipt in receipts]
    assert len(set(accepted)) == people * orders
    kept = {row[0] for row in await shop.rows("SELECT id FROM orders")}
    assert set(accepted) == kept
    assert all(diary.is_gapless for _, diary, _ in bought)


async def test_a_replica_that_leaves_loses_nobody_and_no_order(own_shop: Shop) -> None:
    shop = own_shop
    slug = await shop.live_stream()
    drop = await shop.drop(slug, 1000, limit=1000)
    await shop.host.open(drop)
    async with signed_in(shop.nginx, "viewer") as mine:
        async with mine.watch(slug) as first, mine.watch(slug) as second:
            diaries = [Diary(show) for show in (first, second)]  # one of them at each replica

            async def buys(show: dropcast.Watch) -> int:
                bought = 0
                while first.reconnects + second.reconnects == 0:
                    await show.order(drop)
                    bought += 1
                return bought + len([await show.order(drop) for _ in range(5)])

            buying = asyncio.gather(buys(first), buys(second))
            await first.until(lambda state: state.drops[drop].left < 990)
            shop.replicas[0].terminate()
            async with asyncio.timeout(20):
                bought = sum(await buying)
        for diary in diaries:
            assert (await diary.closed()).is_gapless
    assert shop.replicas[0].await_exit(20) == 0
    assert await shop.rows("SELECT COUNT(*) FROM orders") == [(bought,)]


async def test_redis_lost_and_back_empty_costs_no_event_and_no_link(own_shop: Shop, redis_server: Redis) -> None:
    shop = own_shop
    slug = await shop.live_stream()
    drop = await shop.drop(slug, 1)
    await shop.host.open(drop)
    async with signed_in(shop.nginx, "viewer") as mine, mine.watch(slug) as one, mine.watch(slug) as other:
        diaries = [Diary(show) for show in (one, other)]
        await asyncio.to_thread(redis_server.kill)
        await one.order(drop)
        async with asyncio.timeout(10):
            for show in (one, other):
                await show.until(lambda state: state.drops[drop].status == "sold_out")
        await asyncio.to_thread(redis_server.start)
        assert (one.reconnects, other.reconnects) == (0, 0)
    for diary in diaries:
        assert (await diary.closed()).is_gapless

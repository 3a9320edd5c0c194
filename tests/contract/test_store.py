"""The host's side of the store, over MariaDB and SQLite: goods, drops, streams and their log."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import event

from server.domain.drop import Drop, DropPlan, DropStatus, lines_of
from server.domain.errors import Reason, Refused
from server.domain.events import DropEvent, EventKind, StreamEvent
from server.domain.ids import new_id
from server.domain.news import News
from server.domain.product import Product, Variant
from server.domain.user import Role, User
from server.domain.views import StreamStatus
from server.protocol import codec
from server.store.engine import Database, open_database
from server.store.schema import init_db
from tests.contract.shops import Shop


async def another_host(shop: Shop, role: Role = Role.HOST) -> User:
    return await shop.users.create(email=f"{new_id()}@example.com", name="Otto", role=role, password_hash=None)


# Goods


async def test_scheduling_carves_stock_out_of_the_catalogue(shop: Shop) -> None:
    drop = await shop.scheduled(30, 5, shelf=7)
    assert await shop.shelf(drop) == [7, 7]
    assert [(v.label, v.left, v.version) for v in drop.variants] == [("Size 0", 30, 1), ("Size 1", 5, 1)]
    assert await shop.violations() == []


async def test_a_drop_may_hold_some_variants_of_a_product_and_names_it_by_sku(shop: Shop) -> None:
    product = await shop.product(3, 4, 5)
    stock = ((product.variants[2].id, 5), (product.variants[0].id, 1))
    drop = shop.tell(await shop.drops.schedule(shop.host, shop.stream, DropPlan(product.sku, 1, "USD", stock, 1)))
    assert [v.label for v in drop.variants] == ["Size 0", "Size 2"]  # the product's order, not the plan's
    assert await shop.shelf(drop) == [2, 4, 0]
    assert drop == await shop.drop(drop)


async def test_closing_gives_back_what_is_left(shop: Shop) -> None:
    drop = await shop.open_drop(30, 5, shelf=1)
    await shop.order(drop, quantity=2)
    closed = shop.tell(await shop.drops.close(shop.host, drop.id))
    assert closed.status is DropStatus.CLOSED
    assert [v.left for v in closed.variants] == [0, 0]
    assert await shop.shelf(drop) == [29, 6]
    assert await shop.violations() == []


async def test_more_than_is_on_the_shelf_is_refused_and_nothing_changes(shop: Shop) -> None:
    product = await shop.product(10, 4)
    before = await shop.whole()
    plan = DropPlan(product.id, 1, "USD", tuple((v.id, 5) for v in product.variants), 1)
    with pytest.raises(Refused, match="fewer than 5 of 'Size 1'") as refused:
        await shop.drops.schedule(shop.host, shop.stream, plan)
    assert refused.value.reason is Reason.NO_STOCK
    (found,) = (await shop.catalog.page(after=None, limit=9))[0]
    assert [v.stock for v in found.variants] == [10, 4]
    assert await shop.whole() == before
    assert await shop.violations() == []


async def test_a_variant_of_another_product_is_refused(shop: Shop) -> None:
    one, other = await shop.product(5), await shop.product(5)
    plan = DropPlan(one.id, 1, "USD", ((other.variants[0].id, 1),), 1)
    with pytest.raises(Refused, match="is not a variant of this product"):
        await shop.drops.schedule(shop.host, shop.stream, plan)


async def test_restocking_takes_from_the_catalogue_once_per_ref(shop: Shop) -> None:
    drop = await shop.open_drop(5, shelf=10)
    for _ in range(2):
        again, news = await shop.drops.restock(shop.host, drop.id, drop.variants[0].id, 4, "delivery-1")
        assert [v.left for v in again.variants] == [9]
    assert news == News(shop.stream)  # the second time there is nothing to tell
    await shop.drops.restock(shop.host, drop.id, drop.variants[0].id, 1, "delivery-2")
    await shop.drops.restock(shop.host, drop.id, drop.variants[0].id, 1, None)
    await shop.drops.restock(shop.host, drop.id, drop.variants[0].id, 1, None)
    assert [(v.left, v.version) for v in (await shop.drop(drop)).variants] == [(12, 5)]
    assert await shop.shelf(drop) == [3]
    assert await shop.violations() == []


async def test_a_ref_used_for_another_restock_is_a_conflict(shop: Shop) -> None:
    drop = await shop.open_drop(5, shelf=10)
    await shop.drops.restock(shop.host, drop.id, drop.variants[0].id, 4, "delivery-1")
    with pytest.raises(Refused) as refused:
        await shop.drops.restock(shop.host, drop.id, drop.variants[0].id, 5, "delivery-1")
    assert refused.value.reason is Reason.CONFLICT


@pytest.mark.parametrize(
    ("quantity", "reason"), [(11, Reason.NO_STOCK), (1_000_000_000, Reason.BAD_REQUEST)], ids=["shelf", "column"]
)
async def test_a_restock_that_cannot_be_is_refused_and_nothing_changes(
    shop: Shop, quantity: int, reason: Reason
) -> None:
    drop = await shop.open_drop(5, shelf=10)
    with pytest.raises(Refused) as refused:
        await shop.drops.restock(shop.host, drop.id, drop.variants[0].id, quantity, None)
    assert refused.value.reason is reason
    assert await shop.shelf(drop) == [10]
    assert (await shop.drop(drop)).variants == drop.variants


async def test_a_sold_out_drop_is_open_again_with_new_stock(shop: Shop) -> None:
    drop = await shop.open_drop(1, shelf=3)
    await shop.order(drop)
    assert (await shop.drop(drop)).status is DropStatus.SOLD_OUT
    reopened = shop.tell(await shop.drops.restock(shop.host, drop.id, drop.variants[0].id, 3, None))
    assert (reopened.status, reopened.variants[0].left) == (DropStatus.OPEN, 3)
    assert (await shop.kinds())[-2:] == ["drop_sold_out", "drop_opened"]
    assert await shop.drop(drop) == reopened
    assert await shop.violations() == []


async def test_a_drop_shows_the_products_price_of_when_it_was_scheduled_if_the_currency_is_the_same(shop: Shop) -> None:
    product = await shop.product(9)
    stock = ((product.variants[0].id, 1),)

    async def scheduled(currency: str) -> Drop:
        return shop.tell(
            await shop.drops.schedule(shop.host, shop.stream, DropPlan(product.id, 1900, currency, stock, 1))
        )

    dollars, euros = await scheduled("USD"), await scheduled("EUR")
    assert (dollars.list_price, euros.list_price) == (product.price, None) == (2400, None)
    await shop.catalog.put(replace(product, price=9900))
    opened = shop.tell(await shop.drops.open(shop.host, dollars.id))
    assert (opened.list_price, (await shop.drop(dollars)).list_price) == (2400, 2400)
    assert (await scheduled("USD")).list_price == 9900
    told = {event.drop.id: event.drop.list_price for frame in await shop.log() if (event := codec.read_event(frame))}
    assert told[dollars.id] == 2400
    assert await shop.violations() == []


async def test_a_log_that_began_before_there_were_list_prices_goes_on(shop: Shop) -> None:
    drop = await shop.open_drop(2, shelf=1)
    await shop.sql("UPDATE drops SET list_price = NULL")
    await shop.sql("UPDATE events SET frame = REPLACE(frame, :told, '')", told=',"list_price":2400')
    assert not any("list_price" in frame for _, frame in await shop.streams.events_after(shop.stream, 0, 9))
    assert (await shop.folded([])).drops == (await shop.whole()).drops
    await shop.order(drop)
    shop.tell(await shop.drops.close(shop.host, drop.id))
    assert (await shop.whole()).drops[drop.id].list_price is None
    assert await shop.violations() == []


async def test_verify_finds_a_list_price_that_the_log_does_not_tell(shop: Shop) -> None:
    drop = await shop.scheduled(1)
    await shop.sql("UPDATE drops SET list_price = 9900")
    assert [drop.id in violation for violation in await shop.violations()] == [True]


# Commands


@pytest.mark.parametrize("command", ["open", "close"])
async def test_a_command_again_changes_nothing_and_tells_nothing(shop: Shop, command: str) -> None:
    drop = await shop.scheduled(5)
    commanded = getattr(shop.drops, command)
    first, news = await commanded(shop.host, drop.id)
    assert len(news.events) == 1
    seq = (await shop.whole()).seq
    assert await commanded(shop.host, drop.id) == (first, News(shop.stream))
    assert (await shop.whole()).seq == seq


async def test_a_closed_drop_stays_closed(shop: Shop) -> None:
    drop = await shop.open_drop(5, shelf=5)
    await shop.drops.close(shop.host, drop.id)
    for refused in (
        shop.drops.open(shop.host, drop.id),
        shop.drops.restock(shop.host, drop.id, drop.variants[0].id, 1, None),
    ):
        with pytest.raises(Refused, match="the drop is closed") as caught:
            await refused
        assert caught.value.reason is Reason.CONFLICT


async def test_a_drop_whose_closing_time_is_past_does_not_open(shop: Shop) -> None:
    drop = await shop.scheduled(5, closes_at=1_000)
    with pytest.raises(Refused, match="closing time is past"):
        await shop.drops.open(shop.host, drop.id)


async def test_another_hosts_stream_and_drops_are_forbidden_to_a_host_but_not_to_an_admin(shop: Shop) -> None:
    drop = await shop.scheduled(5, shelf=5)
    other, admin = await another_host(shop), await another_host(shop, Role.ADMIN)
    product = await shop.product(5)
    plan = DropPlan(product.id, 1, "USD", ((product.variants[0].id, 1),), 1)

    def commands(host: User) -> list:
        return [
            lambda: shop.streams.change_status(host, shop.stream, StreamStatus.LIVE),
            lambda: shop.drops.schedule(host, shop.stream, plan),
            lambda: shop.drops.open(host, drop.id),
            lambda: shop.drops.restock(host, drop.id, drop.variants[0].id, 1, None),
            lambda: shop.drops.close(host, drop.id),
        ]

    before = await shop.whole()
    for command in commands(other):
        with pytest.raises(Refused) as refused:
            await command()
        assert refused.value.reason is Reason.FORBIDDEN
    assert await shop.whole() == before
    for command in commands(admin):
        await command()
    assert await shop.violations() == []


async def test_what_is_not_there_is_not_found(shop: Shop) -> None:
    drop, product = await shop.open_drop(1), await shop.product(1)
    stock = ((product.variants[0].id, 1),)
    for command in (
        lambda: shop.drops.open(shop.host, new_id()),
        lambda: shop.streams.change_status(shop.host, "monday", StreamStatus.LIVE),
        lambda: shop.drops.schedule(shop.host, "monday", DropPlan(product.id, 1, "USD", stock, 1)),
        lambda: shop.drops.schedule(shop.host, shop.stream, DropPlan(new_id(), 1, "USD", stock, 1)),
    ):
        with pytest.raises(Refused) as refused:
            await command()
        assert refused.value.reason is Reason.NOT_FOUND
    with pytest.raises(Refused, match="one of the drop's variants"):
        await shop.drops.restock(shop.host, drop.id, new_id(), 1, None)
    assert await shop.streams.whole("monday") is None
    assert await shop.streams.events_after("monday", 0, 10) == []


async def test_every_command_is_in_the_audit_trail_once(shop: Shop) -> None:
    drop = await shop.scheduled(1, shelf=1)
    for command in (
        lambda: shop.streams.change_status(shop.host, shop.stream, StreamStatus.LIVE),
        lambda: shop.drops.open(shop.host, drop.id),
        lambda: shop.drops.restock(shop.host, drop.id, drop.variants[0].id, 1, "r"),
        lambda: shop.drops.close(shop.host, drop.id),
    ):
        for _ in range(2):
            await command()
    rows = await shop.sql("SELECT actor_id, action, detail FROM audit ORDER BY id")
    assert [action for _, action, _ in rows] == [
        "stream.create",
        "drop.schedule",
        "stream.start",
        "drop.open",
        "drop.restock",
        "drop.close",
    ]
    assert {actor for actor, _, _ in rows} == {shop.host.id}
    assert json.loads(rows[4][2]) == {"quantity": 1, "variant": drop.variants[0].id}


# Streams


async def test_a_slug_is_the_hosts_own(shop: Shop) -> None:
    again = await shop.streams.create(shop.host, slug=shop.stream, title="Friday drops", starts_at=1, video=None)
    assert again == (await shop.whole()).stream
    for host, title in ((await another_host(shop), "Friday drops"), (shop.host, "Another title")):
        with pytest.raises(Refused, match="taken") as refused:
            await shop.streams.create(host, slug=shop.stream, title=title, starts_at=None, video=None)
        assert refused.value.reason is Reason.CONFLICT


async def test_a_stream_starts_and_ends_once_and_not_with_an_open_drop(shop: Shop) -> None:
    drop = await shop.open_drop(5)
    for _ in range(2):
        stream, news = await shop.streams.change_status(shop.host, shop.stream, StreamStatus.LIVE)
        assert stream.status is StreamStatus.LIVE
    assert news.events == ()
    with pytest.raises(Refused, match="a drop is still open"):
        await shop.streams.change_status(shop.host, shop.stream, StreamStatus.ENDED)
    await shop.drops.close(shop.host, drop.id)
    for _ in range(2):
        await shop.streams.change_status(shop.host, shop.stream, StreamStatus.ENDED)
    with pytest.raises(Refused, match="the stream is over"):
        await shop.streams.change_status(shop.host, shop.stream, StreamStatus.LIVE)
    product = await shop.product(1)
    plan = DropPlan(product.id, 1, "USD", ((product.variants[0].id, 1),), 1)
    with pytest.raises(Refused, match="the stream is over"):
        await shop.drops.schedule(shop.host, shop.stream, plan)
    assert await shop.kinds() == ["drop_scheduled", "drop_opened", "stream_started", "drop_closed", "stream_ended"]
    assert await shop.violations() == []


async def test_a_drop_left_on_the_run_sheet_does_not_open_after_the_end(shop: Shop) -> None:
    drop = await shop.scheduled(5)
    await shop.streams.change_status(shop.host, shop.stream, StreamStatus.ENDED)
    with pytest.raises(Refused, match="the stream is over") as refused:
        await shop.drops.open(shop.host, drop.id)
    assert refused.value.reason is Reason.CONFLICT
    await shop.drops.close(shop.host, drop.id)  # its goods can still go back
    assert await shop.shelf(drop) == [5]


async def test_heads_tell_where_streams_stand_and_the_stock_of_drops_on_sale(shop: Shop) -> None:
    sold_out, on_sale = await shop.open_drop(1), await shop.open_drop(3, 4)
    await shop.scheduled(9)
    await shop.drops.close(shop.host, (await shop.open_drop(2)).id)
    await shop.streams.create(shop.host, slug="monday", title="Monday", starts_at=None, video=None)
    await shop.order(sold_out)
    await shop.order(on_sale, variant=1, quantity=2)
    seqs, stock = await shop.streams.heads([shop.stream, "monday", "nobody"])
    assert seqs == {shop.stream: (await shop.whole()).seq, "monday": 0}
    now = [await shop.drop(drop) for drop in (sold_out, on_sale)]
    assert set(stock[shop.stream]) == {line for drop in now for line in lines_of(drop)}
    assert "monday" not in stock


async def test_streams_are_paged_newest_first_without_one_lost_or_twice(shop: Shop) -> None:
    for n in range(6):
        await shop.streams.create(shop.host, slug=f"s{n}", title=f"S{n}", starts_at=n, video="/v")
    await shop.streams.change_status(shop.host, "s2", StreamStatus.ENDED)
    await shop.streams.change_status(shop.host, "s3", StreamStatus.LIVE)
    other = await another_host(shop)
    await shop.streams.create(other, slug="theirs", title="T", starts_at=None, video=None)

    def of(*statuses: StreamStatus) -> Callable[..., Any]:
        return lambda **page: shop.streams.listed(statuses, **page)

    scheduled, live, ended = StreamStatus
    for ask, expected in (
        (of(live, scheduled), ["theirs", "s5", "s4", "s3", "s1", "s0", "friday"]),
        (of(*StreamStatus), ["theirs", "s5", "s4", "s3", "s2", "s1", "s0", "friday"]),
        (of(live), ["s3"]),
        (of(ended), ["s2"]),
        (lambda **page: shop.streams.of_host(shop.host, **page), ["s5", "s4", "s3", "s2", "s1", "s0", "friday"]),
    ):
        seen, after = [], None
        while True:
            page, after = await ask(after=after, limit=3)
            seen += [stream.slug for stream in page]
            if after is None:
                break
            assert len(page) == 3
        assert seen == expected
    exactly, after = await shop.streams.of_host(other, limit=1)
    assert (len(exactly), after) == (1, None)


async def test_a_page_of_streams_costs_a_page_however_many_there_are(database_url: str) -> None:
    database = open_database(database_url, pool_size=1)  # one connection, for the count is a connection's
    try:
        await init_db(database)
        shop = await Shop.opened(database)
        await shop.sql(
            "INSERT INTO streams SELECT LPAD(n.seq, 32, 0), CONCAT('s', n.seq), host_id, title,"
            " IF(n.seq <= 2500, 'ended', 'live'), NULL, NULL, 0, created_at FROM streams, seq_1_to_5000 n"
        )
        await shop.sql("ANALYZE TABLE streams")
        scheduled, live, ended = StreamStatus
        for statuses in ([ended], [live, scheduled], [ended, scheduled], [ended, live]):
            before = await rows_read(shop)
            page, after = await shop.streams.listed(statuses, limit=9)
            await shop.streams.listed(statuses, after=after, limit=9)
            assert len(page) == 9
            assert await rows_read(shop) - before < 300
        before = await rows_read(shop)
        await shop.sql("SELECT COUNT(title) FROM streams WHERE status <> 'scheduled'")
        assert await rows_read(shop) - before >= 5000  # control: what is read is counted
    finally:
        await database.close()


async def rows_read(shop: Shop) -> int:
    """Rows this connection has read so far."""
    return sum(int(count) for _, count in await shop.sql("SHOW SESSION STATUS LIKE 'Handler_read_%'"))


async def test_a_stream_is_found_by_its_slug_with_an_id_that_stays(shop: Shop) -> None:
    found = await shop.streams.named(shop.stream)
    assert found is not None
    assert found[1] == (await shop.whole()).stream
    await shop.streams.change_status(shop.host, shop.stream, StreamStatus.LIVE)
    again = await shop.streams.named(shop.stream)
    assert again is not None
    assert again[0] == found[0]
    assert await shop.streams.named("monday") is None


async def test_a_stream_that_is_over_is_there_whole_with_its_drops_closed(shop: Shop) -> None:
    sold, unsold = await shop.open_drop(2), await shop.scheduled(3)
    await shop.order(sold)
    for drop in (sold, unsold):
        await shop.drops.close(shop.host, drop.id)
    await shop.streams.change_status(shop.host, shop.stream, StreamStatus.ENDED)
    state = await shop.whole()
    assert state.stream.status is StreamStatus.ENDED
    assert list(state.drops) == [sold.id, unsold.id]
    assert {drop.status for drop in state.drops.values()} == {DropStatus.CLOSED}
    assert [line.left for drop in state.drops.values() for line in lines_of(drop)] == [0, 0]


# The log


async def test_events_are_numbered_without_gaps_and_logged_as_the_text_that_goes_out(shop: Shop) -> None:
    await shop.streams.change_status(shop.host, shop.stream, StreamStatus.LIVE)
    drop = await shop.open_drop(1, shelf=1)
    await shop.order(drop)
    shop.tell(await shop.drops.restock(shop.host, drop.id, drop.variants[0].id, 1, None))
    shop.tell(await shop.drops.close(shop.host, drop.id))
    rows = await shop.streams.events_after(shop.stream, 0, 100)
    assert [seq for seq, _ in rows] == [1, 2, 3, 4, 5, 6]
    assert [frame for _, frame in rows[1:]] == [text for news in shop.told[shop.stream] for text in news.events]
    for frame, (_, logged) in zip(await shop.log(), rows, strict=True):
        assert codec.encode_event(frame.seq, frame.at, codec.read_event(frame)) == logged
    read = [codec.read_event(frame) for frame in await shop.log()]
    assert read[0] == StreamEvent(EventKind.STREAM_STARTED, (await shop.whole()).stream)
    assert read[-1] == DropEvent(EventKind.DROP_CLOSED, await shop.drop(drop))
    assert await shop.streams.events_after(shop.stream, 2, 3) == rows[2:5]


async def test_each_stream_counts_for_itself(shop: Shop) -> None:
    await shop.streams.create(shop.host, slug="monday", title="Monday", starts_at=None, video=None)
    for stream in (shop.stream, "monday", shop.stream):
        await shop.scheduled(1, stream=stream)
    assert ((await shop.whole()).seq, (await shop.whole("monday")).seq) == (2, 1)


async def test_a_refused_command_leaves_no_event(shop: Shop) -> None:
    drop = await shop.scheduled(1, shelf=0)
    seq = (await shop.whole()).seq
    with pytest.raises(Refused):
        await shop.drops.restock(shop.host, drop.id, drop.variants[0].id, 1, None)
    assert (await shop.whole()).seq == seq
    assert len(await shop.log()) == seq


async def test_a_command_is_one_transaction(shop: Shop, database: Database) -> None:
    drop = await shop.scheduled(2, shelf=1)
    ends: list[str] = []
    event.listen(database.engine.sync_engine, "commit", lambda _: ends.append("commit"))
    event.listen(database.engine.sync_engine, "rollback", lambda _: ends.append("rollback"))
    await shop.drops.open(shop.host, drop.id)
    await shop.drops.restock(shop.host, drop.id, drop.variants[0].id, 1, "r")
    await shop.drops.close(shop.host, drop.id)
    assert ends == ["commit"] * 3


async def test_a_snapshot_is_the_fold_of_the_log_over_a_busy_random_history(shop: Shop) -> None:
    """Law 3 over real rows; the same history leaves no violation behind."""
    chance = random.Random(20261123)
    drops = [await shop.scheduled(*(chance.randint(1, 4) for _ in range(chance.randint(1, 3))), shelf=3)]
    await shop.streams.change_status(shop.host, shop.stream, StreamStatus.LIVE)
    for _ in range(120):
        drop = chance.choice(drops)
        try:
            match chance.randrange(10):
                case 0 if len(drops) < 8:
                    drops.append(await shop.scheduled(chance.randint(1, 5), limit=chance.randint(1, 3), shelf=2))
                case 0 | 1 | 2:
                    shop.tell(await shop.drops.open(shop.host, drop.id))
                case 3 if chance.random() < 0.3:
                    shop.tell(await shop.drops.close(shop.host, drop.id))
                case 4:
                    variant = chance.choice(drop.variants).id
                    shop.tell(await shop.drops.restock(shop.host, drop.id, variant, 1, f"r{chance.randrange(9)}"))
                case _:
                    batch = [
                        shop.wish(
                            drop,
                            chance.randrange(5),
                            ref=f"r{chance.randrange(60)}",
                            variant=chance.randrange(len(drop.variants)),
                            quantity=chance.randint(1, 2),
                        )
                        for _ in range(chance.randint(1, 4))
                    ]
                    await shop.commit(drop, batch)
        except Refused:
            continue
    await shop.order(await shop.open_drop(9, 9))
    whole = await shop.whole()
    assert {drop.status for drop in whole.drops.values()} >= {DropStatus.OPEN, DropStatus.CLOSED, DropStatus.SOLD_OUT}
    told = [line for news in shop.told[shop.stream] for line in news.stock]
    chance.shuffle(told)  # the newest version wins, in whatever order lines come
    folded = await shop.folded(told)
    assert (folded.stream, list(folded.drops.items()), folded.seq) == (
        whole.stream,
        list(whole.drops.items()),
        whole.seq,
    )
    assert await shop.violations() == []
    stale = await shop.folded([])
    assert stale.drops != whole.drops  # control: events alone do not tell the stock
    for drop_id, drop in stale.drops.items():
        assert replace(drop, variants=()) == replace(whole.drops[drop_id], variants=())


# The catalogue


async def test_products_are_listed_newest_first_and_paged(shop: Shop) -> None:
    for n in range(5):
        await shop.catalog.put(Product("", f"MUG-{n}", f"Mug {n}", "", None, 1, "USD", ()))
    first, after = await shop.catalog.page(after=None, limit=3)
    rest, end = await shop.catalog.page(after=after, limit=3)
    assert [product.sku for product in first + rest] == ["MUG-4", "MUG-3", "MUG-2", "MUG-1", "MUG-0"]
    assert end is None
    wanted = [first[0].id, "f" * 32, rest[1].id]
    assert [product.sku for product in await shop.catalog.of_ids(wanted)] == ["MUG-4", "MUG-0"]
    assert await shop.catalog.of_ids([]) == []


async def test_putting_a_product_again_keeps_ids_and_stock_and_adds_new_variants(shop: Shop) -> None:
    product = await shop.product(5, 6)
    variants = tuple(replace(variant, stock=99, label=f"{variant.label}!") for variant in product.variants)
    more = Variant("", f"{product.sku}-new", "New", 7)
    again = await shop.catalog.put(replace(product, id="", title="Hoodie, warmer", variants=(*variants, more)))
    assert (again.id, again.title) == (product.id, "Hoodie, warmer")
    assert [(v.label, v.stock) for v in again.variants] == [("Size 0!", 5), ("Size 1!", 6), ("New", 7)]
    assert [v.id for v in again.variants[:2]] == [v.id for v in product.variants]
    assert await shop.violations() == []


# Users


async def test_an_address_has_one_account_and_rehearsals_have_none(shop: Shop) -> None:
    with pytest.raises(Refused) as refused:
        await shop.users.create(email="mara@example.com", name="M", role=Role.VIEWER, password_hash=None)
    assert refused.value.reason is Reason.CONFLICT
    await shop.users.set_password(shop.host.id, "hash")
    assert await shop.users.by_email("mara@example.com") == (shop.host, "hash")
    assert await shop.users.by_id(shop.host.id) == shop.host
    assert await shop.users.by_email("") is None
    assert await shop.users.by_id(new_id()) is None
    made = await shop.users.create_nameless(3)
    assert len({user.id for user in made}) == 3
    assert {(await shop.users.by_id(user.id)).role for user in made} == {Role.VIEWER}

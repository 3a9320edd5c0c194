"""A drop opens and closes at its own times, for every viewer once, also when a replica is not there any more."""

from __future__ import annotations

import asyncio

from tests.client import LiveClient
from tests.journeys.conftest import Shop

LATE_MS = 2_000  # a busy machine; how soon is said by the tests of the timekeeper, on a clock of their own


async def test_a_drop_opens_and_closes_by_itself_on_both_replicas(shop: Shop) -> None:
    stream = await shop.live_stream()
    viewers = [await shop.guest(replica, stream) for replica in shop.replicas for _ in range(3)]
    await _runs_its_course(shop, stream, viewers, await shop.watch(shop.nginx, stream))


async def test_kill_9_of_one_replica_before_the_time_changes_nothing(own_shop: Shop) -> None:
    shop = own_shop
    stream = await shop.live_stream()
    viewers = [await shop.guest(shop.replicas[1], stream) for _ in range(3)]
    buyer = await shop.watch(shop.replicas[1], stream)
    await _runs_its_course(shop, stream, viewers, buyer, killing=True)


async def _runs_its_course(
    shop: Shop, stream: str, viewers: list[LiveClient], buyer: LiveClient, *, killing: bool = False
) -> None:
    shelf = await shop.rows("SELECT stock FROM variants WHERE id = :id", id=shop.variant)
    ((clock,),) = await shop.rows("SELECT TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(3)) DIV 1000")
    opens_at, closes_at = clock + 1_200, clock + 3_200
    drop = await shop.drop(stream, 5, opens_at=opens_at, closes_at=closes_at)
    if killing:
        shop.replicas[0].kill()
    early = await buyer.expect_receipt(await buyer.order(drop))
    assert (early.status, early.reason, early.retry) == ("rejected", "not_open", True)

    everybody = [buyer, *viewers]
    opened = await asyncio.gather(*(viewer.expect_event("drop_opened") for viewer in everybody))
    assert len({event.seq for event in opened}) == 1
    told = opened[0].raw["drop"]
    assert (told["id"], told["opens_at"], told["closes_at"]) == (drop, opens_at, closes_at)
    assert opens_at <= opened[0].at_ms < opens_at + LATE_MS
    assert (await buyer.expect_receipt(await buyer.order(drop))).status == "accepted"

    closed = await asyncio.gather(*(viewer.expect_event("drop_closed") for viewer in everybody))
    assert len({event.seq for event in closed}) == 1
    assert closed[0].raw["drop"]["closes_at"] == closes_at
    assert closes_at <= closed[0].at_ms < closes_at + LATE_MS
    late = await buyer.expect_receipt(await buyer.order(drop))
    assert (late.status, late.reason) == ("rejected", "drop_closed")

    for viewer in everybody:  # that nothing lacks or comes twice, each client sees to by itself
        assert viewer.seen[-3:] == [closed[0].seq - 2, closed[0].seq - 1, closed[0].seq]
    kinds = await shop.rows(
        "SELECT kind FROM events e JOIN streams s ON s.id = e.stream_id WHERE s.slug = :slug ORDER BY e.seq",
        slug=stream,
    )
    assert [kind for (kind,) in kinds] == ["stream_started", "drop_scheduled", "drop_opened", "drop_closed"]
    ((left,),) = await shop.rows("SELECT stock FROM variants WHERE id = :id", id=shop.variant)
    assert left == shelf[0][0] - 1

"""Two replicas at the very same thing, over many rounds on one real MariaDB: counts decide, never timings.

Each race has a control: the same rounds on tables that have no row locks, or no unique key, go wrong.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable

import pytest

from server.domain.drop import Drop, DropStatus
from server.domain.events import DropEvent
from server.domain.order import Accepted, Receipt
from server.protocol import codec, frames
from tests.client import LiveClient
from tests.contract.shops import Shop
from tests.journeys.conftest import Shop as WholeShop
from tests.services.mariadb import Database as Named
from tests.services.mariadb import MariaDB

Replicas = tuple[Shop, Shop]
Race = Callable[[Replicas], Awaitable[str]]
"""One round: how it went, in a word that says `wrong` when it must never go so."""

ROUNDS = 30
WITHOUT_ROW_LOCKS = [
    "ALTER TABLE drop_stock DROP FOREIGN KEY drop_stock_drop, DROP FOREIGN KEY drop_stock_variant_known,"
    " DROP CONSTRAINT drop_stock_not_negative, DROP CONSTRAINT drop_stock_equation",
    "ALTER TABLE drop_stock ENGINE=Aria",
    "ALTER TABLE drops DROP FOREIGN KEY drops_stream_known, DROP FOREIGN KEY drops_product",
    "ALTER TABLE drops ENGINE=Aria",  # locked in the same statement
]
WITHOUT_UNIQUE_REFS = ["ALTER TABLE orders DROP INDEX orders_viewer_ref"]


def told(receipts: list[Receipt]) -> str:
    """What was answered, in one word that does not say to whom."""
    return " + ".join(sorted("accepted" if isinstance(one, Accepted) else one.reason.value for one in receipts))


def judged(word: str, *good: str) -> str:
    return word if word in good else f"wrong: {word}"


async def a_moment() -> None:
    """Up to a transaction's length, so that each side is the first now and then."""
    await asyncio.sleep(random.uniform(0, 0.004))


async def both(replicas: Replicas, drop: Drop, *wishes: dict[str, object]) -> list[Receipt]:
    """Each wish on a replica of its own, at once."""
    runs = (shop.order(drop, **wish) for shop, wish in zip(replicas, wishes, strict=True))
    return list(await asyncio.gather(*runs))


async def the_last_unit(replicas: Replicas) -> str:
    drop = await replicas[0].open_drop(1)
    word = told(await both(replicas, drop, {"viewer": 0}, {"viewer": 1}))
    return judged(word, "accepted + sold_out")


async def a_double_click(replicas: Replicas) -> str:
    drop = await replicas[0].open_drop(5)
    first, second = await both(replicas, drop, {"ref": drop.id}, {"ref": drop.id})
    return judged("one order" if first == second else told([first, second]), "one order")


async def one_ref_with_two_bodies(replicas: Replicas) -> str:
    drop = await replicas[0].open_drop(5, limit=4)
    word = told(await both(replicas, drop, {"ref": drop.id}, {"ref": drop.id, "quantity": 2}))
    return judged(word, "accepted + conflict")


async def the_limit(replicas: Replicas) -> str:
    drop = await replicas[0].open_drop(5, limit=3)
    word = told(await both(replicas, drop, {"quantity": 2}, {"quantity": 2}))
    return judged(word, "accepted + limit_reached")


async def an_order_and_a_close(replicas: Replicas) -> str:
    shop, other = replicas
    drop = await shop.open_drop(5, shelf=1)

    async def order() -> Receipt:
        await a_moment()
        return await shop.order(drop)

    async def close() -> None:
        await a_moment()
        await other.drops.close(other.host, drop.id)

    receipt, _ = await asyncio.gather(order(), close())
    back = f"{told([receipt])}, {(await shop.shelf(drop))[0]} on the shelf"
    return judged(back, "accepted, 5 on the shelf", "drop_closed, 6 on the shelf")


async def the_last_order_and_new_stock(replicas: Replicas) -> str:
    shop, other = replicas
    drop = await shop.open_drop(1, shelf=5)

    async def order() -> Receipt:
        await a_moment()
        return await shop.order(drop)

    async def restock() -> None:
        await a_moment()
        await other.drops.restock(other.host, drop.id, drop.variants[0].id, 5, drop.id)

    receipt, _ = await asyncio.gather(order(), restock())
    now = await shop.drop(drop)
    events = [codec.read_event(frame) for frame in await shop.log()]
    history = [e.kind.value for e in events if isinstance(e, DropEvent) and e.drop.id == drop.id]
    if (told([receipt]), now.status, now.variants[0].left) != ("accepted", DropStatus.OPEN, 5):
        return f"wrong: {receipt}, then {now}"
    return judged(" ".join(history[2:]) or "never sold out", "never sold out", "drop_sold_out drop_opened")


RACES: dict[Race, tuple[int, list[str]]] = {
    the_last_unit: (1, WITHOUT_ROW_LOCKS),
    a_double_click: (1, [*WITHOUT_ROW_LOCKS, *WITHOUT_UNIQUE_REFS]),
    one_ref_with_two_bodies: (1, [*WITHOUT_ROW_LOCKS, *WITHOUT_UNIQUE_REFS]),
    the_limit: (1, WITHOUT_ROW_LOCKS),
    an_order_and_a_close: (2, WITHOUT_ROW_LOCKS),
    the_last_order_and_new_stock: (2, WITHOUT_ROW_LOCKS),
}
"""How many ways each may rightly go (and must, over the rounds), and what keeps it right."""

race = pytest.mark.parametrize("race", RACES, ids=lambda race: race.__name__)


async def rounds(race: Race, replicas: Replicas, over: Callable[[Counter[str]], bool]) -> Counter[str]:
    """How the rounds went, up to the one after which it is over; ten times as many as usual at the most."""
    seen: Counter[str] = Counter()
    while not over(seen) and seen.total() < 10 * ROUNDS:
        seen[await race(replicas if seen.total() % 2 else replicas[::-1])] += 1
    return seen


def wrong(seen: Counter[str]) -> list[str]:
    return [word for word in seen if word.startswith("wrong")]


@race
async def test_every_round_goes_right_and_every_right_way_is_gone(race: Race, replicas: Replicas) -> None:
    ways, _ = RACES[race]
    seen = await rounds(
        race, replicas, lambda seen: bool(wrong(seen)) or (seen.total() >= ROUNDS and len(seen) >= ways)
    )
    assert wrong(seen) == []
    assert len(seen) == ways, f"the sides never met in the other order: {seen}"
    assert await replicas[0].violations() == []


@race
async def test_control_without_locks_and_keys_rounds_go_wrong(
    race: Race, replicas: Replicas, mariadb: MariaDB, database_url: str
) -> None:
    disarm(mariadb, database_url, *RACES[race][1])
    seen = await rounds(race, replicas, lambda seen: bool(wrong(seen)))
    assert wrong(seen), f"the sides never met: {seen}"


def disarm(mariadb: MariaDB, database_url: str, *changes: str) -> None:
    for change in changes:
        mariadb.execute(change, Named(database_url.rpartition("/")[2], "", ""))


# The same over sockets


async def test_two_sockets_of_one_viewer_on_two_replicas_click_at_once(
    racing_shop: WholeShop, mariadb: MariaDB, database_url: str
) -> None:
    shop = racing_shop
    stream = await shop.live_stream()
    drop = await shop.drop(stream, 10_000, limit=1000)
    await shop.host.open(drop)
    clients = [await shop.watch(replica, stream) for replica in shop.replicas]
    for n in range(100):
        first, second = await clicks(clients, drop, f"same-{n}", 1, 1)
        assert (first.status, first) == ("accepted", second)
    for n in range(100):
        answers = await clicks(clients, drop, f"other-{n}", 1, 2)
        assert sorted(answer.reason or answer.status for answer in answers) == ["accepted", "conflict"]
    assert await shop.rows("SELECT COUNT(*), COUNT(DISTINCT ref) FROM orders") == [(200, 200)]
    await shop.verify()

    disarm(mariadb, database_url, *WITHOUT_ROW_LOCKS, *WITHOUT_UNIQUE_REFS)
    for n in range(500):
        first, second = await clicks(clients, drop, f"control-{n}", 1, 1)
        if first != second:
            break
    else:
        raise AssertionError("the clicks never met: the rounds above prove nothing")


async def clicks(clients: list[LiveClient], drop: str, ref: str, *quantities: int) -> list[frames.Receipt]:
    await asyncio.gather(*(client.order(drop, n, ref) for client, n in zip(clients, quantities, strict=True)))
    return [await client.expect_receipt(ref) for client in clients]

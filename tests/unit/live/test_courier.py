"""Receipts whose socket is gone: written to who came back, remembered for who did not, told once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from server.domain.errors import Unavailable
from server.domain.order import Accepted
from server.live import courier as courier_module
from server.live.courier import REMEMBERED_S, Courier
from server.live.room import Room
from server.protocol import codec, frames

from .examples import SLUG, AtOnce, MemoryBell, Viewer


def text_of(ref: str) -> str:
    return codec.encode_receipt(Accepted(ref, "o1", 1, 2400, "USD"))


class Replica:
    """A courier, and the room of one stream."""

    def __init__(self, name: str, now_s: Callable[[], float]) -> None:
        self.bell = MemoryBell()
        self.courier = Courier(self.bell, name, now_s=now_s)
        self.room: Room[Viewer] = Room(AtOnce())
        self.now_s = now_s

    def joins(self, person: str = "ann") -> Viewer:
        viewer = Viewer(person, self.now_s())
        self.room.add(viewer)
        self.courier.tell(SLUG, person, viewer)  # type: ignore[arg-type]
        return viewer

    def bring(self, ref: str = "r1", viewer: str = "ann", asked_at_s: float | None = 0.0, slug: str = SLUG) -> None:
        self.courier.bring(slug, self.room, viewer, ref, text_of(ref), asked_at_s)  # type: ignore[arg-type]

    def hear(self, *messages: str) -> None:
        for message in messages:
            news = codec.decode_news(message)
            assert isinstance(news, frames.Parcels)
            self.courier.hear(SLUG, self.room, news)  # type: ignore[arg-type]

    async def says(self) -> list[str]:
        """What it has rung for the stream since it was last asked."""
        await self.courier._ring_all()
        said, self.bell.rung = [message for stream, message in self.bell.rung if stream == SLUG], []
        return said


class Shop:
    def __init__(self) -> None:
        self.s = 10.0
        self.one, self.two = Replica("one", lambda: self.s), Replica("two", lambda: self.s)


@pytest.fixture
async def shop() -> Shop:
    return Shop()


async def test_who_is_back_here_gets_it_at_once_and_nobody_else_hears_of_it(shop: Shop) -> None:
    ann, bob = shop.one.joins(), shop.one.joins("bob")
    shop.one.bring()
    assert (ann.receipts, bob.receipts) == (["r1"], [])
    assert await shop.one.says() == []
    assert shop.one.joins().receipts == []


async def test_a_page_that_was_open_before_the_order_was_sent_is_another_page(shop: Shop) -> None:
    other = shop.one.joins()
    shop.s += 5
    shop.one.bring(asked_at_s=shop.s)
    assert other.receipts == []
    shop.two.joins()  # long before too, as far as this clock can tell
    shop.s += 5
    said = await shop.one.says()
    back = shop.two.joins()
    shop.two.hear(*said)
    assert back.receipts == ["r1"]


async def test_a_late_receipt_goes_to_every_page(shop: Shop) -> None:
    pages = [shop.one.joins(), shop.one.joins()]
    shop.s += 500
    shop.one.bring(asked_at_s=None)
    assert [page.receipts for page in pages] == [["r1"], ["r1"]]


async def test_who_comes_back_anywhere_is_told_once(shop: Shop) -> None:
    shop.one.bring("r1")
    shop.one.bring("r2")
    shop.one.bring("r3", slug="another-stream")
    shop.two.hear(*await shop.one.says())
    ann = shop.two.joins()
    assert ann.receipts == ["r1", "r2"]
    shop.one.hear(*await shop.two.says())
    assert shop.one.joins().receipts == []
    assert shop.two.joins().receipts == []


async def test_who_is_there_when_the_news_comes_gets_it_and_the_others_forget(shop: Shop) -> None:
    shop.one.bring(asked_at_s=shop.s)
    back = shop.two.joins()
    shop.two.hear(*await shop.one.says())
    assert back.receipts == ["r1"]
    shop.one.hear(*await shop.two.says())
    assert shop.one.joins().receipts == []


async def test_who_asked_again_themselves_is_not_told_twice(shop: Shop) -> None:
    shop.one.bring()
    back = shop.two.joins()
    back.asked.add("r1")
    shop.two.hear(*await shop.one.says())
    assert back.receipts == []
    shop.one.hear(*await shop.two.says())
    assert shop.one.joins().receipts == []


async def test_our_own_words_come_back_and_change_nothing(shop: Shop) -> None:
    shop.one.bring()
    said = await shop.one.says()
    assert shop.one.joins().receipts == ["r1"]
    shop.one.hear(*said)
    assert shop.one.joins().receipts == []


async def test_a_guest_who_calls_themselves_by_a_viewers_id_gets_nothing(shop: Shop) -> None:
    guest = Viewer("ann", shop.s)
    guest.viewer = None
    shop.one.room.add(guest)
    shop.one.bring()
    assert guest.receipts == []
    assert shop.one.joins().receipts == ["r1"]


async def test_a_socket_that_cannot_be_written_to_leaves_it_for_the_next(shop: Shop) -> None:
    gone = shop.one.joins()
    gone.close(4008)
    shop.one.bring()
    assert shop.one.joins().receipts == ["r1"]


async def test_it_is_remembered_for_a_while(shop: Shop) -> None:
    shop.one.bring("r1")
    shop.s += REMEMBERED_S + 1
    shop.one.bring("r2", viewer="bob")
    assert (shop.one.joins().receipts, shop.one.joins("bob").receipts) == ([], ["r2"])
    assert (len(shop.one.courier._kept), len(shop.one.courier._refs)) == (0, 0)
    shop.one.bring("r3")
    shop.s += REMEMBERED_S + 1
    assert shop.one.joins().receipts == []


async def test_only_so_many_are_remembered_and_rung_and_the_oldest_give_way(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(courier_module, "REMEMBERED_MAX", 3)
    for number in range(5):
        shop.one.bring(f"r{number}")
    assert shop.one.joins().receipts == ["r2", "r3", "r4"]


async def test_a_crowd_that_is_cut_is_rung_in_few_messages_in_order(shop: Shop) -> None:
    for number in range(2_000):
        shop.one.bring(f"r{number}", viewer=f"viewer {number}")
    crowd = [shop.one.joins(f"viewer {number}") for number in range(2_000)]
    assert all(viewer.receipts == [f"r{number}"] for number, viewer in enumerate(crowd))
    said = await shop.one.says()
    assert len(said) == 8  # 2,000 to remember, 2,000 to forget
    shop.two.hear(*said)
    assert shop.two.joins("viewer 7").receipts == []


async def test_a_bus_that_is_away_costs_a_message_and_nothing_else(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def away(stream: str, message: str) -> None:
        raise Unavailable("Redis is away")

    monkeypatch.setattr(shop.one.bell, "ring", away)
    shop.one.courier.start()
    shop.one.bring()
    for _ in range(5):
        await asyncio.sleep(0)
    assert "receipts were not rung" in caplog.text
    assert shop.one.joins().receipts == ["r1"]
    await shop.one.courier.close()


async def test_what_is_left_is_rung_before_the_end(shop: Shop) -> None:
    shop.one.courier.start()
    shop.one.bring()
    await shop.one.courier.close()
    shop.one.bring("r2")
    await shop.one.courier.close()
    assert len(shop.one.bell.rung) == 2

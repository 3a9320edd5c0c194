"""A watch against a scripted shop: news, comings back, orders, ends."""

from __future__ import annotations

import asyncio
import logging

import httpx
import pytest

import dropcast
from dropcast import news as news_module
from dropcast.news import Event, LinkChange, LinkState, News, Stock, Whole
from server.domain.drop import DropStatus, StockLine
from server.domain.events import EventKind
from tests.unit.client import said
from tests.unit.client.stage import QUICK, WITHIN_S, Stage, refusal, shop_of


def told(heard: list[News]) -> list[object]:
    """The news in short: seqs, what is left, states of the link."""
    short: list[object] = []
    for item in heard:
        match item:
            case Whole(state=state):
                short.append(("whole", state.seq))
            case Event(seq=seq):
                short.append(seq)
            case Stock(lines=lines):
                short.append(("left", lines[-1].left))
            case LinkChange(state=state):
                short.append(str(state))
            case _:
                short.append(item)
    return short


async def all_news(show: dropcast.Watch) -> list[News]:
    async with asyncio.timeout(WITHIN_S):
        return [item async for item in show]


async def opens(stage: Stage) -> None:
    assert stage.hello == {"type": "hello", "v": 1}
    await stage.say(said.welcome(4, said.drop(9, 1)))


async def test_a_loop_has_the_stream_whole_then_all_that_is_new_and_ends_with_the_stream() -> None:
    async def act(stage: Stage) -> None:
        await opens(stage)
        await stage.hear()  # until the loop is there
        await stage.say(said.later_kind(5), said.stock(7, 3), said.stock(8, 2), said.event(6))
        await stage.close(4503)

    async with shop_of(act) as shop, shop.watch("show") as show:
        loop = aiter(show)
        order = asyncio.create_task(show.order("d"))
        async with asyncio.timeout(WITHIN_S):
            heard = [item async for item in loop]
        assert told(heard) == [("whole", 4), 5, ("left", 7), 6, "over"]
        assert show.state.drops["d"].left == 7
        with pytest.raises(dropcast.LinkOver, match="the stream is over") as over:
            await order
        assert over.value.ref
        assert told(await all_news(show)) == [("whole", 6)]  # a loop begun later ends at once


async def test_it_comes_back_with_its_position_and_tells_what_was_missed_once() -> None:
    async def first(stage: Stage) -> None:
        await opens(stage)
        await stage.hear()
        await stage.say(said.later_kind(5))
        await stage.vanish()

    async def second(stage: Stage) -> None:
        assert stage.hello["position"] == {"epoch": "e", "seq": 5}
        gone = said.event(6, said.drop(0, 2, DropStatus.SOLD_OUT), EventKind.DROP_SOLD_OUT)
        await stage.say(said.welcome(6, missed=[gone], stock=[StockLine("d", "v", 0, 3)]), gone, said.later_kind(7))
        await stage.close(4503)

    async with shop_of(first, second) as shop, shop.watch("show", backoff=QUICK) as show:
        loop = aiter(show)
        order = asyncio.create_task(show.order("d"))
        heard = [item async for item in loop]
        expected = [("whole", 4), 5, "waiting", "connecting", "live", 6, ("left", 0), 7, "over"]
        assert told(heard) == expected
        assert show.reconnects == 1
        with pytest.raises(dropcast.LinkOver):
            await order


@pytest.mark.parametrize("breaks", [said.event(6), said.tick(5)], ids=["a hole", "a tick ahead"])
async def test_what_shows_a_gap_makes_it_come_back_and_a_second_gap_asks_for_all(
    breaks: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dropcast.link.BEHIND_S", 0.01)

    async def first(stage: Stage) -> None:
        await opens(stage)
        await stage.say(breaks)
        await stage.stay()

    async def second(stage: Stage) -> None:
        assert stage.hello["position"] == {"epoch": "e", "seq": 4}
        await stage.say(said.welcome(4, missed=[]), breaks)
        await stage.stay()

    async def third(stage: Stage) -> None:
        assert "position" not in stage.hello
        await stage.say(said.welcome(6, said.drop(1, 9)))
        await stage.stay()

    async with shop_of(first, second, third) as shop, shop.watch("show", backoff=QUICK) as show:
        async with asyncio.timeout(WITHIN_S):
            state = await show.until(lambda state: state.seq == 6)
        assert state.drops["d"].left == 1


async def test_silence_means_a_dead_link() -> None:
    async def dies(stage: Stage) -> None:
        await stage.say(said.welcome(4, tick_ms=10))
        await stage.stay()

    async def lives(stage: Stage) -> None:
        await stage.say(said.welcome(5, missed=[said.event(5)]))
        await stage.stay()

    async with shop_of(dies, lives) as shop, shop.watch("show", backoff=QUICK) as show, asyncio.timeout(WITHIN_S):
        await show.until(lambda state: state.seq == 5)


async def test_drain_is_obeyed_even_when_the_server_does_not_close_and_meanwhile_all_is_heard() -> None:
    loop = asyncio.get_running_loop()
    left_at = 0.0

    async def leaves(stage: Stage) -> None:
        nonlocal left_at
        await opens(stage)
        await stage.say(said.drain(100), said.event(5))
        told_at = loop.time()
        await stage.stay()
        left_at = loop.time() - told_at

    async def resumes(stage: Stage) -> None:
        assert stage.hello["position"] == {"epoch": "e", "seq": 5}
        await stage.say(said.welcome(6, missed=[said.event(6)]))
        await stage.stay()

    async with shop_of(leaves, resumes) as shop, shop.watch("show") as show, asyncio.timeout(WITHIN_S):
        await show.until(lambda state: state.seq == 6)
        assert left_at >= 0.09


async def test_an_order_keeps_its_ref_until_it_is_answered() -> None:
    refs: list[str] = []

    async def takes_it_and_dies(stage: Stage) -> None:
        await opens(stage)
        refs.append((await stage.hear())["ref"])
        await stage.vanish()

    async def is_busy_and_then_not(stage: Stage) -> None:
        await stage.say(said.welcome(4, missed=[]))
        order = await stage.hear()
        refs.append(order["ref"])
        assert (order["drop"], order["variant"], order["quantity"]) == ("d", "v", 2)
        await stage.say(said.rejected(order["ref"], "busy", 1))
        refs.append((await stage.hear())["ref"])
        await stage.say(said.accepted(order["ref"]), said.accepted(order["ref"]))  # the second is nobody's any more
        await stage.stay()

    async with (
        shop_of(takes_it_and_dies, is_busy_and_then_not) as shop,
        shop.watch("show", backoff=QUICK) as show,
        asyncio.timeout(WITHIN_S),
    ):
        receipt = await show.order(show.state.drops["d"], 2, "v")
    assert receipt.order == "o"
    assert len(refs) == 3
    assert len(set(refs)) == 1


async def test_an_order_that_a_leaving_replica_did_not_take_is_asked_on_the_next() -> None:
    async def leaves(stage: Stage) -> None:
        await opens(stage)
        order = await stage.hear()
        await stage.say(said.drain(30), said.rejected(order["ref"], "draining"))
        await stage.stay()

    async def takes_it(stage: Stage) -> None:
        await stage.say(said.welcome(4, missed=[]))
        await stage.say(said.accepted((await stage.hear())["ref"]))
        await stage.stay()

    async with shop_of(leaves, takes_it) as shop, shop.watch("show") as show, asyncio.timeout(WITHIN_S):
        assert (await show.order("d")).status == "accepted"


async def test_an_order_that_came_too_early_is_asked_again_when_the_drop_opens() -> None:
    async def act(stage: Stage) -> None:
        await opens(stage)
        order = await stage.hear()
        await stage.say(said.rejected(order["ref"], "not_open", 60_000), said.event(5))
        assert await stage.hear() == order
        await stage.say(said.accepted(order["ref"]))
        await stage.stay()

    async with shop_of(act) as shop, shop.watch("show") as show, asyncio.timeout(WITHIN_S):
        assert (await show.order("d")).status == "accepted"


async def test_no_final_answer_in_time_is_told_with_the_ref_and_asking_again_tells_what_became_of_it() -> None:
    async def act(stage: Stage) -> None:
        await opens(stage)
        order = await stage.hear()
        await stage.say(said.rejected(order["ref"], "busy", 60_000))
        assert await stage.hear() == order
        await stage.say(said.accepted(order["ref"]))
        too_early = await stage.hear()
        await stage.say(said.rejected(too_early["ref"], "not_open", 60_000))
        await stage.stay()

    async with shop_of(act) as shop, shop.watch("show") as show:
        with pytest.raises(dropcast.TimedOut, match="busy") as unknown:
            await show.order("d", within_s=0.1)
        assert (await show.order("d", ref=unknown.value.ref)).order == "o"
        with pytest.raises(dropcast.Rejected, match="not_open"):  # surely not bought
            await show.order("d", within_s=0.1)


async def test_a_cancelled_order_may_be_asked_again_under_its_ref_but_not_twice_at_once() -> None:
    heard = asyncio.Event()

    async def act(stage: Stage) -> None:
        await opens(stage)
        order = await stage.hear()
        heard.set()
        assert await stage.hear() == order
        await stage.say(said.accepted("mine"))
        await stage.stay()

    async with shop_of(act) as shop, shop.watch("show") as show, asyncio.timeout(WITHIN_S):
        waiting = asyncio.create_task(show.order("d", ref="mine"))
        await heard.wait()
        with pytest.raises(ValueError, match="being asked already"):
            await show.order("d", ref="mine")
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert (await show.order("d", ref="mine")).order == "o"


async def test_a_final_rejection_is_told_with_its_reason() -> None:
    async def act(stage: Stage) -> None:
        await opens(stage)
        await stage.say(said.rejected((await stage.hear())["ref"], "sold_out"))
        await stage.stay()

    async with shop_of(act) as shop, shop.watch("show") as show:
        with pytest.raises(dropcast.Rejected) as rejected:
            await show.order("d")
        assert (rejected.value.reason, rejected.value.receipt.retry) == ("sold_out", False)


async def test_an_order_is_never_sent_for_somebody_else() -> None:
    async def as_ann(stage: Stage) -> None:
        await stage.say(said.welcome(4, viewer="ann"))
        await stage.hear()
        await stage.vanish()

    async def as_ben(stage: Stage) -> None:
        await stage.say(said.welcome(4, missed=[], viewer="ben"))
        await stage.stay()
        assert not stage.socket.recv_messages.frames  # type: ignore[attr-defined]  # ben has ordered nothing

    async with shop_of(as_ann, as_ben) as shop, shop.watch("show", backoff=QUICK) as show:
        with pytest.raises(dropcast.ViewerChanged) as changed:
            await show.order("d", ref="anns")
        assert changed.value.ref == "anns"


async def test_a_refused_ticket_is_replaced_once_and_no_more() -> None:
    tickets: list[str] = []

    async def ticket() -> str:
        tickets.append(f"t{len(tickets)}")
        return tickets[-1]

    async def refuses(stage: Stage) -> None:
        assert stage.hello["ticket"] == tickets[-1]
        await stage.close(4501)

    async with shop_of(refuses, refuses) as shop:
        with pytest.raises(dropcast.LinkOver, match="4501"):
            async with shop.watch("show", ticket=ticket, backoff=QUICK):
                pass
    assert tickets == ["t0", "t1"]


async def test_no_ticket_and_no_cookie_is_in_a_log_however_much_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def act(stage: Stage) -> None:
        await stage.say(said.welcome(4))
        await stage.stay()

    async def ticket() -> str:
        return "very-secret-ticket"

    with caplog.at_level(logging.DEBUG):
        async with shop_of(act, act) as shop:
            async with shop.watch("show", ticket=ticket):
                pass
            shop._calls._http.cookies.set("dropcast_session", "very-secret-cookie")
            async with shop.watch("show"):
                pass
    tells = {record.name for record in caplog.records if "very-secret" in record.getMessage()}
    assert tells == {"websockets.server"}, "the scripted shop shows what there was to tell"


async def test_a_watch_is_entered_once() -> None:
    async def act(stage: Stage) -> None:
        await opens(stage)
        await stage.stay()

    async with shop_of(act) as shop, shop.watch("show") as show:
        with pytest.raises(RuntimeError, match="entered once"):
            await show.__aenter__()


@pytest.mark.parametrize("status", [403, 404, 302])
async def test_an_upgrade_that_is_refused_for_good_is_told_at_once(status: int) -> None:
    async with shop_of(refusal(status, Location="ws://127.0.0.1:1/")) as shop:
        with pytest.raises(dropcast.Refused) as refused:
            async with shop.watch("show", backoff=QUICK):
                pass
        assert refused.value.status == status


async def test_a_refused_upgrade_is_told_in_the_shops_words() -> None:
    body = b'{"error": {"reason": "forbidden", "detail": "this origin is not allowed"}}'
    async with shop_of(refusal(403, body)) as shop:
        with pytest.raises(dropcast.Refused, match="this origin is not allowed") as refused:
            async with shop.watch("show"):
                pass
        assert refused.value.reason == "forbidden"


async def test_an_upgrade_that_may_pass_is_tried_again() -> None:
    async def act(stage: Stage) -> None:
        await opens(stage)
        await stage.stay()

    refused = (refusal(503, Retry_After="0"), refusal(429, Retry_After="0"))
    async with shop_of(*refused, act) as shop, asyncio.timeout(WITHIN_S), shop.watch("show", backoff=QUICK) as show:
        assert show.state.seq == 4


async def test_a_shop_that_is_away_is_told_at_the_start_and_later_only_when_asked_to() -> None:
    async def first(stage: Stage) -> None:
        await opens(stage)
        await stage.vanish()

    async with shop_of() as shop:
        pass  # nobody listens there any more
    async with dropcast.Shop(shop._calls.origin, trust_env=False) as shop:
        with pytest.raises(dropcast.Unreachable, match="Connect"):
            async with shop.watch("show", backoff=QUICK, open_within_s=0.1):
                pass
    gone = [refusal(503) for _ in range(10_000)]
    async with shop_of(first, *gone) as shop, shop.watch("show", backoff=QUICK, give_up_after_s=0.1) as show:
        with pytest.raises(dropcast.Unreachable, match="503"):
            await show.until(lambda _: False)


async def test_what_the_tickets_callable_raises_ends_the_link_unless_it_may_pass() -> None:
    troubles = [
        dropcast.Refused("POST /api/ticket", 503, "busy"),
        httpx.ConnectError("away"),
        KeyError("no such customer"),
    ]

    async def ticket() -> str:
        raise troubles.pop(0)

    async with shop_of() as shop:
        with pytest.raises(KeyError):
            async with shop.watch("show", ticket=ticket, backoff=QUICK):
                pass
    assert not troubles


async def test_who_does_not_take_news_stops_the_reading_and_nothing_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(news_module, "NEWS_MAX", 3)

    async def act(stage: Stage) -> None:
        await opens(stage)
        await stage.hear()
        await stage.say(*(said.later_kind(seq) for seq in range(5, 105)))
        await stage.close(4503)

    async with shop_of(act) as shop, shop.watch("show") as show, asyncio.timeout(WITHIN_S):
        loop = aiter(show)
        order = asyncio.create_task(show.order("d"))
        await show.until(lambda state: state.seq >= 6)
        assert len(loop._waiting) == 3
        assert not order.done()
        heard = [item async for item in loop]
        assert [item.seq for item in heard if isinstance(item, Event)] == list(range(5, 105))
        with pytest.raises(dropcast.LinkOver):
            await order


async def test_a_loop_that_was_left_holds_nobody_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(news_module, "NEWS_MAX", 3)

    async def act(stage: Stage) -> None:
        await opens(stage)
        await stage.hear()
        await stage.say(*(said.later_kind(seq) for seq in range(5, 105)))
        await stage.stay()

    async with shop_of(act) as shop, shop.watch("show") as show, asyncio.timeout(WITHIN_S):
        async for news in show:
            assert isinstance(news, Whole)
            break
        order = asyncio.create_task(show.order("d"))
        await show.until(lambda state: state.seq == 104)
        order.cancel()


async def test_leaving_ends_the_task_and_whoever_waits() -> None:
    async def act(stage: Stage) -> None:
        await opens(stage)
        await stage.stay()

    async with shop_of(act) as shop:
        async with shop.watch("show") as show:
            loop = aiter(show)
            order = asyncio.create_task(show.order("d"))
            await anext(loop)
        assert [item async for item in loop] == [LinkChange(LinkState.OVER, 1000)]
        with pytest.raises(dropcast.LinkOver):
            await order
    assert not [task for task in asyncio.all_tasks() if task.get_name().startswith("dropcast")]

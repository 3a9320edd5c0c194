"""The demo: a scripted host who sells one drop after the other, and a small crowd that buys like people do."""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import random
import signal
import sys
import time

import httpx

from dropcast import Drop, DropStatus, LinkOver, LinkState, Refused, Shop, State, StreamStatus, Watch
from dropcast.comeback import STREAM_OVER
from loadtest import sale, shoppers
from loadtest.accounts import Accounts, StandardInput
from loadtest.errors import CannotGoOn
from loadtest.person import Person, wait_ready
from loadtest.report import say

SUMMARY = "a host and a small crowd for `make run`, until stopped"

STREAM_TITLE = "The evening shop"
GUESTS = 3
"""How many only watch."""

READY_WITHIN_S = 20.0
ACCOUNTS_WITHIN_S = 20.0
BETWEEN_DROPS_S = 2.5
SOLD_OUT_SHOWS_S = 1.5
QUIET_S = 8.0
"""A drop nobody has bought of for so long is closed."""

SATED_S = 1.0
"""The same once every shopper has what the limit allows: time for a person at a screen to have the last one."""

WAITS_FOR_OTHERS_S = 60.0
"""How long the script leaves the floor to a drop that a person has opened by hand."""

_SAYS_GOODBYE_WITHIN_S = 0.8
_RETRY_S = 1.0

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `python -m loadtest demo`."""
    parser.add_argument("--stream", default="demo", help="the stream's slug; created when missing (%(default)s)")


async def run(options: argparse.Namespace, stop: asyncio.Event) -> int:
    """Plays until cancelled; sets `stop` when standard input closes. Raises `LoadtestError` when it cannot go on."""
    _die_with_parent()
    if sys.stdin is not None and sys.stdin.isatty():
        say("Reading the accounts as one JSON object from standard input …")
    accounts = await StandardInput(on_closed=stop.set).accounts(ACCOUNTS_WITHIN_S)
    await wait_ready(options.url, READY_WITHIN_S)
    await play(options.url, options.stream, accounts, random.Random())
    return 0


async def play(url: str, slug: str, accounts: Accounts, chance: random.Random) -> None:
    """The whole show. Returns when the stream is over; raises `Unreachable` when the server stays away."""
    try:
        async with Person(url, accounts.host) as person, Shop(url, trust_env=False) as there:
            await ensure_live(person, slug)
            watch = there.watch(slug, ticket=lambda: person.ticket(slug), give_up_after_s=shoppers.GIVE_UP_AFTER_S)
            async with watch as viewer, asyncio.TaskGroup() as show:
                hunger = shoppers.Hunger(len(accounts.shoppers))
                host = Host(person, viewer, slug, hunger, chance)
                show.create_task(host.run(), name="demo: host")
                door = asyncio.Semaphore(shoppers.SIGN_INS_AT_ONCE)
                for account in accounts.shoppers:
                    shopper = shoppers.shop(there, url, slug, account, hunger, door, chance)
                    show.create_task(shopper, name=f"demo: {account.email}")
                for number in range(GUESTS):
                    show.create_task(shoppers.watch(there, slug, chance), name=f"demo: guest {number + 1}")
    except* LinkOver as over:
        if not _stream_over(over):
            raise
        say("the stream is over: the crowd goes home")


async def ensure_live(person: Person, slug: str) -> None:
    """Creates and starts the stream where needed. Raises `CannotGoOn` when it has ended, `Refused` when not ours."""
    try:
        await person.create_stream(slug, STREAM_TITLE)
    except Refused as refusal:
        if refusal.status != 409:  # there already, perhaps under another title
            raise
    status = (await person.stream(slug)).stream.status
    if status is StreamStatus.ENDED:
        raise CannotGoOn(f"the stream {slug!r} has ended, for good: choose another with --stream, or a fresh database")
    if status is StreamStatus.SCHEDULED:
        await person.start_stream(slug)


class Host:
    """Sells for ever: plans a drop, opens it, lets it sell, sometimes restocks once, closes it."""

    def __init__(
        self, person: Person, viewer: Watch, slug: str, hunger: shoppers.Hunger, chance: random.Random
    ) -> None:
        self._person = person
        self._viewer = viewer
        self._slug = slug
        self._hunger = hunger
        self._chance = chance
        self._rotation = sale.Rotation(chance)
        self._ours: str | None = None
        """The drop that is on the run sheet or on sale because of us."""

    async def run(self) -> None:
        """Never returns. Raises what ends the link, `CannotGoOn`, or a `Refused` that does not pass."""
        swept = False
        while True:
            try:
                if not swept:
                    await self._close_leftovers()
                    swept = True
                await self._leave_the_floor()
                await self._sell(await self._next_plan())
                await asyncio.sleep(BETWEEN_DROPS_S)
            except (httpx.TransportError, Refused) as trouble:
                if isinstance(trouble, Refused) and not (trouble.passing or trouble.status == 409):
                    raise  # 409: a person commanded the same drop at the same time; this sale is off
                await asyncio.sleep(_RETRY_S)
                # a server that stays away ends the link, which raises here
                await self._viewer.until(lambda _: self._viewer.link is LinkState.LIVE)

    async def _close_leftovers(self) -> None:
        """An earlier run may have been killed with a drop on sale."""
        for drop in (await self._person.stream(self._slug)).drops:
            if drop.status in (DropStatus.OPEN, DropStatus.SOLD_OUT):
                await self._close(drop.id)
                say(f"closed {drop.title}, left over from an earlier run")

    async def _leave_the_floor(self) -> None:
        """Closes what trouble left open of ours; waits, bounded, while a drop that a person opened sells."""
        if self._ours is not None:
            await self._close(self._ours)
            self._ours = None
        other = sale.open_drop(self._viewer.state)
        if other is None:
            return
        say(f"{other.title} is on sale by another hand · waiting for it")
        try:
            async with asyncio.timeout(WAITS_FOR_OTHERS_S):
                await self._viewer.until(lambda state: sale.open_drop(state) is None)
        except TimeoutError:
            pass  # a newcomer must see something sell

    async def _next_plan(self) -> sale.Plan:
        everything = await self._person.products()
        products = [product for product in everything if product.sku.startswith("DEMO-")] or everything
        while products:
            product = self._rotation.next(products)
            plan = sale.plan(product, self._hunger.shoppers, self._chance)
            if plan is not None:
                return plan
            products = [other for other in products if other is not product]
        raise CannotGoOn(f"no product has {sale.QUANTITY_MIN} units on its shelf: run `dropcast seed-demo`")

    async def _sell(self, plan: sale.Plan) -> None:
        try:
            drop = await self._person.schedule_drop(
                self._slug,
                product=plan.product.id,
                price=plan.price,
                currency=plan.product.currency,
                limit=plan.limit,
                stock=dict(plan.stock),
            )
        except Refused as refusal:
            if refusal.reason == "no_stock":  # somebody else took it off the shelf since we looked
                return
            if refusal.status == 409:  # the stream is over, or its run sheet is full
                raise CannotGoOn(f"no more drops on the stream {self._slug!r}: {refusal.detail}") from None
            raise
        self._ours = drop.id
        try:
            await asyncio.sleep(self._chance.uniform(0.3, 0.8))
            await self._person.open_drop(drop.id)
            say(f"opened {drop.title} · {plan.units} left")
            outcome = await self._watch(plan, drop)
            await self._close(drop.id)
            if outcome:
                say(outcome)
        except asyncio.CancelledError:
            await self._say_goodbye(drop.id)
            raise
        self._ours = None

    async def _watch(self, plan: sale.Plan, drop: Drop) -> str:
        """Until the drop should be closed: sold out for good, its time over, or nobody buys any more.

        Returns what is to be said once it is closed; empty when everything is said.
        """
        began = last_sale = time.monotonic()
        left, restock = plan.units, plan.restock
        while True:
            quiet_s = QUIET_S if self._hunger.still(drop.id) else SATED_S
            until = min(began + plan.lasts_s, last_sale + quiet_s)
            now = await self._moved(drop.id, left, until)
            if now is None:
                return f"closed {drop.title} · {left} left"
            if now.status is DropStatus.CLOSED:
                return f"{drop.title} was closed by another hand"
            left, last_sale = sale.left(now), time.monotonic()
            if now.status is DropStatus.SOLD_OUT:
                say(f"sold out in {last_sale - began:.0f} s")
                await asyncio.sleep(SOLD_OUT_SHOWS_S)
                if restock is None:
                    return ""
                left, restock = await self._restock(drop, restock), None
                if not left:
                    return ""
                last_sale = time.monotonic()

    async def _moved(self, drop: str, left: int, until: float) -> Drop | None:
        """The drop once something of it was sold or its state changed; None when nothing did in time."""

        def moved(state: State) -> bool:
            found = state.drops.get(drop)
            if found is None or found.status is DropStatus.SCHEDULED:
                return False
            return found.status is not DropStatus.OPEN or sale.left(found) not in (left, 0)

        try:
            async with asyncio.timeout(until - time.monotonic()):
                return (await self._viewer.until(moved)).drops[drop]
        except TimeoutError:
            return None

    async def _restock(self, drop: Drop, restock: tuple[str, int]) -> int:
        """Puts units back in and waits until that is seen; how many are left now, 0 when the shelf is empty."""
        variant, units = restock
        try:
            await self._person.restock_drop(drop.id, variant, units)
        except Refused as refusal:
            if refusal.reason != "no_stock":
                raise
            return 0
        label = next(v.label for v in drop.variants if v.id == variant)
        say(f"restocked {drop.title}, {label} · {units} left")
        await self._viewer.until(lambda state: state.drops[drop.id].status is not DropStatus.SOLD_OUT)
        return units

    async def _close(self, drop: str) -> None:
        """Closes a drop and waits until that is seen: our own must not look like somebody else's."""
        await self._person.close_drop(drop)

        def closed(state: State) -> bool:
            found = state.drops.get(drop)
            return found is not None and found.status is DropStatus.CLOSED

        await self._viewer.until(closed)

    async def _say_goodbye(self, drop: str) -> None:
        """The host is asked to leave: closes the drop if that is quickly done; the next run would do it too."""
        try:
            async with asyncio.timeout(_SAYS_GOODBYE_WITHIN_S):
                await self._person.close_drop(drop)
        except (TimeoutError, Refused, httpx.TransportError):
            pass  # the server is leaving as well


def _stream_over(group: BaseExceptionGroup[LinkOver]) -> bool:
    return any(
        _stream_over(error) if isinstance(error, BaseExceptionGroup) else error.code == STREAM_OVER
        for error in group.exceptions
    )


def _die_with_parent() -> None:
    """Asks Linux for SIGTERM when the process that started this one ends; elsewhere standard input says so."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)

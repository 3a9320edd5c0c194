"""The demo's crowd: shoppers who buy at random moments, as people do, and guests who only look."""

from __future__ import annotations

import asyncio
import random

from dropcast import Drop, DropStatus, Rejected, Shop, State, Watch
from loadtest import sale
from loadtest.accounts import Account
from loadtest.person import Person

SIGN_INS_AT_ONCE = 2
"""Password checks are dear on the server: the crowd comes through a narrow door."""

GIVE_UP_AFTER_S = 30.0
"""How long anybody of the demo tries to come back before it is over."""

_ARRIVES_WITHIN_S = 2.0
_RETRY_S = 1.0


class Hunger:
    """What the shoppers know of each other: how many may still buy of the drop on sale."""

    def __init__(self, shoppers: int) -> None:
        self.shoppers = shoppers
        self._drop = ""
        self._sated: set[object] = set()

    def still(self, drop: str) -> int:
        """How many shoppers have not had enough of this drop."""
        return self.shoppers - (len(self._sated) if drop == self._drop else 0)

    def sated(self, drop: str, shopper: object) -> None:
        """Says that this shopper has bought all it may of the drop; what was known of another drop is forgotten."""
        if drop != self._drop:
            self._drop, self._sated = drop, set()
        self._sated.add(shopper)


async def shop(
    there: Shop, url: str, slug: str, account: Account, hunger: Hunger, door: asyncio.Semaphore, chance: random.Random
) -> None:
    """One shopper's evening: comes in after a moment, looks at what is on sale, thinks, buys."""
    await asyncio.sleep(chance.uniform(0, _ARRIVES_WITHIN_S))
    async with Person(url, account) as person:

        async def ticket() -> str:
            async with door:
                return await person.ticket(slug)

        async with there.watch(slug, ticket=ticket, give_up_after_s=GIVE_UP_AFTER_S) as viewer:
            await Shopper(viewer, hunger, chance).run()


async def watch(there: Shop, slug: str, chance: random.Random) -> None:
    """One guest's evening: only looks."""
    await asyncio.sleep(chance.uniform(0, _ARRIVES_WITHIN_S))
    async with there.watch(slug, give_up_after_s=GIVE_UP_AFTER_S) as viewer:
        await viewer.until(lambda _: False)


class Shopper:
    """Buys of whatever is on sale, at random moments, up to each drop's limit. Remembers one drop at a time."""

    def __init__(self, viewer: Watch, hunger: Hunger, chance: random.Random) -> None:
        self._viewer = viewer
        self._hunger = hunger
        self._chance = chance
        self._drop = ""
        self._units = 0
        self._bought = 0

    async def run(self) -> None:
        """Never returns; raises what ends the link."""
        while True:
            drop = self._wanted(await self._viewer.until(lambda state: self._wanted(state) is not None))
            if drop is None:
                continue
            if drop.id != self._drop:
                self._drop, self._units, self._bought = drop.id, sale.left(drop), 0
            if await self._think(drop):
                await self._buy()

    async def _think(self, drop: Drop) -> bool:
        """A moment's thought; False when the drop was over, or another one on sale, before it came to its end."""
        most = min(self._units, self._hunger.shoppers * drop.limit)
        thinks_s = sale.pause_s(most, self._hunger.still(drop.id), self._chance)

        def passed(state: State) -> bool:
            wanted = self._wanted(state)
            return wanted is None or wanted.id != drop.id

        try:
            async with asyncio.timeout(thinks_s):
                await self._viewer.until(passed)
        except TimeoutError:
            return True
        return False

    def _wanted(self, state: State) -> Drop | None:
        drop = sale.open_drop(state)
        return None if drop is None or (drop.id == self._drop and self._bought >= drop.limit) else drop

    async def _buy(self) -> None:
        drop = self._viewer.state.drops.get(self._drop)
        if drop is None or drop.status is not DropStatus.OPEN:
            return  # over while thinking
        choice = sale.choose(drop.variants, drop.limit - self._bought, self._chance)
        if choice is None:
            return
        variant, quantity = choice
        try:
            await self._viewer.order(drop, quantity, variant, within_s=None)
            self._bought += quantity
        except Rejected as rejected:
            if rejected.reason == "limit_reached":
                self._bought = drop.limit  # bought earlier, before a restart of this crowd, or asked for one too many
            else:
                await asyncio.sleep(_RETRY_S)  # too late: news of it is on the way
        if self._bought >= drop.limit:
            self._hunger.sated(drop.id, self)

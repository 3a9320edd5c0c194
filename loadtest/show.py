"""A host at work: real commands over HTTP, so that every event is in the log as well as on the bus."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from time import monotonic

from httpx import TransportError

from dropcast import Product, Refused
from loadtest.errors import CannotGoOn
from loadtest.person import Person

EVENTS_MAX = 1_500
"""Each drop gives three events and stays on its stream for ever, and a stream holds 500 drops."""

_TRIES_WITHIN_S = 15.0
_RETRY_S = 0.05


class Show:
    """Schedules, opens and closes one drop after the other: one event for each step."""

    def __init__(self, host: Person, stream: str, product: Product) -> None:
        self._host = host
        self._stream = stream
        self._product = product
        self._drop: str | None = None
        self._opened = False

    async def step(self) -> None:
        """One command, asked again while a replica leaves or dies. Raises its last refusal when that does not help."""
        until = monotonic() + _TRIES_WITHIN_S
        while True:
            try:
                await self._command()
                return
            except (Refused, TransportError) as error:
                if (isinstance(error, Refused) and not error.passing) or monotonic() > until:
                    raise
            await asyncio.sleep(_RETRY_S)

    async def _command(self) -> None:
        if self._drop is None:
            product = self._product
            drop = await self._host.schedule_drop(
                self._stream,
                product=product.id,
                price=product.price,
                currency=product.currency,
                limit=1,
                stock={product.variants[0].id: 1},
            )
            self._drop, self._opened = drop.id, False
        elif not self._opened:
            await self._host.open_drop(self._drop)
            self._opened = True
        else:
            await self._host.close_drop(self._drop)
            self._drop = None


async def go_on(shows: Sequence[Show], events_per_s: float, enough: asyncio.Event) -> int:
    """Steps at fixed times, the shows in turn, until it is enough; how many were made.

    A step that is late, because a replica leaves, holds up its own show only.
    """
    began, made = monotonic(), 0
    free: asyncio.Queue[Show] = asyncio.Queue()
    for show in shows:
        free.put_nowait(show)

    async def step(show: Show) -> None:
        await show.step()
        free.put_nowait(show)

    async with asyncio.TaskGroup() as steps:
        while not enough.is_set() and made < EVENTS_MAX:
            await asyncio.sleep(max(0.0, began + made / events_per_s - monotonic()))
            steps.create_task(step(await free.get()))
            made += 1
    return made


async def product_of(host: Person, sku: str) -> Product:
    """The product of this SKU. Raises `CannotGoOn` when there is none."""
    product = next((product for product in await host.products() if product.sku == sku), None)
    if product is None:
        raise CannotGoOn(f"there is no product {sku!r}: run `dropcast seed-demo`, or name another with --product")
    return product

"""Buyers beside a crowd: whole clients (`dropcast.Watch`) who order at fixed times and wait for receipts."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from time import monotonic
from types import TracebackType
from typing import Self

from dropcast import DropcastError, Rejected, Shop, Watch
from loadtest.person import Person
from loadtest.report import percentile
from loadtest.show import product_of

ORDERS_EACH = 10
EVERY_S = 0.5
"""Each buyer orders this often, starting at a moment of its own: 50 of them make 100 orders a second."""

_WELCOME_WITHIN_S = 20.0
_RECEIPT_WITHIN_S = 10.0


class Buyers:
    """`async with buyers`: all connected. Each has one ticket, so none may lose its connection."""

    def __init__(self, url: str, stream: str, tickets: Sequence[str]) -> None:
        self._stream = stream
        self._shop = Shop(url, trust_env=False)  # proxies of the machine are not for a load test
        self._viewers = [
            self._shop.watch(stream, ticket=_once(ticket), open_within_s=_WELCOME_WITHIN_S) for ticket in tickets
        ]
        self._stack = AsyncExitStack()
        self._drop = ""
        self._took_ms: list[float] = []
        self.problems: list[str] = []

    async def stock_up(self, host: Person, sku: str) -> None:
        """Puts a drop on sale that will not sell out, before anything is rung: later its event would not be next."""
        product = await product_of(host, sku)
        drop = await host.schedule_drop(
            self._stream,
            product=product.id,
            price=product.price,
            currency=product.currency,
            limit=ORDERS_EACH,
            stock={product.variants[0].id: len(self._viewers) * ORDERS_EACH + 100},
        )
        self._drop = drop.id
        await host.open_drop(drop.id)

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(self._shop)
        try:
            await asyncio.gather(*map(self._stack.enter_async_context, self._viewers))
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def buy(self) -> None:
        """Everyone's orders, each at its time whether or not earlier ones are answered."""
        start = monotonic() + 0.1
        await asyncio.gather(
            *(
                self._order(viewer, start + offset + number * EVERY_S)
                for viewer in self._viewers
                for offset in [random.uniform(0, EVERY_S)]
                for number in range(ORDERS_EACH)
            )
        )

    def figures(self) -> dict[str, float]:
        """How long receipts took, from the intended time of the order."""
        ordered = sorted(self._took_ms)
        figures = {f"receipt_p{percent}_ms": percentile(ordered, percent) for percent in (50, 99) if ordered}
        return figures | {"receipts_missing": float(len(self._viewers) * ORDERS_EACH - len(ordered))}

    async def _order(self, viewer: Watch, due: float) -> None:
        await asyncio.sleep(due - monotonic())
        try:
            await viewer.order(self._drop, within_s=_RECEIPT_WITHIN_S)
        except Rejected as rejected:
            self.problems.append(f"a buyer was refused: {rejected.reason}")
        except DropcastError as error:
            self.problems.append(f"a buyer got no receipt: {error!r}")
            return
        self._took_ms.append((monotonic() - due) * 1000)


def _once(ticket: str) -> Callable[[], Awaitable[str]]:
    async def give() -> str:
        return ticket

    return give

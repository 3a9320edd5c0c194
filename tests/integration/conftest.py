"""Two stand-ins for replicas, for tests of nginx alone."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.services.stand_in import StandIn, start_stand_in


@pytest_asyncio.fixture
async def stand_ins() -> AsyncIterator[tuple[StandIn, StandIn]]:
    one, two = StandIn(), StandIn()
    async with await start_stand_in(one), await start_stand_in(two):
        yield one, two

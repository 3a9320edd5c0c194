"""A shop, and the same shop as a second replica sees it, on one real MariaDB."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping

import pytest_asyncio

from server.store.engine import open_database
from server.store.schema import init_db
from tests.contract.shops import Shop
from tests.journeys.conftest import Premises, furnish, opened
from tests.journeys.conftest import Shop as WholeShop
from tests.services.nginx import Nginx
from tests.services.replica import Replica


@pytest_asyncio.fixture
async def replicas(database_url: str) -> AsyncIterator[tuple[Shop, Shop]]:
    databases = [open_database(database_url, pool_size=10) for _ in range(2)]
    try:
        await init_db(databases[0])
        shop = await Shop.opened(databases[0], viewers=150)
        yield shop, shop.beside(databases[1])
    finally:
        for database in databases:
            await database.close()


@pytest_asyncio.fixture
async def racing_shop(
    shop_settings: dict[str, str],
    start_replica: Callable[[Mapping[str, str]], Replica],
    start_nginx: Callable[..., Nginx],
) -> AsyncIterator[WholeShop]:
    """A whole shop of two replicas, whose database a control may damage: its invariants are the test's to check."""
    await furnish(shop_settings)
    replicas = [start_replica(shop_settings), start_replica(shop_settings)]
    nginx = start_nginx([replica.host for replica in replicas])
    async with opened(Premises(shop_settings, replicas, nginx)) as shop:
        yield shop

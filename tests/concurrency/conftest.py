"""A shop, and the same shop as a second replica sees it, on one real MariaDB."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from server.store.engine import open_database
from server.store.schema import init_db
from tests.contract.shops import Shop


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

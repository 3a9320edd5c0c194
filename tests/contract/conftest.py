"""The two databases the store's contract holds over, each with a shop in it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from server.store.engine import Database, open_database
from server.store.schema import init_db
from tests.contract.shops import Shop


@pytest.fixture(params=["mariadb", "sqlite"])
def any_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind."""
    if request.param == "mariadb":
        return str(request.getfixturevalue("database_url"))
    return f"sqlite+aiosqlite:///{tmp_path}/shop.db"


@pytest_asyncio.fixture
async def database(any_url: str) -> AsyncIterator[Database]:
    database = open_database(any_url)
    try:
        await init_db(database)
        yield database
    finally:
        await database.close()


@pytest_asyncio.fixture
async def shop(database: Database) -> Shop:
    return await Shop.opened(database)

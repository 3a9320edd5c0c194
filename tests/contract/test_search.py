"""Products are found by what people type, on either database, and the index says what the catalogue says."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import replace

import pytest
import pytest_asyncio

from loadtest.catalogue import Goods, goods, queries
from server.catalog.search import BEST, PAGE, Search
from server.domain.grams import GRAM_MAX, GRAMS_MAX, TEXT_MAX
from server.domain.ids import new_id
from server.domain.product import Product, Variant
from server.store import product_finder
from server.store.catalog import Catalog
from server.store.engine import Database, open_database
from server.store.product_finder import ProductFinder
from server.store.product_index import index_all, index_products
from server.store.tables import product_grams, product_index, products, variants
from tests.contract.shops import Shop

PRODUCTS = 3_000
QUERIES = 200
LEAST_RIGHT = 0.95 * QUERIES


def search_in(database: Database) -> Search:
    return Search(Catalog(database), ProductFinder(database))


@pytest_asyncio.fixture
async def search(database: Database) -> Search:
    return search_in(database)


async def titles(search: Search, query: str) -> list[str]:
    return [product.title for product in (await search.find(query))[0]]


async def put(shop: Shop, *titles: str) -> list[Product]:
    return [await shop.catalog.put(_product(title)) for title in titles]


def _product(title: str, sku: str = "", description: str = "", *labels: str) -> Product:
    sku = sku or secrets.token_hex(6)
    sold = tuple(Variant("", f"{sku}-{n}", label, 1) for n, label in enumerate(labels))
    return Product("", sku, title, description, None, 1, "USD", sold)


async def insert(database: Database, catalogue: Sequence[Goods]) -> None:
    """As an import by SQL would: past the shop."""
    rows = [
        {"id": new_id(), "sku": g.sku, "title": g.title, "description": g.description, "price": 1, "currency": "USD"}
        for g in catalogue
    ]
    async with database.transaction() as connection:
        now = await database.now_ms(connection)
        await connection.execute(products.insert(), [{**row, "image": None, "created_at": now} for row in rows])


async def index_of(shop: Shop) -> list[tuple[str, str, str]]:
    """Every row of the index by its product's SKU, gram by gram."""
    rows = await shop.sql(
        "SELECT p.sku, g.gram, g.weight FROM product_grams g JOIN product_index i ON i.number = g.number"
        " JOIN products p ON p.id = i.product_id"
    )
    assert len(rows) == (await shop.sql("SELECT COUNT(*) FROM product_grams"))[0][0]  # and none besides
    return sorted(map(tuple, rows))


async def test_misspelt_titles_find_their_products_first(database: Database) -> None:
    catalogue = goods(PRODUCTS)
    await insert(database, catalogue)
    assert await index_all(database) == PRODUCTS
    search, astray = search_in(database), []
    for query in queries(catalogue, QUERIES):
        found, _ = await search.find(query.typed)
        if [product.sku for product in found[:1]] != [query.sku]:
            astray.append((query, [product.title for product in found[:2]]))
    assert len(astray) <= QUERIES - LEAST_RIGHT, astray
    for product in catalogue[:: PRODUCTS // 100]:  # and as they are written
        assert (await titles(search, product.title))[:1] == [product.title]


HEADPHONES = "headphones haedphones headpohnes hedphones he head head-phones HUSH wirelss phones"


@pytest.mark.parametrize("query", HEADPHONES.split())
async def test_headphones_are_found_however_they_are_typed(shop: Shop, search: Search, query: str) -> None:
    await put(shop, "Hush wireless headphones", "Moonrise lamp", "Two-cup tea set", "Cloudstep sneakers")
    assert (await titles(search, query))[:1] == ["Hush wireless headphones"]


@pytest.mark.parametrize(
    ("query", "title"),
    [
        ("lampara", "Lámpara de latón"),
        ("LÁMPARA de laton", "Lámpara de latón"),
        ("耳机", "云杉蓝牙耳机"),
        ("蓝牙", "云杉蓝牙耳机"),
        ("茶", "青禾茶壶"),
        ("ﾊﾞｯｸﾞ", "帆布バッグ"),
        ("ばっぐ", "帆布バッグ"),
        ("ｉｐｈｏｎｅ", "iPhone手机壳"),
        ("手机", "iPhone手机壳"),
        ("strasse", "Straße 9 print"),
        ("lmap", "Lamp"),
        ("mgu", "Mug"),
        ("mens", "Men's belt"),
    ],
)
async def test_accents_widths_and_short_words(shop: Shop, search: Search, query: str, title: str) -> None:
    await put(shop, "Lámpara de latón", "云杉蓝牙耳机", "青禾茶壶", "帆布バッグ", "iPhone手机壳")
    await put(shop, "Straße 9 print", "Lamp", "Mug", "Men's belt")
    assert (await titles(search, query))[:1] == [title]


async def test_whole_words_come_before_beginnings_and_those_before_middles(shop: Shop, search: Search) -> None:
    await put(shop, "Carpenter set", "Pencil set", "Blue pen set", "Pen", "Open set")
    assert await titles(search, "pen") == ["Pen", "Blue pen set", "Pencil set", "Open set", "Carpenter set"]


async def test_the_title_counts_more_than_the_sku_than_the_description(shop: Shop, search: Search) -> None:
    await shop.catalog.put(_product("Grey scarf", "A-1", "Made of merino wool."))
    await shop.catalog.put(_product("Grey hat", "MERINO-7"))
    await shop.catalog.put(_product("Grey sock", "A-2", "", "Merino"))
    await shop.catalog.put(_product("Merino glove", "A-3"))
    found = await titles(search, "merino")
    assert (found[0], found[-1], len(found)) == ("Merino glove", "Grey scarf", 4)
    assert (await titles(search, "merino scarf"))[0] == "Grey scarf"
    assert (await titles(search, "merino-7"))[0] == "Grey hat"
    assert (await titles(search, "a-2-0"))[0] == "Grey sock"  # a variant's SKU


async def test_nothing_is_found_by_what_is_in_no_product(shop: Shop, search: Search) -> None:
    await put(shop, "Moonrise lamp", "100% mug")
    for query in ("xyzzy", "%", "_", "!?", "\x00", "🎧", "q", "ж", "龍", "'", "\\"):
        assert await search.find(query) == ([], None), query
    assert await titles(search, "  100 %  ") == ["100% mug"]
    assert len(await titles(search, "   ")) == 2  # nothing typed yet: everything


async def test_pages_of_a_search_hold_each_of_the_best_once(shop: Shop, search: Search) -> None:
    await insert(shop.database, [Goods(f"MUG-{n:04}", f"Mug number {n}", "", 1, ()) for n in range(BEST + 30)])
    await index_all(shop.database)
    pages, after = [], None
    while True:
        page, after = await search.find("mug", after)
        pages.append([product.id for product in page])
        if after is None:
            break
    assert [len(page) for page in pages] == [PAGE] * (BEST // PAGE)
    assert len({product for page in pages for product in page}) == BEST
    assert [product.id for product in (await search.find("mug"))[0]] == pages[0]
    assert await search.find("mug", "f" * 32) == ([], None)  # a cursor of something else


async def test_an_exact_title_comes_first_where_hundreds_share_its_words(shop: Shop, search: Search) -> None:
    await insert(shop.database, [Goods("THE-ONE", "Mug", "", 1, ())])
    await insert(shop.database, [Goods(f"MUG-{n:04}", f"Mug mug {n}", "mug", 1, ()) for n in range(2 * BEST)])
    await index_all(shop.database)
    assert (await titles(search, "mug"))[0] == "Mug"


async def test_an_exact_title_comes_first_though_all_its_words_are_too_common_to_ask_for(
    shop: Shop, search: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(product_finder, "ROWS_MAX", 1)
    await insert(shop.database, [Goods("THE-ONE", "Common rare", "", 1, ())])
    await insert(shop.database, [Goods(f"RARE-{n}", f"Rare {n}", "", 1, ()) for n in range(BEST + 50)])
    await insert(shop.database, [Goods(f"COMMON-{n}", f"Common {n}", "", 1, ()) for n in range(BEST + 50)])
    await index_all(shop.database)
    assert (await titles(search, "common rare"))[0] == "Common rare"


async def test_the_index_follows_every_change(shop: Shop, search: Search) -> None:
    product = await shop.catalog.put(_product("Moonrise lamp", "LAMP", "", "Warm"))
    await shop.catalog.put(
        replace(product, title="Sunset lantern", variants=(replace(product.variants[0], label="Cold"),))
    )
    assert await titles(search, "moonrise") == []
    assert await titles(search, "warm") == []
    assert await titles(search, "sunset") == await titles(search, "cold") == ["Sunset lantern"]
    before = await index_of(shop)
    assert await index_all(shop.database) == 0
    assert await index_of(shop) == before


async def test_indexing_again_mends_what_was_done_past_the_shop(shop: Shop, search: Search) -> None:
    kept, renamed, gone, lost = await put(shop, "Kept lamp", "Renamed lamp", "Gone lamp", "Lost lamp")
    await insert(shop.database, [Goods("NEW", "Added lamp", "", 1, ())])
    await shop.sql("UPDATE products SET title = 'Rebaptised lamp' WHERE id = :id", id=renamed.id)
    await shop.sql("DELETE FROM products WHERE id = :id", id=gone.id)
    numbers = await shop.sql("SELECT number FROM product_index WHERE product_id = :id", id=lost.id)
    await shop.sql("DELETE FROM product_grams WHERE number = :number", number=numbers[0][0])
    await shop.sql("DELETE FROM product_index WHERE product_id = :id", id=lost.id)
    assert await titles(search, "added") == await titles(search, "rebaptised") == []
    assert "Gone lamp" not in await titles(search, "gone lamp")  # left out before it is mended, too
    assert await index_all(shop.database) == 4
    assert sorted(await titles(search, "lamp")) == ["Added lamp", "Kept lamp", "Lost lamp", "Rebaptised lamp"]
    assert await shop.sql("SELECT COUNT(*) FROM product_index WHERE product_id = :id", id=gone.id) == [(0,)]
    assert kept.sku in {sku for sku, _, _ in await index_of(shop)}
    assert await index_all(shop.database) == 0


async def _rename_and_fail(database: Database, product: str) -> None:
    async with database.transaction() as connection:
        await connection.execute(products.update().values(title="Sunset lantern"))
        await index_products(connection, [product])
        raise ZeroDivisionError


async def test_a_change_that_is_rolled_back_is_not_found(shop: Shop, search: Search) -> None:
    (product,) = await put(shop, "Moonrise lamp")
    with pytest.raises(ZeroDivisionError):
        await _rename_and_fail(shop.database, product.id)
    assert await titles(search, "sunset") == []
    assert await titles(search, "moonrise") == ["Moonrise lamp"]


async def test_two_who_add_a_variant_at_once_are_both_found(shop: Shop, any_url: str) -> None:
    product = await shop.catalog.put(_product("Lamp", "LAMP"))
    other = open_database(any_url)
    both_inserted = asyncio.Barrier(1 if shop.database.is_sqlite else 2)  # SQLite has one writer at a time anyway

    async def add(database: Database, label: str, place: int) -> None:
        async with database.transaction() as connection:
            await connection.execute(
                variants.insert().values(
                    id=new_id(), product_id=product.id, sku=label, label=label, position=place, received=0, stock=0
                )
            )
            await both_inserted.wait()
            await index_products(connection, [product.id])

    try:
        await asyncio.gather(add(shop.database, "Ochre", 0), add(other, "Celadon", 1))
    finally:
        await other.close()
    search = search_in(shop.database)
    assert await titles(search, "ochre") == await titles(search, "celadon") == ["Lamp"]
    assert await index_all(shop.database) == 0


def test_every_column_of_the_index_holds_what_may_come() -> None:
    assert product_grams.c.gram.type.length == GRAM_MAX
    assert product_index.c.title.type.length == product_index.c.also.type.length == TEXT_MAX
    bytes_of_a_character, weight_and_signs = 4, 6
    assert GRAMS_MAX * (GRAM_MAX * bytes_of_a_character + weight_and_signs) < 2**16  # TEXT

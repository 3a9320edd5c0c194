"""The admin: who gets in, what can be changed, and that every change leaves its line."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from sqlalchemy import select, text
from sqlalchemy.exc import OperationalError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from admin_ui import build_admin, people
from admin_ui.gate import Gate
from server.catalog.search import Search
from server.domain.drop import DropPlan
from server.domain.errors import Unavailable
from server.domain.product import Product, Variant
from server.domain.session import Revoked
from server.domain.user import Role, User
from server.store.catalog import Catalog
from server.store.drops import Drops
from server.store.engine import Database, open_database
from server.store.product_finder import ProductFinder
from server.store.schema import init_db
from server.store.sessions import SessionRows
from server.store.streams import Streams
from server.store.tables import audit, product_grams, product_index, products, users, variants
from server.store.users import Users
from server.store.verify import violations

HASH = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$ZGlnZXN0-of-nobody"
CSRF = "starlette_admin_csrftoken"
A_PRODUCT = {
    "title": "Tee",
    "sku": "TEE",
    "description": "Black.\r\nSoft.",
    "image": "",
    "price": "2400",
    "currency": "USD",
}


class Shop:
    """A database, its admin in a minimal app, and the one who is signed in."""

    def __init__(self, database: Database, users_: dict[Role, User]) -> None:
        self.database = database
        self.users = users_
        self.signed_in: User | None = users_[Role.ADMIN]
        self.app = Starlette()
        self.revoked: list[tuple[Revoked, list[str]]] = []
        build_admin(
            database, identify=self._identify, secret_keys=["one key for all replicas"], revoke=self._revoke
        ).mount_to(self.app)
        self.browser = httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url="http://shop.test")

    async def _identify(self, _request: Request) -> User | None:
        return self.signed_in

    async def _revoke(self, revoked: Revoked, stale: Iterable[str]) -> None:
        self.revoked.append((revoked, list(stale)))

    async def get(self, path: str) -> httpx.Response:
        return await self.browser.get(path)

    async def send(self, path: str, form: dict[str, str]) -> httpx.Response:
        """Posts a form as the page would: with the token that the page carries."""
        page = await self.browser.get("/admin/product/create")
        token = re.search(r'name="csrftoken" value="([^"]+)"', page.text)
        assert token is not None
        return await self.browser.post(path, data=form | {"csrftoken": token[1]})

    async def act(self, view: str, name: str, pk: str, form: dict[str, str] | None = None) -> httpx.Response:
        """A row action, as the page's script sends it."""
        await self.browser.get("/admin/")
        return await self.browser.post(
            f"/admin/_api/{view}/row-action",
            params={"name": name, "pk": pk},
            data=form or {},
            headers={"X-CSRFToken": self.browser.cookies[CSRF]},
        )

    async def export(self, view: str, format_: str) -> httpx.Response:
        await self.browser.get("/admin/")
        return await self.browser.post(
            f"/admin/_api/{view}/action",
            params={"name": "export"},
            data={"format": format_, "scope": "page", "csrftoken": self.browser.cookies[CSRF]},
        )

    async def rows(self, query: Any) -> list[Any]:
        async with self.database.reading() as connection:
            return list((await connection.execute(query)).all())

    async def trail(self) -> list[tuple[str, str | None, str, Any]]:
        found = await self.rows(
            select(audit.c.action, audit.c.actor_id, audit.c.subject_id, audit.c.detail).order_by(audit.c.id)
        )
        return [(row.action, row.actor_id, row.subject_id, json.loads(row.detail)) for row in found]

    async def shelf(self, variant: str) -> tuple[int, int]:
        """What was ever received of a variant, and what is on the shelf."""
        (row,) = await self.rows(select(variants.c.received, variants.c.stock).where(variants.c.id == variant))
        return row.received, row.stock

    async def product_with_variant(self, stock: int = 10) -> tuple[Product, Variant]:
        made = await Catalog(self.database).put(
            Product("", "TEE", "Tee", "", None, 2400, "USD", (Variant("", "TEE-M", "M", stock),))
        )
        return made, made.variants[0]

    async def put_on_a_drop(self, product: Product, variant: Variant, quantity: int) -> None:
        host = self.users[Role.HOST]
        if not await self.rows(text("SELECT 1 FROM streams")):
            await Streams(self.database).create(host, slug="friday", title="Friday", starts_at=None, video=None)
        plan = DropPlan(product.id, 2400, "USD", ((variant.id, quantity),), 2)
        await Drops(self.database).schedule(host, "friday", plan)

    async def is_sound(self) -> bool:
        return not [sentence async for sentence in violations(self.database)]


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Shop]:
    database = open_database(url)
    await init_db(database)
    accounts = Users(database)
    made = {
        role: await accounts.create(email=f"{role}@shop.test", name=f"The {role}", role=role, password_hash=HASH)
        for role in Role
    }
    shop = Shop(database, made)
    async with shop.browser:
        yield shop
    await database.close()


@pytest.fixture(params=["sqlite", "mariadb"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path}/shop.db"
    mariadb_url: str = request.getfixturevalue("database_url")
    return mariadb_url


@pytest_asyncio.fixture
async def shop(url: str) -> AsyncIterator[Shop]:
    async with opened(url) as shop_:
        yield shop_


VIEWS = ["product", "variant", "stream", "drop", "order", "user", "audit"]
PAGES = ["/admin/", *(f"/admin/{view}/list" for view in VIEWS)]


async def test_nobody_signed_in_is_sent_to_sign_in_and_comes_back(shop: Shop) -> None:
    shop.signed_in = None
    answer = await shop.get("/admin/product/list?page=2")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/login?next=%2Fadmin%2Fproduct%2Flist%3Fpage%3D2"
    sent = await shop.browser.post("/admin/product/create", data=A_PRODUCT)
    assert (sent.status_code, sent.headers["location"]) == (303, "/login?next=%2Fadmin%2F")
    assert await shop.rows(select(products.c.id)) == []


@pytest.mark.parametrize("role", [Role.VIEWER, Role.HOST])
async def test_viewers_and_hosts_are_told_that_this_is_the_admins_side(shop: Shop, role: Role) -> None:
    shop.signed_in = shop.users[role]
    for path in (*PAGES, "/admin/_api/user/relation-lookup", "/admin/nowhere"):
        answer = await shop.get(path)
        assert answer.status_code == 403
        assert f"with the role {role}" in answer.text


async def test_a_role_taken_away_counts_at_once_though_the_session_goes_on(shop: Shop) -> None:
    assert (await shop.get("/admin/")).status_code == 200
    async with shop.database.transaction() as connection:
        await connection.execute(users.update().values(role=Role.HOST))
    assert (await shop.get("/admin/")).status_code == 403


async def test_an_admin_sees_every_list(shop: Shop) -> None:
    product, variant = await shop.product_with_variant()
    await shop.put_on_a_drop(product, variant, 4)
    for path in PAGES:
        answer = await shop.get(path)
        assert answer.status_code == 200, path
        assert answer.headers["cache-control"] == "no-store"
    assert "TEE-M" in (await shop.get("/admin/variant/list?q=TEE")).text
    assert (
        "UTC" in (await shop.get("/admin/drop/list")).text or "never" not in (await shop.get("/admin/drop/list")).text
    )


async def test_a_product_sent_by_the_form_is_in_the_table_with_its_audit_line(shop: Shop) -> None:
    answer = await shop.send("/admin/product/create", A_PRODUCT)
    assert answer.status_code == 303, answer.text
    (row,) = await shop.rows(select(products))
    assert (row.sku, row.title, row.description, row.image, row.price, row.currency) == (
        "TEE", "Tee", "Black.\nSoft.", None, 2400, "USD",
    )  # fmt: skip
    ((action, actor, subject, detail),) = await shop.trail()
    assert (action, actor, subject) == ("product.create", shop.users[Role.ADMIN].id, row.id)
    assert detail["price"] == 2400
    assert "was added successfully" in (await shop.get("/admin/product/list")).text


async def test_an_edit_leaves_what_changed_and_an_edit_of_nothing_leaves_nothing(shop: Shop) -> None:
    product, _ = await shop.product_with_variant()
    path = f"/admin/product/edit?pk={product.id}"
    same = A_PRODUCT | {"description": ""}
    assert (await shop.send(path, same)).status_code == 303
    assert await shop.trail() == []
    long = "é" * 9_000
    assert (await shop.send(path, same | {"price": "2500", "description": long})).status_code == 303
    ((action, _actor, subject, detail),) = await shop.trail()
    assert (action, subject, detail["price"]) == ("product.edit", product.id, {"from": 2400, "to": 2500})
    assert set(detail) == {"price", "description"}
    assert detail["description"]["to"].endswith("(9000 characters)")


async def test_a_form_without_the_token_is_refused(shop: Shop) -> None:
    await shop.get("/admin/product/create")
    for form in (A_PRODUCT, A_PRODUCT | {"csrftoken": "forged"}):
        answer = await shop.browser.post("/admin/product/create", data=form)
        assert answer.status_code == 403
    assert await shop.rows(select(products.c.id)) == []
    assert await shop.trail() == []


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("price", "24.00", "whole number"),
        ("price", "-1", "between 0"),
        ("price", "", "required"),
        ("currency", "usd", "three capital letters"),
        ("sku", "tee größe", "letters A–Z"),
        ("title", "  ", "required"),
        ("title", "x" * 201, "at most 200"),
        ("image", "javascript:alert(1)", "Use an address"),
        ("image", "//elsewhere.test/x.png", "Use an address"),
    ],
)
async def test_a_form_with_a_mistake_comes_back_with_a_sentence(
    shop: Shop, field: str, value: str, sentence: str
) -> None:
    answer = await shop.send("/admin/product/create", A_PRODUCT | {field: value})
    assert answer.status_code == 422
    assert sentence in answer.text
    assert await shop.rows(select(products.c.id)) == []


async def test_a_second_product_of_a_sku_is_refused_under_its_field(shop: Shop) -> None:
    await shop.send("/admin/product/create", A_PRODUCT)
    answer = await shop.send("/admin/product/create", A_PRODUCT)
    assert answer.status_code == 422
    assert "Another product has this SKU" in answer.text
    assert len(await shop.trail()) == 1


async def test_a_new_variant_comes_last_and_brings_its_goods(shop: Shop) -> None:
    product, _ = await shop.product_with_variant()
    form = {"product": product.id, "label": "L", "sku": "TEE-L", "position": "", "goods_received": "7"}
    assert (await shop.send("/admin/variant/create", form)).status_code == 303
    (row,) = await shop.rows(select(variants).where(variants.c.sku == "TEE-L"))
    assert (row.product_id, row.position, row.received, row.stock) == (product.id, 1, 7, 7)
    ((action, _actor, subject, detail),) = await shop.trail()
    assert (action, subject, detail["received"]) == ("variant.create", row.id, 7)
    taken = await shop.send("/admin/variant/create", form | {"sku": "TEE-XL", "position": "1"})
    assert "has this position" in taken.text
    nowhere = await shop.send("/admin/variant/create", form | {"sku": "TEE-XL", "product": "f" * 32})
    assert "Choose the product" in nowhere.text
    edited = await shop.send(
        f"/admin/variant/edit?pk={row.id}",
        {"label": "Large", "sku": "TEE-L", "position": "1", "received": "999", "stock": "999", "product": "f" * 32},
    )
    assert edited.status_code == 303
    assert await shop.shelf(row.id) == (7, 7)
    assert await shop.is_sound()


async def test_goods_received_raise_shelf_and_total_and_the_equation_holds(shop: Shop) -> None:
    product, variant = await shop.product_with_variant(10)
    await shop.put_on_a_drop(product, variant, 4)
    assert (await shop.act("variant", "receive", variant.id, {"quantity": "5", "ref": "a"})).status_code == 200
    assert await shop.shelf(variant.id) == (15, 11)
    assert (await shop.act("variant", "receive", variant.id, {"quantity": "-11", "ref": "b"})).status_code == 200
    assert await shop.shelf(variant.id) == (4, 0)
    assert await shop.is_sound()
    lines = [line for line in await shop.trail() if line[0] == "variant.receive"]
    assert [(subject, detail) for _, _, subject, detail in lines] == [
        (variant.id, {"quantity": 5}),
        (variant.id, {"quantity": -11}),
    ]


async def test_no_more_is_written_off_than_the_shelf_holds(shop: Shop) -> None:
    product, variant = await shop.product_with_variant(10)
    await shop.put_on_a_drop(product, variant, 4)
    answer = await shop.act("variant", "receive", variant.id, {"quantity": "-7", "ref": "a"})
    assert answer.status_code == 400
    assert answer.json()["msg"] == "Only 6 of M are on the shelf: what is on drops cannot be written off."
    for quantity in ("0", "", "many", "1.5", "9" * 12):
        assert (await shop.act("variant", "receive", variant.id, {"quantity": quantity, "ref": "a"})).status_code == 400
    assert await shop.shelf(variant.id) == (10, 6)
    assert not [line for line in await shop.trail() if line[0] == "variant.receive"]


async def test_the_same_goods_form_sent_twice_counts_once(shop: Shop) -> None:
    _, variant = await shop.product_with_variant(10)
    for _ in range(2):
        assert (await shop.act("variant", "receive", variant.id, {"quantity": "5", "ref": "a"})).status_code == 200
    assert await shop.shelf(variant.id) == (15, 15)
    other = await shop.act("variant", "receive", variant.id, {"quantity": "6", "ref": "a"})
    assert other.status_code == 400
    assert await shop.shelf(variant.id) == (15, 15)


async def test_what_history_hangs_on_cannot_be_deleted_and_the_rest_can(shop: Shop) -> None:
    product, variant = await shop.product_with_variant(10)
    refused = await shop.act("product", "delete", product.id)
    assert (refused.status_code, refused.json()["msg"]) == (
        400, "This product cannot be deleted: it has variants, or was on a drop.",
    )  # fmt: skip
    assert (await shop.act("variant", "delete", variant.id)).status_code == 200
    assert (await shop.act("product", "delete", product.id)).status_code == 200
    assert [line[0] for line in await shop.trail()] == ["variant.delete", "product.delete"]
    product, variant = await shop.product_with_variant(10)
    await shop.put_on_a_drop(product, variant, 4)
    refused = await shop.act("variant", "delete", variant.id)
    assert refused.json()["msg"] == "This variant cannot be deleted: it was on a drop."


async def test_the_search_follows_every_change_of_an_admin(shop: Shop) -> None:
    async def found(query: str) -> list[str]:
        products_, _ = await Search(Catalog(shop.database), ProductFinder(shop.database)).find(query)
        return [product.title for product in products_]

    assert (await shop.send("/admin/product/create", A_PRODUCT)).status_code == 303
    assert await found("tee") == ["Tee"]
    (row,) = await shop.rows(select(products))
    assert (await shop.send(f"/admin/product/edit?pk={row.id}", A_PRODUCT | {"title": "Lantern"})).status_code == 303
    assert await found("lanterm") == ["Lantern"]
    form = {"product": row.id, "label": "Celadon", "sku": "TEE-C", "position": "", "goods_received": "7"}
    assert (await shop.send("/admin/variant/create", form)).status_code == 303
    assert await found("celadon") == ["Lantern"]
    (variant,) = await shop.rows(select(variants))
    edited = await shop.send(
        f"/admin/variant/edit?pk={variant.id}", {"label": "Ochre", "sku": "TEE-C", "position": "0"}
    )
    assert edited.status_code == 303
    assert (await found("celadon"), await found("ochre")) == ([], ["Lantern"])
    assert (await shop.act("variant", "delete", variant.id)).status_code == 200
    assert await found("ochre") == []
    assert (await shop.act("product", "delete", row.id)).status_code == 200
    assert await shop.rows(select(product_grams)) == await shop.rows(select(product_index)) == []


async def test_a_drop_shows_where_its_units_are(shop: Shop) -> None:
    product, variant = await shop.product_with_variant(10)
    await shop.put_on_a_drop(product, variant, 4)
    ((drop_id,),) = await shop.rows(text("SELECT id FROM drops"))
    page = (await shop.get(f"/admin/drop/detail?pk={drop_id}")).text
    for heading in ("Put in", "Left", "Held", "Sold", "Given back"):
        assert heading in page
    assert re.search(r"<td>\s*M\s*</td>\s*<td>\s*4\s*</td>", page)


@pytest.mark.parametrize("view", ["stream", "drop", "order", "audit"])
async def test_what_is_read_only_has_no_road_to_change_it(shop: Shop, view: str) -> None:
    assert (await shop.send(f"/admin/{view}/create", {})).status_code == 403
    assert (await shop.send(f"/admin/{view}/edit?pk=x", {})).status_code == 403
    assert (await shop.act(view, "delete", "x")).status_code == 400


@pytest.mark.parametrize("view", VIEWS)
async def test_nothing_is_imported(shop: Shop, view: str) -> None:
    answer = await shop.send(f"/admin/_api/{view}/import", {"format": "csv"})
    assert answer.status_code == 403


async def test_the_password_hash_is_nowhere(shop: Shop) -> None:
    admin = shop.users[Role.ADMIN]
    answers = [
        await shop.get("/admin/user/list"),
        await shop.get(f"/admin/user/detail?pk={admin.id}"),
        await shop.get(f"/admin/user/edit?pk={admin.id}"),
        await shop.get("/admin/_api/user/relation-lookup?q=admin"),
        await shop.get(f"/admin/_api/user/relation-lookup?pks={admin.id}"),
        await shop.export("user", "csv"),
        await shop.export("user", "json"),
    ]
    for answer in answers:
        assert answer.status_code == 200, answer.url
        assert "The admin" in answer.text
        assert "argon2" not in answer.text
        assert "password" not in answer.text.lower()
    assert (await shop.get("/admin/user/list?filter=password_hash__contains=argon2")).status_code == 400
    assert (await shop.get("/admin/user/list?sort=password_hash__asc")).status_code == 200
    host = shop.users[Role.HOST]
    form = {"name": "Ann", "role": "host", "password_hash": "x", "email": "other@shop.test"}
    assert (await shop.send(f"/admin/user/edit?pk={host.id}", form)).status_code == 303
    (row,) = await shop.rows(select(users).where(users.c.id == host.id))
    assert (row.name, row.email, row.password_hash) == ("Ann", "host@shop.test", HASH)
    assert (await shop.send("/admin/user/create", form)).status_code == 403


async def test_roles_are_given_and_taken_but_an_admin_keeps_their_own(shop: Shop) -> None:
    host, admin = shop.users[Role.HOST], shop.users[Role.ADMIN]
    assert (await shop.send(f"/admin/user/edit?pk={host.id}", {"name": "Ann", "role": "admin"})).status_code == 303
    ((action, _, subject, detail),) = await shop.trail()
    assert (action, subject, detail["role"]) == ("user.edit", host.id, {"from": "host", "to": "admin"})
    for role in ("viewer", "host", "", "god"):
        answer = await shop.send(f"/admin/user/edit?pk={admin.id}", {"name": "Me", "role": role})
        assert answer.status_code == 422
    assert (
        "You cannot take the admin role from yourself"
        in (await shop.send(f"/admin/user/edit?pk={admin.id}", {"name": "Me", "role": "host"})).text
    )
    assert (await shop.send(f"/admin/user/edit?pk={host.id}", {"name": "Ann", "role": "god"})).status_code == 422
    assert (await shop.rows(select(users.c.role).where(users.c.id == admin.id)))[0].role == "admin"
    assert (await shop.send(f"/admin/user/edit?pk={admin.id}", {"name": "Me", "role": "admin"})).status_code == 303


async def test_a_changed_role_is_made_known_after_the_commit_and_nothing_else_is(shop: Shop) -> None:
    host, admin = shop.users[Role.HOST], shop.users[Role.ADMIN]
    rows = SessionRows(shop.database)
    for number in "ab":
        await rows.open(number * 32, host.id, "")
    edit = f"/admin/user/edit?pk={host.id}"
    assert (await shop.send(edit, {"name": "Another", "role": "host"})).status_code == 303
    assert (await shop.send(edit, {"name": "Ann", "role": "god"})).status_code == 422
    assert shop.revoked == []
    assert (await shop.send(edit, {"name": "Ann", "role": "viewer"})).status_code == 303
    ((revoked, stale),) = shop.revoked
    assert (revoked, sorted(stale)) == (Revoked(users={host.id: Role.VIEWER}), ["a" * 32, "b" * 32])
    assert len(await rows.of_user(host.id)) == 2
    assert (await rows.revoked_since(None))[1] == revoked

    for _ in range(2):  # the second changes nothing, and is not told
        assert (await shop.send(edit, {"name": "Ann", "role": "viewer", "disabled_at": "on"})).status_code == 303
    assert shop.revoked[1:] == [(Revoked(frozenset({"a" * 32, "b" * 32}), {host.id: None}), ["a" * 32, "b" * 32])]
    assert await rows.of_user(host.id) == []
    assert [list(detail) for _, _, _, detail in await shop.trail()] == [["name"], ["name", "role"], ["disabled_at"]]
    assert "Disabled" in (await shop.get(f"/admin/user/detail?pk={host.id}")).text

    answer = await shop.send(f"/admin/user/edit?pk={admin.id}", {"name": "Me", "role": "admin", "disabled_at": "on"})
    assert (answer.status_code, "You cannot disable yourself" in answer.text) == (422, True)
    assert (await shop.send(edit, {"name": "Ann", "role": "viewer"})).status_code == 303
    assert shop.revoked[2:] == [(Revoked(users={host.id: Role.VIEWER}), ["a" * 32, "b" * 32][:0])]
    for number, filtered in (("is_null", True), ("is_not_null", False)):
        found = await shop.get(f"/admin/user/list?filter=disabled_at__{number}")
        assert (found.status_code, "host@shop.test" in found.text) == (200, filtered)


async def _send_each_other_away(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Two admins disable each other, both past the gate before either begins; the answers."""
    both_in, go_on = asyncio.Barrier(2), Gate._send_private

    async def go_on_together(gate: Gate, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"].endswith("/user/edit"):
            await both_in.wait()
        await go_on(gate, scope, receive, send)

    monkeypatch.setattr(Gate, "_send_private", go_on_together)
    one = shop.users[Role.ADMIN]
    two = await Users(shop.database).create(email="two@shop.test", name="Two", role=Role.ADMIN, password_hash=HASH)
    other = Shop(shop.database, shop.users | {Role.ADMIN: two})
    form = {"name": "Gone", "role": "admin", "disabled_at": "on"}
    async with other.browser:
        answers = await asyncio.gather(
            shop.send(f"/admin/user/edit?pk={two.id}", form), other.send(f"/admin/user/edit?pk={one.id}", form)
        )
    return sorted(answer.status_code for answer in answers)


async def _admins(shop: Shop) -> int:
    return len(await shop.rows(select(users.c.id).where(users.c.role == Role.ADMIN, users.c.disabled_at.is_(None))))


async def test_of_two_last_admins_who_send_each_other_away_one_stays(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await _send_each_other_away(shop, monkeypatch) == [303, 422]
    assert await _admins(shop) == 1


async def test_control_without_the_lock_nobody_stays(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    both_know = asyncio.Barrier(2)

    async def look(connection: Any, user_id: str) -> bool:
        able = select(users.c.id).where(users.c.role == Role.ADMIN, users.c.disabled_at.is_(None))
        found = set((await connection.execute(able)).scalars())
        await both_know.wait()
        return bool(found - {user_id})

    monkeypatch.setattr(people, "another_admin", look)
    async with opened(database_url) as shop:
        assert await _send_each_other_away(shop, monkeypatch) == [303, 303]
        assert await _admins(shop) == 0
        await shop.database.close()


async def test_the_form_of_a_page_signed_by_an_older_key_is_taken(shop: Shop) -> None:
    new, old = "n" * 32, "one key for all replicas"
    page = await shop.get("/admin/product/create")
    token = re.search(r'name="csrftoken" value="([^"]+)"', page.text)
    assert token is not None
    for keys, status in (([new, old], 303), ([new], 403)):
        app = Starlette()
        build_admin(shop.database, identify=shop._identify, secret_keys=keys, revoke=shop._revoke).mount_to(app)
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://shop.test") as replica:
            replica.cookies.update(shop.browser.cookies)
            sent = await replica.post("/admin/product/create", data=A_PRODUCT | {"csrftoken": token[1]})
            assert sent.status_code == status


async def test_orders_are_exported_with_names_times_and_no_formulas(shop: Shop) -> None:
    product, variant = await shop.product_with_variant(10)
    await shop.put_on_a_drop(product, variant, 4)
    viewer = replace(shop.users[Role.VIEWER])
    async with shop.database.transaction() as connection:
        await connection.execute(
            text(
                "INSERT INTO orders SELECT :id, :viewer, 'r', d.stream_id, d.id, d.product_id, s.variant_id, :title,"
                " 1, d.price, d.currency, 'accepted', '2026-11-23 06:15:02.125000' FROM drops d"
                " JOIN drop_stock s ON s.drop_id = d.id"
            ),
            {"id": "0" * 32, "viewer": viewer.id, "title": "=1+1"},
        )
    table = (await shop.export("order", "csv")).text
    assert "The viewer <viewer@shop.test>" in table
    assert "M (TEE-M)" in table
    assert "'=1+1" in table
    assert "2026-11-23T06:15:02.125Z" in table
    page = await shop.get("/admin/order/list?filter=placed_at__since=2026-11-23T06:15 AND viewer__contains=viewer@")
    assert "2026-11-23 06:15:02 UTC" in page.text
    later = await shop.get("/admin/order/list?filter=placed_at__since=2026-11-23T06:16")
    assert "2026-11-23 06:15:02 UTC" not in later.text
    assert (await shop.get("/admin/order/list?filter=placed_at__since=yesterday")).status_code == 400


@pytest.mark.parametrize("view", VIEWS)
async def test_every_sort_and_filter_a_list_offers_works(shop: Shop, view: str) -> None:
    product, variant = await shop.product_with_variant()
    await shop.put_on_a_drop(product, variant, 4)
    page = (await shop.get(f"/admin/{view}/list")).text
    sorts = set(re.findall(r"sort=(\w+__(?:asc|desc))", page))
    assert sorts
    for sort in sorts:
        assert (await shop.get(f"/admin/{view}/list?sort={sort}")).status_code == 200, sort
    offered = re.search(r"^\s*fields: (\[.*\]),$", page, re.MULTILINE)
    assert offered is not None
    values = {"number": "3", "datetime": "2026-11-23T06:15", "string": "x", "enum": "open"}
    for field in json.loads(offered[1]):
        for filter_ in field["filters"]:
            value = "" if filter_["data_type"] == "none" else "=" + values[filter_["data_type"]]
            if filter_["has_value2"]:
                value += ".." + value[1:]
            rule = f"{field['name']}__{filter_['name']}{value}"
            assert (await shop.get(f"/admin/{view}/list?filter={rule}")).status_code == 200, rule


async def test_no_page_asks_another_host_for_anything(shop: Shop) -> None:
    product, variant = await shop.product_with_variant()
    pages = [
        *PAGES, "/admin/product/create", "/admin/variant/create", f"/admin/product/edit?pk={product.id}",
        f"/admin/variant/edit?pk={variant.id}", f"/admin/product/detail?pk={product.id}", "/admin/nowhere",
    ]  # fmt: skip
    loaded = re.compile(
        r"""(?:<(?:link|script|img|iframe)\b[^>]*?(?:href|src)=["']|@import\s+(?:url\()?["']|url\(["']?)([^"')]+)"""
    )
    assets = set()
    for path in pages:
        addresses = loaded.findall((await shop.get(path)).text)
        assert addresses
        assets |= set(addresses)
    for address in assets:
        url = httpx.URL("http://shop.test/").join(address)
        assert url.host == "shop.test", address
        if not url.path.startswith("/admin/"):  # the shop's own, which serves it
            continue
        answer = await shop.get(str(url))
        assert answer.status_code == 200, address
        if url.path.endswith(".css"):
            assert not re.search(r"@import|url\(\s*[\"']?(?:https?:)?//", answer.text), address


async def test_reading_does_not_hold_up_writers(shop: Shop) -> None:
    async with shop.database.transaction() as connection:  # on SQLite the one write lock there is
        await connection.execute(users.update().values(name="Ann"))
        for path in PAGES:
            assert (await shop.get(path)).status_code == 200, path


async def test_an_action_that_the_database_refuses_tells_no_sql(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    _, variant = await shop.product_with_variant(10)

    async def fails(*_arguments: object) -> None:
        raise OperationalError("UPDATE secret", {}, Exception("gone"))

    monkeypatch.setattr("server.store.audit.record", fails)
    answer = await shop.act("variant", "receive", variant.id, {"quantity": "5", "ref": "a"})
    assert answer.status_code == 400
    assert "nothing was changed" in answer.json()["msg"]
    assert await shop.shelf(variant.id) == (10, 10)


async def test_a_database_that_does_not_answer_is_a_page_that_says_so(shop: Shop) -> None:
    async def unwell(_request: Request) -> User | None:
        raise Unavailable("it is away")

    app = Starlette()
    build_admin(shop.database, identify=unwell, secret_keys=["k"], revoke=shop._revoke).mount_to(app)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://shop.test") as browser:
        answer = await browser.get("/admin/")
    assert answer.status_code == 503
    assert "Nothing was changed" in answer.text

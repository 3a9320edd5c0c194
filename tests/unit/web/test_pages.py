"""Pages: in the reader's language, for who may be signed in, with what they have in common."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest
from starlette.requests import Request
from starlette.responses import Response

from server.web import modules
from server.web.assets import Assets
from server.web.pages import PageRoutes

CLIENT = Path(__file__).resolve().parents[3] / "client"


@pytest.fixture(scope="module")
def pages() -> PageRoutes:
    return PageRoutes(CLIENT, Assets(CLIENT))


def asked(**headers: str) -> Request:
    sent = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request(
        {"type": "http", "method": "GET", "path": "/", "scheme": "http", "headers": sent, "query_string": b""}
    )


def text(answer: Response) -> str:
    return bytes(answer.body).decode()


def test_a_part_says_which_of_its_links_leads_to_this_very_page() -> None:
    parts = {"top": '<a href="/">A</a> <a href="/shop">B</a>\n', "head": "<meta>"}
    made = modules.with_parts("{{>head}}<p>{{>top /shop}}</p>", parts)
    assert made == '<meta><p><a href="/">A</a> <a href="/shop" aria-current="page">B</a></p>'
    with pytest.raises(KeyError):
        modules.with_parts("{{>foot}}", parts)


async def test_a_page_is_of_the_readers_language_and_says_what_it_depends_on(pages: PageRoutes) -> None:
    answer = await pages.orders(asked(accept_language="zh-TW,en;q=0.5"))
    assert '<html lang="zh-Hans"' in text(answer)
    assert "我的订单" in text(answer)
    assert answer.headers["vary"] == "Accept-Encoding, Accept-Language, Cookie"
    assert answer.headers["cache-control"] == "no-cache"
    assert "{{" not in text(answer)


async def test_a_page_knows_whether_a_sessions_cookie_came_and_so_does_its_etag(pages: PageRoutes) -> None:
    guest, somebody = await pages.shop(asked()), await pages.shop(asked(cookie="dropcast_session=x"))
    assert 'data-session="none"' in text(guest)
    assert 'data-session="some"' in text(somebody)
    etag = guest.headers["etag"]
    assert (await pages.shop(asked(if_none_match=etag))).status_code == 304
    assert (await pages.shop(asked(if_none_match=etag, cookie="dropcast_session=x"))).status_code == 200


async def test_the_hosts_console_is_english_for_everybody(pages: PageRoutes) -> None:
    answers = await asyncio.gather(pages.host(asked(accept_language="es")), pages.host(asked(accept_language="en")))
    assert text(answers[0]) == text(answers[1])
    assert "cookie" not in answers[0].headers["vary"].lower()


async def test_the_service_worker_is_asked_for_each_time_and_names_its_version(pages: PageRoutes) -> None:
    answer = await pages.worker(asked())
    assert answer.headers["cache-control"] == "no-cache"
    assert f'"/static/{pages.assets.version}/"' in text(answer)
    assert "{{" not in text(answer)


def test_another_offline_page_is_another_service_worker(tmp_path: Path) -> None:
    for path in CLIENT.rglob("*"):
        place = tmp_path / path.relative_to(CLIENT)
        if "node_modules" not in path.parts and path.is_file():
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(path.read_bytes())
    before = _worker_of(tmp_path)
    page = tmp_path / "viewer/offline.html"
    page.write_text(page.read_text().replace("<main", "<main data-new"))
    assert _worker_of(tmp_path) != before


async def test_every_file_that_a_page_names_is_there(pages: PageRoutes) -> None:
    known = Assets(CLIENT)
    for page in (pages.index, pages.shop, pages.orders, pages.login, pages.account, pages.offline):
        named = re.findall(rf'"/static/{known.version}/([^"]+)"', text(await page(asked())))
        assert len(named) > 5
        for path in named:
            assert known.asset(path)  # a missing one raises


def _worker_of(client: Path) -> str:
    return text(asyncio.run(PageRoutes(client, Assets(client)).worker(asked())))

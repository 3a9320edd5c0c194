"""The pages: files of `client/`, in the reader's language; everything on them is asked for by their scripts.

A page whose HTML names `{{lang}}` is made once for each language, with its `{{key}}`s filled in; any other is English.
Into its head goes what its scripts need: the modules they import, so that they load at once, and the texts they say.
"""

from __future__ import annotations

import html
import re
import secrets
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from server.web import modules, texts
from server.web.assets import ASK_EACH_TIME, Asset, Assets
from server.web.security import GUEST_COOKIE, is_over_tls

_ENTRY = re.compile(r'<script type="module" src="/static/([^"]+)"')


class PageRoutes:
    """One file per page."""

    def __init__(self, client_dir: Path, assets: Assets) -> None:
        self.assets = assets
        tables = texts.read(client_dir / "texts")
        make = partial(_in_each_language, assets=assets, tables=tables)
        self._pages = {
            path.relative_to(client_dir).as_posix(): make(path.read_text())
            for folder in ("viewer", "host")
            for path in (client_dir / folder).glob("*.html")
        }

    async def index(self, request: Request) -> Response:
        """`/`: the streams."""
        return self._page(request, "viewer/index.html")

    async def stream(self, request: Request) -> Response:
        """`/s/{stream}`: where people watch and buy."""
        page = self._page(request, "viewer/stream.html")
        if GUEST_COOKIE not in request.cookies:
            word = secrets.token_urlsafe(12)
            page.set_cookie(GUEST_COOKIE, word, httponly=True, samesite="lax", secure=is_over_tls(request))
        return page

    async def login(self, request: Request) -> Response:
        """`/login`."""
        return self._page(request, "viewer/login.html")

    async def register(self, request: Request) -> Response:
        """`/register`: address, then code."""
        return self._page(request, "viewer/register.html")

    async def forgot(self, request: Request) -> Response:
        """`/forgot`: a new password by code."""
        return self._page(request, "viewer/forgot.html")

    async def account(self, request: Request) -> Response:
        """`/account`: one's own name, password, address, sessions, and leaving."""
        return self._page(request, "viewer/account.html")

    async def orders(self, request: Request) -> Response:
        """`/orders`."""
        return self._page(request, "viewer/orders.html")

    async def host(self, request: Request) -> Response:
        """`/host`: where hosts sell."""
        return self._page(request, "host/host.html")

    def embed_sign_in(self, request: Request) -> Response:
        """The pop-up of a page of another site. Never kept: it is of this moment, and of who is signed in."""
        return self._page(request, "viewer/embed-sign-in.html", "no-store")

    def embed_refused(self, request: Request) -> Response:
        """The same, for a page that may not ask."""
        page = self._page(request, "viewer/embed-refused.html", "no-store")
        page.status_code = 403
        return page

    def _page(self, request: Request, name: str, caching: str = ASK_EACH_TIME) -> Response:
        page = self._pages[name]
        headers = {"Cache-Control": caching}
        if len(page) == 1:
            return page[texts.DEFAULT].answer(request, headers)
        language = texts.language_of(request.headers.get("accept-language", ""))
        return page[language].answer(request, {**headers, "Vary": "Accept-Language", "Content-Language": language})


def _in_each_language(source: str, *, assets: Assets, tables: Mapping[str, texts.Table]) -> dict[str, Asset]:
    languages = tables if "{{lang}}" in source else {texts.DEFAULT: tables[texts.DEFAULT]}
    return {
        language: Asset.of(_made(source, assets, texts.TAGS[language], table).encode(), "text/html")
        for language, table in languages.items()
    }


def _made(source: str, assets: Assets, lang: str, table: texts.Table) -> str:
    words = {key: html.escape(text) for key, text in table.items()}
    page = modules.filled(source, {**words, "lang": lang})
    if entry := _ENTRY.search(source):
        head = _head(entry.group(1), assets, table)
        page = page.replace("</head>", f"{head}\n</head>", 1)
    return page.replace('"/static/', f'"{assets.at("")}')


def _head(entry: str, assets: Assets, table: texts.Table) -> str:
    preloads = [
        f'<link rel="modulepreload" href="/static/{path}">' for path in modules.imported(entry, assets.scripts)[1:]
    ]
    said = {key: table[key] for key in sorted(modules.texts_said(entry, assets.scripts, table))}
    # "<" as a JSON escape: no text can end the element it stands in
    data = msgspec.json.encode(said).decode().replace("<", "\\u003c")
    return "\n".join([*preloads, f'<script type="application/json" id="texts">{data}</script>'])

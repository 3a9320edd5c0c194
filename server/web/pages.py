"""The pages: files of `client/`, in the reader's language; everything on them is asked for by their scripts.

A page whose HTML names `{{lang}}` is made once for each language, with its `{{key}}`s filled in; any other is English.
One that names `{{session}}` is made for who brings a session's cookie and for who brings none, so that its first sight
of itself is right and a guest's browser need not ask. What pages have in common is kept in `viewer/parts/`.
Into its head goes what its scripts need: the modules they import, so that they load at once, and the texts they say.
"""

from __future__ import annotations

import html
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from server.web import modules, texts
from server.web.assets import ASK_EACH_TIME, Asset, Assets
from server.web.security import GUEST_COOKIE, is_over_tls, session_cookie

_OFFLINE = "viewer/offline.html"
_SOME, _NONE = "some", "none"
_ENTRY = re.compile(r'<script type="module" src="/static/([^"]+)"')


class PageRoutes:
    """One file per page, and what a browser asks for to install the shop."""

    def __init__(self, client_dir: Path, assets: Assets) -> None:
        self.assets = assets
        tables = texts.read(client_dir / "texts")
        parts = {path.stem: path.read_text() for path in (client_dir / "viewer" / "parts").glob("*.html")}
        self._pages = {
            path.relative_to(client_dir).as_posix(): _page_of(
                modules.with_parts(path.read_text(), parts), assets=assets, tables=tables
            )
            for folder in ("viewer", "host")
            for path in (client_dir / folder).glob("*.html")
        }
        self._manifest = Asset.of((client_dir / "viewer/manifest.json").read_bytes(), "application/manifest+json")
        self._worker = Asset.of(_worker(assets, self._pages[_OFFLINE]), "text/javascript")

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

    async def shop(self, request: Request) -> Response:
        """`/shop`: the catalogue, searched as one types."""
        return self._page(request, "viewer/shop.html")

    async def offline(self, request: Request) -> Response:
        """`/offline`: what the service worker keeps, and shows when a page cannot be had."""
        return self._page(request, _OFFLINE)

    async def host(self, request: Request) -> Response:
        """`/host`: where hosts sell."""
        return self._page(request, "host/host.html")

    async def manifest(self, request: Request) -> Response:
        """`/manifest.webmanifest`: how the shop is installed."""
        return self._manifest.answer(request, {"Cache-Control": ASK_EACH_TIME})

    async def worker(self, request: Request) -> Response:
        """`/sw.js`: the service worker, another one with each version; at the root, for it minds what is below it."""
        return self._worker.answer(request, {"Cache-Control": ASK_EACH_TIME})

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
        language = texts.language_of(request.headers.get("accept-language", ""))
        session = _SOME if session_cookie(request) else _NONE
        headers = {"Cache-Control": caching}
        if page.varies:
            headers |= {"Vary": ", ".join(page.varies), "Content-Language": language}
        asset = page.made.get((language, session)) or page.made.get((language, _NONE))
        return (asset or page.made[texts.DEFAULT, _NONE]).answer(request, headers)


@dataclass(frozen=True, slots=True)
class _Page:
    """A page made for each language and session that it tells apart, and the request's headers that decide."""

    made: dict[tuple[str, str], Asset]
    varies: tuple[str, ...]


def _page_of(source: str, *, assets: Assets, tables: Mapping[str, texts.Table]) -> _Page:
    keys = modules.keys_in_html(source)
    if "lang" not in keys:
        return _Page({(texts.DEFAULT, _NONE): _made(source, assets, texts.DEFAULT, tables[texts.DEFAULT], _NONE)}, ())
    sessions, varies = [_NONE], ["Accept-Language"]
    if "session" in keys:
        sessions, varies = [_NONE, _SOME], [*varies, "Cookie"]
    made = {
        (language, session): _made(source, assets, texts.TAGS[language], tables[language], session)
        for language, session in product(tables, sessions)
    }
    return _Page(made, tuple(varies))


def _made(source: str, assets: Assets, lang: str, table: texts.Table, session: str) -> Asset:
    words = {key: html.escape(text) for key, text in table.items()}
    page = modules.filled(source, {**words, "lang": lang, "session": session})
    if entry := _ENTRY.search(source):
        head = _head(entry.group(1), assets, table)
        page = page.replace("</head>", f"{head}\n</head>", 1)
    return Asset.of(page.replace('"/static/', f'"{assets.at("")}').encode(), "text/html")


def _worker(assets: Assets, offline: _Page) -> bytes:
    """The service worker, which names the version of the files it keeps, and changes with the page it keeps."""
    pages = b"".join(asset.plain for asset in offline.made.values())
    words = {"version": assets.version, "offline": Asset.of(pages, "text/html").etag.strip('"')}
    return modules.filled(assets.scripts["viewer/sw.js"], words).encode()


def _head(entry: str, assets: Assets, table: texts.Table) -> str:
    preloads = [
        f'<link rel="modulepreload" href="/static/{path}">' for path in modules.imported(entry, assets.scripts)[1:]
    ]
    said = {key: table[key] for key in sorted(modules.texts_said(entry, assets.scripts, table))}
    # "<" as a JSON escape: no text can end the element it stands in
    data = msgspec.json.encode(said).decode().replace("<", "\\u003c")
    return "\n".join([*preloads, f'<script type="application/json" id="texts">{data}</script>'])

"""A person on HTTP: signs in, keeps the cookie, asks for tickets, and commands as a host."""

from __future__ import annotations

import asyncio
import secrets
import ssl
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import quote

import httpx
import msgspec

from dropcast import Drop, Product, Refused, Stream
from loadtest.accounts import Account
from loadtest.errors import CannotGoOn, Gone

PRODUCTS_PAGES_MAX = 20
"""Most pages of products that are read; what lies behind them is not sold by a script."""

_TIMEOUT_S = 10.0
_READY_POLL_S = 0.2

T = TypeVar("T")


class StreamPage(msgspec.Struct, frozen=True):
    """A stream with its drops, as `GET /api/streams/{stream}` tells it."""

    stream: Stream
    drops: tuple[Drop, ...]
    position: Any = None

    @property
    def seq(self) -> int:
        """The last event told of here."""
        return int(self.position["seq"])


class _Products(msgspec.Struct, frozen=True):
    products: tuple[Product, ...]
    next: str | None = None


class _TheDrop(msgspec.Struct, frozen=True):
    drop: Drop


class _TheStream(msgspec.Struct, frozen=True):
    stream: Stream


class _Ticket(msgspec.Struct, frozen=True):
    ticket: str


class _Error(msgspec.Struct, frozen=True):
    reason: str
    detail: str = ""


class _ErrorBody(msgspec.Struct, frozen=True):
    error: _Error


class Person:
    """One account at one shop. Use as `async with Person(url, account) as person`.

    Every call raises `Refused` when the server says no and `httpx.TransportError` when it does not answer.
    A session that has run out is renewed once without a word.
    """

    def __init__(self, url: str, account: Account, *, ca: str | Path | None = None) -> None:
        self.url = url.rstrip("/")
        self._account = account
        # trust_env: proxies of the machine are not for a load test
        verify = _trusting(ca)
        self._http = httpx.AsyncClient(base_url=self.url, timeout=_TIMEOUT_S, trust_env=False, verify=verify)
        self._signed_in = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def sign_in(self) -> None:
        """Signs in and keeps the session's cookie. Raises `CannotGoOn` when e-mail and password do not fit."""
        said = {"email": self._account.email, "password": self._account.password}
        try:
            await self._call("POST", "/api/login", said)
        except Refused as refusal:
            if refusal.status in (400, 401, 403):
                raise CannotGoOn(f"{self._account.email} cannot sign in: {refusal.detail or refusal.reason}") from None
            raise
        self._signed_in = True

    async def ticket(self, stream: str) -> str:
        """A ticket for the stream's socket: one use, 30 s."""
        return (await self._post("/api/ticket", _Ticket, {"stream": stream})).ticket

    async def stream(self, stream: str) -> StreamPage:
        """One stream with its drops."""
        return await self._get(f"/api/streams/{quote(stream)}", StreamPage)

    async def products(self) -> list[Product]:
        """Every product there is, up to `PRODUCTS_PAGES_MAX` pages, with what is on the shelf now."""
        found: list[Product] = []
        cursor: str | None = None
        for _ in range(PRODUCTS_PAGES_MAX):
            page = await self._get(f"/api/products{f'?cursor={quote(cursor)}' if cursor else ''}", _Products)
            found += page.products
            cursor = page.next
            if cursor is None:
                break
        return found

    # The host

    async def create_stream(self, slug: str, title: str) -> None:
        """Creates a stream; one's own of the same title stays as it is."""
        await self._post("/api/host/streams", _TheStream, {"slug": slug, "title": title})

    async def start_stream(self, slug: str) -> None:
        """The stream goes live."""
        await self._command(f"/api/host/streams/{quote(slug)}/start", {})

    async def end_stream(self, slug: str) -> None:
        """The stream is over, for good."""
        await self._command(f"/api/host/streams/{quote(slug)}/end", {})

    async def schedule_drop(
        self, slug: str, *, product: str, price: int, currency: str, limit: int, stock: dict[str, int]
    ) -> Drop:
        """Puts a drop on the run sheet. `price` in minor units, `stock` the quantity by variant id."""
        body = {
            "product": product,
            "price": price,
            "currency": currency,
            "limit": limit,
            "stock": [{"variant": variant, "quantity": quantity} for variant, quantity in stock.items()],
        }
        return (await self._post(f"/api/host/streams/{quote(slug)}/drops", _TheDrop, body)).drop

    async def open_drop(self, drop: str) -> None:
        """The drop is on sale. Safe to repeat."""
        await self._command(f"/api/host/drops/{quote(drop)}/open", {})

    async def close_drop(self, drop: str) -> None:
        """The drop is no longer on sale. Safe to repeat."""
        await self._command(f"/api/host/drops/{quote(drop)}/close", {})

    async def restock_drop(self, drop: str, variant: str, quantity: int) -> None:
        """Puts more of a variant into the drop, once, also when the call has to be made again."""
        said = {"variant": variant, "quantity": quantity, "ref": secrets.token_hex(8)}
        await self._command(f"/api/host/drops/{quote(drop)}/restock", said)

    # How

    async def _get(self, path: str, kind: type[T]) -> T:
        return _read(await self._call("GET", path, None), kind)

    async def _post(self, path: str, kind: type[T], body: dict[str, Any]) -> T:
        return _read(await self._command(path, body), kind)

    async def _command(self, path: str, body: dict[str, Any]) -> httpx.Response:
        """POST as whoever this is, signed in first where that is needed."""
        if not self._signed_in:
            await self.sign_in()
        try:
            return await self._call("POST", path, body)
        except Refused as refusal:
            if refusal.status != 401:
                raise
        await self.sign_in()  # the session ran out, or the server forgot it
        return await self._call("POST", path, body)

    async def _call(self, method: str, path: str, body: dict[str, Any] | None) -> httpx.Response:
        # a state-changing call with a cookie must say where it comes from; the shop's own address always may
        answer = await self._http.request(method, path, json=body, headers={"Origin": self.url})
        if not answer.is_success:
            raise _refused(f"{method} {path.partition('?')[0]}", answer)
        return answer


async def wait_ready(url: str, within_s: float) -> None:
    """Waits until the server at `url` says it is ready. Raises `Gone` when it does not within that time."""
    await _wait(url, "/readyz", within_s)


async def wait_answering(url: str, within_s: float, ca: str | None = None) -> None:
    """The same for a proxy, which keeps /readyz for operators: waits until the list of streams comes through it."""
    await _wait(url, "/api/streams", within_s, ca)


async def _wait(url: str, path: str, within_s: float, ca: str | None = None) -> None:
    until = time.monotonic() + within_s
    async with httpx.AsyncClient(base_url=url, timeout=2.0, trust_env=False, verify=_trusting(ca)) as http:
        while True:
            try:
                if (await http.get(path)).is_success:
                    return
            except httpx.TransportError:
                pass  # not up yet: what this function is for
            if time.monotonic() > until:
                raise Gone(f"no server was ready at {url} within {within_s:.0f} s")
            await asyncio.sleep(_READY_POLL_S)


def _trusting(ca: str | Path | None) -> ssl.SSLContext | bool:
    return ssl.create_default_context(cafile=ca) if ca else True


def _read(answer: httpx.Response, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(answer.content, type=kind)
    except msgspec.DecodeError as error:
        call = f"{answer.request.method} {answer.request.url.path}"
        raise CannotGoOn(f"{call} answered in another shape than agreed: {error}") from None


def _refused(call: str, answer: httpx.Response) -> Refused:
    try:
        said = msgspec.json.decode(answer.content, type=_ErrorBody).error
    except msgspec.DecodeError:
        said = _Error(answer.reason_phrase or "no reason")
    wait = answer.headers.get("Retry-After", "")
    retry_after_s = float(wait) if wait.isdigit() else None
    return Refused(call, answer.status_code, said.reason, said.detail, retry_after_s=retry_after_s)

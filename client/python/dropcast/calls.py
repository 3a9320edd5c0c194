"""HTTP calls to one shop: typed answers, typed errors."""

from __future__ import annotations

from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx
import msgspec

from dropcast.errors import BadAnswer, Refused, Unreachable

T = TypeVar("T")


class _Problem(msgspec.Struct, frozen=True):
    reason: str
    detail: str = ""
    field: str | None = None


class _ErrorBody(msgspec.Struct, frozen=True):
    error: _Problem


class Nothing(msgspec.Struct, frozen=True):
    """It is done; there is nothing to say."""


class Calls:
    """Every call raises `Refused`, `Unreachable` or `BadAnswer`. The session's cookie is kept here."""

    def __init__(self, url: str, *, timeout_s: float, trust_env: bool) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/") or parts.username:
            raise ValueError(f"a shop's address is like https://shop.example, without a path or a name in it: {url!r}")
        self.origin = f"{parts.scheme}://{parts.netloc}"
        self._http = httpx.AsyncClient(base_url=self.origin, timeout=timeout_s, trust_env=trust_env)

    async def get(self, path: str, kind: type[T], **query: str | None) -> T:
        """GET; the answer's JSON."""
        said = {name: value for name, value in query.items() if value is not None}
        return await self._call("GET", path, kind, params=said)

    async def post(self, path: str, kind: type[T], body: dict[str, Any] | None = None) -> T:
        """POST as whoever is signed in; the answer's JSON."""
        # a call that changes something with the cookie must say where it comes from; the shop's own address always may
        return await self._call("POST", path, kind, json=body or {}, headers={"Origin": self.origin})

    def cookie(self) -> str | None:
        """The session's cookie as a header; None for somebody who has not signed in."""
        cookie: str | None = self._http.build_request("GET", "/ws/").headers.get("cookie")
        return cookie

    async def aclose(self) -> None:
        """Closes the connections; the session at the shop stays."""
        await self._http.aclose()

    async def _call(self, method: str, path: str, kind: type[T], **said: Any) -> T:
        call = f"{method} {path}"
        try:
            answer = await self._http.request(method, path, **said)
        except httpx.HTTPError as error:
            raise Unreachable(f"{call}: {type(error).__name__}: {error}") from None
        if not answer.is_success:
            retry_after = answer.headers.get("Retry-After")
            raise refused(call, answer.status_code, answer.reason_phrase, answer.content, retry_after)
        try:
            return msgspec.json.decode(answer.content, type=kind)
        except (msgspec.DecodeError, UnicodeError) as error:
            raise BadAnswer(f"{call} answered in another shape than agreed: {error}") from None


def refused(call: str, status: int, phrase: str, body: bytes, retry_after: str | None) -> Refused:
    """What an answer from 300 on means, in the shop's words where it is the shop that answers."""
    try:
        said = msgspec.json.decode(body, type=_ErrorBody).error
    except (msgspec.DecodeError, UnicodeError):  # something in front of the shop
        said = _Problem(phrase, "the shop has another address: this one redirects" if 300 <= status < 400 else "")
    wait_s = float(retry_after) if retry_after is not None and retry_after.isdecimal() else None
    return Refused(call, status, said.reason, said.detail, field=said.field, retry_after_s=wait_s)

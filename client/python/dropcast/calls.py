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
            raise _refused(call, answer)
        try:
            return msgspec.json.decode(answer.content, type=kind)
        except (msgspec.DecodeError, UnicodeError) as error:
            raise BadAnswer(f"{call} answered in another shape than agreed: {error}") from None


def _refused(call: str, answer: httpx.Response) -> Refused:
    try:
        said = msgspec.json.decode(answer.content, type=_ErrorBody).error
    except (msgspec.DecodeError, UnicodeError):  # not the shop itself, but something in front of it
        said = _Problem(answer.reason_phrase or "no reason")
    wait = answer.headers.get("Retry-After", "")
    return Refused(
        call,
        answer.status_code,
        said.reason,
        said.detail,
        field=said.field,
        retry_after_s=float(wait) if wait.isdigit() else None,
    )

"""JSON in and out of HTTP: typed bodies, errors of one shape, ways to say each refusal."""

from __future__ import annotations

import logging
import re
from typing import Any, TypeVar

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from server import metrics
from server.domain.errors import Reason, Refused

log = logging.getLogger(__name__)

T = TypeVar("T")

STATUS = {
    Reason.BAD_REQUEST: 400,
    Reason.LOGIN_REQUIRED: 401,
    Reason.BAD_CREDENTIALS: 401,
    Reason.FORBIDDEN: 403,
    Reason.NOT_FOUND: 404,
    Reason.CONFLICT: 409,
    Reason.NO_STOCK: 409,
    Reason.TOO_LARGE: 413,
    Reason.RATE_LIMITED: 429,
    Reason.INTERNAL: 500,
    Reason.BUSY: 503,
    Reason.DRAINING: 503,
}
_BY_STATUS = {404: Reason.NOT_FOUND, 405: Reason.BAD_REQUEST, 413: Reason.TOO_LARGE}
_RETRY_AFTER_S = 1
_FIELD = re.compile(r"`(?:\$\.)?([a-z_]+)[^`]*`$")  # how msgspec ends a message about a field
_encoder = msgspec.json.Encoder()


class Json(Response):
    """An answer in JSON; never cached, because it is of one moment and one person."""

    media_type = "application/json"

    def __init__(self, content: Any, status_code: int = 200, headers: dict[str, str] | None = None) -> None:
        super().__init__(_encoder.encode(content), status_code, {"Cache-Control": "no-store", **(headers or {})})


async def body(request: Request, shape: type[T]) -> T:
    """The request's JSON as `shape`. Raises `Refused` with the field and what is wrong with it."""
    try:
        return msgspec.json.decode(await request.body() or b"{}", type=shape)
    except msgspec.ValidationError as error:
        named = _FIELD.search(str(error))
        detail = str(error).replace("`", "").replace("$.", "")
        raise Refused(Reason.BAD_REQUEST, detail, field=named and named.group(1)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refused(Reason.BAD_REQUEST, f"the body is not one JSON object: {error}") from None


def refusal(error: Refused) -> Json:
    """A refusal in the contract's shape."""
    status = STATUS.get(error.reason, 400)
    headers = {"Retry-After": str(error.retry_after_s or _RETRY_AFTER_S)} if status in (429, 503) else None
    said = {"reason": error.reason, "detail": error.detail}
    return Json({"error": {**said, "field": error.field} if error.field else said}, status, headers)


async def on_left(_request: Request, _error: Exception) -> Response:
    """Starlette's handler for a client that left before its body was whole: nobody hears this, and it is no error."""
    return Response(status_code=400)


async def on_refused(_request: Request, error: Exception) -> Response:
    """Starlette's handler for `Refused`."""
    assert isinstance(error, Refused)
    return refusal(error)


async def on_unavailable(request: Request, error: Exception) -> Response:
    """Starlette's handler for `Unavailable`: temporary, and not the caller's fault."""
    log.warning("a request found something below us gone", extra={"path": request.url.path, "error": str(error)})
    return refusal(Refused(Reason.BUSY, "temporarily not available: try again in a second"))


async def on_http(_request: Request, error: Exception) -> Response:
    """Starlette's own refusals (no such route, wrong method, body too large) in the contract's shape."""
    assert isinstance(error, HTTPException)
    reason = _BY_STATUS.get(error.status_code, Reason.BAD_REQUEST)
    headers = dict(error.headers or {})
    return Json({"error": {"reason": reason, "detail": error.detail}}, error.status_code, headers)


async def on_bug(request: Request, error: Exception) -> Response:
    """Everything else: logged with its traceback, counted, answered without a word about our insides."""
    metrics.BUGS.labels("http").inc()
    log.error("a request failed", extra={"path": request.url.path}, exc_info=error)
    return refusal(Refused(Reason.INTERNAL, "something went wrong on our side; it was noted"))

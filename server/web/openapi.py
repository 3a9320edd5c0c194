"""The API's own description, OpenAPI 3.1, made from the list of routes: what is not in the list is not described.

Each route of the API is a `Call`, which says beside its address what goes in and out. Everything else follows: what
a call of this kind may be refused with, and the schemas, which are those of the structs that the code itself reads
requests with.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from server.domain.user import Role
from server.web.answers import Json
from server.web.security import BODY_MAX_BYTES, SECURE_SESSION_COOKIE, SESSION_COOKIE
from server.web.shapes import Nothing, Refusal

_Schema = dict[str, Any]
_JSON = "application/json"
_REFS = "#/components/schemas/{name}"
_PARAMETERS = {
    "stream": "a stream's slug",
    "drop": "a drop's id",
    "session": "a session's id, as `GET /api/sessions` shows it",
    "status": "`live`, `scheduled`, `ended`, or several of them with commas between; without it live and scheduled",
    "q": "words to look for, at most 100 characters in all",
    "cursor": "the `next` of the page before",
}
_REFUSALS = {
    400: "what was sent is wrong: `field` says which part, where one part is",
    401: "nobody is signed in (`login_required`), or what should prove who you are does not (`bad_credentials`)",
    403: "your role does not allow it, it is somebody else's, or the call came from a page that may not call",
    404: "there is no such thing",
    409: "it cannot be as things stand",
    413: f"the body is larger than {BODY_MAX_BYTES} bytes",
    429: "too often: come back after `Retry-After`",
    503: "temporarily not available, or this replica leaves: come back after `Retry-After`",
}
_LATER = {429, 503}


@dataclass(frozen=True, slots=True)
class Said:
    """What a call's description needs beside its address and its docstring."""

    takes: type | None
    gives: type
    status: int
    needs: Role | None
    refuses: frozenset[int]
    query: tuple[str, ...]
    sets_cookie: bool
    media_type: str


class Call(Route):
    """A route of the API, which knows what it takes and gives.

    `takes` is the struct that its body is read as; `needs` the least role; `refuses` lists what it may answer beyond
    what every call of its kind may; `query` the names of its query parameters; `media_type` is what it answers with.
    """

    def __init__(
        self,
        path: str,
        endpoint: Any,
        *,
        method: str = "GET",
        takes: type | None = None,
        gives: type = Nothing,
        status: int = 200,
        needs: Role | None = None,
        refuses: Iterable[int] = (),
        query: tuple[str, ...] = (),
        sets_cookie: bool = False,
        media_type: str = _JSON,
    ) -> None:
        super().__init__(path, endpoint, methods=[method])
        self.method = method
        self.said = Said(takes, gives, status, needs, frozenset(refuses), query, sets_cookie, media_type)

    @property
    def refusals(self) -> list[int]:
        """The statuses from 400 on that it may answer with."""
        said, some = self.said, {429, 503} | self.said.refuses
        if self.method != "GET":
            some |= {403, 413}  # another origin, too large a body
        if said.takes or said.query:
            some.add(400)
        if self.param_convertors:
            some.add(404)
        if said.needs:
            some.add(401)
        if said.needs not in (None, Role.VIEWER):
            some.add(403)
        return sorted(some)


class Description:
    """`GET /api/openapi.json`, of the calls that this replica serves."""

    def __init__(self) -> None:
        self._text: Response | None = None

    def of(self, calls: Iterable[Call]) -> None:
        """What is to be described; said once."""
        self._text = Json(described(list(calls)))

    async def openapi(self, _request: Request) -> Response:
        """`GET /api/openapi.json`: this description."""
        assert self._text is not None
        return self._text


def described(calls: list[Call]) -> _Schema:
    """The description of some calls as an OpenAPI 3.1 document."""
    shapes = {shape for call in calls for shape in (call.said.takes, call.said.gives) if shape} | {Refusal}
    ordered = sorted(shapes, key=str)
    refs, schemas = msgspec.json.schema_components(ordered, ref_template=_REFS)
    ref_of = dict(zip(ordered, refs, strict=True))
    paths: dict[str, _Schema] = {}
    for call in calls:
        paths.setdefault(call.path, {})[call.method.lower()] = _operation(call, ref_of)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Dropcast",
            "version": "1",
            "description": "Prices are whole minor units, times ms since the epoch, UTC, ids opaque strings."
            " A call that changes something and carries the cookie needs an `Origin` that is allowed."
            " More: docs/protocol.md.",
        },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": {str(status): _refusal(status, ref_of[Refusal]) for status in _REFUSALS},
            "securitySchemes": {
                "session": _cookie(SESSION_COOKIE, "HttpOnly; SameSite=Lax; set by signing in without TLS"),
                "secureSession": _cookie(SECURE_SESSION_COOKIE, "HttpOnly; SameSite=Lax; Secure; the same behind TLS"),
            },
        },
    }


def _operation(call: Call, ref_of: dict[type, _Schema]) -> _Schema:
    said = call.said
    gives = ref_of[said.gives]
    answer: _Schema = {
        "description": gives.get("description") or inspect.getdoc(said.gives) or "",
        "content": _content(gives, said.media_type),
    }
    if said.sets_cookie:
        answer["headers"] = {"Set-Cookie": {"description": "the session", "schema": {"type": "string"}}}
    operation: _Schema = {
        "operationId": call.endpoint.__qualname__.replace("Routes", ""),
        "description": inspect.getdoc(call.endpoint) or "",
        "responses": {str(said.status): answer}
        | {str(status): {"$ref": f"#/components/responses/{status}"} for status in call.refusals},
    }
    parameters = [_parameter(name, "path") for name in call.param_convertors]
    parameters += [_parameter(name, "query") for name in said.query]
    if parameters:
        operation["parameters"] = parameters
    if said.takes:
        operation["requestBody"] = {"required": True, "content": _content(ref_of[said.takes])}
    if said.needs:
        operation["security"] = [{"session": []}, {"secureSession": []}]
        operation["x-role"] = said.needs.value
    return operation


def _parameter(name: str, where: str) -> _Schema:
    schema = {"type": "string"}
    return {"name": name, "in": where, "required": where == "path", "description": _PARAMETERS[name], "schema": schema}


def _refusal(status: int, ref: _Schema) -> _Schema:
    answer: _Schema = {"description": _REFUSALS[status], "content": _content(ref)}
    if status in _LATER:
        answer["headers"] = {
            "Retry-After": {"description": "seconds", "required": True, "schema": {"type": "integer", "minimum": 1}}
        }
    return answer


def _content(schema: _Schema, media_type: str = _JSON) -> _Schema:
    return {media_type: {"schema": schema}}


def _cookie(name: str, description: str) -> _Schema:
    return {"type": "apiKey", "in": "cookie", "name": name, "description": description}

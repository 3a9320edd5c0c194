"""`GET /api/openapi.json` says what the routes are, all of them, and what their code reads."""

from __future__ import annotations

import inspect
import json
import re
from typing import Any

import pytest

from server.domain.errors import Reason
from server.web.answers import STATUS
from server.web.openapi import Call, described
from tests.hostile.surface import ALL_SURFACES, calls, served

API = [route for route in served() if isinstance(route, Call)]
DESCRIPTION = described(API)


def in_words(description: dict[str, Any]) -> set[str]:
    return {f"{method.upper()} {path}" for path, item in description["paths"].items() for method in item}


@pytest.mark.parametrize("surfaces", [(), ("viewer",), ("host",), ALL_SURFACES], ids="+".join)
def test_every_route_of_the_api_is_described_and_nothing_else_whatever_the_surfaces(surfaces: tuple[str, ...]) -> None:
    routes = served(surfaces)
    there = {call for call in calls(routes) if " /api" in call}
    assert in_words(described([route for route in routes if isinstance(route, Call)])) == there
    assert ("POST /api/host/streams" in there) == ("host" in surfaces)
    assert ("POST /api/ticket" in there) == ("viewer" in surfaces)


@pytest.mark.parametrize("call", API, ids=lambda call: f"{call.method} {call.path}")
def test_a_call_is_described_as_its_code_reads_it(call: Call) -> None:
    source = inspect.getsource(call.endpoint)
    read = re.findall(r"await body\(request, (\w+)\)", source)
    assert read == ([call.said.takes.__name__] if call.said.takes else [])
    needs = re.findall(r"require(?:_caller)?\(request(?:, Role\.(\w+))?\)", source)
    assert [role.lower() or "viewer" for role in needs] == ([call.said.needs.value] if call.said.needs else [])
    assert re.findall(r"\}, (20\d)\)", source) == ([str(call.said.status)] if call.said.status != 200 else [])
    asked = set(re.findall(r'query_params\.get\("(\w+)"', source)) | (
        {"cursor"} if "cursor(request)" in source else set()
    )
    assert asked == set(call.said.query)
    assert inspect.getdoc(call.endpoint)


def test_every_refusal_has_one_shape_and_those_that_pass_say_when() -> None:
    responses = DESCRIPTION["components"]["responses"]
    for status, answer in responses.items():
        assert answer["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/Refusal"}
        assert ("Retry-After" in answer.get("headers", {})) == (status in ("429", "503"))
    assert {str(status) for status in STATUS.values()} - {"500"} == responses.keys()
    assert set(DESCRIPTION["components"]["schemas"]["Reason"]["enum"]) == {reason.value for reason in Reason}


def test_every_reference_leads_somewhere() -> None:
    for reference in re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(DESCRIPTION)):
        found: Any = DESCRIPTION
        for step in reference.split("/"):
            found = found[step]

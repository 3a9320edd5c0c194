"""The HTTP API called in every way its description allows, and does not: no 5xx, answers as described."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.client import Api
from tests.hostile.conftest import Besieged, Person, sale_of

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


USUAL_TIMES = 3
"""How often each operation is called in each way: some 800 requests of the three people together."""


@dataclass
class Caller:
    """One person who calls everything."""

    besieged: Besieged
    person: Person
    session: requests.Session
    there: dict[str, Any]
    seed: int
    times: int
    answers: Counter[int] = field(default_factory=Counter)
    wrong: dict[str, str] = field(default_factory=dict)
    """The first failure of each operation."""

    def __post_init__(self) -> None:
        self._seed = self.seed

    def call_in_every_way(self, operation: Any) -> None:
        """A third as described, a third as described about things that are there, a third otherwise."""
        as_described = operation.as_strategy(GenerationMode.POSITIVE)
        # a text in a path or a query is a text, whatever it is: only bodies can be otherwise
        otherwise = operation.as_strategy(GenerationMode.NEGATIVE) if operation.body else as_described
        self._repeat(as_described, lambda case: self._try(case, CHECKS))
        self._repeat(as_described, lambda case: self._try(_made_real(case, self.there), CHECKS))
        self._seed += 1
        self._repeat(otherwise, lambda case: self._try(case, [*CHECKS, negative_data_rejection]))

    def _repeat(self, strategy: st.SearchStrategy[Any], work: Callable[[Any], None]) -> None:
        run = settings(
            max_examples=self.times,
            database=None,
            deadline=None,
            phases=[Phase.generate],  # no shrinking: the one that fails says enough
            suppress_health_check=list(HealthCheck),
        )

        def once(case: Any) -> None:
            work(case)

        run(seed(self._seed)(given(case=strategy)(once)))()

    def _try(self, case: Any, checks: list[Any]) -> None:
        if self.person is not Person.GUEST:
            case.cookies = {}  # made up by the description's word; a guest may try them
        answer = case.call(session=self.session, headers=self.besieged.headers(self.person), timeout=10)
        self.answers[answer.status_code] += 1
        if "set-cookie" in answer.headers and self.person is not Person.GUEST:  # the session has ended or was renewed
            self.besieged.sign_in(self.person)
        try:
            case.validate_response(answer, checks=checks)
        except BaseException as failure:
            self.wrong.setdefault(case.operation.label, str(failure))


@pytest.mark.timeout(600)
@pytest.mark.parametrize("person", [Person.GUEST, Person.VIEWER, Person.HOST])
async def test_no_request_breaks_the_api_or_gets_an_answer_that_is_not_described(
    besieged: Besieged, host: Api, person: Person, hostile_seed: int, hostile_times: int
) -> None:
    sale = await sale_of(besieged, host)
    there = {"stream": sale.stream, "drop": sale.drop, "variant": besieged.variant, "product": "DEMO-1"}
    there |= {"currency": "USD", "limit": 3, "price": 3, "quantity": 2, "email": f"{person}@example.com"}
    there |= {"origins": ["https://partner.example"], "embed_origins": [], "origin": "https://partner.example"}
    there |= dict.fromkeys(("starts_at", "opens_at", "closes_at", "video"))
    besieged.sign_in(Person.HOST)
    schema = schemathesis.openapi.from_url(f"{besieged.origin}/api/openapi.json", timeout=10)
    operations = [found.ok() for found in schema.get_all_operations()]
    with requests.Session() as session:
        session.trust_env = False
        caller = Caller(besieged, person, session, there, hostile_seed, USUAL_TIMES * hostile_times)
        for operation in operations:
            caller.call_in_every_way(operation)
    answers = caller.answers
    print(f"\n{person}: {answers.total()} requests, seed {hostile_seed}: {dict(sorted(answers.items()))}")
    assert not caller.wrong, "\n\n".join(f"{label}: {what}" for label, what in caller.wrong.items())
    assert answers.total() > len(operations) * caller.times  # some operations have few ways to be called
    assert answers[200] + answers[201] > caller.times  # it was not all refused


def _made_real(case: Any, there: dict[str, Any]) -> Any:
    for part in (case.path_parameters, case.body):
        if isinstance(part, dict):
            part.update({name: there[name] for name in part.keys() & there.keys()})
    if isinstance(case.body, dict) and "stock" in case.body:
        case.body["stock"] = [{"variant": there["variant"], "quantity": 1}]
    if isinstance(case.body, dict) and "slug" in case.body:
        case.body["slug"] = "fuzzed-" + secrets.token_hex(4)
    return case

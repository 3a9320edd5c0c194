"""A crowd signs in while others buy: who is too many is told when to come back, and receipts come as ever.

`--rate` sign-ins a second at fixed times, whether or not earlier ones are answered: every other one with an account's
right password, the rest with a wrong one for an address nobody has, which is as much work. Meanwhile the buyers order
100 times a second (50 of them). The shop must run with its limits on. Each sign-in says it comes from one of
`--networks`, which a shop believes of a proxy it trusts: with one network its own limit answers, with many the bound of
what one replica hashes.
"""

from __future__ import annotations

import argparse
import asyncio
import secrets
from collections import Counter
from http.cookiejar import DefaultCookiePolicy
from itertools import count, cycle
from time import monotonic

import httpx

from loadtest.accounts import Account, StandardInput
from loadtest.buyers import EVERY_S, ORDERS_EACH, Buyers
from loadtest.errors import CannotGoOn
from loadtest.options import read_tickets, within
from loadtest.person import Person, wait_ready
from loadtest.process import cpu_s
from loadtest.report import latency
from loadtest.summary import add_arguments as add_summary_arguments
from loadtest.summary import finish

SUMMARY = "so many sign-ins a second while 50 buyers order: receipts, and what the surplus is told"

_ACCOUNTS_WITHIN_S = 20.0
_READY_WITHIN_S = 20.0
_ANSWERED_WITHIN_S = 20.0
_BUYING_TAKES_S = ORDERS_EACH * EVERY_S


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `python -m loadtest signing_in`."""
    add = parser.add_argument
    add("--viewers", type=within(1, 1_000), default=50, help="buyers (%(default)s)")
    add("--rate", type=within(0, 2_000), default=50, help="sign-ins a second (%(default)s)")
    add("--networks", type=within(1, 250), default=50, help="where they come from (%(default)s)")
    add("--stream", required=True, help="a live stream of the host's")
    add("--tickets", metavar="FILE", required=True, help="one for each buyer")
    add("--product", default="DEMO-1", help="the SKU of the drop (%(default)s)")
    add("--pid", type=int, help="the replica's process, to tell its CPU")
    add_summary_arguments(parser)


async def run(options: argparse.Namespace, stop: asyncio.Event) -> int:  # noqa: ARG001  (one shape for all scenarios)
    """Measures and audits. Raises `LoadtestError` when it cannot be done at all."""
    accounts = await StandardInput().accounts(_ACCOUNTS_WITHIN_S)
    tickets = read_tickets(options.tickets)[: options.viewers]
    if len(tickets) < options.viewers or not accounts.shoppers:
        raise CannotGoOn("every buyer needs a ticket, and somebody must be there to sign in (shoppers)")
    await wait_ready(options.url, _READY_WITHIN_S)
    buyers = Buyers(options.url, options.stream, tickets)
    crowd = _Crowd(options.url, list(accounts.shoppers), options.networks)
    async with Person(options.url, accounts.host) as host:
        await buyers.stock_up(host, options.product)
    async with buyers, crowd:
        before, began = cpu_s(options.pid) if options.pid else 0.0, monotonic()
        await asyncio.gather(buyers.buy(), crowd.sign_in(options.rate, _BUYING_TAKES_S))
        spent = (cpu_s(options.pid) - before) / (monotonic() - began) if options.pid else 0.0
    figures = crowd.figures() | buyers.figures() | ({"replica_cpu": spent} if options.pid else {})
    return finish("signing_in", options, figures, buyers.problems)


class _Crowd:
    """Who signs in; use as `async with`."""

    def __init__(self, url: str, accounts: list[Account], networks: int) -> None:
        self._accounts = cycle(accounts)
        self._networks = networks
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
        self._http = httpx.AsyncClient(base_url=url, limits=limits, timeout=_ANSWERED_WITHIN_S, trust_env=False)
        self._http.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))  # each is a person of their own
        self._told: Counter[int] = Counter()
        self._took_ms: list[float] = []
        self._astray = 0
        self._without_a_time = 0
        self._number = count()

    async def __aenter__(self) -> None:
        await self._http.__aenter__()

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def sign_in(self, rate: int, seconds: float) -> None:
        """At fixed times for so long; returns when all are answered."""
        start = monotonic() + 0.1
        await asyncio.gather(*(self._one(start + number / rate) for number in range(int(rate * seconds))))

    def figures(self) -> dict[str, float]:
        """What they were told."""
        told = self._told
        return {
            "sign_ins": float(told.total() + self._astray),
            "signed_in": float(told[200]),
            "wrong_refused": float(told[401]),
            "surplus_told_429": float(told[429]),
            "surplus_without_retry_after": float(self._without_a_time),
            "answered_5xx": float(sum(times for status, times in told.items() if status >= 500)),
            "answered_astray": float(sum(t for status, t in told.items() if status < 500 and status not in _EXPECTED)),
            "not_answered": float(self._astray),
            **{f"sign_in_{name}_ms": value for name, value in latency(self._took_ms).items()},
        }

    async def _one(self, due: float) -> None:
        await asyncio.sleep(due - monotonic())
        number = next(self._number)
        if number % 2:
            said = {"email": f"{secrets.token_hex(6)}@example.com", "password": "nobody has this password"}
        else:
            account = next(self._accounts)
            said = {"email": account.email, "password": account.password}
        comes_from = {"X-Forwarded-For": f"198.18.{number % self._networks}.1"}  # RFC 2544: for measurements
        try:
            answer = await self._http.post("/api/login", json=said, headers=comes_from)
        except httpx.TransportError:
            self._astray += 1
            return
        self._told[answer.status_code] += 1
        if answer.status_code == 429:
            self._without_a_time += not answer.headers.get("Retry-After", "").isdigit()
        else:
            self._took_ms.append((monotonic() - due) * 1000)


_EXPECTED = frozenset({200, 401, 429})

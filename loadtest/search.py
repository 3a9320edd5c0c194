"""People search with misspelt words: how soon the shop answers, and how often the product they mean comes first.

The shop must hold the catalogue that `loadtest.catalogue` makes of `--products` and `--seed`; `loadtest.local` sees to
it. One query after the other, as one person types them; before them as many others, so that the shop is warm.
"""

from __future__ import annotations

import argparse
import asyncio
from time import perf_counter

import httpx
import msgspec

from loadtest.catalogue import PRODUCTS_MAX, SEED, Query, goods, queries
from loadtest.errors import CannotGoOn
from loadtest.options import within
from loadtest.person import wait_ready
from loadtest.process import cpu_s
from loadtest.report import percentile
from loadtest.summary import add_arguments as add_summary_arguments
from loadtest.summary import finish

SUMMARY = "misspelt searches in 50,000 products: how soon, and how often the right one comes first"

_READY_WITHIN_S = 20.0
_ANSWERED_WITHIN_S = 20.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `python -m loadtest search`."""
    add = parser.add_argument
    add("--products", type=within(100, PRODUCTS_MAX), default=50_000, help="of the catalogue (%(default)s)")
    add("--queries", type=within(10, 2_000), default=200, help="so many (%(default)s)")
    add("--seed", type=within(0, 1_000_000), default=SEED, help="of the catalogue and the queries (%(default)s)")
    add("--pid", type=int, help="the replica's process, to tell its CPU")
    add("--database-pid", type=int, help="the database's process, to tell its CPU")
    add_summary_arguments(parser)
    parser.set_defaults(viewers=1)


class _Product(msgspec.Struct):
    sku: str


class _Found(msgspec.Struct):
    products: tuple[_Product, ...]


async def run(options: argparse.Namespace, stop: asyncio.Event) -> int:  # noqa: ARG001  (one shape for all scenarios)
    """Measures. Raises `LoadtestError` when it cannot be done at all."""
    await wait_ready(options.url, _READY_WITHIN_S)
    catalogue = goods(options.products, options.seed)
    asked = queries(catalogue, 2 * options.queries, options.seed)
    async with httpx.AsyncClient(base_url=options.url, timeout=_ANSWERED_WITHIN_S, trust_env=False) as http:
        last = catalogue[-1]
        if last.sku not in (await _ask(http, last.title))[0][:1]:
            raise CannotGoOn(f"the shop does not have this catalogue: {last.title!r} does not find {last.sku}")
        for query in asked[options.queries :]:
            await _ask(http, query.typed)
        before = _cpu_s(options)
        answers = [(query, *await _ask(http, query.typed)) for query in asked[: options.queries]]
        spent = {name: now - before[name] for name, now in _cpu_s(options).items()}
        beginnings = [await _ask(http, query.typed[:letters]) for letters in (1, 2, 3, 5) for query in asked[:50]]
    took_ms = sorted(ms for _, _, ms in answers)
    typing_ms = sorted(ms for _, ms in beginnings)
    first = [query for query, found, _ in answers if found[:1] == [query.sku]]
    figures = {
        "products": float(options.products),
        "queries": float(len(answers)),
        "right_first_percent": 100 * len(first) / len(answers),
        "right_on_first_page_percent": 100 * sum(query.sku in found for query, found, _ in answers) / len(answers),
        "search_p50_ms": percentile(took_ms, 50),
        "search_p95_ms": percentile(took_ms, 95),
        "search_max_ms": took_ms[-1],
        "beginnings_p50_ms": percentile(typing_ms, 50),
        "beginnings_p95_ms": percentile(typing_ms, 95),
        **{f"{name}_cpu_ms_per_search": 1000 * s / len(answers) for name, s in spent.items()},
    }
    astray = [_told(query, found) for query, found, _ in answers if query not in first]
    return finish("search", options, figures, [], {"not_first": astray})


def _cpu_s(options: argparse.Namespace) -> dict[str, float]:
    named = (("replica", options.pid), ("database", options.database_pid))
    return {name: cpu_s(pid) for name, pid in named if pid is not None}


async def _ask(http: httpx.AsyncClient, typed: str) -> tuple[list[str], float]:
    """The SKUs of the first page, and ms until it was there."""
    began = perf_counter()
    answer = await http.get("/api/products", params={"q": typed})
    took_ms = (perf_counter() - began) * 1000
    if answer.status_code != 200:
        raise CannotGoOn(f"a search for {typed!r} was answered {answer.status_code}")
    return [product.sku for product in msgspec.json.decode(answer.content, type=_Found).products], took_ms


def _told(query: Query, found: list[str]) -> dict[str, object]:
    place = found.index(query.sku) + 1 if query.sku in found else None
    return {"typed": query.typed, "meant": query.sku, "slips": list(query.slips), "place": place}

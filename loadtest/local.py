"""`python -m loadtest.local [--…] SCENARIO …`: a shop of its own on this machine, the scenario before it, and the end.

Starts Redis, replicas and, where there are two replicas, MariaDB and nginx, all on private ports; makes a host and
tickets; runs `python -m loadtest SCENARIO …` with what it needs to know; ends everything. Exit status: the scenario's.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Sequence
from types import FrameType
from typing import NoReturn

from loadtest.accounts import Account
from loadtest.catalogue import SEED, goods
from loadtest.errors import CannotGoOn, LoadtestError
from loadtest.front import KINDS, Front
from loadtest.person import Person
from loadtest.premises import HOST, Premises
from loadtest.report import say
from loadtest.stocking import stock

SCENARIOS = {
    "fan_out": 1,
    "flash_sale": 1,
    "mixed": 2,
    "page_rush": 1,
    "reconnect_storm": 2,
    "rolling_drain": 2,
    "search": 1,
    "signing_in": 1,
}
"""How many replicas each needs; `flash_sale` takes more with `--replicas`."""

SELLS = frozenset({"flash_sale", "mixed", "signing_in"})
"""Those whose orders are checked against MariaDB, and by `dropcast verify` at the end."""

VIEWERS = {"signing_in": 50}
"""How many there are where nobody says, and it is not 1,000."""

SHOPPERS = tuple(f"shopper-{number}@example.com" for number in range(4))
"""Who has a password, in `signing_in`."""

_TICKETS_EACH = {"flash_sale": 2, "mixed": 4}  # one to come with, the others to come back with
_TICKETS_LAST_S = 3_600


def main(arguments: Sequence[str] | None = None) -> int:
    """The command. Returns the exit status."""
    options, rest = parser().parse_known_args(arguments)
    signal.signal(signal.SIGTERM, _leave)
    cores = sorted(os.sched_getaffinity(0))
    sells = options.scenario in SELLS
    replicas = (options.replicas if sells else None) or SCENARIOS[options.scenario]
    pin = options.scenario == "fan_out" if options.pin is None else options.pin
    pinned = pin and replicas == 1 and len(cores) > 1
    try:
        front = _front(options)
    except LoadtestError as error:
        print(f"loadtest.local: {error}", file=sys.stderr)
        return 2
    shop = Premises(
        replicas=replicas,
        mariadb=replicas > 1 or sells or options.mariadb or options.scenario == "search",
        server_core=cores[0] if pinned else None,
        other_core=cores[1] if pinned else None,
        keep_up=options.scenario == "rolling_drain",
        drain_s=options.drain_s,
        binlog=options.binlog,
        rate_limits="on" if options.scenario == "signing_in" else "off",
        front=front,
        buffer_pool_mb=384 if options.scenario == "search" else 128,  # the index fits in, as docs/operations.md asks
    )
    try:
        with shop:
            if pinned:
                rest += ["--server-core", str(cores[0]), "--crowd-core", str(cores[1])]
            return run_at(shop, options, rest, cores[1] if pinned else None)
    except LoadtestError as error:
        print(f"loadtest.local: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def run_at(shop: Premises, options: argparse.Namespace, rest: Sequence[str] = (), core: int | None = None) -> int:
    """The scenario at this shop; its exit status. Raises `CannotGoOn` when `dropcast verify` is not content then."""
    options.viewers = options.viewers or VIEWERS.get(options.scenario, 1_000)
    status = _run([*_words(options, shop), *rest], shop, core)
    if options.scenario in SELLS and status == 0:
        shop.dropcast("verify")
        say("verify: all invariants hold")
    return status


def parser() -> argparse.ArgumentParser:
    """Its own options; all others are the scenario's."""
    made = argparse.ArgumentParser(prog="python -m loadtest.local", description=__doc__)
    made.add_argument("scenario", choices=SCENARIOS, help="its own options may follow")
    made.add_argument("--viewers", type=int, help="default: 1000; signing_in: 50 buyers")
    made.add_argument("--buyers", type=int, default=0, help="fan_out only")
    made.add_argument("--guests", action="store_true", help="viewers without tickets")
    made.add_argument("--mariadb", action="store_true", help="instead of SQLite, for one replica as well")
    made.add_argument("--all-on-victim", action="store_true", help="reconnect_storm: nobody on the other replica")
    made.add_argument("--drain-s", type=float, default=4.0, help="DROPCAST_DRAIN_WITHIN_S (%(default)s)")
    made.add_argument("--pin", action=argparse.BooleanOptionalAction, help="one core each (default: fan_out)")
    made.add_argument(
        "--replicas", type=int, choices=range(1, 9), help="flash_sale, mixed: so many; nginx before several"
    )
    made.add_argument("--binlog", action="store_true", help="MariaDB writes a binary log as well, as a primary does")
    made.add_argument("--products", type=int, default=50_000, help="search: so many in the catalogue (%(default)s)")
    made.add_argument("--seed", type=int, default=SEED, help="search: of the catalogue and the queries (%(default)s)")
    made.add_argument("--front", choices=KINDS, help="fan_out, page_rush: nginx before it, measured apart")
    made.add_argument("--front-unix", action="store_true", help="the replica listens on a Unix socket")
    made.add_argument("--front-workers", default="1", help="of nginx (%(default)s)")
    made.add_argument("--front-change", action="append", default=[], metavar="OLD=NEW", help="in its configuration")
    made.add_argument("--stream-module", metavar="FILE", help="for --front tcp, where nginx has it as a module")
    made.add_argument("--straight", action="store_true", help="flash_sale: straight at the replicas, not at nginx")
    return made


def _words(options: argparse.Namespace, shop: Premises) -> list[str]:
    """The scenario's command line, after what it needs was made."""
    if options.scenario == "search":
        return _stocked(options, shop)
    words = [options.scenario, "--url", shop.url, "--viewers", str(options.viewers)]
    pids, each = [replica.pid for replica, _ in shop.replicas], 1
    match options.scenario:
        case "fan_out":
            words += ["--redis", shop.redis_url, "--buyers", str(options.buyers), *_servers(shop)]
            needed = options.viewers + options.buyers
        case "page_rush":
            words += _servers(shop)
            needed = 0
        case "flash_sale" | "mixed":
            each = _TICKETS_EACH[options.scenario]
            words += ["--pid", *map(str, pids)]
            if shop.database is not None:
                words += ["--database-pid", str(shop.database.pid)]
            if options.straight:
                words += ["--straight-at", *(url for _, url in shop.replicas)]
            words += ["--tickets-each", str(each)]
            needed = options.viewers
        case "signing_in":
            words += ["--pid", str(pids[0])]
            for email in SHOPPERS:
                shop.create_user(email, "viewer")
            needed = options.viewers
        case "reconnect_storm":
            words += ["--victim", str(pids[0])]
            if options.all_on_victim:
                words += ["--gather-at", shop.replicas[0][1]]
            needed = 2 * options.viewers
        case _:
            replicas = zip(pids, shop.replicas, strict=True)
            return words + [word for pid, (_, url) in replicas for word in ("--replica", f"{pid}={url}")]
    stream = f"load-{secrets.token_hex(4)}"
    if options.scenario == "page_rush":
        asyncio.run(_make_stream(shop, stream))
        return [*words, "--page", f"/s/{stream}"]
    if options.guests:
        return words
    asyncio.run(_make_stream(shop, stream))
    tickets = shop.folder / "tickets"
    tickets.touch(mode=0o600)
    lasting = ("--each", str(each), "--ttl-seconds", str(_TICKETS_LAST_S))
    tickets.write_text(shop.dropcast("mint-tickets", "--stream", stream, "--viewers", str(needed), *lasting), "ascii")
    return [*words, "--stream", stream, "--tickets", str(tickets)]


def _servers(shop: Premises) -> list[str]:
    words = ["--pid", str(shop.replicas[0][0].pid)]
    words += ["--nginx-pid", str(shop.nginx.pid)] if shop.nginx else []
    return words + (["--ca", str(shop.ca)] if shop.ca else [])


def _front(options: argparse.Namespace) -> Front | None:
    if options.front is None and options.scenario != "page_rush":
        return None
    if options.scenario not in ("fan_out", "page_rush"):
        raise CannotGoOn("--front is for fan_out and page_rush: the others have nginx where they need it")
    return Front(
        kind=options.front or "http",
        unix=options.front_unix,
        workers=options.front_workers,
        stream_module=options.stream_module,
        changes=options.front_change,
    )


def _stocked(options: argparse.Namespace, shop: Premises) -> list[str]:
    """The command line of `search`, after its catalogue was put on the shelves."""
    stock(shop.database_url, goods(options.products, options.seed))
    say(shop.dropcast("index-products").strip())
    assert shop.database is not None
    made = {"products": options.products, "seed": options.seed}
    pids = {"pid": shop.replicas[0][0].pid, "database-pid": shop.database.pid}
    return ["search", "--url", shop.url, *(f"--{name}={value}" for name, value in (made | pids).items())]


async def _make_stream(shop: Premises, stream: str) -> None:
    async with Person(shop.url, Account(HOST, shop.password), ca=shop.ca) as host:
        await host.create_stream(stream, "Load")
        await host.start_stream(stream)


def _run(words: Sequence[str], shop: Premises, core: int | None) -> int:
    """The scenario, in a process of its own that ends with us: it ends when its standard input does, or by SIGTERM."""
    scenario = subprocess.Popen([sys.executable, "-m", "loadtest", *words], stdin=subprocess.PIPE, text=True)  # noqa: S603
    try:
        if core is not None:
            os.sched_setaffinity(scenario.pid, {core})
        assert scenario.stdin is not None
        scenario.stdin.write(
            json.dumps(
                {
                    "host": {"email": HOST, "password": shop.password},
                    "shoppers": [{"email": email, "password": shop.password} for email in SHOPPERS],
                    "database": shop.database_url,
                }
            )
            + "\n"
        )
        scenario.stdin.flush()
        return scenario.wait()
    finally:
        if scenario.poll() is None:
            scenario.terminate()
            scenario.wait()
        if scenario.stdin is not None:
            scenario.stdin.close()


def _leave(_number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(143)


if __name__ == "__main__":
    sys.exit(main())

"""The words of `dropcast`, and which command each runs: settings → logs → command or process."""

from __future__ import annotations

import argparse
import asyncio
import getpass
import sys
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from server import commands, demo, health, logs, process, settings
from server.domain.errors import DropcastError
from server.domain.user import Role
from server.store.sole import WAIT_S


def run(arguments: Sequence[str]) -> None:
    """Runs one command. Exits 0, 1 (it failed, and said why in one line), or 2 (the words are off)."""
    asked = _parser().parse_args(arguments)
    try:
        configured = settings.read()
        logs.configure(configured.log_level)
        sys.exit(asked.run(asked, configured))
    except DropcastError as error:
        sys.exit(f"dropcast: {error}")
    except KeyboardInterrupt:
        sys.exit(130)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="dropcast",
        description="Real-time live-stream commerce. Settings come from the environment: see docs/settings.md.",
    )
    verbs = parser.add_subparsers(required=True, metavar="COMMAND")

    def verb(name: str, help_: str, run: Callable[[argparse.Namespace, settings.Settings], int]) -> Any:
        added = verbs.add_parser(name, help=help_, description=help_)
        added.set_defaults(run=run)
        return added

    verb("serve", "run the server", _serve)
    verb(
        "demo", "run the server with a demo show, host and crowd on SQLite", lambda _, configured: demo.run(configured)
    )
    verb("init-db", "apply the schema to an empty database", _async(lambda _, c: commands.init_db(c)))
    migrate = verb("migrate", "bring the database up to date, beside replicas at work", _async(_migrate))
    mode = migrate.add_mutually_exclusive_group()
    mode.add_argument(
        "--check", dest="mode", action="store_const", const="check", help="only say what is to be done; exit 1 if any"
    )
    mode.add_argument("--sql", dest="mode", action="store_const", const="sql", help="only print the SQL")
    migrate.set_defaults(mode="apply")
    migrate.add_argument(
        "--wait-seconds", type=int, default=WAIT_S, metavar="T", help="for another run to end (default: %(default)s)"
    )
    user = verb("create-user", "create a verified user", _async(_create_user))
    user.add_argument("--email", required=True)
    user.add_argument("--role", required=True, choices=[role.value for role in Role])
    user.add_argument("--name", help="shown to others; the part before the @ when not given")
    user.add_argument(
        "--password-stdin", action="store_true", help="read the password from standard input's first line"
    )
    ended = verb("end-sessions", "sign somebody out everywhere, and close their sockets", _async(_end_sessions))
    ended.add_argument("--email", required=True)
    verb(
        "seed-demo",
        "put the demo catalogue into the database; safe to repeat",
        _async(lambda _, c: commands.seed_demo(c)),
    )
    verb(
        "index-products",
        "make the search find every product as it is now; safe to repeat",
        _async(lambda _, c: commands.index_products(c)),
    )
    tickets = verb("mint-tickets", "make viewer accounts and print a single-use ticket for each", _async(_mint_tickets))
    tickets.add_argument("--stream", required=True, metavar="SLUG")
    tickets.add_argument("--viewers", required=True, type=int, metavar="N")
    tickets.add_argument("--ttl-seconds", required=True, type=int, metavar="T")
    tickets.add_argument("--each", type=int, default=1, metavar="K", help="tickets of each viewer, one below the other")
    verb(
        "new-epoch",
        "after a restore that lost events: viewers with newer positions begin anew",
        _async(lambda _, c: commands.new_epoch(c)),
    )
    verbs.add_parser("health", help=health.SUMMARY)  # listed here, answered by `server.__main__`: it must be quick
    verb("verify", "check every invariant of the whole database; read-only", _async(lambda _, c: commands.verify(c)))
    return parser


def _async(
    work: Callable[[argparse.Namespace, settings.Settings], Coroutine[Any, Any, int]],
) -> Callable[[argparse.Namespace, settings.Settings], int]:
    return lambda asked, configured: asyncio.run(work(asked, configured))


def _serve(_asked: argparse.Namespace, configured: settings.Settings) -> int:
    process.serve(configured)
    return 0


async def _create_user(asked: argparse.Namespace, configured: settings.Settings) -> int:
    if asked.password_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
    elif sys.stdin.isatty():
        password = getpass.getpass("Password: ")
    else:
        raise DropcastError("no terminal to ask for a password: use --password-stdin")
    return await commands.create_user(
        configured, email=asked.email, role=Role(asked.role), name=asked.name, password=password
    )


async def _end_sessions(asked: argparse.Namespace, configured: settings.Settings) -> int:
    return await commands.end_sessions(configured, email=asked.email)


async def _mint_tickets(asked: argparse.Namespace, configured: settings.Settings) -> int:
    return await commands.mint_tickets(
        configured, stream=asked.stream, viewers=asked.viewers, each=asked.each, ttl_s=asked.ttl_seconds
    )


async def _migrate(asked: argparse.Namespace, configured: settings.Settings) -> int:
    return await commands.migrate(configured, mode=asked.mode, wait_s=asked.wait_seconds)

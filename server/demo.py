"""`dropcast demo`: the embedded default with a show going on, for newcomers."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import secrets
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from server import process
from server.accounts.door import Door
from server.accounts.keep import MemoryKeep
from server.accounts.passwords import Passwords
from server.accounts.sessions import Sessions
from server.app import OUTBOX_DIR, opened_database
from server.catalog.demo import DEMO_PRODUCTS
from server.domain.errors import DropcastError, Refused
from server.domain.user import Role
from server.settings import Settings
from server.store.catalog import Catalog
from server.store.schema import init_db as apply_schema
from server.store.sessions import SessionRows
from server.store.users import Users

STREAM = "demo"
SHOPPERS = 12
_LEAVE_WITHIN_S = 5
_DRAIN_WITHIN_S = 0.5  # nobody to be gentle to: Ctrl-C should be quick
_ROOT = Path(__file__).resolve().parents[1]

Login = dict[str, str]


def run(settings: Settings) -> int:
    """Prepares the demo, serves it, and ends the crowd with it. Raises `DropcastError` beyond the embedded default."""
    if not settings.embedded:
        raise DropcastError("the demo runs on the embedded default only: unset DROPCAST_DATABASE_URL and _BUS_URL")
    if settings.bind.startswith("unix:"):
        raise DropcastError("the demo is for browsers on this machine: set DROPCAST_BIND to host:port, or unset it")
    logging.disable(logging.INFO)  # the terminal is for the signposts and the sale
    host, viewer, shoppers = asyncio.run(_prepare(settings))
    crowd: list[subprocess.Popen[bytes]] = []

    def started() -> None:
        _print_signposts(settings, host, viewer)
        crowd.append(_start_crowd(settings, {"host": host, "shoppers": shoppers}))

    try:
        process.serve(settings.model_copy(update={"drain_within_s": _DRAIN_WITHIN_S}), started)
    finally:
        for child in crowd:
            _stop(child)
    return 0


async def _prepare(settings: Settings) -> tuple[Login, Login, list[Login]]:
    """The catalogue and the demo's people, whose passwords are new at each start."""
    async with opened_database(settings) as database:
        await apply_schema(database)
        for product in DEMO_PRODUCTS:
            await Catalog(database).put(product)
        users = Users(database)
        passwords = Passwords()
        keep = MemoryKeep()
        door = Door(users, Sessions(SessionRows(database), keep), keep, passwords, ["signs nothing here"])

        async def person(name: str, role: Role, shown: str) -> Login:
            login = {"email": f"{name}@example.com", "password": secrets.token_urlsafe(9)}
            try:
                await door.create_user(login["email"], role, name=shown, password=login["password"])
            except Refused:
                known = await users.by_email(login["email"])
                if known is None:
                    raise
                await users.set_password(known[0].id, await passwords.hash(login["password"]))
            return login

        host = await person("demo-host", Role.ADMIN, "Robin")
        viewer = await person("demo-viewer", Role.VIEWER, "You")
        return host, viewer, [await person(f"demo-shopper-{n}", Role.VIEWER, f"Shopper {n}") for n in range(SHOPPERS)]


def _print_signposts(settings: Settings, host: Login, viewer: Login) -> None:
    at = f"http://{settings.bind}"
    print(
        f"\n  Dropcast is running. Stop it with Ctrl-C.\n\n"
        f"  watch and buy   {at}/s/{STREAM}\n"
        f"                  sign in as {viewer['email']}  password {viewer['password']}\n"
        f"  sell            {at}/host\n"
        f"  administer      {at}/admin\n"
        f"                  sign in as {host['email']}  password {host['password']}\n"
        f"  read mail       {'at your mail server' if settings.smtp_url else f'{OUTBOX_DIR}/  (none is sent)'}\n",
        flush=True,
    )


def _start_crowd(settings: Settings, people: dict[str, object]) -> subprocess.Popen[bytes]:
    # the crowd speaks the public contract over real sockets, from a process of its own; passwords go by its stdin
    words = [sys.executable, "-m", "loadtest", "demo", "--url", f"http://{settings.bind}", "--stream", STREAM]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DROPCAST_")}
    child = subprocess.Popen(words, stdin=subprocess.PIPE, cwd=_ROOT, env=environment)  # noqa: S603  our own module
    assert child.stdin is not None
    child.stdin.write(json.dumps(people).encode() + b"\n")
    child.stdin.flush()
    return child


def _stop(child: subprocess.Popen[bytes]) -> None:
    with suppress(OSError):
        child.terminate()
        assert child.stdin is not None
        child.stdin.close()
    try:
        child.wait(_LEAVE_WITHIN_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()

"""A backup and its restore, by the commands of docs/deploy.md."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

from tests.services.mariadb import Database, MariaDB
from tests.services.programs import path_of
from tests.services.release import ROOT

_GUIDE = (ROOT / "docs" / "deploy.md").read_text("utf-8")


def documented(start: str) -> list[str]:
    """The words of the command of docs/deploy.md that starts so, up to its first pipe or redirection."""
    (command,) = re.findall(rf"^({re.escape(start)}(?:[^\\\n]|\\\n)*)$", _GUIDE, flags=re.MULTILINE)
    words = shlex.split(command.replace("\\\n", " "))
    return words[: next((at for at, word in enumerate(words) if word in ("|", "<", ">")), len(words))]


def dump(server: MariaDB, database: Database, login: Path) -> str:
    """The database as SQL, read while everybody goes on writing."""
    return _run(documented("mariadb-dump "), server, database, login)


def restore(server: MariaDB, database: Database, login: Path, dumped: str) -> None:
    """Fills an empty database. Raises `CalledProcessError` when it is not empty."""
    _run(documented("mariadb "), server, database, login, said=dumped)


def _run(words: list[str], server: MariaDB, database: Database, login: Path, said: str | None = None) -> str:
    login.write_text(
        f"[client]\nhost=127.0.0.1\nport={server.port}\nuser={database.user}\npassword={database.password}\n"
    )
    login.chmod(0o600)
    there = {"/etc/dropcast/database.cnf": str(login), "dropcast": database.name}
    program, *options = [there.get(word, word).replace("/etc/dropcast/database.cnf", str(login)) for word in words]
    done = subprocess.run([path_of(program), *options], input=said, capture_output=True, text=True, check=True)
    return done.stdout

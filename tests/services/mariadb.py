"""A MariaDB server of our own, as durable as production's: a commit that was answered survives `kill`."""

from __future__ import annotations

import os
import pwd
import secrets
import socket
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pymysql  # type: ignore[import-untyped,unused-ignore]

from tests.services.process import Service, ServiceError
from tests.services.programs import path_of

_LOG_FILE_SIZE = "--innodb-log-file-size=32M"
_GRANTS = "SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, INDEX, REFERENCES"
"""What `init-db` and the server need, and nothing more."""


@dataclass(frozen=True)
class Database:
    """A fresh, empty database and the one user who may use it (only it, only over TCP from 127.0.0.1)."""

    name: str
    user: str
    password: str


class MariaDB(Service):
    """Starts in about 0.2 s, after 1 s of `mariadb-install-db` the first time.

    `durable=False` writes the log once a second: faster, but `kill` costs what was committed since. `options` are
    further ones of mariadbd, for example `["--log-bin"]`.
    """

    name = "mariadb"

    def __init__(self, *, durable: bool = True, options: Sequence[str] = ()) -> None:
        super().__init__()
        self._durable = durable
        self._options = options
        self._socket = self.folder / "s"  # at most 107 bytes
        self._owner = pwd.getpwuid(os.geteuid()).pw_name  # the kernel vouches for this user on the unix socket

    def command(self) -> Sequence[str]:
        if not (self.folder / "data" / "mysql").exists():
            self._install()
        flush = int(self._durable)
        return [
            path_of("mariadbd"),
            "--no-defaults",
            f"--user={self._owner}",
            f"--datadir={self.folder}/data",
            f"--socket={self._socket}",
            f"--pid-file={self.folder}/pid",
            f"--tmpdir={self.folder}",
            f"--port={self.port}",
            "--skip-networking=0",
            "--bind-address=127.0.0.1",
            "--skip-name-resolve",
            "--character-set-server=utf8mb4",
            "--collation-server=utf8mb4_unicode_520_ci",
            f"--innodb-flush-log-at-trx-commit={flush}",
            f"--sync-binlog={flush}",
            _LOG_FILE_SIZE,
            "--innodb-buffer-pool-size=64M",
            "--performance-schema=OFF",
            "--max-connections=300",
            *self._options,
        ]

    def is_ready(self) -> bool:
        # The unix socket lies in our own folder, so nobody else can answer; TCP is bound before it.
        with socket.socket(socket.AF_UNIX) as probe:  # PyMySQL leaves its own one open when nobody listens yet
            try:
                probe.connect(str(self._socket))
            except OSError:
                return False
        try:
            self.execute("SELECT 1")
        except pymysql.err.OperationalError:
            return False
        return True

    def create_database(self) -> Database:
        """A fresh database with a random name, and its user."""
        name = f"dropcast_{secrets.token_hex(6)}"
        database = Database(name=name, user=name, password=secrets.token_hex(12))
        who = f"'{database.user}'@'127.0.0.1'"
        self.execute(f"CREATE DATABASE {name} CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci")
        self.execute(f"CREATE USER {who} IDENTIFIED BY '{database.password}'")
        self.execute(f"GRANT {_GRANTS} ON {name}.* TO {who}")
        return database

    def drop_database(self, database: Database) -> None:
        """Removes the database and its user. Safe to repeat."""
        self.execute(f"DROP DATABASE IF EXISTS {database.name}")
        self.execute(f"DROP USER IF EXISTS '{database.user}'@'127.0.0.1'")

    def url(self, database: Database) -> str:
        """The database for DROPCAST_DATABASE_URL."""
        return f"mysql+aiomysql://{database.user}:{database.password}@127.0.0.1:{self.port}/{database.name}"

    def execute(self, sql: str, database: Database | None = None) -> list[tuple[Any, ...]]:
        """Runs one statement as the server's owner, in autocommit: what a test sees beside the code it tests."""
        connection = pymysql.connect(
            unix_socket=str(self._socket),
            user=self._owner,
            database=database.name if database else None,
            charset="utf8mb4",
            autocommit=True,
            connect_timeout=5,
            read_timeout=30,
            ssl_disabled=True,  # loading the certificates takes longer than most statements
        )
        try:
            with connection.cursor() as cursor:
                cursor.execute(sql)
                return list(cursor.fetchall())
        finally:
            connection.close()

    def _install(self) -> None:
        done = subprocess.run(
            [
                path_of("mariadb-install-db"),
                "--no-defaults",
                f"--user={self._owner}",
                f"--datadir={self.folder}/data",
                "--auth-root-authentication-method=socket",
                f"--auth-root-socket-user={self._owner}",
                "--skip-test-db",
                "--innodb-flush-log-at-trx-commit=0",
                _LOG_FILE_SIZE,
            ],
            capture_output=True,
            text=True,
            check=False,
            timeout=self.start_within_s,
        )
        if done.returncode:
            raise ServiceError(f"mariadb-install-db failed:\n{done.stdout}{done.stderr}")

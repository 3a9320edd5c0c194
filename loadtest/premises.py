"""A shop of one's own for a measurement: Redis, a database, replicas and nginx on private ports in a temporary folder.

Everything runs in processes of ours, is told to end by its id, and dies with us at the latest.
"""

from __future__ import annotations

import http.client
import os
import pwd
import random
import secrets
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import pymysql  # type: ignore[import-untyped,unused-ignore]

from loadtest.errors import CannotGoOn
from loadtest.front import Front
from loadtest.process import pin

PASSWORD_BYTES = 18
HOST = "host@example.com"

_STARTS_WITHIN_S = 30.0
_ENDS_WITHIN_S = 25.0
_LOOK_S = 0.05
_ROOT = Path(__file__).resolve().parents[1]


class Program:
    """One process with a log, started and ended by us. `keep_up` starts it again when it ended well (after SIGTERM)."""

    def __init__(
        self,
        words: Sequence[str],
        log: Path,
        *,
        environment: dict[str, str] | None = None,
        core: int | None = None,
        dies_by: str = "KILL",
        keep_up: bool = False,
    ) -> None:
        self._words = [_path_of("setpriv"), "--pdeathsig", dies_by, "--", *words]
        self._log = log
        self._environment = environment
        self._core = core
        self._ended = threading.Event()
        self._process = self._start()
        if keep_up:
            threading.Thread(target=self._keep_up, name=f"keeps up {log.stem}", daemon=True).start()

    @property
    def pid(self) -> int:
        """The process as it is now."""
        return self._process.pid

    def await_(self, ready: Callable[[], bool]) -> Self:
        """Waits until it is ready. Raises `CannotGoOn`, with the end of its log, when it is not in time."""
        until = time.monotonic() + _STARTS_WITHIN_S
        while not ready():
            if self._process.poll() is not None or time.monotonic() > until:
                tail = self._log.read_text("utf-8", "replace")[-2000:]
                raise CannotGoOn(f"{self._log.stem} did not start:\n{tail}")
            time.sleep(_LOOK_S)
        return self

    def end(self) -> None:
        """SIGTERM, and SIGKILL when that does not help."""
        self._ended.set()
        self._process.terminate()
        try:
            self._process.wait(_ENDS_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _start(self) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            process = subprocess.Popen(  # noqa: S603
                self._words,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment,
                cwd=self._log.parent,
            )
        pin(process.pid, self._core)
        return process

    def _keep_up(self) -> None:
        # a thread: the parent-death signal of what it starts comes when the thread ends, so it must not end
        while True:
            if self._process.wait() == 0 and not self._ended.is_set():
                self._process = self._start()
            else:
                self._ended.wait()
            time.sleep(_LOOK_S)


class Premises:
    """`with Premises(…) as shop`: everything runs and the demo catalogue and a host are in it."""

    def __init__(
        self,
        *,
        replicas: int,
        mariadb: bool,
        server_core: int | None,
        other_core: int | None,
        keep_up: bool,
        drain_s: float,
        binlog: bool = False,
        rate_limits: str = "off",
        buffer_pool_mb: int = 128,
        front: Front | None = None,
    ) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="dc-load-", dir="/tmp"))
        self.redis_url = ""
        self.database_url = ""
        self.url = ""
        self.ca: Path | None = None
        """The certificate to trust, where viewers speak TLS."""

        self.nginx: Program | None = None
        self.replicas: list[tuple[Program, str]] = []
        self.database: Program | None = None
        self.password = secrets.token_urlsafe(PASSWORD_BYTES)
        self._count = replicas
        self._with_mariadb = mariadb
        self._server_core = server_core
        self._other_core = other_core
        self._keep_up = keep_up
        self._drain_s = drain_s
        self._binlog = binlog
        self._rate_limits = rate_limits
        self._buffer_pool_mb = buffer_pool_mb
        self._front = front or (Front(workers="auto") if replicas > 1 else None)
        self._front_core = server_core if front else None
        self._programs: list[Program] = []
        self._settings: dict[str, str] = {}

    def __enter__(self) -> Self:
        try:
            self._open()
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def dropcast(self, *words: str, said: str = "") -> str:
        """Runs a `dropcast` command; what it printed. Raises `CannotGoOn` when it fails."""
        done = subprocess.run(  # noqa: S603
            [sys.executable, "-m", "server", *words],
            input=said,
            env=self._environment({}),
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            said = done.stdout + done.stderr if words[0] == "verify" else done.stderr  # it names violations on stdout
            raise CannotGoOn(f"dropcast {words[0]}: {said.strip()[-1000:]}")
        return done.stdout

    def create_user(self, email: str, role: str) -> None:
        """A user with the password of the host."""
        self.dropcast("create-user", "--email", email, "--role", role, "--password-stdin", said=self.password)

    def _open(self) -> None:
        self.redis_url = self._redis()
        database = self._mariadb() if self._with_mariadb else f"sqlite+aiosqlite:///{self.folder}/dropcast.db"
        self._settings = {
            "DROPCAST_DATABASE_URL": database,
            "DROPCAST_BUS_URL": self.redis_url,
            "DROPCAST_SECRET_KEYS": secrets.token_urlsafe(32),
            "DROPCAST_RATE_LIMITS": self._rate_limits,
            "DROPCAST_DRAIN_WITHIN_S": str(self._drain_s),
            "DROPCAST_LOG_LEVEL": "warning",
        }
        self.dropcast("init-db")
        self.dropcast("seed-demo")
        self.create_user(HOST, "host")
        for number in range(self._count):
            unix = self._front is not None and self._front.unix
            bind = f"unix:{self.folder}/{number}.sock" if unix else f"127.0.0.1:{free_port()}"
            words = [sys.executable, "-m", "server", "serve"]
            replica = self._run(
                f"replica-{number}",
                words,
                environment=self._environment({"DROPCAST_BIND": bind}),
                core=self._server_core,
                keep_up=self._keep_up,
            )
            self.replicas.append((replica, bind if unix else f"http://{bind}"))
        for replica, url in self.replicas:
            replica.await_(lambda url=url: _answers(url, "/readyz"))  # type: ignore[misc]
        self.url = self._nginx(self._front) if self._front else self.replicas[0][1]

    def _close(self) -> None:
        for program in reversed(self._programs):
            program.end()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _redis(self) -> str:
        port = free_port()
        words = [_path_of("redis-server"), "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
        self._run("redis", [*words, "--dir", str(self.folder)], core=self._other_core).await_(lambda: _listens(port))
        return f"redis://127.0.0.1:{port}/0"

    def _mariadb(self) -> str:
        """As durable as production's: every commit is on the disk before it is answered."""
        owner = pwd.getpwuid(os.geteuid()).pw_name
        port, data, unix = free_port(), self.folder / "data", self.folder / "s"
        usual = ["--no-defaults", f"--user={owner}", f"--datadir={data}", "--innodb-log-file-size=64M"]
        install = ["--auth-root-authentication-method=socket", f"--auth-root-socket-user={owner}", "--skip-test-db"]
        done = subprocess.run([_path_of("mariadb-install-db"), *usual, *install], capture_output=True, check=False)  # noqa: S603
        if done.returncode:
            raise CannotGoOn(f"mariadb-install-db: {done.stderr.decode(errors='replace')[-1000:]}")
        network = [f"--port={port}", "--bind-address=127.0.0.1", "--skip-name-resolve", f"--socket={unix}"]
        durable = ["--innodb-flush-log-at-trx-commit=1", "--sync-binlog=1", "--max-connections=300"]
        durable.append(f"--innodb-buffer-pool-size={self._buffer_pool_mb}M")
        binlog = [f"--log-bin={self.folder}/binlog", "--binlog-format=ROW", "--server-id=1"] if self._binlog else []
        words = [_path_of("mariadbd"), *usual, *network, *durable, *binlog, f"--pid-file={self.folder}/pid"]
        self.database = self._run("mariadb", words, core=self._other_core)
        self.database.await_(lambda: unix.exists() and _listens(port))
        user, password = "dropcast", secrets.token_hex(12)
        connection = pymysql.connect(unix_socket=str(unix), user=owner, autocommit=True)
        try:
            with connection.cursor() as cursor:
                cursor.execute(f"CREATE DATABASE {user} CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci")
                cursor.execute(f"CREATE USER '{user}'@'127.0.0.1' IDENTIFIED BY '{password}'")
                cursor.execute(f"GRANT ALL ON {user}.* TO '{user}'@'127.0.0.1'")
        finally:
            connection.close()
        self.database_url = f"mysql://{user}:{password}@127.0.0.1:{port}/{user}"
        return f"mysql+aiomysql://{user}:{password}@127.0.0.1:{port}/{user}"

    def _nginx(self, front: Front) -> str:
        port = free_port()
        upstreams = [url.removeprefix("http://") for _, url in self.replicas]
        configuration, self.ca = front.write(self.folder, port, upstreams)
        start = [_path_of("nginx"), "-p", str(self.folder), "-c", str(configuration), "-e", "stderr"]
        url = f"http{'s' if front.tls else ''}://127.0.0.1:{port}"
        self.nginx = self._run("nginx", start, dies_by="TERM", core=self._front_core)
        self.nginx.await_(lambda: _answers(url, "/api/streams", self.ca))
        return url

    def _run(
        self,
        name: str,
        words: Sequence[str],
        *,
        environment: dict[str, str] | None = None,
        core: int | None = None,
        dies_by: str = "KILL",
        keep_up: bool = False,
    ) -> Program:
        program = Program(
            words, self.folder / f"{name}.log", environment=environment, core=core, dies_by=dies_by, keep_up=keep_up
        )
        self._programs.append(program)
        return program

    def _environment(self, more: dict[str, str]) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("DROPCAST_")}
        return {**inherited, "PYTHONPATH": str(_ROOT), **self._settings, **more}


def free_port() -> int:
    """A port below the ephemeral range that nobody listens on now."""
    for port in random.sample(range(20_000, 32_000), 100):
        if not _listens(port):
            return port
    raise CannotGoOn("no free port in 20000..31999")


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _answers(url: str, path: str, ca: Path | None = None) -> bool:
    scheme, _, host = url.partition("://")
    connection = http.client.HTTPConnection(host or "localhost", timeout=2)
    if scheme == "https":
        connection = http.client.HTTPSConnection(host, timeout=2, context=ssl.create_default_context(cafile=ca))
    try:
        if url.startswith("unix:"):
            connection.sock = socket.socket(socket.AF_UNIX)
            connection.sock.connect(url.removeprefix("unix:"))
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _path_of(name: str) -> str:
    where = f"{os.environ.get('PATH', os.defpath)}:/usr/local/sbin:/usr/sbin:/sbin"
    found = shutil.which(name, path=where)
    if found is None:
        raise CannotGoOn(f"{name} is not installed")
    return found

"""`dropcast health` against whatever may listen where a replica should."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from server import health
from server.settings import Settings
from tests.services.replica import command_environment

HEAVY = ("asyncio", "http", "logging", "msgspec", "pydantic", "redis", "sqlalchemy", "ssl", "starlette", "uvicorn")


@contextmanager
def listening(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """Somebody who takes one connection and reads its request; gives the address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(4096)
                answer(connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        thread.join(10)
        assert not thread.is_alive()


def says(answer: bytes) -> Callable[[socket.socket], None]:
    return lambda connection: connection.sendall(answer)


def test_200_is_well_and_its_body_is_said() -> None:
    with listening(says(b'HTTP/1.1 200 OK\r\nX: y\r\n\r\n{"status":\n "alive"}')) as address:
        assert health.ask(address, "/livez") == '{"status": "alive"}'


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b'HTTP/1.1 503 Busy\r\n\r\n{"status":"draining"}', '503 {"status":"draining"}'),
        (b"HTTP/1.1 404 Not Found\r\n\r\n", "404"),
        (b"SSH-2.0-OpenSSH\r\n", "what listens there does not speak HTTP"),
        (b"", "what listens there does not speak HTTP"),
    ],
)
def test_anything_else_is_not(answer: bytes, said: str) -> None:
    with listening(says(answer)) as address, pytest.raises(health.Unwell) as unwell:
        health.ask(address, "/readyz")
    assert str(unwell.value) == said


def test_neither_silence_nor_a_trickle_takes_longer_than_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "WITHIN_S", 0.4)

    def trickle(connection: socket.socket) -> None:
        try:
            for _ in range(100):
                connection.sendall(b"H")
                time.sleep(0.05)
        except OSError:
            return

    for answer in (trickle, lambda connection: connection.recv(1)):
        began = time.monotonic()
        with listening(answer) as address, pytest.raises(health.Unwell, match="no answer within"):
            health.ask(address, "/livez")
        assert time.monotonic() - began < 2


def test_an_answer_without_end_is_not_read_to_its_end() -> None:
    def flood(connection: socket.socket) -> None:
        try:
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 50_000_000)
        except OSError:
            return

    with listening(flood) as address:
        assert len(health.ask(address, "/livez")) < 100_000


@pytest.mark.parametrize("bind", ["8080", "here:", "127.0.0.1:0", "127.0.0.1:70000", ":8080"])
def test_a_bad_address_names_its_variable(bind: str) -> None:
    with pytest.raises(health.Unwell, match="DROPCAST_BIND must be host:port"):
        health.ask(bind, "/livez")


@pytest.mark.parametrize("everywhere", ["0.0.0.0", "127.0.0.1"])
def test_the_command_prints_one_line_and_exits_0_or_1(
    everywhere: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with listening(says(b"HTTP/1.1 200 OK\r\n\r\nfine")) as address:
        bind = address.replace("127.0.0.1", everywhere)
        monkeypatch.setenv("DROPCAST_BIND", bind)
        assert health.main([]) == 0
        assert capsys.readouterr() == (f"{bind} /livez: fine\n", "")
    assert health.main(["--ready"]) == 1
    said = capsys.readouterr()
    assert (said.out, said.err.count("\n")) == ("", 1)
    assert said.err.startswith(f"dropcast: {bind} /readyz: nobody answers")


def test_it_asks_where_a_replica_listens_that_was_not_told_otherwise() -> None:
    assert Settings.model_fields["bind"].default == health.BIND


def test_it_waits_for_no_import_of_the_shop() -> None:
    """0.05 s of CPU, and a second with the rest: a supervisor asks every few seconds."""
    words = "import sys; from server.__main__ import main\ntry: main(['health'])\nfinally: print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", words],
        env=command_environment({"DROPCAST_BIND": "127.0.0.1:1"}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    imported = done.stdout.split()
    assert "server.health" in imported
    assert not {name.partition(".")[0] for name in imported} & set(HEAVY)

"""The command as a process: what it says and how it ends."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
ACCOUNTS = b'{"host": {"email": "h@example.com", "password": "p"}}\n'


def start(*words: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "loadtest", *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=ROOT,
    )


@pytest.fixture
def crowd() -> Iterator[subprocess.Popen[bytes]]:
    """A demo's crowd that has asked once whether the server is ready, got no answer, and asks again and again."""
    nobody = socket.create_server(("127.0.0.1", 0))
    with nobody, start("demo", "--url", f"http://127.0.0.1:{nobody.getsockname()[1]}") as child:
        assert child.stdin is not None
        child.stdin.write(ACCOUNTS)
        child.stdin.flush()
        nobody.settimeout(10)
        asked, _ = nobody.accept()
        asked.close()
        yield child
        child.kill()


def ended(child: subprocess.Popen[bytes], within_s: float = 2.0) -> tuple[int, str]:
    status = child.wait(within_s)
    assert child.stdout is not None
    return status, child.stdout.read().decode()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_crowd_in_two_seconds_without_a_word(
    crowd: subprocess.Popen[bytes], number: signal.Signals
) -> None:
    crowd.send_signal(number)
    assert ended(crowd) == (0, "")


def test_a_closed_input_ends_the_crowd(crowd: subprocess.Popen[bytes]) -> None:
    assert crowd.stdin is not None
    crowd.stdin.close()
    assert ended(crowd) == (0, "")


def test_without_accounts_it_says_what_it_wants() -> None:
    child = start("demo")
    out, _ = child.communicate(b"hello\n", timeout=10)
    assert child.returncode == 1
    assert out.decode().startswith("loadtest: standard input must hold one JSON object")
    assert b"Traceback" not in out


def test_help_names_the_scenarios() -> None:
    out, _ = (child := start("--help")).communicate(timeout=10)
    assert child.returncode == 0
    assert b"demo" in out
    assert b"fan_out" in out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "required"),
        (("dance",), "invalid choice"),
        (("demo", "--url", "localhost"), "must start with http://"),
        (("fan_out", "--viewers", "0"), "must be an integer"),
        (("fan_out", "--messages", "x"), "must be an integer"),
    ],
)
def test_wrong_words_are_told_with_status_2(words: tuple[str, ...], told: str) -> None:
    out, _ = (child := start(*words)).communicate(timeout=10)
    assert child.returncode == 2
    assert told in out.decode()

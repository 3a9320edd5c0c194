"""`dropcast health`: what a supervisor runs every few seconds. The standard library only, so that it is quick."""

from __future__ import annotations

import argparse
import os
import re
import socket
import sys
import time
from collections.abc import Sequence

SUMMARY = "ask the replica of this machine whether it is alive, or with --ready whether it is ready"
BIND = "127.0.0.1:8080"
"""Where a replica listens that was not told otherwise; the same as in `server/settings.py`."""
WITHIN_S = 3.0
_ANSWER_MAX_BYTES = 16_384
_THIS_MACHINE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  a replica that listens everywhere


class Unwell(Exception):
    """There is no replica, or it does not say 200; the text says which."""


def main(arguments: Sequence[str]) -> int:
    """Prints one line; 0 when the replica says 200, 1 when not. Takes at most `WITHIN_S` seconds."""
    parser = argparse.ArgumentParser(prog="dropcast health", description=SUMMARY)
    parser.add_argument("--ready", action="store_true", help="ask /readyz (new viewers are welcome), not /livez")
    path = "/readyz" if parser.parse_args(arguments).ready else "/livez"
    bind = os.environ.get("DROPCAST_BIND") or BIND
    try:
        print(f"{bind} {path}: {ask(bind, path)}")
    except Unwell as why:
        print(f"dropcast: {bind} {path}: {why}", file=sys.stderr)
        return 1
    return 0


def ask(bind: str, path: str) -> str:
    """The answer's body, which is one line. Raises `Unwell`."""
    host, _, port = bind.rpartition(":")
    host = host.strip("[]")
    if not host or not port.isdecimal() or not 0 < int(port) < 65_536:
        raise Unwell("DROPCAST_BIND must be host:port, such as 127.0.0.1:8080 or [::]:8080")
    deadline = time.monotonic() + WITHIN_S
    try:
        answer = _exchange(_THIS_MACHINE.get(host, host), int(port), path, deadline)
    except TimeoutError:
        raise Unwell(f"no answer within {WITHIN_S:.0f} s") from None
    except OSError as error:
        raise Unwell(f"nobody answers ({error.strerror or error})") from None
    head, _, body = answer.partition("\r\n\r\n")
    status = re.match(r"HTTP/1\.[01] ([0-9]{3})", head)
    said = " ".join(body.split())
    if status is None:
        raise Unwell("what listens there does not speak HTTP")
    if status[1] != "200":
        raise Unwell(f"{status[1]} {said}".rstrip())
    return said


def _exchange(host: str, port: int, path: str, deadline: float) -> str:
    """One request, until the other side closes. The deadline is for all of it: a trickle must not go on for ever."""
    with socket.create_connection((host, port), timeout=_left(deadline)) as connection:
        connection.sendall(f"GET {path} HTTP/1.0\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        answer = b""
        while len(answer) < _ANSWER_MAX_BYTES:
            connection.settimeout(_left(deadline))
            part = connection.recv(_ANSWER_MAX_BYTES)
            if not part:
                break
            answer += part
    return answer.decode("utf-8", "replace")


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left

"""Ports for services: below Linux's ephemeral range, so that no client's own port is ever in the way."""

from __future__ import annotations

import random
import socket

_RANGE = range(20_000, 32_000)
_given: set[int] = set()


def free_port() -> int:
    """A port nobody listens on now and that this process has not given out before.

    Somebody may still take it before the service does: services start again on another one when they say so.
    """
    for port in random.sample(_RANGE, 200):
        if port not in _given and _is_free(port):
            _given.add(port)
            return port
    raise RuntimeError(f"no free port found in {_RANGE.start}-{_RANGE.stop - 1}")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True

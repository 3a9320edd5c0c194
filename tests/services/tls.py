"""TLS in tests: one certificate for this machine and run, and clients that trust it."""

from __future__ import annotations

import atexit
import shutil
import ssl
import tempfile
from functools import cache
from pathlib import Path

from loadtest.certificate import certify


@cache
def certificate() -> tuple[Path, Path]:
    """The files of the certificate and its key; they go away with the run."""
    folder = Path(tempfile.mkdtemp(prefix="dc-tls-", dir="/tmp"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return certify(folder)


def trusting() -> ssl.SSLContext:
    """For a client; a new one each time, because clients write their wishes into it."""
    return ssl.create_default_context(cafile=certificate()[0])


def verify(url: str) -> ssl.SSLContext | bool:
    """What a client of httpx is told: our certificate over TLS, its own choice elsewhere."""
    return trusting() if url.startswith("https://") else True

"""A replica of the server in a process of its own, and this tree's other commands."""

from __future__ import annotations

import http.client
import json
import secrets
import socket
import sys
from collections.abc import Mapping, Sequence

from tests.services.process import Service
from tests.services.release import THIS, Release
from tests.services.secrets import secrets_of_the_run

run_command = THIS.dropcast
command_environment = THIS.environment


class Replica(Service):
    """`python -m server serve` with these `DROPCAST_…` settings and no others; ready when /readyz says 200.

    DROPCAST_BIND is set here. Mail without DROPCAST_SMTP_URL lands in `folder / "var" / "outbox"`.
    Replicas that work together need the same DROPCAST_SECRET_KEYS, database and bus. `release` may be changed while
    it is down.
    """

    name = "replica"

    def __init__(
        self,
        settings: Mapping[str, str],
        address: str = "127.0.0.1",
        *,
        unix: bool = False,
        release: Release = THIS,
    ) -> None:
        super().__init__()
        self.release = release
        self.address = address
        self._file = self.folder / "replica.sock" if unix else None
        self._settings = dict(settings)
        secrets_of_the_run.remember_settings(settings)

    @property
    def host(self) -> str:
        """`host:port` or, with `unix`, `unix:/path`, as an upstream of nginx."""
        return f"unix:{self._file}" if self._file else f"{self.address}:{self.port}"

    @property
    def url(self) -> str:
        """`http://host:port`."""
        return f"http://{self.host}"

    def ws_url(self, stream: str) -> str:
        """A stream's socket."""
        return f"ws://{self.host}/ws/{stream}"

    def command(self) -> Sequence[str]:
        return [sys.executable, "-m", "server", "serve"]

    def environment(self) -> Mapping[str, str]:
        return self.release.environment({**self._settings, "DROPCAST_BIND": self.host})

    def is_ready(self) -> bool:
        return self._readiness()[0] == 200

    def hears_the_bus(self) -> bool:
        """Ready, and with its bus: a replica whose Redis was restarted notices a moment later."""
        status, said = self._readiness()
        return status == 200 and json.loads(said)["details"]["bus"] == "up"

    def _readiness(self) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(self.address, self.port, timeout=2)
        try:
            if self._file:
                connection.sock = socket.socket(socket.AF_UNIX)
                connection.sock.connect(str(self._file))
            connection.request("GET", "/readyz")
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException):
            return 0, b""
        finally:
            connection.close()

    def remove(self) -> None:
        """Stops the replica and removes its folder; its log is looked through for secrets at the end of the run."""
        secrets_of_the_run.keep(self.name, self.log_text())
        super().remove()


def shared_settings(database_url: str, bus_url: str, origins: Sequence[str] = ()) -> dict[str, str]:
    """Settings for any number of replicas of one shop, with a fresh secret."""
    settings = {
        "DROPCAST_DATABASE_URL": database_url,
        "DROPCAST_BUS_URL": bus_url,
        "DROPCAST_SECRET_KEYS": secrets.token_urlsafe(32),
    }
    return {**settings, "DROPCAST_PUBLIC_ORIGINS": ",".join(origins)} if origins else settings

"""nginx with the configuration we ship, in front of any upstreams."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from nginx.render import Proxy, render
from tests.services.ports import free_port
from tests.services.process import Service, eventually
from tests.services.programs import path_of
from tests.services.secrets import secrets_of_the_run
from tests.services.tls import certificate


class Nginx(Service):
    """Upstreams are `host:port` or `unix:/path`. They need not be there yet: nginx starts without them.

    With `tls` it speaks TLS with the run's certificate, and plain HTTP on `plain_url` leads there. Other options are
    those of `nginx.render.Proxy`.
    """

    name = "nginx"
    death_signal = "TERM"  # the master must tell its workers; killed, it would leave them behind

    def __init__(self, upstreams: Sequence[str], *, tls: bool = False, **options: Any) -> None:
        super().__init__()
        self._tls = tls
        self._plain_port = free_port() if tls else 0
        if tls:
            chain, key = certificate()
            options |= {"tls_certificate": str(chain), "tls_key": str(key), "redirect": self._plain_host}
        self._proxy = Proxy(
            listen="127.0.0.1:1",
            upstreams=upstreams,
            prefix=str(self.folder),
            user="root" if os.geteuid() == 0 else None,  # root's workers may not enter root's temporary folder else
            **{"worker_connections": 1024, **options},
        )

    @property
    def host(self) -> str:
        """`host:port`, for URLs and for DROPCAST_PUBLIC_ORIGINS."""
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """`http://host:port`, or `https`."""
        return f"http{'s' if self._tls else ''}://{self.host}"

    @property
    def plain_url(self) -> str:
        """Where who comes without TLS is sent to it."""
        return f"http://{self._plain_host}"

    @property
    def _plain_host(self) -> str:
        return f"127.0.0.1:{self._plain_port}"

    def ws_url(self, stream: str) -> str:
        """A stream's socket."""
        return f"ws{'s' if self._tls else ''}://{self.host}/ws/{stream}"

    def command(self) -> Sequence[str]:
        configuration = self.folder / "nginx.conf"
        proxy = replace(self._proxy, listen=self.host, https_port=self.port)
        configuration.write_text(render(proxy), encoding="utf-8")
        return [path_of("nginx"), "-p", str(self.folder), "-c", str(configuration), "-e", "stderr"]

    def is_ready(self) -> bool:
        # The pid file is written after the port was bound, so it is this nginx that answers.
        pid_file = self.folder / "nginx.pid"
        if not (pid_file.exists() and self.running and pid_file.read_text().strip() == str(self.pid)):
            return False
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except OSError:
            return False
        return True

    def remove(self) -> None:
        """Stops nginx and removes its folder; its logs are looked through for secrets at the end of the run."""
        access = self.folder / "access.log"
        secrets_of_the_run.keep(self.name, self.log_text() + (access.read_text() if access.exists() else ""))
        super().remove()

    def access_log(self, *, lines: int, within_s: float = 5.0) -> list[dict[str, Any]]:
        """At least `lines` entries of the access log; nginx writes one a moment after the answer went out."""
        log = self.folder / "access.log"
        if not eventually(lambda: log.read_text().count("\n") >= lines, within_s=within_s):
            raise AssertionError(f"fewer than {lines} lines in the access log:\n{log.read_text()}")
        return [json.loads(line) for line in log.read_text().splitlines()]

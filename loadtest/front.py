"""nginx before the replicas of a measurement: the shipped configuration, or a plain TCP proxy to compare it with."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from loadtest.certificate import certify
from loadtest.errors import CannotGoOn
from loadtest.peers import tcp_proxy
from nginx.limits import Limits
from nginx.render import Proxy, render

KINDS = ("http", "tls", "tcp", "tcp_tls")
"""The shipped configuration without and with TLS; nginx's `stream` proxy without and with it."""


@dataclass(frozen=True, kw_only=True)
class Front:
    """What stands in front. `unix` replicas listen on Unix sockets. `changes` are "old=new" in the configuration."""

    kind: str = "http"
    unix: bool = False
    workers: str = "1"
    stream_module: str | None = None
    changes: Sequence[str] = ()

    @property
    def tls(self) -> bool:
        """Whether viewers speak TLS."""
        return self.kind.endswith("tls")

    def write(self, folder: Path, port: int, upstreams: Sequence[str]) -> tuple[Path, Path | None]:
        """The configuration's file, and that of a certificate to trust. Raises `CannotGoOn` for a change of nothing."""
        certificate, key = certify(folder) if self.tls else (None, None)
        proxy = Proxy(
            listen=f"127.0.0.1:{port}",
            upstreams=upstreams,
            prefix=str(folder),
            user="root" if os.geteuid() == 0 else None,  # root's workers may not enter root's temporary folder else
            workers=self.workers,
            tls_certificate=str(certificate) if certificate else None,
            tls_key=str(key) if key else None,
            limits=Limits(sockets=0, joins_per_s=0, requests_per_s=0, requests_at_once=0),
        )
        text = tcp_proxy.render(proxy, self.stream_module) if self.kind.startswith("tcp") else render(proxy)
        for change in self.changes:
            old, _, new = change.partition("=")
            if text.count(old) != 1 or not old:
                raise CannotGoOn(
                    f"--front-change {change!r}: {old!r} stands {text.count(old)} times in the configuration"
                )
            text = text.replace(old, new)
        file = folder / "nginx.conf"
        file.write_text(text, "utf-8")
        return file, certificate

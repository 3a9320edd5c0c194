"""Fills in the templates: `python -m nginx render --listen … --upstream … > nginx.conf`."""

from __future__ import annotations

import string
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import resources

from nginx import checks
from nginx.limits import Limits

PORTS_PER_UPSTREAM = 60_999 - 32_768 + 1
"""Connections one machine can open to one TCP address with Linux's default `ip_local_port_range`."""

FILES_BESIDE_CONNECTIONS = 512
"""Files a worker needs besides its connections: logs, listening sockets, the cache, bodies kept on disk."""

HTTPS = 443

_ASK_EVERY_S = 5  # a replica that leaves is forgotten before its drain is over

_SESSIONS_PER_MB = 4_000  # ssl_session_cache, nginx's documentation
_SESSIONS_PER_HANDSHAKE = 2  # what OpenSSL sends with TLS 1.3
_CIPHERS = ":".join(
    f"ECDHE-{kind}-{cipher}"
    for cipher in ("AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305")
    for kind in ("ECDSA", "RSA")
)


@dataclass(frozen=True, kw_only=True)
class Proxy:
    """One nginx. Addresses are `host:port`, `[v6]:port` or `unix:/path`; every field is checked by `render`.

    With a `prefix` (an absolute folder that exists) every path is written out below it; without one, paths are
    relative to the folder nginx is started with (`-p`). `operators` are the networks that may ask /metrics,
    /livez and /readyz through the proxy. `user` is whom root's workers become; leave it out for anybody else.

    With a `resolver` (a name server) the upstreams are names that stand for any number of replicas, asked for again
    every five seconds; that takes nginx 1.27.3 or newer.

    TLS takes both `tls_certificate` (with its chain) and `tls_key`, absolute paths. `redirect` is a second, plain
    address that sends everybody to `https_port`. `behind` are the networks of another proxy in front, whose
    `X-Forwarded-For` and `-Proto` count.
    """

    listen: str
    upstreams: Sequence[str]
    resolver: str | None = None
    server_name: str = "_"
    tls_certificate: str | None = None
    tls_key: str | None = None
    tls_cache_mb: int = 16
    redirect: str | None = None
    https_port: int = HTTPS
    behind: Sequence[str] = ()
    limits: Limits = field(default_factory=Limits)
    prefix: str | None = None
    pid: str | None = None
    access_log: str | None = None
    error_log: str | None = None
    user: str | None = None
    operators: Sequence[str] = ()
    workers: str = "auto"
    worker_connections: int = 16_384
    open_files: int | None = None
    worker_shutdown_s: int = 30
    body_max: str = "8m"


class _Template(string.Template):
    """`%{name}`, because `$name` is nginx's own; a bare `%` is an error, so nothing stays unfilled by mistake."""

    delimiter = "%"


def render(proxy: Proxy) -> str:
    """The configuration's text. Raises `ValueError`, naming the value, for anything nginx could read otherwise."""
    if not proxy.upstreams:
        raise ValueError("no upstream: give at least one --upstream host:port or unix:/path")
    upstreams = [checks.address(upstream) for upstream in proxy.upstreams]
    if len(set(upstreams)) != len(upstreams):
        raise ValueError("the same upstream twice: each replica has one address")
    files = proxy.open_files or proxy.worker_connections + FILES_BESIDE_CONNECTIONS
    prefix = f"{checks.path(proxy.prefix).rstrip('/')}/" if proxy.prefix else ""
    server_name = checks.matched(checks.SERVER_NAME, proxy.server_name, "server name")
    tls = _tls(proxy)
    return _filled(
        "dropcast.conf.template",
        listen=checks.address(proxy.listen, wildcard=True),
        listen_tls=_listen_tls(proxy) if tls else "",
        server_name=server_name,
        tls=tls,
        redirect=_redirect(proxy, server_name),
        behind=_behind(proxy.behind),
        proto="$forwarded_proto" if proxy.behind else "$scheme",
        zones=proxy.limits.zones(),
        limit_requests=proxy.limits.of_requests(),
        limit_files=proxy.limits.of_files(),
        limit_sockets=proxy.limits.of_sockets(),
        upstreams=_servers(upstreams, proxy.resolver),
        ports_arithmetic=_ports_arithmetic(upstreams, proxy.resolver),
        prefix=prefix,
        pid=checks.path(proxy.pid) if proxy.pid else f"{prefix}nginx.pid",
        access_log=checks.path(proxy.access_log) if proxy.access_log else f"{prefix}access.log",
        error_log=checks.path(proxy.error_log) if proxy.error_log else f"{prefix}error.log",
        user=f"user {checks.matched(checks.USER, proxy.user, 'user')};\n" if proxy.user else "",
        operators="\n".join(f"            allow {checks.network(allowed)};" for allowed in proxy.operators),
        workers=checks.matched(checks.WORKERS, proxy.workers, "number of workers"),
        worker_connections=checks.positive(proxy.worker_connections, "worker connections"),
        viewers_per_worker=proxy.worker_connections // 2,
        open_files=checks.positive(files, "open files"),
        worker_shutdown_s=checks.positive(proxy.worker_shutdown_s, "worker shutdown seconds"),
        body_max=checks.matched(checks.SIZE, proxy.body_max, "size"),
    )


def _listen_tls(proxy: Proxy) -> str:
    # Since 1.25.1 nginx wants `http2 on` and warns of the older word, which is all that Debian 12's 1.22 knows.
    # Who follows names has a newer one for sure.
    return " ssl http2" if proxy.resolver is None else " ssl"


def _tls(proxy: Proxy) -> str:
    if not proxy.tls_certificate and not proxy.tls_key:
        return ""
    if not proxy.tls_certificate or not proxy.tls_key:
        raise ValueError("TLS takes both a certificate and its key: --tls-certificate and --tls-key")
    if proxy.behind:
        raise ValueError(
            "--behind is for TLS that ends at the proxy in front: leave --tls-certificate and --tls-key out"
        )
    cache_mb = checks.positive(proxy.tls_cache_mb, "megabytes of TLS sessions")
    sessions = cache_mb * _SESSIONS_PER_MB
    return _filled(
        "tls.template",
        http2="" if proxy.resolver is None else "        http2 on;\n\n",
        certificate=checks.absolute(proxy.tls_certificate, "certificate"),
        key=checks.absolute(proxy.tls_key, "key"),
        ciphers=_CIPHERS,
        cache_mb=cache_mb,
        sessions=f"{cache_mb} MB x {_SESSIONS_PER_MB:,} = {sessions:,} sessions, {_SESSIONS_PER_HANDSHAKE} a handshake:"
        f" the last {sessions // _SESSIONS_PER_HANDSHAKE:,} who came",
    )


def _redirect(proxy: Proxy, server_name: str) -> str:
    if not proxy.redirect:
        return ""
    if not proxy.tls_certificate:
        raise ValueError("--redirect leads to TLS: give --tls-certificate and --tls-key as well")
    listen = checks.address(proxy.redirect, wildcard=True)
    if listen == proxy.listen:
        raise ValueError(f"--redirect {listen} is where --listen listens: give it the plain port, for example *:80")
    port = "" if checks.port(proxy.https_port) == HTTPS else f":{proxy.https_port}"
    return _filled("redirect.template", listen=listen, server_name=server_name, port=port)


def _behind(networks: Sequence[str]) -> str:
    if not networks:
        return ""
    proxies = [checks.network(one) for one in networks]
    return _filled(
        "behind.template",
        **{"from": "\n".join(f"    set_real_ip_from {one};" for one in proxies)},
        trusted="\n".join(f"        {one} 1;" for one in proxies),
    )


def _filled(template: str, **values: object) -> str:
    text = resources.files("nginx").joinpath(template).read_text(encoding="utf-8")
    return _Template(text).substitute(**values)


def _servers(upstreams: Sequence[str], resolver: str | None) -> str:
    if resolver is None:
        return "\n".join(f"        server {upstream} max_fails=0;" for upstream in upstreams)
    for upstream in upstreams:
        if upstream.startswith("unix:"):
            raise ValueError(f"--resolver asks for names, and {upstream} is a file: give name:port, or leave it out")
    asked = [f"        server {upstream} resolve max_fails=0;" for upstream in upstreams]
    return "\n".join([f"        resolver {checks.resolver(resolver)} valid={_ASK_EVERY_S}s;", *asked])


def _ports_arithmetic(upstreams: Sequence[str], resolver: str | None) -> str:
    if resolver is not None:
        return f"{PORTS_PER_UPSTREAM:,} viewers a replica"
    over_tcp = sum(not upstream.startswith("unix:") for upstream in upstreams)
    product = f"{over_tcp} x {PORTS_PER_UPSTREAM:,} = {over_tcp * PORTS_PER_UPSTREAM:,} viewers"
    return product if over_tcp == len(upstreams) else f"{product} over TCP; unix sockets need no ports"

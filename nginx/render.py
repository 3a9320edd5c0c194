"""Fills in the template: `python -m nginx render --listen … --upstream … > nginx.conf`."""

from __future__ import annotations

import argparse
import re
import string
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import resources
from ipaddress import IPv6Address, ip_address, ip_network

PORTS_PER_UPSTREAM = 60_999 - 32_768 + 1
"""Connections one machine can open to one TCP address with Linux's default `ip_local_port_range`."""

FILES_BESIDE_CONNECTIONS = 512
"""Files a worker needs besides its connections: logs, listening sockets, bodies kept on disk."""

_HOST = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})*")
_PATH = re.compile(r"[A-Za-z0-9._/@+~-]+")
_SERVER_NAME = re.compile(r"_|(?:\*\.)?[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})*")
_USER = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_WORKERS = re.compile(r"auto|[1-9][0-9]{0,3}")
_SIZE = re.compile(r"[1-9][0-9]*[km]?")

_TLS = """
        ssl_certificate {};
        ssl_certificate_key {};
        ssl_protocols TLSv1.2 TLSv1.3;
        ssl_session_cache shared:tls:10m;  # 40,000 viewers come back without a whole handshake
        ssl_session_timeout 1h;
        ssl_session_tickets off;"""

_REDIRECT = """
    server {{
        listen {};
        return 308 https://$host$request_uri;
    }}"""


@dataclass(frozen=True, kw_only=True)
class Proxy:
    """One nginx. Addresses are `host:port`, `[v6]:port` or `unix:/path`; every field is checked by `render`.

    With a `prefix` (an absolute folder that exists) every path is written out below it; without one, paths are
    relative to the folder nginx is started with (`-p`). `operators` are the networks that may ask /metrics,
    /livez and /readyz through the proxy. `user` is whom root's workers become; leave it out for anybody else.
    With a `resolver` the upstreams are names that stand for any number of replicas, asked for again every five
    seconds (nginx 1.27.3 and newer). `certificate` and `key` are files of PEM: TLS; `redirect` is then an address at
    which plain HTTP is sent there.
    """

    listen: str
    upstreams: Sequence[str]
    server_name: str = "_"
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
    resolver: str | None = None
    certificate: str | None = None
    key: str | None = None
    redirect: str | None = None


class _Template(string.Template):
    """`%{name}`, because `$name` is nginx's own; a bare `%` is an error, so nothing stays unfilled by mistake."""

    delimiter = "%"


def render(proxy: Proxy) -> str:
    """The configuration's text. Raises `ValueError`, naming the value, for anything nginx could read otherwise."""
    if not proxy.upstreams:
        raise ValueError("no upstream: give at least one --upstream host:port or unix:/path")
    upstreams = [address(upstream) for upstream in proxy.upstreams]
    if len(set(upstreams)) != len(upstreams):
        raise ValueError("the same upstream twice: each replica has one address")
    if (proxy.certificate is None) != (proxy.key is None) or (proxy.redirect and not proxy.certificate):
        raise ValueError("TLS needs both a certificate and its key, and a redirect needs TLS")
    files = proxy.open_files or proxy.worker_connections + FILES_BESIDE_CONNECTIONS
    prefix = f"{_path(proxy.prefix).rstrip('/')}/" if proxy.prefix else ""
    return _Template(_text()).substitute(
        listen=address(proxy.listen, wildcard=True),
        server_name=_matched(_SERVER_NAME, proxy.server_name, "server name"),
        upstreams=_servers(upstreams, proxy.resolver),
        ports_arithmetic=_ports_arithmetic(upstreams, proxy.resolver),
        ssl=" ssl" if proxy.certificate else "",
        certificate=_certificate(proxy.certificate, proxy.key) if proxy.certificate and proxy.key else "",
        redirect=_REDIRECT.format(address(proxy.redirect, wildcard=True)) if proxy.redirect else "",
        prefix=prefix,
        pid=_path(proxy.pid) if proxy.pid else f"{prefix}nginx.pid",
        access_log=_path(proxy.access_log) if proxy.access_log else f"{prefix}access.log",
        error_log=_path(proxy.error_log) if proxy.error_log else f"{prefix}error.log",
        user=f"user {_matched(_USER, proxy.user, 'user')};\n" if proxy.user else "",
        operators="\n".join(f"            allow {network(allowed)};" for allowed in proxy.operators),
        workers=_matched(_WORKERS, proxy.workers, "number of workers"),
        worker_connections=_positive(proxy.worker_connections, "worker connections"),
        viewers_per_worker=proxy.worker_connections // 2,
        open_files=_positive(files, "open files"),
        worker_shutdown_s=_positive(proxy.worker_shutdown_s, "worker shutdown seconds"),
        body_max=_matched(_SIZE, proxy.body_max, "size"),
    )


def address(text: str, *, wildcard: bool = False) -> str:
    """`text`, when it is an address nginx reads the way we do. Raises `ValueError`. `wildcard` allows `*:port`."""
    if text.startswith("unix:"):
        path = text.removeprefix("unix:")
        if path.startswith("/") and _PATH.fullmatch(path):
            return text
    else:
        host, _, port = text.rpartition(":")
        if re.fullmatch(r"[0-9]{1,5}", port) and 1 <= int(port) <= 65_535 and _is_host(host, wildcard=wildcard):
            return text
    raise ValueError(f"bad address {text!r}: host:port, [v6]:port or unix:/path, without spaces")


def network(text: str) -> str:
    """`text`, when it is a network such as 10.0.0.0/8. Raises `ValueError`."""
    try:
        return str(ip_network(text))
    except ValueError:
        raise ValueError(f"bad network {text!r}: for example 10.0.0.0/8") from None


def main(arguments: Sequence[str] | None = None) -> int:
    """The command. Bad arguments: one line on stderr and exit status 2."""
    parser = _parser()
    given = vars(parser.parse_args(arguments))
    del given["command"]
    try:
        sys.stdout.write(render(Proxy(**given)))
    except ValueError as error:
        parser.error(str(error))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m nginx", description="nginx in front of Dropcast")
    command = parser.add_subparsers(dest="command", required=True).add_parser(
        "render", help="write the configuration to standard output"
    )
    add: Callable[..., argparse.Action] = command.add_argument
    add("--listen", required=True, metavar="ADDRESS", help="host:port, *:port or unix:/path")
    add("--upstream", dest="upstreams", action="append", default=[], metavar="ADDRESS", help="a replica; repeat it")
    add("--resolver", metavar="DNS", help="ask it for the upstreams' addresses again and again")
    add("--certificate", metavar="FILE", help="PEM; with it --listen speaks TLS")
    add("--key", metavar="FILE")
    add("--redirect", metavar="ADDRESS", help="plain HTTP that is sent to TLS")
    add("--server-name", default=Proxy.server_name)
    add("--prefix", metavar="FOLDER", help="absolute folder of pid, logs and temporary files (default: nginx -p)")
    add("--pid", metavar="FILE")
    add("--access-log", metavar="FILE")
    add("--error-log", metavar="FILE")
    add("--user", help="whom root's workers become")
    add("--operators", action="append", default=[], metavar="NETWORK", help="may ask /metrics; repeat it")
    add("--workers", default=Proxy.workers, help="number of workers, or auto")
    add("--worker-connections", type=int, default=Proxy.worker_connections, help="two per viewer")
    add("--open-files", type=int, help=f"per worker (default: connections + {FILES_BESIDE_CONNECTIONS})")
    add("--worker-shutdown-s", type=int, default=Proxy.worker_shutdown_s, help="after a reload, cut sockets then")
    add("--body-max", default=Proxy.body_max, help="largest request body, for example 8m")
    return parser


def _text() -> str:
    return resources.files("nginx").joinpath("dropcast.conf.template").read_text(encoding="utf-8")


def _servers(upstreams: Sequence[str], resolver: str | None) -> str:
    if resolver is None:
        return "\n".join(f"        server {upstream} max_fails=0;" for upstream in upstreams)
    if not _is_host(resolver, wildcard=False):
        address(resolver)  # with a port of its own
    asked = [f"        server {upstream} resolve max_fails=0;" for upstream in upstreams]
    return "\n".join([f"        resolver {resolver} valid=5s;", *asked])


def _certificate(certificate: str, key: str) -> str:
    return _TLS.format(_path(certificate), _path(key))


def _ports_arithmetic(upstreams: Sequence[str], resolver: str | None) -> str:
    if resolver is not None:
        return f"{PORTS_PER_UPSTREAM:,} viewers a replica"
    over_tcp = sum(not upstream.startswith("unix:") for upstream in upstreams)
    product = f"{over_tcp} x {PORTS_PER_UPSTREAM:,} = {over_tcp * PORTS_PER_UPSTREAM:,} viewers"
    return product if over_tcp == len(upstreams) else f"{product} over TCP; unix sockets need no ports"


def _is_host(host: str, *, wildcard: bool) -> bool:
    if wildcard and host == "*":
        return True
    if host.startswith("[") and host.endswith("]"):
        try:
            return isinstance(ip_address(host[1:-1]), IPv6Address) and "%" not in host
        except ValueError:
            return False
    return _HOST.fullmatch(host) is not None


def _path(text: str) -> str:
    return _matched(_PATH, text, "path")


def _matched(pattern: re.Pattern[str], text: str, what: str) -> str:
    if not pattern.fullmatch(text):
        raise ValueError(f"bad {what} {text!r}")
    return text


def _positive(number: int, what: str) -> int:
    if number < 1:
        raise ValueError(f"{what} must be at least 1, not {number}")
    return number

"""The command line of `python -m nginx render`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import fields

from nginx.limits import BURST_S, Limits
from nginx.render import FILES_BESIDE_CONNECTIONS, Proxy, render


def main(arguments: Sequence[str] | None = None) -> int:
    """The command. Bad arguments: one line on stderr and exit status 2."""
    parser = _parser()
    given = vars(parser.parse_args(arguments))
    del given["command"]
    limits = Limits(**{limit.name: given.pop(limit.name) for limit in fields(Limits)})
    try:
        sys.stdout.write(render(Proxy(**given, limits=limits)))
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
    add("--resolver", metavar="DNS", help="asked every 5 s which replicas stand behind each --upstream NAME:PORT")
    add("--server-name", default=Proxy.server_name)
    _add_tls(command.add_argument_group("TLS"))
    _add_limits(command.add_argument_group("limits of one network (/24 of IPv4, /56 of IPv6); 0: none"))
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


def _add_tls(group: argparse._ArgumentGroup) -> None:
    add: Callable[..., argparse.Action] = group.add_argument
    add("--tls-certificate", metavar="FILE", help="PEM, with its chain; absolute path")
    add("--tls-key", metavar="FILE", help="PEM; absolute path")
    add("--tls-cache-mb", type=int, default=Proxy.tls_cache_mb, help="sessions that may be resumed (%(default)s)")
    add("--redirect", metavar="ADDRESS", help="a plain address that sends everybody to TLS, for example *:80")
    add("--https-port", type=int, default=Proxy.https_port, help="where it sends them (%(default)s)")
    add("--behind", action="append", default=[], metavar="NETWORK", help="of a proxy in front, believed; repeat it")


def _add_limits(group: argparse._ArgumentGroup) -> None:
    add: Callable[..., argparse.Action] = group.add_argument
    number = {"type": int, "metavar": "N"}
    add("--sockets", **number, default=Limits.sockets, help="open at once (%(default)s)")
    add("--joins-per-s", **number, default=Limits.joins_per_s, help="new sockets (%(default)s)")
    add(
        "--requests-per-s",
        **number,
        default=Limits.requests_per_s,
        help=f"calls; {BURST_S} times at once (%(default)s)",
    )
    add("--requests-at-once", **number, default=Limits.requests_at_once, help="not yet answered (%(default)s)")

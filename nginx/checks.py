"""Whether nginx would read a value the way we do. Everything here raises `ValueError`, naming the value."""

from __future__ import annotations

import re
from ipaddress import IPv6Address, ip_address, ip_network

SERVER_NAME = re.compile(r"_|(?:\*\.)?[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})*")
USER = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
WORKERS = re.compile(r"auto|[1-9][0-9]{0,3}")
SIZE = re.compile(r"[1-9][0-9]*[km]?")

_HOST = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})*")
_PATH = re.compile(r"[A-Za-z0-9._/@+~-]+")


def address(text: str, *, wildcard: bool = False) -> str:
    """`text`, when it is an address nginx reads the way we do. `wildcard` allows `*:port`."""
    if text.startswith("unix:"):
        where = text.removeprefix("unix:")
        if where.startswith("/") and _PATH.fullmatch(where):
            return text
    else:
        host, _, number = text.rpartition(":")
        if _is_port(number) and _is_host(host, wildcard=wildcard):
            return text
    raise ValueError(f"bad address {text!r}: host:port, [v6]:port or unix:/path, without spaces")


def resolver(text: str) -> str:
    """`text`, when it is a name server: a host, with a port or without."""
    return text if _is_host(text, wildcard=False) else address(text)


def network(text: str) -> str:
    """`text`, when it is a network such as 10.0.0.0/8."""
    try:
        return str(ip_network(text))
    except ValueError:
        raise ValueError(f"bad network {text!r}: for example 10.0.0.0/8") from None


def path(text: str) -> str:
    """A file or folder without spaces or anything that means something to nginx."""
    return matched(_PATH, text, "path")


def absolute(text: str, what: str) -> str:
    """A path that means the same wherever nginx is started."""
    if not text.startswith("/"):
        raise ValueError(f"bad {what} {text!r}: give the whole path, from / on")
    return path(text)


def port(number: int) -> int:
    """A TCP port."""
    if not 1 <= number <= 65_535:
        raise ValueError(f"bad port {number}: 1..65535")
    return number


def matched(pattern: re.Pattern[str], text: str, what: str) -> str:
    """`text`, when the pattern fits the whole of it."""
    if not pattern.fullmatch(text):
        raise ValueError(f"bad {what} {text!r}")
    return text


def positive(number: int, what: str) -> int:
    """At least 1."""
    return at_least(1, number, what)


def at_least(least: int, number: int, what: str) -> int:
    """A number that is not too small."""
    if number < least:
        raise ValueError(f"{what} must be at least {least}, not {number}")
    return number


def _is_port(text: str) -> bool:
    return re.fullmatch(r"[0-9]{1,5}", text) is not None and 1 <= int(text) <= 65_535


def _is_host(host: str, *, wildcard: bool) -> bool:
    if wildcard and host == "*":
        return True
    if host.startswith("[") and host.endswith("]"):
        try:
            return isinstance(ip_address(host[1:-1]), IPv6Address) and "%" not in host
        except ValueError:
            return False
    return _HOST.fullmatch(host) is not None

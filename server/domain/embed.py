"""Which other sites may show a stream: exact origins, as browsers write them."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from urllib.parse import urlsplit

from server.domain.errors import Reason, Refused

EMBED_ORIGINS_MAX = 20
"""Origins that may embed one stream."""

ORIGIN_MAX = 270
"""Characters of an origin: the longest host name, its scheme and a port fit."""

_HOST = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)(?:\.(?!-)[a-z0-9-]{1,63}(?<!-))*")
_HOST_MAX = 253
_DEFAULT_PORTS = {"https": 443, "http": 80}


def is_origin(text: str) -> bool:
    """Whether a text is an origin that may be allowed at all: the exact bytes of a browser's `Origin` header."""
    return len(text) <= ORIGIN_MAX and text == _as_browsers_say(text)


def checked(origins: Sequence[str], *, field: str) -> tuple[str, ...]:
    """The origins of a list, each once, in order. Raises `Refused` that names the first bad one and a right one.

    `field` is what the list is called where it was sent.
    """
    for origin in origins:
        if not is_origin(origin):
            said = f"{origin[:ORIGIN_MAX]!r} is not an origin that can embed: {_what_is_wrong(origin)}"
            raise Refused(Reason.BAD_REQUEST, said, field=field)
    once = tuple(sorted(set(origins)))
    if len(once) > EMBED_ORIGINS_MAX:
        said = f"{len(once)} origins are too many: at most {EMBED_ORIGINS_MAX} may embed a stream"
        raise Refused(Reason.BAD_REQUEST, said, field=field)
    return once


def _as_browsers_say(text: str) -> str | None:
    """The origin of an address as a browser would send it (RFC 6454, 6.2); None when it has none that may embed."""
    try:
        parts = urlsplit(text)
        scheme, host, port = parts.scheme, parts.hostname, parts.port
    except ValueError:
        return None
    if scheme not in _DEFAULT_PORTS or not host or port == 0 or parts.username is not None:
        return None
    if scheme == "http" and not _is_this_machine(host):
        return None
    if ":" in host:
        try:
            host = f"[{ipaddress.IPv6Address(host).compressed}]"
        except ValueError:
            return None
    elif len(host) > _HOST_MAX or not _HOST.fullmatch(host):
        return None
    return f"{scheme}://{host}" + (f":{port}" if port not in (None, _DEFAULT_PORTS[scheme]) else "")


def _is_this_machine(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _what_is_wrong(text: str) -> str:
    meant = _as_browsers_say(text.strip())
    if meant is not None:
        return f"write {meant}"
    if text.lower().startswith("http://"):
        return "http is for trying out on localhost; another site needs https, such as https://partner.example"
    if "*" in text:
        return "there are no wildcards, name each origin, such as https://partner.example"
    return (
        "write scheme, host and, if it is not the usual one, port, such as https://partner.example"
        " (a name that is not ASCII as browsers send it: xn--…)"
    )

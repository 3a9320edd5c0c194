"""How much may come from one network: the zones that count, and the lines that refuse."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from nginx import checks

CONNECTIONS_MAX = 65_535
"""nginx counts connections in 16 bits and does not start with a higher limit."""

BURST_S = 40
"""A network may ask as much at once as it may in so many seconds: a school opens the page together."""

_CONN_ZONE_MB, _REQ_ZONE_MB = 8, 16  # 64 and 128 bytes a network: 131,072 of them


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Most of what one network (/24 of IPv4, /56 of IPv6) may do; 0 switches a limit off.

    A network may be a home, a campus or a carrier that shows thousands as one address, so these are a crowd's numbers,
    and those for sockets are the server's own (`DROPCAST_SOCKETS_PER_NETWORK`), which counts for each replica.
    """

    sockets: int = 40_000
    joins_per_s: int = 400
    """Upgrades; as many as `sockets` may come at once."""

    requests_per_s: int = 500
    """Pages and calls; `BURST_S` times as many may come at once. Files of a version are not counted."""

    requests_at_once: int = 2_000
    """Requests that wait for their answer, files among them."""

    def zones(self) -> str:
        """What counts, for `http`."""
        lines = [
            *self._conn_zone("sockets", self.sockets),
            *self._req_zone("joins", self.joins_per_s),
            *self._req_zone("calls", self.requests_per_s),
            *self._conn_zone("at_once", self.requests_at_once),
        ]
        if not lines:
            return ""
        why = "    # 131,072 networks fit. One more: limit_req forgets who was quiet longest, limit_conn refuses.\n"
        return why + "".join(lines) + "    limit_conn_status 429;\n    limit_req_status 429;\n"

    def of_sockets(self) -> str:
        """The lines for `/ws/`."""
        burst = max(self.sockets, BURST_S * self.joins_per_s)
        return _lines(_conn("sockets", self.sockets), _req("joins", self.joins_per_s, burst))

    def of_requests(self) -> str:
        """The lines for pages and calls."""
        calls = _req("calls", self.requests_per_s, BURST_S * self.requests_per_s)
        return _lines(_conn("at_once", self.requests_at_once), calls)

    def of_files(self) -> str:
        """The lines for files that nginx keeps."""
        return _lines(_conn("at_once", self.requests_at_once))

    def _conn_zone(self, name: str, limit: int) -> Iterator[str]:
        if limit > CONNECTIONS_MAX:
            raise ValueError(f"the limit of {name} must be at most {CONNECTIONS_MAX}, or 0 for none, not {limit}")
        if checks.at_least(0, limit, f"the limit of {name}"):
            yield f"    limit_conn_zone $network zone={name}:{_CONN_ZONE_MB}m;\n"

    def _req_zone(self, name: str, rate: int) -> Iterator[str]:
        if checks.at_least(0, rate, f"the rate of {name}"):
            yield f"    limit_req_zone $network zone={name}:{_REQ_ZONE_MB}m rate={rate}r/s;\n"


def _conn(zone: str, limit: int) -> str:
    return f"limit_conn {zone} {limit};" if limit else ""


def _req(zone: str, rate: int, burst: int) -> str:
    return f"limit_req zone={zone} burst={burst} nodelay;" if rate else ""


def _lines(*directives: str) -> str:
    return "".join(f"            {directive}\n" for directive in directives if directive)

"""The errors of the house, split by what the caller does with them.

    DropcastError
    ├── Refused             tell the person, with a reason from `Reason`
    ├── ProtocolViolation   answer `fault`, then close the socket
    └── Unavailable         temporary: something below us does not answer; try later

Everything else that is raised is a bug: logged with its traceback, counted, answered with `internal`.
"""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Why something was refused; the words are part of the public contract (socket and HTTP)."""

    # receipts
    SOLD_OUT = "sold_out"
    DROP_CLOSED = "drop_closed"
    NOT_OPEN = "not_open"
    LIMIT_REACHED = "limit_reached"
    BAD_QUANTITY = "bad_quantity"
    UNKNOWN_DROP = "unknown_drop"
    LOGIN_REQUIRED = "login_required"
    CONFLICT = "conflict"
    BUSY = "busy"
    DRAINING = "draining"
    RATE_LIMITED = "rate_limited"
    INTERNAL = "internal"
    # HTTP only
    BAD_REQUEST = "bad_request"
    BAD_CREDENTIALS = "bad_credentials"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    NO_STOCK = "no_stock"
    TOO_LARGE = "too_large"

    @property
    def retry(self) -> bool:
        """Whether the very same request may succeed later without the person changing anything."""
        return self in _RETRY


_RETRY = frozenset({Reason.NOT_OPEN, Reason.BUSY, Reason.DRAINING, Reason.RATE_LIMITED, Reason.INTERNAL})


class DropcastError(Exception):
    """Root of every error this project raises on purpose."""


class Refused(DropcastError):
    """A person asked for something that is not to be had; `detail` is a sentence for them.

    `field` names the part of what they sent that is wrong; `retry_after_s` is when asking again makes sense.
    """

    def __init__(
        self, reason: Reason, detail: str, *, field: str | None = None, retry_after_s: int | None = None
    ) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
        self.field = field
        self.retry_after_s = retry_after_s


class ProtocolViolation(DropcastError):
    """A client broke the protocol: it gets `fault` with `detail`, then close `code`."""

    def __init__(self, detail: str, *, code: int, reason: str = "bad_frame") -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code
        self.reason = reason


class Unavailable(DropcastError):
    """The database or the bus does not answer in time; nothing is known to be lost."""

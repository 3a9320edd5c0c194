"""Everything that can go wrong, split by what the caller does.

DropcastError
├── Refused        the shop answered a call, or the socket's upgrade, with an error; `passing` says try later
├── Unreachable    nobody answered; what was asked may have happened all the same
├── BadAnswer      an answer that cannot be read: this client is too old for the shop, or it is no shop
├── Rejected       the order is not bought; `reason` says why, and asking again would not help
├── Unanswered     nobody knows yet whether the order is bought: ask again with the same `ref`
│   ├── TimedOut       the time the caller gave is over
│   └── ViewerChanged  the link came back as somebody else
└── LinkOver       the socket was closed with a code that means: do not come back
"""

from __future__ import annotations

from dropcast.frames import Receipt


class DropcastError(Exception):
    """Root of every error this package raises on purpose."""


class Refused(DropcastError):
    """The shop said no. `field` is the part of the body that is wrong; `retry_after_s` what it asked to wait."""

    def __init__(
        self,
        call: str,
        status: int,
        reason: str,
        detail: str = "",
        *,
        field: str | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(f"{call}: {status} {reason}{f': {detail}' if detail else ''}")
        self.status = status
        self.reason = reason
        self.detail = detail
        self.field = field
        self.retry_after_s = retry_after_s

    @property
    def passing(self) -> bool:
        """Whether the same call may succeed in a while: too many calls, or a server that is not well."""
        return self.status == 429 or self.status >= 500


class Unreachable(DropcastError):
    """Nobody answered in time."""


class BadAnswer(DropcastError):
    """The shop answered in another shape than agreed."""


class Rejected(DropcastError):
    """The order is not bought. A reason that may pass got its chances until the caller's time was over."""

    def __init__(self, receipt: Receipt) -> None:
        super().__init__(f"the order {receipt.ref} was rejected: {receipt.reason}")
        self.ref = receipt.ref
        self.reason = receipt.reason or ""
        self.receipt = receipt


class Unanswered(DropcastError):
    """The order `ref` may be bought or not. `order` with the same `ref` and wish tells, and never buys twice."""

    def __init__(self, ref: str, why: str, last: Receipt | None = None) -> None:
        said = f", last heard {last.reason}" if last is not None else ""
        super().__init__(f"{why}{said}: the order may be accepted; ask again with ref={ref!r}")
        self.ref = ref
        self.last = last


class TimedOut(Unanswered, TimeoutError):
    """No final receipt within the caller's time."""


class ViewerChanged(Unanswered):
    """The link is somebody else's now (a session ended, another one began): the order is not sent for them."""


class LinkOver(DropcastError):
    """The link is over. `fault` is what the shop said before it closed.

    `ref` is the order this ended the wait for, which may be accepted: look among `Shop.orders`, or ask again.
    """

    def __init__(self, code: int, fault: str = "", *, ref: str | None = None) -> None:
        meaning = _MEANINGS.get(code, "do not come back")
        super().__init__(f"closed with {code} ({meaning}){f': {fault}' if fault else ''}")
        self.code = code
        self.fault = fault
        self.ref = ref


_MEANINGS = {
    1000: "done",
    4500: "bad frame",
    4501: "not allowed",
    4503: "the stream is over",
    4504: "there is no such stream",
}

"""What can end a client's work, each told in one line.

LoadtestError
├── Refusal       the server said no to an HTTP call, with a reason
├── Gone          no server answered for too long
├── Over          the stream has ended, or the server told this client not to come back
└── CannotGoOn    what the scenario needs is missing or wrong; the message says what to do
"""

from __future__ import annotations


class LoadtestError(Exception):
    """Root of every error a scenario may end with; its text is the one line that is printed."""


class Refusal(LoadtestError):
    """An HTTP call was answered with an error. `retry_after_s` is what the server asked to wait, if it did."""

    def __init__(self, call: str, status: int, reason: str, detail: str, retry_after_s: float | None = None) -> None:
        super().__init__(f"{call}: {status} {reason}{f': {detail}' if detail else ''}")
        self.status = status
        self.reason = reason
        self.detail = detail
        self.retry_after_s = retry_after_s

    @property
    def passing(self) -> bool:
        """Whether the same call may succeed in a while: too many calls, or a server that is not well."""
        return self.status == 429 or self.status >= 500


class Gone(LoadtestError):
    """No server answered for too long."""


class Over(LoadtestError):
    """The socket was closed with a code that means: do not come back."""

    def __init__(self, code: int, detail: str) -> None:
        super().__init__(f"closed with {code}{f': {detail}' if detail else ''}")
        self.code = code


class CannotGoOn(LoadtestError):
    """Something the scenario needs is missing or wrong."""

"""What can end a scenario beside the client's own errors (`dropcast.DropcastError`), each told in one line.

LoadtestError
├── Gone          no server answered for too long
└── CannotGoOn    what the scenario needs is missing or wrong; the message says what to do
"""

from __future__ import annotations


class LoadtestError(Exception):
    """Root of every error a scenario may end with; its text is the one line that is printed."""


class Gone(LoadtestError):
    """No server answered for too long."""


class CannotGoOn(LoadtestError):
    """Something the scenario needs is missing or wrong."""

"""A mail server of our own that keeps what it receives, and can be away, or refuse."""

from __future__ import annotations

import asyncio
import email
import re
import threading
from email.message import EmailMessage
from email.policy import default
from typing import Any, Self

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import Envelope

from tests.services.ports import free_port


class Inbox:
    """`with Inbox() as inbox:` listens; `stop` and `start` again on the same port."""

    def __init__(self) -> None:
        self.port = free_port()
        self.answers: dict[str, str] = {}
        """What is said to RCPT TO of an address instead of 250."""
        self.received: list[EmailMessage] = []
        self._more = threading.Condition()
        self._controller: Controller | None = None

    @property
    def url(self) -> str:
        """For DROPCAST_SMTP_URL."""
        return f"smtp://127.0.0.1:{self.port}"

    def start(self) -> Self:
        self._controller = Controller(self, hostname="127.0.0.1", port=self.port, ready_timeout=10)
        self._controller.start()
        return self

    def stop(self) -> None:
        """Connections are refused from now on. Safe to repeat."""
        if self._controller is not None:
            self._controller.stop()
            self._controller = None

    def to(self, address: str) -> list[EmailMessage]:
        """What came for an address so far."""
        with self._more:
            return [message for message in self.received if message["To"] == address]

    async def mail(self, address: str, number: int = 1, *, within_s: float = 30) -> EmailMessage:
        """The mail of this number (the first is 1) for an address, once it is there."""

        def wait() -> bool:
            with self._more:
                return self._more.wait_for(
                    lambda: sum(message["To"] == address for message in self.received) >= number, within_s
                )

        assert await asyncio.to_thread(wait), f"no mail {number} for {address} in {within_s} s"
        return self.to(address)[number - 1]

    async def code(self, address: str, number: int = 1) -> str:
        """The code of that mail."""
        return code_of(await self.mail(address, number))

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    # What aiosmtpd calls

    async def handle_RCPT(self, _server: Any, _session: Any, envelope: Envelope, address: str, _options: Any) -> str:  # noqa: N802
        if address in self.answers:
            return self.answers[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Envelope) -> str:  # noqa: N802
        assert isinstance(envelope.content, bytes)
        message = email.message_from_bytes(envelope.content, policy=default)
        assert isinstance(message, EmailMessage)
        assert envelope.rcpt_tos == [message["To"]]
        with self._more:
            self.received.append(message)
            self._more.notify_all()
        return "250 OK"


def plain(message: EmailMessage) -> str:
    """The plain body."""
    body = message.get_body(("plain",))
    assert body is not None
    return str(body.get_content())


def html(message: EmailMessage) -> str:
    """The HTML body."""
    body = message.get_body(("html",))
    assert body is not None
    return str(body.get_content())


def code_of(message: EmailMessage) -> str:
    """The code, which stands in both bodies and not in the subject."""
    (code,) = re.findall(r"\b\d{6}\b", plain(message))
    assert f">{code}<" in html(message)
    assert code not in message["Subject"]
    return str(code)

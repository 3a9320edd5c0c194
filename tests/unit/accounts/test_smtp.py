"""How mails leave: a real SMTP server that takes, refuses and hangs up; and the outbox."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

import pytest

from server.accounts.smtp import NotTaken, Outbox, Smtp
from tests.services.ports import free_port
from tests.services.smtp import Inbox


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    with Inbox() as inbox:
        yield inbox


def letter(address: str, number: int = 1) -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "shop@shop.example", address, "Hello"
    message["Message-ID"] = f"<{number:03}@shop.example>"
    message.set_content("123456")
    return message


@pytest.mark.parametrize(
    ("url", "port", "tls", "start_tls"),
    [
        ("smtp://mail.example", 25, False, None),
        ("smtp://mail.example:587", 587, False, True),
        ("smtp://u:p%40ss@mail.example", 587, False, True),
        ("smtp://u:p@mail.example:25/", 25, False, True),
        ("smtps://u:p@mail.example", 465, True, False),
        ("smtp://127.0.0.1:25", 25, False, False),
        ("smtp://[::1]:2525", 2525, False, False),
        ("smtp://localhost", 25, False, False),
    ],
)
def test_a_url_says_how_safe_the_way_is(url: str, port: int, tls: bool, start_tls: bool | None) -> None:
    smtp = Smtp(url)
    assert (smtp._port, smtp._tls, smtp._start_tls) == (port, tls, start_tls)
    assert smtp._password in (None, "p", "p@ss")


async def test_several_mails_share_a_connection_and_a_refused_one_stops_no_other(inbox: Inbox) -> None:
    inbox.answers = {"gone@example.com": "550 no such user", "full@example.com": "452 mailbox full"}
    async with Smtp(inbox.url).trip() as send:
        await send(letter("ann@example.com"))
        for address, for_good in (("gone@example.com", True), ("full@example.com", False)):
            with pytest.raises(NotTaken) as refused:
                await send(letter(address))
            assert refused.value.for_good is for_good
            assert address not in str(refused.value)
        await send(letter("bob@example.com"))
    assert [message["To"] for message in inbox.received] == ["ann@example.com", "bob@example.com"]


async def test_a_server_that_is_away_is_tried_again() -> None:
    with pytest.raises(NotTaken) as refused:
        async with Smtp(f"smtp://127.0.0.1:{free_port()}").trip():
            pass
    assert not refused.value.for_good


async def test_nothing_is_said_to_a_server_that_cannot_be_safe(inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    smtp = Smtp(f"smtp://user:secret@127.0.0.1:{inbox.port}")
    monkeypatch.setattr(smtp, "_start_tls", True)  # as beyond the loopback
    with pytest.raises(NotTaken) as refused:
        async with smtp.trip():
            pass
    assert not refused.value.for_good
    assert "secret" not in str(refused.value)


async def test_a_server_that_refuses_everybody_refuses_no_mail_for_good() -> None:
    async def busy(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"554 go away\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(busy, "127.0.0.1", 0)
    async with server:
        with pytest.raises(NotTaken) as refused:
            async with Smtp(f"smtp://127.0.0.1:{server.sockets[0].getsockname()[1]}").trip():
                pass
    assert not refused.value.for_good


async def test_the_outbox_is_its_owners_and_keeps_the_newest(tmp_path: Path) -> None:
    folder = tmp_path / "var" / "outbox"
    async with Outbox(folder, most=2).trip() as send:
        for number in (1, 2, 3):
            await send(letter("ann@example.com", number))
    files = sorted(folder.iterdir())
    assert [file.name for file in files] == ["002.eml", "003.eml"]
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert b"123456" in files[0].read_bytes()


async def test_an_outbox_that_cannot_be_written_is_tried_again(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    async with Outbox(tmp_path / "file" / "outbox").trip() as send:
        with pytest.raises(NotTaken) as refused:
            await send(letter("ann@example.com"))
    assert not refused.value.for_good

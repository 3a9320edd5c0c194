"""The post: a mail is sent once, or again later, or given up and said so; it never stops."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from email.message import EmailMessage

import pytest

from server.accounts import post as post_module
from server.accounts.codes import Codes
from server.accounts.keep import MemoryKeep
from server.accounts.mail import Letters
from server.accounts.ports import SendMail
from server.accounts.post import Post
from server.accounts.smtp import NotTaken
from server.domain.errors import Reason, Refused, Unavailable
from server.domain.mail import Mail, Purpose
from tests.services.smtp import code_of

ANN, BOB = "ann@example.com", "bob@example.com"


class Book:
    """A mail book in memory: what is put off is due again when the test says so."""

    def __init__(self) -> None:
        self.due: list[Mail] = []
        self.expired: list[Mail] = []
        self.put_off: list[tuple[Mail, int]] = []
        self.gone: list[str] = []
        self.away = False
        self.full = False
        self.looked = asyncio.Event()
        self._claimed: dict[str, Mail] = {}

    async def add(self, purpose: Purpose, address: str, nonce: str, ttl_s: int) -> None:  # noqa: ARG002
        if self.full:
            raise Refused(Reason.BUSY, "too many")
        self.due.append(Mail(str(len(self.due) + len(self.gone)), purpose, address, nonce, 0))

    async def claim(self, most: int, lease_s: int) -> tuple[list[Mail], list[Mail]]:  # noqa: ARG002
        self.looked.set()
        if self.away:
            raise Unavailable("away")
        claimed = [Mail(m.id, m.purpose, m.address, m.nonce, m.tries + 1) for m in self.due[:most]]
        self.due, expired, self.expired = self.due[most:], self.expired, []
        self._claimed |= {mail.id: mail for mail in claimed}
        return claimed, expired

    async def done(self, mail_id: str) -> None:
        self.gone.append(mail_id)

    async def later(self, mail_id: str, wait_s: int) -> None:
        self.put_off.append((self._claimed[mail_id], wait_s))

    async def waiting(self) -> int:
        return len(self.due) + len(self.put_off)


class Carrier:
    """Takes mails, or not."""

    def __init__(self) -> None:
        self.taken: asyncio.Queue[EmailMessage] = asyncio.Queue(maxsize=100)
        self.trips = 0
        self.away: NotTaken | None = None
        self.refuses: dict[str, NotTaken] = {}
        self.hold: Callable[[], Awaitable[object]] | None = None

    @asynccontextmanager
    async def trip(self) -> AsyncIterator[SendMail]:
        self.trips += 1
        if self.away:
            raise self.away
        yield self._send

    async def _send(self, message: EmailMessage) -> None:
        if self.hold:
            await self.hold()
        if message["To"] in self.refuses:
            raise self.refuses[message["To"]]
        self.taken.put_nowait(message)


class Place:
    def __init__(self) -> None:
        self.book, self.carrier = Book(), Carrier()
        self.codes = Codes(MemoryKeep(), ("k" * 32,))
        letters = Letters("shop@shop.example", None)
        self.post = Post(self.book, self.codes, letters, self.carrier, look_every_s=0.01)

    async def looked_again(self) -> None:
        """A whole round went by."""
        for _ in range(2):
            self.book.looked.clear()
            await asyncio.wait_for(self.book.looked.wait(), 5)


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    place = Place()
    yield place
    await place.post.close()


async def taken(place: Place) -> EmailMessage:
    return await asyncio.wait_for(place.carrier.taken.get(), 5)


async def test_a_mail_is_sent_with_the_code_its_nonce_stands_for_and_forgotten(place: Place) -> None:
    nonce = await place.codes.issue(Purpose.REGISTER, ANN, ANN, "x")
    await place.post.send(Purpose.REGISTER, ANN, nonce)
    place.post.start()
    message = await taken(place)
    assert message["To"] == ANN
    assert code_of(message) == place.codes.code(Purpose.REGISTER, ANN, nonce)
    await place.looked_again()
    assert place.book.gone == ["0"]


async def test_many_mails_share_a_trip_and_a_mail_sent_later_wakes_it(place: Place) -> None:
    for _ in range(post_module.AT_ONCE):
        await place.post.send(Purpose.KNOWN, ANN)
    place.post._look_every_s = 3600
    place.post.start()
    for _ in range(post_module.AT_ONCE):
        await taken(place)
    assert place.carrier.trips == 1
    await place.post.send(Purpose.KNOWN, BOB)
    assert (await taken(place))["To"] == BOB


async def test_a_mail_that_is_not_taken_waits_longer_each_time(place: Place) -> None:
    place.carrier.away = NotTaken("no connection")
    for tries in range(8):
        place.book.due = [Mail(str(tries), Purpose.KNOWN, ANN, "", tries)]
        await place.post._round()
    assert [wait_s for _, wait_s in place.book.put_off] == [2, 4, 8, 16, 32, 60, 60, 60]


async def test_one_that_is_refused_for_good_is_given_up_and_the_others_are_sent(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    place.carrier.refuses = {ANN: NotTaken("SMTPRecipientsRefused 550", for_good=True), BOB: NotTaken("451")}
    for address in (ANN, BOB, "eve@example.com"):
        await place.post.send(Purpose.KNOWN, address)
    await place.post._round()
    assert place.book.gone == ["0", "2"]
    assert [mail.address for mail, _ in place.book.put_off] == [BOB]
    assert "given up" in caplog.text
    assert ANN not in caplog.text


async def test_an_expired_mail_and_one_without_its_key_are_given_up_with_a_word(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    place.book.expired = [Mail("9", Purpose.RESET, ANN, "x", 3)]
    await place.post.send(Purpose.RESET, ANN, "key-of-old.nonce")
    await place.post._round()
    assert place.book.gone == ["0"]
    assert place.carrier.taken.empty()
    assert [record.__dict__["why"] for record in caplog.records if "given up" in record.message] == [
        "nobody took it in time",
        "its secret key was removed",
    ]


async def test_a_server_that_hangs_is_left_before_the_lease_is_over(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(post_module, "LEASE_S", 0.02)
    place.carrier.hold = asyncio.Event().wait
    await place.post.send(Purpose.KNOWN, ANN)
    await place.post.send(Purpose.KNOWN, BOB)
    await asyncio.wait_for(place.post._round(), 5)
    assert [mail.address for mail, _ in place.book.put_off] == [ANN, BOB]


async def test_it_goes_on_while_the_database_is_away(place: Place) -> None:
    place.book.away = True
    place.post.start()
    await place.looked_again()
    place.book.away = False
    await place.post.send(Purpose.KNOWN, ANN)
    assert (await taken(place))["To"] == ANN


async def test_no_code_is_ever_logged(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    nonce = await place.codes.issue(Purpose.RESET, ANN, ANN, "x")
    await place.post.send(Purpose.RESET, ANN, nonce)
    place.carrier.refuses = {ANN: NotTaken("451")}
    await place.post._round()
    place.book.due = [mail for mail, _ in place.book.put_off]
    place.carrier.refuses = {}
    await place.post._round()
    code = code_of(await taken(place))
    said = " ".join(str(vars(record)) for record in caplog.records)
    assert "a mail was sent" in said
    assert code not in said
    assert ANN not in said


async def test_when_full_who_needs_a_code_is_refused_and_a_notice_is_only_logged(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    place.book.full = True
    with pytest.raises(Refused):
        await place.post.send(Purpose.REGISTER, ANN, "nonce")
    await place.post.tell(Purpose.MOVED, ANN)
    assert "could not be queued" in caplog.text

"""One contract over both databases: mails wait, are claimed by one replica at a time, come back, and expire."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import update

from server.domain.errors import Reason, Refused
from server.domain.mail import Purpose
from server.store.engine import Database, open_database
from server.store.mails import Mails
from server.store.tables import mails

ANN = "ann@example.com"


async def due_now(database: Database, **values: int) -> None:
    """As if the time had gone by."""
    async with database.transaction() as connection:
        await connection.execute(update(mails).values({"due_at": 1, **values}))


async def test_a_mail_waits_until_it_is_done(database: Database) -> None:
    book = Mails(database)
    assert await book.claim(10, 60) == ([], [])
    await book.add(Purpose.RESET, ANN, "nonce", 600)
    assert await book.waiting() == 1
    (mail,), expired = await book.claim(10, 60)
    assert expired == []
    assert (mail.purpose, mail.address, mail.nonce, mail.tries) == (Purpose.RESET, ANN, "nonce", 1)
    assert await book.claim(10, 60) == ([], [])  # leased
    await book.done(mail.id)
    assert await book.waiting() == 0


async def test_a_mail_put_off_comes_back_and_its_tries_are_counted(database: Database) -> None:
    book = Mails(database)
    await book.add(Purpose.KNOWN, ANN, "", 600)
    for tries in (1, 2, 3):
        (mail,), _ = await book.claim(10, 60)
        assert mail.tries == tries
        await book.later(mail.id, 0 if tries < 3 else 60)
    assert await book.claim(10, 60) == ([], [])


async def test_a_lease_that_is_over_gives_the_mail_to_another(database: Database) -> None:
    book = Mails(database)
    await book.add(Purpose.KNOWN, ANN, "", 600)
    await book.claim(10, 60)
    await due_now(database)
    (mail,), _ = await book.claim(10, 60)
    assert mail.tries == 2


async def test_an_expired_mail_is_given_out_as_such_once_and_is_gone(database: Database) -> None:
    book = Mails(database)
    await book.add(Purpose.REGISTER, ANN, "nonce", 600)
    await due_now(database, expires_at=2)
    due, (mail,) = await book.claim(10, 60)
    assert (due, mail.address) == ([], ANN)
    assert await book.waiting() == 0


async def test_the_oldest_come_first_and_no_more_than_asked_for(database: Database) -> None:
    book = Mails(database)
    for number in range(5):
        await book.add(Purpose.KNOWN, f"{number}@example.com", "", 600)
    found = [mail.address for _ in range(3) for mail in (await book.claim(2, 60))[0]]
    assert found == [f"{number}@example.com" for number in range(5)]


async def test_when_full_a_further_one_is_told_to_come_back(database: Database) -> None:
    book = Mails(database, most=2)
    await book.add(Purpose.KNOWN, ANN, "", 600)
    await book.add(Purpose.KNOWN, ANN, "", 600)
    with pytest.raises(Refused) as refused:
        await book.add(Purpose.KNOWN, ANN, "", 600)
    assert (refused.value.reason, refused.value.retry_after_s) == (Reason.BUSY, 60)
    assert await book.waiting() == 2


async def test_of_many_replicas_that_claim_at_once_each_gets_others(database: Database, any_url: str) -> None:
    books = [Mails(database), *(Mails(open_database(any_url)) for _ in range(3))]
    for number in range(40):
        await books[0].add(Purpose.KNOWN, f"{number}@example.com", "", 600)
    claimed: list[str] = []

    async def claim(book: Mails) -> None:
        while True:
            due, _ = await book.claim(3, 60)
            if not due:
                return
            claimed.extend(mail.id for mail in due)

    await asyncio.gather(*(claim(book) for book in books for _ in range(2)))
    due, _ = await books[0].claim(40, 60)  # rows another had locked were passed over: they are due still
    claimed.extend(mail.id for mail in due)
    assert len(claimed) == len(set(claimed)) == 40
    for book in books[1:]:
        await book._database.close()

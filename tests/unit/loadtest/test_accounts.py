from __future__ import annotations

import asyncio
import os

import pytest

from loadtest.accounts import STDIN_MAX_BYTES, Account, StandardInput, parse_accounts
from loadtest.errors import CannotGoOn

TEXT = '{"host": {"email": "h@x", "password": "pé"}, "shoppers": [{"email": "s@x", "password": "q"}]}'


def test_accounts_are_read_from_one_json_object() -> None:
    accounts = parse_accounts(TEXT + "\n")
    assert accounts.host == Account("h@x", "pé")
    assert accounts.shoppers == (Account("s@x", "q"),)


@pytest.mark.parametrize("text", ["", "no json", "[]", '{"host": {"email": "h@x", "password": 5}}', "[" * 100_000])
def test_anything_else_is_refused_without_quoting_a_password(text: str) -> None:
    with pytest.raises(CannotGoOn, match="one JSON object") as refused:
        parse_accounts(text)
    assert "h@x" not in str(refused.value)


def test_a_password_is_not_shown_in_a_traceback() -> None:
    assert "secret" not in repr(Account("h@x", "secret"))


async def test_the_accounts_come_without_a_newline_and_in_pieces_while_the_pipe_stays_open() -> None:
    ours, theirs = os.pipe()
    closed = asyncio.Event()
    stdin = StandardInput(ours, on_closed=closed.set)
    said = TEXT.encode()
    cut = said.index("é".encode()) + 1  # in the middle of a character
    for piece in (said[:cut], said[cut:]):
        os.write(theirs, piece)
        await asyncio.sleep(0)
    assert (await stdin.accounts(within_s=5)).host.password == "pé"
    assert not closed.is_set()
    os.close(theirs)
    await asyncio.wait_for(closed.wait(), 5)
    os.close(ours)


async def test_an_input_that_closes_without_accounts_is_told_at_once() -> None:
    ours, theirs = os.pipe()
    os.close(theirs)
    with pytest.raises(CannotGoOn, match="one JSON object"):
        await StandardInput(ours).accounts(within_s=5)
    os.close(ours)


async def test_an_endless_input_is_bounded() -> None:
    ours, theirs = os.pipe()
    stdin = StandardInput(ours)

    def write_too_much() -> None:
        os.write(theirs, b"{")
        for _ in range(STDIN_MAX_BYTES // 4096 + 20):
            os.write(theirs, b" " * 4096)

    await asyncio.to_thread(write_too_much)
    with pytest.raises(CannotGoOn, match="one JSON object"):
        await stdin.accounts(within_s=5)
    os.close(theirs)
    os.close(ours)


async def test_a_silent_input_is_not_waited_for_for_ever() -> None:
    ours, theirs = os.pipe()
    with pytest.raises(CannotGoOn, match="no accounts came"):
        await StandardInput(ours).accounts(within_s=0.05)
    os.close(theirs)
    os.close(ours)

"""Passwords: right or wrong, bounded, and off the event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from server.accounts.passwords import PASSWORD_MAX, Passwords
from server.domain.errors import Reason, Refused

RIGHT = "correct horse"


@pytest.fixture
def passwords() -> Iterator[Passwords]:
    passwords = Passwords(workers=1, waiting_max=3)
    yield passwords
    passwords.close()


async def test_a_password_is_right_or_wrong(passwords: Passwords) -> None:
    hashed = await passwords.hash(RIGHT)
    assert await passwords.check(hashed, RIGHT)
    for wrong in ("wrong horse", "", RIGHT + " ", "x" * (PASSWORD_MAX + 1)):
        assert not await passwords.check(hashed, wrong)
    assert hashed != await passwords.hash(RIGHT)  # salted
    assert not passwords.is_outdated(hashed)


@pytest.mark.parametrize("hashed", [None, "", "not a hash", "$argon2id$v=19$broken"])
async def test_without_a_hash_no_password_is_right(passwords: Passwords, hashed: str | None) -> None:
    for password in (RIGHT, "", "nobody has this password"):
        assert not await passwords.check(hashed, password)


async def test_who_is_not_known_costs_as_much_work_as_who_is(
    passwords: Passwords, monkeypatch: pytest.MonkeyPatch
) -> None:
    verified: list[str] = []
    real = passwords._verify

    def verify(hashed: str, password: str) -> bool:
        verified.append(hashed)
        return real(hashed, password)

    monkeypatch.setattr(passwords, "_verify", verify)
    known = await passwords.hash(RIGHT)
    for hashed, password in ((known, RIGHT), (None, RIGHT), (known, "x" * (PASSWORD_MAX + 1))):
        await passwords.check(hashed, password)
    assert len(verified) == 3
    assert len({hashed.rsplit("$", 2)[0] for hashed in verified}) == 1  # the same parameters


async def test_too_many_at_once_are_told_to_come_back_and_the_loop_goes_on(
    passwords: Passwords, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = threading.Event()
    monkeypatch.setattr(passwords, "_verify", lambda *_: go_on.wait(5))
    waiting = [asyncio.create_task(passwords.check("hash", RIGHT)) for _ in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(Refused) as refused:
        await passwords.check("hash", RIGHT)
    assert refused.value.reason is Reason.RATE_LIMITED
    assert refused.value.reason.retry
    assert refused.value.retry_after_s == 1
    with pytest.raises(Refused), passwords.place():
        pass
    go_on.set()
    assert await asyncio.gather(*waiting) == [True] * 3
    assert await passwords.check("hash", RIGHT)  # there is room again


async def test_who_holds_a_place_is_checked_however_many_wait(
    passwords: Passwords, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passwords, "_verify", lambda *_: True)
    with passwords.place(), passwords.place(), passwords.place():
        with pytest.raises(Refused):
            await passwords.check("hash", RIGHT)
        assert await passwords.check("hash", RIGHT, placed=True)
    assert await passwords.check("hash", RIGHT)


async def test_who_stops_waiting_leaves_room_for_others(passwords: Passwords, monkeypatch: pytest.MonkeyPatch) -> None:
    go_on = threading.Event()
    monkeypatch.setattr(passwords, "_verify", lambda *_: go_on.wait(5))
    waiting = [asyncio.create_task(passwords.check("hash", RIGHT)) for _ in range(3)]
    await asyncio.sleep(0)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    go_on.set()
    assert await passwords.check("hash", RIGHT)


# New ones


@pytest.mark.parametrize(
    ("password", "do"),
    [
        ("", "at least 10"),
        ("x7Kp2mQz9", "at least 10"),
        ("x7Kp2mQz9w" * 21, "at most 200"),
        ("password123", "words"),
        ("Password123!", "words"),
        ("qwertyuiop", "words"),
        ("1234567890", "words"),
        ("iloveyou123", "words"),
        ("a" * 200, "words"),
        ("ann@example.com", "words"),
        ("Ann-Katrin Lee", "words"),
    ],
)
async def test_a_new_password_that_is_soon_guessed_is_refused_with_what_to_do(
    passwords: Passwords, password: str, do: str
) -> None:
    with pytest.raises(Refused, match=do) as refused:
        await passwords.judge(password, ("ann@example.com", "Ann-Katrin Lee"), field="new")
    assert (refused.value.reason, refused.value.field) == (Reason.BAD_REQUEST, "new")


@pytest.mark.parametrize(
    "password", ["x7Kp2mQz9w", "correct horse", "warm apple tractor", "мой дядя самых честных", "x7 " * 66]
)
async def test_a_new_password_that_is_not_soon_guessed_is_taken(passwords: Passwords, password: str) -> None:
    await passwords.judge(password, ("ann@example.com", "Ann"))


async def test_one_persons_hints_are_nobody_elses(passwords: Passwords) -> None:
    with pytest.raises(Refused):
        await passwords.judge("tractor-moonlight", ("tractor-moonlight@example.com",))
    await passwords.judge("tractor-moonlight", ("ann@example.com",))

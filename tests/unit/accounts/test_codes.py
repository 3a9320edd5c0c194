"""Codes: six digits that are right once, five tries, ten minutes, and nothing kept that gives them away."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.accounts.codes import CODE_TTL_S, TRIES_MAX, Codes
from server.accounts.keep import MemoryKeep
from server.domain.errors import Reason, Refused, Unavailable
from server.domain.mail import Purpose
from tests.unit.accounts.book import Clock

NEW, OLD = "n" * 32, "o" * 32
ANN = "ann@example.com"
REGISTER = Purpose.REGISTER


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keep(clock: Clock) -> MemoryKeep:
    return MemoryKeep(clock)


@pytest.fixture
def codes(keep: MemoryKeep) -> Codes:
    return Codes(keep, (NEW, OLD))


async def issued(codes: Codes, meant: str = "Ann", purpose: Purpose = REGISTER) -> str:
    code = codes.code(purpose, ANN, await codes.issue(purpose, ANN, ANN, meant))
    assert code is not None
    return code


async def redeem(codes: Codes, code: str, purpose: Purpose = REGISTER, subject: str = ANN) -> str:
    async with codes.redeemed(purpose, subject, code) as meant:
        return meant


async def refused(codes: Codes, code: str, purpose: Purpose = REGISTER, subject: str = ANN) -> str:
    with pytest.raises(Refused) as error:
        await redeem(codes, code, purpose, subject)
    assert (error.value.reason, error.value.field) == (Reason.BAD_CREDENTIALS, "code")
    return error.value.detail


def other(code: str, by: int = 1) -> str:
    return f"{(int(code) + by) % 10**6:06}"


async def test_a_code_is_right_once(codes: Codes) -> None:
    code = await issued(codes)
    assert await redeem(codes, code) == "Ann"
    await refused(codes, code)


async def test_spaces_and_a_dash_of_the_typist_do_not_matter(codes: Codes) -> None:
    code = await issued(codes)
    assert await redeem(codes, f" {code[:3]}-{code[3:]} ") == "Ann"


async def test_wrong_burned_expired_and_none_at_all_are_refused_in_the_same_words(codes: Codes, clock: Clock) -> None:
    said = {await refused(codes, "123456", subject="nobody@example.com")}
    code = await issued(codes)
    said |= {await refused(codes, wrong) for wrong in (other(code), "", "code", "١٢٣٤٥٦", code + "0")}
    said.add(await refused(codes, code))  # burned by five
    code = await issued(codes)
    clock.s += CODE_TTL_S
    said.add(await refused(codes, code))
    assert len(said) == 1


async def test_the_fifth_try_may_be_right(codes: Codes) -> None:
    code = await issued(codes)
    for _ in range(TRIES_MAX - 1):
        await refused(codes, other(code))
    assert await redeem(codes, code) == "Ann"


async def test_of_ten_right_ones_at_once_one_counts(codes: Codes) -> None:
    code = await issued(codes)
    ends = await asyncio.gather(*(redeem(codes, code) for _ in range(10)), return_exceptions=True)
    assert [end for end in ends if end == "Ann"] == ["Ann"]
    assert sum(isinstance(end, Refused) for end in ends) == 9


async def test_a_new_code_replaces_the_old_one_and_has_five_tries_of_its_own(codes: Codes) -> None:
    old = await issued(codes)
    for _ in range(TRIES_MAX):
        await refused(codes, other(old))
    new = await issued(codes, "Ann again")
    if old != new:
        await refused(codes, old)
    assert await redeem(codes, new) == "Ann again"


async def test_a_renewed_code_stands_for_the_same(codes: Codes) -> None:
    assert await codes.renew(REGISTER, ANN) is None
    await issued(codes)
    renewed = await codes.renew(REGISTER, ANN)
    assert renewed is not None
    nonce, may_be_right = renewed
    assert may_be_right
    assert await redeem(codes, codes.code(REGISTER, ANN, nonce) or "") == "Ann"


async def test_a_code_that_stands_for_nothing_is_never_right(codes: Codes) -> None:
    await refused(codes, await issued(codes, ""))
    await issued(codes, "")
    renewed = await codes.renew(REGISTER, ANN)
    assert renewed is not None
    assert renewed[1] is False


async def test_a_code_is_for_one_purpose_and_one_subject(codes: Codes) -> None:
    code = await issued(codes)
    await refused(codes, code, Purpose.RESET)
    await refused(codes, code, subject="bob@example.com")
    assert await redeem(codes, code) == "Ann"


async def test_a_code_whose_use_found_the_database_gone_may_be_used_again(codes: Codes) -> None:
    code = await issued(codes)
    with pytest.raises(Unavailable):
        async with codes.redeemed(REGISTER, ANN, code):
            raise Unavailable("away")
    assert await redeem(codes, code) == "Ann"


async def test_a_code_lives_through_a_rotation_of_the_keys(keep: MemoryKeep) -> None:
    before, during, after = Codes(keep, (OLD,)), Codes(keep, (NEW, OLD)), Codes(keep, (NEW,))
    code = await issued(before)
    assert await redeem(during, code) == "Ann"
    nonce = await before.issue(REGISTER, ANN, ANN, "Ann")
    assert after.code(REGISTER, ANN, nonce) is None
    await refused(after, before.code(REGISTER, ANN, nonce) or "")
    new = await issued(during)
    assert await redeem(after, new) == "Ann"


async def test_nothing_that_is_kept_is_the_code(codes: Codes, keep: MemoryKeep) -> None:
    code = await issued(codes)
    assert code not in repr(keep._values)
    assert Codes(keep, ("x" * 32,)).code(REGISTER, ANN, await codes.issue(REGISTER, ANN, ANN, "")) is None


@given(st.sampled_from(Purpose), st.emails(), st.text(max_size=40))
def test_every_code_has_six_digits(purpose: Purpose, address: str, nonce: str) -> None:
    codes = Codes(MemoryKeep(), (NEW,))
    code = codes.code(purpose, address, f"{codes._newest}.{nonce}")
    assert code is not None
    assert len(code) == 6
    assert code.isdecimal()
    assert code.isascii()

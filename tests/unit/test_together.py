"""Questions answered together: nobody waits for ever, whatever becomes of the answering."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from server import metrics, together
from server.domain.errors import Unavailable
from server.together import Tell, Together


class Doubling:
    """Answers numbers, but 13, with their double, when it may; what it was asked together."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.may = asyncio.Event()
        self.error: Exception | None = None
        self.after: list[int] = []
        self.questions: Together[int, int] = Together("numbers", self.answer)

    async def answer(self, numbers: Sequence[int], tell: Tell[int]) -> None:
        self.batches.append(list(numbers))
        await self.may.wait()
        if self.error:
            raise self.error
        tell([Unavailable("an unlucky one") if number == 13 else 2 * number for number in numbers])
        self.after += numbers

    def asked(self, *numbers: int) -> list[asyncio.Task[int]]:
        return [asyncio.create_task(self.questions.ask(number)) for number in numbers]


async def test_who_asks_meanwhile_is_answered_with_the_next_and_in_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(together, "TOGETHER_MAX", 3)
    doubling = Doubling()
    first = doubling.asked(1)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    rest = doubling.asked(2, 3, 3, 4)
    doubling.may.set()
    assert await asyncio.gather(*first, *rest) == [2, 4, 6, 6, 8]
    assert doubling.batches == [[1], [2, 3, 3], [4]]
    assert doubling.after == [1, 2, 3, 3, 4]


async def test_one_answer_may_be_missing() -> None:
    doubling = Doubling()
    doubling.may.set()
    ends = await asyncio.gather(*doubling.asked(12, 13, 14), return_exceptions=True)
    assert (ends[0], ends[2]) == (24, 28)
    assert str(ends[1]) == "an unlucky one"


async def test_a_failure_is_told_to_all_and_the_next_are_answered() -> None:
    doubling = Doubling()
    doubling.may.set()
    doubling.error = Unavailable("nobody there")
    ends = await asyncio.gather(*doubling.asked(1, 2), return_exceptions=True)
    assert [str(end) for end in ends] == ["nobody there"] * 2
    assert ends[0] is not ends[1], "an exception that is raised twice grows a traceback of both"
    doubling.error = None
    assert await asyncio.gather(*doubling.asked(3)) == [6]


async def test_after_a_bug_nobody_waits_for_ever_and_it_is_loud() -> None:
    doubling = Doubling()
    asking = doubling.asked(1)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    asking += doubling.asked(2)
    await asyncio.sleep(0)
    died = metrics.TASKS_DIED.labels("numbers")
    before = died._value.get()
    doubling.error = ZeroDivisionError()
    doubling.may.set()
    ends = await asyncio.gather(*asking, return_exceptions=True)
    assert [str(end) for end in ends] == ["what answers for numbers has ended"] * 2
    await asyncio.sleep(0)
    assert died._value.get() == before + 1
    doubling.error = None
    assert await asyncio.gather(*doubling.asked(3)) == [6]


async def test_who_leaves_takes_nobody_along_and_too_many_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(together, "WAITING_MAX", 3)
    doubling = Doubling()
    asking = doubling.asked(1, 2, 3)
    await asyncio.sleep(0)
    with pytest.raises(Unavailable, match="too many wait for numbers"):
        await doubling.questions.ask(4)
    asking[1].cancel()
    doubling.may.set()
    assert await asyncio.gather(asking[0], asking[2]) == [2, 6]

"""Questions of a crowd, answered together: who asks while others are being answered is answered with the next."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from server import tasks
from server.domain.errors import Unavailable

WAITING_MAX = 50_000
"""Questions that wait on one replica: more than it can hold sockets. A further one is `Unavailable`."""

TOGETHER_MAX = 500

Q = TypeVar("Q")
A = TypeVar("A")

Tell = Callable[[Sequence[A | Unavailable]], None]


class Together(Generic[Q, A]):
    """One answering at a time, of up to `TOGETHER_MAX` questions. Owns one task while something is answered.

    `answer(questions, tell)` tells an answer, or why there is none, for each question in order. What it does after it
    has told is done before the next are taken. `Unavailable` that it raises instead of telling is told to all.
    """

    def __init__(self, name: str, answer: Callable[[Sequence[Q], Tell[A]], Awaitable[None]]) -> None:
        self._name = name
        self._answer = answer
        self._waiting: deque[tuple[Q, asyncio.Future[A]]] = deque()
        self._answering: asyncio.Task[None] | None = None

    async def ask(self, question: Q) -> A:
        """The answer. Raises `Unavailable`; cancelled, it leaves nothing behind."""
        if len(self._waiting) >= WAITING_MAX:
            raise Unavailable(f"too many wait for {self._name}")
        answer: asyncio.Future[A] = asyncio.get_running_loop().create_future()
        self._waiting.append((question, answer))
        if self._answering is None:
            self._answering = tasks.start(self._answer_all(), self._name, may_end=True)
        return await answer

    async def _answer_all(self) -> None:
        asked: list[tuple[Q, asyncio.Future[A]]] = []

        def tell(answers: Sequence[A | Unavailable]) -> None:
            for (_, waiting), answer in zip(asked, answers, strict=True):
                _tell(waiting, answer)

        try:
            while self._waiting:
                asked = [self._waiting.popleft() for _ in range(min(len(self._waiting), TOGETHER_MAX))]
                try:
                    await self._answer([question for question, _ in asked], tell)
                except Unavailable as error:
                    tell([Unavailable(str(error)) for _ in asked])
        finally:
            self._answering = None  # no await since nobody was seen waiting
            for _, waiting in [*asked, *self._waiting]:  # after a bug: nobody may wait for ever
                _tell(waiting, Unavailable(f"what answers for {self._name} has ended"))
            self._waiting.clear()


def _tell(waiting: asyncio.Future[A], answer: A | Unavailable) -> None:
    if waiting.done():  # who asked has left
        return
    if isinstance(answer, Unavailable):
        waiting.set_exception(answer)
    else:
        waiting.set_result(answer)

"""Recent answers: what is asked again and again by a crowd is read once a second, and asked together."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Generic, TypeVar

from server.domain.errors import Unavailable
from server.together import Tell, Together

FRESH_S = 1.0
"""How old an answer may be."""

STALE_S = 60.0
"""How old it may be while the database does not answer, where nothing can be changed either."""

KNOWN_MAX = 10_000
"""Answers that are kept. When full, the one read longest ago is forgotten, and read again when it is asked for."""

V = TypeVar("V")


class Recent(Generic[V]):
    """Answers by key, at most `FRESH_S` old. One reading at a time, of all keys asked for meanwhile.

    `read` gives the answers it has; a key without one is answered `nothing`.
    """

    def __init__(
        self,
        name: str,
        read: Callable[[Collection[str]], Awaitable[Mapping[str, V]]],
        nothing: V,
        *,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read = read
        self._nothing = nothing
        self._now_s = now_s
        self._known: OrderedDict[str, tuple[float, V]] = OrderedDict()
        self._never = float("-inf"), nothing
        self._questions = Together(name, self._answer)

    async def get(self, key: str) -> V:
        """The answer for a key. Raises `Unavailable`; cancelled, it leaves nothing behind."""
        return self._known[key][1] if self._is_fresh(key) else await self._questions.ask(key)

    def _is_fresh(self, key: str) -> bool:
        return self._now_s() - self._known.get(key, self._never)[0] < FRESH_S

    async def _answer(self, keys: Sequence[str], tell: Tell[V]) -> None:
        stale = {key: None for key in keys if not self._is_fresh(key)}  # of the others those before them asked
        answers: dict[str, V | Unavailable] = {key: self._known[key][1] for key in keys if key not in stale}
        if stale:
            answers |= await self._read_anew(list(stale))
        tell([answers[key] for key in keys])

    async def _read_anew(self, keys: Collection[str]) -> Mapping[str, V | Unavailable]:
        began_s = self._now_s()
        try:
            found = await self._read(keys)
        except Unavailable as error:
            return {key: self._what_was(key, error) for key in keys}
        answers = {key: found.get(key, self._nothing) for key in keys}
        for key, value in answers.items():
            self._keep(key, began_s, value)
        return answers

    def _keep(self, key: str, began_s: float, value: V) -> None:
        self._known[key] = began_s, value
        self._known.move_to_end(key)
        if len(self._known) > KNOWN_MAX:
            self._known.popitem(last=False)

    def _what_was(self, key: str, error: Unavailable) -> V | Unavailable:
        read_at_s, value = self._known.get(key, self._never)
        return value if self._now_s() - read_at_s < STALE_S else Unavailable(str(error))

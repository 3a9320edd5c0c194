"""Makes up what clients may send: strange frames that are in order, and last frames that are not. Seeded."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.raw import BINARY, CONT, PING, PONG, TEXT, close, frame

FRAME_MAX = 16 * 1024
NOT_A_FRAME, NOT_UTF8, TOO_BIG, BAD_PROTOCOL, DONE = 4500, 1007, 1009, 1002, 1000

_TEXTS = (
    "", " ", "\x00", "a\x00b", "é", "漢字", "🐙" * 8, "\u202edlrow", "\ufeff", "\uffff", "'; DROP TABLE orders; --",
    "${jndi:ldap://x}", "{{7*7}}", "<script>", "../../etc/passwd", "%s%n", "NaN", "null", "x" * 64, "f" * 32,
)  # fmt: skip
_WHOLE = (0, -1, 1, 2, 3, 2**31 - 1, 2**31, 2**53, 2**63 - 1, 2**63, 2**64, -(2**64), 10**40)
_OTHERS = (None, True, False, 1.0, -0.5, 1e308, [], {}, [1], {"a": 1}, "1", "🐙")


@dataclass(frozen=True)
class Conversation:
    """What one client sends: `frames` of them, the last of which ends it with `code`, or None: without a goodbye."""

    hello_first: bool
    said: bytes
    frames: int
    code: int | None


class Gibberish:
    """Conversations about one drop; the same for the same seed."""

    def __init__(self, seed: int, drop: str, variant: str) -> None:
        self._random = random.Random(seed)
        self._drop = drop
        self._variant = variant

    def conversation(self) -> Conversation:
        """The next one: some strange frames that are in order, then the last."""
        hello_first = self._random.random() < 0.8
        strange = [self._strange() for _ in range(self._random.randrange(24))] if hello_first else self._controls()
        last, code = self._random.choice(self._ends(hello_first))()
        return Conversation(hello_first, b"".join([*strange, last]), len(strange) + 1, code)

    # In order, if strange

    def _strange(self) -> bytes:
        return self._random.choice((self._order, self._order, self._order, self._fragments, self._control))()

    def _order(self) -> bytes:
        return frame(TEXT, self._json(self._order_of()))

    def _order_of(self) -> dict[str, Any]:
        pick = self._random.choice
        order: dict[str, Any] = {
            "type": "order",
            "ref": f"{self._random.getrandbits(64):x}" if self._random.random() < 0.9 else pick(("0", "!~", "r" * 64)),
            "drop": self._drop if self._random.random() < 0.5 else pick([t for t in _TEXTS if t]),
            "quantity": pick(_WHOLE),
        }
        if self._random.random() < 0.3:
            order["variant"] = pick([None, self._variant, *(t for t in _TEXTS if t)])
        return order

    def _json(self, said: Any) -> bytes:
        spaces = self._random.choice((None, 1, "\t\r\n "))
        order = list(said.items())
        self._random.shuffle(order)
        return json.dumps(dict(order), ensure_ascii=self._random.random() < 0.5, indent=spaces).encode()

    def _fragments(self) -> bytes:
        text = self._json(self._order_of())
        cuts = sorted(self._random.choices(range(len(text) + 1), k=self._random.randrange(1, 5)))
        parts = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
        frames = [frame(CONT if n else TEXT, part, fin=n == len(parts) - 1) for n, part in enumerate(parts)]
        return (self._control() if self._random.random() < 0.5 else b"").join(frames)

    def _control(self) -> bytes:
        return frame(self._random.choice((PING, PONG)), self._random.randbytes(self._random.choice((0, 1, 125))))

    def _controls(self) -> list[bytes]:
        return [self._control() for _ in range(self._random.randrange(4))]

    # The last

    def _ends(self, hello_first: bool) -> tuple[Callable[[], tuple[bytes, int | None]], ...]:
        return (
            *(self._not_ours, self._mistyped, self._mistyped, self._missing, self._extra, self._not_json, self._deep),
            *(self._binary, self._not_utf8, self._surrogate, self._huge, self._huge_in_parts, self._broken, self._bye),
            *((self._second_hello, self._cut) if hello_first else (self._order_first, self._bad_hello)),
        )

    def _bad(self, said: Any) -> tuple[bytes, int]:
        return frame(TEXT, said if isinstance(said, bytes) else self._json(said)), NOT_A_FRAME

    def _not_ours(self) -> tuple[bytes, int]:
        return self._bad(
            {"type": self._random.choice(("welcome", "Order", "", "\x00", 7, None, ["order"], *_TEXTS[3:]))}
        )

    def _mistyped(self) -> tuple[bytes, int]:
        name = self._random.choice(("ref", "drop", "quantity", "type"))
        wrong = [value for value in _OTHERS if not (name != "quantity" and isinstance(value, str))]
        return self._bad(self._order_of() | {name: self._random.choice(wrong)})

    def _missing(self) -> tuple[bytes, int]:
        order = self._order_of()
        del order[self._random.choice(("ref", "drop", "quantity", "type"))]
        return self._bad(order)

    def _extra(self) -> tuple[bytes, int]:
        name = self._random.choice(("price", "viewer", "total", "__proto__", "constructor", "é", "order", "v"))
        return self._bad(self._order_of() | {name: self._random.choice((*_OTHERS, *_WHOLE, *_TEXTS))})

    def _not_json(self) -> tuple[bytes, int]:
        text = self._json(self._order_of())
        cut = text[: self._random.randrange(len(text))]
        return self._bad(
            self._random.choice((cut, text + text, b"NaN", b"[", b'"', b"\x00" + text, b"'order'", text + b","))
        )

    def _deep(self) -> tuple[bytes, int]:
        start = self._random.choice((b"[", b'{"a":', b'{"ref":', b'{"type":"order","drop":['))
        return self._bad((start * self._random.choice((100, 2_000, FRAME_MAX)))[: FRAME_MAX - 100])

    def _binary(self) -> tuple[bytes, int]:
        return frame(BINARY, self._random.choice((b"", self._json(self._order_of()), self._random.randbytes(40)))), 4500

    def _not_utf8(self) -> tuple[bytes, int]:
        broken = self._random.choice((b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82"))
        return frame(TEXT, b'{"type":"' + broken + b'"}'), NOT_UTF8

    def _surrogate(self) -> tuple[bytes, int]:
        lone = self._random.choice((rb"\ud800", rb"\udfff", rb"\ud800\ud800", rb"\uDEAD\uD83D"))
        return self._bad(b'{"type":"order","ref":"r","quantity":1,"drop":"' + lone + b'"}')

    def _huge(self) -> tuple[bytes, int]:
        size = self._random.choice((FRAME_MAX + 1, FRAME_MAX * 2, 70_000))
        return frame(TEXT, b" " * size), TOO_BIG

    def _huge_in_parts(self) -> tuple[bytes, int]:
        part = b" " * (FRAME_MAX // 2)
        return frame(TEXT, part, fin=False) + frame(CONT, part, fin=False) + frame(CONT, b"xx"), TOO_BIG

    def _broken(self) -> tuple[bytes, int]:
        opcode = self._random.choice((3, 7, 11, 15))
        return self._random.choice(
            (
                frame(TEXT, b"{}", mask=None),
                frame(TEXT, b"{}", reserved=self._random.randrange(1, 8)),
                frame(opcode, b""),
                frame(PING, b"x" * 126),
                frame(PING, b"x", fin=False),
                frame(CONT, b"{}"),
                frame(TEXT, b"{", fin=False) + frame(TEXT, b"}"),
                close(self._random.choice((0, 999, 1005, 1006, 1015, 2999, 5000))),
                frame(8, b"\x03"),
            )
        ), BAD_PROTOCOL

    def _bye(self) -> tuple[bytes, int]:
        return close(DONE, self._random.choice((b"", b"bye", "🐙".encode()))), DONE

    def _second_hello(self) -> tuple[bytes, int]:
        return self._bad({"type": "hello", "v": 1})

    def _order_first(self) -> tuple[bytes, int]:
        return self._bad(self._order_of() | {"drop": self._drop, "ref": "r"})

    def _bad_hello(self) -> tuple[bytes, int]:
        wrong = {"v": self._random.choice((0, 2, "1", None)), "ticket": 7, "position": self._random.choice((7, [], {}))}
        name = self._random.choice(list(wrong))
        return self._bad({"type": "hello", "v": 1} | {name: wrong[name]})

    def _cut(self) -> tuple[bytes, None]:
        whole = self._order()
        return whole[: self._random.randrange(1, len(whole))], None

"""Text as the search compares it: without case, accents, widths and punctuation."""

from __future__ import annotations

import re
from unicodedata import category, normalize

_LETTERS = str.maketrans(
    {
        "'": None,  # men's is found as mens
        "’": None,
        "ß": "ss",
        "ø": "o",
        "ł": "l",
        "đ": "d",
        "ð": "d",
        "þ": "th",
        "æ": "ae",
        "œ": "oe",
        "ı": "i",
        "ς": "σ",
    }
    # what NFKD puts behind Latin, Greek and Cyrillic letters; the marks of kana and of Indic scripts are letters' parts
    | dict.fromkeys(map(chr, range(0x0300, 0x0370)))
    # a word is typed in hiragana before it is turned into katakana
    | {chr(katakana): chr(katakana - 0x60) for katakana in range(0x30A1, 0x30F7)}
)
_ASCII_WORD = re.compile(r"[a-z0-9]+")
_UNSPACED = re.compile(
    "([\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff]+)"
)


def fold(text: str) -> str:
    """The words of a text, folded, with a space between them; folding it again changes nothing.

    Chinese, Japanese and Korean stand apart from other scripts, so that `iPhone手机壳` has two words.
    """
    if text.isascii():
        return " ".join(_ASCII_WORD.findall(text.lower().replace("'", "")))
    plain = _plain(text)
    while (again := _plain(plain)) != plain:  # a few letters need a second round
        plain = again
    spaced = "".join(c if c.isalnum() or category(c)[0] == "M" else " " for c in plain)
    return " ".join(_UNSPACED.sub(r" \1 ", spaced).split())


def is_unspaced(word: str) -> bool:
    """Whether a folded word is of a script that puts no spaces between words."""
    return _UNSPACED.match(word) is not None


def _plain(text: str) -> str:
    decomposed = normalize("NFKD", normalize("NFKD", text).casefold()).translate(_LETTERS)
    return normalize("NFC", decomposed)

"""A catalogue that might be somebody's, and what people type in search of it: made from a seed, the same every time.

No two products have the same words in the title, whatever their order, so each has exactly one right answer.
"""

from __future__ import annotations

import random
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SEED = 1
PRODUCTS_MAX = 200_000
"""Most that are made: far fewer than there are different titles, so that it ends."""

_WORDS: dict[str, Any] = tomllib.loads(Path(__file__).with_name("words.toml").read_text("utf-8"))


@dataclass(frozen=True, slots=True)
class Goods:
    """A product as an import would bring it; `variants` are labels."""

    sku: str
    title: str
    description: str
    price: int
    variants: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Query:
    """What somebody types, the SKU of what they mean, and what is wrong with it."""

    typed: str
    sku: str
    slips: tuple[str, ...]


def goods(count: int, seed: int = SEED) -> list[Goods]:
    """So many products: seven in ten English, the others Spanish, Chinese and Japanese."""
    chance = random.Random(seed)
    makers = _makers(chance)
    ways = [(make, _Says(chance, make.__name__[1:])) for make in (_english, _spanish, _chinese, _japanese)]
    taken: set[tuple[str, ...]] = set()
    made: list[Goods] = []
    while len(made) < count:
        make, says = chance.choices(ways, (70, 12, 10, 8))[0]
        title, description = make(chance, says, chance.choice(makers))
        key = tuple(sorted(_parts(title)))
        if key in taken:
            continue
        taken.add(key)
        labels = chance.choice(_WORDS["labels"])
        made.append(
            Goods(
                sku=f"{chance.choice(_WORDS['sku_heads'])}-{len(made):06}",
                title=title,
                description=description,
                price=chance.randrange(5, 400) * 100 + 90,
                variants=tuple(labels[: chance.randint(1, len(labels))]),
            )
        )
    return made


def queries(catalogue: list[Goods], count: int, seed: int = SEED) -> list[Query]:
    """So many misspelt titles, each of another product: with one slip or two, or without accents, or a word short."""
    chance = random.Random(f"queries {seed}")
    titles = [product.title.lower() for product in catalogue]
    made: list[Query] = []
    for product in chance.sample(catalogue, len(catalogue)):
        if len(made) == count:
            break
        typed, slips = product.title.lower(), []
        for _ in range(chance.choice((1, 1, 2))):
            kind = chance.choice((*_SLIPS, "accents missing", "word left out"))
            before = typed
            if kind == "accents missing":
                typed = typed.translate(_BARE)
            elif kind == "word left out":
                typed = _without_a_word(chance, typed, titles)
            else:
                typed = _misspelt(chance, typed, _SLIPS[kind])
            if typed != before:
                slips.append(kind)
        if typed != product.title.lower():
            made.append(Query(typed, product.sku, tuple(slips)))
    return made


def _makers(chance: random.Random) -> list[str]:
    made: dict[str, None] = {}
    while len(made) < _WORDS["makers"]:
        made["".join(chance.choice(part.split()) for part in _WORDS["syllables"]).capitalize()] = None
    return list(made)


class _Says:
    """`says("nouns")`: one of a language's words or phrases."""

    def __init__(self, chance: random.Random, language: str) -> None:
        self._chance = chance
        self._words = {kind: said.split() if isinstance(said, str) else said for kind, said in _WORDS[language].items()}

    def __call__(self, kind: str) -> str:
        return str(self._chance.choice(self._words[kind]))


def _english(chance: random.Random, says: _Says, maker: str) -> tuple[str, str]:
    noun = says("nouns")
    parts = [maker, says("adjectives"), says("materials"), noun]
    if chance.random() < 0.3:
        del parts[chance.choice((1, 2))]
    if chance.random() < 0.3:
        parts.append(says("endings"))
    return " ".join(parts), f"A {noun} by {maker}. {says('sentences')} {says('sentences')}"


def _spanish(_chance: random.Random, says: _Says, maker: str) -> tuple[str, str]:
    noun = says("nouns").capitalize()
    return f"{noun} {says('adjectives')} {says('materials')} {maker}", f"{noun} de {maker}. {says('sentences')}"


def _chinese(chance: random.Random, says: _Says, maker: str) -> tuple[str, str]:
    noun = says("nouns")
    brand = says("makers") if chance.random() < 0.7 else maker + " "
    return f"{brand}{says('adjectives')}{says('materials')}{noun}", f"{noun},{says('sentences')}"


def _japanese(chance: random.Random, says: _Says, maker: str) -> tuple[str, str]:
    noun = says("nouns")
    brand = says("makers") if chance.random() < 0.7 else maker
    return f"{brand} {says('adjectives')}{says('materials')}の{noun}", f"{noun}。{says('sentences')}"


def _parts(title: str) -> Iterator[str]:
    return iter(title.lower().split())


def _without_a_word(chance: random.Random, typed: str, titles: list[str]) -> str:
    """One word less, where what is left still names one product only."""
    parts = typed.split()
    for left_out in chance.sample(range(len(parts)), len(parts)):
        rest = parts[:left_out] + parts[left_out + 1 :]
        if rest and sum(all(word in title for word in rest) for title in titles) == 1:
            return " ".join(rest)
    return typed


def _misspelt(chance: random.Random, typed: str, slip: Callable[[random.Random, str], str]) -> str:
    parts = typed.split()
    place = chance.choices(range(len(parts)), [max(0, len(part) - 2) for part in parts])[0] if len(typed) > 3 else 0
    parts[place] = slip(chance, parts[place])
    return " ".join(parts)


def _swapped(chance: random.Random, word: str) -> str:
    n = chance.randrange(len(word) - 1)
    return word[:n] + word[n + 1] + word[n] + word[n + 2 :]


def _missing(chance: random.Random, word: str) -> str:
    n = chance.randrange(len(word))
    return word[:n] + word[n + 1 :]


def _doubled(chance: random.Random, word: str) -> str:
    n = chance.randrange(len(word))
    return word[:n] + word[n] + word[n:]


def _neighbour(chance: random.Random, word: str) -> str:
    places = [n for n, letter in enumerate(word) if letter in _BESIDE]
    if not places:
        return word
    n = chance.choice(places)
    return word[:n] + chance.choice(_BESIDE[word[n]]) + word[n + 1 :]


_SLIPS: dict[str, Callable[[random.Random, str], str]] = {
    "letters swapped": _swapped,
    "letter missing": _missing,
    "letter doubled": _doubled,
    "key beside": _neighbour,
}
_BESIDE = {
    letter: row[max(0, n - 1) : n] + row[n + 1 : n + 2]
    for row in ("qwertyuiop", "asdfghjkl", "zxcvbnm")
    for n, letter in enumerate(row)
}
_BARE = str.maketrans("áéíóúüñ", "aeiouun")

"""What a product is found by, and what a query asks for: short pieces of folded text, compared for equality alone.

Four kinds, told apart by their first character. Of the word `lamp`:

    _la lam amp mp_     three letters in a row, `_` being the word's end; of one letter typed, `_l`
    =lamp               the whole word, however hot its pieces are; a whole SKU as well
    ~amp ~lmp ~lap ~lam the word without one of its letters (short words only, of which a slip spoils every other piece)
    灯 台灯             of scripts without spaces: each character, and each two

Rows are counted in the tens for each product, so labels and descriptions are found by fewer kinds than titles.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from server.domain.folding import fold, is_unspaced

GRAM_MAX = 24
"""Most characters of a gram; longer words are cut to this."""

TEXT_MAX = 250
"""Most characters of a folded title, and of what else is compared; the rest is not searched."""

VARIANTS_MAX = 50
"""Variants a product is found by; further ones are found by their product's title alone."""

DESCRIPTION_WORDS_MAX = 60
"""Different words of a description a product is found by: the first ones."""

GRAMS_MAX = 600
"""Most grams of a product: of its title first, then SKUs, labels, description; further ones are left out."""

QUERY_GRAMS_MAX = 160
"""Most grams of a query; what is typed last goes first."""

_SHORT = range(3, 7)  # letters of words that are found with one letter less
_TITLE, _SKU, _LABEL, _DESCRIPTION = 1000, 600, 500, 250
_WORD, _LESS, _PIECE = 3, 2, 1
_LENGTH_HALVES = 64  # characters at which a title's pieces weigh half of a very short title's


@dataclass(frozen=True, slots=True)
class Entry:
    """A product as the index has it: what is compared with a query, and what it is found by, with weights.

    `also` is the words of the SKU and of the labels, and every SKU as a gram.
    """

    title: str
    also: str
    description: str
    grams: dict[str, int]


def entry(title: str, sku: str, description: str, variants: Sequence[tuple[str, str]] = ()) -> Entry:
    """What the index keeps of a product; `variants` are pairs of SKU and label."""
    folded_title, folded_sku = fold(title)[:TEXT_MAX], fold(sku)
    labels = dict.fromkeys(word for _, label in variants[:VARIANTS_MAX] for word in fold(label).split())
    weights: dict[str, int] = {}

    def add(grams: Iterable[tuple[str, int]], weight: int) -> None:
        for gram, times in grams:
            if gram in weights or len(weights) < GRAMS_MAX:
                weights[gram] = max(weights.get(gram, 0), weight * times)

    title_weight = _TITLE * _LENGTH_HALVES // (_LENGTH_HALVES + len(folded_title))
    for word in folded_title.split():
        add(_of_title_word(word), title_weight)
    skus = [whole_sku(folded) for one in (sku, *(name for name, _ in variants[:VARIANTS_MAX])) if (folded := fold(one))]
    add(((gram, _WORD) for gram in skus), _SKU)
    for word in folded_sku.split():
        add(((gram, _PIECE) for gram in _pieces(word)), _SKU)
    for word in labels:
        add(_by_whole_words(word), _LABEL)
    told = [word for word in fold(description[:2_000]).split() if is_unspaced(word) or len(word) > 2]
    told = [word[:TEXT_MAX] for word in dict.fromkeys(told)][:DESCRIPTION_WORDS_MAX]
    for word in told:
        add(_by_whole_words(word), _DESCRIPTION)
    return Entry(folded_title, " ".join([folded_sku, *labels, *skus])[:TEXT_MAX], " ".join(told), weights)


def asked(folded_query: str) -> list[str]:
    """The grams of a folded query, each once."""
    words = folded_query.split()
    if not words:
        return []
    grams: dict[str, None] = {}
    for word in words:
        if is_unspaced(word):
            grams |= dict.fromkeys(_characters(word))
        elif len(word) == 1:
            grams |= dict.fromkeys((f"_{word}", _whole(word)))
        else:
            grams |= dict.fromkeys((_whole(word), *_pieces(word)))
            if len(word) in range(_SHORT.start - 1, _SHORT.stop + 1):
                less = list(_without_one(word)) if len(word) > 2 else []
                grams |= dict.fromkeys((f"~{word}", *(f"~{short}" for short in less), *map(_whole, less)))
    joined = [_whole(a + b) for a, b in pairwise(words) if not is_unspaced(a + b)]
    return list(dict.fromkeys((whole_sku(folded_query), *joined, *grams)))[:QUERY_GRAMS_MAX]


def whole_sku(folded: str) -> str:
    """The gram of a SKU typed in full, with its dashes or without."""
    return _whole(folded.replace(" ", ""))


def _of_title_word(word: str) -> list[tuple[str, int]]:
    if is_unspaced(word):
        return _by_whole_words(word)
    short = _without_one(word) if len(word) in _SHORT else ()
    return [
        (_whole(word), _WORD),
        (f"_{word[0]}", _PIECE),
        *((gram, _PIECE) for gram in _pieces(word)),
        *((f"~{less}", _LESS) for less in short),
    ]


def _by_whole_words(word: str) -> list[tuple[str, int]]:
    if is_unspaced(word):
        return [(gram, len(gram)) for gram in _characters(word)]
    return [(_whole(word), _WORD)]


def _whole(word: str) -> str:
    return f"={word}"[:GRAM_MAX]


def _pieces(word: str) -> list[str]:
    ended = f"_{word}_"
    return [ended[n : n + 3] for n in range(len(ended) - 2)]


def _without_one(word: str) -> dict[str, None]:
    return dict.fromkeys(word[:n] + word[n + 1 :] for n in range(len(word)))


def _characters(run: str) -> list[str]:
    return [*run, *(a + b for a, b in pairwise(run))]

"""Which of the products that share something with a query is meant: word by word, slips and all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rapidfuzz import fuzz, process
from rapidfuzz.distance import OSA, LCSseq

from server.domain.folding import is_unspaced
from server.domain.grams import whole_sku
from server.domain.product import Candidate

ENOUGH = 0.45
"""A product whose words are less like the query's than this is not shown."""

_WHOLE = 0.25  # what the title as a whole counts beside its words
_ALSO = 0.8  # what a word counts that is found in the SKU or a label
_TOLD = 0.5  # and one of the description
_SLIP = 0.55  # words less alike than this are different words
_TYPED = 0.9  # the beginning of a word, where it is the last one typed; of scripts without spaces, any part
_BEGINNING, _MIDDLE, _SLIPPED_BEGINNING, _SCATTERED = 0.8, 0.7, 0.85, 0.85
_REST = 0.09  # the more of the other word it is, the better
_SKU = 0.99  # a SKU typed in full
WORDS_MAX = 20
"""Words of a query that are looked for one by one; those behind them count in the whole only."""


def ranked(query: str, candidates: Sequence[Candidate]) -> list[Candidate]:
    """The candidates that are like the folded query, the likest first; equals keep their order.

    About 2 ms for 200 candidates and five words.
    """
    words = query.split()[:WORDS_MAX]
    sku = whole_sku(query)
    titles = [candidate.title.split() for candidate in candidates]
    alsos = [candidate.also.split() for candidate in candidates]
    vocabulary = list({word for text in (*titles, *alsos) for word in text})
    alike = [_alike(word, vocabulary, typed=n == len(words) - 1) for n, word in enumerate(words)]
    letters = sum(map(len, words))
    whole = process.extract(query, [candidate.title for candidate in candidates], scorer=fuzz.ratio, limit=None)
    marks = [0.0] * len(candidates)
    for _, ratio, n in whole:
        told = f" {candidates[n].description} "
        found = 0.0
        for word, like in zip(words, alike, strict=True):
            best = max(_best(like, titles[n]), _ALSO * _best(like, alsos[n]))
            if best < _TOLD and (word if is_unspaced(word) else f" {word} ") in told:
                best = _TOLD
            found += len(word) * best
        if sku in alsos[n]:
            marks[n] = max(_SKU, ratio / 100)
        elif found >= ENOUGH * letters:
            marks[n] = (1 - _WHOLE) * found / letters + _WHOLE * ratio / 100
    order = sorted((n for n, mark in enumerate(marks) if mark), key=lambda n: -marks[n])
    return [candidates[n] for n in order]


def _best(like: dict[str, float], words: Iterable[str]) -> float:
    return max((like.get(word, 0.0) for word in words), default=0.0)


def _alike(word: str, vocabulary: Sequence[str], *, typed: bool) -> dict[str, float]:
    """How like the word each of these is, up to 1; those that are not are left out. `typed`: it may lack its end."""
    likes: dict[str, float] = {}

    def note(n: int, score: float) -> None:
        likes[vocabulary[n]] = max(likes.get(vocabulary[n], 0.0), score)

    alike = process.extract(word, vocabulary, scorer=OSA.normalized_similarity, score_cutoff=_SLIP, limit=None)
    for _, score, n in alike:
        note(n, score)
    if is_unspaced(word):  # a run of several words: all of it may be there, with others between
        for n, other in enumerate(vocabulary):
            part = LCSseq.similarity(word, other) / len(word)
            if part >= _SLIP:
                note(n, _SCATTERED * part)
    elif typed and len(word) > 3:
        beginnings = [other[: len(word)] for other in vocabulary]
        begun = process.extract(word, beginnings, scorer=OSA.normalized_similarity, score_cutoff=_SLIP, limit=None)
        for _, score, n in begun:
            note(n, _SLIPPED_BEGINNING * score)
    for n, other in enumerate(vocabulary):
        if len(other) > len(word) and word in other and (least := _least(word, other, typed=typed)):
            note(n, least + _REST * len(word) / len(other))
    return likes


def _least(word: str, other: str, *, typed: bool) -> float:
    if is_unspaced(word):
        return _TYPED
    if other.startswith(word):
        return _TYPED if typed else _BEGINNING
    return _MIDDLE if len(word) > 2 else 0  # two letters stand in the middle of too many

"""Laws of the search, over any text: folding settles, a title finds its product, and grams never outgrow their rows."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from server.catalog.ranking import ranked
from server.catalog.search import QUERY_MAX
from server.domain.folding import fold
from server.domain.grams import GRAM_MAX, asked, entry
from server.domain.product import Candidate

texts = st.text(max_size=QUERY_MAX) | st.text("abcdé -'ßñ灯台ガﾞ", max_size=QUERY_MAX)


def candidate(n: int, title: str) -> Candidate:
    made = entry(title, f"SKU-{n}", "")
    return Candidate(str(n), made.title, made.also, made.description)


@given(texts)
def test_folding_again_changes_nothing(text: str) -> None:
    assert fold(fold(text)) == fold(text)


@given(texts, texts)
def test_words_fold_alone_as_they_do_in_company(one: str, other: str) -> None:
    assert fold(f"{one} {other}").split() == fold(one).split() + fold(other).split()


@given(texts)
def test_case_and_width_of_what_is_typed_do_not_matter(text: str) -> None:
    wide = "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" and c != "'" else c for c in text)
    assert fold(wide) == fold(text)


@given(texts, st.lists(texts, max_size=20))
def test_an_exact_title_comes_first_or_ties(title: str, others: list[str]) -> None:
    if not fold(title):
        return
    found = ranked(fold(title), [candidate(n, text) for n, text in enumerate([*others, title])])
    assert found[0].title == fold(title) or found[0].also.endswith(f"={fold(title).replace(' ', '')}"[:GRAM_MAX])


@given(texts)
def test_a_product_shares_a_gram_with_its_own_title(title: str) -> None:
    made = entry(title, "", "")
    grams = asked(made.title)
    assert bool(grams) == bool(made.title)
    assert not grams or set(grams) & made.grams.keys()
    assert all(len(gram) <= GRAM_MAX and not set(gram) & set(" :") for gram in made.grams)

from __future__ import annotations

import pytest

from server.domain.views import is_slug


@pytest.mark.parametrize("text", ["a", "7", "friday-drops", "a--b", "f" * 64])
def test_lower_case_letters_digits_and_inner_hyphens_name_a_stream(text):
    assert is_slug(text)


@pytest.mark.parametrize("text", ["", "-", "-a", "a-", "Friday", "a b", "a/b", "a_b", "é", "a\n", "f" * 65])
def test_anything_else_does_not(text):
    assert not is_slug(text)

"""What mails say, in both bodies, and what they never show."""

from __future__ import annotations

import pytest

from server.accounts.mail import Letters
from server.domain.mail import WITH_CODE, Purpose
from tests.services.smtp import code_of, html, plain

LETTERS = Letters("no-reply@shop.example", "https://shop.example/")


@pytest.mark.parametrize("purpose", list(Purpose))
def test_every_mail_has_two_bodies_of_the_same_words(purpose: Purpose) -> None:
    code = "012345" if purpose in WITH_CODE else None
    message = LETTERS.write("a" * 32, purpose, "ann@example.com", code, 10)
    assert message.get_content_type() == "multipart/alternative"
    assert (message["To"], message["From"]) == ("ann@example.com", "Dropcast <no-reply@shop.example>")
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Message-ID"] == f"<{'a' * 32}@shop.example>"
    first = plain(message).splitlines()[0]
    assert first in html(message)
    if code:
        assert code_of(message) == code
        assert "10 minutes" in plain(message)
    assert "\n\n\n" not in plain(message).replace("\r", "")
    assert len(bytes(message)) < 4_000


def test_links_lead_to_the_shop_and_are_left_out_when_nobody_said_where_it_is() -> None:
    with_link = LETTERS.write("1", Purpose.KNOWN, "ann@example.com", None, 10)
    assert "Sign in: https://shop.example/login" in plain(with_link)
    assert 'href="https://shop.example/login"' in html(with_link)
    without = Letters("a@b.example", None).write("1", Purpose.KNOWN, "ann@example.com", None, 10)
    assert "://" not in plain(without)
    assert "href" not in html(without)
    assert "Sign in" in plain(without)


def test_html_is_escaped_and_plain_is_not() -> None:
    message = Letters("a@b.example", "https://shop.example/<&>").write("1", Purpose.KNOWN, "a@b.example", None, 10)
    assert "<&>" not in html(message)
    assert "shop.example/<&>/login" in plain(message)

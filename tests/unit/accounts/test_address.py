"""Which addresses can be written to: nothing that a mail server or a header could take for two."""

from __future__ import annotations

from email.headerregistry import Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.accounts.address import mailable
from server.accounts.registration import proper_name
from server.domain.errors import Refused


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        (" Ann@Example.COM ", "ann@example.com"),
        ("a.b+c@x-y.example", "a.b+c@x-y.example"),
        ("o'neil@a.io", "o'neil@a.io"),
    ],
)
def test_an_address_is_kept_in_one_form(typed: str, kept: str) -> None:
    assert mailable(typed) == kept


@pytest.mark.parametrize(
    "address",
    ["", "ann", "a,b@example.com", "a;b@example.com", "<ann@example.com>", "ann@example.com, bob@example.com", "a@b",
     '"a b"@example.com', "ann@[127.0.0.1]", ".ann@example.com", "ann..b@example.com", "ann@-example.com",
     "ann@exa_mple.com", "añn@example.com", "ann@exämple.com", "ann@example.com\r\nBcc: bob@example.com",
     "a" * 65 + "@example.com",
     "ann@" + "a" * 64 + ".com", "ann@" + "a." * 130 + "com"],
)  # fmt: skip
def test_what_could_be_two_recipients_or_none_is_refused_and_named(address: str) -> None:
    with pytest.raises(Refused) as refused:
        mailable(address)
    assert refused.value.field == "email"


@given(st.emails())
def test_what_is_taken_is_one_recipient(address: str) -> None:
    try:
        kept = mailable(address)
    except Refused:
        return
    assert Address(addr_spec=kept).addr_spec == kept


@pytest.mark.parametrize(("typed", "kept"), [("  Ann   Lee ", "Ann Lee"), ("李", "李"), ("مریم‌السادات", "مریم‌السادات")])
def test_a_name_is_kept_tidy(typed: str, kept: str) -> None:
    assert proper_name(typed) == kept


@pytest.mark.parametrize("name", ["", "   ", "x" * 101, "Ann\x00", "Ann\u202elee", "Ann\u2066"])
def test_a_name_that_cannot_be_shown_is_refused_and_named(name: str) -> None:
    with pytest.raises(Refused) as refused:
        proper_name(name)
    assert refused.value.field == "name"

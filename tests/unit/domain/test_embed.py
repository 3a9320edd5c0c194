"""Which origins may embed: exact ones; and what whoever writes another is told."""

from __future__ import annotations

import pytest

from server.domain.embed import EMBED_ORIGINS_MAX, ORIGIN_MAX, checked, is_origin
from server.domain.errors import Reason, Refused

GOOD = [
    "https://partner.example",
    "https://shop.partner.example:8443",
    "https://xn--mnchen-3ya.example",
    "https://203.0.113.5",
    "https://[2001:db8::1]:8443",
    "http://localhost",
    "http://localhost:3000",
    "http://shop.localhost:3000",
    "http://127.0.0.1:8000",
    "http://127.9.9.9",
    "http://[::1]:8000",
]
BAD = [
    ("https://partner.example/", "write https://partner.example"),
    ("https://Partner.Example", "write https://partner.example"),
    ("https://partner.example:443", "write https://partner.example"),
    ("http://localhost:80", "write http://localhost"),
    ("https://partner.example:08443", "write https://partner.example:8443"),
    ("https://partner.example/show?x=1#y", "write https://partner.example"),
    (" https://partner.example\n", "write https://partner.example"),
    ("https://[2001:DB8:0::1]", "write https://[2001:db8::1]"),
    ("http://partner.example", "needs https"),
    ("HTTP://partner.example", "needs https"),
    ("http://localhost.partner.example", "needs https"),
    ("http://10.0.0.1", "needs https"),
    ("https://*.partner.example", "no wildcards"),
    ("*", "no wildcards"),
    ("null", "such as https://partner.example"),
    ("", "such as https://partner.example"),
    ("partner.example", "such as https://partner.example"),
    ("https://", "such as https://partner.example"),
    ("https://ann@partner.example", "such as https://partner.example"),
    ("https://partner.example:0", "such as https://partner.example"),
    ("https://partner.example:99999", "such as https://partner.example"),
    ("https://-partner.example", "such as https://partner.example"),
    ("https://partner..example", "such as https://partner.example"),
    ("https://münchen.example", "xn--"),
    ("https://partner.example\\@evil.example", "such as https://partner.example"),
    ("ftp://partner.example", "such as https://partner.example"),
    ("javascript:alert(1)", "such as https://partner.example"),
    ("https://" + "a" * 64 + ".example", "such as https://partner.example"),
    ("https://" + ".".join(["a" * 60] * 5), "such as https://partner.example"),
    ("https://[::1", "such as https://partner.example"),
    ("https://partner.example:٤٤", "such as https://partner.example"),
]


@pytest.mark.parametrize("origin", GOOD)
def test_what_a_browser_says_of_a_page_of_another_site_may_be_allowed(origin: str) -> None:
    assert is_origin(origin)
    assert checked([origin], field="origins") == (origin,)


@pytest.mark.parametrize(("origin", "told"), BAD)
def test_anything_else_is_named_with_what_to_write(origin: str, told: str) -> None:
    assert not is_origin(origin)
    with pytest.raises(Refused) as refused:
        checked(["https://good.example", origin], field="origins")
    assert refused.value.reason is Reason.BAD_REQUEST
    assert refused.value.field == "origins"
    assert repr(origin)[:200] in refused.value.detail
    assert told in refused.value.detail


def test_each_stands_once_and_there_are_so_many_at_the_most() -> None:
    some = [f"https://p{n:02}.example" for n in range(EMBED_ORIGINS_MAX)]
    assert checked([*reversed(some), *some], field="origins") == tuple(some)
    assert checked([], field="origins") == ()
    with pytest.raises(Refused, match=f"at most {EMBED_ORIGINS_MAX}"):
        checked([*some, "https://one-more.example"], field="origins")


def test_the_longest_host_name_fits() -> None:
    longest = ".".join(["a" * 63, "b" * 63, "c" * 63, "d" * 61])
    assert len(longest) == 253
    assert is_origin(f"https://{longest}:65535")
    assert len(f"https://{longest}:65535") <= ORIGIN_MAX

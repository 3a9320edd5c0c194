from __future__ import annotations

import pytest

from server.protocol.codes import CloseCode

COME_BACK = {1000: False, 1007: False, 1009: False, 1012: True, 1013: True, 4008: True, 4012: True}
COME_BACK |= {4500: False, 4501: False, 4503: False, 4504: False}
"""The contract: every code we close with, and whether a client should connect again."""


@pytest.mark.parametrize(("code", "come_back"), COME_BACK.items())
def test_a_close_code_says_whether_to_come_back(code, come_back):
    assert CloseCode(code).come_back is come_back


def test_there_are_no_close_codes_but_these():
    assert {int(code) for code in CloseCode} == set(COME_BACK)


def test_the_ranges_hold_for_every_code_of_ours():
    for code in CloseCode:
        if code >= 4000:
            assert code.come_back is (code < 4500)

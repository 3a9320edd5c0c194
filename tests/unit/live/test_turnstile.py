"""The turnstile: sockets per network and per user, counted exactly; guests have half."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from server.domain.errors import Reason, Refused
from server.live import turnstile
from server.live.turnstile import IDLE_MAX, REFILL_S, SOCKETS_PER_USER, Entry, Turnstile

HERE, THERE = "203.0.113.0/24", "198.51.100.0/24"


class Clock:
    def __init__(self) -> None:
        self.s = 0.0

    def __call__(self) -> float:
        return self.s


def refused(gate: Turnstile, network: str, user: str | None) -> Refused:
    with pytest.raises(Refused) as error:
        gate.enter(network, user)
    assert error.value.reason is Reason.RATE_LIMITED
    assert error.value.retry_after_s is not None
    assert f"come back in {error.value.retry_after_s} s" in error.value.detail
    return error.value


def test_ten_thousand_guests_behind_one_address_come_watch_and_all_come_back() -> None:
    gate = Turnstile(40_000, now_s=Clock())
    watching = [gate.enter(HERE, None) for _ in range(10_000)]
    back = [gate.enter(HERE, None) for _ in range(10_000)]  # the broken sockets are not yet found dead
    for entry in watching:
        gate.leave(entry)
    signed_in = [gate.enter(HERE, f"u{number}") for number in range(20_000)]
    assert len(back) + len(signed_in) == 30_000


def test_guests_have_half_of_the_sockets_and_a_place_is_free_at_once() -> None:
    gate = Turnstile(8)
    guests = [gate.enter(HERE, None) for _ in range(4)]
    refused(gate, HERE, None)
    gate.enter(THERE, None)
    signed_in = [gate.enter(HERE, f"u{number}") for number in range(4)]
    refused(gate, HERE, "u9")
    gate.leave(signed_in[0])
    refused(gate, HERE, None)
    gate.leave(guests[0])
    gate.leave(guests[0])
    gate.enter(HERE, "u9")
    refused_again = Turnstile(8)
    assert refused_again.enter(HERE, None)


def test_upgrades_are_as_many_as_sockets_and_then_come_back_slowly() -> None:
    clock = Clock()
    gate = Turnstile(20, now_s=clock)
    for _ in range(10):
        gate.leave(gate.enter(HERE, None))
    assert refused(gate, HERE, None).retry_after_s == REFILL_S / 10
    gate.leave(gate.enter(HERE, "ann"))  # who is signed in has a pace of their own
    gate.leave(gate.enter(THERE, None))
    clock.s += REFILL_S / 10
    gate.leave(gate.enter(HERE, None))
    refused(gate, HERE, None)


def test_one_user_holds_so_many_wherever_they_are_and_whatever_they_show() -> None:
    gate = Turnstile(40_000)
    held = [gate.enter(HERE if number % 2 else THERE, "ann") for number in range(SOCKETS_PER_USER)]
    refused(gate, HERE, "ann")
    guest = gate.enter(HERE, None)
    with pytest.raises(Refused):
        gate.name(guest, "ann")
    gate.leave(held[0])
    gate.name(guest, "ann")
    refused(gate, HERE, "ann")
    gate.leave(guest)
    gate.enter(HERE, "ann")


def test_switched_off_nobody_is_refused() -> None:
    gate = Turnstile(None)
    entries = [gate.enter(HERE, user) for user in ("ann", None) for _ in range(100)]
    gate.name(entries[-1], "ann")
    for entry in entries:
        gate.leave(entry)


def test_what_it_remembers_is_bounded_and_open_sockets_are_never_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    assert IDLE_MAX == 20_000
    monkeypatch.setattr(turnstile, "IDLE_MAX", 10)
    gate = Turnstile(2, now_s=Clock())
    held = gate.enter(HERE, None)
    for number in range(100):
        gate.leave(gate.enter(f"n{number}", None))
        refused(gate, f"n{number}", None)
    assert len(gate._idle) == 10
    refused(gate, HERE, None)
    gate.leave(held)


class Turns(RuleBasedStateMachine):
    """Whatever comes and goes: the counts are those of who is in, and nothing is left of who is not."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = Turnstile(6)
        self.inside: list[tuple[Entry, str, str | None]] = []

    @rule(network=st.sampled_from([HERE, THERE]), user=st.sampled_from([None, "ann", "bob"]))
    def come(self, network: str, user: str | None) -> None:
        there = [(n, u) for _, n, u in self.inside if n == network]
        try:
            entry = self.gate.enter(network, user)
        except Refused as error:
            rule_of = error.detail
            full = len(there) >= 6 or (user is None and sum(u is None for _, u in there) >= 3)
            assert full or "at once" in rule_of
            return
        self.inside.append((entry, network, user))

    @rule(which=st.integers(0, 20), user=st.sampled_from(["ann", "bob"]))
    def show_a_ticket(self, which: int, user: str) -> None:
        if self.inside:
            entry, network, before = self.inside.pop(which % len(self.inside))
            self.gate.name(entry, user)
            self.inside.append((entry, network, before or user))

    @rule(which=st.integers(0, 20))
    def go(self, which: int) -> None:
        if self.inside:
            entry, _, _ = self.inside.pop(which % len(self.inside))
            self.gate.leave(entry)
            self.gate.leave(entry)

    @invariant()
    def it_counts_who_is_in(self) -> None:
        said = {(n.name, n.sockets, n.guests) for n in self.gate._open.values()}
        networks = {network for _, network, _ in self.inside}
        assert said == {
            (
                name,
                sum(network == name for _, network, _ in self.inside),
                sum(network == name and user is None for _, network, user in self.inside),
            )
            for name in networks
        }
        users = [user for _, _, user in self.inside if user]
        assert self.gate._users == {user: users.count(user) for user in users}
        assert not any(network.sockets for network in self.gate._idle.values())


TestTurns = Turns.TestCase

"""A room against its promises: who is here hears everything, in order, once, whoever comes, goes or lags."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from server.live import room as room_module
from server.live.room import Room


class Turns(asyncio.AbstractEventLoop):
    """A loop whose callbacks a test runs one at a time, in order."""

    def __init__(self) -> None:
        self.due: deque[Callable[[], object]] = deque()

    def call_soon(self, callback: Callable[..., object], *args: object, context: object = None) -> Any:  # noqa: ARG002
        self.due.append(lambda: callback(*args))

    def turn(self) -> None:
        self.due.popleft()()

    def run(self) -> None:
        while self.due:
            self.turn()


class Member:
    """A viewer, and what it may demand. Frames are `e1.` and `s2.`: an event, a state."""

    def __init__(self, room: Room[Member], person: str = "ann") -> None:
        self.person = person
        self.place = -1
        self.skip = 0
        self.room = room
        self.here = self.slow = self.was_slow = False
        self.due: list[str] = []
        """All that was fanned out while it was here."""
        self.not_due: set[str] = set()
        """States fanned out while it was slow: it is told the state of now instead."""
        self.heard: list[str] = []
        self.in_write: list[str] = []
        """What happens to it inside its next writes: asyncio's transports pause a protocol from inside `write`."""

    def join(self) -> None:
        self.room.add(self)
        self.here = True

    def leave(self) -> None:
        self.here = False
        self.room.remove(self)

    def slow_down(self) -> None:
        self.slow = self.was_slow = True
        self.room.slow_down(self)

    def speed_up(self) -> None:
        was, self.slow = self.slow, False
        assert self.room.speed_up(self) is was

    def write_bytes(self, data: bytes) -> None:
        assert self.here, "written to after it left"
        frames = data.decode().removesuffix(".").split(".")
        assert frames != [""], "an empty write"
        assert not (self.slow and any(frame.startswith("s") for frame in frames)), "state for a slow viewer"
        self.heard += frames
        if self.in_write:
            match self.in_write.pop():
                case "leave":
                    self.leave()
                case "slow_down":
                    self.slow_down()

    def write_bounded(self, data: bytes) -> None:
        assert self.slow, "only slow viewers are bounded by the room"
        self.write_bytes(data)

    def check(self, *, all_of_it: bool) -> None:
        events = [frame for frame in self.heard if frame.startswith("e")]
        due = [frame for frame in self.due if frame.startswith("e")]
        assert events == due[: len(events)], "an event is missing, comes twice, or out of order"
        assert _is_subsequence(self.heard, self.due), "frames out of order"
        assert not self.not_due.intersection(self.heard), "a state of the time when it was slow"
        if all_of_it:
            assert events == due, "an event never came"
        if not self.was_slow:
            assert self.heard == self.due[: len(self.heard)]
            assert not all_of_it or self.heard == self.due, "a state never came"


def _is_subsequence(short: list[str], long: list[str]) -> bool:
    rest = iter(long)
    return all(frame in rest for frame in short)


class Evening(RuleBasedStateMachine):
    """Viewers come, go, lag and catch up at any moment: between turns, in the middle of a flush, inside a write."""

    kind: type[Room[Member]] = Room

    def __init__(self) -> None:
        super().__init__()
        self.loop = Turns()
        self.room = self.kind(self.loop)
        self.members: list[Member] = []
        self.told = 0
        self.thens = self.thens_done = 0

    def here(self) -> list[Member]:
        return [member for member in self.members if member.here]

    def pick(self, number: int) -> Member:
        return self.here()[number % len(self.here())]

    someone_is_here = precondition(lambda self: bool(self.here()))
    numbers = st.integers(0, 30)

    @rule(people=st.lists(st.sampled_from("abc"), min_size=1, max_size=6), large_welcome=st.booleans())
    def join(self, people, large_welcome):
        for person in people:
            self.members.append(Member(self.room, person))
            self.members[-1].join()
        if large_welcome:
            self.members[-1].slow_down()

    @someone_is_here
    @rule(number=numbers)
    def leave(self, number):
        self.pick(number).leave()

    @someone_is_here
    @rule(number=numbers)
    def slow_down(self, number):
        self.pick(number).slow_down()

    @someone_is_here
    @rule(number=numbers)
    def speed_up(self, number):
        self.pick(number).speed_up()

    @someone_is_here
    @rule(number=numbers, what=st.sampled_from(["leave", "slow_down"]))
    def react_inside_the_next_write(self, number, what):
        self.pick(number).in_write = [what]

    @rule(kinds=st.text("es", min_size=1, max_size=3))
    def fan_out(self, kinds):
        for kind in kinds:
            self.told += 1
            frame = f"{kind}{self.told}"
            for member in self.here():
                member.due.append(frame)
                if member.slow and kind == "s":
                    member.not_due.add(frame)
            self.room.fan_out(f"{frame}.".encode(), state=kind == "s")

    @rule()
    def then(self):
        self.thens += 1
        owed = [(member, len(member.due)) for member in self.here()]
        number = self.thens

        def work() -> None:
            assert number == self.thens_done + 1, "works out of order"
            self.thens_done = number
            for member, due in owed:
                if member.here:
                    before = [frame for frame in member.due[:due] if frame.startswith("e")]
                    assert [frame for frame in member.heard if frame in before] == before, "before it was written"

        self.room.then(work)

    @precondition(lambda self: self.loop.due)
    @rule(turns=st.integers(1, 3))
    def turn(self, turns):
        for _ in range(min(turns, len(self.loop.due))):
            self.loop.turn()

    @rule()
    def settle(self):
        self.loop.run()

    @invariant()
    def the_room_is_as_the_door_counted(self):
        here = self.here()
        assert len(self.room) == len(here)
        assert sorted(map(id, self.room)) == sorted(map(id, here))
        assert {who: len(sockets) for who, sockets in self.room.people.items()} == Counter(m.person for m in here)

    @invariant()
    def everyone_heard_what_they_were_due(self):
        quiet = not self.loop.due
        for member in self.members:
            member.check(all_of_it=quiet and member.here)
        assert not quiet or self.thens_done == self.thens

    def teardown(self):
        self.loop.run()
        self.the_room_is_as_the_door_counted()
        self.everyone_heard_what_they_were_due()


LAW = settings(max_examples=300, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.fixture(autouse=True)
def _small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room_module, "SLICE", 2)


def test_who_is_here_hears_everything_in_order_and_once() -> None:
    run_state_machine_as_test(Evening, settings=LAW)


class FillsPlacesDuringAFlush(Room[Member]):
    """Moves the last one to the empty place at once: it is skipped, or the flush writes beyond its end."""

    def _empty(self, place: int) -> None:
        flushing, self._flushing = self._flushing, False
        super()._empty(place)
        self._flushing = flushing


class ForgetsWhoSlowsDownDuringAFlush(Room[Member]):
    """Whoever becomes slow before a flush has reached it gets nothing of it."""

    def slow_down(self, member: Member) -> None:
        if self._take_out(member):
            self._slow[member] = None


class ForgetsWhatTheWelcomeHeld(Room[Member]):
    """Whoever becomes slow right after its welcome hears again what was in it."""

    def slow_down(self, member: Member) -> None:
        super().slow_down(member)
        member.skip = 0


@pytest.mark.parametrize(
    "broken", [FillsPlacesDuringAFlush, ForgetsWhoSlowsDownDuringAFlush, ForgetsWhatTheWelcomeHeld]
)
def test_the_law_can_fail(broken: type[Room[Member]]) -> None:
    machine = type("Broken", (Evening,), {"kind": broken})
    with pytest.raises((AssertionError, IndexError)):
        run_state_machine_as_test(
            machine,
            settings=settings(LAW, max_examples=2_000, phases=[Phase.generate], database=None, print_blob=False),
        )


# Examples


class Hall:
    """A room of five, in slices of two."""

    def __init__(self) -> None:
        self.loop = Turns()
        self.room: Room[Member] = Room(self.loop)
        self.members = [self.join(person) for person in "abcde"]

    def join(self, person: str) -> Member:
        member = Member(self.room, person)
        member.join()
        return member

    def says(self, *frames: str) -> None:
        for frame in frames:
            self.room.fan_out(f"{frame}.".encode(), state=frame.startswith("s"))

    @property
    def heard(self) -> list[list[str]]:
        return [member.heard for member in self.members]


@pytest.fixture
def hall() -> Hall:
    return Hall()


def test_frames_of_one_turn_are_one_write(hall: Hall) -> None:
    writes: list[bytes] = []
    newcomer = Member(hall.room, "f")
    newcomer.write_bytes = writes.append  # type: ignore[method-assign]
    newcomer.join()
    hall.says("e1", "s2", "e3")
    assert writes == []
    hall.loop.run()
    assert writes == [b"e1.s2.e3."]


def test_a_fan_out_lets_the_loop_breathe_after_each_slice(hall: Hall) -> None:
    hall.says("e1")
    reached = []
    while hall.loop.due:
        hall.loop.turn()
        reached.append(sum(map(len, hall.heard)))
    assert reached == [2, 4, 5]


def test_an_empty_room_takes_frames_and_lets_no_work_wait() -> None:
    loop, done = Turns(), []
    room: Room[Member] = Room(loop)
    room.then(lambda: done.append("at once"))
    room.fan_out(b"e1.")
    room.then(lambda: done.append("after"))
    assert done == ["at once"]
    loop.run()
    assert done == ["at once", "after"]


def test_who_joins_in_the_middle_of_a_flush_hears_only_what_comes_after(hall: Hall) -> None:
    hall.says("e1")
    hall.loop.turn()
    late = hall.join("late")
    hall.says("e2")
    hall.loop.run()
    assert late.heard == ["e2"]
    assert hall.heard == [["e1", "e2"]] * 5


def test_who_joins_between_a_fan_out_and_its_flush_does_not_hear_it_again(hall: Hall) -> None:
    hall.says("e1")
    late = hall.join("late")
    hall.says("e2")
    hall.loop.run()
    assert late.heard == ["e2"]


@pytest.mark.parametrize("leaver", range(5))
def test_who_leaves_in_the_middle_of_a_flush_costs_nobody_else_a_frame(hall: Hall, leaver: int) -> None:
    hall.says("e1")
    hall.loop.turn()
    hall.members.pop(leaver).leave()
    hall.says("e2")
    hall.loop.run()
    assert hall.heard == [["e1", "e2"]] * 4
    assert len(hall.room) == 4


def test_a_slow_viewer_gets_events_only_and_everything_again_once_it_has_caught_up(hall: Hall) -> None:
    slow = hall.members[0]
    slow.slow_down()
    hall.says("e1", "s2")
    hall.loop.run()
    hall.says("s3")
    hall.loop.run()
    hall.says("e4", "s5")
    slow.speed_up()
    hall.says("s6")
    hall.loop.run()
    assert slow.heard == ["e1", "e4", "s6"]
    assert not hall.room.speed_up(slow)


def test_who_becomes_slow_before_a_flush_has_reached_it_still_gets_its_events(hall: Hall) -> None:
    hall.says("e1", "s2")
    hall.loop.turn()
    last = hall.members[4]
    last.slow_down()
    hall.loop.run()
    assert last.heard == ["e1"]


def test_who_is_slow_from_its_welcome_on_does_not_hear_again_what_the_welcome_held(hall: Hall) -> None:
    hall.says("e1")
    late = hall.join("late")
    late.slow_down()
    hall.says("e2")
    hall.loop.run()
    assert late.heard == ["e2"]


def test_who_is_filled_up_by_what_it_missed_does_not_hear_it_twice(hall: Hall) -> None:
    hall.says("e1")
    late = hall.join("late")
    late.in_write = ["slow_down"]
    hall.says("e2")
    hall.loop.run()
    assert late.heard == ["e2"]


def test_two_sockets_of_one_person_are_one_person_until_both_are_gone(hall: Hall) -> None:
    again = hall.join("a")
    assert (len(hall.room), len(hall.room.people), len(hall.room.of("a"))) == (6, 5, 2)
    hall.members[0].leave()
    assert len(hall.room.of("a")) == 1
    again.leave()
    again.leave()
    assert "a" not in hall.room.people
    assert len(hall.room) == 4

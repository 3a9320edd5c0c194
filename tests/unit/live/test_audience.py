"""How many people watch: people, not sockets, over all replicas."""

from __future__ import annotations

import msgspec
import pytest

from server.live.audience import FORGOTTEN_AFTER_S, NAMED_MAX, Audience
from server.live.room import Room
from server.protocol import codec, frames

from .examples import AtOnce, Viewer


class Replica:
    """The people of one replica, by person and number of sockets."""

    def __init__(self, name: str, *people: str, now_s: list[float] | None = None) -> None:
        self.now_s = now_s if now_s is not None else [0.0]
        self.here = dict.fromkeys(people, 1)
        self.audience = Audience(name, self.here, lambda: self.now_s[0])

    def tells(self, *others: Replica) -> None:
        """Over the wire, as the bus brings it."""
        said = codec.decode_news(codec.encode(self.audience.said()))
        assert isinstance(said, frames.Present)
        for other in others:
            other.audience.hear(said)

    @property
    def count(self) -> int:
        return self.audience.count()


def many(first: int, count: int) -> list[str]:
    return [f"guest-{number}" for number in range(first, first + count)]


def test_alone_a_replica_counts_its_own_people() -> None:
    assert Replica("one").count == 0
    assert Replica("one", "ann", "ben").count == 2


def test_a_person_with_two_sockets_counts_once() -> None:
    one = Replica("one", "ann")
    one.here["ann"] = 2
    assert one.count == 1
    assert one.audience.said().viewers == 1


def test_a_person_on_two_replicas_counts_once_and_the_others_each() -> None:
    one, two = Replica("one", "ann", "ben"), Replica("two", "ann", "cid")
    one.tells(two)
    two.tells(one)
    assert (one.count, two.count) == (3, 3)


def test_our_own_words_come_back_and_are_ignored() -> None:
    one = Replica("one", "ann")
    one.tells(one)
    del one.here["ann"]
    assert one.count == 0


def test_what_a_replica_says_replaces_what_it_said() -> None:
    one, two = Replica("one", "ann"), Replica("two", "ben")
    two.tells(one)
    del two.here["ben"]
    two.here.update(dict.fromkeys(["cid", "dan"], 1))
    two.tells(one)
    two.tells(one)
    assert one.count == 3


def test_a_replica_that_falls_silent_is_forgotten_and_one_that_speaks_is_not() -> None:
    now_s = [100.0]
    one = Replica("one", "ann", now_s=now_s)
    silent, alive = Replica("silent", "ben"), Replica("alive", "cid")
    silent.tells(one)
    now_s[0] += FORGOTTEN_AFTER_S
    alive.tells(one)
    assert one.count == 3
    now_s[0] += 0.001
    assert one.count == 2
    silent.tells(one)
    assert one.count == 3


def test_many_people_are_not_named_and_add_up() -> None:
    one, two = Replica("one", *many(0, NAMED_MAX)), Replica("two", *many(0, NAMED_MAX + 1))
    assert one.audience.said().people is not None
    assert two.audience.said().people is None
    one.tells(two)
    two.tells(one)
    assert one.count == two.count == 2 * NAMED_MAX + 1


def test_named_and_unnamed_replicas_together() -> None:
    one, two, three = Replica("one", "ann", "ben"), Replica("two", *many(0, NAMED_MAX + 1)), Replica("three", "ann")
    two.tells(one)
    three.tells(one)
    assert one.count == 2 + NAMED_MAX + 1


@pytest.mark.parametrize("people", [2, NAMED_MAX, NAMED_MAX + 1])
def test_all_replicas_agree_once_all_have_spoken(people: int) -> None:
    replicas = [Replica(name, *many(first, people)) for name, first in (("one", 0), ("two", 1), ("three", people))]
    for speaker in replicas:
        speaker.tells(*replicas)
    assert len({replica.count for replica in replicas}) == 1


def test_an_announcement_names_nobody_and_stays_small() -> None:
    one = Replica("one", "user-0123456789abcdef", *many(0, NAMED_MAX - 1))
    said = msgspec.json.encode(one.audience.said())
    assert b"user" not in said
    assert b"guest" not in said
    assert len(said) < 8 * 1024


def test_a_reload_changes_nothing_whichever_socket_closes_first() -> None:
    room: Room[Viewer] = Room(AtOnce())
    audience = Audience("one", room.people, lambda: 0.0)
    old, new, other = Viewer("ann"), Viewer("ann"), Viewer("ben")
    room.add(old)
    room.add(other)
    counts = []
    for step in (lambda: room.add(new), lambda: room.remove(old), lambda: room.remove(old)):
        step()
        counts.append(audience.count())
    assert counts == [2, 2, 2]
    room.remove(new)
    assert audience.count() == 1


def test_a_slow_viewer_is_still_a_viewer() -> None:
    room: Room[Viewer] = Room(AtOnce())
    audience = Audience("one", room.people, lambda: 0.0)
    ann = Viewer("ann")
    room.add(ann)
    room.slow_down(ann)
    assert audience.count() == 1
    room.speed_up(ann)
    assert audience.count() == 1

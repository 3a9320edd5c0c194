"""The door: who a cookie and a ticket stand for, and who stays outside."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from server.accounts.address import EMAIL_MAX, normal_email
from server.accounts.door import NAME_MAX, TICKET_TTL_S, Door
from server.accounts.keep import MemoryKeep
from server.accounts.passwords import Passwords
from server.accounts.sessions import Sessions
from server.domain.errors import Reason, Refused
from server.domain.ids import new_id
from server.domain.session import SESSION_IDLE_S, SESSION_MAX_S, Caller, Revoked
from server.domain.user import Role, User
from tests.unit.accounts.book import Book, Clock, settled

NEW, OLD, OTHER = "n" * 32, "o" * 32, "x" * 32
PASSWORD = "correct horse"


class Users:
    """A user book in memory."""

    def __init__(self, by_id: dict[str, User]) -> None:
        self.kept: dict[str, tuple[User, str | None]] = {}
        self.by_id = by_id

    async def create(self, *, email: str, name: str, role: Role, password_hash: str | None) -> User:
        if email in self.kept:
            raise Refused(Reason.CONFLICT, "there is an account")
        user = User(new_id(), email, name, role)
        self.kept[email] = user, password_hash
        self.by_id[user.id] = user
        return user

    async def create_nameless(self, count: int) -> list[User]:
        return [User(new_id(), "", "Guest", Role.VIEWER) for _ in range(count)]

    async def by_email(self, email: str) -> tuple[User, str | None] | None:
        return self.kept.get(email)

    async def set_password(self, user_id: str, password_hash: str) -> None:
        for email, (user, _) in self.kept.items():
            if user.id == user_id:
                self.kept[email] = user, password_hash


class Place:
    """Users, what is kept, and doors over them with any keys."""

    def __init__(self, passwords: Passwords) -> None:
        self.clock = Clock()
        self.book = Book(self.clock)
        self.users = Users(self.book.users)
        self.keep = MemoryKeep(self.clock)
        self.passwords = passwords

    def door(self, keys: Sequence[str] = (NEW,)) -> Door:
        return Door(self.users, Sessions(self.book, self.keep), self.keep, self.passwords, keys)


@pytest.fixture(scope="module")
def passwords() -> Iterator[Passwords]:
    passwords = Passwords()
    yield passwords
    passwords.close()


@pytest.fixture
def place(passwords: Passwords) -> Place:
    return Place(passwords)


async def signed_in(place: Place, keys: Sequence[str] = (NEW,)) -> tuple[str, User]:
    door = place.door(keys)
    await door.create_user("ann@example.com", Role.VIEWER, password=PASSWORD)
    return await door.sign_in("Ann@Example.com ", PASSWORD)


# Accounts


async def test_a_user_is_created_with_a_normal_address_and_a_name(place: Place) -> None:
    user = await place.door().create_user(" Ann@Example.COM", Role.HOST, password=PASSWORD)
    assert (user.email, user.name, user.role) == ("ann@example.com", "ann", Role.HOST)
    assert (place.users.kept["ann@example.com"][1] or "").startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    long = await place.door().create_user("bob@example.com", Role.VIEWER, name=f" {'B' * 200}")
    assert long.name == "B" * NAME_MAX
    assert place.users.kept["bob@example.com"][1] is None


@pytest.mark.parametrize(
    "address",
    ["", "ann", "ann@", "@example.com", "ann@example", "a nn@example.com", "ann@exa mple.com", "ann@@example.com",
     "ann@example.com\nbcc: all@example.com", "a\x00@example.com", "a" * EMAIL_MAX + "@example.com"],
)  # fmt: skip
async def test_what_is_no_address_is_refused(place: Place, address: str) -> None:
    assert normal_email(address) is None
    with pytest.raises(Refused) as refused:
        await place.door().create_user(address, Role.VIEWER)
    assert refused.value.reason is Reason.BAD_REQUEST


@pytest.mark.parametrize("password", ["", "123456789", "x" * 201, "password123", "ann@example.com"])
async def test_a_password_too_short_too_long_or_easily_guessed_is_refused(place: Place, password: str) -> None:
    with pytest.raises(Refused) as refused:
        await place.door().create_user("ann@example.com", Role.VIEWER, password=password)
    assert (refused.value.reason, refused.value.field) == (Reason.BAD_REQUEST, "password")
    assert place.users.kept == {}


# Sessions


async def test_a_cookie_stands_for_who_signed_in_until_they_sign_out(place: Place) -> None:
    cookie, user = await signed_in(place)
    assert await place.door().user_of(cookie) == user
    await place.door().sign_out(cookie)
    assert await place.door().user_of(cookie) is None
    await place.door().sign_out(cookie)  # harmless


@pytest.mark.parametrize(
    ("email", "password"),
    [
        ("ann@example.com", "wrong horse"),
        ("ann@example.com", ""),
        ("ann@example.com", "x" * 300),
        ("bob@example.com", PASSWORD),
        ("no address", PASSWORD),
        ("guest@example.com", "nobody has this password"),
    ],
)
async def test_every_wrong_pair_is_refused_in_the_same_words(place: Place, email: str, password: str) -> None:
    await signed_in(place)
    await place.door().create_user("guest@example.com", Role.VIEWER)  # without a password
    with pytest.raises(Refused) as refused:
        await place.door().sign_in(email, password)
    assert (refused.value.reason, refused.value.detail) == (
        Reason.BAD_CREDENTIALS,
        "e-mail address or password is wrong",
    )


@pytest.mark.parametrize(("meanwhile", "let_in"), [(OTHER, False), (PASSWORD, True), (None, False)])
async def test_a_sign_in_with_a_password_that_is_changed_meanwhile_leaves_no_session(
    place: Place, meanwhile: str | None, let_in: bool
) -> None:
    """The change ends the sessions it finds; the one that is opened right after it must not outlive it."""
    _, user = await signed_in(place)
    opened = place.book.open

    async def open_late(session_id: str, user_id: str, device: str) -> None:
        hashed = await place.passwords.hash(meanwhile) if meanwhile else None
        place.users.kept[user.email] = user, hashed
        await place.book.end(user.id)
        await opened(session_id, user_id, device)

    place.book.open = open_late  # type: ignore[method-assign]
    if let_in:  # another sign-in has renewed the hash
        cookie, _ = await place.door().sign_in(user.email, PASSWORD)
        assert await place.door().user_of(cookie) == user
    else:
        with pytest.raises(Refused, match="bad_credentials"):
            await place.door().sign_in(user.email, PASSWORD)
    assert [session.revoked for session in place.book.rows.values()] == [True, not let_in]


async def test_a_forged_cookie_is_a_guest(place: Place) -> None:
    cookie, _ = await signed_in(place)
    session, _, signature = cookie.partition(".")
    forged = [None, "", "x", session, f"{session}.", f".{signature}", f"{session}x.{signature}", "é.é"]
    other_letter = "A" if signature[0] != "A" else "B"
    forged += [f"{session}.{other_letter}{signature[1:]}", await _signed_by_another_key(place)]
    for text in forged:
        assert await place.door().user_of(text) is None
        await place.door().sign_out(text)
    assert await place.door().user_of(cookie) is not None


async def _signed_by_another_key(place: Place) -> str:
    return (await place.door((OTHER,)).sign_in("ann@example.com", PASSWORD))[0]


async def test_keys_rotate_newest_first_without_signing_anybody_out(place: Place) -> None:
    old_cookie, user = await signed_in(place, (OLD,))
    both = place.door((NEW, OLD))
    assert await both.user_of(old_cookie) == user
    new_cookie, _ = await both.sign_in("ann@example.com", PASSWORD)
    only_new = place.door((NEW,))
    assert await only_new.user_of(new_cookie) == user
    assert await only_new.user_of(old_cookie) is None


async def test_a_session_ends_after_two_weeks_without_use(place: Place) -> None:
    cookie, user = await signed_in(place)
    for _ in range(3):
        place.clock.s += SESSION_IDLE_S - 1
        assert await place.door().user_of(cookie) == user  # used: kept on
        await settled()
    place.clock.s += SESSION_IDLE_S
    assert await place.door().user_of(cookie) is None


async def test_a_session_ends_after_ninety_days_however_much_it_is_used(place: Place) -> None:
    cookie, user = await signed_in(place)
    while place.clock.s < SESSION_MAX_S - 24 * 3600:
        place.clock.s += 24 * 3600
        assert await place.door().user_of(cookie) == user
        await settled()
    place.clock.s = SESSION_MAX_S - 1
    assert await place.door().user_of(cookie) == user
    await settled()
    place.clock.s = SESSION_MAX_S  # no copy lives on beyond it
    assert await place.door().user_of(cookie) is None


async def test_a_session_remembers_a_few_words_of_the_user_agent(place: Place) -> None:
    cookie, user = await signed_in(place)
    await place.door().open_session(user, "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")
    assert [session.device for session in await place.door().sessions.of_user(user.id)] == ["", "Firefox on Linux"]
    assert cookie


async def test_who_signs_out_everywhere_else_stays_here(place: Place) -> None:
    here, user = await signed_in(place)
    door = place.door()
    elsewhere, _ = await door.sign_in("ann@example.com", PASSWORD)
    another = await door.open_session(await door.create_user("bob@example.com", Role.VIEWER))
    caller = await door.caller_of(here)
    assert caller is not None
    await door.end_sessions(user.id, except_session=caller.session)
    assert [await door.user_of(cookie) is not None for cookie in (here, elsewhere, another)] == [True, False, True]
    await door.end_sessions(user.id)
    assert [await door.user_of(cookie) is not None for cookie in (here, elsewhere, another)] == [False, False, True]


async def test_what_is_kept_lets_nobody_in(place: Place) -> None:
    """Only digests: who reads the store has neither cookies nor tickets."""
    cookie, user = await signed_in(place)
    caller = await place.door().caller_of(cookie)
    assert caller is not None
    ticket = await place.door().ticket(caller, "friday")
    session = cookie.partition(".")[0]
    assert [row.user for row in place.book.rows.values()] == [user]
    kept = repr(place.keep._values) + repr(place.book.rows)
    assert session not in kept
    assert ticket not in kept
    assert PASSWORD not in kept


async def test_a_hash_made_with_other_parameters_is_made_anew_at_sign_in(place: Place) -> None:
    from argon2 import PasswordHasher

    door = place.door()
    user = await door.create_user("ann@example.com", Role.VIEWER)
    await place.users.set_password(user.id, PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD))
    await door.sign_in("ann@example.com", PASSWORD)
    fresh = place.users.kept["ann@example.com"][1]
    assert fresh is not None
    assert "m=19456" in fresh
    await door.sign_in("ann@example.com", PASSWORD)
    assert place.users.kept["ann@example.com"][1] == fresh


# Tickets


GUEST = Caller(User("u" * 32, "", "Guest", Role.VIEWER), None)


async def test_a_ticket_lets_its_bearer_in_once(place: Place) -> None:
    cookie, user = await signed_in(place)
    caller = await place.door().caller_of(cookie)
    assert caller is not None
    for made_by in (caller, GUEST):
        ticket = await place.door().ticket(made_by, "friday")
        assert await place.door().redeem(ticket, "friday") == made_by
        assert await place.door().redeem(ticket, "friday") is None
    assert caller.user == user


async def test_a_ticket_holds_no_longer_than_its_session_and_means_who_its_user_is_now(place: Place) -> None:
    cookie, user = await signed_in(place)
    door = place.door()
    caller = await door.caller_of(cookie)
    assert caller is not None
    assert caller.session is not None
    early, late = await door.ticket(caller, "friday"), await door.ticket(caller, "friday")
    host = place.book.users[user.id] = User(user.id, user.email, user.name, Role.HOST)
    await door.sessions.revoke(Revoked(users={user.id: Role.HOST}), [caller.session])
    assert await door.redeem(early, "friday") == Caller(host, caller.session)
    await door.sign_out(cookie)
    assert await door.redeem(late, "friday") is None


async def test_a_ticket_for_another_stream_lets_nobody_in_and_is_used_up(place: Place) -> None:
    ticket = await place.door().ticket(GUEST, "friday")
    assert await place.door().redeem(ticket, "monday") is None
    assert await place.door().redeem(ticket, "friday") is None


async def test_a_ticket_expires(place: Place) -> None:
    in_time, late = await place.door().ticket(GUEST, "friday"), await place.door().ticket(GUEST, "friday")
    place.clock.s += TICKET_TTL_S - 0.001
    assert await place.door().redeem(in_time, "friday") == GUEST
    place.clock.s += 0.001
    assert await place.door().redeem(late, "friday") is None


async def test_a_made_up_ticket_and_a_sessions_key_let_nobody_in(place: Place) -> None:
    cookie, _ = await signed_in(place)
    for text in ("", "x" * 32, cookie, cookie.partition(".")[0]):
        assert await place.door().redeem(text, "friday") is None
    assert await place.door().user_of(cookie) is not None

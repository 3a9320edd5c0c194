"""Registration and one's own account over both databases: what each call does, and that it does the same for all."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import event, text, update

from server.accounts.codes import TRIES_MAX, Codes
from server.accounts.keep import MemoryKeep
from server.accounts.limits import Limiter, limits_in_memory
from server.accounts.mail import Letters
from server.accounts.passwords import Passwords
from server.accounts.post import Post
from server.accounts.profile import Profile
from server.accounts.registration import Registration
from server.accounts.sessions import Sessions, session_id
from server.accounts.smtp import Outbox
from server.domain.errors import Reason, Refused
from server.domain.mail import Purpose
from server.domain.session import Caller, Revoked
from server.domain.user import Role, User
from server.domain.views import StreamStatus
from server.store.engine import Database
from server.store.mails import Mails
from server.store.sessions import SessionRows
from server.store.streams import Streams
from server.store.tables import users
from server.store.users import REMOVED_NAME, Users

KNOWN, NEW, PASSWORD, OTHER = "ann@example.com", "bob@example.com", "warm apple tractor", "cold plum bicycle"
HOST = "203.0.113.7"


@dataclass
class Place:
    """The offices over one database, and who lives there: Ann, an admin, and a host."""

    database: Database
    passwords: Passwords
    limiter: Limiter = field(default_factory=lambda: Limiter(None))
    told: list[Revoked] = field(default_factory=list)
    seen: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.users, self.mails = Users(self.database), Mails(self.database)
        self.codes = Codes(MemoryKeep(), ("k" * 32,))
        post = Post(self.mails, self.codes, Letters("a@b.example", None), Outbox(None))  # type: ignore[arg-type]
        self.rows = SessionRows(self.database)
        self.sessions = Sessions(self.rows, MemoryKeep(), self._tell)
        offices = (self.users, self.codes, post, self.passwords, self.limiter)
        self.registration = Registration(*offices, self.sessions.end)
        self.profile = Profile(*offices, self.sessions)

    async def _tell(self, revoked: Revoked) -> None:
        self.told.append(revoked)

    async def signed_in(self, user: User) -> Caller:
        """Somebody in a session of their own, whose copy is in the keep."""
        caller = await self.sessions.caller(session_id(await self.sessions.open(user.id, "")))
        assert caller is not None
        return caller

    async def hold(self, *callers: Caller) -> list[bool]:
        """Which of these sessions let anybody in."""
        return [
            caller.session is not None and await self.sessions.caller(caller.session) is not None for caller in callers
        ]

    async def person(self, email: str, role: Role = Role.VIEWER, password: str | None = PASSWORD) -> User:
        hashed = await self.passwords.hash(password) if password else None
        return await self.users.create(email=email, name=email.partition("@")[0], role=role, password_hash=hashed)

    async def mailed(self) -> list[tuple[Purpose, str, str]]:
        """Purpose, address and nonce of the mails since the last look."""
        due, _ = await self.mails.claim(100, 60)
        for mail in due:
            await self.mails.done(mail.id)
        return [(mail.purpose, mail.address, mail.nonce) for mail in due]

    async def code(self, purpose: Purpose) -> str:
        ((sent, address, nonce),) = await self.mailed()
        assert sent is purpose
        return self.guess(purpose, address, nonce)

    def guess(self, purpose: Purpose, address: str, nonce: str) -> str:
        """The code that this nonce would be for."""
        code = self.codes.code(purpose, address, nonce)
        assert code is not None
        return code

    async def can_sign_in(self, email: str, password: str) -> bool:
        known = await self.users.by_email(email)
        return await self.passwords.check(known[1] if known else None, password)

    async def cost(self, work: Callable[[], Coroutine[Any, Any, object]]) -> Counter[str]:
        """What a call makes the house do: statements by their first words, hashes, and what the keep is asked."""
        self.seen.clear()
        try:
            await work()
        except Refused as refused:
            self.seen[f"refused: {refused.detail}"] += 1
        return Counter(self.seen)


@pytest_asyncio.fixture
async def place(database: Database, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Place]:
    passwords = Passwords()
    place = Place(database, passwords)
    await place.person(KNOWN)

    def saw(_c: Any, _cursor: Any, sql: str, *_: Any) -> None:
        place.seen[" ".join(sql.split())[:60]] += 1

    event.listen(database.engine.sync_engine, "before_cursor_execute", saw)
    for part, names in (
        (passwords, ("_off_loop",)),
        (place.codes._keep, ("put", "add", "peek", "take", "count", "drop")),
    ):
        for name in names:
            monkeypatch.setattr(part, name, counted(place.seen, name, getattr(part, name)))
    yield place
    passwords.close()


def counted(seen: Counter[str], name: str, real: Callable[..., Any]) -> Callable[..., Any]:
    def call(*arguments: Any) -> Any:
        seen[f"{name} {getattr(arguments[0], '__name__', '')}"] += 1
        return real(*arguments)

    return call


# Registration


async def test_who_registers_and_types_the_code_has_an_account(place: Place) -> None:
    await place.registration.register(" Bob@Example.com", PASSWORD, " Bob  Lee ", host=HOST)
    assert await place.users.by_email(NEW) is None  # not before the code
    user = await place.registration.verify("bob@example.com ", await place.code(Purpose.REGISTER))
    assert (user.email, user.name, user.role) == (NEW, "Bob Lee", Role.VIEWER)
    assert await place.can_sign_in(NEW, PASSWORD)


async def test_a_known_address_gets_another_mail_and_nothing_else_happens(place: Place) -> None:
    await place.registration.register(KNOWN, OTHER, "Eve", host=HOST)
    ((purpose, address, nonce),) = await place.mailed()
    assert (purpose, address) == (Purpose.KNOWN, KNOWN)
    with pytest.raises(Refused, match="bad_credentials"):
        await place.registration.verify(KNOWN, place.guess(Purpose.REGISTER, KNOWN, nonce))
    assert await place.can_sign_in(KNOWN, PASSWORD)


async def test_each_call_does_the_same_for_a_known_and_an_unknown_address(place: Place) -> None:
    """Counts decide, not timings: the same statements, hashes and questions to the keep, and the same refusals."""
    calls: dict[str, Callable[[str], Callable[[], Coroutine[Any, Any, object]]]] = {
        "register": lambda who: lambda: place.registration.register(who, PASSWORD, "Name", host=HOST),
        "resend": lambda who: lambda: place.registration.resend(who, host=HOST),
        "verify": lambda who: lambda: place.registration.verify(who, "no code", PASSWORD),
        "forgot": lambda who: lambda: place.registration.forgot(who, host=HOST),
        "reset": lambda who: lambda: place.registration.reset(who, "no code", OTHER),
    }
    for name, call in calls.items():
        known, new = await place.cost(call(KNOWN)), await place.cost(call(NEW))
        assert known == new, name
        assert sum(known.values()) > 3, name
    hashes = await place.cost(calls["register"](KNOWN))
    assert hashes["_off_loop hash"] == 1
    assert sum(count for what, count in hashes.items() if what.startswith("INSERT INTO mails")) == 1


async def test_control_a_call_that_does_more_for_one_of_them_is_seen(place: Place) -> None:
    async def look(email: str) -> None:
        if await place.users.by_email(email) is None:
            await place.passwords.hash(PASSWORD)

    assert await place.cost(lambda: look(KNOWN)) != await place.cost(lambda: look(NEW))


@pytest.mark.parametrize(
    ("email", "password", "name", "wrong"),
    [
        ("bob", PASSWORD, "Bob", "email"),
        (NEW, "short", "Bob", "password"),
        (NEW, "password123", "Bob", "password"),
        (NEW, "bob@example.com", "Bob", "password"),
        (NEW, PASSWORD, " ", "name"),
    ],
)
async def test_bad_input_is_refused_with_its_field_and_nothing_is_sent(
    place: Place, email: str, password: str, name: str, wrong: str
) -> None:
    with pytest.raises(Refused) as refused:
        await place.registration.register(email, password, name, host=HOST)
    assert (refused.value.reason, refused.value.field) == (Reason.BAD_REQUEST, wrong)
    assert await place.mailed() == []


async def test_a_new_code_stands_for_the_same_registration_and_the_old_one_for_nothing(place: Place) -> None:
    await place.registration.resend(NEW, host=HOST)
    assert await place.mailed() == []  # nobody registers with it
    await place.registration.register(NEW, PASSWORD, "Bob", host=HOST)
    old = await place.code(Purpose.REGISTER)
    await place.registration.resend(NEW, host=HOST)
    new = await place.code(Purpose.REGISTER)
    if old != new:
        with pytest.raises(Refused):
            await place.registration.verify(NEW, old)
    assert (await place.registration.verify(NEW, new)).name == "Bob"


async def test_who_registers_an_address_again_does_not_get_the_account_of_who_types_the_code(place: Place) -> None:
    await place.registration.register(NEW, PASSWORD, "Bob", host=HOST)
    await place.mailed()
    await place.registration.register(NEW, "the password of a thief", "Bob", host="198.51.100.9")
    await place.registration.verify(NEW, await place.code(Purpose.REGISTER), PASSWORD)
    assert await place.can_sign_in(NEW, PASSWORD)
    assert not await place.can_sign_in(NEW, "the password of a thief")


async def test_five_wrong_tries_burn_the_code(place: Place) -> None:
    await place.registration.register(NEW, PASSWORD, "Bob", host=HOST)
    code = await place.code(Purpose.REGISTER)
    for number in range(1, TRIES_MAX + 1):
        with pytest.raises(Refused):
            await place.registration.verify(NEW, f"{(int(code) + number) % 10**6:06}")
    with pytest.raises(Refused):
        await place.registration.verify(NEW, code)
    assert await place.users.by_email(NEW) is None


async def test_an_account_made_meanwhile_is_not_made_twice(place: Place) -> None:
    await place.registration.register(NEW, PASSWORD, "Bob", host=HOST)
    code = await place.code(Purpose.REGISTER)
    await place.person(NEW, password=OTHER)
    with pytest.raises(Refused) as refused:
        await place.registration.verify(NEW, code)
    assert refused.value.reason is Reason.CONFLICT
    assert await place.can_sign_in(NEW, OTHER)


# Limits


@pytest.mark.parametrize("known", [KNOWN, NEW])
async def test_the_second_code_of_a_minute_is_refused_whoever_asks(database: Database, known: str) -> None:
    passwords = Passwords()
    place = Place(database, passwords, Limiter(limits_in_memory()))
    await place.person(KNOWN)
    await place.registration.register(known, PASSWORD, "Name", host=HOST)
    for again in (
        place.registration.register(known, PASSWORD, "Name", host="198.51.100.9"),  # the same address
        place.registration.resend(known, host="198.51.100.9"),
        place.registration.forgot(known, host="198.51.100.9"),
        place.registration.forgot("other@example.com", host="203.0.113.99"),  # the same network
    ):
        with pytest.raises(Refused) as refused:
            await again
        assert refused.value.reason is Reason.RATE_LIMITED
        assert 50 <= (refused.value.retry_after_s or 0) <= 60
    with pytest.raises(Refused, match="password"):  # bad input costs nothing
        await place.registration.register("third@example.com", "password123", "Name", host="192.0.2.1")
    await place.registration.register("third@example.com", PASSWORD, "Name", host="192.0.2.1")
    assert len(await place.mailed()) == 2
    passwords.close()


# A forgotten password


async def test_a_forgotten_password_is_replaced_and_every_session_ends(place: Place) -> None:
    await place.registration.forgot(KNOWN, host=HOST)
    code = await place.code(Purpose.RESET)
    with pytest.raises(Refused) as refused:
        await place.registration.reset(KNOWN, code, "password123")  # costs no try
    assert refused.value.field == "password"
    known = await place.users.by_email(KNOWN)
    assert known is not None
    before = await place.signed_in(known[0])
    assert await place.registration.reset(KNOWN, code, OTHER) == known[0]
    assert await place.hold(before) == [False]
    assert await place.can_sign_in(KNOWN, OTHER)
    assert not await place.can_sign_in(KNOWN, PASSWORD)
    assert [(purpose, address) for purpose, address, _ in await place.mailed()] == [(Purpose.PASSWORD_CHANGED, KNOWN)]


async def test_an_unknown_address_gets_a_mail_that_says_so(place: Place) -> None:
    await place.registration.forgot(NEW, host=HOST)
    ((purpose, address, nonce),) = await place.mailed()
    assert (purpose, address) == (Purpose.UNKNOWN, NEW)
    with pytest.raises(Refused, match="wrong or no longer valid"):
        await place.registration.reset(NEW, place.guess(Purpose.RESET, NEW, nonce), OTHER)


# One's own account


@pytest_asyncio.fixture
async def ann(place: Place) -> User:
    known = await place.users.by_email(KNOWN)
    assert known is not None
    return known[0]


async def test_a_password_is_changed_by_who_knows_it_and_every_other_session_ends(place: Place, ann: User) -> None:
    here, there = await place.signed_in(ann), await place.signed_in(ann)
    for old, new, wrong in (("wrong password", OTHER, "old"), (PASSWORD, "password123", "new")):
        with pytest.raises(Refused) as refused:
            await place.profile.change_password(here, old, new)
        assert refused.value.field == wrong
    assert await place.hold(here, there) == [True, True]
    assert await place.profile.change_password(here, PASSWORD, OTHER) == ann
    assert await place.hold(here, there) == [True, False]
    assert place.told == [Revoked(frozenset({str(there.session)}))]
    assert await place.can_sign_in(KNOWN, OTHER)


async def test_an_address_is_changed_by_who_reads_the_new_one_and_the_old_one_is_told(place: Place, ann: User) -> None:
    with pytest.raises(Refused) as refused:
        await place.profile.ask_address(ann, OTHER, NEW, host=HOST)
    assert refused.value.field == "password"
    await place.profile.ask_address(ann, PASSWORD, NEW, host=HOST)
    code = await place.code(Purpose.ADDRESS)
    bob = await place.person("carl@example.com")
    with pytest.raises(Refused):
        await place.profile.confirm_address(bob, code)  # somebody else's code
    here = await place.signed_in(ann)
    moved = await place.profile.confirm_address(ann, code)
    assert moved == User(ann.id, NEW, ann.name, ann.role)
    assert await place.sessions.caller(str(here.session)) == Caller(moved, here.session)
    assert [(purpose, address) for purpose, address, _ in await place.mailed()] == [(Purpose.MOVED, KNOWN)]
    assert await place.can_sign_in(NEW, PASSWORD)
    assert await place.users.by_email(KNOWN) is None
    # a session may still remember the old address: what is known of the account counts
    await place.profile.change_password(here, PASSWORD, OTHER)


async def test_an_address_of_another_account_is_not_given_away(place: Place, ann: User) -> None:
    await place.person(NEW)
    taken = await place.cost(lambda: place.profile.ask_address(ann, PASSWORD, NEW, host=HOST))
    ((purpose, _, nonce),) = await place.mailed()
    assert purpose is Purpose.KNOWN
    with pytest.raises(Refused, match="bad_credentials"):
        await place.profile.confirm_address(ann, place.guess(Purpose.ADDRESS, NEW, nonce))
    free = await place.cost(lambda: place.profile.ask_address(ann, PASSWORD, "free@example.com", host=HOST))
    assert taken == free


async def test_a_name_is_changed(place: Place, ann: User) -> None:
    here = await place.signed_in(ann)
    named = User(ann.id, KNOWN, "Ann Lee", Role.VIEWER)
    assert await place.profile.change_name(ann, " Ann  Lee") == named
    assert await place.users.by_id(ann.id) == named
    assert await place.sessions.caller(str(here.session)) == Caller(named, here.session)
    assert place.told == []


async def test_a_person_is_removed_and_the_row_stays(place: Place, ann: User) -> None:
    await place.registration.forgot(KNOWN, host=HOST)
    with pytest.raises(Refused):
        await place.profile.delete(ann, OTHER)
    here, there = await place.signed_in(ann), await place.signed_in(ann)
    before, _ = await place.rows.revoked_since(None)
    await place.profile.delete(ann, PASSWORD)
    assert place.told == [Revoked(frozenset({str(here.session), str(there.session)}), {ann.id: None})]
    assert await place.hold(here, there) == [False, False]
    assert await place.rows.found([str(here.session), str(there.session)]) == (0, [])
    # a replica that did not hear of it reads it; and a sign-in that was under way opens nothing that holds
    assert (await place.rows.revoked_since(before))[1] == Revoked(users={ann.id: None})
    late = await place.sessions.open(ann.id, "")
    assert await place.sessions.caller(session_id(late)) is None
    assert await place.users.by_id(ann.id) is None
    assert not await place.can_sign_in(KNOWN, PASSWORD)
    assert await place.mailed() == []  # its mails are gone too
    async with place.database.reading() as connection:
        ((name, role),) = (await connection.execute(text("SELECT name, role FROM users"))).all()
        assert (name, role) == (REMOVED_NAME, Role.VIEWER)
        for table in ("users", "mails", "audit"):
            rows = str((await connection.execute(text(f"SELECT * FROM {table}"))).all())  # a name of ours
            assert KNOWN not in rows
            assert "argon2" not in rows
    again = await place.person(KNOWN)  # the address is free
    assert again.id != ann.id


async def test_a_host_ends_their_streams_before_they_leave(place: Place) -> None:
    host = await place.person("host@example.com", Role.HOST)
    streams = Streams(place.database)
    await streams.create(host, slug="friday", title="Friday", starts_at=None, video=None)
    with pytest.raises(Refused, match="end your streams first: 1"):
        await place.profile.delete(host, PASSWORD)
    assert await place.can_sign_in("host@example.com", PASSWORD)
    await streams.change_status(host, "friday", StreamStatus.LIVE)
    await streams.change_status(host, "friday", StreamStatus.ENDED)
    await place.profile.delete(host, PASSWORD)
    (stream,), _ = await streams.of_host(host)
    assert stream.host == REMOVED_NAME


async def test_a_disabled_admin_is_no_other_admin(place: Place) -> None:
    last, disabled = [await place.person(f"{name}@example.com", Role.ADMIN) for name in ("last", "disabled")]
    disable = update(users).where(users.c.id == disabled.id)
    async with place.database.transaction() as connection:
        await connection.execute(disable.values(disabled_at=place.database.clock()))
    with pytest.raises(Refused, match="make somebody else an admin"):
        await place.profile.delete(last, PASSWORD)
    assert await place.can_sign_in("last@example.com", PASSWORD)
    async with place.database.transaction() as connection:
        await connection.execute(disable.values(disabled_at=None))
    await place.profile.delete(last, PASSWORD)


async def test_of_two_last_admins_who_leave_at_once_one_stays(place: Place) -> None:
    await place.person("rehearsal@example.com", Role.ADMIN, password=None)  # cannot sign in
    hashed = await place.passwords.hash(PASSWORD)
    staying = await place.users.create(email="0@example.com", name="0", role=Role.ADMIN, password_hash=hashed)
    for number in range(1, 11):
        other = await place.users.create(email=f"{number}@example.com", name="n", role=Role.ADMIN, password_hash=hashed)
        pair = (staying, other)
        ends = await asyncio.gather(*(place.users.remove(admin) for admin in pair), return_exceptions=True)
        assert sorted(type(end).__name__ for end in ends) == ["Refused", "tuple"]
        assert any("make somebody else an admin" in str(end) for end in ends)
        (staying,) = [admin for admin, end in zip(pair, ends, strict=True) if isinstance(end, Refused)]

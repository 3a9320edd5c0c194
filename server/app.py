"""The composition root: builds every part, in order, in one lifespan. The only reader of settings."""

from __future__ import annotations

import logging
import secrets
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from limits.aio.storage import Storage
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.body_limit import RequestBodyLimitMiddleware
from starlette.requests import ClientDisconnect

from admin_ui import build_admin
from server import metrics
from server.accounts.codes import Codes
from server.accounts.door import Door
from server.accounts.keep import MemoryKeep, RedisKeep
from server.accounts.limits import Limiter, limits_in_memory, limits_in_redis
from server.accounts.mail import Letters
from server.accounts.passes import Passes
from server.accounts.passwords import Passwords
from server.accounts.porter import Porter
from server.accounts.ports import Carrier
from server.accounts.post import Post
from server.accounts.profile import Profile
from server.accounts.registration import Registration
from server.accounts.sessions import Sessions
from server.accounts.smtp import Outbox, Smtp
from server.bus.doorbell import Doorbell
from server.bus.memory import MemoryBackend
from server.bus.names import REVOKED
from server.bus.redis import RedisBackend
from server.catalog.search import Search
from server.domain.errors import Refused, Unavailable
from server.domain.ids import new_id
from server.domain.session import Revoked
from server.live.bouncer import Bouncer
from server.live.courier import Courier
from server.live.drain import Drain
from server.live.embeds import Embeds
from server.live.hub import Hub
from server.live.reception import Reception
from server.live.relay import Relay
from server.live.rotation import Rotation
from server.live.turnstile import Turnstile
from server.sale.announcer import Announcer
from server.sale.committer import Committer
from server.sale.desk import Desk
from server.sale.early import EarlyRefusals
from server.sale.intake import Intake
from server.sale.timekeeper import Timekeeper
from server.settings import Settings
from server.store.catalog import Catalog
from server.store.drops import Drops
from server.store.embeds import EmbedOrigins
from server.store.engine import Database, open_database
from server.store.mails import Mails
from server.store.orders import Orders
from server.store.product_finder import ProductFinder
from server.store.schema import check_schema
from server.store.sessions import SessionRows
from server.store.single import only_replica
from server.store.streams import Streams
from server.store.times import Times
from server.store.users import Users
from server.store.watch import Watch
from server.web import answers
from server.web.edge import Edge
from server.web.routes import routes
from server.web.security import BODY_MAX_BYTES, Guard, Origins

log = logging.getLogger(__name__)

_REDIS_CONNECTIONS = 4
OUTBOX_DIR = Path("var/outbox")
CLIENT_DIR = Path(__file__).resolve().parents[1] / "client"


@dataclass(frozen=True, slots=True)
class House:
    """What the process needs of the app: the ASGI callable, and the way to leave."""

    asgi: Starlette
    drain: Drain


@asynccontextmanager
async def opened_database(settings: Settings) -> AsyncIterator[Database]:
    """The database of the settings, for commands. Raises `Unavailable` on first use when it is not there."""
    database = open_database(
        settings.database_url, pool_size=settings.database_pool_size, deadline_s=settings.database_deadline_s
    )
    try:
        if database.is_sqlite:
            Path(str(database.engine.url.database)).parent.mkdir(parents=True, exist_ok=True)
        yield database
    finally:
        await database.close()


def redis_client(settings: Settings) -> Redis:
    """A Redis for short-lived state: answers within a second or not at all; a storm shares a few connections."""
    pool = BlockingConnectionPool.from_url(
        settings.bus_url,
        max_connections=_REDIS_CONNECTIONS,
        timeout=1.0,
        protocol=2,
        socket_timeout=1.0,
        socket_connect_timeout=1.0,
        retry=Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,)),  # one that Redis closed meanwhile
    )
    return Redis.from_pool(pool)


def _carrier(settings: Settings) -> Carrier:
    return Smtp(settings.smtp_url) if settings.smtp_url else Outbox(OUTBOX_DIR)


def _sender(settings: Settings) -> str:
    """Who mails come from: as set, else at the shop's own host, else who signs in at the server, else this machine."""
    if settings.mail_from:
        return settings.mail_from
    if settings.public_url:
        return f"no-reply@{urlsplit(settings.public_url).hostname}"
    user = Smtp(settings.smtp_url).user if settings.smtp_url else None
    if user and "@" in user:
        return user
    return f"dropcast@{socket.getfqdn() if settings.smtp_url else 'localhost'}"


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[House]:
    """The whole shop, running until the block ends; parts end in the reverse order of their start.

    Raises `Unavailable`, `WrongSchema`, `SecondReplica` with what to do when it cannot start.
    """
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(opened_database(settings))
        await check_schema(database)
        if database.is_sqlite or settings.bus_url == "memory://":
            await stack.enter_async_context(only_replica(database))
        streams, drops, orders, users = Streams(database), Drops(database), Orders(database), Users(database)
        epoch = await streams.epoch()

        backend = MemoryBackend() if settings.bus_url == "memory://" else RedisBackend(settings.bus_url)
        bus = Doorbell(backend)
        await stack.enter_async_context(bus)
        metrics.BUS_UP.set_function(lambda: float(backend.up))

        replica = new_id()
        courier = Courier(bus, replica)
        courier.start()
        stack.push_async_callback(courier.close)  # after the committer: what it decides last may be untold
        announcer = Announcer(bus)
        announcer.start()
        stack.push_async_callback(announcer.close)
        early = EarlyRefusals(orders)
        stack.push_async_callback(early.close)
        # the relay comes below; a late receipt comes long after
        committer = Committer(
            early, announcer.announce, lambda request, receipt: relay.deliver(request.drop, request.viewer, receipt)
        )
        stack.push_async_callback(committer.close)
        intake = Intake(committer, early)
        embed_origins = EmbedOrigins(database)
        desk = Desk(streams, drops, embed_origins, announcer.announce)
        timekeeper = Timekeeper(Times(database), announcer.announce)
        timekeeper.start()
        stack.push_async_callback(timekeeper.close)
        watch = Watch(database)
        watch.start()
        stack.push_async_callback(watch.close)

        if settings.bus_url == "memory://":
            keep: MemoryKeep | RedisKeep = MemoryKeep()
            limits: Storage | None = limits_in_memory()
        else:
            redis = redis_client(settings)
            stack.push_async_callback(redis.aclose)
            keep = RedisKeep(redis)
            limits = limits_in_redis(redis)
        if settings.rate_limits == "off":
            limits = None
            log.warning("DROPCAST_RATE_LIMITS is off: anybody may try as often as they like; for load tests only")
        passwords = Passwords()
        stack.callback(passwords.close)

        async def tell(revoked: Revoked) -> None:
            try:
                await bus.ring(REVOKED, revoked.text())
            except Unavailable:
                metrics.RINGS_LOST.inc()  # each replica's bouncer reads it from the database in a second

        rows = SessionRows(database)
        # a copy in this process is out of the reach of `dropcast end-sessions`; and its rows are near
        sessions = Sessions(rows, keep, tell, copies=settings.bus_url != "memory://")
        # the embedded default is for trying out: a key of this process alone, and who was signed in signs in again
        keys = settings.secret_keys or (secrets.token_hex(32),)
        door = Door(users, sessions, keep, passwords, keys)
        codes = Codes(keep, keys)
        post = Post(Mails(database), codes, Letters(_sender(settings), settings.public_url), _carrier(settings))
        post.start()
        stack.push_async_callback(post.close)
        limiter = Limiter(limits)
        offices = (users, codes, post, passwords, limiter)

        hub = Hub()
        bouncer = Bouncer(hub, rows, bus, subject=REVOKED)
        bouncer.start()
        stack.push_async_callback(bouncer.close)
        embeds = Embeds(embed_origins)
        embeds.start()
        stack.push_async_callback(embeds.close)
        relay = Relay(hub, streams, bus, courier, replica=replica, epoch=epoch, tick_ms=settings.tick_ms)
        await relay.start()
        stack.push_async_callback(relay.close)
        drain = Drain(hub, within_s=settings.drain_within_s, refuse_orders=intake.drain, flush_orders=committer.flush)
        if settings.connection_max_age_s:
            rotation = Rotation(hub, age_s=settings.connection_max_age_s, leaving=lambda: drain.draining)
            rotation.start()
            stack.push_async_callback(rotation.close)

        async def health() -> dict[str, str]:
            try:
                await streams.epoch()
                answers_ = "up"
            except Unavailable:
                answers_ = "down"
            return {"database": answers_, "bus": "up" if backend.up else "down"}

        turnstile = Turnstile(None if settings.rate_limits == "off" else settings.sockets_per_network)
        edge = Edge(
            door=door,
            registration=Registration(*offices, door.end_sessions),
            profile=Profile(*offices, sessions),
            desk=desk,
            relay=relay,
            porter=Porter(door, passwords, keep, limiter),
            turnstile=turnstile,
            reception=Reception(relay, bouncer, intake, door, turnstile, embeds),
            orders=orders,
            streams=streams,
            search=Search(Catalog(database), ProductFinder(database)),
            embeds=embeds,
            embed_origins=embed_origins,
            passes=Passes(sessions, limiter, keys),
            surfaces=frozenset(settings.surfaces),
            draining=lambda: drain.draining,
            health=health,
            epoch=epoch,
            client_dir=CLIENT_DIR,
        )
        asgi = Starlette(
            routes=routes(edge),
            middleware=[
                Middleware(Guard, origins=Origins(settings.public_origins), embeds=embeds),
                Middleware(RequestBodyLimitMiddleware, max_body_size=BODY_MAX_BYTES),  # bodies without a length too
            ],
            exception_handlers={
                Refused: answers.on_refused,
                Unavailable: answers.on_unavailable,
                HTTPException: answers.on_http,
                ClientDisconnect: answers.on_left,
                Exception: answers.on_bug,
            },
        )
        if "admin" in settings.surfaces:
            build_admin(database, identify=edge.user, secret_keys=keys, revoke=sessions.revoke).mount_to(asgi)
        yield House(asgi, drain)

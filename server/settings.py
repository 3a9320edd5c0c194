"""Settings: from the environment only, frozen, each error names its variable. Only `app.py` and above read them."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from server.accounts.smtp import Smtp
from server.domain.errors import DropcastError

PREFIX = "DROPCAST_"
SECRET_KEY_MIN = 32
Surface = Literal["viewer", "host", "admin"]
Words = Annotated[tuple[str, ...], NoDecode]


class BadSettings(DropcastError):
    """The environment says something that cannot be meant; the text has one line per variable."""


class Settings(BaseSettings):
    """What can be set, as `DROPCAST_<NAME>`. `docs/settings.md` explains each to operators."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid", env_ignore_empty=True)

    bind: str = "127.0.0.1:8080"
    database_url: str = "sqlite+aiosqlite:///var/dropcast.db"
    database_pool_size: int = Field(default=16, ge=10, le=200)
    database_deadline_s: float = Field(default=5.0, ge=0.1, le=60)
    bus_url: str = "memory://"
    secret_keys: Words = ()
    public_origins: Words = ()
    surfaces: Annotated[tuple[Surface, ...], NoDecode] = ("viewer", "host", "admin")
    trusted_proxies: Words = ("127.0.0.1", "::1")
    public_url: str | None = None
    smtp_url: str | None = None
    mail_from: str | None = None
    rate_limits: Literal["on", "off"] = "on"
    sockets_per_network: int = Field(default=40_000, ge=2, le=1_000_000)
    tick_ms: int = Field(default=15_000, ge=100, le=60_000)
    drain_within_s: float = Field(default=10.0, ge=0, le=600)
    connection_max_age_s: int = Field(default=0, ge=0, le=604_800)
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what `read` hands over: it has looked at every name, and the process's environment may be another."""
        return (init_settings,)

    @field_validator("secret_keys", "public_origins", "surfaces", "trusted_proxies", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("bind")
    @classmethod
    def _bindable(cls, value: str) -> str:
        host, _, port = value.rpartition(":")
        if value.startswith("unix:/") and not value.endswith("/"):
            return value
        if not host or host == "unix" or not port.isdigit() or not 0 <= int(port) <= 65_535:
            raise ValueError("must be host:port, such as 127.0.0.1:8080 or [::]:8080, or unix:/the/whole/path.sock")
        return value

    @field_validator("database_url")
    @classmethod
    def _database(cls, value: str) -> str:
        try:
            name = make_url(value).drivername
        except ArgumentError:
            name = ""
        if name not in ("sqlite+aiosqlite", "mysql+aiomysql"):
            raise ValueError("must be sqlite+aiosqlite:///file or mysql+aiomysql://user:password@host:port/database")
        if name == "sqlite+aiosqlite" and make_url(value).database in (None, "", ":memory:"):
            raise ValueError("must name a file: a SQLite database in memory is another one for each connection")
        return value

    @field_validator("bus_url")
    @classmethod
    def _bus(cls, value: str) -> str:
        try:
            urlsplit(value).port  # noqa: B018  raises when it is none
            known = value == "memory://" or value.startswith(("redis://", "rediss://"))
        except ValueError:
            known = False
        if not known:
            raise ValueError("must be memory:// or redis://host:port/0")
        return value

    @field_validator("secret_keys")
    @classmethod
    def _long_keys(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if any(len(key) < SECRET_KEY_MIN for key in value):
            raise ValueError(
                f"each key must have at least {SECRET_KEY_MIN} characters: `openssl rand -hex 32` makes one"
            )
        return value

    @field_validator("public_origins")
    @classmethod
    def _origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for origin in value:
            scheme, _, rest = origin.partition("://")
            if scheme not in ("http", "https") or not rest or "/" in rest or "*" in rest:
                raise ValueError(f"{origin!r} is not an origin: scheme://host[:port], no path, no wildcard")
        return value

    @field_validator("public_url")
    @classmethod
    def _shop(cls, value: str | None) -> str | None:
        parts = urlsplit(value or "http://shop")
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.path not in ("", "/") or parts.query:
            raise ValueError("must be the shop's own address, such as https://shop.example, without a path")
        return value

    @field_validator("smtp_url")
    @classmethod
    def _smtp(cls, value: str | None) -> str | None:
        if value is not None:
            Smtp(value)  # raises ValueError with what to write
        return value

    @field_validator("mail_from")
    @classmethod
    def _sender(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"[!-~]+@[A-Za-z0-9.-]+", value):
            raise ValueError("must be an address, such as shop@shop.example")
        return value

    @field_validator("surfaces")
    @classmethod
    def _some_surface(cls, value: tuple[Surface, ...]) -> tuple[Surface, ...]:
        if not value:
            raise ValueError("must name at least one of viewer, host, admin")
        return value

    @model_validator(mode="after")
    def _keys_beyond_embedded(self) -> Settings:
        if not self.secret_keys and not self.embedded:
            raise ValueError("DROPCAST_SECRET_KEYS is required beyond the embedded default: `openssl rand -hex 32`")
        return self

    @property
    def embedded(self) -> bool:
        """One replica with SQLite and the in-process bus: nothing to configure, nothing to share."""
        return self.database_url.startswith("sqlite") and self.bus_url == "memory://"


def read(environ: Mapping[str, str] | None = None) -> Settings:
    """The settings of the environment. Raises `BadSettings` that names each variable and says what to do."""
    environ = os.environ if environ is None else environ
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    problems = [_unknown(name, known) for name in sorted(environ) if name.startswith(PREFIX) and name not in known]
    if problems:
        raise BadSettings("\n".join(problems))
    given = {name.removeprefix(PREFIX).lower(): value for name, value in environ.items() if name in known and value}
    try:
        return Settings(**given)  # type: ignore[arg-type]  # strings, as the environment has them
    except ValidationError as error:
        raise BadSettings("\n".join(_problem(e["loc"], e["msg"]) for e in error.errors(include_input=False))) from None


def _unknown(name: str, known: set[str]) -> str:
    close = difflib.get_close_matches(name.removeprefix(PREFIX), [n.removeprefix(PREFIX) for n in known], n=1)
    return f"{name} is not a setting" + (f"; did you mean {PREFIX}{close[0]}?" if close else "; see docs/settings.md")


def _problem(location: tuple[int | str, ...], message: str) -> str:
    message = message.removeprefix("Value error, ")
    return f"{PREFIX}{str(location[0]).upper()}: {message}" if location else message

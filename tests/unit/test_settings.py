"""Settings: each bad value names its variable; nothing is guessed and nothing is ignored."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from server import settings
from server.settings import PREFIX, BadSettings, Settings, read

KEY = "k" * 32
REDIS, MARIADB = "redis://127.0.0.1:6379/0", "mysql+aiomysql://shop:secret@127.0.0.1:3306/shop"


def test_without_a_word_it_is_the_embedded_default() -> None:
    configured = read({"PATH": "/bin", "HOME": "/root"})
    assert configured.embedded
    assert (configured.bind, configured.database_url, configured.bus_url) == (
        "127.0.0.1:8080",
        "sqlite+aiosqlite:///var/dropcast.db",
        "memory://",
    )
    assert (configured.surfaces, configured.rate_limits, configured.secret_keys) == (
        ("viewer", "host", "admin"),
        "on",
        (),
    )


def test_everything_can_be_said() -> None:
    configured = read(
        {
            "DROPCAST_BIND": "[::]:80",
            "DROPCAST_DATABASE_URL": MARIADB,
            "DROPCAST_BUS_URL": REDIS,
            "DROPCAST_SECRET_KEYS": f"{KEY}, {'o' * 40} ,",
            "DROPCAST_PUBLIC_ORIGINS": "https://shop.example,http://localhost:8080",
            "DROPCAST_SURFACES": "viewer",
            "DROPCAST_RATE_LIMITS": "off",
            "DROPCAST_TICK_MS": "500",
            "DROPCAST_DRAIN_WITHIN_S": "2.5",
        }
    )
    assert not configured.embedded
    assert configured.secret_keys == (KEY, "o" * 40)
    assert configured.public_origins == ("https://shop.example", "http://localhost:8080")
    assert (configured.surfaces, configured.tick_ms, configured.drain_within_s) == (("viewer",), 500, 2.5)


def test_an_empty_variable_is_one_that_is_not_set() -> None:
    assert read({"DROPCAST_BIND": "", "DROPCAST_SECRET_KEYS": ""}) == read({})


def test_a_replica_may_listen_on_a_unix_socket() -> None:
    assert read({"DROPCAST_BIND": "unix:/run/dropcast/1.sock"}).bind == "unix:/run/dropcast/1.sock"
    for bad in ("unix:relative.sock", "unix:8080", "unix:/run/dropcast/"):
        with pytest.raises(BadSettings, match="DROPCAST_BIND"):
            read({"DROPCAST_BIND": bad})


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError):
        read({}).bind = "0.0.0.0:1"  # type: ignore[misc]


def test_only_the_environment_that_is_given_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DROPCAST_BIND", "127.0.0.1:1")
    monkeypatch.setenv("dropcast_tick_ms", "777")
    assert read({}) == read({"DROPCAST_BIND": "127.0.0.1:8080"})
    assert read().bind == "127.0.0.1:1"
    assert read().tick_ms == 15_000


BAD = {
    "BIND": ["8080", "host", "host:", ":80", "host:99999", "host:-1", "host:http", "host:²"],
    "DATABASE_URL": [
        "nonsense",
        "postgresql://x/y",
        "mysql://x/y",
        "sqlite:///file.db",
        "sqlite+aiosqlite://",
        "sqlite+aiosqlite:///:memory:",
        "mysql+aiomysql://shop:secret@127.0.0.1:port/shop",
    ],
    "BUS_URL": [
        "memory",
        "http://x",
        "memory://x",
        "redis:/x",
        "redis://127.0.0.1:port/0",
        "redis://127.0.0.1:99999/0",
    ],
    "SECRET_KEYS": ["short", f"{KEY},short", "k" * 31],
    "PUBLIC_ORIGINS": ["shop.example", "https://", "https://shop.example/", "https://*.example", "ftp://x", "*"],
    "SURFACES": ["viewers", "viewer,root", ","],
    "PUBLIC_URL": ["shop.example", "ftp://shop.example", "https://", "https://shop.example/shop", "https://x/?a=1"],
    "SMTP_URL": [
        "smtp.example",
        "http://smtp.example",
        "smtp://",
        "smtp://user:secret",
        "smtp://user@smtp.example",
        "smtp://smtp.example:99999",
        "smtps://smtp.example/mail",
        "smtp://smtp.example?tls=no",
    ],
    "MAIL_FROM": ["shop", "Shop <shop@shop.example>", "shop@shop.example\nBcc: all@example.com", "@shop.example"],
    "RATE_LIMITS": ["no", "ON", "0"],
    "SOCKETS_PER_NETWORK": ["1", "0", "many", "1000001"],
    "DATABASE_POOL_SIZE": ["1", "0", "-1", "many", "201", "16.5"],
    "DATABASE_DEADLINE_S": ["0", "61", "nan", "inf", "soon"],
    "TICK_MS": ["99", "60001", "1.5", "x"],
    "DRAIN_WITHIN_S": ["-1", "601", "nan"],
    "CONNECTION_MAX_AGE_S": ["-1", "604801", "0.5", "an hour"],
    "LOG_LEVEL": ["loud", "INFO"],
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in BAD.items() for value in values], ids=lambda text: text
)
def test_a_bad_value_names_its_variable(name: str, value: str) -> None:
    with pytest.raises(BadSettings) as bad:
        read({PREFIX + name: value, **({} if name == "SECRET_KEYS" else {"DROPCAST_SECRET_KEYS": KEY})})
    lines = str(bad.value).splitlines()
    assert len(lines) == 1
    assert lines[0].startswith(f"{PREFIX}{name}: ")


def test_every_setting_that_can_be_bad_is_bad_above() -> None:
    free = {"TRUSTED_PROXIES"}
    assert {name.upper() for name in Settings.model_fields} == set(BAD) | free


def test_all_bad_values_are_named_at_once() -> None:
    with pytest.raises(BadSettings) as bad:
        read({"DROPCAST_BIND": "x", "DROPCAST_TICK_MS": "x"})
    assert [line.partition(":")[0] for line in str(bad.value).splitlines()] == ["DROPCAST_BIND", "DROPCAST_TICK_MS"]


@pytest.mark.parametrize(
    "beyond", [{"DROPCAST_BUS_URL": REDIS}, {"DROPCAST_DATABASE_URL": MARIADB}], ids=["redis", "mariadb"]
)
def test_beyond_the_embedded_default_secret_keys_are_required(beyond: dict[str, str]) -> None:
    with pytest.raises(BadSettings, match="DROPCAST_SECRET_KEYS is required") as bad:
        read(beyond)
    assert "secret@" not in str(bad.value)
    read({**beyond, "DROPCAST_SECRET_KEYS": KEY})


def test_no_message_repeats_a_secret() -> None:
    with pytest.raises(BadSettings) as bad:
        read({"DROPCAST_SECRET_KEYS": "hunter2", "DROPCAST_DATABASE_URL": "mysql://shop:hunter3@db/shop"})
    assert "hunter" not in str(bad.value)


def test_an_unknown_variable_stops_the_start_with_the_nearest_known_one() -> None:
    with pytest.raises(BadSettings) as bad:
        read({"DROPCAST_BUS_URI": REDIS, "DROPCAST_XYZZY": "1", "DROPCAST_BIND": "x"})
    assert str(bad.value).splitlines() == [
        "DROPCAST_BUS_URI is not a setting; did you mean DROPCAST_BUS_URL?",
        "DROPCAST_XYZZY is not a setting; see docs/settings.md",
    ]


def test_a_pool_holds_a_connection_for_every_lane_and_more() -> None:
    assert settings.Settings.model_fields["database_pool_size"].default > 8

"""Safe when nothing is set: one settings file, read from the environment."""

import os
import runpy
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.core.exceptions import ImproperlyConfigured

from ids import tasks
from ssot_dash.embedded.data import BASE_DIR

Load = Callable[..., dict[str, Any]]
VARIABLES = (
    "SECRET_KEY",
    "DEBUG",
    "ALLOWED_HOSTS",
    "CSRF_TRUSTED_ORIGINS",
    "SSOT_TLS",
    "DATABASE_URL",
    "BROKER_URL",
)


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Load:
    """Reads the settings file anew, with only the given variables set and ``tmp_path / "data"`` as data directory."""

    def load_with(**variables: str) -> dict[str, Any]:
        for name in VARIABLES:
            monkeypatch.delenv(name, raising=False)
        for name, value in {"SSOT_DATA_DIR": str(tmp_path / "data"), **variables}.items():
            monkeypatch.setenv(name, value)
        return runpy.run_path(str(BASE_DIR / "ssot_dash/settings.py"))

    return load_with


def test_secret_is_generated_once_for_its_owner_only(load: Load, tmp_path: Path) -> None:
    first, second = load(), load()
    assert len(first["SECRET_KEY"]) >= 50
    assert first["SECRET_KEY"] == second["SECRET_KEY"]
    assert stat.S_IMODE((tmp_path / "data/secret_key").stat().st_mode) == 0o600


def test_secret_of_the_environment_leaves_no_file(load: Load, tmp_path: Path) -> None:
    assert load(SECRET_KEY="given")["SECRET_KEY"] == "given"
    assert not (tmp_path / "data/secret_key").exists()


def test_debug_is_off_and_only_this_machine_is_answered_by_default(load: Load) -> None:
    settings = load()
    assert settings["DEBUG"] is False
    assert settings["ALLOWED_HOSTS"] == ["localhost", "127.0.0.1", "[::1]"]
    assert settings["SESSION_COOKIE_HTTPONLY"] is settings["CSRF_COOKIE_HTTPONLY"] is True
    assert settings["X_FRAME_OPTIONS"] == "DENY"


@pytest.mark.parametrize(("value", "secure"), [("1", True), ("yes", True), ("0", False), ("", False)])
def test_behind_tls_cookies_are_secure_and_http_is_left(load: Load, value: str, secure: bool) -> None:
    settings = load(SSOT_TLS=value)
    assert settings["SESSION_COOKIE_SECURE"] is settings["CSRF_COOKIE_SECURE"] is secure
    assert settings["SECURE_SSL_REDIRECT"] is secure
    assert bool(settings["SECURE_HSTS_SECONDS"]) is secure
    assert (settings["SECURE_PROXY_SSL_HEADER"] == ("HTTP_X_FORWARDED_PROTO", "https")) is secure


def test_servers_of_the_environment_are_used(load: Load) -> None:
    settings = load(
        DATABASE_URL="postgresql://u:p%40w@/ssot?host=/a%20b/Upper",
        BROKER_URL="redis+socket:///a%20b/valkey.sock",
    )
    database = settings["DATABASES"]["default"]
    assert (database["NAME"], database["PASSWORD"]) == ("ssot", "p@w")
    assert database["OPTIONS"]["host"] == "/a b/Upper"
    assert settings["CELERY_BROKER_URL"] == "redis+socket:///a%20b/valkey.sock"


def test_a_database_across_a_network_notices_who_is_cut_off(load: Load) -> None:
    server = os.environ["DATABASE_URL"]
    options = load(DATABASE_URL="postgresql://u:p@database/ssot")["DATABASES"]["default"]["OPTIONS"]
    assert options["tcp_user_timeout"] == 30_000
    with psycopg.connect(server, **options) as database:
        assert database.execute("SELECT 1").fetchone() == (1,)  # the server knows them all
    given = load(DATABASE_URL="postgresql://u:p@database/ssot?options=-c%20search_path%3Da")
    assert given["DATABASES"]["default"]["OPTIONS"]["options"] == "-c search_path=a"
    assert not load(DATABASE_URL="")["DATABASES"]["default"].get("OPTIONS")


def test_a_pooler_of_transactions_is_asked_for_no_cursor(load: Load) -> None:
    assert load()["DATABASES"]["default"]["DISABLE_SERVER_SIDE_CURSORS"] is False
    loaded = load(SSOT_SERVER_SIDE_CURSORS="0")
    assert loaded["DATABASES"]["default"]["DISABLE_SERVER_SIDE_CURSORS"] is True


def test_each_kind_of_broker_gets_its_own_options(load: Load) -> None:
    """RabbitMQ has no visibility timeout, and a message that it did not take must not count as sent."""
    redis = load(BROKER_URL="redis://broker:6379/0")["CELERY_BROKER_TRANSPORT_OPTIONS"]
    assert redis["visibility_timeout"] > 900 and "confirm_publish" not in redis
    loaded = load(BROKER_URL="amqp://user:secret@broker:5672/ssot")
    rabbit = loaded["CELERY_BROKER_TRANSPORT_OPTIONS"]
    assert rabbit["confirm_publish"] is True and loaded["CELERY_BROKER_HEARTBEAT"] == 30
    assert not {"visibility_timeout", "unacked_restore_interval", "socket_connect_timeout"} & set(rabbit)
    assert rabbit["max_retries"] == redis["max_retries"] == 1


def test_content_security_policy_has_no_way_around(load: Load) -> None:
    directives = load()["CONTENT_SECURITY_POLICY"]["DIRECTIVES"]
    sources = {str(source) for values in directives.values() for source in values}
    assert not [source for source in sources if "unsafe" in source or "*" in source or "http" in source]


def test_ids_are_purged_by_themselves_only_where_it_is_said_how_often(load: Load) -> None:
    assert tasks.purge_ids.name not in {
        entry["task"] for entry in load(SSOT_PURGE_HOURS="0")["CELERY_BEAT_SCHEDULE"].values()
    }
    entry = load(SSOT_PURGE_HOURS="6")["CELERY_BEAT_SCHEDULE"]["purge-ids"]
    assert (entry["task"], entry["schedule"]) == (tasks.purge_ids.name, 6 * 3600)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SSOT_AUDIT_SECONDS", "14m"),
        ("SSOT_FETCH_BYTES", "2 GiB"),
        ("EMAIL_PORT", "-1"),
        ("SSOT_TLS", "enabled"),
    ],
)
def test_a_value_that_is_none_is_refused_by_the_name_of_its_setting(
    load: Load, name: str, value: str
) -> None:
    with pytest.raises(ImproperlyConfigured, match=f"{name}: expected"):
        load(**{name: value})


def test_an_empty_value_is_the_default(load: Load) -> None:
    loaded = load(SSOT_AUDIT_SECONDS="", EMAIL_USE_TLS=" ", SSOT_TLS="")
    assert (loaded["SSOT_AUDIT_SECONDS"], loaded["EMAIL_USE_TLS"], loaded["TLS"]) == (840, True, False)
    assert load(EMAIL_USE_TLS="0")["EMAIL_USE_TLS"] is False

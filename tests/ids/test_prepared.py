"""Statements that are prepared: once for a connection, in the caller's transaction, and only where it is wanted."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, OperationalError, connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext

from ids import minting, prepared
from ids.models import IssuedID
from ssot_dash import tokens

pytestmark = pytest.mark.usefixtures("registry")


def prepared_statements() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT statement FROM pg_prepared_statements")
        return [row[0] for row in cursor.fetchall()]


def test_finding_a_token_and_recording_an_id_are_planned_once() -> None:
    connection.close()
    secret = tokens.create(User.objects.create_superuser("ada"), "x", ["ids:write"])[1]
    for _ in range(20):
        assert tokens.find(secret) is not None
        minting.generate("run")
    found = prepared_statements()
    assert sum("ssot_dash_apitoken" in text for text in found) == 1
    assert sum("INSERT INTO ids_issuedid" in text for text in found) == 1
    assert len(found) == 2  # and none of Django's own


def test_a_record_is_part_of_the_callers_transaction() -> None:
    first = minting.generate("run")
    with transaction.atomic():
        minting.generate("run")
        transaction.set_rollback(True)
    with transaction.atomic():
        second = minting.generate("run")
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            minting.generate("run", context={"n": 1 // 0})
        third = minting.generate("run")
    assert set(IssuedID.objects.values_list("id", flat=True)) == {first, second, third}
    connection.close()
    assert minting.generate("run")


def test_errors_are_djangos_and_a_savepoint_holds_them() -> None:
    statement = "INSERT INTO ids_idtype (value) VALUES (%(value)s) RETURNING id"
    with transaction.atomic():
        with pytest.raises(IntegrityError), transaction.atomic():
            prepared.fetch_one(statement, {"value": "run"})
        assert prepared.fetch_one("SELECT %(one)s::int", {"one": 1}) == (1,)
    assert prepared.fetch_one("SELECT 1 WHERE false", {}) is None


def test_each_counts_as_a_query() -> None:
    with CaptureQueriesContext(connection) as queries:
        prepared.fetch_one("SELECT %(one)s::int", {"one": 1})
    assert [query["sql"] for query in queries] == ["SELECT %(one)s::int"]


def test_a_migration_under_a_running_process_is_survived() -> None:
    statement = "SELECT value FROM changing"
    other = connection.copy()
    with other.cursor() as cursor:
        cursor.execute("CREATE TABLE changing (value varchar(3))")
        try:
            cursor.execute("INSERT INTO changing VALUES ('one')")
            assert prepared.fetch_one(statement, {}) == ("one",)
            cursor.execute("ALTER TABLE changing ALTER COLUMN value TYPE varchar(5)")
            assert prepared.fetch_one(statement, {}) == ("one",)
        finally:
            cursor.execute("DROP TABLE changing")
    other.close()


def test_a_connection_that_was_cut_off_between_requests_is_noticed_by_what_only_reads() -> None:
    secret = tokens.create(User.objects.create_superuser("ada"), "x", ["ids:write"])[1]
    program = Client(headers={"Authorization": f"Bearer {secret}"})

    def cut_off() -> None:
        pid = prepared.fetch_one("SELECT pg_backend_pid()", {})
        other = connection.copy()
        with other.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s, 5000)", pid)
        other.close()
        connection.health_check_done = False  # as when a request begins

    for _ in range(2):
        cut_off()
        answer = program.post("/api/v1/ids/generate", {"type": "run"}, content_type="application/json")
        assert answer.status_code == 201
    cut_off()
    connection.health_check_done = True  # in the midst of one, that may have written something
    with pytest.raises(OperationalError):
        prepared.fetch_one("SELECT 1", {}, only_reads=True)
    connection.close()


def test_a_pooler_without_prepared_statements_can_be_used(settings: Any) -> None:
    settings.SSOT_PREPARED_STATEMENTS = False
    connection.close()
    for _ in range(10):
        minting.generate("run")
    assert prepared_statements() == [] and IssuedID.objects.count() == 10

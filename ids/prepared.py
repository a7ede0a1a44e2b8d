"""Statements of each request, which PostgreSQL plans once for a connection instead of each time.

Django binds values in the client, so what it sends reads otherwise each time and is planned anew: of a statement that
touches a row or two, that is most of the database's work. These few are prepared, and their values sent apart.
"""

from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

import psycopg
from django.conf import settings
from django.db import (
    DEFAULT_DB_ALIAS,
    InterfaceError,
    NotSupportedError,
    OperationalError,
    connection,
    connections,
)


def fetch_one(
    statement: str, values: Mapping[str, Any], *, only_reads: bool = False
) -> tuple[Any, ...] | None:
    """The first row of a statement, in the caller's transaction, with Django's errors, as by ``connection.cursor()``.

    One that ``only_reads`` is asked again where the connection turns out to be gone. So, as the first one of a request,
    it spares the question whether the connection is alive. With ``SSOT_PREPARED_STATEMENTS`` off it is by a cursor.
    """
    if not settings.SSOT_PREPARED_STATEMENTS:
        with connection.cursor() as cursor:
            cursor.execute(statement, values)
            row: tuple[Any, ...] | None = cursor.fetchone()
            return row
    try:
        return _fetch_one(statement, values, is_check=only_reads)
    except (OperationalError, InterfaceError):
        was_alive: bool = connection.health_check_done  # type: ignore[attr-defined]
        if not only_reads or connection.in_atomic_block or was_alive:
            raise
        connection.close()
        return _fetch_one(statement, values)
    except NotSupportedError:
        # a migration changed a column's type since the statement was prepared: the next connection prepares it anew
        if connection.in_atomic_block:
            raise
        connection.close()
        return _fetch_one(statement, values)


def _fetch_one(
    statement: str, values: Mapping[str, Any], *, is_check: bool = False
) -> tuple[Any, ...] | None:
    here: Any = connections[DEFAULT_DB_ALIAS]  # once: ``connection`` looks for it at each of its attributes
    # what connection.cursor() does before it makes one
    here.validate_thread_sharing()
    if not is_check:
        here.close_if_health_check_failed()
    here.ensure_connection()
    raw = here.connection
    plain: Any
    with psycopg.Cursor(raw) as plain:
        cursor = here.make_cursor(plain)
        noted = (
            here.make_debug_cursor(plain).debug_sql(statement, values)
            if here.queries_logged
            else nullcontext()
        )
        # Off again at once: while it is on, psycopg remembers the texts of all other statements, too.
        raw.prepare_threshold = 0
        try:
            with noted:
                cursor.execute(statement, values)
            row: tuple[Any, ...] | None = cursor.fetchone()
            here.health_check_done = True
            return row
        finally:
            raw.prepare_threshold = None

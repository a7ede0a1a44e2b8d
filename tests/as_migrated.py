"""What a database holds right after ``migrate``, and putting it back after a test that committed.

Django's way is to truncate every table and to make content types, permissions and groups anew: a third of a second for
each of some hundred tests, and without the rows that migrations made. Here only rows that differ are touched.
"""

from django.db import connection, transaction

_TABLES = """
SELECT relname FROM pg_class
WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition ORDER BY relname
"""
# As JSON, because a migration that was taken back and made again may leave the columns in another order.
_PUT_BACK = """
DELETE FROM public.{0} AS now WHERE to_jsonb(now) NOT IN (SELECT to_jsonb(was) FROM as_migrated.{0} AS was);
INSERT INTO public.{0} SELECT (jsonb_populate_record(NULL::public.{0}, missing.row)).* FROM (
    SELECT to_jsonb(was) AS row FROM as_migrated.{0} AS was EXCEPT SELECT to_jsonb(now) FROM public.{0} AS now
) AS missing;
"""
# Its trigger lets no row be deleted.
_APPEND_ONLY = "ssot_dash_activity"
# Its trigger lets no row be deleted that another table still speaks of.
_LAST = "ids_idtype"


def remember() -> None:
    """Keep the rows of every table that has some."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("DROP SCHEMA IF EXISTS as_migrated CASCADE")
        cursor.execute("CREATE SCHEMA as_migrated")
        for table in _names(_TABLES):
            if _has_rows(table):
                cursor.execute(f"CREATE TABLE as_migrated.{table} AS TABLE public.{table}")


def put_back() -> None:
    """Make every table hold what :func:`remember` found. Sequences go on, as with Django's ``flush``."""
    kept = set(_names("SELECT relname FROM pg_class WHERE relnamespace = 'as_migrated'::regnamespace"))
    tables = sorted(_names(_TABLES), key=lambda table: table == _LAST)
    with transaction.atomic(), connection.cursor() as cursor:
        if _has_rows(_APPEND_ONLY):
            cursor.execute(f"TRUNCATE {_APPEND_ONLY}")
        cursor.execute(
            "".join(
                _PUT_BACK.format(table) if table in kept else f"DELETE FROM public.{table};"  # noqa: S608 - our own names
                for table in tables
                if table != _APPEND_ONLY
            )
        )


def _names(query: str) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(query)
        return [name for (name,) in cursor.fetchall()]


def _has_rows(table: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT EXISTS (SELECT FROM public.{table})")  # noqa: S608 - as above
        return bool(cursor.fetchone() == (True,))

"""What a database holds right after ``migrate``, and putting it back after a test that committed.

Django's way is to truncate every table and to make content types, permissions and groups anew: a third of a second for
each of some hundred tests, and without the rows that migrations made. Here only rows that differ are touched.

In the same way, rows that take long to make are made once and put back for each test that begins with them.
"""

from collections.abc import Callable, Collection

from django.db import connection, transaction

_TABLES = """
SELECT relname FROM pg_class
WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition ORDER BY relname
"""
# As JSON, because a migration that was taken back and made again may leave the columns in another order.
_ADD = """
INSERT INTO public.{0} SELECT (jsonb_populate_record(NULL::public.{0}, missing.row)).* FROM (
    SELECT to_jsonb(was) AS row FROM {1}.{0} AS was EXCEPT SELECT to_jsonb(now) FROM public.{0} AS now
) AS missing;
"""
_TAKE_AWAY = """
DELETE FROM public.{0} AS now WHERE to_jsonb(now) NOT IN (SELECT to_jsonb(was) FROM {1}.{0} AS was);
"""
_AS_MIGRATED = "as_migrated"
# Its trigger lets no row be deleted.
_APPEND_ONLY = "ssot_dash_activity"
# Its trigger lets no row be deleted that another table still speaks of.
_LAST = "ids_idtype"


# Names of rows that were made in this process.
_made: set[str] = set()


def remember() -> None:
    """Keep the rows of every table that has some."""
    _keep(_AS_MIGRATED, _names(_TABLES))


def made_once(name: str, apps: Collection[str], make: Callable[[], object]) -> None:
    """Rows of ``apps`` that take long to make, in a test that commits: the first that asks for ``name`` has them made,
    all later ones of this process get the same rows. Nothing else of these apps may be in the database yet.

    What is made beside them, such as files, has to last as long as the process.
    """
    if name in _made:
        again(name)
    else:
        make()
        _keep(name, [table for table in _names(_TABLES) if table.partition("_")[0] in apps])
        _made.add(name)


def made_before(name: str, apps: Collection[str], make: Callable[[], object]) -> None:
    """The same for tests that are rolled back: called once before the first of them, and each asks for ``again``."""
    made_once(name, apps, make)
    put_back()


def again(name: str) -> None:
    """The rows that were made once."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("".join(_ADD.format(table, name) for table in _kept(name)))


def put_back() -> None:
    """Make every table hold what :func:`remember` found. Sequences go on, as with Django's ``flush``."""
    kept = set(_kept(_AS_MIGRATED))
    tables = sorted(_names(_TABLES), key=lambda table: table == _LAST)
    with transaction.atomic(), connection.cursor() as cursor:
        if _has_rows(_APPEND_ONLY):
            cursor.execute(f"TRUNCATE {_APPEND_ONLY}")
        cursor.execute(
            "".join(
                (_TAKE_AWAY + _ADD).format(table, _AS_MIGRATED)
                if table in kept
                else f"DELETE FROM public.{table};"  # noqa: S608 - our own names
                for table in tables
                if table != _APPEND_ONLY
            )
        )


def _keep(schema: str, tables: Collection[str]) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE")
        cursor.execute(f"CREATE SCHEMA {schema}")
        for table in tables:
            if _has_rows(table):
                cursor.execute(f"CREATE TABLE {schema}.{table} AS TABLE public.{table}")


def _kept(schema: str) -> list[str]:
    return _names(f"SELECT relname FROM pg_class WHERE relnamespace = '{schema}'::regnamespace")  # noqa: S608 - as above


def _names(query: str) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(query)
        return [name for (name,) in cursor.fetchall()]


def _has_rows(table: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT EXISTS (SELECT FROM public.{table})")  # noqa: S608 - as above
        return bool(cursor.fetchone() == (True,))

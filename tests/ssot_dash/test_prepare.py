"""Bringing the database up to date, where several hosts start at once."""

import pytest
from django.db import connection

from ssot_dash.management.commands.prepare import MIGRATION_LOCK, turn_to_migrate


def holders() -> list[str]:
    """The states of the sessions of this database that hold the lock."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT session.state FROM pg_locks AS held JOIN pg_stat_activity AS session USING (pid)"
            " WHERE held.locktype = 'advisory' AND held.granted AND session.datname = current_database()"
            " AND (held.classid::bigint << 32) + held.objid::bigint = %s",
            [MIGRATION_LOCK],
        )
        return [state for (state,) in cursor.fetchall()]


@pytest.mark.django_db(transaction=True)
def test_whose_turn_it_is_to_migrate_is_a_transactions_lock_which_a_pooler_leaves_where_it_is() -> None:
    with turn_to_migrate():
        assert holders() == ["idle in transaction"]
    assert holders() == []

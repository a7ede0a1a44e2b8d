"""The migrations of each app are one line: who adds one after another has landed renumbers theirs."""

from django.db.migrations.loader import MigrationLoader


def test_each_app_has_one_newest_migration() -> None:
    loader = MigrationLoader(None)  # which also complains of a parent that there isn't
    assert loader.detect_conflicts() == {}

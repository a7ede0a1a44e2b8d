from functools import cache
from importlib import import_module
from typing import Any

import pytest
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.state import StateApps

from ids.models import IDType

CANONICAL: Any = import_module("ids.migrations.0002_canonical_types")


@pytest.fixture
def registry(transactional_db: None) -> type[IDType]:
    """The canonical types, committed, as a migrated database has them: tests with commits leave an empty one behind."""
    seed_canonical_types()
    return IDType


@pytest.fixture
def canonical_types(db: None) -> None:
    """The canonical types, in the test's transaction."""
    seed_canonical_types()


def seed_canonical_types() -> None:
    CANONICAL.seed(_migrated_apps(), None)


def unseed_canonical_types() -> None:
    CANONICAL.unseed(_migrated_apps(), None)


@cache
def _migrated_apps() -> StateApps:
    """The models as the migration sees them: without our methods and the signals that write history."""
    return MigrationLoader(None).project_state(("ids", CANONICAL.__name__.rpartition(".")[2])).apps

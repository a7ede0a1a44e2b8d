from collections.abc import Iterator
from functools import cache
from importlib import import_module
from typing import Any

import pytest
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.state import StateApps

from ids import metrics, minting
from ids.models import IDType

CANONICAL: Any = import_module("ids.migrations.0002_canonical_types")


@pytest.fixture(autouse=True)
def no_leases_of_another_test() -> Iterator[None]:
    """Each test's database is new to this process, so what it leased before must not be handed out."""
    minting.forget_leases()
    metrics.forget()
    yield
    minting.forget_leases()
    metrics.forget()


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

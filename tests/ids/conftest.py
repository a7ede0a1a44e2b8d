from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest
from django.apps import apps

from ids import minting
from ids.models import IDType


@pytest.fixture(autouse=True)
def no_leases_of_another_test() -> Iterator[None]:
    """Each test's database is new to this process, so what it leased before must not be handed out."""
    minting.forget_leases()
    yield
    minting.forget_leases()


@pytest.fixture
def registry(transactional_db: None) -> type[IDType]:
    """The canonical types, committed, as a migrated database has them: tests with commits leave an empty one behind."""
    _seed()
    return IDType


@pytest.fixture
def canonical_types(db: None) -> None:
    """The canonical types, in the test's transaction."""
    _seed()


def _seed() -> None:
    migration: Any = import_module("ids.migrations.0002_canonical_types")
    migration.seed(apps, None)

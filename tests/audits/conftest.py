"""Repositories to audit, as rows."""

from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from audits.models import Repository

AddRepository = Callable[..., Repository]


@pytest.fixture
def add_repository() -> AddRepository:
    """Makes a row for the git repository at a path (or a URL); keyword arguments are further fields."""
    numbers = count(1)

    def add(location: Path | str, **fields: object) -> Repository:
        name = f"repository-{next(numbers)}"
        return Repository.objects.create(**{"name": name, "slug": name, "location": str(location), **fields})

    return add

"""Repositories to audit, and the story of ``tests.audits.story``, as rows."""

from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import NamedTuple

import pytest
from pytest_django.plugin import DjangoDbBlocker

from audits import policies
from audits.models import Repository
from tests import as_migrated
from tests.audits.story import Chapter, Story, chapters_at, tell
from tests.samples import commit_tree, init_repository

AddRepository = Callable[..., Repository]


class Drifting(NamedTuple):
    """Three commits with 1, 3 and no findings."""

    path: Path
    first: str
    second: str
    third: str


@pytest.fixture
def add_repository() -> AddRepository:
    """Makes a row for the git repository at a path (or a URL); ``policy`` is the text of one, further keyword arguments
    are fields."""
    numbers = count(1)

    def add(location: Path | str, policy: str = "", **fields: object) -> Repository:
        name = f"repository-{next(numbers)}"
        repository = Repository.objects.create(
            **{"name": name, "slug": name, "location": str(location), **fields}
        )
        policies.save(repository, policy)
        return repository

    return add


@pytest.fixture
def drifting(tmp_path: Path) -> Drifting:
    """A git repository in which code names a member that the enum lacks, until the enum gets it."""
    path = init_repository(tmp_path / "drifting")
    enum = "from enum import Enum\n\n\nclass IDType(Enum):\n    USER = 'user'\n"
    use = "from app.ids import IDType\n\n\ndef begin():\n    return IDType.RUN\n"
    more = use + "\n\ndef end():\n    return IDType.RUN, IDType.THREAD\n"
    before = {"app/__init__.py": "", "app/ids.py": enum, "app/runs.py": use}
    first = commit_tree(path, before, "Name runs", 1_700_000_000, [])
    second = commit_tree(path, before | {"app/runs.py": more}, "End runs, too", 1_700_000_100, [first])
    mended = before | {"app/ids.py": enum + "    RUN = 'run'\n", "app/runs.py": use}
    third = commit_tree(path, mended, "Runs are an ID type", 1_700_000_200, [second])
    return Drifting(path, first, second, third)


@pytest.fixture(scope="session")
def chapters(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Chapter]]:
    path = tmp_path_factory.mktemp("story") / "repo"
    return path, chapters_at(path)


@pytest.fixture(scope="session")
def kept_story(
    django_db_setup: None, django_db_blocker: DjangoDbBlocker, chapters: tuple[Path, list[Chapter]]
) -> None:
    with django_db_blocker.unblock():
        as_migrated.made_before("story", ["audits", "ids"], lambda: tell(*chapters))


@pytest.fixture
def story(kept_story: None, db: None) -> Story:
    """The repository with all three commits audited; RUN is gone at the last one."""
    as_migrated.again("story")
    repository = Repository.objects.get(slug="story")
    return Story(repository, list(repository.audits.order_by("pk")))

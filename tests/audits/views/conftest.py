"""The story of ``tests.audits.story`` as rows, and people with and without permissions."""

from collections.abc import Callable
from pathlib import Path

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from pytest_django.plugin import DjangoDbBlocker

from audits.models import Repository
from tests import as_migrated
from tests.audits.story import Chapter, Story, chapters_at, tell


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


SignIn = Callable[..., Client]


@pytest.fixture
def sign_in(db: None) -> SignIn:
    """A client of a new user who has exactly the given permissions of the app ``audits``."""

    def make(*codenames: str) -> Client:
        user = User.objects.create_user(f"user{User.objects.count()}")
        user.user_permissions.set(
            Permission.objects.filter(codename__in=codenames, content_type__app_label="audits")
        )
        client = Client()
        client.force_login(user)
        return client

    return make


@pytest.fixture
def viewer(sign_in: SignIn) -> Client:
    """Signed in, without any permission."""
    return sign_in()


@pytest.fixture
def boss(db: None) -> Client:
    """A superuser."""
    client = Client()
    client.force_login(User.objects.create_superuser("boss"))
    return client


def fragment(target: str) -> dict[str, str]:
    """The headers by which htmx asks for the content of an element."""
    return {"HX-Request": "true", "HX-Target": target}

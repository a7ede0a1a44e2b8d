"""Where code uses ID types: kept with each audit, told to who may know, and never "nowhere" where nobody looked."""

from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User

from audits import auditing, member_uses, working
from audits.models import Audit, MemberUse, RegistryReading, Repository
from ids.models import IDType
from tests.audits.conftest import AddRepository
from tests.samples import commit_tree, init_repository

pytestmark = pytest.mark.django_db(transaction=True)

POLICY = 'version = 1\n[[registry]]\nenum = "app.ids.IDType"\n'
TREE = {
    "app/__init__.py": "",
    "app/ids.py": "import enum\nclass IDType(enum.Enum):\n    USER = 'user'\n",
    "app/work.py": "from app.ids import IDType\ndef run():\n    return IDType.USER, IDType.WEB_HOOK\n",
    "tests/test_work.py": "from app.ids import IDType\nassert IDType.USER\n",
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    init_repository(tmp_path / "code")
    commit_tree(tmp_path / "code", TREE, "First", 1_700_000_000, [])
    return tmp_path / "code"


def change(path: Path, before: Audit) -> None:
    """A second commit, in which the work names no type any more."""
    commit_tree(path, {**TREE, "app/work.py": "x = 1\n"}, "Second", 1_700_000_100, [before.commit_sha])


@pytest.fixture
def repository(add_repository: AddRepository, path: Path) -> Repository:
    IDType.objects.get_or_create(value="user", defaults={"description": "A person."})
    return add_repository(path, policy=POLICY)


@pytest.fixture
def ada() -> User:
    return User.objects.create_user("ada")


def audit(repository: Repository) -> Audit:
    row, _ = auditing.request(repository, "")
    working.run(row.pk)
    row.refresh_from_db()
    assert row.state == "succeeded", row.error_message
    return row


def test_an_audit_tells_where_a_type_is_defined_named_and_missing(repository: Repository, ada: User) -> None:
    row = audit(repository)
    (use,) = member_uses.usage_of("user", ada).uses
    assert use.definition and (use.definition.path, use.definition.line) == ("app/ids.py", 3)
    assert [(p.path, p.line, p.scope, p.zone) for p in use.places] == [
        ("app/work.py", 3, "run", "prod"),
        ("tests/test_work.py", 2, "", "test"),
    ]
    assert (use.count, use.zones, use.commit) == (2, (("prod", 1), ("test", 1)), row.commit_sha)
    (lacking,) = member_uses.usage_of("web-hook", ada).uses
    assert lacking.definition is None and lacking.count == 0
    assert lacking.violations == 1 and "subject=app.ids.IDType.WEB_HOOK" in lacking.violations_url


def test_the_next_commit_replaces_what_was_seen(repository: Repository, path: Path, ada: User) -> None:
    change(path, audit(repository))
    latest = audit(repository)
    (use,) = member_uses.usage_of("user", ada).uses
    assert [p.path for p in use.places] == ["tests/test_work.py"]
    assert RegistryReading.objects.get().audit == latest


def test_an_older_commit_audited_later_replaces_nothing(
    repository: Repository, path: Path, ada: User
) -> None:
    first = audit(repository)
    change(path, first)
    Repository.objects.update(current_audit=None)
    Audit.objects.all().delete()
    audit(repository)
    row, _ = auditing.request(repository, first.commit_sha)
    working.run(row.pk)
    assert member_uses.usage_of("user", ada).count == 1


def test_who_was_not_looked_at_is_named_with_the_reason(
    repository: Repository, add_repository: AddRepository, path: Path, ada: User
) -> None:
    usage = member_uses.usage_of("user", ada)
    assert [(u.repository, u.reason) for u in usage.unseen] == [(repository.name, "it was not audited yet")]
    audit(repository)
    RegistryReading.objects.all().delete()  # as an audit of an older version left it
    assert "the next one will" in member_uses.usage_of("user", ada).unseen[0].reason
    audit(repository)  # of the same commit
    assert member_uses.usage_of("user", ada).count == 2
    Repository.objects.update(policy=None)
    repository.refresh_from_db()
    audit(repository)
    assert "names no enum" in member_uses.usage_of("user", ada).unseen[0].reason
    assert not MemberUse.objects.exists()


def test_a_private_repository_is_told_of_to_its_members_alone(repository: Repository, ada: User) -> None:
    audit(repository)
    Repository.objects.update(is_private=True)
    usage = member_uses.usage_of("user", ada)
    assert (usage.uses, usage.unseen) == ((), ())
    repository.memberships.create(user=ada)
    assert member_uses.usage_of("user", User.objects.get(pk=ada.pk)).count == 2


def test_the_answer_takes_a_bounded_number_of_queries(
    repository: Repository, add_repository: AddRepository, ada: User, django_assert_max_num_queries: Any
) -> None:
    audit(repository)
    ada.get_all_permissions()
    with django_assert_max_num_queries(3):
        member_uses.usage_of("user", ada)

"""The admin: repositories can be edited and removed, audits can be looked at and nothing else."""

from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from audits import removing
from audits.models import Audit, Repository, State
from tests.audits.conftest import AddRepository, Drifting

pytestmark = pytest.mark.django_db


@pytest.fixture
def audited(add_repository: AddRepository, drifting: Drifting) -> Repository:
    repository = add_repository(drifting.path)
    for number in range(3):
        audit = Audit.objects.create(
            repository=repository, state=State.SUCCEEDED, commit_sha=f"{number:040x}"
        )
    repository.current_audit = audit
    repository.save()
    return repository


def changed(repository: Repository, **fields: str) -> dict[str, str]:
    names = ("name", "location", "branch", "schedule")
    return {name: str(getattr(repository, name)) for name in names} | fields


def test_lists_take_as_many_queries_for_many_rows_as_for_one(
    admin_client: Client,
    audited: Repository,
    add_repository: AddRepository,
    django_assert_max_num_queries: Any,
) -> None:
    for number in range(20):
        Audit.objects.create(repository=add_repository(f"/{number}"), state=State.FAILED)
    for model in ("repository", "audit"):
        with django_assert_max_num_queries(8):
            assert admin_client.get(reverse(f"admin:audits_{model}_changelist")).status_code == 200


def test_a_repository_is_edited_with_the_checks_of_its_page(
    admin_client: Client, audited: Repository
) -> None:
    address = reverse("admin:audits_repository_change", args=[audited.pk])
    assert b"Kept by the site" in admin_client.get(address).content
    refused = admin_client.post(address, changed(audited, location="ext::sh -c x", is_sample="on"))
    assert b"Only https:// URLs are fetched" in refused.content
    assert admin_client.post(address, changed(audited, schedule="daily", is_sample="on")).status_code == 302
    audited.refresh_from_db()
    assert (audited.schedule, audited.is_sample) == ("daily", False)


def test_a_repository_is_removed_with_all_its_rows(admin_client: Client, audited: Repository) -> None:
    address = reverse("admin:audits_repository_delete", args=[audited.pk])
    assert b"Audits: 3" in admin_client.get(address).content
    assert admin_client.post(address, {"post": "yes"}).status_code == 302
    assert not Repository.objects.exists()
    (removed,) = removing.due()
    removing.go_on(removed)
    assert (Repository.with_removed.count(), Audit.objects.count()) == (0, 0)


def test_several_repositories_are_removed_at_once(
    admin_client: Client, audited: Repository, add_repository: AddRepository
) -> None:
    kept = add_repository("/kept")
    gone = [audited.pk, add_repository("/gone").pk]
    chosen = {"action": "delete_selected", "_selected_action": gone, "post": "yes"}
    assert admin_client.post(reverse("admin:audits_repository_changelist"), chosen).status_code == 302
    assert list(Repository.objects.all()) == [kept]


def test_an_audit_can_only_be_looked_at(admin_client: Client, audited: Repository) -> None:
    audit = audited.audits.latest("id")
    address = reverse("admin:audits_audit_change", args=[audit.pk])
    page = admin_client.get(address)
    assert page.status_code == 200
    assert b"lease_token" not in page.content
    assert admin_client.post(address, {"state": "failed"}).status_code == 403
    assert admin_client.get(reverse("admin:audits_audit_add")).status_code == 403
    assert admin_client.post(reverse("admin:audits_audit_delete", args=[audit.pk])).status_code == 403
    audit.refresh_from_db()
    assert audit.state == State.SUCCEEDED


def test_who_may_only_look_removes_nothing(client: Client, audited: Repository) -> None:
    user = User.objects.create_user("looker", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=["view_repository", "view_audit"]))
    client.force_login(user)
    assert client.get(reverse("admin:audits_repository_change", args=[audited.pk])).status_code == 200
    assert client.post(reverse("admin:audits_repository_delete", args=[audited.pk])).status_code == 403
    chosen = {"action": "delete_selected", "_selected_action": [audited.pk], "post": "yes"}
    client.post(reverse("admin:audits_repository_changelist"), chosen)
    assert Repository.objects.count() == 1

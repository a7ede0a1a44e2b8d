"""Private repositories: what somebody may not know of doesn't exist for them, and what a member may do there."""

import pytest
from django.contrib.auth.models import AnonymousUser, Group, User
from django.test import Client

from audits import members
from audits.access import ROLES
from audits.models import Issue, Membership, Repository, Role
from ssot_dash import roles

pytestmark = pytest.mark.django_db


@pytest.fixture
def secret() -> Repository:
    return Repository.objects.create(name="Secret", slug="secret", location="/nowhere", is_private=True)


@pytest.fixture
def open_one() -> Repository:
    return Repository.objects.create(name="Open", slug="open", location="/nowhere")


def user_with(role: Role | None = None, name: str = "") -> User:
    user = User.objects.create_user(name or f"user{User.objects.count()}")
    if role is not None:
        roles.give(user, role)
    return User.objects.get(pk=user.pk)


def client_of(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def seen_by(user: User | AnonymousUser) -> set[str]:
    return set(Repository.objects.visible_to(user).values_list("slug", flat=True))


def test_members_admins_and_superusers_see_a_private_repository(
    secret: Repository, open_one: Repository
) -> None:
    member = user_with()
    members.put(secret, member, Role.VIEWER)
    for user in (member, user_with(Role.ADMIN), User.objects.create_superuser("root")):
        assert seen_by(user) == {"secret", "open"}
    for other in (user_with(), user_with(Role.VIEWER), user_with(Role.EDITOR), AnonymousUser()):
        assert seen_by(other) == {"open"}


def test_deactivated_member_sees_no_private_repository(secret: Repository) -> None:
    user = user_with()
    members.put(secret, user, Role.ADMIN)
    user.is_active = False
    assert seen_by(user) == set()
    assert not user.has_perm("audits.change_repository", secret)


def test_what_may_not_be_known_is_not_found_and_never_forbidden(secret: Repository) -> None:
    issue = Issue.objects.create(repository=secret, title="Hush")
    outsider = client_of(user_with(Role.EDITOR))
    for path in ("/repositories/secret/", "/repositories/secret/edit/", f"/issues/{issue.pk}/"):
        assert outsider.get(path).status_code == 404
    for path in (
        "/repositories/secret/audit/",
        f"/issues/{issue.pk}/judge/",
        "/repositories/secret/members/put/",
    ):
        assert outsider.post(path).status_code == 404
    for path in ("/", "/issues/", "/audits/"):
        page = outsider.get(path).content.decode()
        assert "Secret" not in page and "Hush" not in page


def test_what_is_seen_but_not_allowed_is_forbidden(secret: Repository) -> None:
    member = user_with()
    members.put(secret, member, Role.VIEWER)
    client = client_of(member)
    assert client.get("/repositories/secret/").status_code == 200
    assert client.get("/repositories/secret/edit/").status_code == 403
    assert client.post("/repositories/secret/audit/").status_code == 403


@pytest.mark.parametrize("role", list(Role))
def test_member_may_what_the_role_says_in_that_repository_alone(
    role: Role, secret: Repository, open_one: Repository
) -> None:
    user = user_with()
    members.put(secret, user, role)
    every = ROLES[Role.ADMIN]
    assert {perm for perm in every if user.has_perm(perm, secret)} == ROLES[role]
    assert not any(user.has_perm(perm, open_one) or user.has_perm(perm) for perm in every)


def test_editor_of_everything_is_no_editor_of_a_private_repository(
    secret: Repository, open_one: Repository
) -> None:
    user = user_with(Role.EDITOR)
    members.put(secret, user, Role.VIEWER)
    assert user.has_perm("audits.add_audit", open_one)
    assert not user.has_perm("audits.add_audit", secret)


def test_page_offers_a_member_what_the_member_may(secret: Repository) -> None:
    user = user_with()
    members.put(secret, user, Role.ADMIN)
    page = client_of(user).get("/repositories/secret/").content.decode()
    assert 'id="audit-now"' in page and "/repositories/secret/edit/" in page


def test_admin_of_a_repository_cannot_move_it_to_another_place(secret: Repository) -> None:
    user = user_with()
    members.put(secret, user, Role.ADMIN)
    fields = {"name": "Secret", "location": "/etc", "schedule": "off", "is_private": "on"}
    client_of(user).post("/repositories/secret/edit/", fields)
    secret.refresh_from_db()
    assert secret.location == "/nowhere"


# --- Members ---


def test_admin_of_a_repository_adds_changes_and_removes_members(secret: Repository) -> None:
    boss, bo = user_with(), user_with(name="bo")
    members.put(secret, boss, Role.ADMIN)
    client = client_of(boss)
    client.post("/repositories/secret/members/put/", {"user": "bo", "role": "editor"})
    assert Membership.objects.get(user=bo).role == Role.EDITOR
    client.post("/repositories/secret/members/put/", {"user": "bo", "role": "viewer"})
    assert Membership.objects.get(user=bo).role == Role.VIEWER
    client.post("/repositories/secret/members/remove/", {"user": "bo"})
    assert not Membership.objects.filter(user=bo).exists()


@pytest.mark.parametrize("fields", [{"user": "nobody", "role": "viewer"}, {"user": "bo", "role": "king"}, {}])
def test_wrong_member_or_role_changes_nothing(secret: Repository, fields: dict[str, str]) -> None:
    boss = user_with(name="bo")
    members.put(secret, boss, Role.ADMIN)
    answer = client_of(boss).post("/repositories/secret/members/put/", fields, follow=True)
    assert "alert-danger" in answer.content.decode()
    assert Membership.objects.get().role == Role.ADMIN


def test_private_repository_keeps_an_admin(secret: Repository) -> None:
    boss = user_with()
    members.put(secret, boss, Role.ADMIN)
    with pytest.raises(members.MemberError):
        members.remove(secret, boss)
    with pytest.raises(members.MemberError):
        members.put(secret, boss, Role.EDITOR)
    members.put(secret, user_with(), Role.ADMIN)
    members.remove(secret, boss)


# --- Roles ---


def test_roles_are_groups_and_are_mended_at_each_migration() -> None:
    editors = Group.objects.get(name="editor")
    before = set(editors.permissions.values_list("codename", flat=True))
    assert {"add_audit", "change_issue", "view_repository", "add_issuedid"} <= before
    editors.permissions.clear()
    roles.ensure()
    assert set(editors.permissions.values_list("codename", flat=True)) == before


def test_a_role_contains_the_one_below() -> None:
    viewer, editor, admin = (
        set(Group.objects.get(name=role.value).permissions.values_list("codename", flat=True))
        for role in Role
    )
    assert viewer < editor < admin
    assert all(name.startswith("view_") for name in viewer)


def test_no_role_lets_its_owner_run_programs_on_the_host_or_change_accounts() -> None:
    names = set(Group.objects.get(name="admin").permissions.values_list("codename", flat=True))
    assert not names & {"change_testcommand", "add_testcommand", "change_user", "add_user", "change_group"}


def test_giving_a_role_takes_the_other_and_keeps_other_groups() -> None:
    user = user_with(Role.ADMIN)
    user.groups.add(Group.objects.create(name="football"))
    assert user.is_staff
    roles.give(user, Role.VIEWER)
    assert roles.role_of(user) == Role.VIEWER and not user.is_staff
    assert set(user.groups.values_list("name", flat=True)) == {"viewer", "football"}

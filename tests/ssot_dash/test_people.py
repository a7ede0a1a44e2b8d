"""Inviting people, giving them roles, letting them go; who may do that to whom; and the log of who did what."""

import csv
import io
import json
import re

import pytest
from django.contrib.auth.models import User
from django.db import DatabaseError, transaction
from django.test import Client

from audits import members
from audits.models import Repository, Role
from ids.models import IDType
from ssot_dash import roles, tokens
from ssot_dash.models import Activity

pytestmark = pytest.mark.django_db


def client_of(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def somebody(name: str, role: Role | None = None, **more: bool) -> User:
    user = User.objects.create_user(name, **more)
    if role is not None:
        roles.give(user, role)
    return User.objects.get(pk=user.pk)


@pytest.fixture
def admin() -> Client:
    return client_of(somebody("admin", Role.ADMIN))


def link_in(page: str) -> str:
    found = re.search(r'id="invitation-link">http://testserver(/invitation/[^<]+)<', page)
    assert found, page
    return found[1]


def test_invited_people_choose_a_password_by_a_link_that_works_once(admin: Client) -> None:
    page = admin.post("/people/invite/", {"username": "bo", "role": "editor"}).content.decode()
    bo = User.objects.get(username="bo")
    assert roles.role_of(bo) == Role.EDITOR and not bo.has_usable_password()
    link = link_in(page)
    guest = Client()
    form = guest.get(link, follow=True)
    words = "battery horse staple"
    fields = {"new_password1": words, "new_password2": words}
    assert guest.post(form.request["PATH_INFO"], fields).headers["Location"] == "/"
    assert guest.get("/account/").status_code == 200
    assert "no longer works" in Client().get(link, follow=True).content.decode()
    assert Client().post("/login/", {"username": "bo", "password": words}).status_code == 302


@pytest.mark.parametrize(
    "fields",
    [{}, {"username": "bo"}, {"username": "b o", "role": "viewer"}, {"username": "ADMIN", "role": "viewer"}],
)
def test_wrong_invitation_makes_nobody(admin: Client, fields: dict[str, str]) -> None:
    assert admin.post("/people/invite/", fields).status_code == 422
    assert User.objects.count() == 1


def test_admin_gives_roles_and_lets_people_go(admin: Client) -> None:
    bo = somebody("bo", Role.VIEWER)
    his = client_of(bo)
    secret = tokens.create(bo, "x", ["audits:read"])[1]
    program = Client(headers={"Authorization": f"Bearer {secret}"})
    admin.post(f"/people/{bo.pk}/role/", {"role": "editor"})
    assert roles.role_of(User.objects.get(pk=bo.pk)) == Role.EDITOR
    assert program.get("/api/v1/repositories").status_code == 200
    admin.post(f"/people/{bo.pk}/active/", {"active": "0"})
    assert his.get("/").status_code == 302
    assert program.get("/api/v1/repositories").status_code == 401
    admin.post(f"/people/{bo.pk}/active/", {"active": "1"})
    assert client_of(bo).get("/").status_code == 200


def test_admin_signs_somebody_out_everywhere(admin: Client) -> None:
    bo = somebody("bo")
    his = client_of(bo)
    admin.post(f"/people/{bo.pk}/sign-out/")
    assert his.get("/").status_code == 302


@pytest.mark.parametrize("action", ["role", "link", "active", "sign-out"])
def test_admins_change_neither_superusers_nor_themselves(admin: Client, action: str) -> None:
    boss = User.objects.create_superuser("boss")
    me = User.objects.get(username="admin")
    for user in (boss, me):
        assert admin.post(f"/people/{user.pk}/{action}/", {"role": "viewer"}).status_code == 403
    assert client_of(boss).post(f"/people/{me.pk}/{action}/", {"role": "viewer"}).status_code in {200, 302}


@pytest.mark.parametrize("action", ["role", "link", "active", "sign-out"])
def test_others_change_nobody(action: str) -> None:
    bo = somebody("bo", Role.VIEWER)
    for role in (None, Role.VIEWER, Role.EDITOR):
        other = client_of(somebody(f"other-{role}", role))
        assert other.post(f"/people/{bo.pk}/{action}/", {"role": "admin"}).status_code == 403
    assert roles.role_of(User.objects.get(pk=bo.pk)) == Role.VIEWER


# --- Who did what ---


def test_what_people_do_is_noted_and_what_they_were_refused(admin: Client) -> None:
    repository = Repository.objects.create(name="Shop", slug="shop", location="/nowhere")
    somebody("bo")
    admin.post("/repositories/shop/members/put/", {"user": "bo", "role": "editor"})
    row = Activity.objects.get(verb="audits:member-put")
    assert (row.user, row.repository, row.details) == ("admin", "Shop", {"user": "bo", "role": "editor"})
    assert (row.repository_id, row.is_refused, row.address) == (repository.pk, False, "127.0.0.1")
    client_of(somebody("eve")).post("/repositories/shop/members/put/", {"user": "eve", "role": "admin"})
    assert Activity.objects.get(user="eve", verb="audits:member-put").is_refused


def test_what_changed_nothing_is_not_noted(admin: Client) -> None:
    Repository.objects.create(name="Shop", slug="shop", location="/nowhere")
    admin.post("/repositories/shop/members/put/", {"user": "nobody", "role": "editor"})
    admin.post("/people/invite/", {"username": "b o", "role": "viewer"})
    admin.get("/people/")
    assert not Activity.objects.exclude(verb="sign-in").exists()


def test_a_program_is_noted_with_its_token_and_issued_ids_are_not(admin: Client) -> None:
    Repository.objects.create(name="Shop", slug="shop", location="/nowhere")
    boss = User.objects.create_superuser("boss")
    secret = tokens.create(boss, "CI of the shop", tokens.SCOPES)[1]
    program = Client(headers={"Authorization": f"Bearer {secret}"})
    path = "/api/v1/repositories/shop/audits"
    assert program.post(path, "{}", content_type="application/json").status_code == 202
    assert program.post(path, "{}", content_type="application/json").status_code == 200
    row = Activity.objects.get(verb="api:start_audit")
    assert (row.user, row.token, row.repository) == ("boss", "CI of the shop", "Shop")
    body = json.dumps({"type": IDType.objects.values_list("value", flat=True)[0]})
    program.post("/api/v1/ids/generate", body, content_type="application/json")
    assert not Activity.objects.filter(verb="api:generate").exists()


def test_passwords_and_secrets_are_never_noted(admin: Client) -> None:
    answer = admin.post("/tokens/", {"name": "CI", "scopes": ["audits:read"], "days": "30"})
    secret = re.search(r"ssot_[\w-]{20,}", answer.content.decode())
    assert secret and secret[0] not in str(list(Activity.objects.values()))
    assert Activity.objects.get(verb="token-list").details == {
        "name": "CI",
        "scopes": "audits:read",
        "days": "30",
    }


def test_edits_on_the_admin_pages_are_noted() -> None:
    boss = client_of(User.objects.create_superuser("boss"))
    path = f"/admin/auth/group/{roles.Group.objects.get(name='viewer').pk}/change/"
    boss.post(path, {"name": "viewer"})
    row = Activity.objects.get(verb="admin-change")
    assert (row.user, row.object) == ("boss", "group: viewer")


def test_the_log_is_only_ever_added_to() -> None:
    Activity.objects.create(verb="x")
    for forbidden in (lambda: Activity.objects.update(verb="y"), lambda: Activity.objects.all().delete()):
        with pytest.raises(DatabaseError, match="only ever added"), transaction.atomic():
            forbidden()
    assert Activity.objects.get().verb == "x"


def test_the_log_survives_those_it_is_about(admin: Client) -> None:
    bo = somebody("bo", Role.ADMIN)
    client_of(bo).post("/account/sign-out-everywhere/")
    bo.delete()
    assert Activity.objects.filter(user="bo", verb="sign-out-everywhere").exists()


def test_the_log_is_filtered_by_its_address(admin: Client) -> None:
    for user, verb in (("ada", "sign-in"), ("bo", "audits:audit-now"), ("ada", "audits:audit-now")):
        Activity.objects.create(user=user, verb=verb, object=f"{user} {verb}")
    page = admin.get("/activity/?user=ada&verb=audits:audit-now").content.decode()
    assert "ada audits:audit-now" in page and "bo audits:audit-now" not in page and "ada sign-in" not in page
    assert "Nothing like that" in admin.get("/activity/?since=2999-01-01").content.decode()
    for strange in ("since=x", "since=2026-13-40", "page=-1", "user=%00", "refused=1"):
        assert admin.get(f"/activity/?{strange}").status_code == 200


def test_the_log_is_taken_along_as_csv_and_json(admin: Client) -> None:
    Activity.objects.create(user="=cmd|' /C calc'!A0", verb="sign-in")
    Activity.objects.create(user="bo", verb="audits:audit-now", details={"rev": "main"})
    answer = b"".join(admin.get("/activity/?format=csv").streaming_content).decode()
    rows = list(csv.DictReader(io.StringIO(answer)))
    assert rows[0]["user"] == "bo" and json.loads(rows[0]["details"]) == {"rev": "main"}
    assert rows[1]["user"].startswith("'=")
    exported = json.loads(b"".join(admin.get("/activity/?format=json&user=bo").streaming_content))
    assert [row["words"] for row in exported] == ["started an audit"]
    assert json.loads(b"".join(admin.get("/activity/?format=json&user=nobody").streaming_content)) == []


def test_who_may_read_the_log_but_not_see_everything_learns_nothing_of_private_repositories() -> None:
    secret = Repository.objects.create(name="Secret", slug="secret", location="/x", is_private=True)
    Activity.objects.create(user="ada", verb="x", repository="Secret", repository_id=secret.pk)
    Activity.objects.create(user="ada", verb="x", repository="Deleted", repository_id=10**9)
    auditor = somebody("auditor")
    auditor.user_permissions.add(*roles.Permission.objects.filter(codename="view_activity"))
    page = client_of(auditor).get("/activity/").content.decode()
    assert "Secret" not in page and "Deleted" not in page
    members.put(secret, auditor, Role.VIEWER)
    assert "Secret" in client_of(auditor).get("/activity/").content.decode()

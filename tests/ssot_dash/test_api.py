"""The HTTP API and its tokens: who may do what, what comes back, what is refused and how."""

import json
import re
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from audits import auditing, ingesting, remediation, waiving, working
from audits.models import Audit, Covers, Repository, Role, TestRun
from audits.models.waiver import today
from audits.remediation import Subject
from ids.models import IDType, IssuedID
from ssot_dash import roles, tokens
from ssot_dash.api import api
from ssot_dash.models import ApiToken
from tests.audits.remedy import AFTER, BEFORE, SUBJECT, Remedy, tell

ALL = list(tokens.SCOPES)


@pytest.fixture(scope="module")
def remedy(tmp_path_factory: pytest.TempPathFactory) -> Remedy:
    return tell(tmp_path_factory.mktemp("remedy") / "repository")


@pytest.fixture
def repository(transactional_db: None, remedy: Remedy) -> Repository:
    return Repository.objects.create(name="Remedy", slug="remedy", location=str(remedy.path))


@pytest.fixture
def ada(db: None) -> User:
    return User.objects.create_superuser("ada", password="correct horse battery")


def bearer(user: User, *scopes: str, **more: Any) -> Client:
    """A program with a token of a user's."""
    _, secret = tokens.create(user, "a program", scopes or ALL, **more)
    return Client(headers={"Authorization": f"Bearer {secret}"})


def send(client: Client, data: bytes = AFTER, **fields: str) -> Any:
    values = {"commit": "main", **fields, "report": SimpleUploadedFile("report.xml", data)}
    return client.post("/api/v1/repositories/remedy/test-runs", values)


def get(client: Client, path: str, status: int = 200) -> Any:
    response = client.get(f"/api/v1{path}")
    assert response.status_code == status, response.content
    return response.json()


def post(client: Client, path: str, body: object, status: int) -> Any:
    response = client.post(f"/api/v1{path}", json.dumps(body), content_type="application/json")
    assert response.status_code == status, response.content
    return response.json()


# --- Test runs, audits, issues ---


def test_a_report_is_stored_before_the_answer_and_the_same_one_is_known(
    repository: Repository, ada: User, remedy: Remedy
) -> None:
    client = bearer(ada)
    response = send(client, commit=remedy.closed, branch="main")
    assert response.status_code == 201
    value = response.json()
    assert (value["state"], value["commit"], value["branch"]) == ("received", remedy.closed, "main")
    assert send(client, commit=remedy.closed).status_code == 200 and TestRun.objects.count() == 1
    ingesting.read(value["id"])
    value = get(client, f"/test-runs/{value['id']}")
    assert (value["state"], value["tests"], value["counts"]) == ("read", 3, {"passed": 2, "failed": 1})


def test_runs_compare(repository: Repository, ada: User, remedy: Remedy) -> None:
    client = bearer(ada)
    ids = [
        send(client, data, commit=c).json()["id"]
        for data, c in ((BEFORE, remedy.tested), (AFTER, remedy.closed))
    ]
    for run in ids:
        ingesting.read(run)
    value = get(client, f"/repositories/remedy/test-runs/compare?before={ids[0]}&after={ids[1]}")
    assert value["regressions"] is False and value["passed_in_both"] == 1
    assert [c["test"] for c in value["changes"]["fixed"]] == ["tests.test_runs::test_run"]
    assert (
        get(client, f"/repositories/remedy/test-runs/compare?before={ids[1]}&after={ids[0]}")["regressions"]
        is True
    )


def test_an_audit_is_started_and_told_about(repository: Repository, ada: User, remedy: Remedy) -> None:
    client = bearer(ada)
    value = post(client, "/repositories/remedy/audits", {"rev": remedy.used}, 202)
    assert value["state"] == "queued"
    assert post(client, "/repositories/remedy/audits", {}, 200)["id"] == value["id"]
    working.run(value["id"])
    value = get(client, f"/audits/{value['id']}")
    assert (value["state"], value["commit"], value["findings"]) == ("succeeded", remedy.used, 3)
    assert get(client, "/repositories/remedy")["open_violations"] == 3


def test_violations_come_in_pages(repository: Repository, ada: User, remedy: Remedy) -> None:
    audit, _ = auditing.request(repository, remedy.tested)
    working.run(audit.pk)
    client = bearer(ada)
    found, after = [], 0
    while after is not None:
        value = get(client, f"/repositories/remedy/violations?limit=2&after={after}")
        found += value["items"]
        after = value["next"]
    assert len(found) == len({item["fingerprint"] for item in found}) == 5
    assert get(client, "/repositories/remedy/violations?state=gone")["items"] == []
    first = repository.violations.order_by("pk")[0]
    waiving.accept(first, kind="risk", reason="for now", expires_on=today(), user=ada)
    (waived,) = get(client, "/repositories/remedy/violations?state=waived")["items"]
    assert (waived["id"], waived["is_open"], waived["waived_until"]) == (first.pk, True, today().isoformat())
    assert len(get(client, "/repositories/remedy/violations")["items"]) == 4
    assert get(client, "/repositories/remedy/violations?rule=%00")["items"] == []


def test_an_issue_s_verdicts_are_told(repository: Repository, ada: User, remedy: Remedy) -> None:
    audit, _ = auditing.request(repository, covers=Covers.HISTORY)
    working.run(audit.pk)
    issue = remediation.create(
        repository, title="RUN", kind="custom", priority=1, subjects=[Subject("missing-member", SUBJECT)]
    )
    client = bearer(ada)
    assert get(client, f"/issues/{issue.pk}", 409)["code"] == "conflict"
    remediation.keep_up(repository.pk)
    (row,) = get(client, "/repositories/remedy/issues")["items"]
    assert row["state"] == "fixed" and row["steps"][4] == "verified"
    assert remedy.fixed[:9] in get(client, f"/issues/{issue.pk}")["summary"][0]


# --- IDs ---


def test_an_id_is_issued_and_recorded(db: None, ada: User) -> None:
    value = IDType.objects.order_by("value").first()
    assert value is not None
    client = bearer(ada)
    issued = post(client, "/ids/generate", {"type": value.value, "prefix": "ada", "context": {"a": 1}}, 201)[
        "id"
    ]
    assert issued.startswith(f"ada_{value.value}_") and IssuedID.objects.filter(id=issued).exists()
    assert value.value in [row["value"] for row in get(client, "/ids/types")]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"type": "nothing-like-it"}, "unknown-type"),
        ({"type": "user\n"}, "unknown-type"),
        ({"type": "user", "prefix": "a_b"}, "invalid-prefix"),
        ({"type": "user", "prefix": "x" * 300}, "invalid-prefix"),
        ({"type": "user", "prefix": "<script>"}, "invalid-prefix"),
        ({"type": "user", "context": {"a": "x" * 20_000}}, "invalid-context"),
        ({"type": "user", "context": []}, "invalid"),
        ({}, "invalid"),
        ([], "invalid"),
    ],
)
def test_bad_requests_for_ids_say_what_is_wrong_and_issue_nothing(
    db: None, ada: User, body: object, code: str
) -> None:
    value = post(bearer(ada), "/ids/generate", body, 422)
    assert value["code"] == code and value["message"]
    assert not IssuedID.objects.exists()


def test_what_is_no_json_is_refused(db: None, ada: User) -> None:
    response = bearer(ada).post("/api/v1/ids/generate", b"{", content_type="application/json")
    assert response.status_code == 400 and response.json()["code"] == "bad-request"


# --- Who may ---

PATHS = [
    ("GET", "/repositories", "audits:read"),
    ("GET", "/repositories/remedy", "audits:read"),
    ("GET", "/repositories/remedy/violations", "audits:read"),
    ("GET", "/repositories/remedy/issues", "audits:read"),
    ("GET", "/repositories/remedy/test-runs/compare", "audits:read"),
    ("GET", "/audits/1", "audits:read"),
    ("GET", "/audits/1/findings", "audits:read"),
    ("GET", "/audits/1/verdict", "audits:read"),
    ("GET", "/repositories/remedy/test-runs", "audits:read"),
    ("GET", "/test-runs/1", "audits:read"),
    ("GET", "/issues/1", "audits:read"),
    ("POST", "/repositories/remedy/audits", "audits:write"),
    ("POST", "/repositories/remedy/test-runs", "test-runs:write"),
    ("GET", "/ids/types", "ids:read"),
    ("GET", "/ids/types/export", "ids:read"),
    ("GET", "/ids/stats", "ids:read"),
    ("GET", "/ids/issued", "ids:read"),
    ("GET", "/ids/issued/x", "ids:read"),
    ("GET", "/ids/count", "ids:read"),
    ("GET", "/ids/purge-preview", "ids:read"),
    ("POST", "/ids/validate", "ids:read"),
    ("POST", "/ids/explain", "ids:read"),
    ("POST", "/ids/normalise", "ids:read"),
    ("POST", "/ids/generate", "ids:write"),
    ("POST", "/ids/generate-many", "ids:write"),
    ("POST", "/ids/related", "ids:write"),
    ("POST", "/ids/register", "ids:write"),
    ("POST", "/ids/register-many", "ids:write"),
    ("POST", "/ids/release", "ids:write"),
    ("POST", "/ids/release-many", "ids:write"),
    ("POST", "/ids/release-owner", "ids:write"),
    ("POST", "/ids/from-uuids", "ids:write"),
    ("POST", "/ids/to-uuids", "ids:write"),
    ("POST", "/leases", "ids:write"),
    ("POST", "/leases/report", "ids:write"),
]


def sample(path: str) -> str:
    """An address with something for each parameter."""
    path = path.replace("{slug}", "remedy").replace("{identifier}", "x")
    return re.sub(r"\{\w+_id\}", "1", path)


def test_every_operation_is_in_the_list_below() -> None:
    known = {
        (method.upper(), sample(path.removeprefix("/api/v1")))
        for path, methods in api.get_openapi_schema()["paths"].items()
        for method in methods
    }
    assert known == {(method, path) for method, path, _ in PATHS}


@pytest.mark.parametrize(("method", "path", "scope"), PATHS)
def test_each_operation_needs_its_scope_and_its_user_s_right(
    repository: Repository, method: str, path: str, scope: str
) -> None:
    plain = User.objects.create_user("plain")
    url = f"/api/v1{path}"
    assert Client().generic(method, url).status_code == 401
    others = [other for other in ALL if other != scope]
    response = bearer(plain, *others).generic(method, url)
    assert response.status_code == 403 and response.json()["code"] == "forbidden"
    response = bearer(plain, scope).generic(method, url)
    permission = tokens.SCOPES[scope][1]
    assert (response.status_code == 403) is bool(permission)
    if permission:
        app, codename = permission.split(".")
        plain.user_permissions.add(Permission.objects.get(codename=codename, content_type__app_label=app))
        assert bearer(User.objects.get(pk=plain.pk), scope).generic(method, url).status_code != 403


def test_with_a_token_no_cookie_counts_and_none_is_set(db: None, ada: User) -> None:
    plain = User.objects.create_user("plain")
    client = bearer(plain, "ids:write")
    client.force_login(ada)  # who may issue IDs, as their browser could have said
    response = client.post("/api/v1/ids/generate", {"type": "user"}, content_type="application/json")
    assert response.status_code == 403
    answer = bearer(ada).post("/api/v1/ids/generate", {"type": "user"}, content_type="application/json")
    assert answer.status_code == 201 and not answer.cookies and "Cookie" not in answer.headers.get("Vary", "")
    assert answer.headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert (
        answer.headers["X-Content-Type-Options"] == "nosniff" and answer.headers["X-Frame-Options"] == "DENY"
    )


def test_what_pages_are_below_the_api_are_no_matter_of_tokens(db: None, ada: User) -> None:
    for path in ("/api/v1/openapi.json", "/api/v1/"):
        assert bearer(ada).get(path).status_code in {302, 404}
    assert bearer(ada).get("/api/v1/no/such/thing").status_code == 404
    with_wrong_token = Client(headers={"Authorization": "Bearer ssot_x"})
    assert with_wrong_token.get("/ids/").status_code == 302


def test_a_token_for_one_repository_sees_no_other(repository: Repository, ada: User, remedy: Remedy) -> None:
    other = Repository.objects.create(name="Other", slug="other", location=str(remedy.path))
    audit = Audit.objects.create(repository=repository)
    run, _ = ingesting.receive(repository, AFTER, name="r", commit="main")
    issue = remediation.create(repository, title="x", kind="custom", priority=1, subjects=[])
    client = bearer(ada, repository=other)
    for path in (
        "/repositories/remedy",
        "/repositories/remedy/violations",
        f"/audits/{audit.pk}",
        f"/test-runs/{run.pk}",
        f"/issues/{issue.pk}",
    ):
        assert get(client, path, 404)["code"] == "not-found"
    assert [row["slug"] for row in get(client, "/repositories")] == [other.slug]
    assert send(client).status_code == 404


def test_tokens_end(repository: Repository, ada: User) -> None:
    for spoil in ("revoked", "expired", "user gone"):
        token, secret = tokens.create(ada, "x", ["audits:read"], days=1)
        client = Client(headers={"Authorization": f"Bearer {secret}"})
        get(client, "/repositories")
        if spoil == "revoked":
            tokens.revoke(token)
        elif spoil == "expired":
            ApiToken.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
        else:
            User.objects.update(is_active=False)
        assert get(client, "/repositories", 401)["code"] == "unauthorized"


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer x", "Basic abc", "Bearer ssot_" + "x" * 500, "Bearer ssot_é"]
)
def test_what_is_no_token_is_refused(db: None, header: str) -> None:
    response = Client(headers={"Authorization": header}).get("/api/v1/repositories")
    assert response.status_code == 401 and response.json()["code"] == "unauthorized"


def test_a_session_is_no_token(db: None, ada: User) -> None:
    client = Client()
    client.force_login(ada)
    assert client.get("/api/v1/repositories").status_code == 401


@pytest.mark.parametrize(
    ("fields", "data", "status", "code"),
    [
        ({"commit": "nowhere"}, AFTER, 422, "invalid"),
        ({"commit": "x" * 300}, AFTER, 422, "invalid"),
        ({"commit": "main\0"}, AFTER, 422, "invalid"),
        ({}, b"", 422, "invalid"),
        ({}, b"x" * 2_001, 413, "too-large"),
    ],
)
def test_reports_that_are_not_accepted_say_why(
    repository: Repository,
    ada: User,
    settings: Any,
    fields: dict[str, str],
    data: bytes,
    status: int,
    code: str,
) -> None:
    settings.SSOT_TEST_REPORT_BYTES = 2_000
    response = send(bearer(ada), data, **fields)
    assert (response.status_code, response.json()["code"]) == (status, code)
    assert not TestRun.objects.exists()


@pytest.mark.parametrize(
    "path", ["/audits/99999999999999999999", "/audits/x", "/repositories/remedy/violations?limit=0"]
)
def test_numbers_out_of_bounds_are_refused(repository: Repository, ada: User, path: str) -> None:
    assert get(bearer(ada), path, 422)["code"] == "invalid"


# --- Pages and commands ---


def test_the_secret_is_shown_once_and_kept_as_a_digest(db: None, ada: User) -> None:
    client = Client()
    client.force_login(ada)
    response = client.post("/tokens/", {"name": "CI", "scopes": ["audits:read"], "days": "30"})
    found = re.search(r'id="secret">(ssot_[\w-]+)<', response.content.decode())
    assert found is not None
    token = ApiToken.objects.get()
    assert found[1] not in str(token.__dict__) and token.expires_at is not None
    page = client.get("/tokens/").content.decode()
    assert found[1] not in page and token.start in page
    get(Client(headers={"Authorization": f"Bearer {found[1]}"}), "/repositories")
    assert client.post(f"/tokens/{token.pk}/revoke/").status_code == 302
    assert "revoked" in client.get("/tokens/").content.decode()


def test_people_are_offered_what_they_may_and_see_their_own_tokens(db: None, ada: User) -> None:
    plain = User.objects.create_user("plain")
    token, _ = tokens.create(ada, "of ada", ["audits:read"])
    client = Client()
    client.force_login(plain)
    page = client.get("/tokens/").content.decode()
    assert "of ada" not in page and "audits:read" in page and "audits:write" not in page
    response = client.post("/tokens/", {"name": "x", "scopes": ["audits:write"]})
    assert response.status_code == 422
    assert client.post(f"/tokens/{token.pk}/revoke/").status_code == 404
    token.refresh_from_db()
    assert token.revoked_at is None


def test_the_page_of_the_api_names_every_operation(db: None, ada: User) -> None:
    client = Client()
    assert client.get("/api/").status_code == 302
    client.force_login(ada)
    page = client.get("/api/").content.decode()
    for _, _, scope in PATHS:
        assert scope in page
    assert client.get("/api/v1/openapi.json").json()["info"]["title"] == "SSOT Dash"


def test_a_terminal_makes_tokens(repository: Repository, ada: User) -> None:
    out = StringIO()
    call_command(
        "make_token", "CI", user="ada", scope=["audits:read"], repository="remedy", days=3, stdout=out
    )
    client = Client(headers={"Authorization": f"Bearer {out.getvalue().strip()}"})
    assert get(client, "/repositories/remedy")["slug"] == "remedy"
    for wrong in ({"user": "nobody"}, {"repository": "nothing"}, {"days": 0}):
        with pytest.raises(CommandError):
            call_command("make_token", "CI", **{"user": "ada", "scope": ["audits:read"], **wrong})


def test_everybody_can_change_their_password(db: None, tmp_path: Path) -> None:
    user = User.objects.create_user("bo", password="correct horse battery")
    client = Client()
    client.force_login(user)
    assert "Change password" in client.get("/").content.decode()
    values = {"old_password": "correct horse battery", "new_password1": "x", "new_password2": "x"}
    assert "too short" in client.post("/password/", values).content.decode()
    values |= {"new_password1": "staple-horse-7-tide", "new_password2": "staple-horse-7-tide"}
    assert client.post("/password/", values).status_code == 302
    user.refresh_from_db()
    assert user.check_password("staple-horse-7-tide")


def test_a_token_is_asked_about_in_one_statement_and_may_what_its_user_may_now(db: None) -> None:
    user = User.objects.create_user("plain")
    token, secret = tokens.create(user, "x", ALL)
    tokens.find(secret)

    def allowed() -> set[str]:
        with CaptureQueriesContext(connection) as queries:
            found = tokens.find(secret)
            assert found is not None
            scopes = {scope for scope in ALL if tokens.may(found, scope)}
        assert len(queries) == 1
        fresh = User.objects.get(pk=user.pk)
        needed = {scope: permission for scope, (_, permission) in tokens.SCOPES.items()}
        assert scopes == {scope for scope in ALL if not needed[scope] or fresh.has_perm(needed[scope])}
        return scopes

    nothing = allowed()
    for name in ("viewer", "editor", "admin"):
        roles.ensure()
        roles.give(user, Role(name))
        assert allowed() >= nothing
    assert "ids:write" in allowed()
    roles.give(user, None)
    assert allowed() == nothing
    User.objects.filter(pk=user.pk).update(is_superuser=True)
    assert allowed() == set(ALL)
    assert ApiToken.objects.get(pk=token.pk).used_at is not None


def test_many_repositories_are_listed_by_as_many_queries_as_one(
    db: None, django_assert_max_num_queries: Any
) -> None:
    boss = User.objects.create_superuser("boss-of-many")
    client = Client(headers={"Authorization": f"Bearer {tokens.create(boss, 'x', ['audits:read'])[1]}"})
    Repository.objects.bulk_create(Repository(name=f"r{n}", slug=f"r{n}", location="/x") for n in range(20))
    with django_assert_max_num_queries(4):
        listed = client.get("/api/v1/repositories").json()
    assert len(listed) >= 20 and listed[-1]["open_violations"] == 0

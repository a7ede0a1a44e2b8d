"""Push hooks: who may tell of a push, and what comes of it; badges."""

import contextlib
import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from audits import auditing, pushing, tasks, working
from audits.models import Audit, Push, Repository
from tests.audits.conftest import AddRepository, Drifting

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def sent(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The audits for which a message was sent."""
    found: list[int] = []
    monkeypatch.setattr(tasks.run_audit, "apply_async", lambda args, **_: found.extend(args))
    return found


@pytest.fixture
def repository(drifting: Drifting, add_repository: AddRepository) -> Repository:
    return add_repository(drifting.path, branch="main")


def body(commit: str, ref: str = "refs/heads/main", **more: object) -> bytes:
    return json.dumps({"ref": ref, "after": commit, **more}).encode()


def signed(repository: Repository, data: bytes, provider: str = "github", secret: str = "") -> dict[str, str]:
    secret = secret or pushing.secret_of(repository)
    signature = hmac.new(secret.encode(), data, hashlib.sha256).hexdigest()
    return {
        "github": {"X-GitHub-Event": "push", "X-Hub-Signature-256": f"sha256={signature}"},
        "gitea": {"X-Gitea-Event": "push", "X-Gitea-Signature": signature},
        "gitlab": {"X-Gitlab-Event": "Push Hook", "X-Gitlab-Token": secret},
    }[provider]


def tell(repository: Repository, data: bytes, headers: dict[str, str] | None = None) -> Any:
    return Client(enforce_csrf_checks=True).post(
        f"/hooks/{repository.slug}/",
        data,
        content_type="application/json",
        headers=signed(repository, data) if headers is None else headers,
    )


@pytest.mark.parametrize("provider", ["github", "gitea", "gitlab"])
def test_a_signed_push_is_audited_at_its_commit(
    repository: Repository,
    drifting: Drifting,
    provider: str,
    sent: list[int],
    django_capture_on_commit_callbacks: Any,
) -> None:
    data = body(drifting.second)
    with django_capture_on_commit_callbacks(execute=True):
        answer = tell(repository, data, signed(repository, data, provider))
    (audit,) = Audit.objects.all()
    assert (answer.status_code, answer.json()["audit"]) == (202, audit.pk)
    assert (audit.rev, audit.trigger, sent) == (drifting.second, "push", [audit.pk])


def test_a_wrong_signature_and_no_repository_look_the_same(repository: Repository) -> None:
    data = body("a" * 40)
    answers = [
        tell(repository, data, {}),
        tell(repository, data, signed(repository, data, secret="guessed")),
        tell(repository, data + b" ", signed(repository, data)),
        tell(repository, data, {"X-GitHub-Event": "push", "X-Hub-Signature-256": "sha256=é"}),
        tell(Repository(slug="nowhere"), data, {}),
    ]
    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.content for answer in answers}) == 1
    assert not Push.objects.exists()


def test_another_secret_ends_the_old_one(repository: Repository) -> None:
    data = body("a" * 40)
    old = signed(repository, data)
    pushing.renew_secret(repository)
    assert tell(repository, data, old).status_code == 404
    assert tell(repository, data).status_code == 202


def test_secrets_of_repositories_differ(
    repository: Repository, add_repository: AddRepository, tmp_path: Path
) -> None:
    other = add_repository(tmp_path)
    assert pushing.secret_of(repository) != pushing.secret_of(other)
    data = body("a" * 40)
    assert tell(other, data, signed(repository, data)).status_code == 404


def test_a_replay_is_refused(repository: Repository, drifting: Drifting) -> None:
    data = body(drifting.first)
    assert tell(repository, data).status_code == 202
    again = tell(repository, data)
    assert (again.status_code, again.json()["code"]) == (409, "replay")
    assert Audit.objects.count() == 1


@pytest.mark.parametrize(
    ("data", "ignored"),
    [
        (body("0" * 40), True),
        (body("a" * 40, "refs/tags/v1"), True),
        (body("a" * 40, "refs/heads/other"), False),
    ],
)
def test_tags_and_deleted_branches_are_not_audited(
    repository: Repository, data: bytes, ignored: bool
) -> None:
    assert tell(repository, data).json()["ignored"] is ignored
    assert Audit.objects.exists() is not ignored


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"x",
        b"[]",
        b"{}",
        b"[" * 100_000,
        body("short"),
        body("g" * 40),
        b'{"ref": 1, "after": "' + b"a" * 40 + b'"}',
    ],
)
def test_what_is_no_push_is_refused_in_words(repository: Repository, data: bytes) -> None:
    answer = tell(repository, data)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")


def test_other_events_are_not_for_us(repository: Repository) -> None:
    data = b"{}"
    answer = tell(repository, data, signed(repository, data) | {"X-GitHub-Event": "ping"})
    assert (answer.status_code, answer.json()) == (200, {"ignored": True})


def test_too_large_a_message_is_refused(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pushing, "MAX_BYTES", 100)
    answer = tell(repository, body("a" * 40, more="x" * 100))
    assert (answer.status_code, answer.json()["code"]) == (413, "too-large")


def test_pushes_while_an_audit_is_in_flight_are_audited_after_it_the_newest_of_each_ref(
    repository: Repository, drifting: Drifting
) -> None:
    flying, _ = auditing.request(repository)
    for number, commit in enumerate([drifting.first, drifting.second, drifting.third]):
        assert tell(repository, body(commit, number=number)).json()["audit"] is None
    tell(repository, body(drifting.first, "refs/heads/other"))
    pushing.due()
    assert Audit.objects.count() == 1
    Audit.objects.filter(pk=flying.pk).update(state="succeeded")
    pushing.due()
    audit = Audit.objects.get(state="queued")
    assert audit.rev == drifting.third
    assert Push.objects.filter(ref="refs/heads/main", audit=audit).count() == 3
    Audit.objects.filter(pk=audit.pk).update(state="failed")
    pushing.due()
    assert Audit.objects.get(state="queued").rev == drifting.first


# --- The page and the badges ---


def test_who_may_change_the_repository_sees_the_secret_and_nobody_else(repository: Repository) -> None:
    client = Client()
    client.force_login(User.objects.create_user("viewer"))
    paths = ["", "secret/", "badges/"]
    for path in paths:
        address = f"/repositories/{repository.slug}/connections/{path}"
        assert {client.get(address).status_code, client.post(address).status_code} <= {403, 405}
    repository.refresh_from_db()
    assert (repository.push_secret_number, repository.is_badge_public) == (0, False)
    client.force_login(User.objects.create_superuser("boss"))
    address = f"/repositories/{repository.slug}/connections/"
    assert pushing.secret_of(repository) in client.get(address).content.decode()
    client.post(f"{address}secret/")
    repository.refresh_from_db()
    assert repository.push_secret_number == 1


def test_badges_are_for_anybody_only_where_the_repository_says_so(repository: Repository) -> None:
    address = f"/badges/{repository.slug}/open.svg"
    assert Client().get(address).status_code == 404
    boss = Client()
    boss.force_login(User.objects.create_superuser("boss"))
    assert "not audited" in boss.get(address).content.decode()
    boss.post(f"/repositories/{repository.slug}/connections/badges/", {"public": "1"})
    answer = Client().get(address)
    assert answer.headers["Content-Type"].startswith("image/svg+xml")
    assert Client().get(f"/badges/{repository.slug}/other.svg").status_code == 404
    boss.post(f"/repositories/{repository.slug}/connections/badges/", {"public": "0"})
    assert Client().get(address).status_code == 404


@pytest.mark.django_db(transaction=True)
def test_a_badge_counts_production_code(repository: Repository, drifting: Drifting) -> None:
    audit, _ = auditing.request(repository, drifting.second)
    working.run(audit.pk)
    client = Client()
    client.force_login(User.objects.create_user("ada"))
    assert "3 violations" in client.get(f"/badges/{repository.slug}/open.svg").content.decode()
    assert "none" in client.get(f"/badges/{repository.slug}/issues.svg").content.decode()


values = st.recursive(st.text() | st.floats() | st.none(), st.lists)
pushes = st.fixed_dictionaries({"ref": st.text() | st.integers(), "after": st.text() | st.just("a" * 40)})


@given(st.binary(max_size=60) | (values | pushes).map(json.dumps).map(str.encode))
def test_any_signed_bytes_are_a_push_or_refused_in_words(data: bytes) -> None:
    signature = hmac.new(b"secret", data, hashlib.sha256).hexdigest()
    headers = {"X-GitHub-Event": "push", "X-Hub-Signature-256": f"sha256={signature}"}
    with contextlib.suppress(pushing.PushError):
        assert pushing.read(headers, data, "secret") is not None

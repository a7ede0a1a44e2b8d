"""Every address of the site, tried by everybody: no page, fragment or operation says more than its reader may know."""

import json
import logging
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from audits import pushing, removing
from audits.models import Repository
from ssot_dash import tokens
from ssot_dash.models import ApiToken
from tests.ssot_dash import world
from tests.ssot_dash.routes import OPERATIONS, PAGES, Operation, Route
from tests.ssot_dash.world import ADMIN, HUSH, NOBODY, PEOPLE, SUPERUSER, Rows, World

pytestmark = pytest.mark.django_db
# The log keeps what was done to it, and operators see what is still to be deleted.
TELLING_OF_REMOVED = {"activity", "operations"}


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Without a line for each refusal."""
    logging.disable(logging.WARNING)
    yield
    logging.disable(logging.NOTSET)


# --- People on pages ---


@pytest.fixture
def all_of_it() -> World:
    return world.make()


def path_of(name: str, route: Route, rows: Rows) -> str:
    arguments: dict[str, object] = dict(route.arguments)
    if route.of in {"repository", "commit"}:
        arguments["slug"] = rows.keys["repository"]
    if route.of == "commit":
        arguments["sha"] = rows.keys["commit"]
    elif route.of not in {"", "repository"}:
        arguments["pk"] = rows.keys[route.of]
    return reverse(name, kwargs=arguments)


def client_of(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def ask(client: Client, method: str, path: str, **more: Any) -> Any:
    """The answer; whatever the request wrote is taken back, and whoever signed out is signed in again."""
    cookies = client.cookies.copy()
    with transaction.atomic():
        answer = getattr(client, method)(path, **more)
        transaction.set_rollback(True)
    client.cookies = cookies
    return answer


def text_of(answer: Any) -> str:
    """What was answered, of long answers that are sent as they are read as well."""
    return (answer.getvalue() if answer.streaming else answer.content).decode(errors="replace")


def cells(route: Route) -> Iterator[tuple[str, int]]:
    yield "get", route.get
    yield "post", route.post


def verdict(need: int, right: int) -> set[int]:
    """The statuses that are right for somebody; {} for "anything but a refusal"."""
    if need == NOBODY:
        return {405}
    if right == NOBODY:
        return {404}
    return set() if right >= need else {403}


@pytest.mark.long
@pytest.mark.parametrize("who", PEOPLE)
def test_everybody_gets_what_their_role_says_and_learns_nothing_else(who: str, all_of_it: World) -> None:
    client = client_of(all_of_it.people[who])
    everywhere, in_private = PEOPLE[who]
    wrong = []
    for name, route in PAGES.items():
        for rows in (all_of_it.public, all_of_it.private) if route.of else (all_of_it.public,):
            right = in_private if rows is all_of_it.private else everywhere
            path = path_of(name, route, rows)
            for method, need in cells(route):
                answer = ask(client, method, path)
                wanted = verdict(need, right)
                if wanted and route.may_lack:
                    wanted |= {404}
                refused = answer.status_code in {403, 404, 405} or answer.status_code >= 500
                if route.may_lack and answer.status_code == 404:
                    refused = False
                refused = refused or "/login/?" in answer.headers.get("Location", "")
                if (answer.status_code not in wanted) if wanted else refused:
                    wrong.append(f"{method} {path} ({name}): {answer.status_code}, not {wanted or 'served'}")
                if in_private == NOBODY and HUSH.lower() in answer.content.decode(
                    errors="replace"
                ).lower().replace(path.lower(), ""):
                    wrong.append(f"{method} {path} ({name}) tells of what {who} may not know")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("who", [who for who in PEOPLE if PEOPLE[who][1] == NOBODY])
def test_filters_and_fragments_tell_nothing_either(who: str, all_of_it: World) -> None:
    client = client_of(all_of_it.people[who])
    for path in (
        "/audits/?repository=hushhush",
        "/issues/?repository=hushhush",
        "/issues/?q=Mend",
        "/issues/?view=list",
        "/audits/?state=succeeded",
    ):
        for target in ("", "audit-results", "issue-results", "repository-list"):
            headers = {"HX-Request": "true", "HX-Target": target} if target else {}
            answer = client.get(path, headers=headers)
            text = answer.content.decode().lower()
            assert answer.status_code == (404 if "repository=" in path else 200), path
            assert HUSH.lower() not in text.replace("repository=hushhush", ""), path


def test_stranger_is_sent_to_sign_in_everywhere(client: Client, all_of_it: World) -> None:
    for name, route in PAGES.items():
        path = path_of(name, route, all_of_it.private)
        for method, _ in cells(route):
            answer = ask(client, method, path)
            assert answer.status_code == 302, (method, path)
            assert answer.headers["Location"].startswith("/login/"), (method, path)


def test_stranger_sees_where_to_sign_in(client: Client) -> None:
    assert client.get("/login/").status_code == 200
    assert client.get("/admin/login/").status_code == 200
    assert client.get("/welcome/x/").status_code == 410


@pytest.mark.parametrize("who", [*PEOPLE, "stranger"])
def test_badge_of_a_private_repository_is_for_those_who_see_it(who: str, all_of_it: World) -> None:
    client = client_of(all_of_it.people[who]) if who != "stranger" else Client()
    sees = who != "stranger" and PEOPLE[who][1] > NOBODY
    path = reverse("audits:badge", args=[all_of_it.private.repository.slug, "open"])
    assert client.get(path).status_code == (200 if sees else 404)


def test_nobody_finds_a_removed_repository(all_of_it: World) -> None:
    """The same rows as before are all there: nothing of them may be seen."""
    rows, boss = all_of_it.private, all_of_it.people["superuser"]
    own = bearer(boss, tokens.SCOPES, repository=rows.repository)
    secret = pushing.secret_of(rows.repository)
    Repository.objects.filter(pk=rows.repository.pk).update(is_badge_public=True)
    removing.remove(rows.repository)
    client, program = client_of(boss), bearer(boss, tokens.SCOPES)
    for name, route in PAGES.items():
        path = path_of(name, route, rows)
        for method, need in cells(route):
            answer = ask(client, method, path)
            if route.of:
                assert answer.status_code == (405 if need == NOBODY else 404), (method, path)
            elif name not in TELLING_OF_REMOVED:
                assert HUSH.lower() not in text_of(answer).lower(), (method, path)
    for path in admin_paths(rows):
        assert HUSH.lower() not in ask(client, "get", path).content.decode().lower(), path
    for name, operation in OPERATIONS.items():
        answer = call(program, name, operation, rows)
        assert answer.status_code == 404 if operation.of else HUSH.lower() not in text_of(answer).lower()
        assert call(own, name, operation, rows).status_code == 401, "its own token went with it"
    assert client.get(reverse("audits:badge", args=[rows.repository.slug, "open"])).status_code == 404
    hook = reverse("audits:push-hook", args=[rows.repository.slug])
    assert client.post(hook, headers={"X-Gitlab-Token": secret}).status_code == 404


# --- Django's admin ---


def admin_paths(rows: Rows) -> Iterator[str]:
    keys = {
        "audits_audit": rows.keys["audit"],
        "audits_repository": rows.repository.pk,
        "auth_user": 1,
        "auth_group": 1,
        "ids_idtype": 1,
        "ids_issuedid": "user_1_00000000",
    }
    yield "/admin/"
    for table, key in keys.items():
        app, model = table.split("_")
        yield f"/admin/{app}/"
        for page in ("", "add/", f"{key}/change/", f"{key}/history/", f"{key}/delete/"):
            yield f"/admin/{app}/{model}/{page}"


@pytest.mark.parametrize("who", [*PEOPLE, "stranger"])
def test_admin_pages_are_for_staff_and_accounts_for_superusers(who: str, all_of_it: World) -> None:
    client = client_of(all_of_it.people[who]) if who != "stranger" else Client()
    level = PEOPLE[who][0] if who != "stranger" else NOBODY
    for path in admin_paths(all_of_it.private):
        answer = ask(client, "get", path)
        if level < ADMIN:
            assert answer.status_code == 302, path
            assert answer.headers["Location"].startswith(("/admin/login/", "/login/")), path
        elif level < SUPERUSER and "/auth/" in path:
            assert answer.status_code in {302, 403, 404}, path
            if answer.status_code == 302:
                assert answer.headers["Location"] == "/admin/", path
        else:
            assert answer.status_code < 500, path


def test_staff_without_sight_of_a_private_repository_find_none_of_it_in_the_admin(all_of_it: World) -> None:
    staff = User.objects.create_user("staff", is_staff=True)
    staff.groups.add(*all_of_it.people["editor"].groups.all())
    client = client_of(staff)
    for path in admin_paths(all_of_it.private):
        assert HUSH.lower() not in client.get(path, follow=True).content.decode().lower(), path


# --- Programs ---


def test_stranger_without_a_good_token_is_refused_by_every_operation(all_of_it: World) -> None:
    boss = all_of_it.people["superuser"]
    revoked, first = tokens.create(boss, "revoked", tokens.SCOPES)
    tokens.revoke(revoked)
    expired, second = tokens.create(boss, "expired", tokens.SCOPES, days=1)
    ApiToken.objects.filter(pk=expired.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    gone, third = tokens.create(all_of_it.people["editor"], "its user is gone", tokens.SCOPES)
    User.objects.filter(pk=gone.user_id).update(is_active=False)
    for secret in ("", "nonsense", "ssot_nonsense", first, second, third):
        client = Client(headers={"Authorization": f"Bearer {secret}"} if secret else {})
        for name, operation in OPERATIONS.items():
            assert call(client, name, operation, all_of_it.private).status_code == 401, (name, secret[:8])


def test_signing_in_opens_no_operation(all_of_it: World) -> None:
    client = client_of(all_of_it.people["superuser"])
    for name, operation in OPERATIONS.items():
        assert call(client, name, operation, all_of_it.private).status_code == 401, name


def call(client: Client, name: str, operation: Operation, rows: Rows) -> Any:
    method, path = name.split()
    keys = rows.keys
    path = path.replace("{slug}", str(keys["repository"])).replace("{identifier}", "user_9_00c0ffee")
    path = re.sub(r"\{\w+\}", lambda _: str(keys[operation.of]), path)
    body = (
        {"content_type": "application/json", "data": json.dumps(operation.body)}
        if operation.body is not None
        else {}
    )
    return ask(client, method.lower(), f"{path}?{operation.query}", **body)


def bearer(user: User, scopes: Any, **more: Any) -> Client:
    return Client(headers={"Authorization": f"Bearer {tokens.create(user, 'x', scopes, **more)[1]}"})


@pytest.mark.parametrize("who", PEOPLE)
def test_a_token_does_what_its_user_may(who: str, all_of_it: World) -> None:
    client = bearer(all_of_it.people[who], tokens.SCOPES)
    everywhere, in_private = PEOPLE[who]
    for name, operation in OPERATIONS.items():
        for rows in (all_of_it.public, all_of_it.private) if operation.of else (all_of_it.public,):
            answer = call(client, name, operation, rows)
            wanted = verdict(operation.need, in_private if rows is all_of_it.private else everywhere)
            if wanted:
                assert answer.status_code in wanted, (name, text_of(answer))
            else:
                # A comparison of runs that there aren't is not found either, and an ID that was never issued.
                assert (
                    answer.status_code not in {401, 403, 404, 405}
                    or "compare" in name
                    or "{identifier}" in name
                ), (
                    name,
                    text_of(answer),
                )
                assert answer.status_code < 500, name
            if in_private == NOBODY:
                assert HUSH.lower() not in text_of(answer).lower(), name


def test_a_token_of_another_scope_is_refused(all_of_it: World) -> None:
    boss = all_of_it.people["superuser"]
    for name, operation in OPERATIONS.items():
        others = [scope for scope in tokens.SCOPES if scope != operation.scope]
        answer = call(bearer(boss, others), name, operation, all_of_it.private)
        assert answer.status_code == 403, name


def test_a_token_of_another_repository_finds_nothing_of_this_one(all_of_it: World) -> None:
    client = bearer(all_of_it.people["superuser"], tokens.SCOPES, repository=all_of_it.public.repository)
    for name, operation in OPERATIONS.items():
        answer = call(client, name, operation, all_of_it.private)
        assert HUSH.lower() not in text_of(answer).lower(), name
        if operation.of:
            assert answer.status_code == 404, name


def test_a_token_ends_with_its_users_membership(all_of_it: World) -> None:
    member = all_of_it.people["editor of the repository"]
    client = bearer(member, tokens.SCOPES, repository=all_of_it.private.repository)
    path = "/api/v1/repositories/hushhush"
    assert client.get(path).status_code == 200
    member.memberships.all().delete()
    assert client.get(path).status_code == 404


def test_how_many_cells_there_are() -> None:
    """The size of the matrix, said when tests run with -s."""
    pages = sum(1 if not route.of else 2 for route in PAGES.values()) * 2 * len(PEOPLE) + 2 * len(PAGES)
    programs = len(OPERATIONS) * (6 + 1 + len(PEOPLE) + 2) + len(PEOPLE) * sum(
        bool(o.of) for o in OPERATIONS.values()
    )
    print(f"{len(PAGES)} pages, {len(OPERATIONS)} operations: {pages} and {programs} cells")
    assert pages > 1_000 and programs > 200

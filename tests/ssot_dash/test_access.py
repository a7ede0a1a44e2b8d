"""Nobody sees or does anything without signing in, on every URL there is."""

import re
from collections.abc import Iterator

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from django.urls.resolvers import RegexPattern, RoutePattern

# What may be asked for without signing in: where one signs in.
OPEN = {
    "/login/",
    "/welcome/x/",
    "/admin/login/",
    "/invitation/x/x/",
}
# Answers 404 where single sign-on is off.
PROVIDER = {"/sign-in/provider/", "/sign-in/provider/back/"}
# What knows its callers by other means: signed messages of git servers, and badges where a repository shows them.
FOR_STRANGERS = {"/hooks/x/", "/badges/x/x.svg"}
SAMPLES = {"int": "1", "slug": "x", "str": "x", "path": "x", "uuid": "00000000-0000-0000-0000-000000000000"}


def paths(resolver: URLResolver, prefix: str = "/") -> Iterator[str]:
    """One path for each pattern, parameters filled with something."""
    for entry in resolver.url_patterns:
        path = prefix + sample(entry.pattern)
        if isinstance(entry, URLResolver):
            yield from paths(entry, path)
        else:
            assert isinstance(entry, URLPattern)
            yield path


def sample(pattern: object) -> str:
    if isinstance(pattern, RoutePattern):
        return re.sub(r"<(?:(\w+):)?\w+>", lambda match: SAMPLES[match[1] or "str"], str(pattern))
    assert isinstance(pattern, RegexPattern)
    text = re.sub(r"\(\?P<\w+>([^)|]*)[^)]*\)", r"\1", str(pattern)).replace(".*", "x")
    return re.sub(r"\\?[$^]|\\Z", "", text)


ALL = sorted(set(paths(get_resolver())))


def test_walk_finds_the_urls() -> None:
    assert {"/", "/ids/", "/admin/", "/audits/1/cancel/"} | OPEN <= set(ALL)


API = "/api/v1/"
FOR_PEOPLE = {API, f"{API}openapi.json"}
FOR_PROGRAMS = [path for path in ALL if path.startswith(API) and path not in FOR_PEOPLE]


@pytest.mark.parametrize("path", FOR_PROGRAMS)
def test_program_without_a_token_is_refused(client: Client, path: str) -> None:
    """A method that an address doesn't know is said to be that; nothing else is."""
    statuses = {client.get(path).status_code, client.post(path).status_code}
    assert 401 in statuses
    assert statuses <= {401, 405}


@pytest.mark.django_db
@pytest.mark.parametrize("path", sorted(FOR_STRANGERS))
def test_stranger_learns_nothing(client: Client, path: str) -> None:
    statuses = {client.get(path).status_code, client.post(path).status_code}
    assert 404 in statuses
    assert statuses <= {404, 405}


@pytest.mark.parametrize(
    "path", [p for p in ALL if p not in {*OPEN, *PROVIDER, *FOR_STRANGERS, *FOR_PROGRAMS}]
)
def test_stranger_is_sent_to_sign_in(client: Client, path: str) -> None:
    for answer in (client.get(path), client.post(path)):
        assert answer.status_code == 302, path
        assert answer.headers["Location"].startswith(("/login/", "/admin/login/")), path


@pytest.mark.django_db
@pytest.mark.parametrize("path", sorted(OPEN))
def test_stranger_sees_where_to_sign_in(client: Client, path: str) -> None:
    assert client.get(path).status_code in {200, 410}


@pytest.mark.django_db
@pytest.mark.parametrize(
    "path", ["/", "/ids/", "/audits/", "/login/", "/welcome/x/", "/admin/", "/no/such/page/"]
)
def test_every_page_has_a_strict_content_security_policy(client: Client, path: str) -> None:
    client.force_login(User.objects.create_superuser("ada"))
    policy = client.get(path).headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "object-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy


@pytest.mark.django_db
def test_signing_in_changes_the_session_key_and_stays_on_this_site(client: Client) -> None:
    User.objects.create_user("ada", password="correct horse battery")
    client.get("/login/")
    before = client.session.session_key
    answer = client.post(
        "/login/", {"username": "ada", "password": "correct horse battery", "next": "https://evil.example/"}
    )
    assert answer.headers["Location"] == "/"
    assert client.session.session_key != before


@pytest.mark.django_db
def test_posting_needs_the_token_of_the_form() -> None:
    strict = Client(enforce_csrf_checks=True)
    User.objects.create_user("ada", password="correct horse battery")
    answer = strict.post(
        "/login/", {"username": "ada", "password": "correct horse battery"}, headers={"HX-Request": "true"}
    )
    assert answer.status_code == 403

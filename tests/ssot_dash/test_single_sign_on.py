"""Signing in through a provider (a real one, made of a few lines, on this machine) or a proxy's header."""

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib.auth.models import User
from django.test import Client
from joserfc import jwt
from joserfc.jwk import RSAKey

from audits.models import Role
from ssot_dash import oidc, roles, tokens
from ssot_dash.models import Identity

pytestmark = pytest.mark.django_db


class Provider(ThreadingHTTPServer):
    """An OpenID Connect provider whose user has already signed in. What it says can be changed by tests."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.issuer = f"http://127.0.0.1:{self.server_address[1]}"
        self.key = RSAKey.generate_key(2048, {"kid": "1"})
        self.signing_key = self.key
        self.claims: dict[str, Any] = {"sub": "u-1", "preferred_username": "ada", "email": "ada@example.org"}
        self.nonce = ""
        self.challenge = ""
        self.verifiers: list[str] = []

    def token(self) -> str:
        now = int(time.time())
        values = {"iss": self.issuer, "aud": "dash", "iat": now, "exp": now + 60, "nonce": self.nonce}
        return jwt.encode({"alg": "RS256", "kid": "1"}, values | self.claims, self.signing_key)


class Answers(BaseHTTPRequestHandler):
    server: Provider

    def do_GET(self) -> None:
        issuer = self.server.issuer
        if self.path == "/.well-known/openid-configuration":
            self.answer(
                {
                    "issuer": issuer,
                    "authorization_endpoint": f"{issuer}/authorize",
                    "token_endpoint": f"{issuer}/token",
                    "jwks_uri": f"{issuer}/keys",
                    "id_token_signing_alg_values_supported": ["RS256"],
                }
            )
        else:
            self.answer({"keys": [self.server.key.as_dict(private=False)]})

    def do_POST(self) -> None:
        body = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self.server.verifiers += body.get("code_verifier", [])
        self.answer({"access_token": "x", "token_type": "Bearer", "id_token": self.server.token()})

    def answer(self, value: object) -> None:
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        pass


@pytest.fixture
def provider(settings: Any) -> Iterator[Provider]:
    server = Provider()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    settings.SSOT_OIDC_ISSUER = server.issuer
    settings.SSOT_OIDC_CLIENT_ID, settings.SSOT_OIDC_CLIENT_SECRET = "dash", "secret"
    oidc._registered.cache_clear()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def begin(client: Client, provider: Provider, where: str = "") -> dict[str, str]:
    """Go to the provider, and what it is asked."""
    answer = client.get("/sign-in/provider/", {"next": where})
    assert answer.headers["Location"].startswith(f"{provider.issuer}/authorize?")
    asked = {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["Location"]).query).items()}
    provider.nonce = asked["nonce"]
    return asked


def come_in(client: Client, provider: Provider, where: str = "") -> Any:
    return client.get(
        "/sign-in/provider/back/", {"code": "c", "state": begin(client, provider, where)["state"]}
    )


def test_somebody_new_gets_an_account_with_the_role_for_new_people(
    client: Client, provider: Provider
) -> None:
    answer = come_in(client, provider, "/issues/?view=list")
    assert answer.headers["Location"] == "/issues/?view=list"
    ada = User.objects.get(username="ada")
    assert roles.role_of(ada) == Role.VIEWER and not ada.has_usable_password()
    assert Identity.objects.get().subject == "u-1"
    assert client.get("/account/").status_code == 200
    client.post("/logout/")
    come_in(client, provider)
    assert User.objects.count() == 1


def test_the_request_carries_a_challenge_and_the_answer_its_solution(
    client: Client, provider: Provider
) -> None:
    asked = begin(client, provider)
    assert asked["code_challenge_method"] == "S256" and asked["code_challenge"] and asked["nonce"]
    client.get("/sign-in/provider/back/", {"code": "c", "state": asked["state"]})
    assert len(provider.verifiers[0]) >= 43


def test_a_namesake_does_not_take_over_an_account(client: Client, provider: Provider) -> None:
    owner = User.objects.create_superuser("ada", "ada@example.org", "correct horse battery")
    come_in(client, provider)
    assert Identity.objects.get().user != owner
    assert User.objects.get(identities__subject="u-1").username == "ada-2"


def test_an_account_is_tied_by_its_owner(client: Client, provider: Provider) -> None:
    owner = User.objects.create_user("owner")
    client.force_login(owner)
    assert come_in(client, provider).headers["Location"] == "/account/"
    stranger = Client()
    come_in(stranger, provider)
    assert "owner" in stranger.get("/account/").content.decode()


def test_an_account_of_the_provider_is_tied_to_one_person_only(client: Client, provider: Provider) -> None:
    come_in(Client(), provider)
    client.force_login(User.objects.create_user("eve"))
    come_in(client, provider)
    assert Identity.objects.get().user.username == "ada"


def test_only_invited_people_come_in_where_that_is_wanted(
    client: Client, provider: Provider, settings: Any
) -> None:
    settings.SSOT_NEW_PEOPLE_ROLE = "none"
    assert come_in(client, provider).headers["Location"] == "/login/"
    assert not User.objects.exists()


def test_deactivated_people_stay_out(client: Client, provider: Provider) -> None:
    come_in(Client(), provider)
    User.objects.update(is_active=False)
    assert come_in(client, provider).headers["Location"] == "/login/"
    assert client.get("/").status_code == 302


@pytest.mark.parametrize(
    "what", ["state", "nonce", "audience", "issuer", "expiry", "signature", "no subject"]
)
def test_what_is_wrong_about_an_answer_lets_nobody_in(client: Client, provider: Provider, what: str) -> None:
    asked = begin(client, provider)
    match what:
        case "nonce":
            provider.nonce = "another"
        case "audience":
            provider.claims["aud"] = "another"
        case "issuer":
            provider.claims["iss"] = "http://evil.example"
        case "expiry":
            provider.claims["exp"] = int(time.time()) - 3600
        case "signature":
            provider.signing_key = RSAKey.generate_key(2048, {"kid": "1"})
        case "no subject":
            del provider.claims["sub"]
    state = "made-up" if what == "state" else asked["state"]
    answer = client.get("/sign-in/provider/back/", {"code": "c", "state": state})
    assert answer.status_code == 302 and answer.headers["Location"] == "/login/"
    assert not User.objects.exists()
    assert client.get("/").status_code == 302


def test_afterwards_nobody_is_sent_to_another_site(client: Client, provider: Provider) -> None:
    assert come_in(client, provider, "https://evil.example/").headers["Location"] == "/"


def test_a_provider_that_does_not_answer_is_said_to(client: Client, settings: Any) -> None:
    settings.SSOT_OIDC_ISSUER = "http://127.0.0.1:9"
    oidc._registered.cache_clear()
    answer = client.get("/sign-in/provider/", follow=True)
    assert answer.status_code == 200 and "doesn’t answer" in answer.content.decode()


def test_it_is_off_by_default(client: Client) -> None:
    for path in ("/sign-in/provider/", "/sign-in/provider/back/?code=c&state=s"):
        assert client.get(path).status_code == 404
    assert "sign-in/provider" not in client.get("/login/").content.decode()


# --- A proxy's header ---


@pytest.fixture
def behind_proxy(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.SSOT_PROXIES = ["10.0.0.1"]
    monkeypatch.setattr("ssot_dash.middleware.UserOfProxy.header", "HTTP_X_REMOTE_USER")
    place = settings.MIDDLEWARE.index("ssot_dash.middleware.SignInRequired")
    settings.MIDDLEWARE = [
        *settings.MIDDLEWARE[:place],
        "ssot_dash.middleware.UserOfProxy",
        *settings.MIDDLEWARE[place:],
    ]
    settings.AUTHENTICATION_BACKENDS = [*settings.AUTHENTICATION_BACKENDS, "ssot_dash.newcomers.ProxyBackend"]


@pytest.mark.usefixtures("behind_proxy")
def test_a_configured_proxy_says_who_is_signed_in() -> None:
    client = Client(REMOTE_ADDR="10.0.0.1", HTTP_X_REMOTE_USER="ada")
    assert client.get("/account/").status_code == 200
    assert roles.role_of(User.objects.get(username="ada")) == Role.VIEWER


@pytest.mark.usefixtures("behind_proxy")
def test_a_program_is_who_its_token_says_and_not_who_the_proxy_names() -> None:
    plain = User.objects.create_user("plain")
    User.objects.create_superuser("boss")
    _, secret = tokens.create(plain, "a program", ["ids:write"])
    client = Client(
        REMOTE_ADDR="10.0.0.1", HTTP_X_REMOTE_USER="boss", headers={"Authorization": f"Bearer {secret}"}
    )
    answer = client.post("/api/v1/ids/generate", {"type": "run"}, content_type="application/json")
    assert answer.status_code == 403 and not answer.cookies


@pytest.mark.usefixtures("behind_proxy")
def test_anybody_else_says_nothing_with_that_header() -> None:
    User.objects.create_superuser("boss")
    client = Client(REMOTE_ADDR="10.0.0.2", HTTP_X_REMOTE_USER="boss")
    assert client.get("/").status_code == 302
    assert Client(REMOTE_ADDR="10.0.0.1").get("/").status_code == 302


@pytest.mark.usefixtures("behind_proxy")
def test_somebody_whom_nobody_invited_stays_out_behind_a_proxy_too(settings: Any) -> None:
    settings.SSOT_NEW_PEOPLE_ROLE = "none"
    assert Client(REMOTE_ADDR="10.0.0.1", HTTP_X_REMOTE_USER="eve").get("/").status_code == 302
    assert not User.objects.exists()

"""Wrong passwords are counted; sessions know whose they are; who is signed in where, and how that ends."""

from collections.abc import Iterator

import pytest
from django.contrib.auth.models import User
from django.test import Client

from ssot_dash.addresses import client_address
from ssot_dash.models import Activity, SignInFailure, UserSession

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse battery"


@pytest.fixture
def ada() -> User:
    return User.objects.create_user("ada", password=PASSWORD)


@pytest.fixture(autouse=True)
def few_tries(settings: object) -> None:
    settings.SSOT_SIGN_IN_TRIES = 3  # type: ignore[attr-defined]
    settings.SSOT_SIGN_IN_TRIES_OF_ADDRESS = 8  # type: ignore[attr-defined]
    settings.SSOT_SIGN_IN_TRIES_OF_USER = 10  # type: ignore[attr-defined]


def sign_in(name: str, password: str, address: str = "10.0.0.1", path: str = "/login/", **more: str) -> int:
    return (
        Client(REMOTE_ADDR=address, **more).post(path, {"username": name, "password": password}).status_code
    )


def test_after_some_wrong_passwords_the_right_one_is_refused_too(ada: User) -> None:
    assert [sign_in("ada", "wrong") for _ in range(4)] == [200, 200, 200, 429]
    assert sign_in("ada", PASSWORD) == 429
    assert sign_in("ADA", PASSWORD) == 429


def test_the_real_user_signs_in_from_elsewhere_meanwhile(ada: User) -> None:
    for _ in range(50):
        sign_in("ada", "wrong")
    assert sign_in("ada", PASSWORD, "10.0.0.2") == 302


def test_an_address_that_tries_many_names_is_stopped(ada: User) -> None:
    tried = [sign_in(f"user{number}", "wrong") for number in range(9)]
    assert tried[-1] == 429
    assert sign_in("ada", PASSWORD) == 429
    assert sign_in("ada", PASSWORD, "10.0.0.2") == 302


def test_a_name_that_is_tried_from_everywhere_stays_open_where_its_owner_has_been(ada: User) -> None:
    assert sign_in("ada", PASSWORD, "10.9.9.9") == 302
    for number in range(11):
        sign_in("ada", "wrong", f"10.0.1.{number}")
    assert sign_in("ada", PASSWORD, "10.0.2.1") == 429
    assert sign_in("ada", PASSWORD, "10.9.9.9") == 302


def test_the_count_ends_with_its_time(ada: User, settings: object) -> None:
    for _ in range(5):
        sign_in("ada", "wrong")
    settings.SSOT_SIGN_IN_SECONDS = 0  # type: ignore[attr-defined]
    assert sign_in("ada", PASSWORD) == 302
    assert not SignInFailure.objects.exists()


def test_success_forgives_the_tries_before(ada: User) -> None:
    for _ in range(3):
        assert [sign_in("ada", "wrong"), sign_in("ada", "wrong"), sign_in("ada", PASSWORD)] == [200, 200, 302]


def test_admins_page_is_no_way_around(ada: User) -> None:
    User.objects.filter(pk=ada.pk).update(is_staff=True)
    for _ in range(4):
        sign_in("ada", "wrong", path="/admin/login/")
    assert sign_in("ada", PASSWORD, path="/admin/login/") == 200
    assert sign_in("ada", PASSWORD) == 429


def test_made_up_forwarding_is_no_way_around(ada: User) -> None:
    for number in range(4):
        sign_in("ada", "wrong", HTTP_X_FORWARDED_FOR=f"192.0.2.{number}")
    assert sign_in("ada", PASSWORD, HTTP_X_FORWARDED_FOR="192.0.2.99") == 429


def test_what_a_stranger_types_is_nowhere_to_be_read(ada: User) -> None:
    sign_in("my-secret-password", "x")
    assert not Activity.objects.filter(user__contains="secret").exists()
    assert "my-secret-password" not in str(list(SignInFailure.objects.values()))
    row = Activity.objects.get(verb="sign-in-failed")
    assert (row.user, row.address, row.is_refused) == ("", "10.0.0.1", True)


def test_being_stopped_is_noted_once(ada: User) -> None:
    for _ in range(20):
        sign_in("ada", "wrong")
    assert Activity.objects.filter(verb="sign-in-failed").count() == 3
    assert Activity.objects.filter(verb="sign-in-stopped").count() == 1


# --- Addresses behind proxies ---


@pytest.mark.parametrize(
    ("peer", "said", "client"),
    [
        ("203.0.113.5", "", "203.0.113.5"),
        ("203.0.113.5", "192.0.2.1", "203.0.113.5"),  # no proxy of ours
        ("10.0.0.1", "192.0.2.1", "192.0.2.1"),
        ("10.0.0.1", "198.51.100.7, 192.0.2.1", "192.0.2.1"),  # its beginning is the client's word
        ("10.0.0.1", "192.0.2.1, 10.0.0.2", "192.0.2.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "nonsense", "10.0.0.1"),
        ("10.0.0.1", "192.0.2.1, nonsense", "10.0.0.1"),
        ("", "192.0.2.1", "192.0.2.1"),
    ],
)
def test_address_is_what_our_own_proxies_say(
    peer: str, said: str, client: str, settings: object, rf: object
) -> None:
    settings.SSOT_PROXIES = ["10.0.0.0/8", "unix"]  # type: ignore[attr-defined]
    more = {"HTTP_X_FORWARDED_FOR": said} if said else {}
    assert client_address(rf.get("/", REMOTE_ADDR=peer, **more)) == client  # type: ignore[attr-defined]


# --- Sessions ---


@pytest.fixture
def two(ada: User) -> Iterator[tuple[Client, Client]]:
    clients = (Client(headers={"User-Agent": "Firefox"}), Client(headers={"User-Agent": "Phone"}))
    for client in clients:
        client.post("/login/", {"username": "ada", "password": PASSWORD})
    return clients


def test_people_see_where_they_are_signed_in(two: tuple[Client, Client], ada: User) -> None:
    page = two[0].get("/account/").content.decode()
    assert "Firefox" in page and "Phone" in page and page.count("this one") == 1
    assert UserSession.objects.filter(user=ada).count() == 2


def test_signing_out_everywhere_leaves_this_session(two: tuple[Client, Client]) -> None:
    two[0].post("/account/sign-out-everywhere/")
    assert two[0].get("/").status_code == 200
    assert two[1].get("/").status_code == 302


def test_another_password_ends_the_other_sessions(two: tuple[Client, Client]) -> None:
    new = "another horse battery"
    two[0].post("/password/", {"old_password": PASSWORD, "new_password1": new, "new_password2": new})
    assert two[0].get("/").status_code == 200
    assert two[1].get("/").status_code == 302


def test_session_of_an_expired_fragment_is_sent_to_sign_in(two: tuple[Client, Client]) -> None:
    UserSession.objects.all().delete()
    answer = two[0].get("/", headers={"HX-Request": "true", "HX-Target": "repository-list"})
    assert answer.status_code == 401 and answer.headers["HX-Redirect"].startswith("/login/")


@pytest.mark.parametrize("password", ["short", "1234567890123", "password1234", "ada-lovelace"])
def test_poor_passwords_are_refused(password: str) -> None:
    User.objects.create_user("ada-lovelace", password=PASSWORD)
    client = Client()
    client.post("/login/", {"username": "ada-lovelace", "password": PASSWORD})
    fields = {"old_password": PASSWORD, "new_password1": password, "new_password2": password}
    assert "invalid-feedback" in client.post("/password/", fields).content.decode()


# --- Reading without signing in ---


def test_reading_can_be_opened_and_nothing_else(client: Client, settings: object) -> None:
    settings.SSOT_OPEN_READING = True  # type: ignore[attr-defined]
    for path in ("/", "/ids/", "/issues/", "/audits/", "/rules/"):
        assert client.get(path).status_code == 200, path
    for path in ("/add-repository/", "/tokens/", "/account/", "/people/", "/activity/", "/admin/", "/api/"):
        answer = client.get(path)
        assert answer.status_code == 302 and "/login/" in answer.headers["Location"], path
    for path in ("/add-repository/", "/issues/1/notes/", "/repositories/x/audit/"):
        answer = client.post(path)
        assert answer.status_code == 302 and answer.headers["Location"].startswith("/login/"), path
    assert client.get("/api/v1/repositories").status_code == 401

"""The link for the first sign-in: it makes one administrator, and nothing after that."""

import threading
from datetime import timedelta
from unittest import mock

import pytest
from django.contrib.auth.models import User
from django.core import signing
from django.db import connections
from django.test import Client

from ssot_dash.views import WELCOME_SECONDS, first_sign_in_path

FORM = {"username": "grace", "password1": "a long enough one", "password2": "a long enough one"}


@pytest.fixture
def link(db: None) -> str:
    path = first_sign_in_path()
    assert path is not None
    return path


def test_link_makes_the_administrator_and_signs_in(client: Client, link: str) -> None:
    assert client.get(link).status_code == 200
    before = client.session.session_key
    answer = client.post(link, FORM)
    assert (answer.status_code, answer.headers["Location"]) == (302, "/")
    grace = User.objects.get()
    assert (grace.username, grace.is_staff, grace.is_superuser) == ("grace", True, True)
    assert grace.check_password(FORM["password1"])
    assert client.session["_auth_user_id"] == str(grace.pk)
    assert client.session.session_key != before


def test_link_works_once(client: Client, link: str) -> None:
    client.post(link, FORM)
    stranger = Client()
    for answer in (stranger.get(link), stranger.post(link, {**FORM, "username": "mallory"})):
        assert answer.status_code == 410
        assert "no longer works" in answer.text
    assert list(User.objects.values_list("username", flat=True)) == ["grace"]
    assert "_auth_user_id" not in stranger.session


def test_there_is_no_link_once_there_is_an_administrator(client: Client, link: str) -> None:
    User.objects.create_superuser("ada")
    assert first_sign_in_path() is None
    assert client.get(link).status_code == 410
    assert client.post(link, FORM).status_code == 410
    assert User.objects.count() == 1


def test_ordinary_users_do_not_take_the_link_away(client: Client, link: str) -> None:
    User.objects.create_user("reader")
    assert client.get(link).status_code == 200


def test_link_expires_after_a_day(client: Client, link: str) -> None:
    later = signing.time.time() + WELCOME_SECONDS
    with mock.patch.object(signing.time, "time", return_value=later + timedelta(minutes=1).total_seconds()):
        assert client.get(link).status_code == 410
        assert client.post(link, FORM).status_code == 410
    with mock.patch.object(signing.time, "time", return_value=later - timedelta(minutes=1).total_seconds()):
        assert client.get(link).status_code == 200
    assert not User.objects.exists()


def test_forged_link_is_refused(client: Client, link: str) -> None:
    forged = signing.TimestampSigner(salt="something else").sign("welcome")
    assert client.post(f"/welcome/{forged}/", FORM).status_code == 410
    assert client.post(link[:-2] + "/", FORM).status_code == 410
    assert not User.objects.exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"password2": "another one entirely"}, "didn’t match"),
        ({"password1": "12345678", "password2": "12345678"}, "too common"),
        ({"password1": "grace123", "password2": "grace123"}, "too similar"),
        ({"username": "no spaces, please"}, "valid username"),
    ],
)
def test_mistakes_are_named_and_nothing_is_made(
    client: Client, link: str, change: dict[str, str], words: str
) -> None:
    answer = client.post(link, {**FORM, **change})
    assert answer.status_code == 422
    assert words in answer.text
    assert FORM["password1"] not in answer.text
    assert not User.objects.exists()


def test_page_is_not_kept_by_the_browser(client: Client, link: str) -> None:
    assert "no-store" in client.get(link).headers["Cache-Control"]


@pytest.mark.django_db(transaction=True)
def test_of_two_at_once_one_becomes_administrator() -> None:
    link = first_sign_in_path() or ""
    together = threading.Barrier(2)
    codes = []

    def try_as(name: str) -> None:
        together.wait()
        codes.append(Client().post(link, {**FORM, "username": name}).status_code)
        connections.close_all()

    threads = [threading.Thread(target=try_as, args=[name]) for name in ("grace", "mallory")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(codes) == [302, 410]
    assert User.objects.filter(is_superuser=True).count() == 1

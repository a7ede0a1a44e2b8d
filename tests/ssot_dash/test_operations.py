"""The page about how the site runs: what it shows, and to whom."""

from collections.abc import Iterator
from typing import Any

import pytest
from celery import current_app
from django.contrib.auth.models import Permission, User
from django.test import Client

from audits import removing
from audits.models import Audit, Repository
from ssot_dash import health, heartbeats

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    health.forget()
    yield
    health.forget()


@pytest.fixture
def boss(client: Client) -> User:
    user = User.objects.create_superuser("boss")
    client.force_login(user)
    return user


def test_the_page_says_what_is_wrong_and_offers_to_try_again(client: Client, boss: User) -> None:
    repository = Repository.objects.create(name="Shop", slug="shop", location="/srv/shop")
    failed = Audit.objects.create(repository=repository, state="failed", error_message="no such branch")
    Audit.objects.create(repository=repository, state="running", phase="Reading", attempts=2)
    first, *others = current_app.amqp.queues
    heartbeats.worker_lives("celery@here", others, 2)
    text = client.get("/operations/").text
    assert "The scheduler has never sent a tick" in text
    assert "systemctl start ssot-dash-beat" in text  # what to do about it
    assert "worker celery@here" in text and f"2 processes for {', '.join(sorted(others))}" in text
    assert f"Queue {first}" in text and text.count("no worker listens") == 1
    assert "no such branch" in text and f'action="/audits/{failed.pk}/retry/"' in text
    assert "Reading" in text
    storage = text[text.index('id="storage"') :]
    assert "<code>audits_" in storage and "KB" in storage.replace("\xa0", " ")


def test_the_live_part_is_a_fragment_and_reads_no_sizes(
    client: Client, boss: User, django_assert_num_queries: Any
) -> None:
    headers = {"HX-Request": "true", "HX-Target": "operations-live"}
    with django_assert_num_queries(16):
        part = client.get("/operations/", headers=headers).text
    assert part.lstrip().startswith('<div id="operations-live"') and "<html" not in part
    assert "pg_class" not in part and 'id="storage"' not in part


def test_repositories_being_deleted_are_shown_until_they_are(client: Client, boss: User) -> None:
    hidden = Repository.objects.create(name="Vault", slug="vault", location="/srv/vault", is_private=True)
    shown = Repository.objects.create(name="Shop", slug="shop", location="/srv/shop")
    assert 'id="removals"' not in client.get("/operations/").text
    for repository in (hidden, shown):
        removing.remove(repository)
    text = client.get("/operations/").text
    assert "<strong>Vault</strong>" in text and "<strong>Shop</strong>" in text
    assert "wait for a worker" in text
    reader = User.objects.create_user("reader")
    reader.user_permissions.add(Permission.objects.get(codename="view_operations"))
    client.force_login(reader)
    text = client.get("/operations/").text
    assert "<strong>Shop</strong>" in text and "Vault" not in text
    for repository in (hidden, shown):
        removing.go_on(repository.pk)
    assert 'id="removals"' not in client.get("/operations/").text


def test_it_is_for_those_who_may_see_operations(client: Client) -> None:
    reader = User.objects.create_user("reader")
    client.force_login(reader)
    assert client.get("/operations/").status_code == 403
    reader.user_permissions.add(Permission.objects.get(codename="view_operations"))
    page = client.get("/operations/")
    assert page.status_code == 200
    assert client.post("/operations/").status_code == 405

"""People with and without permissions."""

from collections.abc import Callable

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

SignIn = Callable[..., Client]


@pytest.fixture
def sign_in(db: None) -> SignIn:
    """A client of a new user who has exactly the given permissions of the app ``audits``."""

    def make(*codenames: str) -> Client:
        user = User.objects.create_user(f"user{User.objects.count()}")
        user.user_permissions.set(
            Permission.objects.filter(codename__in=codenames, content_type__app_label="audits")
        )
        client = Client()
        client.force_login(user)
        return client

    return make


@pytest.fixture
def viewer(sign_in: SignIn) -> Client:
    """Signed in, without any permission."""
    return sign_in()


@pytest.fixture
def boss(db: None) -> Client:
    """A superuser."""
    client = Client()
    client.force_login(User.objects.create_superuser("boss"))
    return client


def fragment(target: str) -> dict[str, str]:
    """The headers by which htmx asks for the content of an element."""
    return {"HX-Request": "true", "HX-Target": target}

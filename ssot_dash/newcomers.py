"""People whom an identity provider or a proxy brings: who they are here, and what they may do at first."""

from typing import Any

from django.conf import settings
from django.contrib.auth.backends import RemoteUserBackend
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.http import HttpRequest

from audits.models import Role
from ssot_dash import roles
from ssot_dash.models import Identity


class NotInvitedError(Exception):
    """Somebody whom nobody has invited, where only those who were come in."""


def are_welcome() -> bool:
    return settings.SSOT_NEW_PEOPLE_ROLE in Role.values


def settle(user: User) -> User:
    """Give somebody new their role, and no password."""
    user.set_unusable_password()
    user.save(update_fields=["password"])
    roles.give(user, Role(settings.SSOT_NEW_PEOPLE_ROLE))
    return user


class ProxyBackend(RemoteUserBackend):
    """Takes in whom a proxy names (``ssot_dash.middleware.UserOfProxy``)."""

    def __init__(self) -> None:
        self.create_unknown_user = are_welcome()

    def configure_user(self, request: HttpRequest | None, user: Any, created: bool = True) -> Any:
        return settle(user) if created else user


def user_of(issuer: str, subject: str, name: str, email: str = "") -> User:
    """Who somebody of an identity provider is here; somebody new gets an account. Raises ``NotInvitedError``.

    Known by issuer and subject alone: a name or a mail address at the provider takes over nobody's account here.
    """
    known = Identity.objects.select_related("user").filter(issuer=issuer, subject=subject).first()
    if known is not None:
        return known.user
    if not are_welcome():
        raise NotInvitedError
    with transaction.atomic():
        user = _new_user(name, email)
        Identity.objects.create(issuer=issuer, subject=subject, user=user)
        return settle(user)


def tie(user: User, issuer: str, subject: str) -> bool:
    """Let an account be entered through the provider as well. False when that is somebody else's already."""
    identity, _ = Identity.objects.get_or_create(issuer=issuer, subject=subject, defaults={"user": user})
    return identity.user_id == user.pk


def _new_user(name: str, email: str) -> User:
    """An account by the name that somebody has at the provider; with a number behind it when that is taken."""
    base = "".join(c for c in name if c.isalnum() or c in "@.+-_")[:140] or "user"
    for number in range(1, 1_000):
        try:
            with transaction.atomic():
                return User.objects.create_user(base if number == 1 else f"{base}-{number}", email[:254])
        except IntegrityError:
            continue
    raise NotInvitedError

"""The members of a repository: who they are and what they may do there. The only writer of memberships."""

from django.contrib.auth.models import User
from django.db import transaction

from audits.models import Membership, Repository, Role


class MemberError(ValueError):
    """Why a membership stays as it is, in a sentence."""


def put(repository: Repository, user: User, role: Role) -> Membership:
    """Make somebody a member, or give a member another role. Raises ``MemberError`` for the last admin's."""
    with transaction.atomic():
        _keep_an_admin(repository, user, role)
        membership, _ = Membership.objects.update_or_create(
            repository=repository, user=user, defaults={"role": role}
        )
    return membership


def remove(repository: Repository, user: User) -> None:
    """End a membership. Raises ``MemberError`` for the last admin's: a private repository would be nobody's."""
    with transaction.atomic():
        _keep_an_admin(repository, user, None)
        Membership.objects.filter(repository=repository, user=user).delete()


def _keep_an_admin(repository: Repository, user: User, role: Role | None) -> None:
    locked = Repository.objects.select_for_update(no_key=True).get(pk=repository.pk)
    if role == Role.ADMIN or not locked.is_private:
        return
    admins = Membership.objects.filter(repository=repository, role=Role.ADMIN)
    if admins.filter(user=user).exists() and not admins.exclude(user=user).exists():
        raise MemberError("A private repository keeps one admin: make somebody else one first.")

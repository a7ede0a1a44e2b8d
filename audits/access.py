"""Who may do what with a repository. Every edge gets its rows from here, so that none forgets to ask.

``get_repository(request, slug, "audits.add_audit")`` is for a page of a repository, ``get_of_visible(request, rows,
"audits.change_issue", pk=pk)`` for one of something that belongs to one, ``visible(user, rows)`` for lists. What
somebody may not know of doesn't exist (404); what they see but may not do is refused (403).

Rights are Django's permissions: those that somebody has everywhere (by a group, say) count in every repository that
they see, except that in a private one only its members' do. A member's role adds to them. ``RepositoryBackend`` makes
``user.has_perm("audits.add_audit", repository)`` answer that.
"""

from typing import Any, TypeVar

from django.contrib.auth.backends import BaseBackend
from django.core.exceptions import PermissionDenied
from django.db import models
from django.db.models import QuerySet
from django.http import Http404, HttpRequest

from audits.models import Membership, Repository, Role

M = TypeVar("M", bound=models.Model)

_EDITOR = frozenset(
    f"audits.{name}"
    for name in (
        "add_audit",
        "change_audit",
        "add_testrun",
        "add_tracker",
        "change_tracker",
        "add_issue",
        "change_issue",
        "add_waiver",
        "change_waiver",
    )
)
# What a member's role allows in the repository. Everybody who sees a repository may read all of it and comment.
ROLES: dict[Role, frozenset[str]] = {
    Role.VIEWER: frozenset(),
    Role.EDITOR: _EDITOR,
    Role.ADMIN: _EDITOR
    | {"audits.change_repository", "audits.delete_repository", "audits.change_membership"},
}


class RepositoryBackend(BaseBackend):
    """Answers ``has_perm`` for a repository. It signs nobody in."""

    def has_perm(self, user_obj: Any, perm: str, obj: Any = None) -> bool:
        if not user_obj.is_active or not isinstance(obj, Repository):
            return False
        counts_here = not obj.is_private or user_obj.has_perm("audits.view_private_repository")
        if counts_here and user_obj.has_perm(perm):
            return True
        role = roles_of(user_obj).get(obj.pk)
        return role is not None and perm in ROLES[role]


def roles_of(user: Any) -> dict[int, Role]:
    """Repository id to what somebody is there. Asked of the database once for each request."""
    if not hasattr(user, "_repository_roles"):
        rows = Membership.objects.filter(user=user.pk).values_list("repository", "role")
        user._repository_roles = {repository: Role(role) for repository, role in rows}
    found: dict[int, Role] = user._repository_roles
    return found


def may_somewhere(user: Any, permission: str) -> bool:
    """Whether somebody has a permission everywhere, or as a member of some repository."""
    return user.has_perm(permission) or any(permission in ROLES[role] for role in roles_of(user).values())


def visible(user: Any, rows: QuerySet[M], through: str = "repository") -> QuerySet[M]:
    """The rows that belong to a repository which somebody may know of; ``through`` is the way to it."""
    return rows.filter(**{f"{through}__in": Repository.objects.visible_to(user)})


def get_repository(
    request: HttpRequest, slug: str, permission: str = "", rows: QuerySet[Repository] | None = None
) -> Repository:
    """The repository of a page: 404 when its reader may not know of it, 403 without the permission.

    ``rows`` is a queryset with what else the page needs of it. The templates' ``perms`` are those in this repository
    from here on.
    """
    known = rows if rows is not None else Repository.objects.all()
    repository = known.filter(slug=slug).first()
    if repository is None or not _may_see(request.user, repository):
        raise Http404("There is no such repository.")
    check(request, repository, permission)
    return repository


def get_of_visible(request: HttpRequest, rows: QuerySet[M], permission: str = "", **key: Any) -> M:
    """One of ``rows``, whose ``repository`` is followed, by its key: 404 and 403 as for the repository itself."""
    found = rows.filter(**key).first()
    repository: Any = getattr(found, "repository", None)
    if found is None or not _may_see(request.user, repository):
        raise Http404("There is no such thing.")
    check(request, repository, permission)
    return found


def check(request: HttpRequest, repository: Repository, permission: str) -> None:
    """Note whose page it is. Raises ``PermissionDenied`` when the reader lacks the permission there."""
    request.repository = repository  # type: ignore[attr-defined]
    if permission and not request.user.has_perm(permission, repository):
        raise PermissionDenied


def _may_see(user: Any, repository: Repository) -> bool:
    """The same as ``visible_to``, of a row at hand."""
    if repository.removed_at is not None:
        return False
    if not repository.is_private or user.has_perm("audits.view_private_repository"):
        return True
    return user.is_active and repository.pk in roles_of(user)

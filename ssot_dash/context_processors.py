"""What every template may use."""

from typing import Any

from django.contrib.auth.context_processors import PermLookupDict, PermWrapper
from django.http import HttpRequest

from audits.models import Repository
from ssot_dash import __version__


def csp_nonce(request: HttpRequest) -> dict[str, object]:
    """django-htmx reads ``csp_nonce``; django-csp offers the same value as ``request.csp_nonce``."""
    return {"csp_nonce": getattr(request, "csp_nonce", None)}


class _Permissions(PermLookupDict):
    """``perms.audits``: what the reader may do in the repository of the page."""

    def __init__(self, user: Any, app_label: str, repository: Repository) -> None:
        super().__init__(user, app_label)
        self._repository = repository

    def __getitem__(self, perm_name: str) -> bool:
        return bool(self.user.has_perm(f"{self.app_label}.{perm_name}", self._repository))


class _RepositoryPermissions(PermWrapper):
    def __init__(self, user: Any, repository: Repository) -> None:
        super().__init__(user)
        self._repository = repository

    def __getitem__(self, app_label: str) -> PermLookupDict:
        if app_label == "audits":
            return _Permissions(self.user, app_label, self._repository)
        return super().__getitem__(app_label)


def permissions(request: HttpRequest) -> dict[str, object]:
    """``perms`` on the page of a repository (``audits.access``) are the reader's in that repository."""
    repository = getattr(request, "repository", None)
    if repository is None or not hasattr(request, "user"):
        return {}
    return {"perms": _RepositoryPermissions(request.user, repository)}


def version(request: HttpRequest) -> dict[str, object]:
    """The site's version, for the footer."""
    return {"version": __version__}

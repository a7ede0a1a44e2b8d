"""Tokens for programs: made, found, revoked. The only writer of tokens."""

import hashlib
import secrets
from collections.abc import Iterable
from datetime import timedelta

from django.contrib.auth.models import User
from django.db.models import Q
from django.utils import timezone

from audits.models import Repository
from ssot_dash.models import ApiToken

# What a token can be good for -> in words, and the permission that its user must have (empty: none beyond signing in).
SCOPES: dict[str, tuple[str, str]] = {
    "audits:read": ("read repositories, audits, violations, issues and test runs", ""),
    "audits:write": ("start audits", "audits.add_audit"),
    "test-runs:write": ("send test reports", "audits.add_testrun"),
    "ids:read": ("read ID types, explain and validate IDs", ""),
    "ids:write": ("issue IDs", "ids.add_issuedid"),
    "metrics:read": (
        "read metrics of the whole site, private repositories included",
        "ssot_dash.view_operations",
    ),
}
PREFIX = "ssot_"
# How often a token's last use is written down.
USE_SECONDS = 60


def create(
    user: User,
    name: str,
    scopes: Iterable[str],
    repository: Repository | None = None,
    days: int | None = None,
) -> tuple[ApiToken, str]:
    """Make a token. Answers it, and its secret: nobody can see that again.

    Raises ``ValueError`` for an unknown scope, or none.
    """
    wanted = sorted(set(scopes))
    unknown = [scope for scope in wanted if scope not in SCOPES]
    if unknown or not wanted:
        known = ", ".join(SCOPES)
        raise ValueError(f"unknown scope {unknown[0]!r}; known are {known}" if unknown else "name a scope")
    secret = PREFIX + secrets.token_urlsafe(32)
    token = ApiToken.objects.create(
        name=name,
        digest=_digest(secret),
        start=secret[:10],
        user=user,
        scopes=wanted,
        repository=repository,
        expires_at=timezone.now() + timedelta(days=days) if days is not None else None,
    )
    return token, secret


def find(secret: str) -> ApiToken | None:
    """The token of a secret, if it is good now: not revoked, not expired, its user still there."""
    if not secret.startswith(PREFIX) or len(secret) > 100:
        return None
    now = timezone.now()
    good = ApiToken.objects.filter(revoked_at=None, user__is_active=True)
    good = good.filter(Q(expires_at=None) | Q(expires_at__gt=now)).select_related("user", "repository")
    token = good.filter(digest=_digest(secret)).first()
    if token is not None:
        stale = Q(used_at=None) | Q(used_at__lt=now - timedelta(seconds=USE_SECONDS))
        ApiToken.objects.filter(stale, pk=token.pk).update(used_at=now)
    return token


def may(token: ApiToken, scope: str, repository: Repository | None = None) -> bool:
    """Whether a token is good for something: by its scopes, and by what its user may do, there or everywhere."""
    permission = SCOPES[scope][1]
    return scope in token.scopes and (not permission or token.user.has_perm(permission, repository))


def revoke(token: ApiToken) -> None:
    ApiToken.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=timezone.now())


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()

"""Tokens for programs: made, found, revoked. The only writer of tokens."""

import hashlib
import secrets
from collections.abc import Iterable
from datetime import timedelta
from typing import Final

from django.contrib.auth.models import User
from django.db import connection
from django.utils import timezone

from audits.models import Repository
from ids import prepared
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
    """The token of a secret, if it is good now: not revoked, not expired, its user still there.

    One statement for each request, written out: what an ORM adds to it would be most of a request's work. ``may``
    finds in the token what its user's groups allow, so that nothing is asked twice and nothing is remembered.
    """
    if not secret.startswith(PREFIX) or len(secret) > 100:
        return None
    row = prepared.fetch_one(_FIND, {"digest": _digest(secret), "seconds": USE_SECONDS}, only_reads=True)
    if row is None:
        return None
    *values, permitted, is_stale = row
    if is_stale:
        with connection.cursor() as cursor:
            cursor.execute(_USED, {"token": values[0], "seconds": USE_SECONDS})
    token = ApiToken.from_db(connection.alias, _TOKEN_FIELDS, values[: len(_TOKEN_FIELDS)])
    token.user = User.from_db(connection.alias, _USER_FIELDS, values[len(_TOKEN_FIELDS) :])
    token.permitted = frozenset(permitted)
    return token


def may(token: ApiToken, scope: str, repository: Repository | None = None) -> bool:
    """Whether a token is good for something: by its scopes, and by what its user may do, there or everywhere."""
    permission = SCOPES[scope][1]
    if scope not in token.scopes:
        return False
    if repository is None and token.permitted is not None:
        return not permission or permission in token.permitted
    return not permission or token.user.has_perm(permission, repository)


def revoke(token: ApiToken) -> None:
    ApiToken.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=timezone.now())


def repository_removed(repository_id: int, **_: object) -> None:
    """Receiver: tokens for a repository go with it, before another one has its name."""
    ApiToken.objects.filter(repository=repository_id).delete()


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


# --- the statement of each request ------------------------------------------------------------------------------------

# What requests look at, in the order of the models; other columns are read when somebody asks for them.
_TOKEN_FIELDS: Final = [
    field.attname
    for field in ApiToken._meta.concrete_fields
    if field.attname in {"id", "name", "user_id", "scopes", "repository_id"}
]
_USER_FIELDS: Final = [
    field.attname
    for field in User._meta.concrete_fields
    if field.attname in {"id", "username", "is_active", "is_superuser", "is_staff"}
]
_PERMISSIONS: Final = ", ".join(f"'{permission}'" for _, permission in SCOPES.values() if permission)

# Of the permissions that scopes ask for, those that the user has everywhere, as Django's own backend finds them.
_FIND: Final = f"""
SELECT {", ".join(f"token.{name}" for name in _TOKEN_FIELDS)},
       {", ".join(f'person."{name}"' for name in _USER_FIELDS)},
       CASE WHEN person.is_superuser THEN ARRAY[{_PERMISSIONS}] ELSE ARRAY(
           SELECT kind.app_label || '.' || permission.codename
             FROM auth_permission AS permission
             JOIN django_content_type AS kind ON kind.id = permission.content_type_id
            WHERE kind.app_label || '.' || permission.codename IN ({_PERMISSIONS})
              AND permission.id IN (
                  SELECT permission_id FROM auth_user_user_permissions WHERE user_id = person.id
                  UNION ALL
                  SELECT allowed.permission_id FROM auth_user_groups AS member
                    JOIN auth_group_permissions AS allowed ON allowed.group_id = member.group_id
                   WHERE member.user_id = person.id)
       ) END,
       token.used_at IS NULL OR token.used_at < statement_timestamp() - make_interval(secs => %(seconds)s)
  FROM ssot_dash_apitoken AS token JOIN auth_user AS person ON person.id = token.user_id
 WHERE token.digest = %(digest)s AND token.revoked_at IS NULL AND person.is_active
   AND (token.expires_at IS NULL OR token.expires_at > statement_timestamp())
"""  # noqa: S608 - names of columns and texts of this file
_USED: Final = """
UPDATE ssot_dash_apitoken SET used_at = statement_timestamp()
 WHERE id = %(token)s
   AND (used_at IS NULL OR used_at < statement_timestamp() - make_interval(secs => %(seconds)s))
"""

"""Takes in what git servers say of pushes, and has the pushed commits audited: the only writer of pushes.

GitHub and Gitea sign their messages (HMAC-SHA256 of the body), GitLab sends the secret itself. The secret of a
repository is derived from the site's own, so none is stored; another ``push_secret_number`` makes another one.
"""

import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Max

from audits import auditing, recording
from audits.models import IN_FLIGHT, Audit, Push, Repository, Trigger

MAX_BYTES = 5 * 1024**2
# Pushes of a repository that are kept.
KEPT = 1_000
FORBIDDEN = "There is no such hook, or the message isn’t signed with its secret."
_SHA = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")


class PushError(Exception):
    """A message that is not taken in. ``code`` is one of forbidden, invalid, replay."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def secret_of(repository: Repository) -> str:
    """What the git server has to know."""
    name = f"push-hook:{repository.pk}:{repository.created_at.isoformat()}:{repository.push_secret_number}"
    return hmac.new(settings.SECRET_KEY.encode(), name.encode(), hashlib.sha256).hexdigest()


def renew_secret(repository: Repository) -> None:
    """From now on the old secret is worth nothing."""
    repository.push_secret_number += 1
    repository.save(update_fields=["push_secret_number"])


@dataclass(frozen=True, slots=True)
class Message:
    """What a message says: the ref and the commit that it has now, "" for one that was deleted."""

    provider: str
    ref: str
    commit: str


def read(headers: Mapping[str, str], body: bytes, secret: str) -> Message | None:
    """A message that is signed with a secret; None for one that tells of no push. Raises ``PushError``."""
    if len(body) > MAX_BYTES:
        raise PushError("too-large", f"A message has at most {MAX_BYTES:,} bytes.")
    provider, event = _verified(headers, body, secret)
    if event.casefold() not in {"push", "push hook", "system hook"}:
        return None
    try:
        values = json.loads(body)
        ref, after = values["ref"], values["after"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise PushError("invalid", "The message is no JSON of a push: is its content type JSON?") from None
    if not isinstance(ref, str) or not isinstance(after, str) or not _SHA.fullmatch(after):
        raise PushError("invalid", "The message names no ref and commit.")
    return Message(provider, recording.clean(ref, 300), after if after.strip("0") else "")


def _verified(headers: Mapping[str, str], body: bytes, secret: str) -> tuple[str, str]:
    """Who signed a message, and what it tells of. Raises ``PushError``."""
    signature = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    offered = {
        "gitea": (headers.get("X-Gitea-Signature"), signature, headers.get("X-Gitea-Event", "")),
        "github": (
            headers.get("X-Hub-Signature-256"),
            f"sha256={signature}",
            headers.get("X-GitHub-Event", ""),
        ),
        "gitlab": (headers.get("X-Gitlab-Token"), secret, headers.get("X-Gitlab-Event", "")),
    }
    for provider, (given, expected, event) in offered.items():
        if given is not None and hmac.compare_digest(given.encode(), expected.encode()):
            return provider, event
    raise PushError("forbidden", FORBIDDEN)


def receive(repository: Repository, message: Message, body: bytes) -> Push:
    """Keep a push. Raises ``PushError`` for one that was told of before."""
    is_branch = message.ref.startswith("refs/heads/")
    with transaction.atomic():
        push, is_new = Push.objects.get_or_create(
            repository=repository,
            digest=hashlib.sha256(body).hexdigest(),
            defaults={
                "provider": message.provider,
                "ref": message.ref,
                "commit_sha": message.commit,
                "is_ignored": not is_branch or not message.commit,
            },
        )
        if is_new:
            old = repository.pushes.order_by("-pk").values_list("pk", flat=True)[KEPT:]
            Push.objects.filter(pk__in=list(old)).delete()
    if not is_new:
        raise PushError("replay", "This very message was received before.")
    return push


def due() -> None:
    """Request audits of what was pushed, as far as repositories have none in flight."""
    waiting = Push.objects.filter(audit=None, is_ignored=False)
    for repository in Repository.objects.filter(pk__in=waiting.values("repository")):
        request(repository)


def request(repository: Repository) -> Audit | None:
    """Request an audit of the oldest branch's newest push; None when there is nothing to do, or one is in flight, after
    which the dispatcher asks again.
    """
    waiting = Push.objects.filter(repository=repository, audit=None, is_ignored=False)
    first = waiting.order_by("pk").first()
    if first is None or Audit.objects.filter(repository=repository, state__in=IN_FLIGHT).exists():
        return None
    same_ref = waiting.filter(ref=first.ref)
    newest = same_ref.aggregate(pk=Max("pk"))["pk"]
    push = Push.objects.get(pk=newest)
    with transaction.atomic():
        audit, is_new = auditing.request(repository, push.commit_sha, trigger=Trigger.PUSH)
        if not is_new:
            return None
        same_ref.filter(pk__lte=newest).update(audit=audit)
    return audit


def fields(push: Push) -> dict[str, Any]:
    """A push as its answer."""
    return {
        "ref": push.ref,
        "commit": push.commit_sha or None,
        "audit": push.audit_id,
        "ignored": push.is_ignored,
    }

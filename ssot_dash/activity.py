"""The log of who did what: the only writer of ``Activity``.

``recorder`` is a middleware that notes each request that changed something, so that a new view is in the log without
doing anything for it. What it says of one stands in ``VERBS``; a route that isn't there is noted by its name. Rows are
written after the act, each in a transaction of its own.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.contrib.admin.models import ADDITION, CHANGE, LogEntry
from django.contrib.auth.models import User
from django.contrib.messages import get_messages
from django.db import DatabaseError, transaction
from django.http import HttpRequest, HttpResponseBase

from audits.models import Repository
from ssot_dash.addresses import client_address
from ssot_dash.models import Activity

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Verb:
    """How a route is called in the log, and which of the entered fields are kept. ``statuses``: only those count."""

    words: str
    fields: tuple[str, ...] = ()
    statuses: tuple[int, ...] = ()


_REPOSITORY = ("name", "location", "branch", "schedule", "is_private")
# None: not worth a line, or noted elsewhere (signing in by signals, issued IDs and pushes as rows of their own).
VERBS: dict[str, Verb | None] = {
    "audits:repository-add": Verb("added a repository", _REPOSITORY),
    "audits:repository-edit": Verb("edited a repository", _REPOSITORY),
    "audits:repository-delete": Verb("deleted a repository"),
    "audits:member-put": Verb("made somebody a member", ("user", "role")),
    "audits:member-remove": Verb("removed a member", ("user",)),
    "audits:audit-now": Verb("started an audit", ("rev",)),
    "audits:audit-history": Verb("started an audit of the history", ("rev",)),
    "audits:audit-retry": Verb("started an audit again"),
    "audits:audit-cancel": Verb("cancelled an audit"),
    "audits:duplicate-find": Verb("started a search for duplicates"),
    "audits:policy": Verb("edited a policy", ("source", "reason")),
    "audits:policy-restore": Verb("restored a policy"),
    "audits:policy-check": None,
    "audits:violation-accept": Verb("accepted a violation", ("kind", "reason", "expires_on", "covers")),
    "audits:waiver-end": Verb("took an acceptance back"),
    "audits:issue-new": Verb("made an issue", ("title", "priority")),
    "audits:issue-edit": Verb("edited an issue", ("title", "priority", "due_on")),
    "audits:issue-subjects": Verb("changed what an issue covers", ("subject", "remove")),
    "audits:issue-note": Verb("said something about an issue", ("kind", "step")),
    "audits:issue-judge": None,
    "audits:tracker-paste": Verb("pasted a tracker", ("name",)),
    "audits:tracker-issue": Verb("tied a tracker to an issue", ("issue",)),
    "audits:test-run-upload": Verb("uploaded a test report", ("commit", "branch")),
    "audits:test-command": Verb("edited the test command", ("command", "schedule")),
    "audits:test-execute": Verb("ran the tests", ("rev",)),
    "audits:push-secret": Verb("renewed the secret of a push hook"),
    "audits:badges": Verb("changed who sees badges", ("public",)),
    "audits:push-hook": None,
    "token-list": Verb("made a token", ("name", "scopes", "days"), (200,)),
    "token-revoke": Verb("revoked a token"),
    "password-change": Verb("changed their password"),
    "sign-out-everywhere": Verb("signed out everywhere"),
    "session-end": Verb("ended a session"),
    "people-invite": Verb("invited somebody", ("username", "role")),
    "person-role": Verb("gave somebody a role", ("role",)),
    "person-link": Verb("made a sign-in link for somebody"),
    "person-active": Verb("activated or deactivated somebody", ("active",)),
    "person-sign-out": Verb("signed somebody out everywhere"),
    "invitation": Verb("chose a password by a link"),
    "login": None,
    "logout": None,
    "welcome": None,
    "api:start_audit": Verb("started an audit", (), (202,)),
    "api:send_test_run": Verb("sent a test report", ("commit", "branch"), (201,)),
}
# Verbs that no route stands for.
WORDS = {
    "sign-in": "signed in",
    "sign-in-failed": "failed to sign in",
    "sign-in-stopped": "was stopped from trying passwords",
    "sign-out": "signed out",
    "admin-add": "added (admin pages)",
    "admin-change": "edited (admin pages)",
    "admin-delete": "deleted (admin pages)",
}


def words_of(verb: str) -> str:
    """What a verb reads as."""
    known = VERBS.get(verb)
    return known.words if known is not None else WORDS.get(verb) or verb.rpartition(":")[2].replace("-", " ")


def record(
    request: HttpRequest,
    verb: str,
    *,
    user: User | None = None,
    repository: Repository | None = None,
    object: str = "",  # noqa: A002 - it is what the sentence calls it
    url: str = "",
    is_refused: bool = False,
    details: Mapping[str, str] | None = None,
) -> None:
    """Add a line. ``user`` is who did it, the reader of the page if not given."""
    who = (
        user
        if user is not None
        else request.user
        if isinstance(getattr(request, "user", None), User)
        else None
    )
    token = getattr(request, "auth", None)
    try:
        with transaction.atomic():
            Activity.objects.create(
                user_id=who.pk if who is not None else None,
                user=who.username if who is not None else "",
                token=getattr(token, "name", ""),
                address=client_address(request),
                verb=verb[:60],
                is_refused=is_refused,
                repository_id=repository.pk if repository is not None else None,
                repository=repository.name if repository is not None else "",
                object=_clean(object, 300),
                # Where one signs in may be a link that nobody else should have.
                url=_clean(url or ("" if verb in WORDS else request.path), 500),
                details={name: _clean(value, 500) for name, value in (details or {}).items() if value},
            )
    except DatabaseError:
        # What was done is done: the reader learns that, and the operator that the log has a gap.
        logger.exception("The log of who did what could not be written: %s by %s", verb, who)


def _clean(text: str, limit: int) -> str:
    return text.replace("\0", "").encode("utf-8", "replace").decode()[:limit]


def recorder(
    get_response: Callable[[HttpRequest], HttpResponseBase],
) -> Callable[[HttpRequest], HttpResponseBase]:
    """The middleware: notes what succeeded, and what somebody who is signed in was refused."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        if request.method in {"GET", "HEAD", "OPTIONS"}:
            return get_response(request)
        # Looked at now: signing out makes it somebody else.
        user = request.user if isinstance(request.user, User) else None
        response = get_response(request)
        if request.resolver_match is not None:
            _note(request, response, user)
        return response

    return middleware


def _note(request: HttpRequest, response: HttpResponseBase, user: User | None) -> None:
    assert request.resolver_match is not None
    name = request.resolver_match.view_name
    verb = VERBS.get(name, Verb(""))
    user = user or (request.user if isinstance(request.user, User) else None)
    if verb is None or user is None or name.startswith("admin:"):
        return
    if getattr(request, "api_scope", "") == "ids:write":
        return  # issued and released IDs are rows of their own, thousands of them
    status = response.status_code
    is_refused = status == 403
    if not is_refused and (
        status >= 400 or (verb.statuses and status not in verb.statuses) or _was_in_vain(request)
    ):
        return
    fields = {field: request.POST.getlist(field) for field in verb.fields if field in request.POST}
    record(
        request,
        name,
        user=user,
        repository=getattr(request, "repository", None),
        object=getattr(request, "acted_on", ""),
        is_refused=is_refused,
        details={field: ", ".join(values) for field, values in fields.items()},
    )


def _was_in_vain(request: HttpRequest) -> bool:
    """Whether a view told its reader why it did nothing, as an error message on the page that it sends them to."""
    queued = getattr(get_messages(request), "_queued_messages", ())
    return any(message.level >= messages.ERROR for message in queued)


def admin_wrote(sender: object, instance: LogEntry, created: bool, **_: Any) -> None:
    """Receiver: what Django's admin pages note of an edit goes into the log, too."""
    if not created:
        return
    verb = {ADDITION: "admin-add", CHANGE: "admin-change"}.get(instance.action_flag, "admin-delete")
    kind = instance.content_type.name if instance.content_type is not None else ""
    Activity.objects.create(
        user_id=instance.user_id,
        user=instance.user.get_username(),
        verb=verb,
        object=_clean(f"{kind}: {instance.object_repr}", 300),
        url=_clean(instance.get_admin_url() or "", 500),
        details={"changes": _clean(instance.get_change_message(), 500)},
    )

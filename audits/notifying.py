"""Tells people what happened, where they asked for it: the only writer of notices, channels and deliveries.

An outbox: a notice is written in the transaction of what it tells of. The dispatcher gathers what is new for each
channel into one delivery, and a delivery is tried until it succeeds, eight times at most; then it is dead, which its
page shows, with a button that tries again.
"""

import hashlib
import hmac
import json
import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.mail import EmailMessage
from django.core.validators import validate_email
from django.db import transaction
from django.db.models import F, Max, Q, Value
from django.db.models.functions import Now
from django.urls import reverse
from django.utils import timezone

from audits import outbound, recording
from audits.models import (
    Audit,
    Channel,
    Covers,
    Delivery,
    Issue,
    Lifespan,
    Notice,
    NoticeEvent,
    Repository,
    State,
)
from audits.models.violation import counting
from audits.outbound import OutboundError
from audits.verdicts import State as IssueState

MAX_ATTEMPTS = 8
# Notices in one delivery; of more, their number is told.
MAX_NOTICES = 50
# Failed audits in a row that are worth telling.
FAILURES = 3
# Audits that ended longer ago are not told of any more.
_TELL_WITHIN = timedelta(days=1)
_SENDING = timedelta(minutes=2)
_BATCH = 100


# --- Where notices go ---------------------------------------------------------------------------------------


def check_target(kind: str, target: str) -> None:
    """Raises ``OutboundError`` for what can't be a channel's target."""
    if kind != Channel.Kind.MAIL:
        outbound.check_url(target, allowed_hosts())
        return
    if not settings.EMAIL_HOST:
        raise OutboundError("This site sends no e-mail: its operator has to set EMAIL_HOST.")
    try:
        validate_email(target)
    except ValidationError:
        raise OutboundError("This is not an e-mail address.") from None


def allowed_hosts() -> frozenset[str]:
    return frozenset(settings.SSOT_WEBHOOK_HOSTS)


def add_channel(repository: Repository | None, user: Any, **fields: Any) -> Channel:
    """A channel that is told of what happens from now on. Raises ``OutboundError``."""
    check_target(fields["kind"], fields["target"])
    newest = Notice.objects.aggregate(pk=Max("pk"))["pk"] or 0
    return Channel.objects.create(repository=repository, created_by_id=user.pk, last_notice=newest, **fields)


def secret_of(channel: Channel) -> str:
    """What the receiver of a signed webhook checks signatures with. Derived from the site's own, so none is stored."""
    name = f"channel:{channel.pk}:{channel.created_at.isoformat()}"
    return hmac.new(settings.SECRET_KEY.encode(), name.encode(), hashlib.sha256).hexdigest()


def test_channel(channel: Channel) -> None:
    """Send something now. Raises ``OutboundError``."""
    words = "This is a test: notices of SSOT Dash arrive here."
    notice = {
        "event": "test",
        "repository": channel.repository.slug if channel.repository else None,
        "title": words,
        "text": "",
        "url": settings.SSOT_BASE_URL,
        "at": timezone.now().isoformat(),
    }
    _send(channel, "test", [notice], 0)


test_channel.__test__ = False  # type: ignore[attr-defined]  # for pytest


# --- What happened ------------------------------------------------------------------------------------------


def issue_judged(before: Issue, state: IssueState, contradictions: int) -> None:
    """Tell what a judgement changed. ``before`` is the issue as it was, locked."""
    path = before.get_absolute_url()
    occasion = f"{before.pk}:{timezone.now().isoformat()}"
    if contradictions > before.contradictions:
        count = f"{contradictions:,} contradiction{'' if contradictions == 1 else 's'}"
        _tell(before.repository, NoticeEvent.CONTRADICTION, occasion, f"{before.title}: {count}", path)
    if state != before.state and state == IssueState.VERIFIED:
        _tell(before.repository, NoticeEvent.VERIFIED, occasion, f"{before.title} is verified", path)
    if state != before.state and state == IssueState.BACK:
        _tell(before.repository, NoticeEvent.BACK, occasion, f"{before.title} came back", path)


def _tell(
    repository: Repository, event: NoticeEvent, occasion: str, title: str, path: str, text: str = ""
) -> None:
    Notice.objects.get_or_create(
        key=f"{event}:{occasion}"[:100],
        defaults={
            "repository": repository,
            "event": event,
            "title": recording.clean(title, 300),
            "text": recording.clean(text, 2_000),
            "path": path,
        },
    )


def announce_audits() -> None:
    """Tell of the audits that have ended, each once."""
    ended = Audit.objects.filter(
        announced_at=None,
        repository__removed_at=None,
        state__in=[State.SUCCEEDED, State.FAILED],
        finished_at__gt=Now() - Value(_TELL_WITHIN),
    )
    for audit in ended.select_related("repository").order_by("pk")[:_BATCH]:
        with transaction.atomic():
            if Audit.objects.filter(pk=audit.pk, announced_at=None).update(announced_at=Now()):
                _announce(audit)


def _announce(audit: Audit) -> None:
    if audit.state == State.FAILED:
        _announce_failures(audit)
    elif audit.covers == Covers.COMMIT and audit.same_as_id is None:
        _announce_violations(audit)


def _announce_failures(audit: Audit) -> None:
    """Audits that failed in a row, up to this one, when they have just become too many."""
    ended = Audit.objects.filter(
        repository=audit.repository, state__in=[State.SUCCEEDED, State.FAILED], pk__lte=audit.pk
    )
    states = list(ended.order_by("-pk").values_list("state", flat=True)[: FAILURES + 1])
    if states[:FAILURES] == [State.FAILED] * FAILURES and states[FAILURES:] != [State.FAILED]:
        title = f"{audit.repository.name}: {FAILURES} audits in a row have failed"
        path = audit.get_absolute_url()
        _tell(audit.repository, NoticeEvent.FAILING, str(audit.pk), title, path, audit.error_message)


def _announce_violations(audit: Audit) -> None:
    """The severe violations that an audit saw first. The first audit of a repository tells of nothing new."""
    earlier = Audit.objects.filter(repository=audit.repository, state=State.SUCCEEDED, pk__lt=audit.pk)
    if not earlier.exists():
        return
    new = Lifespan.objects.filter(
        counting("violation__"), introduced_in=audit, gone_in=None, violation__severity__in=["P0", "P1"]
    )
    found = list(
        new.order_by("violation__severity", "violation__path")
        .values_list("violation__severity", "violation__subject", "violation__path", "violation__line")
        .distinct()[:_BATCH]
    )
    if not found:
        return
    count = new.values("violation").distinct().count()
    name, commit = audit.repository.name, audit.commit_sha[:9]
    title = f"{name}: {count:,} new severe violation{'' if count == 1 else 's'} at {commit}"
    lines = [f"{severity} {subject} in {path}:{line}" for severity, subject, path, line in found[:10]]
    path = reverse("audits:audit-detail", args=[audit.pk])
    _tell(audit.repository, NoticeEvent.VIOLATIONS, str(audit.pk), title, path, "\n".join(lines))


# --- Deliveries ---------------------------------------------------------------------------------------------


def gather() -> None:
    """Put what is new for each channel into one delivery, at most one every so many minutes."""
    ready = Channel.objects.filter(is_on=True).filter(Q(next_at=None) | Q(next_at__lte=Now()))
    for channel in ready.select_related("repository"):
        notices = Notice.objects.filter(pk__gt=channel.last_notice)
        wanted = notices.filter(event__in=channel.events)
        if channel.repository_id is not None:
            wanted = wanted.filter(repository=channel.repository_id)
        else:
            wanted = wanted.filter(repository__is_private=False)
        keys = list(wanted.order_by("pk").values_list("pk", flat=True))
        newest = notices.aggregate(pk=Max("pk"))["pk"]
        if newest is None:
            continue
        with transaction.atomic():
            mine = Channel.objects.filter(pk=channel.pk, last_notice=channel.last_notice)
            if not keys:
                mine.update(last_notice=newest)
            elif mine.update(
                last_notice=max(newest, keys[-1]), next_at=Now() + Value(timedelta(minutes=channel.minutes))
            ):
                Delivery.objects.create(channel=channel, notices=keys, next_try_at=timezone.now())


def to_send() -> list[str]:
    """The deliveries that shall be tried now, each claimed for the caller."""
    waiting = Delivery.objects.filter(
        state=Delivery.State.PENDING, next_try_at__lte=Now(), channel__is_on=True
    )
    wanted = waiting.order_by("next_try_at").values_list("pk", flat=True)[:_BATCH]
    # While it is being sent nobody else sends it; a worker that dies meanwhile costs the time of one attempt.
    return [str(pk) for pk in wanted if waiting.filter(pk=pk).update(next_try_at=Now() + Value(_SENDING))]


def send(delivery_id: str) -> None:
    """Try a delivery. However that ends, its row says so."""
    waiting = Delivery.objects.filter(pk=delivery_id, state=Delivery.State.PENDING)
    if not waiting.update(attempts=F("attempts") + 1):
        return
    delivery = Delivery.objects.select_related("channel__repository").get(pk=delivery_id)
    rows = Notice.objects.filter(pk__in=delivery.notices).select_related("repository").order_by("pk")
    notices = [_as_json(notice) for notice in rows[:MAX_NOTICES]]
    try:
        if delivery.attempts > MAX_ATTEMPTS:
            raise OutboundError(delivery.last_error or "It was tried too often without an end.")
        _send(delivery.channel, str(delivery.pk), notices, len(delivery.notices) - len(notices))
    except OutboundError as error:
        is_dead = delivery.attempts >= MAX_ATTEMPTS
        waiting.update(
            state=Delivery.State.DEAD if is_dead else Delivery.State.PENDING,
            last_error=recording.clean(str(error), 500),
            next_try_at=None if is_dead else timezone.now() + timedelta(minutes=2**delivery.attempts),
        )
    else:
        waiting.update(state=Delivery.State.SENT, sent_at=Now(), next_try_at=None, last_error="")


def replay(delivery: Delivery) -> None:
    """Try a dead delivery again, with the same id."""
    dead = Delivery.objects.filter(pk=delivery.pk, state=Delivery.State.DEAD)
    dead.update(state=Delivery.State.PENDING, attempts=0, next_try_at=Now())


def _as_json(notice: Notice) -> dict[str, Any]:
    return {
        "event": notice.event,
        "repository": notice.repository.slug,
        "title": notice.title,
        "text": notice.text,
        "url": f"{settings.SSOT_BASE_URL}{notice.path}",
        "at": notice.at.isoformat(),
    }


def _send(channel: Channel, key: str, notices: Sequence[dict[str, Any]], more: int) -> None:
    if channel.kind == Channel.Kind.MAIL:
        _send_mail(channel, notices, more)
        return
    if channel.kind == Channel.Kind.SLACK:
        body, headers = json.dumps({"text": _as_slack(notices, more)}).encode(), {}
    else:
        body = json.dumps({"id": key, "notices": list(notices), "more": more}).encode()
        headers = _signed(channel, key, body)
    headers |= {"Content-Type": "application/json", "User-Agent": "SSOT-Dash"}
    outbound.post(channel.target, body, headers, allowed_hosts())


def _signed(channel: Channel, key: str, body: bytes) -> dict[str, str]:
    now = str(int(time.time()))
    signature = hmac.new(secret_of(channel).encode(), f"{now}.".encode() + body, hashlib.sha256).hexdigest()
    return {"X-SSOT-Id": key, "X-SSOT-Timestamp": now, "X-SSOT-Signature": f"sha256={signature}"}


def _as_slack(notices: Sequence[dict[str, Any]], more: int) -> str:
    lines = []
    for notice in notices:
        lines.append(f"*<{notice['url']}|{_escaped(notice['title'])}>*")
        lines += [f"• {_escaped(line)}" for line in notice["text"].splitlines()]
    return "\n".join(lines) + (f"\nand {more:,} more" if more else "")


def _escaped(text: str) -> str:
    """Slack's three characters that mean something; | would end a link's address."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("|", "¦")


def _send_mail(channel: Channel, notices: Sequence[dict[str, Any]], more: int) -> None:
    title = notices[0]["title"] if notices else ""
    subject = title if len(notices) + more == 1 else f"{title}, and {len(notices) + more - 1:,} more"
    parts = [f"{n['title']}\n{n['text']}\n{n['url']}\n".replace("\n\n", "\n") for n in notices]
    message = EmailMessage(
        " ".join(subject.split())[:200],
        "\n".join(parts) + (f"\nand {more:,} more" if more else ""),
        to=[channel.target],
    )
    try:
        message.send()
    except OSError as error:  # smtplib's errors are among them
        raise OutboundError(f"The mail server did not take it: {error}.") from error

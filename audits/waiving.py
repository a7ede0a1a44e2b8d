"""What doesn't count for a while: the only writer of waivers and of ``Violation.waived_until``.

Whether a waiver holds is asked when a page is made, by its day: nothing has to run for a violation to return. What is
kept here is which waivers cover which open violations.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now

from audits.engine.policy import Policy, matches
from audits.models import Repository, Violation, Waiver
from audits.models.waiver import today

# fingerprint, rule, subject, path
Place = tuple[str, str, str, str]


class NotYoursError(Exception):
    """A waiver that can't be ended here: it stands in the policy."""


def accept(
    violation: Violation,
    *,
    kind: str,
    reason: str,
    expires_on: date,
    user: AbstractBaseUser | AnonymousUser,
    whole_subject: bool = False,
) -> Waiver:
    """Accept a violation, or all of its subject, until a day. Takes the place of an earlier acceptance of the same.

    Whoever calls this has the repository's issues judged anew.
    """
    target = (
        {"rule": violation.rule, "subject": violation.subject}
        if whole_subject
        else {"fingerprint": violation.fingerprint}
    )
    by = user.pk if user.is_authenticated else None
    with transaction.atomic():
        _lock(violation.repository_id)
        mine = Waiver.objects.live().filter(repository=violation.repository_id, **target)
        mine.exclude(kind=Waiver.Kind.POLICY).update(ended_at=Now(), ended_by_id=by)
        waiver = Waiver.objects.create(
            repository_id=violation.repository_id,
            kind=kind,
            reason=reason,
            owner=user.get_username(),
            expires_on=expires_on,
            created_by_id=by,
            **target,
        )
        settle(violation.repository_id)
    waiver.refresh_from_db()
    return waiver


def end(waiver: Waiver, user: AbstractBaseUser | AnonymousUser) -> bool:
    """Take an acceptance back: what it covered counts again. False when it had ended before."""
    if waiver.is_policy:
        raise NotYoursError
    with transaction.atomic():
        _lock(waiver.repository_id)
        by = user.pk if user.is_authenticated else None
        ended = Waiver.objects.live().filter(pk=waiver.pk).update(ended_at=Now(), ended_by_id=by)
        settle(waiver.repository_id)
    return bool(ended)


def take_over(repository_id: int, policy: Policy) -> None:
    """Have the waivers of a repository be those of its policy; accepted violations stay as they are."""
    with transaction.atomic():
        _lock(repository_id)
        rows = Waiver.objects.live().filter(repository=repository_id, kind=Waiver.Kind.POLICY)
        known: dict[tuple[str, str, str], list[Waiver]] = {}
        for row in rows:
            known.setdefault((row.fingerprint, row.rule, row.path), []).append(row)
        for waiver, line in zip(policy.waiver, policy.waiver_lines, strict=True):
            earlier = known.get((waiver.fingerprint, waiver.rule, waiver.path))
            row = earlier.pop(0) if earlier else Waiver(repository_id=repository_id, kind=Waiver.Kind.POLICY)
            row.fingerprint, row.rule, row.path = waiver.fingerprint, waiver.rule, waiver.path
            row.reason, row.owner, row.line = waiver.reason, waiver.owner, line
            if row.expires_on != waiver.expires:
                row.expires_on, row.lapsed_at = waiver.expires, None
            row.granted = waiver.count if waiver.count is not None else row.granted
            row.save()
        gone = [row.pk for listed in known.values() for row in listed]
        Waiver.objects.filter(pk__in=gone).update(ended_at=Now())
        settle(repository_id)


def settle(repository_id: int) -> None:
    """Bring up to date which open violations are covered, until when, and how many each waiver covers.

    To be called in a transaction that has locked the repository's row.
    """
    waivers = list(Waiver.objects.live().filter(repository=repository_id))
    cover = _Cover.of(waivers)
    counts: Counter[int] = Counter()
    moved: dict[date | None, list[int]] = {}
    rows = Violation.objects.filter(cover.candidates, repository=repository_id, is_open=True)
    names = ("pk", "waived_until", "fingerprint", "rule", "subject", "path")
    for pk, until, *place in rows.order_by().values_list(*names).iterator():
        mine = list(cover.over((place[0], place[1], place[2], place[3])))
        counts.update(waiver.pk for waiver in mine)
        longest = max((waiver.expires_on for waiver in mine), default=None)
        if longest != until:
            moved.setdefault(longest, []).append(pk)
    for until, violations in moved.items():
        Violation.objects.filter(pk__in=violations).update(waived_until=until)
    was_audited = Repository.objects.filter(pk=repository_id).exclude(current_audit=None).exists()
    for waiver in waivers:
        granted = counts[waiver.pk] if waiver.granted is None and was_audited else waiver.granted
        if (waiver.covered, waiver.granted) != (counts[waiver.pk], granted):
            Waiver.objects.filter(pk=waiver.pk).update(covered=counts[waiver.pk], granted=granted)


def follow(repository_id: int, renamed: Mapping[str, str]) -> None:
    """Acceptances of single violations go along when their files are renamed: old fingerprints to new ones."""
    accepted = Waiver.objects.live().filter(repository=repository_id).exclude(kind=Waiver.Kind.POLICY)
    for waiver in accepted.exclude(fingerprint=""):
        if new := renamed.get(waiver.fingerprint):
            accepted.filter(pk=waiver.pk).update(fingerprint=new)


def covering(violation: Violation) -> list[Waiver]:
    """The waivers that cover a violation, expired ones too, the one that lasts longest first. One query."""
    cover = _Cover.of(
        Waiver.objects.live().filter(repository=violation.repository_id).select_related("created_by")
    )
    place = (violation.fingerprint, violation.rule, violation.subject, violation.path)
    return sorted(cover.over(place), key=lambda waiver: (waiver.expires_on, waiver.pk), reverse=True)


def lapsed() -> list[int]:
    """The repositories with waivers whose day has passed since this was last asked: their issues are to be judged."""
    waiting = Waiver.objects.live().filter(lapsed_at=None, expires_on__lt=today())
    repositories = sorted(set(waiting.values_list("repository", flat=True)))
    waiting.update(lapsed_at=Now())
    return repositories


def _lock(repository_id: int) -> None:
    """Recordings and waivers of a repository come one after another."""
    Repository.objects.select_for_update(no_key=True).filter(pk=repository_id).first()


@dataclass(frozen=True, slots=True)
class _Cover:
    """Waivers, by what they are about."""

    places: dict[str, list[Waiver]] = field(default_factory=dict)
    subjects: dict[tuple[str, str], list[Waiver]] = field(default_factory=dict)
    globs: dict[str, list[Waiver]] = field(default_factory=dict)

    @classmethod
    def of(cls, waivers: Iterable[Waiver]) -> "_Cover":
        cover = cls()
        for waiver in waivers:
            if waiver.fingerprint:
                cover.places.setdefault(waiver.fingerprint, []).append(waiver)
            elif waiver.subject:
                cover.subjects.setdefault((waiver.rule, waiver.subject), []).append(waiver)
            else:
                cover.globs.setdefault(waiver.rule, []).append(waiver)
        return cover

    @property
    def candidates(self) -> Q:
        """The violations that are covered, or were."""
        wanted = Q(waived_until__isnull=False) | Q(fingerprint__in=self.places) | Q(rule__in=self.globs)
        for rule, subject in self.subjects:
            wanted |= Q(rule=rule, subject=subject)
        return wanted

    def over(self, place: Place) -> Iterator[Waiver]:
        fingerprint, rule, subject, path = place
        yield from self.places.get(fingerprint, ())
        yield from self.subjects.get((rule, subject), ())
        for waiver in self.globs.get(rule, ()):
            if matches((waiver.path,), path):
                yield waiver

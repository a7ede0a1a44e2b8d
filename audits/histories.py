"""Writes the history of a repository: the only writer of commits and events.

What the engine says about every commit becomes rows in one transaction, so that a page shows all of a history or the
one before. New commits are added to what is known.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from django.db import connection
from django.db.models import Max
from django.db.models.functions import Now

from audits import recording
from audits.engine.findings import Finding
from audits.engine.history import Change, Counts
from audits.models import Audit, Commit, Covers, Event, History, Repository, Violation


@dataclass(slots=True)
class _Life:
    """A violation that was introduced: how it is found now, and what became of it, as (commit, kind)."""

    finding: Finding
    events: list[tuple[str, str]] = field(default_factory=list)


def counts_of(counts: Counts) -> dict[str, dict[str, int]]:
    """Counts by (rule, zone) as {rule: {zone: number}}."""
    result: dict[str, dict[str, int]] = {}
    for (rule, zone), count in counts.items():
        result.setdefault(rule, {})[zone] = count
    return result


def known(repository: Repository, policy_digest: str, engine_version: str) -> History | None:
    """The history that new commits can be added to; None when there is none, or one by other means."""
    return History.objects.filter(
        repository=repository, policy_digest=policy_digest, engine_version=engine_version
    ).first()


def mark_stale(history: History) -> None:
    History.objects.filter(pk=history.pk, stale_since=None).update(stale_since=Now())


def record(audit: Audit, changes: Sequence[Change], *, extends: bool) -> dict[str, str]:
    """Record what the engine said about commits, parents before children. Answers by former fingerprint the one that
    a violation has after its file was renamed.

    ``extends``: they come after those that are known; else they take their place. To be called in a transaction that
    has locked the repository's row.
    """
    if not extends:
        _forget(audit)
    commits = _add_commits(audit, changes)
    lives: dict[str, _Life] = {}
    earlier: list[
        tuple[str, str, str]
    ] = []  # fingerprint, commit, kind: of violations that were known before
    moved: dict[str, Finding] = {}
    names: dict[str, set[str]] = {}  # by identity: the fingerprints that a violation has had
    for change in changes:
        sha = change.commit.sha
        for identity, finding in change.introduced:
            lives.setdefault(identity, _Life(finding)).events.append((sha, Event.Kind.INTRODUCED))
        for identity, finding in change.moved:
            names.setdefault(identity, {identity}).add(finding.fingerprint)
            if identity in lives:
                lives[identity].finding = finding
            else:
                moved[identity] = finding
        for identity in change.gone:
            if identity in lives:
                lives[identity].events.append((sha, Event.Kind.GONE))
            else:
                earlier.append((identity, sha, Event.Kind.GONE))
    rows = _by_fingerprint(lives, {change.commit.sha: number for number, change in enumerate(changes)})
    recording.store_violations(audit, [(fingerprint, life.finding) for fingerprint, life in rows.items()])
    _take_along(audit, moved)
    renamed = {identity: finding.fingerprint for identity, finding in moved.items()}
    events = [(renamed.get(fingerprint, fingerprint), sha, kind) for fingerprint, sha, kind in earlier]
    events += [(fingerprint, sha, kind) for fingerprint, life in rows.items() for sha, kind in life.events]
    _add_events(audit, events, commits)
    if not extends:
        _drop_unknown(audit)
    History.objects.update_or_create(
        repository_id=audit.repository_id,
        defaults={
            "audit": audit,
            "head_sha": audit.commit_sha,
            "policy_digest": audit.policy_digest,
            "engine_version": audit.engine_version,
            "stale_since": None,
        },
    )
    final = renamed | {identity: life.finding.fingerprint for identity, life in lives.items()}
    return {
        former: final[identity]
        for identity, formers in names.items()
        for former in formers
        if former != final[identity]
    }


def _forget(audit: Audit) -> None:
    Event.objects.filter(commit__repository=audit.repository_id).delete()
    Commit.objects.filter(repository=audit.repository_id).delete()


def _drop_unknown(audit: Audit) -> None:
    """Violations that only an earlier history knew, with another policy say."""
    Violation.objects.filter(
        repository=audit.repository_id,
        latest_audit__covers=Covers.HISTORY,
        events=None,
        sightings=None,
    ).exclude(latest_audit=audit).delete()


def _add_commits(audit: Audit, changes: Sequence[Change]) -> dict[str, int]:
    """Adds the rows of commits; answers their ids."""
    last = Commit.objects.filter(repository=audit.repository_id).aggregate(last=Max("position"))["last"]
    first = 0 if last is None else last + 1
    parents = {change.commit.sha: change.commit.parents for change in changes}
    main = set()
    current: str | None = audit.commit_sha
    while current in parents:
        main.add(current)
        current = parents[current][0] if parents[current] else None
    rows = Commit.objects.bulk_create(
        (
            Commit(
                repository_id=audit.repository_id,
                sha=change.commit.sha,
                position=first + number,
                time=change.commit.time,
                author=recording.clean(change.commit.author, 200),
                subject=recording.clean(change.commit.subject, 300),
                parents=list(change.commit.parents),
                on_main=change.commit.sha in main,
                introduced=len(change.introduced),
                gone=len(change.gone),
                counts=counts_of(change.open),
                unseen=change.unseen,
            )
            for number, change in enumerate(changes)
        ),
        batch_size=2_000,
    )
    if first:
        _renew_main(audit.repository_id, first, current)
    return {row.sha: row.pk for row in rows}


def _renew_main(repository_id: int, first: int, current: str | None) -> None:
    """Say anew which commits before position ``first`` are on the line of first parents, which reaches them at
    ``current``: a merge can lead the branch onto another line."""
    known = Commit.objects.filter(repository=repository_id, position__lt=first)
    parents = dict(known.values_list("sha", "parents"))
    main = set()
    while current in parents:
        main.add(current)
        current = parents[current][0] if parents[current] else None
    known.filter(on_main=True).exclude(sha__in=main).update(on_main=False)
    known.filter(on_main=False, sha__in=main).update(on_main=True)


def _by_fingerprint(lives: dict[str, _Life], position: dict[str, int]) -> dict[str, _Life]:
    """The lives by the fingerprint of their rows. One that a rename brought to where another had been goes on with
    that one's life: a violation that went, and came back with another file.
    """
    found: dict[str, _Life] = {}
    for life in lives.values():
        earlier = found.get(life.finding.fingerprint)
        if earlier is None:
            found[life.finding.fingerprint] = life
        else:
            both = [(position[sha], kind, sha) for sha, kind in (*earlier.events, *life.events)]
            kept = _joined([(at, kind) for at, kind, _ in both])
            earlier.events = list(
                dict.fromkeys((sha, kind) for at, kind, sha in sorted(both) if (at, kind) in kept)
            )
    return found


def _joined(events: Iterable[tuple[int, str]]) -> set[tuple[int, str]]:
    """Of the events of two lives, as (position, kind), those by which it begins or ends that either lasts."""
    kept: set[tuple[int, str]] = set()
    standing = 0
    # What goes and what comes with one commit: it comes first, and the place was never without.
    for position, kind in sorted(events, key=lambda event: (event[0], event[1] == Event.Kind.GONE)):
        before = standing
        standing += -1 if kind == Event.Kind.GONE else 1
        if (before > 0) != (standing > 0):
            kept.add((position, kind))
    return kept


def _take_along(audit: Audit, moved: dict[str, Finding]) -> None:
    """A renamed file takes its violations along: their events go to the rows of the new path."""
    if not moved:
        return
    recording.store_violations(audit, [(finding.fingerprint, finding) for finding in moved.values()])
    wanted = {*moved, *(finding.fingerprint for finding in moved.values())}
    ids = dict(
        Violation.objects.filter(repository=audit.repository_id, fingerprint__in=wanted).values_list(
            "fingerprint", "pk"
        )
    )
    for identity, finding in moved.items():
        old, new = ids.get(identity), ids.get(finding.fingerprint)
        if old is not None and new is not None and old != new:
            _join(old, new)


def _join(old: int, new: int) -> None:
    """Have the events of one violation be another's, whose place had a life of its own before perhaps."""
    events = list(
        Event.objects.filter(violation__in=[old, new])
        .order_by("commit__position")
        .values_list("pk", "commit__position", "kind", "violation")
    )
    if any(violation == new for *_, violation in events):
        kept = _joined([(position, kind) for _, position, kind, _ in events])
        by_event: dict[tuple[int, str], int] = {}
        for pk, position, kind, _ in events:
            if (position, kind) in kept:
                by_event.setdefault((position, kind), pk)
        surplus = [pk for pk, *_ in events if pk not in set(by_event.values())]
        Event.objects.filter(pk__in=surplus).delete()
    Event.objects.filter(violation=old).update(violation=new)


def _add_events(audit: Audit, events: Sequence[tuple[str, str, str]], commits: dict[str, int]) -> None:
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS pg_temp.audits_events")
        cursor.execute(
            "CREATE TEMPORARY TABLE audits_events (fingerprint varchar(32), commit bigint, kind varchar(10))"
            " ON COMMIT DROP"
        )
        with cursor.copy("COPY audits_events FROM STDIN") as copy:
            for fingerprint, sha, kind in events:
                copy.write_row((fingerprint, commits[sha], str(kind)))
        cursor.execute("ANALYZE audits_events")
        cursor.execute(
            "INSERT INTO audits_event (violation_id, commit_id, kind)"
            " SELECT violation.id, event.commit, event.kind FROM audits_events AS event"
            " JOIN audits_violation AS violation"
            " ON violation.repository_id = %s AND violation.fingerprint = event.fingerprint"
            " ON CONFLICT DO NOTHING",
            [audit.repository_id],
        )

"""One state of the database for the tests of rights: a public and a private repository with a row of everything, and
everybody who could want to see them."""

import zlib
from dataclasses import dataclass

from django.contrib.auth.models import User
from django.db.models import Model
from django.utils import timezone

from audits import members, policies
from audits.models import (
    Audit,
    Channel,
    Commit,
    Covers,
    Delivery,
    Event,
    History,
    Issue,
    IssueNote,
    IssueSubject,
    Lifespan,
    PolicySource,
    PolicyVersion,
    Repository,
    Role,
    Sighting,
    State,
    Test,
    TestExecution,
    TestReport,
    TestResult,
    TestRun,
    Tracker,
    TrackerVersion,
    Violation,
    Waiver,
)
from ssot_dash import roles

# In every text of the private repository. Whoever may not know of it must never read this word.
HUSH = "Hushhush"


@dataclass(frozen=True)
class Rows:
    """A repository and one row of everything that belongs to one."""

    repository: Repository
    keys: dict[str, object]


def fill(name: str, *, is_private: bool) -> Rows:
    now = timezone.now()
    repository = Repository.objects.create(
        name=name, slug=name.lower(), location=f"/nowhere/{name}", is_private=is_private
    )
    audit = Audit.objects.create(
        repository=repository,
        state=State.SUCCEEDED,
        commit_sha="a" * 40,
        commit_time=now,
        commit_subject=f"Begin {name}",
        policy_digest="p",
        engine_version="1",
        finished_at=now,
    )
    whole = Audit.objects.create(
        repository=repository, state=State.FAILED, covers=Covers.HISTORY, error_message=f"{name} broke"
    )
    violation = Violation.objects.create(
        repository=repository,
        fingerprint="f",
        rule="missing-member",
        subject=f"app.{name}.RUN",
        path=f"app/{name}.py",
        zone="prod",
        severity="P1",
        line=1,
        message=f"{name} has no RUN",
        latest_audit=audit,
    )
    Sighting.objects.create(audit=audit, violation=violation, line=1)
    Lifespan.objects.create(violation=violation, introduced_in=audit)
    commit = Commit.objects.create(
        repository=repository, sha="a" * 40, position=1, time=now, subject=f"Begin {name}", on_main=True
    )
    Event.objects.create(commit=commit, violation=violation, kind=Event.Kind.INTRODUCED)
    History.objects.create(
        repository=repository, audit=whole, head_sha="a" * 40, policy_digest="p", engine_version="1"
    )
    issue = Issue.objects.create(repository=repository, title=f"Mend {name}", judged_at=now)
    IssueSubject.objects.create(issue=issue, rule=violation.rule, subject=violation.subject)
    IssueNote.objects.create(issue=issue, text=f"{name} is bad")
    tracker = Tracker.objects.create(repository=repository, path=f"{name}.md", title=name)
    TrackerVersion.objects.create(tracker=tracker, position=1, time=now, path=f"{name}.md", text=name)
    run = TestRun.objects.create(
        repository=repository,
        commit_sha="a" * 40,
        name=f"{name}.xml",
        digest="d",
        source=TestRun.Source.API,
        state=TestRun.State.READ,
    )
    TestReport.objects.create(run=run, data=zlib.compress(f"<{name}/>".encode()))
    test = Test.objects.create(repository=repository, name=f"tests.{name}::test_run")
    TestResult.objects.create(run=run, test=test, outcome="failed", message=f"{name} fails")
    execution = TestExecution.objects.create(
        repository=repository, command=f"pytest {name}", state=TestExecution.State.FAILED, error=name
    )
    channel = Channel.objects.create(
        repository=repository, kind=Channel.Kind.WEBHOOK, target="https://example.org/", events=[]
    )
    delivery = Delivery.objects.create(channel=channel, notices=[])
    policies.save(repository, f"version = 1  # {name}\n", source=PolicySource.SITE, user=None, reason=name)
    waiver = Waiver.objects.create(
        repository=repository,
        kind=Waiver.Kind.RISK,
        fingerprint="f",
        reason=f"{name} is old",
        owner="ada",
        expires_on=now.date(),
    )
    Repository.objects.filter(pk=repository.pk).update(current_audit=audit)
    keys: dict[str, object] = {
        "repository": repository.slug,
        "commit": commit.sha,
        "audit": audit.pk,
        "violation": violation.pk,
        "issue": issue.pk,
        "tracker": tracker.pk,
        "run": run.pk,
        "test": test.pk,
        "execution": execution.pk,
        "waiver": waiver.pk,
        "channel": channel.pk,
        "delivery": delivery.pk,
    }
    return Rows(repository, keys)


@dataclass(frozen=True)
class World:
    public: Rows
    private: Rows
    people: dict[str, User]


# Everybody, and how far their rights go: everywhere, and in the private repository (0: it doesn't exist for them).
NOBODY, VIEWER, EDITOR, ADMIN, SUPERUSER = range(5)
PEOPLE = {
    "viewer": (VIEWER, NOBODY),
    "editor": (EDITOR, NOBODY),
    "admin": (ADMIN, ADMIN),
    "superuser": (SUPERUSER, SUPERUSER),
    "admin of another repository": (VIEWER, NOBODY),
    "viewer of the repository": (VIEWER, VIEWER),
    "editor of the repository": (VIEWER, EDITOR),
    "admin of the repository": (VIEWER, ADMIN),
}


def make() -> World:
    public, private = fill("Plain", is_private=False), fill(HUSH, is_private=True)
    other = Repository.objects.create(name="Other", slug="other", location="/nowhere/other", is_private=True)
    people: dict[str, User] = {}
    for number, who in enumerate(PEOPLE):
        people[who] = User.objects.create_user(f"user{number}", is_superuser=who == "superuser")
        if who in Role.values:
            roles.give(people[who], Role(who))
        if who.endswith(" of the repository"):
            members.put(private.repository, people[who], Role(who.split()[0]))
    members.put(other, people["admin of another repository"], Role.ADMIN)
    User.objects.filter(pk=people["superuser"].pk).update(is_staff=True)
    return World(public, private, {who: User.objects.get(pk=user.pk) for who, user in people.items()})


# What others write: authors of commits, reports and documents, and people on pages.
WRITTEN: dict[type[Model], tuple[str, ...]] = {
    Audit: ("rev", "commit_author", "commit_subject", "error_message"),
    Commit: ("author", "subject"),
    Delivery: ("last_error",),
    Issue: ("title",),
    IssueNote: ("text",),
    IssueSubject: ("subject",),
    PolicyVersion: ("text", "reason"),
    Repository: ("branch",),
    Test: ("name",),
    TestExecution: ("command", "error", "output"),
    TestResult: ("reason", "message"),
    TestRun: ("branch", "name", "error"),
    Tracker: ("title", "path"),
    TrackerVersion: ("author", "subject", "text", "path"),
    Violation: ("subject", "member", "path", "scope", "message", "hint"),
    Waiver: ("reason", "owner"),
}


def write_everywhere(text: str) -> None:
    """Put a text where others may write, as much of it as there is room for."""
    for model, names in WRITTEN.items():
        rooms = {name: getattr(model._meta.get_field(name), "max_length", None) for name in names}
        model._default_manager.update(**{name: text[:room] for name, room in rooms.items()})
    Repository.objects.filter(slug="plain").update(name=text[:100])

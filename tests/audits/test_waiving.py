"""Waivers and accepted violations: what counts, until when, and what becomes of it."""

from datetime import timedelta
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audits import auditing, remediation, tasks, waiving, working
from audits.engine.policy import parse_policy
from audits.models import Covers, Issue, Repository, State, Violation, Waiver
from audits.models.waiver import today
from audits.remediation import Subject
from tests.audits.conftest import AddRepository, Drifting
from tests.audits.story import Chapter, Story, chapters_at, record, tell
from tests.samples import commit_tree, init_repository

pytestmark = pytest.mark.django_db(transaction=True)

DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def chapters(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Chapter]]:
    path = tmp_path_factory.mktemp("story") / "repo"
    return path, chapters_at(path)


@pytest.fixture
def story(chapters: tuple[Path, list[Chapter]]) -> Story:
    """Audited up to the second commit: RUN is missing in five places."""
    return tell(chapters[0], chapters[1][:2])


@pytest.fixture
def ada() -> User:
    return User.objects.create_user("ada")


def accept(violation: Violation, user: User, days: int = 30, **more: object) -> Waiver:
    values: dict[str, object] = {"kind": Waiver.Kind.RISK, "reason": "for now"}
    return waiving.accept(violation, expires_on=today() + days * DAY, user=user, **(values | more))  # type: ignore[arg-type]


def expire(waiver: Waiver) -> None:
    """The day passes."""
    yesterday = today() - DAY
    Waiver.objects.filter(pk=waiver.pk).update(expires_on=yesterday)
    Violation.objects.filter(waived_until=waiver.expires_on).update(waived_until=yesterday)


def run_of(story: Story, path: str) -> Violation:
    return story.violation(path=path, subject="app.ids.IDType.RUN")


def policy(text: str) -> str:
    return f"version = 1\n{text}"


WAIVER = """
[[waiver]]
rule = "missing-member"
path = "app/**"
reason = "goes with the old app"
owner = "app team"
expires = {day}
"""


def test_an_accepted_place_is_waived_alone_until_its_day_has_passed(story: Story, ada: User) -> None:
    violation = run_of(story, "app/runner.py")
    waiver = accept(violation, ada)
    violation.refresh_from_db()
    assert violation.is_open and violation.is_waived and not violation.counts
    assert (waiver.granted, waiver.covered, waiver.owner) == (1, 1, "ada")
    assert set(story.repository.violations.waived()) == {violation}
    assert violation not in story.repository.violations.counting()

    expire(waiver)
    assert violation in story.repository.violations.counting()
    assert list(Waiver.objects.wanting()) == [waiver]


def test_a_whole_subject_is_accepted_with_what_joins_it_and_its_growth_shows(
    chapters: tuple[Path, list[Chapter]], ada: User
) -> None:
    story = tell(chapters[0], chapters[1][:1])
    waiver = accept(run_of(story, "app/runner.py"), ada, whole_subject=True)
    assert (waiver.granted, waiver.covered) == (4, 4)
    record(story.repository, chapters[1][1])
    waiving.settle(story.repository.pk)
    waiver.refresh_from_db()
    assert (waiver.granted, waiver.covered) == (4, 5)
    assert waiver.has_grown and list(Waiver.objects.wanting()) == [waiver]
    assert run_of(story, "app/late.py").is_waived


def test_an_acceptance_survives_audits_and_ends_when_it_is_taken_back(
    chapters: tuple[Path, list[Chapter]], ada: User
) -> None:
    story = tell(chapters[0], chapters[1][:1])
    waiver = accept(run_of(story, "app/runner.py"), ada)
    record(story.repository, chapters[1][1])
    waiving.settle(story.repository.pk)
    assert run_of(story, "app/runner.py").is_waived

    assert waiving.end(waiver, ada)
    assert run_of(story, "app/runner.py").counts
    assert not waiving.end(waiver, ada), "it had ended before"
    waiver.refresh_from_db()
    assert waiver.ended_by == ada


def test_a_newer_acceptance_takes_the_place_of_the_older_one(story: Story, ada: User) -> None:
    violation = run_of(story, "app/runner.py")
    first = accept(violation, ada, days=10)
    second = accept(violation, ada, days=5)
    assert list(Waiver.objects.live()) == [second]
    assert run_of(story, "app/runner.py").waived_until == second.expires_on < first.expires_on


def test_of_several_waivers_the_longest_counts(story: Story, ada: User) -> None:
    place = accept(run_of(story, "app/runner.py"), ada, days=5)
    subject = accept(run_of(story, "app/runner.py"), ada, days=50, whole_subject=True)
    assert run_of(story, "app/runner.py").waived_until == subject.expires_on
    assert waiving.covering(run_of(story, "app/runner.py")) == [subject, place]
    waiving.end(subject, ada)
    assert run_of(story, "app/runner.py").waived_until == place.expires_on
    assert run_of(story, "scripts/migrate.py").waived_until is None


def test_the_waivers_of_the_policy_are_taken_over_and_leave_with_it(story: Story, ada: User) -> None:
    text = policy(WAIVER.format(day=(today() + 30 * DAY).isoformat()))
    mine = accept(run_of(story, "scripts/migrate.py"), ada)
    waiving.take_over(story.repository.pk, parse_policy(text))
    waiver = Waiver.objects.get(kind=Waiver.Kind.POLICY)
    assert (waiver.line, waiver.owner, waiver.granted, waiver.covered) == (3, "app team", 4, 4)
    assert {v.path for v in story.repository.violations.waived()} == {
        "app/runner.py",
        "app/careful.py",
        "app/late.py",
        "scripts/migrate.py",
    }
    with pytest.raises(waiving.NotYoursError):
        waiving.end(waiver, ada)

    longer = text.replace((today() + 30 * DAY).isoformat(), (today() + 60 * DAY).isoformat())
    waiving.take_over(story.repository.pk, parse_policy(longer + "count = 2\n"))
    again = Waiver.objects.live().get(kind=Waiver.Kind.POLICY)
    assert again.pk == waiver.pk and again.granted == 2 and again.has_grown
    assert run_of(story, "app/late.py").waived_until == today() + 60 * DAY

    waiving.take_over(story.repository.pk, parse_policy(""))
    assert {v.path for v in story.repository.violations.waived()} == {"scripts/migrate.py"}
    assert list(Waiver.objects.live()) == [mine]
    assert Waiver.objects.filter(kind=Waiver.Kind.POLICY).exclude(ended_at=None).count() == 1


def test_an_audit_takes_over_the_waivers_of_its_policy(
    add_repository: AddRepository, drifting: Drifting
) -> None:
    day = (today() + 30 * DAY).isoformat()
    repository = add_repository(drifting.path, policy=policy(WAIVER.format(day=day)))
    audit, _ = auditing.request(repository, drifting.second)
    working.run(audit.pk)
    audit.refresh_from_db()
    assert audit.state == State.SUCCEEDED, audit.error_message
    assert audit.findings_count == 3 == repository.violations.waived().count()
    assert Waiver.objects.get().granted == 3

    Repository.objects.update(policy=None)
    again, _ = auditing.request(repository, drifting.second)
    working.run(again.pk)
    assert repository.violations.counting().count() == 3, "the result is shared, the waiver is gone"


def test_an_acceptance_goes_along_when_its_file_is_renamed(
    tmp_path: Path, add_repository: AddRepository, ada: User
) -> None:
    path = init_repository(tmp_path / "repo")
    enum = "from enum import Enum\n\n\nclass IDType(Enum):\n    USER = 'user'\n"
    use = "from app.ids import IDType\n\n\ndef begin():\n    return IDType.RUN\n"
    files = {"app/__init__.py": "", "app/ids.py": enum}
    first = commit_tree(path, files | {"app/runs.py": use}, "one", 1_700_000_000, [])
    repository = add_repository(path)
    for covers in (Covers.HISTORY, Covers.COMMIT):
        working.run(auditing.request(repository, covers=covers)[0].pk)
    waiver = accept(repository.violations.get(), ada)

    second = commit_tree(path, files | {"app/walks.py": use}, "two", 1_700_000_100, [first])
    commit_tree(path, files | {"app/jogs.py": use}, "three", 1_700_000_200, [second])
    for covers in (Covers.COMMIT, Covers.HISTORY):
        working.run(auditing.request(repository, covers=covers)[0].pk)
    standing = repository.violations.get(is_open=True)
    assert standing.path == "app/jogs.py" and standing.is_waived
    waiver.refresh_from_db()
    assert (waiver.fingerprint, waiver.covered) == (standing.fingerprint, 1)


def test_an_acceptance_goes_along_when_the_whole_history_is_audited_anew(
    tmp_path: Path, add_repository: AddRepository, ada: User
) -> None:
    path = init_repository(tmp_path / "repo")
    enum = "from enum import Enum\n\n\nclass IDType(Enum):\n    USER = 'user'\n"
    use = "from app.ids import IDType\n\n\ndef begin():\n    return IDType.RUN\n"
    files = {"app/__init__.py": "", "app/ids.py": enum}
    first = commit_tree(path, files | {"app/runs.py": use}, "one", 1_700_000_000, [])
    repository = add_repository(path)
    working.run(auditing.request(repository)[0].pk)
    accept(repository.violations.get(), ada)
    commit_tree(path, files | {"app/walks.py": use}, "two", 1_700_000_100, [first])
    for covers in (Covers.COMMIT, Covers.HISTORY):
        working.run(auditing.request(repository, covers=covers)[0].pk)
    assert repository.violations.get(is_open=True).is_waived


def issue_of(repository: Repository) -> Issue:
    issue = remediation.create(
        repository,
        title="SSOT-custom-run",
        kind="custom",
        priority=1,
        subjects=[Subject("missing-member", "app.ids.IDType.RUN")],
    )
    remediation.keep_up(repository.pk)
    issue.refresh_from_db()
    return issue


def test_an_issue_whose_places_are_all_accepted_is_accepted_not_fixed_and_opens_again_by_itself(
    story: Story, ada: User
) -> None:
    issue = issue_of(story.repository)
    assert (issue.state, issue.open_places) == ("open", 5)
    waiver = accept(run_of(story, "app/runner.py"), ada, whole_subject=True)
    remediation.arrived(story.repository.pk)
    remediation.keep_up(story.repository.pk)
    issue.refresh_from_db()
    assert (issue.state, issue.open_places) == ("accepted", 0)
    assert "5 places are accepted for a while, not gone" in issue.summary[0]

    expire(waiver)
    assert remediation.behind() == []
    tasks.dispatch_due()
    assert remediation.behind() == [story.repository.pk], "the beat notices that the day has passed"
    remediation.keep_up(story.repository.pk)
    issue.refresh_from_db()
    assert (issue.state, issue.open_places) == ("open", 5)
    assert waiving.lapsed() == [], "it is noticed once"


def test_the_places_that_are_left_are_open_although_others_are_accepted(story: Story, ada: User) -> None:
    issue = issue_of(story.repository)
    accept(run_of(story, "app/runner.py"), ada)
    remediation.arrived(story.repository.pk)
    remediation.keep_up(story.repository.pk)
    issue.refresh_from_db()
    assert (issue.state, issue.open_places) == ("open", 4)
    assert "1 place is accepted for a while, not gone" in " ".join(issue.summary)


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.integers(-40, 40), max_size=4), st.lists(st.integers(-40, 40), max_size=4))
@pytest.mark.django_db(transaction=False)
def test_what_covers_a_place_longest_says_whether_it_counts(places: list[int], subjects: list[int]) -> None:
    """Any number of waivers, of any day, in any order."""
    repository = Repository.objects.create(
        name=f"r{Repository.objects.count()}x", slug=f"r{Repository.objects.count()}"
    )
    audit = repository.audits.create(state=State.SUCCEEDED, commit_time="2026-01-01T00:00:00Z")
    violation = Violation.objects.create(
        repository=repository,
        fingerprint="f" * 32,
        rule="missing-member",
        subject="a.B.C",
        path="a.py",
        zone="prod",
        severity="P1",
        line=1,
        message="",
        latest_audit=audit,
    )
    for target, days in (("fingerprint", places), ("subject", subjects)):
        for number in days:
            values = (
                {"fingerprint": "f" * 32}
                if target == "fingerprint"
                else {"rule": "missing-member", "subject": "a.B.C"}
            )
            Waiver.objects.create(
                repository=repository,
                kind=Waiver.Kind.RISK,
                reason="x",
                owner="y",
                expires_on=today() + number * DAY,
                **values,
            )
    waiving.settle(repository.pk)
    violation.refresh_from_db()
    assert violation.is_waived == any(number >= 0 for number in [*places, *subjects])
    repository.violations.all().delete()
    repository.delete()

"""Issues: made, judged, kept up."""

import threading
import time
from collections.abc import Callable
from datetime import timedelta
from itertools import permutations

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.utils import timezone

from audits import (
    auditing,
    burndown,
    documents,
    ingesting,
    remediation,
    removing,
    tasks,
    timeline,
    tracking,
    verdicts,
    working,
)
from audits.engine.git import Changes
from audits.engine.git import Commit as GitCommit
from audits.models import Covers, Issue, Judgement, Repository, TestRun, Tracker, TrackerScan, Violation
from audits.remediation import Subject
from tests.audits.conftest import AddRepository
from tests.audits.remedy import AFTER, BEFORE, SUBJECT, Remedy, tell

pytestmark = pytest.mark.django_db(transaction=True)
RUN = Subject("missing-member", SUBJECT)


@pytest.fixture(scope="module")
def remedy(tmp_path_factory: pytest.TempPathFactory) -> Remedy:
    return tell(tmp_path_factory.mktemp("remedy") / "repository")


@pytest.fixture
def repository(remedy: Remedy, add_repository: AddRepository) -> Repository:
    return add_repository(remedy.path)


def audit(repository: Repository, covers: Covers = Covers.HISTORY, rev: str = "") -> None:
    requested, _ = auditing.request(repository, rev, covers=covers)
    working.run(requested.pk)
    requested.refresh_from_db()
    assert requested.state == "succeeded", requested.error_message
    remediation.arrived(repository.pk)


def take(repository: Repository, data: bytes, commit: str) -> TestRun:
    run, _ = ingesting.receive(repository, data, name="report.xml", commit=commit)
    ingesting.read(run.pk)
    remediation.arrived(repository.pk)
    return run


def make(repository: Repository) -> Issue:
    return remediation.create(
        repository, title="RUN", kind="custom", priority=1, subjects=[RUN], tracker=Tracker.objects.first()
    )


def judged(issue: Issue) -> dict[tuple[int | None, str], list[tuple[str, str]]]:
    """By step and topic: verdicts and evidence."""
    found: dict[tuple[int | None, str], list[tuple[str, str]]] = {}
    for row in Judgement.objects.filter(issue=issue):
        found.setdefault((row.step, row.topic), []).append((row.verdict, row.evidence))
    return found


def whole(repository: Repository, remedy: Remedy) -> Issue:
    """Everything known: audits, trackers, test runs."""
    audit(repository)
    audit(repository, Covers.COMMIT)
    take(repository, BEFORE, remedy.tested)
    take(repository, AFTER, remedy.closed)
    remediation.keep_up(repository.pk)
    issue = make(repository)
    remediation.keep_up(repository.pk)
    issue.refresh_from_db()
    return issue


def test_nobody_waits_for_another_who_takes_the_trackers_in(repository: Repository) -> None:
    """Two workers that look after the same repository would leave none for audits, for minutes."""
    audit(repository, Covers.COMMIT)
    state = TrackerScan.objects.create(repository=repository)
    taken, done = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            TrackerScan.objects.select_for_update().get(pk=state.pk)
            taken.set()
            done.wait(300)
        connection.close()

    other = threading.Thread(target=hold)
    other.start()
    try:
        assert taken.wait(300)
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '5s'")
        remediation.keep_up(repository.pk)
    finally:
        done.set()
        other.join()
        connection.close()
    assert not Tracker.objects.filter(repository=repository).exists()
    remediation.keep_up(repository.pk)
    assert Tracker.objects.filter(repository=repository).exists(), "the next one does it"


def marked(repository: Repository) -> int:
    return Issue.objects.filter(repository=repository).exclude(stale_since=None).count()


def test_many_issues_are_judged_in_turns_between_which_others_get_theirs(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    audit(repository, Covers.COMMIT)
    issues = [make(repository) for _ in range(3)]
    monkeypatch.setattr(remediation, "TURN_SECONDS", 0)
    sent: list[int] = []
    monkeypatch.setattr(tasks, "_send_keep_up", sent.append)
    for left in (2, 1):
        tasks.keep_up(repository.pk)
        assert marked(repository) == left
    assert sent == [repository.pk] * 2, "what is left is asked for again"
    # New evidence marks all; those that were judged longest ago come first, so that each gets its turn.
    remediation.arrived(repository.pk)
    tasks.keep_up(repository.pk)
    assert [issue.pk for issue in Issue.objects.filter(stale_since=None)] == [issues[2].pk]
    remediation.keep_up(repository.pk)
    assert marked(repository) == 0 and len(sent) == 3


def test_one_process_at_a_time_judges_a_repository_s_issues(repository: Repository) -> None:
    audit(repository, Covers.COMMIT)
    make(repository)
    row = Repository.objects.filter(pk=repository.pk)
    row.update(judging_until=timezone.now() + timedelta(seconds=600))
    assert not remediation.keep_up(repository.pk) and marked(repository) == 1
    row.update(judging_until=timezone.now() - timedelta(seconds=1))
    assert not remediation.keep_up(repository.pk) and marked(repository) == 0, "that process has died"
    assert row.get().judging_until is None


def test_evidence_that_arrives_while_an_issue_is_judged_is_looked_at_as_well(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    audit(repository, Covers.COMMIT)
    make(repository)
    judge = verdicts.judge

    def arrives(dossier: verdicts.Dossier) -> object:
        remediation.arrived(repository.pk)
        return judge(dossier)

    monkeypatch.setattr(verdicts, "judge", arrives)
    assert remediation.keep_up(repository.pk) and marked(repository) == 1
    monkeypatch.undo()
    assert not remediation.keep_up(repository.pk) and marked(repository) == 0


def elsewhere(work: Callable[[], None]) -> threading.Thread:
    """What does some work in a session of its own."""

    def do() -> None:
        try:
            work()
        finally:
            connection.close()

    return threading.Thread(target=do)


def test_a_repository_whose_trackers_are_taken_in_is_not_behind(repository: Repository) -> None:
    audit(repository, Covers.COMMIT)
    found: list[int] = []
    other = elsewhere(lambda: found.extend(remediation.behind()))
    with transaction.atomic():
        TrackerScan.objects.create(repository=repository)
    with transaction.atomic():
        TrackerScan.objects.select_for_update().get(repository=repository)
        other.start()
        other.join()
    assert found == []
    assert remediation.behind() == [repository.pk]


def test_a_repository_is_removed_while_its_trackers_are_taken_in(
    repository: Repository, remedy: Remedy, monkeypatch: pytest.MonkeyPatch
) -> None:
    audit(repository, Covers.COMMIT)
    commits: list[str] = []
    take_in = tracking._Following.take

    def remove() -> None:
        removing.remove(repository)
        removing.go_on(repository.pk)

    remover = elsewhere(remove)

    def take(self: tracking._Following, commit: GitCommit, changes: Changes) -> None:
        take_in(self, commit, changes)
        commits.append(commit.sha)
        if Tracker.objects.filter(repository=repository).exists() and not remover.ident:
            remover.start()
            while not tracking._is_waited_for():
                assert remover.is_alive()
                time.sleep(0.01)

    monkeypatch.setattr(tracking, "_LOOKS_UP_EVERY", 1)
    monkeypatch.setattr(tracking._Following, "take", take)
    remediation.keep_up(repository.pk)
    remover.join()
    assert not Repository.with_removed.exists() and not Tracker.objects.exists()
    assert commits[-1] == remedy.discovered, "what came later was not looked at"


def test_the_whole_story_is_judged_from_its_rows(repository: Repository, remedy: Remedy) -> None:
    issue = whole(repository, remedy)
    found = judged(issue)
    verdicts = {key: [verdict for verdict, _ in rows] for key, rows in found.items()}
    assert verdicts == {
        (None, "created"): ["contradicted"],
        (None, "status"): ["contradicted"],
        (None, "resolved"): ["contradicted"],
        (0, "rule fires"): ["verified"],
        (1, "named tests"): ["claimed"],
        (1, "counted places"): ["verified"],
        (1, "overlooked places"): ["contradicted"],
        (2, "new tests"): ["verified"],
        (2, "counted tests"): ["contradicted"],
        (2, "failing first"): ["contradicted"],
        (3, "named places"): ["verified"],
        (4, "violations gone"): ["verified"],
        (5, "tests pass"): ["contradicted"],
        (5, "no regression"): ["verified"],
        (6, "reference"): ["verified"],
        (6, "stays gone"): ["verified"],
    }
    ((_, gone),) = found[4, "violations gone"]
    assert remedy.fixed in gone and "10 minutes before it was said; that commit names #5, not #7." in gone
    assert "app/more.py:5" in found[1, "overlooked places"][0][1]
    assert (issue.state, issue.stands_at, issue.open_places) == ("fixed", 1, 0)
    assert issue.contradictions == 7 and issue.stale_since is None


def test_evidence_gives_the_same_verdicts_in_whatever_order_it_arrives(
    remedy: Remedy, add_repository: AddRepository
) -> None:
    outcomes = set()
    for order in list(permutations(range(4)))[::5]:
        repository = add_repository(remedy.path)
        issue = remediation.create(repository, title="RUN", kind="custom", priority=1, subjects=[RUN])
        steps = (
            lambda repository=repository: (audit(repository), audit(repository, Covers.COMMIT)),
            lambda repository=repository: take(repository, BEFORE, remedy.tested),
            lambda repository=repository: take(repository, AFTER, remedy.closed),
            lambda repository=repository: audit(repository, Covers.COMMIT, remedy.used),
        )
        for index in order:
            steps[index]()
            remediation.keep_up(repository.pk)
            for tracker in repository.trackers.filter(issue=None):
                remediation.follow(issue, tracker)
            remediation.keep_up(repository.pk)
        rows = Judgement.objects.filter(issue=issue).values_list(
            "step", "topic", "verdict", "claim", "evidence"
        )
        issue.refresh_from_db()
        outcomes.add((tuple(rows), tuple(issue.verdicts), tuple(issue.summary)))
    assert len(outcomes) == 1


def test_before_any_audit_nothing_is_called_wrong(repository: Repository) -> None:
    issue = make(repository)
    remediation.keep_up(repository.pk)
    issue.refresh_from_db()
    assert (issue.state, issue.contradictions) == ("unknown", 0)
    assert "not audited yet" in issue.summary[0]


def test_judging_touches_nothing_that_a_person_wrote(repository: Repository, remedy: Remedy) -> None:
    issue = whole(repository, remedy)
    ada = User.objects.create_user("ada")
    remediation.note(issue, ada, kind="comment", text="Look <here>")
    remediation.edit(
        issue, reference=(7, ""), title="Mine", kind="custom", priority=3, owner=ada, due_on=None
    )
    remediation.keep_up(repository.pk)
    issue.refresh_from_db()
    assert (issue.title, issue.priority, issue.owner) == ("Mine", 3, ada)
    assert issue.notes.get().text == "Look <here>" and issue.stale_since is None


def test_what_a_person_claims_counts_and_is_on_the_timeline(repository: Repository) -> None:
    audit(repository)
    issue = remediation.create(repository, title="x", kind="custom", priority=1, subjects=[RUN])
    remediation.note(issue, User.objects.create_user("ada"), kind="claim", step=3)
    remediation.keep_up(repository.pk)
    issue.refresh_from_db()
    assert issue.verdicts[3] == "claimed"
    happenings = timeline.timeline(issue, list(issue.judgements.all()))
    assert any(h.note is not None and h.who == "ada" for h in happenings)


def test_the_timeline_has_what_was_said_beside_what_was_done(repository: Repository, remedy: Remedy) -> None:
    issue = whole(repository, remedy)
    happenings = timeline.timeline(issue, list(issue.judgements.all()))
    assert [h.at for h in happenings] == sorted(h.at for h in happenings)
    commits = {h.commit.sha: h for h in happenings if h.commit is not None}
    assert (commits[remedy.used].introduced, commits[remedy.used].left) == (2, 2)
    assert (commits[remedy.fixed].gone, commits[remedy.fixed].left) == (4, 0)
    assert commits[remedy.discovered].names_issue and commits[remedy.discovered].version is not None
    assert [row.left for row in burndown.burn_down(issue)] == [2, 4, 0]
    assert {h.run.commit_sha for h in happenings if h.run is not None} == {remedy.tested, remedy.closed}


def test_an_issue_tells_how_long_its_places_stood(repository: Repository, remedy: Remedy) -> None:
    issue = whole(repository, remedy)
    lefts = burndown.burn_down(issue)
    found = burndown.pace_of(issue, lefts)
    assert found is not None
    spans = {each.commit.sha: each.commit.time for each in lefts}
    assert found.fixed == 4
    assert found.oldest_open is None
    assert found.median_to_fix is not None
    assert found.median_to_fix <= spans[remedy.fixed] - spans[remedy.used]
    assert found.words == ""


def test_an_issue_is_proposed_from_a_tracker_with_what_its_text_names(repository: Repository) -> None:
    audit(repository)
    audit(repository, Covers.COMMIT)
    remediation.keep_up(repository.pk)
    tracker = Tracker.objects.get()
    tracker.versions.update(text=tracker.versions.last().text + "\nIDType.RUN is missing\n")  # type: ignore[union-attr]
    proposal = remediation.propose_from(tracker)
    assert proposal.subjects == (RUN,)
    assert (proposal.priority, proposal.issue_number, proposal.kind) == (1, 7, "incomplete-migration")
    assert proposal.open_places == 0


def test_an_issue_is_proposed_from_a_subject_and_says_who_covers_it(repository: Repository) -> None:
    audit(repository, Covers.COMMIT)
    subject = Subject("missing-member", "app.ids.IDType.THREAD")
    proposal = remediation.propose(repository, [subject])
    assert proposal.title == "SSOT-incomplete-migration-idtype-thread"
    worst = Violation.objects.filter(repository=repository, is_open=True).order_by("severity").first()
    assert worst is not None and proposal.open_places == 1 and f"P{proposal.priority}" == worst.severity
    issue = remediation.create(repository, title="x", kind="custom", priority=1, subjects=[subject])
    assert remediation.propose(repository, [subject]).covered_by == (issue,)


def test_a_repository_that_cannot_be_read_says_so_and_is_not_tried_for_ever(
    repository: Repository, remedy: Remedy
) -> None:
    audit(repository, Covers.COMMIT)
    repository.refresh_from_db()
    Repository.objects.update(location="/nowhere")
    for _ in range(5):
        remediation.keep_up(repository.pk)
    state = TrackerScan.objects.get()
    assert "can’t read" in state.error
    TrackerScan.objects.update(tried_at=None)
    assert remediation.behind() == []
    Repository.objects.update(location=str(remedy.path))
    TrackerScan.objects.update(attempts=0)
    assert remediation.behind() == [repository.pk]
    remediation.keep_up(repository.pk)
    assert not TrackerScan.objects.get().error and Tracker.objects.exists()


def test_exports_hold_the_verdicts(repository: Repository, remedy: Remedy) -> None:
    issue = whole(repository, remedy)
    judgements = list(issue.judgements.all())
    happenings = timeline.timeline(issue, judgements)
    value = documents.as_json(issue, judgements, happenings, "https://ssot.example")
    assert value["steps"][4] == {"number": 4, "name": "remediate", "verdict": "verified"}
    assert value["url"] == f"https://ssot.example/issues/{issue.pk}/"
    report = documents.as_report(issue, judgements, happenings, "https://ssot.example")
    assert remedy.fixed[:9] in report and "{commit:" not in report and "{time:" not in report


def test_pasting_a_tracker_gives_an_issue_claims(repository: Repository) -> None:
    audit(repository)
    issue = remediation.create(repository, title="x", kind="custom", priority=1, subjects=[RUN])
    text = "# T\n\n## Step 4: Remediate ✅\n"
    tracker = tracking.paste(repository, text.encode(), "notes.md", User.objects.create_user("ada"))
    remediation.follow(issue, tracker)
    remediation.keep_up(repository.pk)
    row = Judgement.objects.get(issue=issue, topic="violations gone")
    assert row.verdict == "verified" and row.claim == "Step 4: Remediate ✅"

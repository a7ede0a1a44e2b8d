"""What audits saw, recorded in every order, ends in the same rows. Findings and ancestry are given; the database is
real.
"""

import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import permutations

import msgspec
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from audits import recording
from audits.engine.findings import Annotation, Finding, Place, Problem, ProblemKind, Severity, Zone
from audits.models import Audit, Lifespan, Repository, Sighting, State, Violation
from tests.audits.conftest import AddRepository
from tests.audits.test_lifespans import Commits, naive_lifespans

pytestmark = pytest.mark.django_db

START = datetime(2026, 1, 1, tzinfo=UTC)


def finding(path: str, line: int = 1, **fields: object) -> Finding:
    values: dict[str, object] = {
        "rule": "missing-member",
        "subject": "app.ids.IDType.RUN",
        "path": path,
        "line": line,
        "column": 4,
        "scope": "f",
        "zone": Zone.PROD,
        "severity": Severity.P1,
        "message": "IDType has no member RUN",
    }
    return Finding(**{**values, **fields})  # type: ignore[arg-type]


@dataclass
class Audited:
    """A repository whose commits are audited one by one."""

    repository: Repository
    commits: Commits
    tip: str | None
    findings: dict[str, list[Finding]] = field(default_factory=dict)
    problems: dict[str, list[Problem]] = field(default_factory=dict)

    def audit(self, commit: str, policy: str = "") -> Audit:
        """Audit a commit as ``auditing`` does it: the same commit and policy again shares the earlier result."""
        self.repository.refresh_from_db()
        earlier = self.repository.audits.filter(commit_sha=commit, policy_digest=policy, same_as=None).first()
        audit = Audit.objects.create(
            repository=self.repository,
            state=State.SUCCEEDED,
            commit_sha=commit,
            commit_time=self.commits.order(commit)[0],
            policy_digest=policy,
            same_as=earlier,
        )
        if earlier:
            recording.record_repeat(audit, self.commits.is_ancestor, self.tip)
        else:
            found, problems = self.findings.get(commit, []), self.problems.get(commit, [])
            recording.record_result(audit, found, problems, self.commits.is_ancestor, self.tip)
        self.repository.refresh_from_db()
        return audit

    @property
    def current(self) -> str | None:
        audit = self.repository.current_audit
        return audit.commit_sha if audit else None

    def violations(self) -> dict[str, tuple[object, ...]]:
        """By path: open or not, where last seen and at which line, and the lifespans."""
        return {
            v.path: (
                v.is_open,
                v.latest_audit.commit_sha,
                v.line,
                {
                    (span.introduced_in.commit_sha, span.gone_in.commit_sha if span.gone_in else None)
                    for span in v.lifespans.all()
                },
            )
            for v in self.repository.violations.select_related("latest_audit")
        }


def straight(count: int) -> Commits:
    return Commits([set(), *({n} for n in range(count - 1))])


@pytest.fixture
def line(add_repository: AddRepository) -> Audited:
    """Four commits in a row; a.py is wrong from c0 to c1 and again in c3, b.py from c1 on."""
    audited = Audited(add_repository("/nowhere"), straight(4), "c3")
    audited.findings = {
        "c0": [finding("a.py", 10)],
        "c1": [finding("a.py", 11), finding("b.py", 21)],
        "c2": [finding("b.py", 22)],
        "c3": [finding("a.py", 13), finding("b.py", 23)],
    }
    return audited


@pytest.mark.parametrize("order", list(permutations(("c0", "c1", "c2", "c3"))))
def test_every_order_of_arrival_ends_in_the_same_rows(line: Audited, order: tuple[str, ...]) -> None:
    for commit in order:
        line.audit(commit)
    assert line.current == "c3"
    assert line.violations() == {
        "a.py": (True, "c3", 13, {("c0", "c2"), ("c3", None)}),
        "b.py": (True, "c3", 23, {("c1", None)}),
    }


def test_an_audit_of_an_earlier_commit_reopens_and_closes_nothing(line: Audited) -> None:
    line.findings["c3"] = []
    line.audit("c3")
    line.audit("c1")
    assert line.current == "c3"
    assert {path: row[0] for path, row in line.violations().items()} == {"a.py": False, "b.py": False}
    assert line.violations()["a.py"] == (False, "c1", 11, {("c1", "c3")})


def test_the_branch_set_back_to_an_older_commit_moves_nothing_back(line: Audited) -> None:
    line.audit("c2")
    line.tip = "c1"
    line.audit("c1")
    assert line.current == "c2"


def test_a_rewritten_branch_starts_from_its_own_commits(add_repository: AddRepository) -> None:
    """c1 was thrown away, c2 is the new tip; both follow c0."""
    audited = Audited(add_repository("/nowhere"), Commits([set(), {0}, {0}]), "c1")
    audited.findings = {
        "c0": [finding("a.py")],
        "c1": [finding("a.py"), finding("b.py")],
        "c2": [finding("c.py")],
    }
    audited.audit("c0")
    audited.audit("c1")
    audited.tip = "c2"
    audited.audit("c2")
    assert audited.current == "c2"
    assert {path: (row[0], row[3]) for path, row in audited.violations().items()} == {
        "a.py": (False, {("c0", "c2")}),
        "b.py": (False, set()),
        "c.py": (True, {("c2", None)}),
    }
    audited.audit("c1", policy="another")
    assert audited.current == "c2"


def test_a_commit_beside_the_branch_changes_nothing_on_it(add_repository: AddRepository) -> None:
    audited = Audited(add_repository("/nowhere"), Commits([set(), {0}, {0}]), "c1")
    audited.findings = {"c0": [finding("a.py", 1)], "c1": [finding("a.py", 2)], "c2": [finding("b.py")]}
    for commit in ("c0", "c1", "c2"):
        audited.audit(commit)
    assert audited.current == "c1"
    assert audited.violations() == {
        "a.py": (True, "c1", 2, {("c0", None)}),
        "b.py": (False, "c2", 1, set()),
    }


def test_without_a_known_branch_the_furthest_commit_counts(line: Audited) -> None:
    line.tip = None
    for commit, current in (("c1", "c1"), ("c3", "c3"), ("c2", "c3")):
        line.audit(commit)
        assert line.current == current


def test_a_feature_branch_ahead_of_the_branch_is_not_the_current_one(line: Audited) -> None:
    line.tip = "c1"
    line.audit("c1")
    line.audit("c2")
    assert line.current == "c1"


def test_what_an_audit_could_not_look_at_is_not_gone(line: Audited) -> None:
    line.findings["c2"] = []
    line.findings["c3"] = [finding("a.py", 13)]
    line.problems["c2"] = [Problem("b.py", ProblemKind.TOO_LARGE, "600,000 bytes; the limit is 524,288")]
    for commit in ("c0", "c1", "c2"):
        line.audit(commit)
    assert line.violations()["b.py"] == (True, "c1", 21, {("c1", None)})
    assert line.violations()["a.py"] == (False, "c1", 11, {("c0", "c2")})
    line.audit("c3")
    assert line.violations()["b.py"] == (False, "c1", 21, {("c1", "c3")})


def test_what_stands_in_a_file_that_broke_is_not_gone(line: Audited) -> None:
    line.findings["c2"] = [finding("b.py", 22, rule="unparseable", subject="b", scope="")]
    line.findings["c3"] = [finding("b.py", 23)]
    for commit in ("c1", "c2", "c3"):
        line.audit(commit)
    rows = {(v.rule, v.path): v for v in line.repository.violations.all()}
    assert {(v.rule, path): v.is_open for (_, path), v in rows.items()} == {
        ("missing-member", "a.py"): False,
        ("missing-member", "b.py"): True,
        ("unparseable", "b.py"): False,
    }
    assert rows["missing-member", "b.py"].lifespans.count() == 1


def test_what_points_to_a_definition_that_broke_is_not_gone(line: Audited) -> None:
    line.findings["c1"] = [finding("b.py", 21, definition=Place("ids.py", 3))]
    line.findings["c2"] = []
    line.problems["c2"] = [Problem("ids.py", ProblemKind.NEWER_SYNTAX, "needs a newer Python")]
    line.audit("c1")
    line.audit("c2")
    assert line.violations()["b.py"][0] is True


def test_what_a_rule_would_have_found_that_failed_is_not_gone(line: Audited) -> None:
    line.findings["c2"] = []
    line.problems["c2"] = [Problem("", ProblemKind.RULE_FAILED, "it failed: KeyError: 'x'", "missing-member")]
    line.audit("c1")
    line.audit("c2")
    assert [row[0] for row in line.violations().values()] == [True, True]


def test_a_link_in_the_place_of_a_file_is_no_reason_to_keep_a_violation(line: Audited) -> None:
    line.findings["c2"] = []
    line.problems["c2"] = [Problem("b.py", ProblemKind.LINK, "a symbolic link")]
    line.audit("c1")
    line.audit("c2")
    assert line.violations()["b.py"][0] is False


def test_the_same_audit_again_adds_no_rows(line: Audited) -> None:
    for commit in ("c0", "c1", "c2", "c3"):
        line.audit(commit)
    rows = (line.violations(), Sighting.objects.count(), set(Lifespan.objects.values_list("pk", flat=True)))
    for commit in ("c3", "c0", "c2"):
        line.audit(commit)
    assert (
        line.violations(),
        Sighting.objects.count(),
        set(Lifespan.objects.values_list("pk", flat=True)),
    ) == rows


def test_another_policy_at_the_same_commit_replaces_its_result(line: Audited) -> None:
    line.audit("c0")
    first = line.audit("c1", policy="one")
    line.findings["c1"] = [finding("a.py", 110)]
    second = line.audit("c1", policy="two")
    assert line.repository.current_audit == second
    assert line.violations() == {
        "a.py": (True, "c1", 110, {("c0", None)}),
        "b.py": (False, "c1", 21, set()),
    }
    line.audit("c1", policy="one")
    assert line.repository.current_audit == first
    assert line.violations()["b.py"] == (True, "c1", 21, {("c1", None)})
    assert line.violations()["a.py"] == (True, "c1", 11, {("c0", None)})


def test_another_policy_at_an_earlier_commit_replaces_its_result_there(line: Audited) -> None:
    line.audit("c1", policy="one")
    line.audit("c2", policy="one")
    line.findings["c1"] = [finding("a.py", 110, message="other words")]
    again = line.audit("c1", policy="two")
    assert line.violations() == {
        "a.py": (False, "c1", 110, {("c1", "c2")}),
        "b.py": (True, "c2", 22, {("c2", None)}),
    }
    assert not Lifespan.objects.exclude(introduced_in__in=[again, line.repository.current_audit]).exists()
    assert Violation.objects.get(path="a.py").message == "other words"


def test_details_are_those_of_the_latest_sighting_along_the_branch(line: Audited) -> None:
    detailed = finding(
        "b.py",
        22,
        column=7,
        zone=Zone.TEST,
        severity=Severity.P3,
        message="m2",
        hint="h2",
        member="RUN",
        annotations=(Annotation.GUARDED, Annotation.IMPORT_TIME),
        definition=Place("app/ids.py", 3),
    )
    line.findings["c2"] = [detailed]
    line.audit("c2")
    line.audit("c1")
    violation = Violation.objects.get(path="b.py")
    assert (violation.line, violation.column, violation.zone, violation.severity) == (22, 7, "test", "P3")
    assert (violation.message, violation.hint, violation.member) == ("m2", "h2", "RUN")
    assert violation.annotations == ["guarded", "import_time"]
    assert (violation.definition_path, violation.definition_line) == ("app/ids.py", 3)
    assert (violation.scope, violation.ordinal, violation.fingerprint) == ("f", 0, detailed.fingerprint)


def test_text_that_postgresql_refuses_is_written_out(line: Audited) -> None:
    line.findings["c0"] = [finding("b\udce4d.py", message="nul \0 and more", subject="x" * 3000)]
    line.problems["c0"] = [Problem("c\udcff.py", ProblemKind.NOT_TEXT, "\0")]
    audit = line.audit("c0")
    violation = Violation.objects.get()
    assert violation.path == "b\\udce4d.py"
    assert violation.message == "nul \N{REPLACEMENT CHARACTER} and more"
    assert len(violation.subject) == recording.MAX_SUBJECT
    assert audit.problems.get().path == "c\\udcff.py"


def test_repositories_do_not_mix(line: Audited, add_repository: AddRepository) -> None:
    other = Audited(add_repository("/elsewhere"), straight(2), "c1", {"c0": [finding("a.py", 1)]})
    line.audit("c0")
    other.audit("c0")
    other.audit("c1")
    assert line.violations()["a.py"][0] is True
    assert other.violations()["a.py"] == (False, "c0", 1, {("c0", "c1")})


def test_recording_takes_few_queries_however_many_findings(line: Audited) -> None:
    def queries(commit: str, found: Iterable[Finding]) -> int:
        line.findings[commit] = list(found)
        with CaptureQueriesContext(connection) as captured:
            line.audit(commit)
        return len(captured)

    few = queries("c0", [finding("a.py")]), queries("c1", [finding("b.py")])
    many = queries("c2", (finding(f"m{n}.py") for n in range(700))), queries("c3", [])
    assert max(many) <= max(few) + 4


class Story:
    """A random history: which commits follow which, what is wrong at each, and where an audit could not look."""

    PATHS = ("a.py", "b.py", "c.py", "d.py")

    def __init__(self, seed: int) -> None:
        chance = random.Random(seed)
        size = chance.randint(1, 8)
        parents = [set(chance.sample(range(n), min(n, chance.choice((0, 1, 1, 1, 2))))) for n in range(size)]
        self.commits = Commits(parents, [chance.randint(0, 9) for _ in range(size)])
        self.tip = chance.choice(sorted(self.commits.parents))
        # A commit beyond the tip could be from before the branch was set back, which only the order of events tells.
        known = [
            c for c in sorted(self.commits.parents) if c == self.tip or self.tip not in self.commits.above[c]
        ]
        self.audited = chance.sample(known, chance.randint(1, len(known)))
        self.findings = {}
        self.problems = {}
        for number, commit in enumerate(self.audited):
            paths = chance.sample(self.PATHS, chance.randint(0, 4))
            broken = [path for path in paths if chance.random() < 0.25]
            self.findings[commit] = [finding(path, number + 1) for path in paths if path not in broken]
            self.problems[commit] = [Problem(path, ProblemKind.TOO_COMPLEX, "words") for path in broken]
        self.orders = [chance.sample(self.audited, len(self.audited)) for _ in range(3)]

    def expected(self, current: str) -> dict[str, tuple[bool, set[tuple[str, str | None]]]]:
        found: dict[str, tuple[bool, set[tuple[str, str | None]]]] = {}
        for path in {f.path for each in self.findings.values() for f in each}:
            seen = {c for c, each in self.findings.items() if path in {f.path for f in each}}
            unseen = {c for c, each in self.problems.items() if path in {p.path for p in each}}
            spans = naive_lifespans(self.commits, self.audited, current, seen, unseen)
            found[path] = (
                any(span.gone is None for span in spans),
                {(span.introduced, span.gone) for span in spans},
            )
        return found


@pytest.mark.parametrize("seed", range(60))
def test_random_histories_end_in_what_the_definitions_say(seed: int, add_repository: AddRepository) -> None:
    story = Story(seed)
    ends = []
    for order in story.orders:
        audited = Audited(
            add_repository("/nowhere"), story.commits, story.tip, story.findings, story.problems
        )
        for commit in order:
            audited.audit(commit)
        assert audited.current is not None
        rows = audited.violations()
        assert {path: (row[0], row[3]) for path, row in rows.items()} == story.expected(audited.current)
        on_branch = {path: row[:3] for path, row in rows.items() if row[3]}
        ends.append((audited.current, on_branch))
    assert ends[0] == ends[1] == ends[2]


def test_each_violation_keeps_its_row_through_time(line: Audited) -> None:
    line.audit("c0")
    row = Violation.objects.get(path="a.py").pk
    for commit in ("c1", "c2", "c3"):
        line.audit(commit)
    assert Violation.objects.get(path="a.py").pk == row


def test_equal_findings_of_one_scope_are_different_violations(line: Audited) -> None:
    one = finding("a.py", 1)
    line.findings["c0"] = [one, msgspec.structs.replace(one, line=2, ordinal=1)]
    line.findings["c1"] = [msgspec.structs.replace(one, line=5)]
    line.audit("c0")
    line.audit("c1")
    assert list(Violation.objects.order_by("ordinal").values_list("ordinal", "line", "is_open")) == [
        (0, 5, True),
        (1, 2, False),
    ]


def test_times_of_commits_decide_between_merged_branches_only(add_repository: AddRepository) -> None:
    """An ancestor with a later time (a wrong clock) is still an ancestor."""
    commits = Commits([set(), {0}], [9, 1])
    audited = Audited(add_repository("/nowhere"), commits, "c1")
    audited.audit("c1")
    audited.audit("c0")
    assert audited.current == "c1"
    assert commits.order("c0")[0] - commits.order("c1")[0] == timedelta(minutes=8)

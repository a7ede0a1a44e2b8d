"""Reports that are read from rows: what the engine said, and what it says of one beside another."""

from datetime import timedelta
from pathlib import Path

import pytest
from pytest_django import DjangoAssertNumQueries

from audits import reports
from audits.engine.baseline import baseline_of, compared
from audits.engine.findings import Problem, ProblemKind, Report
from audits.engine.report import as_json, json_pieces
from audits.engine.sarif import as_sarif, sarif_pieces
from audits.models import Audit, AuditProblem, Violation
from audits.models.waiver import today
from tests.audits.story import Chapter, Story

pytestmark = pytest.mark.django_db

Chapters = tuple[Path, list[Chapter]]


def whole(audit: Audit) -> Report:
    report = reports.report_of(audit)
    values = {name: getattr(report, name) for name in ("commit", "engine", "policy", "read", "parsed")}
    return Report(**values, findings=tuple(reports.findings_of(audit)), problems=report.problems)


def test_a_report_read_from_rows_is_the_engine_s(story: Story, chapters: Chapters) -> None:
    newest, said = story.audits[-1], chapters[1][-1].report
    assert [f.order for f in whole(newest).findings] == [f.order for f in said.findings]
    assert {f.fingerprint for f in whole(newest).findings} == {f.fingerprint for f in said.findings}
    assert whole(newest).findings == said.findings


@pytest.mark.parametrize(("one", "other"), [(0, 1), (1, 0), (2, 1), (1, 2), (1, 1)])
def test_two_audits_compare_as_their_reports_do(story: Story, one: int, other: int) -> None:
    audit, base = story.audits[one], story.audits[other]
    AuditProblem.objects.create(audit=audit, path="app/runner.py", kind="too-large", message="large")
    wanted = compared(whole(audit), baseline_of(whole(base)))
    assert reports.comparison(audit, base) == wanted
    verdict = reports.verdict(audit, base)
    assert (verdict.new, verdict.gone) == (len(wanted.new), len(wanted.gone))
    assert {finding.fingerprint for _, finding in verdict.first_new(100)} == wanted.new


def test_what_an_audit_could_not_look_at_is_not_gone(story: Story) -> None:
    second, third = story.audits[1:]
    gone = reports.verdict(third, second).gone
    AuditProblem.objects.create(audit=third, path="app/late.py", kind="too-large", message="large")
    assert reports.verdict(third, second).gone == gone - 1
    assert [past.path for past in reports.comparison(third, second).unseen] == ["app/late.py"]
    AuditProblem.objects.create(audit=third, kind="rule-failed", rule="missing-member", message="failed")
    assert reports.verdict(third, second).gone == 0


def test_a_file_that_can_not_be_parsed_hides_what_was_in_it(story: Story) -> None:
    second, third = story.audits[1:]
    gone = reports.verdict(third, second).gone
    seen = third.sightings.select_related("violation").first()
    assert seen is not None
    Violation.objects.filter(pk=seen.violation_id).update(rule="unparseable", path="app/late.py")
    assert reports.verdict(third, second).gone == gone - 1


def test_what_is_new_and_waived_is_counted_apart(story: Story) -> None:
    first, second, _ = story.audits
    assert (reports.verdict(second, first).new, reports.verdict(second, first).waived) == (1, 0)
    late = Violation.objects.filter(path="app/late.py")
    late.update(waived_until=today())
    verdict = reports.verdict(second, first)
    assert (verdict.new, verdict.waived, verdict.first_new(5)) == (0, 1, [])
    late.update(waived_until=today() - timedelta(days=1))
    assert reports.verdict(second, first).new == 1


def test_a_verdict_takes_as_many_queries_however_much_is_new(
    story: Story,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    audit, base = Audit.objects.get(pk=story.audits[0].pk), Audit.objects.get(pk=story.audits[2].pk)
    with django_assert_max_num_queries(6):
        assert len(reports.verdict(audit, base).first_new(2)) == 2


@pytest.mark.parametrize("times", [0, 1, 501, 1000])
def test_a_report_in_pieces_is_the_same_bytes(chapters: Chapters, times: int) -> None:
    said, before = chapters[1][1].report, chapters[1][0].report
    problems = (*said.problems, Problem("a.py", ProblemKind.TOO_LARGE, 'has "findings": [ in it'))
    findings = (said.findings * times)[:times]
    report = Report(
        commit="c", engine="e", policy="p", read=1, parsed=1, findings=findings, problems=problems
    )
    empty = Report(commit="c", engine="e", policy="p", read=1, parsed=1, findings=(), problems=problems)
    for comparison in (None, compared(report, baseline_of(before))):
        assert b"".join(json_pieces(empty, findings, comparison)) == as_json(report, comparison)
        assert b"".join(sarif_pieces(empty, findings, comparison)) == as_sarif(report, comparison)

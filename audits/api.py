"""The audit side of the HTTP API: test reports in, audits started, what was found out."""

from datetime import date, datetime
from typing import Annotated, Any, TypeVar

from django.db import models
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, StreamingHttpResponse
from django.shortcuts import get_object_or_404
from ninja import File, Form, Query, Router, Schema, Status
from ninja.errors import HttpError
from ninja.files import UploadedFile
from pydantic import Field

from audits import access, auditing, comparisons, documents, ingesting, reports, tasks, timeline
from audits.engine.report import json_pieces
from audits.engine.sarif import sarif_pieces
from audits.models import Audit, Covers, Issue, Repository, TestRun, Violation
from audits.models.violation import counting, waived
from audits.testruns import Comparison

router = Router(tags=["audits"])
PAGE = 100
MAX_PAGE = 1_000

M = TypeVar("M", bound=models.Model)

Limit = Annotated[int, Field(ge=1, le=MAX_PAGE)]
Cursor = Annotated[int, Field(ge=0, le=2**62)]


class RepositoryOut(Schema):
    """``audited`` is the commit that the open violations are about."""

    slug: str
    name: str
    branch: str
    audited: str | None
    open_violations: int


class AuditIn(Schema):
    rev: Annotated[str, Field(max_length=255)] = ""
    covers: Covers = Covers.COMMIT


class AuditOut(Schema):
    """``counts`` are findings, {rule: {zone: number}}."""

    id: int
    repository: str
    state: str
    covers: str
    rev: str
    commit: str | None
    findings: int
    problems: int
    counts: dict[str, dict[str, int]]
    error: str | None
    queued_at: datetime
    finished_at: datetime | None


class TestRunOut(Schema):
    """``state`` is received, read, failed (then ``error`` says why) or emptied (its results were deleted, being old);
    ``counts`` are {outcome: number}."""

    __test__ = False

    id: int
    repository: str
    commit: str
    branch: str
    name: str
    state: str
    error: str | None
    tests: int
    counts: dict[str, int]
    left_out: int
    url: str


class ViolationOut(Schema):
    id: int
    fingerprint: str
    rule: str
    subject: str
    path: str
    line: int
    zone: str
    severity: str
    message: str
    is_open: bool
    waived_until: date | None


class TestRunPage(Schema):
    __test__ = False

    items: list[TestRunOut]
    next: int | None


class FindingOut(Schema):
    fingerprint: str
    rule: str
    subject: str
    path: str
    line: int
    zone: str
    severity: str
    message: str
    hint: str


class VerdictOut(Schema):
    """An audit beside the one of ``base_commit``. ``problems`` is what it could not look at."""

    audit: int
    commit: str
    base_audit: int
    base_commit: str
    new_count: int
    new: list[FindingOut]
    gone_count: int
    problems: int
    url: str


class ViolationPage(Schema):
    """``next`` is the cursor of the next page, None after the last."""

    items: list[ViolationOut]
    next: int | None


class ChangeOut(Schema):
    test: str
    before: str | None
    after: str | None
    reason: str


class ComparisonOut(Schema):
    """``regressions`` says whether something that had passed fails now, isn't run any more, or is gone."""

    before: int
    after: int
    regressions: bool
    passed_in_both: int
    changes: dict[str, list[ChangeOut]]


def _repository(request: HttpRequest, slug: str, permission: str = "") -> Repository:
    """The repository of an address. That the token is good for it was seen when the token was."""
    rows = Repository.objects.select_related("current_audit")
    return access.get_repository(request, slug, permission, rows)


def _allowed(request: HttpRequest, rows: QuerySet[M], through: str = "repository") -> QuerySet[M]:
    """What of the rows a token may see: what its user may, and of its repository alone if it is for one."""
    only = request.auth.repository_id  # type: ignore[attr-defined]
    rows = access.visible(request.user, rows, through)
    return rows if only is None else rows.filter(**{through: only})


def _repository_out(repository: Repository, open_violations: int) -> RepositoryOut:
    current = repository.current_audit
    return RepositoryOut(
        slug=repository.slug,
        name=repository.name,
        branch=repository.branch,
        audited=current.commit_sha if current is not None else None,
        open_violations=open_violations,
    )


@router.get("/repositories", response=list[RepositoryOut], openapi_extra={"x-scope": "audits:read"})
def list_repositories(request: HttpRequest) -> list[RepositoryOut]:
    """Every repository that is audited."""
    rows = _allowed(request, Repository.objects.select_related("current_audit"), "pk")
    listed = list(rows[:MAX_PAGE])
    counts = Violation.objects.counting().filter(repository__in=listed).order_by().values_list("repository")
    found = dict(counts.annotate(count=Count("*")))
    return [_repository_out(row, found.get(row.pk, 0)) for row in listed]


@router.get("/repositories/{slug}", response=RepositoryOut, openapi_extra={"x-scope": "audits:read"})
def show_repository(request: HttpRequest, slug: str) -> RepositoryOut:
    """One repository."""
    repository = _repository(request, slug)
    return _repository_out(repository, repository.violations.counting().count())


# --- Audits -------------------------------------------------------------------------------------------------


def _audit_out(audit: Audit) -> AuditOut:
    result = audit.result
    return AuditOut(
        id=audit.pk,
        repository=audit.repository.slug,
        state=audit.state,
        covers=audit.covers,
        rev=audit.rev,
        commit=audit.commit_sha or None,
        findings=result.findings_count,
        problems=result.problems_count,
        counts=result.counts,
        error=audit.error_message or None,
        queued_at=audit.queued_at,
        finished_at=audit.finished_at,
    )


@router.post(
    "/repositories/{slug}/audits",
    response={202: AuditOut, 200: AuditOut},
    openapi_extra={"x-scope": "audits:write"},
)
def start_audit(request: HttpRequest, slug: str, body: AuditIn) -> Status[AuditOut]:
    """Start an audit of a commit (``rev``; empty: the newest of the branch), or of the whole history.

    200 with the audit that is in flight already, if there is one: a repository has one at a time.
    """
    audit, is_new = auditing.request(
        _repository(request, slug, "audits.add_audit"), body.rev, user=request.user, covers=body.covers
    )
    if is_new:
        tasks.dispatch_after_commit(audit)
    return Status(202 if is_new else 200, _audit_out(audit))


@router.get("/audits/{audit_id}", response=AuditOut, openapi_extra={"x-scope": "audits:read"})
def show_audit(request: HttpRequest, audit_id: Cursor) -> AuditOut:
    """How an audit stands."""
    rows = _allowed(request, Audit.objects.select_related("repository", "same_as"))
    return _audit_out(get_object_or_404(rows, pk=audit_id))


@router.get("/audits/{audit_id}/findings", openapi_extra={"x-scope": "audits:read"})
def list_findings(
    request: HttpRequest,
    audit_id: Cursor,
    format: Annotated[str, Query(pattern="^(json|sarif)$")] = "json",  # noqa: A002 (its name in the address)
    against: Annotated[str, Query(pattern="^([0-9a-f]{40}|[0-9a-f]{64}|branch)?$")] = "",
) -> StreamingHttpResponse:
    """What an audit saw, as the engine's JSON report or as SARIF 2.1.0.

    With ``against`` (``branch``, or the full id of a commit that was audited) each finding says whether it is new.
    """
    audit = _audit(request, audit_id)
    report, comparison = reports.report_of(audit), None
    if against:
        comparison = reports.comparison(audit, reports.base_of(audit, against.removeprefix("branch")))
    # A large repository has a hundred megabytes of it: they are sent as they are read.
    pieces, kind = (sarif_pieces, "sarif+json") if format == "sarif" else (json_pieces, "json")
    return StreamingHttpResponse(
        pieces(report, reports.findings_of(audit), comparison), content_type=f"application/{kind}"
    )


@router.get("/audits/{audit_id}/verdict", response=VerdictOut, openapi_extra={"x-scope": "audits:read"})
def show_verdict(
    request: HttpRequest,
    audit_id: Cursor,
    against: Annotated[str, Query(pattern="^([0-9a-f]{40}|[0-9a-f]{64}|branch)?$")] = "branch",
) -> VerdictOut:
    """What an audit has that the branch (or another audited commit) has not: what a build should fail on."""
    audit = _audit(request, audit_id)
    found = reports.verdict(audit, reports.base_of(audit, against.removeprefix("branch")))
    return VerdictOut(
        audit=audit.pk,
        commit=audit.commit_sha,
        base_audit=found.base.pk,
        base_commit=found.base.commit_sha,
        new_count=found.new,
        new=[FindingOut.from_orm(finding) for _, finding in found.first_new(MAX_PAGE)],
        gone_count=found.gone,
        problems=found.problems,
        url=request.build_absolute_uri(f"{audit.get_absolute_url()}?against={found.base.commit_sha}"),
    )


def _audit(request: HttpRequest, audit_id: int) -> Audit:
    rows = Audit.objects.select_related("repository__current_audit__same_as", "same_as")
    return get_object_or_404(_allowed(request, rows), pk=audit_id)


@router.get(
    "/repositories/{slug}/violations", response=ViolationPage, openapi_extra={"x-scope": "audits:read"}
)
def list_violations(
    request: HttpRequest,
    slug: str,
    state: Annotated[str, Query(pattern="^(open|waived|gone|all)$")] = "open",
    rule: Annotated[str, Query(max_length=40)] = "",
    zone: Annotated[str, Query(max_length=10)] = "",
    after: Cursor = 0,
    limit: Limit = PAGE,
) -> ViolationPage:
    """Violations in the order of their numbers; ``after`` is ``next`` of the page before.

    Those that a waiver covers today are in state ``waived``, not ``open``.
    """
    rows = Violation.objects.filter(repository=_repository(request, slug), pk__gt=after).order_by("pk")
    states = {"open": counting(), "waived": waived(), "gone": Q(is_open=False)}
    if state != "all":
        rows = rows.filter(states[state])
    if rule:
        rows = rows.filter(rule=_clean(rule))
    if zone:
        rows = rows.filter(zone=_clean(zone))
    found = list(rows[: limit + 1])
    items = [ViolationOut.from_orm(row) for row in found[:limit]]
    return ViolationPage(items=items, next=items[-1].id if len(found) > limit else None)


def _clean(text: str) -> str:
    """A text that PostgreSQL takes; it would refuse NUL."""
    return text.replace("\0", "")


# --- Test runs ----------------------------------------------------------------------------------------------


def _run_out(request: HttpRequest, run: TestRun) -> TestRunOut:
    return TestRunOut(
        id=run.pk,
        repository=run.repository.slug,
        commit=run.commit_sha,
        branch=run.branch,
        name=run.name,
        state=run.state,
        error=run.error or None,
        tests=run.tests,
        counts=run.counts,
        left_out=run.left_out_count,
        url=request.build_absolute_uri(run.get_absolute_url()),
    )


@router.post(
    "/repositories/{slug}/test-runs",
    response={201: TestRunOut, 200: TestRunOut},
    openapi_extra={"x-scope": "test-runs:write"},
)
def send_test_run(
    request: HttpRequest,
    slug: str,
    report: Annotated[UploadedFile, File()],
    commit: Annotated[str, Form(max_length=255)],
    branch: Annotated[str, Form(max_length=255)] = "",
) -> Status[TestRunOut]:
    """Send a test report (JUnit XML or pytest-json-report) and the commit that the tests ran at.

    It is stored before the answer and read by a worker after it: ask for the run until its state is ``read`` or
    ``failed``. 200 when the same file for the same commit is known already.
    """
    ingesting.check_size(report.size or 0)
    run, is_new = ingesting.receive(
        _repository(request, slug, "audits.add_testrun"),
        report.read(),
        name=report.name or "",
        commit=commit,
        branch=branch,
        source=TestRun.Source.API,
        user=request.user,
    )
    if is_new:
        tasks.read_after_commit(run)
    return Status(201 if is_new else 200, _run_out(request, run))


@router.get("/repositories/{slug}/test-runs", response=TestRunPage, openapi_extra={"x-scope": "audits:read"})
def list_test_runs(
    request: HttpRequest,
    slug: str,
    commit: Annotated[str, Query(max_length=64)] = "",
    branch: Annotated[str, Query(max_length=255)] = "",
    before: Cursor = 2**62,
    limit: Limit = PAGE,
) -> TestRunPage:
    """Test runs that could be read, the newest first; ``before`` is ``next`` of the page before."""
    rows = TestRun.objects.filter(repository=_repository(request, slug), state=TestRun.State.READ)
    rows = rows.filter(pk__lt=before).select_related("repository").order_by("-pk")
    if commit:
        rows = rows.filter(commit_sha=_clean(commit))
    if branch:
        rows = rows.filter(branch=_clean(branch))
    found = list(rows[: limit + 1])
    items = [_run_out(request, run) for run in found[:limit]]
    return TestRunPage(items=items, next=items[-1].id if len(found) > limit else None)


@router.get("/test-runs/{run_id}", response=TestRunOut, openapi_extra={"x-scope": "audits:read"})
def show_test_run(request: HttpRequest, run_id: Cursor) -> TestRunOut:
    """A test run, and whether it was read."""
    rows = _allowed(request, TestRun.objects.select_related("repository"))
    return _run_out(request, get_object_or_404(rows, pk=run_id))


@router.get(
    "/repositories/{slug}/test-runs/compare", response=ComparisonOut, openapi_extra={"x-scope": "audits:read"}
)
def compare_test_runs(request: HttpRequest, slug: str, before: Cursor, after: Cursor) -> ComparisonOut:
    """What happened to tests between two runs. Lists hold at most 1,000 tests each."""
    runs = TestRun.objects.filter(repository=_repository(request, slug), state=TestRun.State.READ)
    pair = [get_object_or_404(runs.select_related("repository"), pk=key) for key in (before, after)]
    found = comparisons.compare_runs(pair[0], pair[1])
    return ComparisonOut(
        before=before,
        after=after,
        regressions=found.comparison.has_regressions,
        passed_in_both=found.passed_in_both,
        changes={name: _changes(found.comparison, name) for name in Comparison.__dataclass_fields__},
    )


def _changes(found: Comparison, name: str) -> list[ChangeOut]:
    return [
        ChangeOut(
            test=change.test,
            before=change.before.outcome if change.before is not None else None,
            after=change.after.outcome if change.after is not None else None,
            reason=change.after.reason if change.after is not None else "",
        )
        for change in getattr(found, name)[:MAX_PAGE]
    ]


# --- Issues -------------------------------------------------------------------------------------------------


@router.get("/repositories/{slug}/issues", openapi_extra={"x-scope": "audits:read"})
def list_issues(request: HttpRequest, slug: str, after: Cursor = 0, limit: Limit = PAGE) -> dict[str, Any]:
    """Remediation issues with the verdicts of their steps."""
    rows = Issue.objects.filter(repository=_repository(request, slug), pk__gt=after).order_by("pk")
    found = list(rows[: limit + 1])
    items = [
        {
            "id": issue.pk,
            "title": issue.title,
            "priority": f"P{issue.priority}",
            "state": issue.state,
            "steps": issue.verdicts,
            "open_places": issue.open_places,
            "contradictions": issue.contradictions,
            "is_judged": issue.stale_since is None,
        }
        for issue in found[:limit]
    ]
    return {"items": items, "next": found[limit - 1].pk if len(found) > limit else None}


@router.get("/issues/{issue_id}", openapi_extra={"x-scope": "audits:read"})
def show_issue(request: HttpRequest, issue_id: Cursor) -> dict[str, Any]:
    """An issue: claim beside evidence for each step, and its timeline."""
    issue = get_object_or_404(
        _allowed(request, Issue.objects.select_related("repository", "owner")), pk=issue_id
    )
    if issue.judged_at is None:
        raise HttpError(409, "The evidence was not looked at yet: ask again in a moment.")
    judgements = list(issue.judgements.all())
    base = request.build_absolute_uri("/").rstrip("/")
    return documents.as_json(issue, judgements, timeline.timeline(issue, judgements), base)

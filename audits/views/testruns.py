"""Test runs: those of a repository, one of them, two beside each other, and one test over all of them."""

import zlib
from dataclasses import dataclass, replace
from urllib.parse import urlencode

from django.core.paginator import Paginator
from django.db.models import Count, Exists, OuterRef
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from audits import access, comparisons, ingesting, tasks
from audits.comparisons import Compared
from audits.forms import UploadForm
from audits.models import Repository, Test, TestReport, TestResult, TestRun
from audits.testruns import Change, Outcome
from audits.views.choices import Choices, among, parameter
from audits.views.pages import HtmxHttpRequest, render_page, wanted_text

RUNS_PER_PAGE = 30
RESULTS_PER_PAGE = 100
HISTORY_SHOWN = 200
SHOWN_PER_KIND = 200

OUTCOMES = {
    Outcome.FAILED: "Failed",
    Outcome.ERROR: "Error",
    Outcome.PASSED: "Passed",
    Outcome.SKIPPED: "Skipped",
    Outcome.XFAILED: "Failed as expected",
    Outcome.XPASSED: "Passed unexpectedly",
}
KINDS = {
    "broken": ("Broken", "passed before, fails now"),
    "silenced": ("Silenced", "skipped now"),
    "vanished": ("Vanished", "not in the later run"),
    "other_reason": ("Still failing, for another reason", "the failure is not the one that it was"),
    "same_reason": ("Still failing, for the same reason", ""),
    "fixed": ("Fixed", "failed before, passes now"),
    "flaky": ("Flaky", "passed and failed at one of the two commits"),
    "new": ("New", "only in the later run"),
    "slower": ("Slower", "takes twice as long and a second more"),
}


@require_GET
def run_list(request: HtmxHttpRequest, slug: str) -> HttpResponse:
    repository = access.get_repository(request, slug)
    branch = wanted_text(request.GET.get("branch"), 255)
    runs = repository.test_runs.select_related("received_from")
    if branch:
        runs = runs.filter(branch=branch)
    page = Paginator(runs, RUNS_PER_PAGE).get_page(request.GET.get("page"))
    query = urlencode({"branch": branch}) if branch else ""
    context = {
        "repository": repository,
        "page": page,
        "branch": branch,
        "branches": repository.test_runs.exclude(branch="")
        .order_by("branch")
        .values_list("branch", flat=True)
        .distinct()[:30],
        "form": UploadForm(),
        "is_waiting": any(run.state == TestRun.State.RECEIVED for run in page),
        "previous_query": f"?{query}&page={page.number - 1}",
        "next_query": f"?{query}&page={page.number + 1}",
        "this_query": f"?{query}&page={page.number}",
        "command": f"python3 manage.py import_tests {repository.slug} report.xml --commit HEAD",
    }
    return render_page(request, "audits/testrun_list.html", context, partials=("test-runs",))


@require_POST
def run_upload(request: HtmxHttpRequest, slug: str) -> HttpResponse:
    """Take in a report: it is stored before the answer, and read by a worker. 422 for one that is not accepted."""
    repository = access.get_repository(request, slug, "audits.add_testrun")
    form = UploadForm(request.POST, request.FILES)
    if form.is_valid():
        file = form.cleaned_data["report"]
        try:
            ingesting.check_size(file.size)
            run, is_new = ingesting.receive(
                repository,
                file.read(),
                name=file.name,
                commit=form.cleaned_data["commit"],
                branch=form.cleaned_data["branch"],
                user=request.user,
            )
        except ingesting.ReceiveError as error:
            form.add_error("commit" if "commit" in str(error) else "report", str(error))
        else:
            if is_new:
                tasks.read_after_commit(run)
            return redirect(run)
    return render(request, "audits/testrun_upload.html", {"repository": repository, "form": form}, status=422)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultChoices(Choices):
    outcome: str = among(OUTCOMES)
    words: str = parameter("q")


@require_GET
def run_detail(request: HtmxHttpRequest, pk: int) -> HttpResponse:
    has_report = Exists(TestReport.objects.filter(run=OuterRef("pk")))
    rows = TestRun.objects.select_related("repository", "received_from").annotate(has_report=has_report)
    run = access.get_of_visible(request, rows, pk=pk)
    chosen = ResultChoices.from_query(request.GET)
    results = run.results.select_related("test")
    if chosen.outcome:
        results = results.filter(outcome=chosen.outcome)
    if chosen.words:
        results = results.filter(test__name__icontains=chosen.words)
    # Failures and errors first: "error" and "failed" come before the other outcomes in the alphabet.
    page = Paginator(results.order_by("outcome", "test__name", "ordinal"), RESULTS_PER_PAGE).get_page(
        chosen.page
    )
    counts = {"": sum(run.counts.values()), **run.counts}
    outcomes = chosen.options("outcome", [("", "All"), *((str(o), label) for o, label in OUTCOMES.items())])
    others = run.repository.test_runs.filter(state=TestRun.State.READ).exclude(pk=run.pk)
    context = {
        "run": run,
        "repository": run.repository,
        "page": page,
        "chosen": chosen,
        "outcomes": [
            replace(option, count=counts[option.value])
            for option in outcomes
            if not option.value or counts.get(option.value)
        ],
        "others": others.order_by("-commit_time", "-pk")[:100],
        **chosen.turns(page.number),
    }
    return render_page(request, "audits/testrun_detail.html", context, partials=("run-panel",))


@require_GET
def run_report(request: HtmxHttpRequest, pk: int) -> HttpResponse:
    """The report as it was received. Offered as a download: it is text that somebody else wrote."""
    run = access.get_of_visible(request, TestRun.objects.select_related("repository", "report"), pk=pk)
    if not hasattr(run, "report"):
        raise Http404("The report was deleted after SSOT_KEEP_REPORT_DAYS")
    response = HttpResponse(zlib.decompress(bytes(run.report.data)), content_type="application/octet-stream")
    response.headers["Content-Disposition"] = f'attachment; filename="test-run-{run.pk}.txt"'
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


@dataclass(frozen=True, slots=True)
class KindOfChange:
    """Tests to which the same thing happened, the first of them, with their ids."""

    name: str
    title: str
    note: str
    rows: list[tuple[Change, int]]
    count: int
    is_bad: bool


@require_GET
def compare(request: HtmxHttpRequest, slug: str) -> HttpResponse:
    """Two runs beside each other, ``before`` and ``after``."""
    repository = access.get_repository(request, slug)
    runs = repository.test_runs.filter(state=TestRun.State.READ).order_by("-commit_time", "-pk")[:200]
    before, after = (_run(repository, request.GET.get(name)) for name in ("before", "after"))
    context: dict[str, object] = {
        "repository": repository,
        "before": before,
        "after": after,
        "runs": runs,
        # Nobody compares a run with itself: the newest is proposed beside the one before it.
        "before_pk": before.pk if before else (runs[1].pk if len(runs) > 1 else None),
    }
    if before is not None and after is not None:
        compared = comparisons.compare_runs(before, after)
        context |= {"compared": compared, "kinds": _kinds(compared)}
    return render_page(request, "audits/testrun_compare.html", context)


def _run(repository: Repository, text: str | None) -> TestRun | None:
    if not text or not text.isdecimal() or len(text) > 15:
        return None
    return repository.test_runs.filter(pk=int(text), state=TestRun.State.READ).first()


def _kinds(compared: Compared) -> list[KindOfChange]:
    found = []
    for name, (title, note) in KINDS.items():
        changes: tuple[Change, ...] = getattr(compared.comparison, name)
        if changes:
            rows = [(change, _id_of(compared, change)) for change in changes[:SHOWN_PER_KIND]]
            found.append(KindOfChange(name, title, note, rows, len(changes), name in {"broken", "silenced"}))
    return found


def _id_of(compared: Compared, change: Change) -> int:
    names = [change.test, *(result.test for result in (change.after, change.before) if result is not None)]
    return next((compared.tests[name] for name in names if name in compared.tests), 0)


@require_GET
def test_detail(request: HtmxHttpRequest, pk: int) -> HttpResponse:
    """How a test ended in every run."""
    test = access.get_of_visible(request, Test.objects.select_related("repository"), pk=pk)
    results = (
        TestResult.objects.filter(test=test)
        .select_related("run")
        .order_by("-run__commit_time", "-run_id", "ordinal")
    )
    both = (
        TestResult.objects.filter(test=test, outcome__in=["passed", "failed", "error"])
        .values("run__commit_sha")
        .annotate(outcomes=Count("outcome", distinct=True))
        .filter(outcomes__gt=1)
    )
    context = {
        "test": test,
        "repository": test.repository,
        "results": results[:HISTORY_SHOWN],
        "count": results.count(),
        "flaky_at": [row["run__commit_sha"] for row in both[:10]],
    }
    return render_page(request, "audits/test_detail.html", context)

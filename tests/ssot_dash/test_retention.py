"""What is deleted once it is old, what is not, and the preview of it."""

import zlib
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from audits import ingesting
from audits.models import (
    Audit,
    Channel,
    Delivery,
    Issue,
    Judgement,
    Repository,
    Test,
    TestReport,
    TestResult,
    TestRun,
)
from ids.models import IDType
from ssot_dash import retention

pytestmark = pytest.mark.django_db


def days_ago(days: int) -> Any:
    return timezone.now() - timedelta(days=days)


@pytest.fixture
def repository() -> Repository:
    return Repository.objects.create(name="Shop", slug="shop", location="/srv/shop")


def run_of(repository: Repository, age: int, state: str = TestRun.State.READ) -> TestRun:
    run = TestRun.objects.create(
        repository=repository, commit_sha="a" * 40, digest=str(age) + state, name="junit.xml", state=state
    )
    TestRun.objects.filter(pk=run.pk).update(received_at=days_ago(age))
    TestReport.objects.create(run=run, data=zlib.compress(b"<testsuite/>"))
    return run


def delivery_of(channel: Channel, age: int, state: str = Delivery.State.SENT) -> Delivery:
    delivery = Delivery.objects.create(channel=channel, notices=[1], state=state)
    Delivery.objects.filter(pk=delivery.pk).update(made_at=days_ago(age))
    return delivery


def test_old_reports_go_and_their_runs_stay(repository: Repository, settings: Any) -> None:
    settings.SSOT_KEEP_REPORT_DAYS = 30
    old, new = run_of(repository, 31), run_of(repository, 29)
    unread = run_of(repository, 31, TestRun.State.FAILED)
    assert retention.purge(timezone.now())["SSOT_KEEP_REPORT_DAYS"] == 1
    assert set(TestReport.objects.values_list("run", flat=True)) == {new.pk, unread.pk}
    assert TestRun.objects.filter(pk=old.pk).exists()


def results_of(run: TestRun) -> TestRun:
    test, _ = Test.objects.get_or_create(repository=run.repository, name="test_a")
    TestResult.objects.create(run=run, test=test, outcome="passed")
    return run


def with_results() -> set[int]:
    return set(TestResult.objects.values_list("run", flat=True))


def test_old_results_go_and_their_runs_stay_with_their_counts(
    client: Client, repository: Repository, settings: Any
) -> None:
    settings.SSOT_KEEP_RESULT_DAYS = 30
    old, new = results_of(run_of(repository, 31)), results_of(run_of(repository, 29))
    TestRun.objects.update(counts={"passed": 1}, tests=1)
    assert retention.preview(timezone.now())[0].rows == 1
    assert retention.purge(timezone.now()) == {"SSOT_KEEP_RESULT_DAYS": 1, "SSOT_KEEP_DELIVERY_DAYS": 0}
    assert with_results() == {new.pk}
    old.refresh_from_db()
    assert (old.state, old.counts, old.tests) == ("emptied", {"passed": 1}, 1)
    assert retention.purge(timezone.now())["SSOT_KEEP_RESULT_DAYS"] == 0
    client.force_login(User.objects.create_superuser("boss"))
    page = client.get(old.get_absolute_url()).text
    assert "The results are no longer kept" in page and "No such test" not in page
    listed = client.get(f"/repositories/{repository.slug}/test-runs/").text
    assert old.get_absolute_url() in listed and f'name="before" value="{old.pk}"' not in listed


def test_results_that_something_rests_on_stay(repository: Repository, settings: Any) -> None:
    settings.SSOT_KEEP_RESULT_DAYS = 30
    evidence = [results_of(run_of(repository, 100 - n)) for n in range(3)]
    issue = Issue.objects.create(repository=repository, title="Mend")
    first, *both = evidence
    for position, link in enumerate(
        [("The run", "run", f"{first.pk}"), ("Both", "comparison", f"{both[0].pk}:{both[1].pk}")]
    ):
        Judgement.objects.create(
            issue=issue, position=position, topic="t", verdict="verified", evidence="e", links=[link]
        )
    current = results_of(run_of(repository, 95))
    TestRun.objects.filter(pk=current.pk).update(commit_sha="b" * 40)
    repository.current_audit = Audit.objects.create(repository=repository, commit_sha="b" * 40)
    repository.save()
    goes = results_of(run_of(repository, 90))
    newest = results_of(run_of(repository, 80))
    branch = results_of(run_of(repository, 97))
    TestRun.objects.filter(pk=branch.pk).update(branch="side")
    assert retention.purge(timezone.now())["SSOT_KEEP_RESULT_DAYS"] == 1
    assert with_results() == {run.pk for run in (*evidence, current, newest, branch)}
    assert not goes.results.exists()


def test_a_report_that_is_sent_again_after_its_results_went_is_read_again(
    repository: Repository, settings: Any
) -> None:
    settings.SSOT_KEEP_RESULT_DAYS = settings.SSOT_KEEP_REPORT_DAYS = 30
    data = b'<testsuite><testcase classname="t" name="test_a"/></testsuite>'

    def send(source: TestRun.Source = TestRun.Source.API) -> tuple[TestRun, bool]:
        return ingesting.receive(repository, data, name="r.xml", commit="a" * 40, source=source)

    run, _ = send()
    ingesting.read(run.pk)
    TestRun.objects.update(received_at=days_ago(31))
    run_of(repository, 1)
    retention.purge(timezone.now())
    assert with_results() == set() and not TestReport.objects.filter(run=run).exists()
    assert send(TestRun.Source.FOLDER) == (run, False)
    again, is_new = send()
    assert (again, is_new, again.state) == (run, True, "received")
    ingesting.read(run.pk)
    assert with_results() == {run.pk}
    assert retention.purge(timezone.now())["SSOT_KEEP_RESULT_DAYS"] == 0


def test_old_deliveries_go_unless_they_are_on_their_way(repository: Repository, settings: Any) -> None:
    settings.SSOT_KEEP_DELIVERY_DAYS = 10
    channel = Channel.objects.create(kind="mail", target="ada@example.org", events=["back"])
    delivery_of(channel, 11)
    delivery_of(channel, 11, Delivery.State.DEAD)
    kept = [delivery_of(channel, 9), delivery_of(channel, 11, Delivery.State.PENDING)]
    assert retention.purge(timezone.now())["SSOT_KEEP_DELIVERY_DAYS"] == 2
    assert set(Delivery.objects.all()) == set(kept)


def test_nothing_goes_where_no_days_are_set(repository: Repository, settings: Any) -> None:
    settings.SSOT_KEEP_REPORT_DAYS = settings.SSOT_KEEP_DELIVERY_DAYS = settings.SSOT_KEEP_RESULT_DAYS = 0
    run_of(repository, 5000)
    assert retention.purge(timezone.now()) == {}
    assert TestReport.objects.count() == 1


def test_many_rows_go_in_short_statements(
    repository: Repository, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.SSOT_KEEP_REPORT_DAYS = 30
    monkeypatch.setattr(retention, "BATCH", 2)
    for age in range(31, 36):
        run_of(repository, age)
    assert retention.purge(timezone.now())["SSOT_KEEP_REPORT_DAYS"] == 5


def test_the_preview_says_what_the_settings_and_other_days_would_delete(
    repository: Repository, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.SSOT_KEEP_REPORT_DAYS, settings.SSOT_KEEP_DELIVERY_DAYS = 0, 90
    for age in (5, 15, 25):
        run_of(repository, age)
    results, first, second, *_ = retention.preview(timezone.now())
    assert (results.days, results.rows) == (first.days, first.rows) == (None, None)
    assert (second.days, second.rows) == (90, 0)
    assert [due.rows for due in retention.preview(timezone.now(), 10)[:2]] == [1, 2]
    monkeypatch.setattr(retention, "COUNTED", 1)
    counted = retention.preview(timezone.now(), 10)[1]
    assert (counted.rows, counted.is_more) == (1, True)
    assert TestReport.objects.count() == 3


def test_the_page_previews_and_names_the_types_that_purge(
    client: Client, repository: Repository, settings: Any
) -> None:
    settings.SSOT_KEEP_REPORT_DAYS = 0
    client.force_login(User.objects.create_superuser("boss"))
    IDType.objects.create(value="parcel", retention_days=7)
    run_of(repository, 15)
    page = client.get("/operations/").text
    assert "Records of parcel IDs" in page and "Due now" in page
    page = client.get("/operations/?days=10").text
    assert "Would go" in page and 'value="10"' in page
    for nonsense in ("0", "-1", "x", "٣", "9" * 30, ""):
        assert "Due now" in client.get("/operations/", {"days": nonsense}).text


def test_a_run_whose_report_is_gone_says_so(client: Client, repository: Repository) -> None:
    client.force_login(User.objects.create_superuser("boss"))
    run = run_of(repository, 1)
    assert "The report</a>" in client.get(run.get_absolute_url()).text
    run.report.delete()
    assert "no longer kept" in client.get(run.get_absolute_url()).text
    assert client.get(f"/test-runs/{run.pk}/report/").status_code == 404

"""The pages of a history: trend, commit, hot spots, and what a violation's page says of its life."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db.models import Min, Q
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from audits import auditing, working
from audits.models import Audit, Commit, Covers, Event, History, State, Violation
from audits.views.trend import Moment, draw
from tests.audits.conftest import AddRepository, Drifting
from tests.audits.story import Story
from tests.audits.views.conftest import SignIn


@pytest.fixture
def told(
    transactional_db: None, drifting: Drifting, add_repository: AddRepository
) -> tuple[History, Drifting]:
    """The history of three commits, and an audit of the last one."""
    repository = add_repository(drifting.path)
    for covers in (Covers.COMMIT, Covers.HISTORY):
        audit, _ = auditing.request(repository, covers=covers)
        working.run(audit.pk)
    return History.objects.select_related("repository").get(), drifting


def test_trend_has_a_drawing_and_the_numbers_behind_it(
    told: tuple[History, Drifting], viewer: Client
) -> None:
    url = f"/repositories/{told[0].repository.slug}/history/"
    page = viewer.get(url).content.decode()
    assert '<path class="line line-prod"' in page and "3 commits of the branch" in page
    table = page[page.index('id="commits-title"') :]
    assert table.index("Runs are an ID type") < table.index("End runs, too") < table.index("Name runs")
    assert "+2" in page and "−3" in page
    assert "None of the 3 commits" in viewer.get(f"{url}?zone=archive").content.decode()
    assert "over=time" in page
    strange = viewer.get(f"{url}?rule=x&zone=y&days=z&until=0000-99&page=q&over=%00")
    assert strange.status_code == 200


def test_period_ends_at_the_day_that_is_asked_for(told: tuple[History, Drifting], viewer: Client) -> None:
    url = f"/repositories/{told[0].repository.slug}/history/"
    assert "The period has 0 commits" in viewer.get(f"{url}?until=2001-01-01&days=7").content.decode()
    assert "3 commits of the branch" in viewer.get(f"{url}?until=2023-11-14&days=1").content.decode()


def test_without_a_history_the_page_says_how_to_get_one(story: Story, viewer: Client, boss: Client) -> None:
    url = f"/repositories/{story.repository.slug}/history/"
    assert "The history is not audited yet" in viewer.get(url).content.decode()
    assert "Audit the whole history</button>" not in viewer.get(url).content.decode()
    assert "Audit the whole history</button>" in boss.get(url).content.decode()


def test_a_commit_says_exactly_what_it_did(told: tuple[History, Drifting], viewer: Client) -> None:
    history, drifting = told
    page = viewer.get(f"/repositories/{history.repository.slug}/commits/{drifting.second}/").content.decode()
    assert page.count("IDType.RUN") >= 1 and "IDType.THREAD" in page
    assert "This commit removed no violation." in page
    assert '<span class="diff-add">+def end():' in page
    assert drifting.first[:9] in page and drifting.third[:9] in page
    assert viewer.get(f"/repositories/{history.repository.slug}/commits/{'0' * 40}/").status_code == 404


def test_a_violation_says_which_commits_began_and_ended_it(
    told: tuple[History, Drifting], viewer: Client
) -> None:
    _history, drifting = told
    violation = Violation.objects.get(member="THREAD")
    page = viewer.get(violation.get_absolute_url()).content.decode()
    assert "Introduced</strong>" in page and f"commits/{drifting.second}/" in page
    assert "Gone</strong>" in page and f"commits/{drifting.third}/" in page
    assert "Audit the whole history" not in page


def test_how_events_of_side_branches_came_to_the_branch_costs_the_same_for_many(
    told: tuple[History, Drifting], viewer: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    violation = Violation.objects.get(member="THREAD")
    commits = list(Commit.objects.filter(repository=violation.repository).order_by("position"))
    last = commits[-1]
    last.position = 100
    last.save()
    for number in range(10):
        side = Commit.objects.create(
            repository=violation.repository,
            sha=f"{number:040x}",
            position=10 + number,
            time=last.time,
            parents=[f"{number - 1:040x}"] if number else [],
        )
        kind = Event.Kind.GONE if number % 2 else Event.Kind.INTRODUCED
        Event.objects.create(violation=violation, commit=side, kind=kind)
    Commit.objects.filter(pk=last.pk).update(parents=[*last.parents, f"{9:040x}"])
    with django_assert_max_num_queries(13):
        page = viewer.get(violation.get_absolute_url()).content.decode()
    assert page.count("reached the branch with") == 10


def test_hot_spots_lead_from_folder_to_file(told: tuple[History, Drifting], viewer: Client) -> None:
    url = f"/repositories/{told[0].repository.slug}/hot-spots/"
    page = viewer.get(url).content.decode()
    assert '?in=app">app/</a>' in page
    inner = viewer.get(f"{url}?in=app").content.decode()
    assert "runs.py" in inner.replace("<wbr>", "") and "?in=app%2Fruns.py" not in inner
    assert "Nothing here" in viewer.get(f"{url}?in=elsewhere").content.decode()
    assert viewer.get(f"{url}?in=%00..%2F").status_code == 200


def test_hot_spots_list_what_is_open_for_longest_first(
    told: tuple[History, Drifting], viewer: Client
) -> None:
    repository = told[0].repository
    model = Violation.objects.filter(repository=repository).first()
    assert model is not None
    names = [field.name for field in Violation._meta.fields if field.name not in {"id", "fingerprint"}]
    values = {name: getattr(model, name) for name in names} | {"is_open": True}
    many = Violation.objects.bulk_create(Violation(fingerprint=f"{n}", **values) for n in range(40))
    commits = list(Commit.objects.filter(repository=repository).order_by("position"))
    for number, violation in enumerate(many):  # each twice, as what came back: the first time counts
        for commit in {commits[number % 2], commits[-1]}:
            Event.objects.create(violation=violation, commit=commit, kind=Event.Kind.INTRODUCED)
    first = Min("events__commit__time", filter=Q(events__kind=Event.Kind.INTRODUCED))
    expected = repository.violations.counting().annotate(since=first).exclude(since=None)
    page = viewer.get(f"/repositories/{repository.slug}/hot-spots/")
    assert [(each.pk, each.since) for each in page.context["oldest"]] == [
        (each.pk, each.since) for each in expected.order_by("since", "pk")[: len(page.context["oldest"])]
    ]
    assert len(page.context["oldest"]) > 10


def test_only_those_who_may_audit_start_it(
    told: tuple[History, Drifting], viewer: Client, sign_in: SignIn
) -> None:
    url = f"/repositories/{told[0].repository.slug}/history/audit/"
    before = Audit.objects.count()
    assert viewer.post(url).status_code == 403
    assert Client().post(url).status_code == 302
    assert viewer.get(url).status_code in {403, 405}
    assert Audit.objects.count() == before
    response = sign_in("add_audit").post(url)
    audit = Audit.objects.get(state=State.QUEUED)
    assert audit.covers == Covers.HISTORY and response.headers["Location"] == audit.get_absolute_url()


def test_a_revision_that_is_none_is_refused_in_words(told: tuple[History, Drifting], boss: Client) -> None:
    slug = told[0].repository.slug
    before = Audit.objects.count()
    page = boss.post(f"/repositories/{slug}/history/audit/", {"rev": "--upload-pack=x"}, follow=True)
    assert "as git writes them" in page.content.decode() and Audit.objects.count() == before


def test_a_rewritten_branch_is_said_on_the_page(told: tuple[History, Drifting], viewer: Client) -> None:
    History.objects.update(stale_since=datetime(2026, 1, 1, tzinfo=UTC))
    page = viewer.get(f"/repositories/{told[0].repository.slug}/history/").content.decode()
    assert "The branch was rewritten" in page


def test_pages_ask_a_bounded_number_of_queries(
    told: tuple[History, Drifting], viewer: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    slug = told[0].repository.slug
    last = Commit.objects.get(sha=told[1].third)
    Commit.objects.bulk_create(
        Commit(
            repository=last.repository,
            sha=f"{n:040x}",
            position=10 + n,
            time=last.time,
            on_main=True,
            introduced=1,
        )
        for n in range(300)
    )
    for url in ("history/?page=2", "hot-spots/", f"commits/{last.sha}/"):
        with django_assert_max_num_queries(14):
            assert viewer.get(f"/repositories/{slug}/{url}").status_code == 200


def moments(values: list[int]) -> list[Moment]:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    return [Moment(start + timedelta(hours=n), (v, 1), f"{n}", "") for n, v in enumerate(values)]


def test_a_drawing_keeps_peaks_however_many_commits_there_are() -> None:
    values = [5] * 20_000
    values[777] = 900
    drawing = draw(moments(values), by_time=False)
    assert len(drawing.paths[0]) < 30_000
    assert min(float(part.split("V")[1]) for part in drawing.paths[0].split("H") if "V" in part) < 70
    assert [mark.change for mark in drawing.marks] == [895, -895]
    assert drawing.rows[-1].label == "1,200"


def test_clocks_that_go_backwards_do_not_turn_the_drawing() -> None:
    row = moments([1, 2, 3])
    row[1] = Moment(row[0].time - timedelta(days=900), (2, 1), "x", "")
    drawing = draw(row, by_time=True)
    xs = [mark.x for mark in drawing.marks]
    assert xs == sorted(xs) and all(48 <= x <= 948 for x in xs)

"""Violations grouped by subject, filtered and sorted by the query string alone, and one of them with its code."""

import html
import re
import shutil
from pathlib import Path

import pytest
from django.db import connection
from django.http import QueryDict
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django import DjangoAssertNumQueries

from audits import scoring
from audits.models import Repository, Violation
from audits.views.figures import open_by_rule
from audits.views.violation_filter import ViolationFilter
from tests.audits.story import NASTY_PATH, Story
from tests.audits.views.conftest import fragment

pytestmark = pytest.mark.django_db

RUN = "app.ids.IDType.RUN"


def listed(client: Client, query: str = "") -> str:
    response = client.get(f"/repositories/story/violations/{query}")
    assert response.status_code == 200
    return html.unescape(response.content.decode()).replace("<wbr>", "")


# --- The list -----------------------------------------------------------------------------------------------


def test_open_violations_are_grouped_by_subject_the_worst_first(viewer: Client, story: Story) -> None:
    page = listed(viewer)
    assert "open places of 2 subjects</h2>" in page
    assert page.index("registry") < page.index("IDType.THREADS")
    assert "IDType.RUN" not in page


def test_gone_violations_are_one_click_away(viewer: Client, story: Story) -> None:
    assert "IDType.RUN" in listed(viewer, "?state=gone")
    page = listed(viewer, "?state=all")
    assert "of 3 subjects</h2>" in page
    assert page.count("gone</span></a>") == 1
    assert "4 prod" not in page  # RUN: three in production, one test, one script
    assert "3 prod" in page


@pytest.mark.parametrize(
    ("query", "subjects"),
    [
        ("?state=all&rule=unresolved-import", {"registry"}),
        (
            "?state=all&rule=missing-member&rule=unresolved-import",
            {"registry", "IDType.RUN", "IDType.THREADS"},
        ),
        ("?state=all&zone=script", {"IDType.RUN"}),
        ("?state=all&severity=P0", {"registry", "IDType.RUN"}),
        ("?state=all&annotation=guarded", {"IDType.RUN"}),
        ("?state=all&annotation=none&zone=prod", {"IDType.RUN", "IDType.THREADS"}),
        ("?state=all&q=late", {"IDType.RUN"}),
        ("?state=all&q=IDTYPE+runner", {"IDType.RUN", "IDType.THREADS"}),
        ("?state=all&q=app.registry", {"registry"}),
        ("?q=nothing+like+this", set()),
    ],
)
def test_filters_narrow_the_subjects(viewer: Client, story: Story, query: str, subjects: set[str]) -> None:
    page = listed(viewer, query)
    assert set(re.findall(r'<span class="mono strong-link">([^<]+)</span>', page)) == subjects


def test_facets_count_what_a_click_would_show(viewer: Client, story: Story) -> None:
    page = listed(viewer, "?state=all")
    for query, label, count in re.findall(
        r'<a class="chip" id="[^"]+" href="(\?[^"]*)"[^>]*>([^<]+) <span class="chip-count">(\d+)</span>',
        page,
    ):
        narrowed = listed(viewer, query + "&view=places")
        assert re.search(rf'id="violation-heading"[^>]*>{count} (open |gone )?place', narrowed), (
            label,
            query,
        )


@pytest.mark.parametrize("sort", ["severity", "subject", "rule", "places", "files"])
def test_every_column_sorts_both_ways(viewer: Client, story: Story, sort: str) -> None:
    def order(query: str) -> list[str]:
        return re.findall(r'<span class="mono strong-link">([^<]+)</span>', listed(viewer, query))

    assert set(order(f"?state=all&sort={sort}")) == set(order(f"?state=all&sort=-{sort}"))
    page = listed(viewer, f"?state=all&sort=-{sort}")
    assert f'aria-sort="descending"><a class="sort" id="sort-{sort}"' in page


def test_sort_by_subject_is_alphabetical(viewer: Client, story: Story) -> None:
    page = listed(viewer, "?state=all&sort=-subject")
    assert page.index("registry") < page.index("IDType.RUN")


def test_opened_subject_shows_its_places_with_links(viewer: Client, story: Story) -> None:
    page = listed(viewer, f"?state=all&open=missing-member:{RUN}")
    place = story.violation(path="app/late.py")
    assert f'href="/violations/{place.pk}/">app/late.py:5</a>' in page
    assert 'aria-expanded="true"' in page
    assert page.count('class="places-row"') == 1
    closed = re.search(r'id="subject-\d+" href="([^"]+)"[^>]*aria-expanded="true"', page)
    assert closed is not None
    assert "open=" not in closed[1]


def test_subject_whose_listed_places_are_gone_says_that_others_are_open(viewer: Client, story: Story) -> None:
    gone = story.repository.violations.filter(subject=RUN, zone="prod").first()
    assert gone is not None
    assert "still open" not in listed(viewer, "?state=gone")
    Violation.objects.filter(pk=gone.pk).update(is_open=True)
    assert "1 still open" in listed(viewer, "?state=gone")
    assert "1 still open" in listed(viewer, "?state=all&zone=test")
    assert "still open" not in listed(viewer, "?state=all")


def test_opened_subject_with_many_places_leads_to_all_of_them(viewer: Client, story: Story) -> None:
    pattern = story.violation(path="app/late.py")
    Violation.objects.bulk_create(
        Violation(
            repository=story.repository, fingerprint=f"{i:032}", rule=pattern.rule, subject=RUN, path=f"more/{i}.py",
            zone="prod", severity="P1", line=1, message="x", latest_audit=pattern.latest_audit,
        )
        for i in range(70)
    )  # fmt: skip
    page = listed(viewer, f"?open=missing-member:{RUN}")
    assert page.count("more/") == 30
    found = re.search(r'<a class="more" href="([^"]+)">All 70 places</a>', page)
    assert found is not None
    page = listed(viewer, found[1])
    assert "1–50 of 70" in page
    assert "51–70 of 70" in listed(viewer, found[1] + "&page=2")


def test_places_can_be_listed_one_by_one(viewer: Client, story: Story) -> None:
    page = listed(viewer, "?view=places&state=gone&sort=path")
    assert "5 gone places</h2>" in page
    places = re.findall(r'<span class="mono">([^:]+)<span class="text-secondary">', page)
    assert places == sorted(places)


def test_whole_choice_is_in_the_address_and_survives_the_search_form(viewer: Client, story: Story) -> None:
    page = listed(viewer, "?state=all&zone=prod&severity=P1&sort=-places&q=run")
    for name, value in (("state", "all"), ("zone", "prod"), ("severity", "P1"), ("sort", "-places")):
        assert f'<input type="hidden" form="violation-search" name="{name}" value="{value}">' in page
    assert 'name="q" value="run"' in page


def test_fragment_carries_the_short_address(viewer: Client, story: Story) -> None:
    response = viewer.get(
        "/repositories/story/violations/?q=run&state=all&zone=&nonsense=1",
        headers=fragment("violation-results"),
    )
    assert response.headers["HX-Push-Url"] == "/repositories/story/violations/?q=run&state=all"
    assert response.content.decode().lstrip().startswith('<div id="violation-results">')
    response = viewer.get("/repositories/story/violations/?q=", headers=fragment("violation-results"))
    assert response.headers["HX-Push-Url"] == "/repositories/story/violations/"


@pytest.mark.parametrize(
    "query",
    [
        "page=0",
        "page=-3",
        "page=abc",
        "page=99999999999999999999",
        "page=²",
        "sort=nothing",
        "sort=--severity",
        "sort=path",
        "view=places&sort=files",
        "state=none",
        "zone=moon&zone=prod",
        "severity=P9",
        "rule=%00",
        "rule=" + "x" * 5000,
        "annotation=x",
        "q=%00",
        "q=%25_%5C'\"",
        "q=" + "w+" * 300,
        "q=%ff%fe",
        "subject=%00",
        "subject=" + "s" * 9000,
        "open=:",
        "open=nothing",
        "open=%00:%00",
        "&".join(["open=a:b"] * 100),
        "view=other",
        "&&==&=",
    ],
)
def test_any_query_string_makes_a_page(viewer: Client, story: Story, query: str) -> None:
    for headers in ({}, fragment("violation-results")):
        assert viewer.get(f"/repositories/story/violations/?{query}", headers=headers).status_code == 200


def test_nothing_found_tells_not_audited_from_nothing_matches_from_nothing_wrong(
    viewer: Client, story: Story
) -> None:
    Repository.objects.create(name="New", slug="new", location="/srv/new.git")
    assert "Not audited yet" in viewer.get("/repositories/new/violations/").content.decode()
    assert "Nothing matches" in listed(viewer, "?q=zzz")
    story.repository.violations.update(is_open=False)
    page = listed(viewer)
    assert "No open violation" in page
    assert "1 thing could not be looked at" in page


@pytest.mark.parametrize("query", ["", "?state=all&open=missing-member:app.ids.IDType.RUN", "?view=places"])
def test_list_needs_few_queries(
    boss: Client, story: Story, django_assert_num_queries: DjangoAssertNumQueries, query: str
) -> None:
    # session, user, repository, count, rows, facets; the files of the listed subjects; for the places of all opened
    # subjects; for what else of gone ones is open
    of_subjects = "view=places" not in query
    with django_assert_num_queries(6 + of_subjects + ("open=" in query) + ("state=all" in query)):
        boss.get(f"/repositories/story/violations/{query}")


def test_files_are_those_of_the_places_that_are_listed(viewer: Client, story: Story) -> None:
    violations = story.repository.violations.all()
    for query in ("", "state=all", "state=gone", "zone=test", "q=app"):
        counted = ViolationFilter.from_query(QueryDict(query))
        ordered = ViolationFilter.from_query(QueryDict(f"{query}&sort=-files"))
        rows = counted.with_files(violations, counted.grouped(violations))
        expected = {(row["rule"], row["subject"]): row["files"] for row in ordered.grouped(violations)}
        assert {(row["rule"], row["subject"]): row["files"] for row in rows} == expected
        assert all(expected.values())


def test_what_is_open_can_be_counted_by_an_index_alone(story: Story) -> None:
    """A column that the index lacks, if only to be counted, has the table read, row by row."""
    with CaptureQueriesContext(connection) as captured:
        scoring.open_in([story.repository.pk])
        open_by_rule(story.repository)
    (index,) = (index for index in Violation._meta.indexes if index.name == "open_violations_counted")
    held = {Violation._meta.get_field(name).column for name in index.fields} | {"is_open"}
    for query in captured.captured_queries:
        asked = set(re.findall(r'"audits_violation"\."(\w+)"', query["sql"]))
        assert asked and asked <= held


# --- One violation ------------------------------------------------------------------------------------------


def detail(client: Client, violation: Violation) -> str:
    response = client.get(violation.get_absolute_url())
    assert response.status_code == 200
    return response.content.decode()


def test_violation_shows_code_definition_hint_and_what_its_marks_mean(viewer: Client, story: Story) -> None:
    violation = story.violation(subject="app.ids.IDType.THREADS")
    page = detail(viewer, violation)
    assert page.count('<tr class="marked">') == 2
    assert '<span class="nc">IDType</span>' in page
    assert "The canonical definition" in page
    assert html.escape(violation.hint) in page
    assert "Production code that breaks when this line runs." in page
    assert "A reference to a member that the resolved enum does not define." in page


def test_annotations_are_explained(viewer: Client, story: Story) -> None:
    assert "may catch the failure" in detail(viewer, story.violation(path="app/careful.py"))
    assert "everything that imports this module fails" in detail(
        viewer, story.violation(path="app/runner.py", line=3)
    )


def test_gone_violation_shows_its_life_and_the_code_as_it_was(viewer: Client, story: Story) -> None:
    page = detail(viewer, story.violation(path="app/late.py"))
    first, second, third = story.audits
    assert re.search(rf"Introduced</strong> <a href=\"/audits/{second.pk}/\"", page)
    assert re.search(rf"Gone</strong> <a href=\"/audits/{third.pk}/\"", page)
    assert re.search(rf"since <a href=\"/audits/{third.pk}/\"", page)
    assert f"/audits/{first.pk}/" not in page
    assert 'role="note"' not in page  # nothing is to be done any more
    assert "At that commit it had no" in page
    assert '<span class="k">return</span>' in page
    assert "RUN = " not in re.sub(
        "<[^>]+>", "", page.split("The canonical definition")[1].split("</table>")[0]
    )


def test_violation_of_the_first_audit_may_be_older(viewer: Client, story: Story) -> None:
    assert "it may be older than that" in detail(viewer, story.violation(path="app/careful.py"))


def test_other_places_of_the_subject_are_linked(viewer: Client, story: Story) -> None:
    page = detail(viewer, story.violation(path="app/late.py"))
    for other in story.repository.violations.filter(subject=RUN).exclude(path="app/late.py"):
        assert f'href="/violations/{other.pk}/"' in page


def test_nothing_of_the_audited_repository_becomes_markup(viewer: Client, story: Story) -> None:
    violation = story.violation(path=NASTY_PATH)
    Violation.objects.filter(pk=violation.pk).update(
        message="<img src=x onerror=alert(3)>", hint="<svg onload=alert(4)>", subject="a.B<script>alert(5)</script>.C",
        scope="<script>alert(6)</script>", member="<b>", is_open=True,
    )  # fmt: skip
    for path in (
        violation.get_absolute_url(),
        story.url,
        story.url + "violations/?open=missing-member:a.B<script>alert(5)</script>.C",
        story.url + "violations/?view=places&q=<script>alert(7)</script>",
        story.url + "violations/?subject=<script>alert(8)</script>",
        f"/audits/{story.audits[-1].pk}/",
    ):
        page = viewer.get(path).content.decode()
        assert "<script>alert" not in page
        assert "<img src=x" not in page
        assert "<svg onload" not in page


def test_absent_repository_is_said_and_everything_else_still_shown(
    viewer: Client, story: Story, tmp_path: Path
) -> None:
    Repository.objects.filter(pk=story.repository.pk).update(location=str(tmp_path / "moved away"))
    page = detail(viewer, story.violation(path="app/late.py"))
    assert "The code can&#x27;t be shown" in page
    assert "Life of this violation" in page


def test_absent_content_is_said(viewer: Client, story: Story, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(story.repository.location, copy)
    Repository.objects.filter(pk=story.repository.pk).update(location=str(copy))
    shutil.rmtree(copy / ".git" / "objects")
    (copy / ".git" / "objects").mkdir()
    page = detail(viewer, story.violation(path="app/late.py"))
    assert "content is absent" in page or "can&#x27;t be shown" in page


def test_violation_needs_few_queries(
    boss: Client, story: Story, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    violation = story.violation(path="app/late.py")
    # session, user, violation with repository and audits, events, lifespans, other places, their number
    with django_assert_num_queries(8):
        boss.get(violation.get_absolute_url())


@pytest.mark.parametrize("pk", ["0", "99999999999999999999"])
def test_unknown_violation_is_not_found(viewer: Client, pk: str) -> None:
    assert viewer.get(f"/violations/{pk}/").status_code == 404

"""The pages of possible duplicates: who may search, what was found, one group, and the entry for the policy."""

from pathlib import Path

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from audits import auditing, working
from audits.engine.policy import parse_policy
from audits.models import Audit, Covers, DuplicateReport, Repository, State, Violation
from tests.audits.conftest import AddRepository
from tests.audits.views.conftest import SignIn, fragment
from tests.samples import commit_tree, init_repository

BODY = """
    def mix(self, bowl, spoons):
        bowl.stir(spoons.stir_count, Kind.STIR)
        bowl.fold(spoons.fold_count, Kind.FOLD)
        bowl.rest(spoons.rest_count, Kind.REST)
        if bowl.is_full and not spoons:
            raise Overflow(bowl.size)
        for spoon in spoons:
            spoon.clean(water=bowl.water)
        return mixer.pour(bowl)
"""
FILES = {
    "app/a.py": f"class Mixer:\n{BODY}",
    "app/b.py": f"class Mixer:\n{BODY.replace('rest_count', 'rest_size')}",
    "app/c.py": f"class Shaker:\n{BODY}\n\ndef helper(): pass\n",
    "tests/x.py": "class Health: pass\n",
    "tests/y.py": "class Health:\n    <script>up = 1\n",
}


@pytest.fixture
def kitchen(transactional_db: None, tmp_path: Path, add_repository: AddRepository) -> Repository:
    path = init_repository(tmp_path / "kitchen")
    commit_tree(path, FILES, "Mix", 1_700_000_000, [])
    return add_repository(path)


@pytest.fixture
def searched(kitchen: Repository) -> Repository:
    audit, _ = auditing.request(kitchen, covers=Covers.DUPLICATES)
    working.run(audit.pk)
    return kitchen


def url(repository: Repository, rest: str = "") -> str:
    return f"/repositories/{repository.slug}/duplicates/{rest}"


def test_only_who_may_audit_can_search(kitchen: Repository, viewer: Client, sign_in: SignIn) -> None:
    assert "Nobody has looked" in viewer.get(url(kitchen)).content.decode()
    assert "Look for duplicates</button>" not in viewer.get(url(kitchen)).content.decode()
    assert viewer.post(url(kitchen, "find/")).status_code == 403
    assert viewer.get(url(kitchen, "find/")).status_code == 405
    assert not Audit.objects.exists()
    auditor = sign_in("add_audit")
    assert "Look for duplicates</button>" in auditor.get(url(kitchen)).content.decode()
    audit_page = auditor.post(url(kitchen, "find/"))
    audit = Audit.objects.get()
    assert (audit_page.status_code, audit_page.headers["Location"]) == (302, f"/audits/{audit.pk}/")
    assert (audit.covers, audit.state) == (Covers.DUPLICATES, State.QUEUED)
    assert "The search is under way" in auditor.get(url(kitchen)).content.decode()
    assert "possible duplicates" in auditor.get(f"/audits/{audit.pk}/").content.decode()


def test_a_search_counts_nothing_as_a_violation_and_leads_to_what_it_found(
    searched: Repository, viewer: Client
) -> None:
    audit = Audit.objects.get()
    assert (audit.state, audit.findings_count, Violation.objects.count()) == (State.SUCCEEDED, 0, 0)
    searched.refresh_from_db()
    assert searched.current_audit is None
    assert viewer.get(f"/audits/{audit.pk}/").headers["Location"] == url(searched)
    page = viewer.get(url(searched)).content.decode()
    assert "2 groups" in page and "None of them counts as a violation" in page
    assert page.index("Mixer") < page.index("Health")
    assert "possible duplicates" in viewer.get("/audits/").content.decode()


@pytest.mark.parametrize(
    ("query", "groups"),
    [
        ("relation=same-name", "1 group<"),
        ("relation=similar&kind=class", "1 group<"),
        ("zone=test", "1 group<"),
        ("zone=archive", "0 groups<"),
        ("q=MIXER+app", "1 group<"),
        ("q=%00zz&relation=y&kind=z&zone=w&page=v", "0 groups<"),
    ],
)
def test_filters_are_in_the_address(searched: Repository, viewer: Client, query: str, groups: str) -> None:
    page = viewer.get(url(searched, f"?{query}")).content.decode()
    assert groups in page
    assert ("Nothing matches" in page) == groups.startswith("0")


def test_a_group_compares_two_and_declares_one(searched: Repository, viewer: Client) -> None:
    report = DuplicateReport.objects.get()
    keys = {value["relation"]: value["key"] for value in report.groups}
    page = viewer.get(url(searched, f"{keys['similar']}/")).content.decode()
    assert "+        bowl.rest(spoons.rest_size, Kind.REST)" in page
    entry = viewer.get(url(searched, f"{keys['similar']}/?owner=1&with=2")).context["entry"]
    (family,) = parse_policy(f"version = 1\n{entry}").family
    assert (family.pattern, family.owners) == ("Mixer|Shaker", ("app.b.Mixer",))
    page = viewer.get(url(searched, f"{keys['same-name']}/")).content.decode()
    assert "[[unique]]" in page and "&lt;script&gt;up" in page
    for query in ("owner=9&with=9", "owner=-1&with=x", "owner=٣&with=00001"):
        assert viewer.get(url(searched, f"{keys['same-name']}/?{query}")).status_code == 200
    assert viewer.get(url(searched, "nothing/")).status_code == 404


def test_a_private_repository_has_no_duplicates_for_others(searched: Repository, viewer: Client) -> None:
    Repository.objects.update(is_private=True)
    key = DuplicateReport.objects.get().groups[0]["key"]
    assert {viewer.get(url(searched, rest)).status_code for rest in ("", f"{key}/")} == {404}
    assert viewer.post(url(searched, "find/")).status_code == 404


def test_a_search_again_takes_the_place_of_the_first(searched: Repository, viewer: Client) -> None:
    commit_tree(Path(searched.location), {"app/a.py": FILES["app/a.py"]}, "Tidy", 1_700_000_100, [])
    audit, _ = auditing.request(searched, covers=Covers.DUPLICATES)
    working.run(audit.pk)
    assert DuplicateReport.objects.get().audit == audit
    assert "No possible duplicates" in viewer.get(url(searched)).content.decode()


def test_a_failed_search_is_told_beside_what_was_known(searched: Repository, viewer: Client) -> None:
    Repository.objects.update(location="/nowhere/at/all")
    audit, _ = auditing.request(Repository.objects.get(), covers=Covers.DUPLICATES)
    working.run(audit.pk)
    page = viewer.get(url(searched)).content.decode()
    assert "The last search failed" in page and "2 groups" in page
    key = DuplicateReport.objects.get().groups[0]["key"]
    assert "be shown" in viewer.get(url(searched, f"{key}/")).content.decode()


def test_the_list_asks_the_database_a_few_times_only(
    searched: Repository, viewer: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    viewer.get(url(searched))
    with django_assert_max_num_queries(10):
        viewer.get(url(searched))


def test_a_panel_that_follows_the_search_leaves_for_its_result(searched: Repository, viewer: Client) -> None:
    answer = viewer.get(f"/audits/{Audit.objects.get().pk}/", headers=fragment("audit-panel"))
    assert (answer.status_code, answer.headers["HX-Redirect"]) == (200, url(searched))


def test_a_search_can_be_about_any_commit(kitchen: Repository, boss: Client) -> None:
    assert boss.post(url(kitchen, "find/"), {"rev": "--output=x"}).headers["Location"] == url(kitchen)
    assert not Audit.objects.exists()
    boss.post(url(kitchen, "find/"), {"rev": "main"})
    audit = Audit.objects.get()
    working.run(audit.pk)
    audit.refresh_from_db()
    assert (audit.rev, audit.state) == ("main", State.SUCCEEDED)

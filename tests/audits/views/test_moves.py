"""The page about moves from deprecated symbols to new ones."""

from pathlib import Path

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from audits import auditing, working
from audits.models import Repository
from tests.audits.conftest import AddRepository
from tests.samples import commit_tree, init_repository

POLICY = """
version = 1
[[deprecated]]
old = "shop.old_log"
new = "shop.logs"
deadline = 2026-12-31
"""
OLD, NEW = "from shop.old_log import x\n", "from shop.logs import x\n"
TREE = {
    "shop/__init__.py": "",
    "shop/old_log.py": "x = 1\n",
    "shop/logs.py": "x = 1\n",
    "tests/test_a.py": OLD,
}


@pytest.fixture
def moving(transactional_db: None, tmp_path: Path, add_repository: AddRepository) -> Repository:
    """Two audited commits: one of four users has moved, then two of them."""
    path = init_repository(tmp_path / "moving")
    repository = add_repository(path, policy=POLICY)
    users = {"shop/api/a.py": OLD, "shop/api/b.py": NEW, "shop/jobs/c.py": OLD}
    parents: list[str] = []
    for number, files in enumerate((users, users | {"shop/api/a.py": NEW})):
        sha = commit_tree(path, TREE | files, f"Move {number}", 1_700_000_000 + number, parents)
        parents = [sha]
        audit, _ = auditing.request(repository)
        working.run(audit.pk)
    return repository


def url(repository: Repository, query: str = "") -> str:
    return f"/repositories/{repository.slug}/moves/{query}"


def test_a_move_is_shown_in_all_by_zone_by_folder_and_over_audits(moving: Repository, viewer: Client) -> None:
    answer = viewer.get(url(moving))
    (move,) = answer.context["moves"]
    assert (move.uses.old, move.uses.new, move.uses.percent) == (2, 2, 50)
    assert [(zone, uses.old) for zone, uses in move.zones] == [("prod", 1), ("test", 1)]
    spots = [(spot.name, spot.uses.old, spot.uses.new) for spot in move.spots]
    assert spots == [("shop", 1, 2), ("tests", 1, 0)]
    assert [moment.uses.old for moment in move.moments] == [2, 3]
    page = answer.content.decode()
    assert "31 Dec 2026" in page and "<strong>50 %</strong> moved" in page
    assert "Moves</a>" in viewer.get(f"/repositories/{moving.slug}/hot-spots/").content.decode()


def test_folders_lead_further_in(moving: Repository, viewer: Client) -> None:
    (move,) = viewer.get(url(moving, "?in=shop")).context["moves"]
    spots = [(spot.name, spot.uses.old, spot.uses.new) for spot in move.spots]
    assert spots == [("jobs", 1, 0), ("api", 0, 2)]
    (move,) = viewer.get(url(moving, "?in=shop/api")).context["moves"]
    assert [(spot.name, spot.query) for spot in move.spots] == [("", "")]
    assert "No use of either" in viewer.get(url(moving, "?in=%00nowhere")).content.decode()


def test_the_same_commit_audited_again_shows_the_same(moving: Repository, viewer: Client) -> None:
    audit, _ = auditing.request(moving)
    working.run(audit.pk)
    audit.refresh_from_db()
    assert audit.same_as is not None
    (move,) = viewer.get(url(moving)).context["moves"]
    assert (move.uses.old, len(move.moments)) == (2, 2)


def test_without_a_policy_the_page_says_how_a_move_begins(
    add_repository: AddRepository, db: None, viewer: Client
) -> None:
    repository = add_repository("/nowhere")
    assert "A move begins with an entry in the policy" in viewer.get(url(repository)).content.decode()
    Repository.objects.update(is_private=True)
    assert viewer.get(url(repository)).status_code == 404


def test_the_page_asks_the_database_a_few_times_only(
    moving: Repository, viewer: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    viewer.get(url(moving))
    with django_assert_max_num_queries(10):
        viewer.get(url(moving))

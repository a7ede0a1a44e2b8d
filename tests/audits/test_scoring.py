"""The score: canonical subjects without open violations, of all, for each zone and over history."""

import random
from datetime import timedelta
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from audits import auditing, policies, scoring, tasks, waiving, working
from audits.engine.canonical import canon_of
from audits.engine.policy import parse_policy
from audits.models import (
    Audit,
    Commit,
    Covers,
    Event,
    Repository,
    SubjectTrend,
    Violation,
    Waiver,
)
from audits.models.waiver import today
from tests.audits.conftest import AddRepository
from tests.samples import commit_tree, init_repository

pytestmark = pytest.mark.django_db(transaction=True)

POLICY = """version = 1

[[unique]]
symbol = "app.ids.IDType"

[[forbidden]]
symbol = "os.environ"
allow = ["app/config.py"]

[[family]]
name = "engines"
pattern = '.*Engine'
owners = ["app.engine.Engine"]
"""
ENUM = "from enum import Enum\n\n\nclass IDType(Enum):\n    USER = 'user'\n"
USE = "import os\nfrom app.ids import IDType\n\n\ndef begin():\n    return IDType.RUN, os.environ\n"


@pytest.fixture
def repository(tmp_path: Path, add_repository: AddRepository) -> Repository:
    """Clean; a side branch brings RUN and os.environ, merged; then RUN is mended in production, and a test names
    THREAD."""
    path = init_repository(tmp_path / "repo")
    files = {"app/__init__.py": "", "app/ids.py": ENUM}
    first = commit_tree(path, files, "start", 1_700_000_000, [])
    side = commit_tree(path, files | {"app/runs.py": USE}, "side", 1_700_000_100, [first], branch="side")
    other = commit_tree(path, files | {"app/x.py": ""}, "other", 1_700_000_200, [first])
    files |= {"app/x.py": "", "app/runs.py": USE}
    merge = commit_tree(path, files, "merge", 1_700_000_300, [other, side])
    files |= {
        "app/ids.py": ENUM + "    RUN = 'run'\n",
        "tests/test_a.py": "from app.ids import IDType\n\nIDType.THREAD\n",
    }
    commit_tree(path, files, "mend", 1_700_000_400, [merge])
    made = add_repository(path, policy=POLICY)
    for covers in (Covers.HISTORY, Covers.COMMIT):
        working.run(auditing.request(made, covers=covers)[0].pk)
    made.refresh_from_db()
    return made


def test_it_is_what_has_no_open_violation_of_all_for_each_zone(repository: Repository) -> None:
    assert repository.score == {
        "subjects": 3,
        "clean": {"prod": 2, "test": 2, "script": 3, "archive": 3},
        "open": [["prod", "P1", None, 1], ["test", "P2", None, 1]],
    }
    found = {each.name: (dict(each.open), each.tables, each.ever) for each in scoring.standings(repository)}
    assert found == {
        "app.ids.IDType": ({"prod": 0, "test": 1}, ("unique",), 2),
        "os.environ": ({"prod": 1}, ("forbidden",), 1),
        "family engines": ({}, ("family",), 0),
    }


def test_over_history_a_side_branch_counts_from_its_merge_on(repository: Repository) -> None:
    levels = [(each.subject, each.values) for each in scoring.over_history(repository)]
    assert levels == [("merge", (2, 0, 0, 0)), ("mend", (1, 1, 0, 0))]


def test_what_is_kept_of_history_is_what_would_be_computed(repository: Repository) -> None:
    kept = scoring.over_history(repository)
    SubjectTrend.objects.all().delete()
    assert scoring.over_history(repository) == kept


@pytest.mark.parametrize("seed", range(4))
def test_over_history_every_event_counts_where_it_came_to_the_branch(seed: int) -> None:
    """Beside a plain replay of the events, over stories in which much is said twice and by side branches."""
    chance = random.Random(seed)
    repository = Repository.objects.create(name="Chance", slug="chance", location="/nowhere")
    audit = Audit.objects.create(repository=repository)
    commits = []
    for n in range(12):
        on_main = (
            n % 3 != 1
        )  # each third one is of a side branch, which the next one merges; the last ones are not
        parents = {0: [], 2: [f"{n - 2}", f"{n - 1}"]}.get(n % 3 if n else 0, [f"{n - 1}"])
        commits.append(
            Commit(
                repository=repository,
                sha=f"{n}",
                position=n,
                time=f"2026-01-{n + 1:02}T00:00:00Z",
                parents=parents if n < 9 else [],
                on_main=on_main,
            )
        )
    Commit.objects.bulk_create(commits)
    arrives = {"1": 2, "4": 5, "7": 8} | {f"{n}": n for n in range(12) if n % 3 != 1}
    violations = [
        Violation.objects.create(
            repository=repository,
            fingerprint=f"{n}",
            rule=chance.choice(["missing-member", "missing-member", "unparseable"]),
            subject=f"a.B{n % 3}.C",
            path="a.py",
            zone=chance.choice(["prod", "test"]),
            severity="P1",
            line=1,
            message="m",
            is_open=chance.random() < 0.5,
            latest_audit=audit,
        )
        for n in range(10)
    ]
    events = [
        Event.objects.create(violation=violation, commit=commit, kind=chance.choice(["introduced", "gone"]))
        for violation in violations
        for commit in chance.sample(commits, 4)
    ]
    assert [(int(level.sha), level.values) for level in scoring.over_history(repository)] == replayed(
        [event for event in events if event.violation.rule == "missing-member"], arrives
    )


def replayed(events: list[Event], arrives: dict[str, int]) -> list[tuple[int, tuple[int, ...]]]:
    ordered = sorted(
        (arrives[event.commit.sha], event.commit.position, event.pk, event)
        for event in events
        if event.commit.sha in arrives
    )
    last = {event.violation_id: pk for _, _, pk, event in ordered}
    standing: dict[int, tuple[str, str]] = {}
    levels: dict[int, tuple[int, ...]] = {}
    for number, _, pk, event in ordered:
        ends = event.kind == "gone" or (pk == last[event.violation_id] and not event.violation.is_open)
        standing.pop(event.violation_id, None)
        if not ends:
            standing[event.violation_id] = (event.violation.subject, event.violation.zone)
        zones = [zone for _, zone in set(standing.values())]
        levels[number] = tuple(zones.count(zone) for zone in ("prod", "test", "script", "archive"))
    newest = max(arrives.values())
    levels.setdefault(newest, list(levels.values())[-1])
    return list(levels.items())


def test_what_is_waived_is_clean_until_its_day_has_passed(repository: Repository) -> None:
    violation = repository.violations.get(rule="forbidden-reference")
    user = User.objects.create_user("ada")
    waiving.accept(violation, kind="risk", reason="x", expires_on=today(), user=user)
    scoring.renew(repository.pk)
    repository.refresh_from_db()
    assert repository.score["clean"]["prod"] == 3
    yesterday = today() - timedelta(days=1)
    Waiver.objects.update(expires_on=yesterday)
    Violation.objects.filter(pk=violation.pk).update(waived_until=yesterday)
    tasks.dispatch_due()
    repository.refresh_from_db()
    assert repository.score["clean"]["prod"] == 2


def test_another_policy_measures_all_of_history_anew(repository: Repository) -> None:
    scoring.take_over(repository.pk, parse_policy('version = 1\n[[forbidden]]\nsymbol = "os.environ"'))
    repository.refresh_from_db()
    assert repository.score["subjects"] == 2, "members were missing from the enum, whatever the policy says"
    scoring.take_over(repository.pk, parse_policy(""))
    repository.refresh_from_db()
    assert [each.name for each in scoring.standings(repository)] == ["app.ids.IDType"]
    assert [each.values for each in scoring.over_history(repository)] == [(1, 0, 0, 0), (0, 1, 0, 0)]


def test_a_policy_that_gives_violations_no_other_owners_leaves_history_alone(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone_through = []
    levels = scoring._levels
    monkeypatch.setattr(scoring, "_levels", lambda found: gone_through.append(found) or levels(found))
    more = POLICY + '\n[[unique]]\nsymbol = "app.new.Thing"\n'
    policies.save(repository, more)
    repository.refresh_from_db()
    assert repository.score["subjects"] == 4 and not gone_through
    policies.save(repository, more.replace("os.environ", "os.getenv"))
    assert gone_through == [repository]
    SubjectTrend.objects.all().delete()
    policies.save(repository, more)
    kept = SubjectTrend.objects.get().levels
    assert [tuple(level) for level in kept] == levels(Repository.objects.get())


@pytest.mark.parametrize(
    ("rule", "subject", "owner"),
    [
        ("unique-definition", "a.B", "a.B"),
        ("unique-definition", "a.C", ""),
        ("missing-member", "a.B.RUN", "a.B"),
        ("missing-member", "x.Y.RUN", "x.Y"),
        ("name-family", "engines: MyEngine", "family engines"),
        ("forbidden-reference", "os.environ", "os.environ"),
        ("deprecated-symbol", "old.thing", "old.thing"),
        ("required-base", "tests.Base", "tests.Base"),
        ("required-base", "unittest.mock.Mock", "tests.Base"),
        ("literal", "a.URL = 'https://x'", "a.URL"),
        ("registry-drift", "a.Kind.RUN", "a.Kind"),
        ("registry-drift", "a.Kind lacks 'run'", "a.Kind"),
        ("unresolved-import", "a.B", "a.B"),
        ("unresolved-import", "a.B.c", "a.B"),
        ("unresolved-import", "q.r", ""),
        ("unparseable", "a.B", ""),
    ],
)
def test_every_rule_s_violations_find_their_canonical_subject(rule: str, subject: str, owner: str) -> None:
    policy = parse_policy(
        'version = 1\n[[unique]]\nsymbol = "a.B"\n[[family]]\nname = "engines"\npattern = "E"\nowners = []\n'
        '[[forbidden]]\nsymbol = "os.environ"\n[[deprecated]]\nold = "old.thing"\n[[base]]\nbase = "tests.Base"\n'
        'forbid = ["unittest.mock.Mock"]\n[[literal]]\nvalue = "https://x"\nowner = "a.URL"\n'
        '[[registry]]\nenum = "a.Kind"\n'
    )
    assert canon_of(policy).owner(rule, subject) == owner


def test_the_page_lists_what_the_figures_count(
    repository: Repository, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    client = Client()
    client.force_login(User.objects.create_user("reader"))
    url = f"/repositories/{repository.slug}/canonical-subjects/"
    with django_assert_max_num_queries(10):
        page = client.get(url).content.decode()
    assert "3 canonical subjects" in page and "found in the code" not in page
    assert (
        "1 canonical subject with open violations in production"
        in client.get(f"{url}?show=open&zone=prod").content.decode()
    )
    assert (
        "2 canonical subjects without open violations in production"
        in client.get(f"{url}?show=clean&zone=prod").content.decode()
    )
    assert client.get(f"{url}?show=x&zone=%00&q=%00&page=x").status_code == 200
    assert "Nothing matches" in client.get(f"{url}?q=nowhere").content.decode()
    for where in ("/", repository.get_absolute_url()):
        assert "canonical-subjects/?zone=prod&amp;show=clean" in client.get(where).content.decode()


def test_a_repository_without_canonical_subjects_says_how_to_declare_them(
    add_repository: AddRepository,
) -> None:
    made = add_repository("/nowhere", policy='version = 1\n[[forbidden]]\nsymbol = "os.environ"\n')
    assert made.score.get("subjects", 0) <= 1, "what is declared may be known, but nobody has looked"
    client = Client()
    client.force_login(User.objects.create_user("reader"))
    assert (
        "No canonical subject yet"
        in client.get(f"/repositories/{made.slug}/canonical-subjects/").content.decode()
    )
    assert "canonical-subjects" not in client.get("/").content.decode()

"""The loop of an ID type: added in the admin, issued by the running site, counted, exported, missed in code."""

from pathlib import Path

from django.contrib.auth.models import User
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

from audits import auditing, working
from audits.models import Audit, Repository, State
from ids import metrics
from ids.client import HttpSource
from ids.models import IDType
from ssot_dash import tokens
from tests.audits.conftest import AddRepository, add_repository  # noqa: F401 (a fixture)
from tests.audits.story import BEGAN
from tests.samples import commit_tree, init_repository

POLICY = 'version = 1\n[[registry]]\nenum = "app.ids.IDType"\n'


def audited(repository: Repository) -> Audit:
    audit, _ = auditing.request(repository)
    working.run(audit.pk)
    audit.refresh_from_db()
    assert audit.state == State.SUCCEEDED, audit.error
    return audit


def test_a_type_added_in_the_admin_is_issued_counted_exported_and_missed_in_code(
    page: Page,
    live_site: LiveServer,
    administrator: User,
    add_repository: AddRepository,  # noqa: F811
    tmp_path: Path,
) -> None:
    IDType.objects.get_or_create(value="run", defaults={"description": "One pass of an agent."})
    program = HttpSource(live_site.url, tokens.create(administrator, "a program", ["ids:write"])[1])
    assert program.call("POST", "/ids/generate", {"type": "run"})["id"]  # the site knows its types by now
    path = init_repository(tmp_path / "repo")
    code = {"app/__init__.py": "", "app/ids.py": page.request.get("/ids/registry.py").text()}
    first = commit_tree(path, code, "The types of today", BEGAN, [])

    page.goto("/admin/ids/idtype/add/")
    page.get_by_label("Value").fill("web-hook")
    page.get_by_label("Description").fill("A call to another service.")
    page.get_by_label("Reason for this change").fill("We call others now.")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("was added successfully")).to_be_visible()

    issued = [program.call("POST", "/ids/generate", {"type": "web-hook"})["id"] for _ in range(3)]
    assert len(set(issued)) == 3 and all(text.startswith("web-hook_") for text in issued)
    metrics.flush()
    page.goto("/ids/web-hook/")
    expect(page.locator("#figure-issued")).to_have_text("3")
    expect(page.get_by_text("We call others now.")).to_be_visible()
    expect(page.get_by_role("link", name=issued[-1])).to_be_visible()
    exported = page.request.get("/ids/registry.py").text()
    assert 'WEB_HOOK = "web-hook"' in exported

    repository = add_repository(path, POLICY, branch="main")
    audited(repository)
    violations = f"/repositories/{repository.slug}/violations/?rule=registry-drift"
    page.goto(violations)
    expect(page.locator("#violation-heading")).to_have_text("1 open place of 1 subject")
    expect(page.get_by_text("lacks 'web-hook'").first).to_be_visible()

    commit_tree(path, code | {"app/ids.py": exported}, "The types of the registry", BEGAN, [first])
    audited(repository)
    page.goto(violations)
    expect(page.locator("#violation-heading")).to_have_text("0 open places")

"""The pages of the rules."""

import pytest
from django.test import Client

from audits.engine.rules import RULES
from tests.audits.story import Story


def test_the_list_leads_to_every_rule(viewer: Client) -> None:
    page = viewer.get("/rules/").content.decode()
    assert [name for name in RULES if f'href="/rules/{name}/"' not in page] == []


@pytest.mark.parametrize("name", RULES)
def test_a_rule_shows_its_example_with_what_is_found_in_it(viewer: Client, name: str) -> None:
    page = viewer.get(f"/rules/{name}/").content.decode()
    assert "An example" in page and "Mended" in page and "Finds nothing." in page
    assert 'class="diff-del"' in page


def test_a_rule_that_is_none_is_not_found(viewer: Client) -> None:
    assert viewer.get("/rules/nonsense/").status_code == 404


def test_a_violation_leads_to_its_rule(viewer: Client, story: Story) -> None:
    violation = story.repository.violations.first()
    assert violation is not None
    page = viewer.get(violation.get_absolute_url()).content.decode()
    assert f'href="/rules/{violation.rule}/"' in page
    type(violation).objects.update(rule="a-rule-of-old")
    assert 'href="/rules/' not in viewer.get(violation.get_absolute_url()).content.decode()

"""The guides of the rules: their examples find what they are about, and the pages in ``docs/`` say so."""

from io import StringIO
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import call_command

from audits.engine.guides import guides
from audits.engine.rules import RULES

DOCS = Path(settings.BASE_DIR) / "docs"


def test_every_rule_has_a_guide_with_cases() -> None:
    assert list(guides()) == list(RULES)
    assert all(guide.cases for guide in guides().values())


@pytest.mark.parametrize("name", RULES)
def test_the_example_is_found_and_mending_it_leaves_nothing(name: str) -> None:
    guide = guides()[name]
    assert {finding.rule for finding in guide.example.findings} == {name}
    assert guide.mended.findings == ()
    assert guide.mended.files != guide.example.files
    assert "Mend it" in guide.rule.description


@pytest.mark.parametrize("name", RULES)
def test_the_page_of_a_rule_is_what_its_examples_find(name: str) -> None:
    """``manage.py rules --write docs`` brings it up to date."""
    output = StringIO()
    call_command("rules", name, stdout=output)
    assert (DOCS / "rules" / f"{name}.md").read_text() == output.getvalue()


def test_no_page_is_left_of_a_rule_that_is_gone() -> None:
    assert {page.stem for page in (DOCS / "rules").glob("*.md")} == set(RULES)


def test_all_pages_are_written_at_once(tmp_path: Path) -> None:
    call_command("rules", write=tmp_path)
    assert (tmp_path / "rules.md").read_text() == (DOCS / "rules.md").read_text()
    assert len(list((tmp_path / "rules").iterdir())) == len(RULES)

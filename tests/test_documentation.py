"""The documentation names what there is."""

import re
from pathlib import Path

import pytest
from django.conf import settings

from audits.engine.rules import RULES

ROOT = Path(settings.BASE_DIR)
NAMES = re.compile(r"""env(?:_bool|_int|_list|_secret|iron\.get)\(\s*"([A-Z][A-Z_]+)\"""")


def test_the_page_of_settings_names_each_setting_and_no_other() -> None:
    wanted = set(NAMES.findall((ROOT / "ssot_dash/settings.py").read_text()))
    named = set(re.findall(r"^\| `([A-Z_]+)`", (ROOT / "docs/settings.md").read_text(), re.MULTILINE))
    assert len(wanted) > 20
    assert named - wanted == {"SSOT_CACHE_DIR", "SSOT_DATA_DIR"}  # read elsewhere
    assert wanted <= named


def test_the_readme_names_each_rule() -> None:
    text = (ROOT / "README.md").read_text()
    assert [rule for rule in RULES if f"| `{rule}` |" not in text] == []


@pytest.mark.parametrize("page", ["README.md", "docs/architecture.md", "docs/settings.md", "CHANGELOG.md"])
def test_links_and_pictures_lead_somewhere(page: str) -> None:
    path = ROOT / page
    links = re.findall(r"\]\(([^)#]+)", path.read_text())
    assert [link for link in links if "://" not in link and not (path.parent / link).exists()] == []

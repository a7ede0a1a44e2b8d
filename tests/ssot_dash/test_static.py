"""Third-party files are the ones that the manifest names, and templates only ask for what is there."""

import hashlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
STATIC = ROOT / "static"
MANIFEST = [
    line.split() for line in (STATIC / "vendor/MANIFEST").read_text().splitlines() if not line.startswith("#")
]
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))


@pytest.mark.parametrize(("digest", "path"), [(row[3], row[4]) for row in MANIFEST])
def test_vendored_file_has_the_hash_of_the_manifest(digest: str, path: str) -> None:
    assert hashlib.sha256((STATIC / path).read_bytes()).hexdigest() == digest


def test_every_vendored_file_is_in_the_manifest() -> None:
    there = {str(p.relative_to(STATIC)) for p in (STATIC / "vendor").rglob("*") if p.is_file()}
    assert there - {"vendor/MANIFEST"} == {row[4] for row in MANIFEST if row[4].startswith("vendor/")}


def test_every_icon_of_a_template_is_in_the_sprite() -> None:
    known = set(re.findall(r'<symbol id="([^"]+)"', (STATIC / "icons.svg").read_text()))
    asked = {n for t in TEMPLATES for n in re.findall(r'{%\s*icon "([^"]+)"', t.read_text())}
    assert asked - known == set()


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda p: str(p.relative_to(ROOT / "templates")))
def test_template_keeps_to_the_content_security_policy(template: Path) -> None:
    """No inline script or style, no handler attribute, no htmx expression: the browser would refuse each of them."""
    text = template.read_text()
    assert not re.search(r"\sstyle\s*=|<style|\son[a-z]+\s*=|hx-on|javascript:|\bjs:", text)
    assert not re.search(r"<script(?![^>]*\ssrc=)", text)
    assert "|safe" not in text
    assert "autoescape off" not in text


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda p: str(p.relative_to(ROOT / "templates")))
def test_every_fragment_that_is_fetched_is_a_page_too(template: Path) -> None:
    """Where a link or a form asks for a fragment, it works without scripts as well."""
    for tag in re.findall(r"<(?:a|form)\b[^>]*hx-(?:get|post)=[^>]*>", template.read_text()):
        assert "href=" in tag or "action=" in tag, tag

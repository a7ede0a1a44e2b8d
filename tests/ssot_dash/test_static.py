"""Third-party files are the ones that the manifest names, and templates only ask for what is there."""

import hashlib
import os
import re
from pathlib import Path
from typing import Any

import pytest
from django.contrib.staticfiles.finders import get_finder

from ssot_dash.management.commands import prepare

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


def test_an_upgrade_leaves_the_files_of_the_release_that_still_runs(tmp_path: Path, settings: Any) -> None:
    source = tmp_path / "source"
    source.mkdir()
    settings.STATIC_ROOT = tmp_path / "collected"
    settings.STATICFILES_DIRS = [source]
    settings.STATICFILES_FINDERS = ["django.contrib.staticfiles.finders.FileSystemFinder"]
    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
    }
    get_finder.cache_clear()
    settings.STATIC_ROOT.mkdir()
    command = prepare.Command()
    command.report = None

    def release(text: str) -> set[str]:
        (source / "site.css").write_text(text)
        os.utime(source / "site.css", (1, 1))  # as from an archive, whose times say nothing
        command.collect_static()
        assert (settings.STATIC_ROOT / "site.css").read_text() == text
        return {path.name for path in settings.STATIC_ROOT.glob("site.*.css")}

    first = release("a {}" * 100)
    second = release("b {}" * 101)
    third = release("c {}" * 102)
    assert (len(first), len(second), len(third)) == (1, 2, 2)
    assert first < second
    assert not first & third

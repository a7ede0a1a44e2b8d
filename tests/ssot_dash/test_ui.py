"""Icons, times, durations, and text that wraps."""

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from django.conf import settings
from django.template import Context, Template

from ssot_dash.templatetags import ui


def test_icon_is_decoration_unless_it_has_a_name() -> None:
    assert 'aria-hidden="true"' in ui.icon("check")
    assert 'role="img" aria-label="&lt;done&gt;"' in ui.icon("check", "<done>")


def test_time_is_utc_for_machines_and_people_without_scripts() -> None:
    moment = datetime(2026, 3, 2, 10, 5, 9, tzinfo=timezone(timedelta(hours=2)))
    assert ui.when(moment) == (
        '<time datetime="2026-03-02T08:05:09+00:00" data-local="absolute">02 Mar 2026, 08:05 UTC</time>'
    )
    assert 'data-local="relative"' in ui.when(datetime.now(UTC), "relative")


def test_no_time_is_said_in_words() -> None:
    assert "never" in ui.when(None)
    assert "soon" in ui.when(None, "absolute", "soon")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, "–"),
        (0, "< 0.01 s"),
        (0.04, "0.04 s"),
        (1.25, "1.2 s"),
        (12.4, "12 s"),
        (59.6, "1 min"),
        (185, "3 min 5 s"),
        (3600, "1 h"),
        (3725, "1 h 2 min"),
        (90_000, "25 h"),
    ],
)
def test_duration_is_written_as_people_say_it(seconds: float | None, words: str) -> None:
    assert ui.duration(seconds) == words


def test_breakable_text_is_escaped_and_wraps_after_separators() -> None:
    assert ui.breakable("a/b_c.d:<i>") == "a/<wbr>b_<wbr>c.<wbr>d:<wbr>&lt;i&gt;"


def test_prose_joins_lines_and_shows_literals_as_code() -> None:
    assert ui.prose("One\nline ``a < b``.\n\nTwo.") == "<p>One line <code>a &lt; b</code>.</p><p>Two.</p>"
    assert ui.prose("") == ""


def test_tags_need_no_load() -> None:
    assert "<use href=" in Template('{% icon "check" %}').render(Context())


def test_no_page_has_an_empty_list_of_where_one_is() -> None:
    """Screen readers list it among the landmarks: it has entries, or isn't there."""
    templates = Path(settings.BASE_DIR) / "templates"
    pages = {path: path.read_text() for path in templates.rglob("*.html")}
    for path, text in pages.items():
        if '{% extends "base.html" %}' in text:
            assert ("block breadcrumb %}" in text) != ("block breadcrumb_nav %}" in text), path

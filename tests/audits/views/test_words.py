"""Everything that the engine can say has words for people."""

import pytest

from audits.engine.findings import Annotation, ProblemKind, Severity, Zone
from audits.engine.rules import RULES
from audits.templatetags import audit_words as words


def test_every_value_of_the_engine_is_explained() -> None:
    assert set(words.SEVERITIES) == set(Severity)
    assert set(words.ZONES) == set(Zone)
    assert set(words.ANNOTATIONS) == set(Annotation)
    assert set(words.PROBLEMS) == set(ProblemKind)
    assert all(words.rule_summary(rule) for rule in RULES)


def test_values_of_another_version_are_shown_as_they_are() -> None:
    assert words.zone_words("moon") == "moon"
    assert words.severity_words("P9") == ""
    assert words.annotation_name("odd") == "odd"
    assert words.annotation_words("odd") == ""
    assert words.problem_name("odd") == "odd"
    assert words.problem_words("odd") == ""
    assert words.rule_summary("odd") == words.rule_description("odd") == ""


@pytest.mark.parametrize(
    ("subject", "where", "name"),
    [
        ("app.core.ids.IDType.RUN", "app.core.ids", "IDType.RUN"),
        ("app.registry", "app", "registry"),
        ("app.core.registry.lookup", "app.core.registry", "lookup"),
        ("IDType.RUN", "", "IDType.RUN"),
        ("alone", "", "alone"),
        ("", "", ""),
        ("a/path with.dots.py", "", "a/path with.dots.py"),
    ],
)
def test_subject_is_split_where_the_name_begins(subject: str, where: str, name: str) -> None:
    parts = words.subject_parts(subject)
    assert parts["where"] == where
    assert parts["name"] == name

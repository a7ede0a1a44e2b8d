"""The rule deprecated-symbol: what is left of a migration."""

from tests.audits.engine.harness import findings_of, found

POLICY = """
version = 1
[[deprecated]]
old = "app.old.Thing"
new = "app.new.Thing"
deadline = 2026-12-31
[[deprecated]]
old = "app.gone"
allow = ["app/bridge.py"]
"""
TREE = {
    "app/__init__.py": "",
    "app/old.py": "class Thing: pass\nThing()\n",
    "app/new.py": "class Thing: pass\n",
    "app/api.py": "from app.old import Thing\n",
}


def lines(source: str) -> list[str]:
    seen = found({**TREE, "app/use.py": source}, "deprecated-symbol", policy=POLICY)
    return [
        f"{place.split(':')[1]} {subject}" for _, place, subject, _ in seen if place.startswith("app/use.py")
    ]


def test_imports_count_and_what_follows_from_them_does_not() -> None:
    assert lines("from app.old import Thing\nThing()\nThing.x") == ["1 app.old.Thing"]


def test_references_through_a_module_count() -> None:
    assert lines("import app.old\napp.old.Thing()\nfrom app import old\nold.Thing") == [
        "2 app.old.Thing",
        "4 app.old.Thing",
    ]


def test_a_re_export_is_the_old_symbol_too() -> None:
    assert lines("from app.api import Thing\n") == ["1 app.old.Thing"]
    assert [s[1] for s in found(TREE, "deprecated-symbol", policy=POLICY)] == ["app/api.py:1"]


def test_a_module_that_is_gone_is_still_named() -> None:
    assert lines("from app.gone import a, b\nimport app.gone.part\n") == [
        "1 app.gone",
        "1 app.gone",
        "2 app.gone",
    ]


def test_the_new_symbol_and_allowed_paths_are_no_findings() -> None:
    assert lines("from app.new import Thing\nThing()") == []
    assert (
        found(
            {**TREE, "app/bridge.py": "import app.gone\n", "app/api.py": ""},
            "deprecated-symbol",
            policy=POLICY,
        )
        == []
    )


def test_message_and_hint_say_until_when_and_what_instead() -> None:
    tree = {**TREE, "app/api.py": "from app.old import Thing\n"}
    (finding,) = findings_of(tree, "deprecated-symbol", policy=POLICY)
    assert finding.message == "app.old.Thing is deprecated (to be gone by 2026-12-31)"
    assert finding.hint == "Use app.new.Thing."

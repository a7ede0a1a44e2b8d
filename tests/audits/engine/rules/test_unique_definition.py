"""The rule unique-definition: one owner, and whatever else bears its name."""

from tests.audits.engine.harness import findings_of, found

POLICY = """
version = 1
[[unique]]
symbol = "app.ids.Manager"
[[unique]]
symbol = "app.ids.new_id"
kinds = ["function"]
allow = ["scripts/**"]
"""
OWNER = {"app/__init__.py": "", "app/ids.py": "class Manager: pass\ndef new_id(): pass\n"}


def seen(files: dict[str, str]) -> list[str]:
    return [
        f"{place} {subject}"
        for _, place, subject, _ in found({**OWNER, **files}, "unique-definition", policy=POLICY)
    ]


def test_another_class_function_or_value_of_the_name_is_found() -> None:
    assert seen(
        {"a.py": "class Manager: pass\n", "b.py": "def Manager(): pass\n", "c.py": "Manager = make()\n"}
    ) == [
        "a.py:1 app.ids.Manager",
        "b.py:1 app.ids.Manager",
        "c.py:1 app.ids.Manager",
    ]


def test_re_exports_aliases_and_inner_classes_are_no_definitions() -> None:
    files = {
        "a.py": "from app.ids import Manager\n",
        "b.py": "import app.ids\nManager = app.ids.Manager\n",
        "c.py": "class A:\n    class Manager: pass\n    def new_id(self): pass\n",
    }
    assert seen(files) == []


def test_kinds_and_allowed_paths_limit_what_counts() -> None:
    assert seen({"a.py": "new_id = 3 + 4\n", "scripts/b.py": "def new_id(): pass\n"}) == []
    assert seen({"a.py": "def new_id(): pass\n"}) == ["a.py:1 app.ids.new_id"]


def test_a_finding_names_the_canonical_place() -> None:
    (finding,) = findings_of(
        {**OWNER, "a.py": "\n\nclass Manager: pass\n"}, "unique-definition", policy=POLICY
    )
    assert finding.definition is not None
    assert (finding.definition.path, finding.definition.line) == ("app/ids.py", 1)
    assert (finding.message, finding.hint) == ("another class Manager", "Import Manager from app.ids.")


def test_an_owner_that_the_tree_lacks_is_said() -> None:
    (finding,) = findings_of({"a.py": "class Manager: pass\n"}, "unique-definition", policy=POLICY)
    assert finding.hint == "The policy names app.ids.Manager, which this tree doesn't define."

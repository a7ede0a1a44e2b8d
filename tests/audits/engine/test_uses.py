"""Uses of registered enums: each place that names a member, by resolved names, and nothing else."""

from audits.engine.findings import Use
from audits.engine.uses import uses
from tests.audits.engine.harness import codebase_of

POLICY = 'version = 1\n[[registry]]\nenum = "app.ids.IDType"\n'
TREE = {
    "app/__init__.py": "from app.ids import IDType as Kind\n",
    "app/ids.py": "import enum\nclass IDType(enum.Enum):\n    USER = 'user'\n    WEB_HOOK = 'web-hook'\n    N = 1\n",
    "app/other.py": "import enum\nclass IDType(enum.Enum):\n    USER = 'user'\nIDType.USER\n",
    "app/work.py": """
        import app
        from app import Kind, ids
        def run(user):
            # IDType.USER
            return "IDType.USER", Kind.USER, ids.IDType["USER"].value
        class Job:
            kind = app.Kind.WEB_HOOK
            def check(self):
                return Kind.N, Kind.GONE, self.USER
    """,
    "tests/test_work.py": "from app.ids import IDType\nassert IDType.USER.name == 'USER'\n",
}


def places(found: tuple[Use, ...]) -> list[tuple[str, str, str, bool]]:
    return [(u.value, f"{u.path}:{u.line}", u.scope, u.is_definition) for u in found]


def test_each_place_that_names_or_defines_a_member_is_found() -> None:
    found = uses(codebase_of(TREE, POLICY))
    assert places(found) == [
        ("user", "app/ids.py:3", "", True),
        ("user", "app/work.py:6", "run", False),
        ("user", "app/work.py:6", "run", False),
        ("user", "tests/test_work.py:2", "", False),
        ("web-hook", "app/ids.py:4", "", True),
        ("web-hook", "app/work.py:8", "Job", False),
    ]
    assert {(u.enum, u.zone.value) for u in found} == {("app.ids.IDType", "prod"), ("app.ids.IDType", "test")}


def test_without_an_enum_in_the_policy_nothing_is_looked_for() -> None:
    assert uses(codebase_of(TREE)) == ()

"""The rule forbidden-reference: uses found by what they mean, not by how they are spelled."""

import pytest

from tests.audits.engine.harness import findings_of, found

POLICY = """
version = 1
[[forbidden]]
symbol = "uuid.uuid4"
instead = "app.ids.new_id"
allow = ["app/ids.py"]
[[forbidden]]
symbol = "os.environ"
zones = ["prod"]
[[forbidden]]
symbol = "builtins.print"
[[forbidden]]
symbol = "app.legacy.make"
[[forbidden]]
symbol = "requests"
"""


def lines(source: str, files: dict[str, str] | None = None) -> list[str]:
    """``line subject`` of each finding in app/use.py."""
    tree = {"app/__init__.py": "", "app/use.py": source, **(files or {})}
    seen = found(tree, "forbidden-reference", policy=POLICY)
    return [
        f"{place.split(':')[1]} {subject}" for _, place, subject, _ in seen if place.startswith("app/use.py")
    ]


@pytest.mark.parametrize(
    "source",
    [
        "import uuid\nuuid.uuid4()",
        "import uuid as u\nu.uuid4()",
        "from uuid import uuid4\nuuid4()",
        "from uuid import uuid4 as new\nnew()",
        "from uuid import *\nuuid4()",
        "import uuid\nmake = uuid.uuid4",
        "from uuid import uuid4\nfield(default_factory=uuid4)",
        "import uuid\nuuid.uuid4().hex",
    ],
)
def test_each_spelling_of_a_use_is_one_finding(source: str) -> None:
    assert lines(source) == ["2 uuid.uuid4"]


def test_an_alias_carries_the_symbol_on() -> None:
    assert lines("import uuid\nmake = uuid.uuid4\nmake()") == ["2 uuid.uuid4", "3 uuid.uuid4"]


def test_what_lies_beneath_counts_once() -> None:
    assert lines("import os\nos.environ.get('A')\nos.environ['B']\nos.getenv('C')") == [
        "2 os.environ",
        "3 os.environ",
    ]
    assert lines("import requests\nrequests.get('x')\nfrom requests import post\npost()") == [
        "2 requests",
        "4 requests",
    ]


def test_an_import_counts_where_nothing_uses_it() -> None:
    assert lines("from uuid import uuid4\n") == ["1 uuid.uuid4"]
    assert lines("import uuid\n") == []


def test_uses_through_a_first_party_shim_are_found() -> None:
    shim = {"app/shim.py": "from uuid import uuid4 as fresh\n", "app/star.py": "from app.shim import *\n"}
    assert lines("from app.shim import fresh\nfresh()", shim) == ["2 uuid.uuid4"]
    assert lines("from app import star\nstar.fresh()", shim) == ["2 uuid.uuid4"]


def test_first_party_functions_are_found_by_all_their_names() -> None:
    files = {"app/legacy.py": "def make(): pass\n", "app/api.py": "from app.legacy import make\n"}
    assert lines("from app.api import make\nmake()", files) == ["2 app.legacy.make"]
    assert lines("import app.legacy\napp.legacy.make()", files) == ["2 app.legacy.make"]


def test_builtins_are_found_unless_something_else_has_the_name() -> None:
    assert lines("print(1)\ndef f(print): print()") == ["1 builtins.print"]


def test_something_else_of_the_same_name_is_no_use() -> None:
    assert (
        lines("from app.own import uuid4\nuuid4()\nself.uuid4()", {"app/own.py": "def uuid4(): pass\n"}) == []
    )
    assert lines("def f(uuid): uuid.uuid4()\n'uuid.uuid4()'  # uuid.uuid4()") == []


def test_fallbacks_are_possible() -> None:
    source = "try:\n    from fast import uuid4\nexcept ImportError:\n    from uuid import uuid4\nuuid4()\n"
    (finding,) = findings_of({"app.py": source}, "forbidden-reference", policy=POLICY)
    assert (finding.line, finding.annotations) == (5, ("import_time", "possible"))


def test_allowed_paths_and_other_zones_are_left_alone() -> None:
    tree = {
        "app/__init__.py": "",
        "app/ids.py": "import uuid\nuuid.uuid4()\n",
        "tests/test_a.py": "import os\nos.environ\n",
    }
    assert found(tree, "forbidden-reference", policy=POLICY) == []


def test_the_hint_names_what_to_use_instead() -> None:
    (finding,) = findings_of({"a.py": "import uuid\nuuid.uuid4()\n"}, "forbidden-reference", policy=POLICY)
    assert (finding.message, finding.hint) == ("uuid.uuid4 is used here", "Use app.ids.new_id instead.")

"""A policy to begin with: what a tree shows of owners, as a text that is a policy."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audits.engine.policy import parse_policy
from audits.engine.suggestions import Suggestion, suggest
from tests.audits.engine.harness import codebase_of

MANY = range(25)


def suggestion(files: dict[str, str]) -> Suggestion:
    return suggest(codebase_of(files))


def with_doubtful(text: str) -> str:
    return re.sub(r"(?m)^#: ", "", text)


def test_a_definition_that_nearly_all_import_is_canonical_where_it_has_a_rival() -> None:
    files = {
        "app/__init__.py": "",
        "app/ids.py": "class IDManager:\n    pass\n",
        "app/old.py": "class IDManager:\n    pass\n\n\nclass Rare:\n    pass\n",
        "app/other.py": "class Rare:\n    pass\n",
        **{f"app/use{n}.py": "from app.ids import IDManager\n" for n in MANY},
    }
    found = suggestion(files)
    (entry,) = parse_policy(found.text).unique
    assert (entry.symbol, entry.kinds) == ("app.ids.IDManager", ("class",))
    assert "25 files import it" in found.text
    assert "Defined again in app/old.py" in found.text


def test_what_is_imported_through_a_re_export_counts_for_its_definition() -> None:
    files = {
        "app/__init__.py": "from app.core import IDManager\n",
        "app/core.py": "class IDManager:\n    pass\n",
        "app/old.py": "class IDManager:\n    pass\n",
        **{f"app/use{n}.py": "from app import IDManager\n" for n in MANY},
    }
    assert parse_policy(suggestion(files).text).unique[0].symbol == "app.core.IDManager"


def test_a_widely_used_enum_is_canonical_without_a_rival() -> None:
    files = {
        "app/__init__.py": "",
        "app/ids.py": "import enum\n\n\nclass IDType(enum.Enum):\n    USER = 1\n\n\nclass Plain:\n    pass\n",
        **{f"app/use{n}.py": "from app.ids import IDType, Plain\n" for n in MANY},
    }
    found = suggestion(files)
    assert [entry.symbol for entry in parse_policy(found.text).unique] == ["app.ids.IDType"]
    assert parse_policy(with_doubtful(found.text)).registry[0].enum == "app.ids.IDType"


def test_a_service_that_one_module_does_for_all_is_forbidden_elsewhere() -> None:
    files = {
        "app/__init__.py": "",
        "app/config.py": "import os\n" + "".join(f"A{n} = os.environ['A{n}']\n" for n in range(6)),
        "app/stray.py": "from os import environ as e\nX = e['X']\n",
        "tests/test_it.py": "import os\n" + "os.environ['A']\n" * 50,
    }
    found = suggestion(files)
    (entry,) = parse_policy(found.text).forbidden
    assert (entry.symbol, entry.allow, entry.instead) == ("os.environ", ("app/config.py",), "app.config")
    assert "in 7 places; 6 of them in app/config.py" in found.text
    assert "The other 1 would be findings: app/stray.py." in found.text


def test_a_family_has_the_one_that_is_imported_as_owner_and_its_kin_beside_it() -> None:
    names = ("UserRunEngine", "FastRunEngine", "SlowRunEngine", "TinyRunEngine")
    files = {
        "app/__init__.py": "",
        **{f"app/{name.lower()}.py": f"class {name}:\n    pass\n" for name in names},
        "app/kin.py": (
            "from app.userrunengine import UserRunEngine\n\n\nclass KinRunEngine(UserRunEngine):\n    pass\n"
        ),
        **{f"app/use{n}.py": "from app.userrunengine import UserRunEngine\n" for n in MANY},
    }
    (family,) = parse_policy(suggestion(files).text).family
    assert family.pattern == ".*RunEngine"
    assert family.owners == ("app.userrunengine.UserRunEngine", "app.kin.KinRunEngine")


def test_classes_of_one_hierarchy_are_no_family_to_mend() -> None:
    files = {
        "app/__init__.py": "",
        "app/base.py": "class BaseRunEngine:\n    pass\n",
        **{
            f"app/e{n}.py": f"from app.base import BaseRunEngine\n\n\nclass E{n}RunEngine(BaseRunEngine):\n    pass\n"
            for n in MANY
        },
    }
    assert "family" not in with_doubtful(suggestion(files).text)


def test_a_tree_without_owners_gives_a_text_that_says_so() -> None:
    found = suggestion({"a.py": "x = 1\n"})
    assert (found.ready, found.doubtful) == (0, 0)
    assert "Nothing here has an owner" in found.text
    parse_policy(found.text)


def test_what_a_policy_cannot_name_is_left_out() -> None:
    files = {
        'my-"app/ids.py': "class IDManager:\n    pass\n",
        "old.py": "class IDManager:\n    pass\n",
        'my-"app/config.py': "import os\n" + "".join(f"A{n} = os.environ['A{n}']\n" for n in range(6)),
        "stray.py": "import os\nos.environ['X']\n",
        **{f'my-"app/use{n}.py': "from ids import IDManager\n" for n in MANY},
    }
    found = suggestion(files)
    parse_policy(found.text)
    parse_policy(with_doubtful(found.text))


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(
        st.text(
            st.characters(blacklist_characters="/\0", blacklist_categories=["Cs"]), min_size=1, max_size=8
        ),
        st.just(None),
        min_size=1,
        max_size=3,
    )
)
@pytest.mark.parametrize("folder", ["", "vendor/"])
def test_every_text_is_a_policy_whatever_the_paths_are(folder: str, names: dict[str, None]) -> None:
    paths = sorted({f"{folder}{name}/config.py" for name in names} | {f"{folder}b.py"})
    use = "import os\nos.environ['A']\n"
    text = suggest(codebase_of({path: use * (1 if n else 6) for n, path in enumerate(paths)})).text
    parse_policy(text)
    parse_policy(with_doubtful(text))

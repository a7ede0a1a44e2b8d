"""Names of symbols where the text goes round in circles."""

import pytest

from tests.audits.engine.harness import found

POLICY = 'version = 1\n[[forbidden]]\nsymbol = "uuid.uuid4"\n'


def test_an_alias_of_itself_in_a_loop_ends() -> None:
    source = """
        import uuid
        make = uuid
        while make:
            print(make.uuid4)
            make = make.parent
        """
    assert ("forbidden-reference", "a.py:5", "uuid.uuid4", "import_time possible") in found(
        {"a.py": source}, "forbidden-reference", policy=POLICY
    )


def test_uses_are_found_behind_any_number_of_other_names() -> None:
    """Files that don't name a symbol are only looked at where they name something that leads to it."""
    tree = {
        "a.py": "from uuid import uuid4 as fresh\n",
        "b.py": "from a import fresh\ndef make():\n    other = fresh\n    return other()\n",
        "c.py": "import b\nclass Ids:\n    new = b.fresh\nbuild = Ids.new\n",
        "d.py": "from c import *\nbuild()\n",
        "e.py": "from c import build as nothing_like_it\nnothing_like_it()\n",
        "f.py": "fresh = print\nfresh()\n",
    }
    seen = [place for _, place, _, _ in found(tree, "forbidden-reference", policy=POLICY)]
    assert seen == ["a.py:1", "b.py:3", "b.py:4", "c.py:3", "d.py:2", "e.py:2"]


@pytest.mark.parametrize(
    ("symbol", "source"),
    [
        ("pkg.old", "from pkg.api import helper\nhelper()\n"),  # brought by a star
        ("pkg.old", "from pkg.old import deep\ndeep.x()\n"),
        ("pkg.old.deep", "from pkg.old.deep import x\nx()\n"),
        ("scripts", "import lone\nlone.run()\n"),  # seen from beside it, its name lacks the folder's
        ("json", "from stars import loads\nloads('1')\n"),
        ("pkg.kinds.Kind", "from pkg.kinds import Kind as K\nK.RED\n"),
        ("builtins", "print(1)\nprint(2)\n"),
    ],
)
def test_uses_of_what_the_tree_itself_defines_need_not_name_it(symbol: str, source: str) -> None:
    tree = {
        "pkg/__init__.py": "",
        "pkg/old/__init__.py": "from . import deep\ndef helper(): pass\n",
        "pkg/old/deep.py": "def x(): pass\n",
        "pkg/api.py": "from pkg.old import *\n",
        "pkg/kinds.py": "class Kind:\n    RED = 1\n",
        "scripts/lone.py": "def run(): pass\n",
        "scripts/use.py": source,
        "stars.py": "from json import *\n",
        "scripts/stars.py": "from json import *\n",
    }
    policy = f'version = 1\n[[forbidden]]\nsymbol = "{symbol}"\n'
    assert "scripts/use.py:2" in [p for _, p, _, _ in found(tree, "forbidden-reference", policy=policy)]

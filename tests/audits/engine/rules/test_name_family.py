"""The rule name-family: forty names for one responsibility."""

import pytest

from audits.engine.policy import PolicyError, parse_policy
from tests.audits.engine.harness import found

POLICY = """
version = 1
[[family]]
name = "execution engines"
pattern = '.*ExecutionEngine(?:Factory)?'
owners = ["app.engine.UserExecutionEngine"]
allow = ["archive/**"]
"""


def test_classes_of_the_family_outside_its_owners_are_found() -> None:
    tree = {
        "app/__init__.py": "",
        "app/engine.py": "class UserExecutionEngine: pass\n",
        "app/other.py": "class FastExecutionEngine:\n    class ExecutionEngineFactory: pass\nclass Engines: pass\n",
        "app/copy.py": "class UserExecutionEngine: pass\n",
        "archive/a.py": "class OldExecutionEngine: pass\n",
        "app/use.py": "from app.engine import UserExecutionEngine\nMyExecutionEngine = UserExecutionEngine\n",
    }
    assert [(place, subject) for _, place, subject, _ in found(tree, "name-family", policy=POLICY)] == [
        ("app/copy.py:1", "execution engines: UserExecutionEngine"),
        ("app/other.py:1", "execution engines: FastExecutionEngine"),
        ("app/other.py:2", "execution engines: ExecutionEngineFactory"),
    ]


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|a)*b", "a{1,9}", "(?=x)y", ".*.*.*.*", "[", "", r"(.)\\1"])
def test_patterns_that_could_hang_or_mean_nothing_are_refused_with_their_line(pattern: str) -> None:
    text = f"version = 1\n[[family]]\nname = 'x'\npattern = '{pattern}'\nowners = []\n"
    with pytest.raises(PolicyError, match=r"line 4: pattern: .* no usable pattern"):
        parse_policy(text)

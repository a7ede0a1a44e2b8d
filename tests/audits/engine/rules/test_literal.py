"""The rule literal: values written out beside their owner."""

import pytest

from audits.engine.policy import PolicyError, parse_policy
from tests.audits.engine.harness import found

POLICY = """
version = 1
[[literal]]
value = "https://api.example/v1"
owner = "app.constants.API"
zones = ["prod"]
[[literal]]
value = 8081
owner = "app.constants.PORT"
"""


def test_values_outside_of_their_owner_are_found() -> None:
    tree = {
        "app/__init__.py": "",
        "app/constants.py": "API = 'https://api.example/v1'\nPORT = 8081\nOTHER = 8081\n",
        "app/use.py": "'''https://api.example/v1'''\nget('https://api.example/v1', 'https://api.example/v1/x', 8081)\n",
        "tests/test_a.py": "get('https://api.example/v1')\n",
    }
    assert [(place, subject) for _, place, subject, _ in found(tree, "literal", policy=POLICY)] == [
        ("app/constants.py:3", "app.constants.PORT = 8081"),
        ("app/use.py:2", "app.constants.API = 'https://api.example/v1'"),
        ("app/use.py:2", "app.constants.PORT = 8081"),
    ]


@pytest.mark.parametrize("value", ['"ab"', '"two words"', "99", "-5", '""', "9223372036854775808"])
def test_values_that_facts_do_not_hold_are_refused(value: str) -> None:
    with pytest.raises(PolicyError, match=r"line 3: value: expected|Integer value out of range|int"):
        parse_policy(f"version = 1\n[[literal]]\nvalue = {value}\nowner = 'a.b'\n")

"""How far moves from deprecated symbols to new ones have come."""

import json

import pytest

from audits.engine.findings import Move, Report, Zone
from audits.engine.moves import moves
from audits.engine.report import as_json, as_text
from tests.audits.engine.harness import codebase_of, findings_of

POLICY = """
version = 1
[[deprecated]]
old = "shop.old_log"
new = "shop.logs"
allow = ["shop/compat/**"]
[[deprecated]]
old = "shop.never"
"""
TREE = {
    "shop/__init__.py": "",
    "shop/old_log.py": "def get_logger(name): ...\nroot = get_logger('')\n",
    "shop/logs.py": "def logger_for(name): ...\n",
    "shop/shim.py": "from shop.logs import logger_for\n",
    "shop/compat/a.py": "import shop.old_log\n",
    "shop/orders.py": "from shop.old_log import get_logger\n\nget_logger('a')\nget_logger('b')\n",
    "shop/users.py": "import shop.logs as logs\n\nlogs.logger_for('a')\nlogs.logger_for('b')\n",
    "tests/test_a.py": "from shop.shim import logger_for\nfrom shop import old_log\n# shop.old_log\n",
}


def test_both_sides_are_counted_by_folder_through_shims() -> None:
    assert moves(codebase_of(TREE, POLICY)) == (
        Move("shop.old_log", "shop.logs", Zone.PROD, "shop/", 1, 2),
        Move("shop.old_log", "shop.logs", Zone.TEST, "tests/", 1, 1),
    )


def test_what_is_left_is_what_the_rule_finds() -> None:
    findings = findings_of(TREE, "deprecated-symbol", policy=POLICY)
    assert sum(move.old_uses for move in moves(codebase_of(TREE, POLICY))) == len(findings)


@pytest.mark.parametrize("policy", ["", 'version = 1\n[[deprecated]]\nold = "shop.old_log"\n'])
def test_without_a_new_symbol_there_is_no_move(policy: str) -> None:
    assert moves(codebase_of(TREE, policy)) == ()


def test_reports_say_how_far_a_move_is() -> None:
    found = moves(codebase_of(TREE, POLICY))
    bare = Report(commit="c", engine="e", policy="p", read=8, parsed=8, findings=(), problems=())
    report = Report(
        commit="c", engine="e", policy="p", read=8, parsed=8, findings=(), problems=(), moves=found
    )
    (value,) = json.loads(as_json(report))["moves"]
    assert (value["old"], value["new"]) == ("shop.old_log", "shop.logs")
    assert (value["old_uses"], value["new_uses"]) == (2, 3)
    assert value["folders"][1] == {"folder": "tests/", "zone": "test", "old_uses": 1, "new_uses": 1}
    assert "move from shop.old_log to shop.logs: 2 uses left, 3 of the new one" in as_text(report)
    assert "moves" not in json.loads(as_json(bare))

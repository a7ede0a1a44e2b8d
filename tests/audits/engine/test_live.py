"""An audit that follows a tree says at each change of it what a full audit says."""

from collections.abc import Mapping, Sequence
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audits.engine.codebase import Codebase
from audits.engine.extraction import extract
from audits.engine.facts import Facts
from audits.engine.findings import Finding, Place, numbered
from audits.engine.listing import is_text
from audits.engine.live import LiveAudit, TreeChange
from audits.engine.modules import Tree
from audits.engine.policy import parse_policy
from audits.engine.rules import RULES
from tests.audits.engine.edits import BASE, EDIT, KIND, PATHS, REACHES, SOURCES, edited

POLICY = """
version = 1
[[unique]]
symbol = "pkg.a.Kind"
[[forbidden]]
symbol = "pkg.a.lost"
[[deprecated]]
old = "pkg.b"
[[base]]
base = "pkg.a.Kind"
classes = "Mine"
paths = ["**"]
"""
# The contents of a file that can't be looked at.
UNREADABLE = "unreadable"

extracted = cache(extract)  # of the few texts, each once


class Following:
    """A tree that a test changes, followed by an audit; its findings must be those of a full one, hints apart."""

    def __init__(self, policy: str = "", rules: Sequence[str] = tuple(RULES)) -> None:
        self._policy = parse_policy(policy)
        self._rules = [RULES[name] for name in rules]
        self._live = LiveAudit(self._policy, self._rules)
        self._files: Mapping[str, str] = {}
        # The paths that were judged again at the last change.
        self.judged: set[str] = set()

    def go(self, files: Mapping[str, str]) -> list[Finding]:
        """Changes the tree to these files; answers what is found in it."""
        before, self._files = self._files, files
        facts: dict[str, Facts | None] = {}
        texts: dict[str, str | None] = {}
        for path in before.keys() | files.keys():
            text = files.get(path)
            if before.get(path) == text:
                continue
            if path.endswith(".py"):
                facts[path] = _facts(text)
            elif is_text(path):
                texts[path] = text
        added, removed = frozenset(files.keys() - before.keys()), frozenset(before.keys() - files.keys())
        self.judged = self._live.change(TreeChange(added, removed, facts, texts))
        found = [finding for findings in self._live.findings.values() for finding in findings]
        found.sort(key=lambda finding: finding.order)
        assert tuple(found) == self._by_full_audit()
        return found

    def _by_full_audit(self) -> tuple[Finding, ...]:
        facts = {path: _facts(text) for path, text in self._files.items() if path.endswith(".py")}
        texts = {path: text for path, text in self._files.items() if is_text(path)}
        known = {path: found for path, found in sorted(facts.items()) if found is not None}
        codebase = Codebase(Tree(known, frozenset(self._files), texts), self._policy)
        codebase.gives_hints = False
        return numbered([finding for rule in self._rules for finding in rule.check(codebase)])


def _facts(text: str | None) -> Facts | None:
    return extracted(text.encode()) if text not in {None, UNREADABLE} else None


@pytest.mark.parametrize("kind", REACHES)
def test_whatever_reaches_a_file_has_it_judged_again(kind: str) -> None:
    before, coming = REACHES[kind]
    following = Following()
    found = [following.go(files) for files in (before, before | coming, before)]
    assert found[0] != found[1]
    assert found[2] == found[0]


@pytest.mark.parametrize("above", ["class Above: pass\n", "class Above:\n    class Kind: pass\n"])
def test_a_class_above_another_one_reaches_nobody_who_uses_that(above: str) -> None:
    following = Following()
    files = {"kinds.py": KIND, "use.py": "from kinds import Kind\nKind.RED, Kind['BLUE']\n"}
    following.go(files)
    following.go(files | {"kinds.py": above + KIND})
    assert following.judged == {"kinds.py"}


def test_a_file_is_not_judged_again_where_its_imports_come_out_as_before() -> None:
    following = Following()
    files = {"kinds.py": KIND, "use.py": "from kinds import Kind\n"}
    following.go(files)
    following.go(files | {"kinds.py": "Kind = 1\n"})
    assert following.judged == {"kinds.py"}
    assert following.go(files | {"kinds.py": ""})
    assert following.judged == {"kinds.py", "use.py"}


def test_what_was_imported_from_outside_and_is_ours_now_is_judged() -> None:
    following = Following()
    files = {"use.py": "from kinds import Kind\nKind.GREEN\n"}
    assert not following.go(files)
    assert following.go(files | {"kinds.py": KIND})
    assert not following.go(files)


def test_a_canonical_definition_that_moves_is_named_where_it_stands() -> None:
    following = Following('version = 1\n[[unique]]\nsymbol = "kinds.Kind"\n')
    other = {"other.py": "class Kind: pass\n"}
    (finding,) = following.go(other)
    assert finding.definition is None
    for before in ("", "\n\n"):
        (finding,) = following.go(other | {"kinds.py": before + KIND})
        assert finding.definition == Place("kinds.py", 2 + len(before))


def test_what_a_module_in_a_new_package_imports_is_another_one_for_others_too() -> None:
    following = Following('version = 1\nsource_roots = ["app"]\n')
    files = {
        "two.py": KIND + "    GREEN = 3\n",
        "app/two.py": KIND,
        "app/one.py": "from two import Kind\n",
        "use.py": "import two\nfrom app.one import Kind\ntwo.Kind, Kind.GREEN\n",
    }
    assert following.go(files)
    assert not following.go(files | {"app/__init__.py": ""})
    assert following.go(files)


def test_what_a_file_sets_for_itself_counts_for_what_is_set_on_now() -> None:
    """Also where no rule asked what its imports bring."""
    following = Following(rules=["missing-member"])
    files = {
        "kinds.py": KIND,
        "one.py": "from kinds import Kind as One\n",
        "two.py": "from kinds import Kind as Two\n",
        "tests/test_it.py": "from one import One\nimport two\nOne.GREEN = 3\ntwo.Two.GREEN\n",
    }
    assert not following.go(files)
    assert following.go(files | {"one.py": "One = 1\n"})
    assert not following.go(files)


@pytest.mark.parametrize(
    "text",
    [
        KIND + "try:\n    from pkg.a import Kind\nexcept ImportError:\n    from pkg.b import Kind\n",
        "try:\n    from pkg.a import Kind\nexcept ImportError:\n    from pkg.b import Kind\n",
        "from pkg.b import Kind\nif x:\n    class Kind: pass\nclass Mine(Kind): pass\n",
    ],
    ids=["beside a class", "alone", "under a class"],
)
def test_names_that_lead_round_in_a_circle_mean_the_same_whoever_asks_first(text: str) -> None:
    following = Following(POLICY)
    files = {"pkg/__init__.py": "", "pkg/a.py": "", "use.py": "from pkg.a import Kind\n"}
    following.go(files)
    circle = files | {"pkg/a.py": text, "pkg/b.py": "from pkg.a import *\n"}
    following.go(circle)
    following.go(circle | {"use.py": "import pkg.a\nsetattr(pkg.a.Kind, str(1), 2)\n"})
    following.go(circle)


@pytest.mark.long
@settings(max_examples=100)
@given(
    files=st.dictionaries(st.sampled_from(PATHS), st.sampled_from((*SOURCES, UNREADABLE)), max_size=4),
    steps=st.lists(st.lists(EDIT, min_size=1, max_size=3), min_size=1, max_size=8),
    roots=st.sampled_from(["", 'source_roots = ["lib"]']),
)
def test_after_any_edits_it_says_what_a_full_audit_says(
    files: dict[str, str], steps: list[list[tuple[str, str | None]]], roots: str
) -> None:
    following = Following(POLICY.replace("version = 1", f"version = 1\n{roots}"))
    files = BASE | files
    following.go(files)
    for edits in steps:
        files = edited(files, edits)
        following.go(files)

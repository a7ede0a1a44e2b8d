"""A guide to each rule: an example that can be run, how it looks when it is mended, and the cases at its edges.

What an example finds is never written down: whoever shows it runs the rule on it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from audits.engine.codebase import Codebase
from audits.engine.extraction import extract
from audits.engine.findings import Finding, numbered
from audits.engine.guide_texts import CASES, MAIN, Case
from audits.engine.modules import Tree
from audits.engine.policy import Policy, parse_policy
from audits.engine.registry import RegisteredType, Registry
from audits.engine.rules import RULES, Rule

# What ID types an example of a rule about them has.
_REGISTRY = Registry((RegisteredType("user"), RegisteredType("run"), RegisteredType("batch", "retired")))


@dataclass(frozen=True, slots=True)
class Example:
    """Sources by path, the policy's tables, and what the rule finds in them. ``words`` say what it is about."""

    words: str
    files: Mapping[str, str]
    policy: str
    findings: tuple[Finding, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class Guide:
    """A rule's guide: the example, the same one mended, and the cases at the edges."""

    rule: Rule
    example: Example
    mended: Example
    cases: tuple[Example, ...]

    @property
    def needs_policy(self) -> bool:
        return bool(self.example.policy)


@lru_cache(maxsize=1)
def guides() -> Mapping[str, Guide]:
    """The guides of all rules, by name, in the order of the rules."""
    return {name: _guide(rule) for name, rule in RULES.items()}


def policy_of(example: Example) -> Policy:
    """The policy of an example."""
    return parse_policy(f"version = 1\n{example.policy}")


def _guide(rule: Rule) -> Guide:
    main = MAIN[rule.name]
    mended = Case(main.mended_words, {**main.files, **main.mended}, main.mended_policy or main.policy)
    return Guide(
        rule=rule,
        example=_run(rule, Case(main.words, main.files, main.policy)),
        mended=_run(rule, mended),
        cases=tuple(
            _run(rule, Case(case.words, case.files, case.policy or main.policy)) for case in CASES[rule.name]
        ),
    )


def _run(rule: Rule, case: Case) -> Example:
    facts = {
        path: extract(text.encode()) for path, text in sorted(case.files.items()) if path.endswith(".py")
    }
    texts = {path: text for path, text in case.files.items() if path not in facts}
    policy = parse_policy(f"version = 1\n{case.policy}")
    codebase = Codebase(Tree(facts, frozenset(case.files), texts), policy, _REGISTRY)
    return Example(case.words, case.files, case.policy, numbered(list(rule.check(codebase))))

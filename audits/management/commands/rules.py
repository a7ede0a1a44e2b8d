"""Prints what the rules say of themselves, as Markdown: the source of ``docs/rules.md``."""

from typing import Any

from django.core.management.base import BaseCommand

from audits.engine.rules import RULES, Rule

_NO_POLICY = ("missing-member", "unresolved-import", "unparseable")


_INTRODUCTION = """
Every finding carries its zone (prod, test, script, archive), a severity computed from zone and circumstances, and
annotations: `guarded` (the error would be caught), `import_time` (it happens when the module is imported),
`type_checking_only`, `possible` (only some of the things that the name can mean are wrong). An annotation never hides
a finding. Names are resolved through imports, aliases, re-exports, star imports and fallbacks in every rule."""


class Command(BaseCommand):
    help = "Print the rules and what they say of themselves, as Markdown."
    requires_system_checks: list[str] = []

    def handle(self, *_: Any, **__: Any) -> None:
        self.stdout.write("# The rules\n")
        self.stdout.write(_INTRODUCTION)
        for rule in RULES.values():
            self.stdout.write(_section(rule))


def _section(rule: Rule) -> str:
    table = "needs no policy" if rule.name in _NO_POLICY else "needs an entry in the [policy](policy.md)"
    text = rule.description.replace("``", "`")
    return f"\n## {rule.name}\n\n**{rule.summary}** This rule {table}.\n\n{text}"

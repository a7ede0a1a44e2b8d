"""Prints what the rules say of themselves, as Markdown: the source of ``docs/rules.md`` and ``docs/rules/``."""

from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand

from audits.engine.findings import Finding
from audits.engine.guides import Example, Guide, guides
from audits.engine.rules import RULES

_INTRODUCTION = """
Every finding carries its zone (prod, test, script, archive), a severity computed from zone and circumstances, and
annotations: `guarded` (the error would be caught), `import_time` (it happens when the module is imported),
`type_checking_only`, `possible` (only some of the things that the name can mean are wrong). An annotation never hides
a finding. Names are resolved through imports, aliases, re-exports, star imports and fallbacks in every rule."""

_WARNING = (
    "<!-- Written by `manage.py rules --write docs`: change the rule or audits/engine/guide_texts.py. -->"
)


class Command(BaseCommand):
    help = "Print the page about the rules, or about one of them, as Markdown."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("rule", nargs="?", choices=sorted(RULES), help="the page of this rule")
        parser.add_argument("--write", type=Path, metavar="FOLDER", help="write all pages into a folder")

    def handle(self, *_: Any, **options: Any) -> None:
        if options["write"] is not None:
            folder: Path = options["write"]
            (folder / "rules").mkdir(parents=True, exist_ok=True)
            (folder / "rules.md").write_text(index())
            for name in RULES:
                (folder / "rules" / f"{name}.md").write_text(page(name))
        else:
            self.stdout.write(page(options["rule"]) if options["rule"] else index(), ending="")


def index() -> str:
    """The page about all rules."""
    sections = (_section(guide) for guide in guides().values())
    return f"# The rules\n{_INTRODUCTION}\n{''.join(sections)}"


def page(name: str) -> str:
    """The page about one rule."""
    guide = guides()[name]
    text = guide.rule.description.replace("``", "`")
    lines = [
        f"# {name}",
        _WARNING,
        f"**{guide.rule.summary}** {_needs(guide, '../')}",
        text,
        f"## An example\n\n{_words(guide.example)}",
        *_example(guide.example, "With this policy:"),
        f"## Mended\n\n{_words(guide.mended)}",
        *_changed(guide),
        "## At the edges",
    ]
    for case in guide.cases:
        lines += [f"**{_words(case)}**", *_example(case, "With this policy:")]
    lines.append("[All rules](../rules.md)")
    return "\n\n".join(lines) + "\n"


def _section(guide: Guide) -> str:
    name, text = guide.rule.name, guide.rule.description.replace("``", "`")
    more = f"[An example, its mending and its edges](rules/{name}.md)"
    return f"\n## {name}\n\n**{guide.rule.summary}** {_needs(guide, '')}\n\n{text}\n\n{more}\n"


def _needs(guide: Guide, folder: str) -> str:
    table = f"needs an entry in the [policy]({folder}policy.md)" if guide.needs_policy else "needs no policy"
    return f"This rule {table}."


def _words(example: Example) -> str:
    return example.words.replace("``", "`")


def _example(example: Example, policy_words: str) -> Iterator[str]:
    if example.policy:
        yield f"{policy_words}\n\n```toml\n{example.policy}```"
    for path, text in example.files.items():
        if text:
            yield _file(path, text)
    yield _findings(example)


def _changed(guide: Guide) -> Iterator[str]:
    """What mending changed of the example."""
    if guide.mended.policy != guide.example.policy:
        yield f"The policy:\n\n```toml\n{guide.mended.policy}```"
    for path, text in guide.mended.files.items():
        if text != guide.example.files.get(path):
            yield _file(path, text)
    yield _findings(guide.mended)


def _file(path: str, text: str) -> str:
    language = "toml" if path.endswith(".toml") else "python"
    return f"`{path}`\n\n```{language}\n{text}```"


def _findings(example: Example) -> str:
    if not example.findings:
        return "Finds nothing."
    rows = "\n".join(_row(finding) for finding in example.findings)
    return f"Finds:\n\n| where | severity | what | |\n|---|---|---|---|\n{rows}"


def _row(finding: Finding) -> str:
    what = f"{finding.message}. {finding.hint}".replace("|", "\\|").strip()
    marks = ", ".join(f"`{annotation}`" for annotation in finding.annotations)
    return f"| `{finding.path}:{finding.line}` | {finding.severity} | {what} | {marks} |"

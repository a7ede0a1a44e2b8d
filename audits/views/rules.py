"""The rules for readers: all of them, and one with examples that are run."""

from dataclasses import dataclass

from django.http import Http404, HttpResponse
from django.views.decorators.http import require_GET

from audits.engine.findings import Finding
from audits.engine.guides import Example, Guide, guides
from audits.views.pages import HtmxHttpRequest, render_page


@dataclass(frozen=True, slots=True)
class Source:
    """A file of an example, and the lines of it that are findings."""

    path: str
    lines: list[tuple[int, str, bool]]


@dataclass(frozen=True, slots=True)
class Shown:
    """An example as a page shows it."""

    title: str
    words: str
    policy: str
    sources: list[Source]
    findings: tuple[Finding, ...]


@require_GET
def rule_list(request: HtmxHttpRequest) -> HttpResponse:
    return render_page(request, "audits/rule_list.html", {"guides": list(guides().values())})


@require_GET
def rule_detail(request: HtmxHttpRequest, rule: str) -> HttpResponse:
    guide = guides().get(rule)
    if guide is None:
        raise Http404("There is no such rule.")
    names = list(guides())
    position = names.index(rule)
    context = {
        "guide": guide,
        "rule": guide.rule,
        "examples": [_shown("An example", guide.example), _mended(guide)],
        "cases": [_shown("", case) for case in guide.cases],
        "previous": names[position - 1] if position else "",
        "next": names[position + 1] if position + 1 < len(names) else "",
    }
    return render_page(request, "audits/rule_detail.html", context)


def _shown(title: str, example: Example) -> Shown:
    return Shown(
        title=title,
        words=example.words,
        policy=example.policy,
        sources=[_source(path, text, example.findings) for path, text in example.files.items() if text],
        findings=example.findings,
    )


def _mended(guide: Guide) -> Shown:
    """Only what mending changed."""
    before, after = guide.example, guide.mended
    changed = {path: text for path, text in after.files.items() if text != before.files.get(path)}
    policy = after.policy if after.policy != before.policy else ""
    return _shown("Mended", Example(after.words, changed, policy, after.findings))


def _source(path: str, text: str, findings: tuple[Finding, ...]) -> Source:
    marked = {finding.line for finding in findings if finding.path == path}
    return Source(path, [(n, line, n in marked) for n, line in enumerate(text.splitlines(), 1)])

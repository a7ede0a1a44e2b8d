"""An issue as a document: JSON, a report in Markdown, and a tracker that ``audits.trackers`` reads back."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from audits.models import Issue, IssueNote, IssueReference, Judgement
from audits.timeline import Happening
from audits.trackers import STEPS
from audits.verdicts import Verdict

SCHEMA = 1
_COMMIT = re.compile(r"\{commit:([0-9a-f]{7,64})\}")
_TIME = re.compile(r"\{time:([0-9T:+.-]{10,40})\}")
_MARKS = {
    Verdict.UNCLAIMED: "⬜",
    Verdict.CLAIMED: "💬",
    Verdict.VERIFIED: "✅",
    Verdict.CONTRADICTED: "❌",
}


def plain(text: str) -> str:
    """Evidence's text without marks: short commit ids, times in UTC with minutes."""
    text = _COMMIT.sub(lambda match: match[1][:9], text)
    return _TIME.sub(lambda match: match[1].replace("T", " ")[:16] + " UTC", text)


def escaped(text: str) -> str:
    """Text for Markdown: nothing in it is markup, and it stays on its line."""
    return re.sub(r"([\\`*_{}\[\]<>#|])", r"\\\1", " ".join(text.split()))


def as_json(
    issue: Issue, judgements: Sequence[Judgement], happenings: Iterable[Happening], base: str
) -> dict[str, Any]:
    """``{schema, title, state, steps: [{number, name, verdict}], judgements, timeline, ...}``."""
    return {
        "schema": SCHEMA,
        "url": base + issue.get_absolute_url(),
        "repository": issue.repository.slug,
        "title": issue.title,
        "kind": issue.kind,
        "priority": f"P{issue.priority}",
        "owner": issue.owner.get_username() if issue.owner is not None else None,
        "due_on": issue.due_on,
        "state": issue.state,
        "open_places": issue.open_places,
        "contradictions": issue.contradictions,
        "judged_at": issue.judged_at,
        "summary": [plain(sentence) for sentence in issue.summary],
        "subjects": [{"rule": s.rule, "subject": s.subject} for s in issue.subjects.all()],
        "references": [
            {"kind": r.kind, "number": r.number, "url": r.url or None} for r in issue.references.all()
        ],
        "steps": [
            {"number": number, "name": name, "verdict": verdict}
            for (number, name), verdict in zip(enumerate(STEPS), _verdicts(issue), strict=True)
        ],
        "judgements": [
            {
                "step": j.step,
                "topic": j.topic,
                "verdict": j.verdict,
                "claim": j.claim or None,
                "evidence": plain(j.evidence),
                "claimed_at": j.at,
                "line": j.line,
            }
            for j in judgements
        ],
        "timeline": [_entry(happening) for happening in happenings],
    }


def _verdicts(issue: Issue) -> list[str]:
    return [*issue.verdicts, *[str(Verdict.UNCLAIMED)] * len(STEPS)][: len(STEPS)]


def _entry(happening: Happening) -> dict[str, Any]:
    return {
        "id": happening.anchor,
        "at": happening.at,
        "who": happening.who or None,
        "commit": happening.commit.sha
        if happening.commit is not None
        else (happening.version.commit_sha or None if happening.version is not None else None),
        "introduced": happening.introduced,
        "gone": happening.gone,
        "left": happening.left,
        "claims": [
            {"kind": c.kind, "step": c.step, "words": c.words, "line": c.line} for c in happening.claims
        ],
        "test_run": happening.run.pk if happening.run is not None else None,
        "note": happening.note.text if happening.note is not None else None,
        "edits": happening.edits,
    }


def as_report(
    issue: Issue, judgements: Sequence[Judgement], happenings: Iterable[Happening], base: str
) -> str:
    """What a team puts into a pull request or a mail."""
    lines = [f"# {escaped(issue.title)}", ""]
    lines += [f"{base}{issue.get_absolute_url()}", ""]
    lines += [escaped(plain(sentence)) for sentence in issue.summary]
    lines += ["", "## Steps", "", "| step | verdict | claim | evidence |", "|---|---|---|---|"]
    for (number, name), verdict in zip(enumerate(STEPS), _verdicts(issue), strict=True):
        lines.append(f"| {number} {name} | {_MARKS[Verdict(verdict)]} {verdict} | | |")
        lines += [
            f"| | {j.verdict} | {escaped(j.claim)} | {escaped(plain(j.evidence))} |"
            for j in judgements
            if j.step == number
        ]
    rest = [j for j in judgements if j.step is None]
    if rest:
        lines += [
            "",
            "## What the tracker says of itself",
            "",
            "| verdict | claim | evidence |",
            "|---|---|---|",
        ]
        lines += [f"| {j.verdict} | {escaped(j.claim)} | {escaped(plain(j.evidence))} |" for j in rest]
    lines += ["", "## Timeline (UTC)", ""]
    lines += [f"* {happening.at:%Y-%m-%d %H:%M} {_words(happening)}" for happening in happenings]
    return "\n".join(lines) + "\n"


def _words(happening: Happening) -> str:
    parts = []
    if happening.version is not None:
        steps = ", ".join(f"step {c.step} {c.words}" for c in happening.steps)
        parts.append(f"tracker{f': {steps}' if steps else ' changed'}")
    if happening.commit is not None:
        effect = f"{happening.introduced} introduced, {happening.gone} removed"
        parts.append(f"commit {happening.commit.sha[:9]} ({effect}): {escaped(happening.commit.subject)}")
    if happening.run is not None:
        parts.append(
            f"test run {escaped(happening.run.name)}: {happening.run.tests} tests, {happening.run.bad} bad"
        )
    if happening.note is not None:
        parts.append(f"{escaped(happening.who)}: {escaped(happening.note.text or happening.note.url)}")
    parts += [f"{escaped(happening.who)}: {escaped(edit)}" for edit in happening.edits]
    return "; ".join(parts)


def as_tracker(issue: Issue) -> str:
    """The issue in the form of a tracker document: header, subjects, the seven steps as far as they are claimed.

    ``audits.trackers.read`` gives the same title, priority, issue, pull requests and steps again.
    """
    numbered = issue.references.filter(kind=IssueReference.Kind.ISSUE).first()
    pulls = issue.references.filter(kind=IssueReference.Kind.PULL, number__isnull=False)
    claimed = set(issue.notes.filter(kind=IssueNote.Kind.CLAIM).values_list("step", flat=True))
    for tracker in issue.trackers.all():
        claims = tracker.versions.filter(claims__kind="step", claims__words="completed")
        claimed |= set(claims.values_list("claims__step", flat=True))
    return tracker_text(
        title=issue.title,
        priority=issue.priority,
        issue=(numbered.number, numbered.url) if numbered is not None else None,
        pulls=[pull.number for pull in pulls if pull.number is not None],
        subjects=[s.subject for s in issue.subjects.all()],
        completed=[step for step in range(len(STEPS)) if step in claimed],
    )


def tracker_text(
    *,
    title: str,
    priority: int,
    issue: tuple[int | None, str] | None,
    pulls: Sequence[int],
    subjects: Sequence[str],
    completed: Sequence[int],
) -> str:
    """A tracker document with these claims."""
    status = "COMPLETED" if len(completed) == len(STEPS) else "IN PROGRESS" if completed else "NEW"
    lines = [f"# {' '.join(title.split())}", ""]
    if issue is not None:
        number, url = issue
        label = f"#{number}" if number is not None else url
        lines.append(f"**Issue:** [{label}]({url})" if url and number is not None else f"**Issue:** {label}")
    lines += [f"**Priority:** P{priority}", f"**Status:** {status}", ""]
    if subjects:
        lines += ["## Subjects", "", *(f"- `{subject}`" for subject in subjects), ""]
    lines.append("## Progress")
    for number, name in enumerate(STEPS):
        box = "x" if number in completed else " "
        words = "COMPLETED" if number in completed else "PENDING"
        lines += ["", f"### Step {number}: {name} - {words}", "", f"- [{box}] {name}"]
    if pulls:
        lines += ["", "## Pull requests", "", *(f"- PR #{number}" for number in pulls)]
    return "\n".join(lines) + "\n"

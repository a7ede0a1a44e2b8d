"""An issue is made, from a subject, a tracker or nothing, and changed: its fields, the subjects that it covers, what
people say of it."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db.models import Q
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from audits import access, remediation, tasks
from audits.forms import IssueForm, NoteForm
from audits.models import Issue, IssueNote, IssueReference, Repository, Tracker, Violation
from audits.remediation import Proposal, Subject
from audits.trackers import STEPS
from audits.views.pages import HtmxHttpRequest, wanted_text

_MAX_SUBJECTS = 200


@require_http_methods(["GET", "POST"])
def issue_new(request: HtmxHttpRequest, slug: str) -> HttpResponse:
    """A new issue: about a subject (``rule`` and ``subject``), from a ``tracker``, or from nothing."""
    repository = access.get_repository(request, slug, "audits.add_issue")
    values = request.POST if request.method == "POST" else request.GET
    tracker = _tracker(repository, values.get("tracker"))
    proposal = _proposal(repository, tracker, values)
    if request.method == "POST":
        form = IssueForm(request.POST)
        if form.is_valid():
            issue = _make(request, repository, form, proposal, tracker)
            tasks.keep_up_after_commit(repository.pk)
            return redirect(issue)
    else:
        form = IssueForm(initial=_initial(proposal, tracker))
    context = {
        "repository": repository,
        "form": form,
        "proposal": proposal,
        "tracker": tracker,
        "has_history": hasattr(repository, "history"),
        "subjects": _chosen(request, proposal),
        "steps": STEPS,
    }
    status = 422 if request.method == "POST" else 200
    return render(request, "audits/issue_form.html", context, status=status)


def _tracker(repository: Repository, text: str | None) -> Tracker | None:
    if not text or not text.isdecimal() or len(text) > 15:
        return None
    return repository.trackers.filter(pk=int(text)).first()


def _proposal(repository: Repository, tracker: Tracker | None, values: Any) -> Proposal | None:
    if tracker is not None:
        return remediation.propose_from(tracker)
    subject = Subject(wanted_text(values.get("rule"), 40), wanted_text(values.get("subject"), 2_000))
    if not subject.rule or not subject.subject:
        return None
    return remediation.propose(repository, [subject])


def _initial(proposal: Proposal | None, tracker: Tracker | None) -> dict[str, Any]:
    if proposal is None:
        return {"kind": Issue.Kind.CUSTOM, "priority": 2}
    link = proposal.issue_url or (str(proposal.issue_number) if proposal.issue_number is not None else "")
    return {
        "title": proposal.title,
        "kind": proposal.kind,
        "priority": proposal.priority,
        "reference": link and (link if tracker is None else f"#{link}".replace("##", "#")),
    }


def _chosen(request: HtmxHttpRequest, proposal: Proposal | None) -> list[tuple[Subject, str, bool]]:
    """The proposed subjects, what each is called in the form, and whether it is chosen."""
    if proposal is None:
        return []
    posted = request.POST.getlist("covers") if request.method == "POST" else None
    keys = [f"{s.rule} {s.subject}" for s in proposal.subjects]
    return [(s, key, posted is None or key in posted) for s, key in zip(proposal.subjects, keys, strict=True)]


def _make(
    request: HtmxHttpRequest,
    repository: Repository,
    form: IssueForm,
    proposal: Proposal | None,
    tracker: Tracker | None,
) -> Issue:
    data = form.cleaned_data
    subjects = [subject for subject, _, is_chosen in _chosen(request, proposal) if is_chosen]
    number, url = data["reference"]
    return remediation.create(
        repository,
        title=data["title"],
        kind=data["kind"],
        priority=data["priority"],
        subjects=subjects,
        user=request.user,
        owner=data["owner"],
        due_on=data["due_on"],
        issue_number=number,
        issue_url=url,
        tracker=tracker,
    )


@require_http_methods(["GET", "POST"])
def issue_edit(request: HtmxHttpRequest, pk: int) -> HttpResponse:
    rows = Issue.objects.select_related("repository")
    issue = access.get_of_visible(request, rows, "audits.change_issue", pk=pk)
    reference = issue.references.filter(kind=IssueReference.Kind.ISSUE).first()
    if request.method == "POST":
        form = IssueForm(request.POST)
        if form.is_valid():
            remediation.edit(issue, reference=form.cleaned_data.pop("reference"), **form.cleaned_data)
            tasks.keep_up_after_commit(issue.repository_id)
            return redirect(issue)
    else:
        form = IssueForm(
            initial={
                "title": issue.title,
                "kind": issue.kind,
                "priority": issue.priority,
                "owner": issue.owner_id,
                "due_on": issue.due_on,
                "reference": (reference.url or f"#{reference.number}") if reference else "",
            }
        )
    context = {"repository": issue.repository, "issue": issue, "form": form}
    return render(request, "audits/issue_form.html", context, status=422 if request.method == "POST" else 200)


@require_POST
def issue_subjects(request: HtmxHttpRequest, pk: int) -> HttpResponse:
    """Cover one more subject (``rule`` and ``subject``), or one less (``remove``)."""
    rows = Issue.objects.select_related("repository")
    issue = access.get_of_visible(request, rows, "audits.change_issue", pk=pk)
    removed = request.POST.get("remove", "")
    if removed.isdecimal() and len(removed) < 16:
        remediation.remove_subject(issue, int(removed))
    else:
        subject = wanted_text(request.POST.get("subject"), 2_000)
        found = _find(issue, subject)
        if not found:
            words = f"No violation of this repository has the subject {subject or '(empty)'}."
            if not hasattr(issue.repository, "history"):
                words += " Those that are mended by now aren’t known before the whole history is audited."
            messages.error(request, words)
            return redirect(issue)
        remediation.add_subjects(issue, found)
    tasks.keep_up_after_commit(issue.repository_id)
    return redirect(issue)


def _find(issue: Issue, text: str) -> list[Subject]:
    """The subjects of the repository that a text names: in full, or by its last parts."""
    if not text:
        return []
    rows = Violation.objects.filter(repository=issue.repository_id).order_by()
    for wanted in (Q(subject=text), Q(subject__endswith=f".{text}")):
        found = rows.filter(wanted).values_list("rule", "subject").distinct()[:_MAX_SUBJECTS]
        if found:
            return [Subject(rule, subject) for rule, subject in found]
    return []


@require_POST
@login_required
def issue_note(request: HtmxHttpRequest, pk: int) -> HttpResponse:
    """A comment or a piece of evidence by whoever is signed in; that a step is completed by who may edit."""
    issue = access.get_of_visible(request, Issue.objects.select_related("repository"), pk=pk)
    form = NoteForm(request.POST)
    if not form.is_valid():
        for errors in form.errors.values():
            for error in errors:
                messages.error(request, str(error))
        return redirect(f"{issue.get_absolute_url()}#say")
    data = form.cleaned_data
    if data["kind"] == IssueNote.Kind.CLAIM and not request.user.has_perm(
        "audits.change_issue", issue.repository
    ):
        messages.error(request, "Only those who may edit issues can say that a step is completed.")
        return redirect(f"{issue.get_absolute_url()}#say")
    made = remediation.note(
        issue, request.user, kind=data["kind"], text=data["text"], url=data["url"], step=data["step"]
    )
    tasks.keep_up_after_commit(issue.repository_id)
    return redirect(f"{issue.get_absolute_url()}#n{made.pk}")


@require_POST
def issue_judge(request: HtmxHttpRequest, pk: int) -> HttpResponse:
    """Look at the evidence again now."""
    rows = Issue.objects.select_related("repository")
    issue = access.get_of_visible(request, rows, "audits.change_issue", pk=pk)
    remediation.mark(Issue.objects.filter(pk=issue.pk))
    tasks.keep_up_after_commit(issue.repository_id)
    return redirect(issue)

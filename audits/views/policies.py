"""The policy of a repository: its page with the editor, what a draft would change, and its history."""

from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.contrib.auth.models import User
from django.core.paginator import Paginator
from django.db.models import Count
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from audits import access, auditing, fetching, inquiries, policies, tasks
from audits.engine.git import GitError, GitRepository
from audits.engine.policy import Policy, PolicyError, parse_policy
from audits.engine.tree_policy import text_in_tree
from audits.forms import PolicyForm
from audits.models import PolicyInquiry, PolicySource, PolicyVersion, Repository
from audits.views.differences import difference
from audits.views.pages import HtmxHttpRequest, render_page

VERSIONS_PER_PAGE = 15
CHANGE = "audits.change_repository"

_TABLES = {
    "unique": ("canonical definition", "canonical definitions"),
    "family": ("family", "families"),
    "forbidden": ("forbidden symbol", "forbidden symbols"),
    "deprecated": ("deprecated symbol", "deprecated symbols"),
    "base": ("required base", "required bases"),
    "literal": ("owned literal", "owned literals"),
    "registry": ("enum of ID types", "enums of ID types"),
    "waiver": ("waiver", "waivers"),
}


@dataclass(frozen=True, slots=True)
class Said:
    """What is said of a text while it is typed: an error with its line (0: none in particular), or what it declares."""

    error: str = ""
    line: int = 0
    declares: tuple[str, ...] = ()
    is_empty: bool = False


@dataclass(frozen=True, slots=True)
class InTree:
    """The policy file of the last audited commit: its text, or why there is none."""

    commit: str
    text: str
    problem: str


@require_http_methods(["GET", "POST"])
def policy(request: HtmxHttpRequest, slug: str) -> HttpResponse:
    """GET shows the policy, POST saves another one. Who may change the repository may do that."""
    repository = _repository(request, slug, CHANGE if request.method == "POST" else "")
    if request.method == "POST":
        return _save(request, repository)
    current = repository.policy
    initial: dict[str, Any] = {
        "source": current.source if current else PolicySource.SITE,
        "text": current.text if current else "",
        "based_on": current.number if current else 0,
    }
    inquiry = _wanted_inquiry(request, repository)
    if inquiry is not None:
        if inquiry.kind == PolicyInquiry.Kind.PREVIEW:
            initial |= {"source": inquiry.source, "text": inquiry.text}
        elif "use" in request.GET and "text" in inquiry.answer:
            initial |= {"source": PolicySource.SITE, "text": inquiry.answer["text"]}
    context = _context(request, repository, PolicyForm(initial=initial))
    return render_page(request, "audits/policy.html", {**context, "inquiry": inquiry})


def _wanted_inquiry(request: HtmxHttpRequest, repository: Repository) -> PolicyInquiry | None:
    """The one that the address names, for those who may ask."""
    wanted = request.GET.get("inquiry", "")
    if not (wanted.isdecimal() and len(wanted) < 18 and request.user.has_perm(CHANGE, repository)):
        return None
    return repository.policy_inquiries.filter(pk=int(wanted)).first()


def _repository(request: HtmxHttpRequest, slug: str, permission: str = "") -> Repository:
    rows = Repository.objects.select_related("policy", "current_audit")
    return access.get_repository(request, slug, permission, rows=rows)


def _context(request: HtmxHttpRequest, repository: Repository, form: PolicyForm) -> dict[str, Any]:
    versions = (
        repository.policy_versions.select_related("author")
        .annotate(audited=Count("audits"))
        .order_by("-number")
    )
    page = Paginator(versions, VERSIONS_PER_PAGE).get_page(request.GET.get("page"))
    text = str(form["text"].value() or "")
    return {
        "repository": repository,
        "form": form,
        "text": text,
        "line_numbers": range(1, text.count("\n") + 2),
        "said": _said(text),
        "page": page,
        "previous_query": f"?page={page.number - 1}#versions",
        "next_query": f"?page={page.number + 1}#versions",
        "in_tree": _in_tree(repository) if repository.policy and repository.policy.is_in_tree else None,
        "in_flight": repository.audits.filter(state__in=["queued", "running"]).first(),
    }


def _in_tree(repository: Repository) -> InTree | None:
    if repository.current_audit is None:
        return None
    commit = repository.current_audit.commit_sha
    try:
        git = GitRepository(fetching.path_of(repository))
        text = text_in_tree(git, git.resolve(commit))
        parse_policy(text)
    except GitError as error:
        return InTree(commit, "", f"It can't be shown: {error}.")
    except PolicyError as error:
        return InTree(commit, "", f"It can't be used: {error}.")
    return InTree(commit, text, "")


def _said(text: str) -> Said:
    try:
        found = parse_policy(policies.as_lines(text))
    except PolicyError as error:
        return Said(error=str(error), line=error.line)
    return Said(declares=_declares(found), is_empty=not text.strip())


def _declares(found: Policy) -> tuple[str, ...]:
    counts = ((len(getattr(found, table)), words) for table, words in _TABLES.items())
    return tuple(f"{count:,} {words[count != 1]}" for count, words in counts if count)


@require_POST
def policy_check(request: HtmxHttpRequest, slug: str) -> HttpResponse:
    """What is wrong with a text, or what it declares."""
    repository = _repository(request, slug, CHANGE)
    text = request.POST.get("text", "").replace("\0", "\N{REPLACEMENT CHARACTER}")
    return render(request, "audits/policy.html#policy-said", {"repository": repository, "said": _said(text)})


@require_POST
def policy_preview(request: HtmxHttpRequest, slug: str) -> HttpResponse:
    """Ask what a draft would change at the last audited commit. A worker answers; the page asks for the answer."""
    repository = _repository(request, slug, CHANGE)
    form = PolicyForm(request.POST)
    form.is_valid()
    if "text" not in form.cleaned_data or "source" not in form.cleaned_data:
        if request.htmx:
            words = "Mend what is marked in the text, then look at what it changes."
            return render(
                request, "audits/policy.html#policy-preview", {"preview_problem": words}, status=422
            )
        form.errors.pop("reason", None)
        return _refused(request, repository, form, 422)
    draft = {"source": form.cleaned_data["source"], "text": form.cleaned_data["text"]}
    return _ask(request, repository, PolicyInquiry.Kind.PREVIEW, **draft)


@require_POST
def policy_suggest(request: HtmxHttpRequest, slug: str) -> HttpResponse:
    """Ask for a policy to begin with, from what the last audited commit holds."""
    repository = _repository(request, slug, CHANGE)
    return _ask(request, repository, PolicyInquiry.Kind.SUGGESTION)


def _ask(
    request: HtmxHttpRequest, repository: Repository, kind: PolicyInquiry.Kind, **draft: Any
) -> HttpResponse:
    assert isinstance(request.user, User)  # nobody else has permissions
    inquiry = inquiries.ask(repository, request.user, kind=kind, **draft)
    tasks.answer_after_commit(inquiry)
    address = f"{reverse('audits:policy', args=[repository.slug])}?inquiry={inquiry.pk}"
    if not request.htmx:
        return redirect(f"{address}#policy-preview")
    context = {"repository": repository, "inquiry": inquiry}
    response = render(request, "audits/policy.html#policy-preview", context)
    response.headers["HX-Replace-Url"] = address
    return response


@require_GET
def policy_inquiry(request: HtmxHttpRequest, slug: str, pk: int) -> HttpResponse:
    """How far an inquiry is, or its answer."""
    repository = _repository(request, slug, CHANGE)
    inquiry = get_object_or_404(repository.policy_inquiries, pk=pk)
    if not request.htmx:
        return redirect(f"{reverse('audits:policy', args=[slug])}?inquiry={pk}#policy-preview")
    return render(
        request, "audits/policy.html#policy-preview", {"repository": repository, "inquiry": inquiry}
    )


def _save(request: HtmxHttpRequest, repository: Repository) -> HttpResponse:
    form = PolicyForm(request.POST)
    if not form.is_valid():
        return _refused(request, repository, form, 422)
    try:
        version, is_new = policies.save(
            repository,
            form.cleaned_data["text"],
            source=form.cleaned_data["source"],
            user=request.user,
            reason=form.cleaned_data["reason"],
            based_on=form.cleaned_data["based_on"],
        )
    except policies.StaleEditError:
        repository = _repository(request, repository.slug)
        newest = repository.policy.number if repository.policy else 0
        form = PolicyForm({**request.POST.dict(), "based_on": newest})
        form.add_error(
            None,
            f"Somebody saved version {newest} meanwhile. Look at it in the history of this policy; saving once more"
            " puts your text in its place.",
        )
        return _refused(request, repository, form, 409)
    _tell(request, repository, version, is_new=is_new)
    return redirect("audits:policy", repository.slug)


def _refused(request: HtmxHttpRequest, repository: Repository, form: PolicyForm, status: int) -> HttpResponse:
    context = _context(request, repository, form)
    response = render_page(request, "audits/policy.html", context)
    response.status_code = status
    return response


def _tell(
    request: HtmxHttpRequest, repository: Repository, version: PolicyVersion | None, *, is_new: bool
) -> None:
    """Have the last audited commit judged by a new version, and say so."""
    if version is None or not is_new:
        messages.info(request, "That is the policy already; nothing was saved.")
        return
    asked = auditing.judge_anew(repository, request.user)
    if asked is None:
        messages.success(request, f"Version {version.number} is saved. The first audit will go by it.")
        return
    audit, is_new_audit = asked
    if is_new_audit:
        tasks.dispatch_after_commit(audit)
        words = f"Commit {audit.rev[:9]} is being judged by it, from what is known of its files."
    else:
        words = "An audit is in flight; the last audited commit is judged by it after that."
    messages.success(request, f"Version {version.number} is saved. {words}")


@require_GET
def policy_version(request: HtmxHttpRequest, slug: str, number: int) -> HttpResponse:
    """One version: its text, and how it differs from the one before or from ``?against=`` another."""
    repository = _repository(request, slug)
    version = get_object_or_404(repository.policy_versions.select_related("author"), number=number)
    wanted = request.GET.get("against", "")
    against = int(wanted) if wanted.isdecimal() and len(wanted) < 10 else number - 1
    other = repository.policy_versions.filter(number=against).first()
    context = {
        "repository": repository,
        "shown": version,  # "version" is that of the site
        "is_current": repository.policy_id == version.pk,
        "other": other,
        "against": against,
        "diff": difference(_lines(other), _lines(version)),
        "lines": list(
            enumerate(version.text.split("\n")[:-1] or ([version.text] if version.text else []), 1)
        ),
        "audits": version.audits.select_related("same_as").order_by("-pk")[:5],
        "newest": repository.policy.number if repository.policy else 0,
        "this_url": reverse("audits:policy-version", args=[slug, number]),
    }
    return render_page(request, "audits/policy_version.html", context)


def _lines(version: PolicyVersion | None) -> list[str]:
    if version is None:
        return []
    return ["(from .ssot.toml of each audited commit)"] if version.is_in_tree else version.text.splitlines()


@require_POST
def policy_restore(request: HtmxHttpRequest, slug: str, number: int) -> HttpResponse:
    """Make the text of an earlier version the policy again, as a new version."""
    repository = _repository(request, slug, CHANGE)
    old = get_object_or_404(repository.policy_versions, number=number)
    try:
        version, is_new = policies.save(
            repository,
            old.text,
            source=PolicySource(old.source),
            user=request.user,
            reason=f"Restores version {number}",
        )
    except PolicyError as error:
        messages.error(request, f"Version {number} can't be used any more: {error}.")
        return redirect(old)
    _tell(request, repository, version, is_new=is_new)
    return redirect("audits:policy", slug)

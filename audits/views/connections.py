"""How a repository is connected with others: push hooks in, badges out."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import cache_control
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_POST

from audits import access, pushing, tasks
from audits.models import Repository
from audits.views.badges import BADGES, draw_badge
from audits.views.pages import HtmxHttpRequest

_STATUS = {"forbidden": 404, "invalid": 422, "replay": 409, "too-large": 413}
SHOWN = 20


@csrf_exempt
@login_not_required
@require_POST
def push_hook(request: HtmxHttpRequest, slug: str) -> HttpResponse:
    """A git server tells of a push. Without the right signature nobody learns whether there is such a repository."""
    repository = Repository.objects.filter(slug=slug).first()
    body = request.read(pushing.MAX_BYTES + 1)
    try:
        if repository is None:
            raise pushing.PushError("forbidden", pushing.FORBIDDEN)
        message = pushing.read(request.headers, body, pushing.secret_of(repository))
        if message is None:
            return JsonResponse({"ignored": True})
        push = pushing.receive(repository, message, body)
    except pushing.PushError as error:
        code = "not-found" if error.code == "forbidden" else error.code
        return JsonResponse({"code": code, "message": str(error)}, status=_STATUS[error.code])
    if not push.is_ignored:
        tasks.pushed(repository)
        push.refresh_from_db()
    return JsonResponse(pushing.fields(push), status=202)


@require_GET
def connections(request: HtmxHttpRequest, slug: str) -> HttpResponse:
    """The hook's address and secret, what arrived, and the badges."""
    repository = access.get_repository(request, slug, "audits.change_repository")
    context: dict[str, Any] = {
        "repository": repository,
        "hook_url": request.build_absolute_uri(reverse("audits:push-hook", args=[repository.slug])),
        "secret": pushing.secret_of(repository),
        "pushes": repository.pushes.select_related("audit")[:SHOWN],
        "badges": [
            (what, words, request.build_absolute_uri(reverse("audits:badge", args=[repository.slug, what])))
            for what, words in BADGES.items()
        ],
        "page_url": request.build_absolute_uri(repository.get_absolute_url()),
    }
    return render(request, "audits/connections.html", context)


@require_POST
def renew_secret(request: HtmxHttpRequest, slug: str) -> HttpResponse:
    """Another secret for the hook; the old one is refused from now on."""
    repository = access.get_repository(request, slug, "audits.change_repository")
    pushing.renew_secret(repository)
    messages.success(request, "The hook has a new secret. Enter it at your git server.")
    return redirect("audits:connections", repository.slug)


@require_POST
def badges(request: HtmxHttpRequest, slug: str) -> HttpResponse:
    """Show the badges to anybody, or not."""
    repository = access.get_repository(request, slug, "audits.change_repository")
    repository.is_badge_public = request.POST.get("public") == "1"
    repository.save(update_fields=["is_badge_public"])
    return redirect("audits:connections", repository.slug)


@login_not_required
@require_GET
@cache_control(max_age=60)
def badge(request: HtmxHttpRequest, slug: str, what: str) -> HttpResponse:
    """A small picture with a number, for READMEs; for strangers only where the repository says so."""
    repository = Repository.objects.select_related("current_audit").filter(slug=slug).first()
    if repository is None or what not in BADGES:
        raise Http404("There is no such badge.")
    if not repository.is_badge_public:
        if not request.user.is_authenticated:
            raise Http404("There is no such badge.")
        access.get_repository(request, slug)
    return HttpResponse(draw_badge(repository, what), content_type="image/svg+xml; charset=utf-8")

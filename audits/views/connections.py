"""How a repository is connected with others: push hooks in, notices and badges out."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import cache_control
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_POST

from audits import access, notifying, pushing, tasks
from audits.forms import ChannelForm
from audits.models import Channel, Delivery, Repository
from audits.outbound import OutboundError
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
    """The hook's address and secret, what arrived; where notices go, and how they went; the badges."""
    repository = access.get_repository(request, slug, "audits.change_repository")
    return _page(request, repository, ChannelForm())


def _page(request: HtmxHttpRequest, repository: Repository, form: ChannelForm) -> HttpResponse:
    deliveries = Delivery.objects.filter(channel__repository=repository).select_related("channel")
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
        "channels": [(channel, notifying.secret_of(channel)) for channel in repository.channels.all()],
        "deliveries": deliveries[:SHOWN],
        "form": form,
    }
    return render(request, "audits/connections.html", context, status=422 if form.errors else 200)


@require_POST
def channel_add(request: HtmxHttpRequest, slug: str) -> HttpResponse:
    """Another place that notices go to."""
    repository = access.get_repository(request, slug, "audits.change_repository")
    form = ChannelForm(request.POST)
    if not form.is_valid():
        return _page(request, repository, form)
    notifying.add_channel(repository, request.user, **form.cleaned_data)
    messages.success(request, "Notices go there from now on. Send a test to see that they arrive.")
    return redirect("audits:connections", repository.slug)


@require_POST
def channel_change(request: HtmxHttpRequest, pk: int) -> HttpResponse:
    """Switch a channel on or off, remove it, or send a test (``do``)."""
    rows = Channel.objects.select_related("repository").exclude(repository=None)
    channel = access.get_of_visible(request, rows, "audits.change_repository", pk=pk)
    assert channel.repository is not None
    wanted = request.POST.get("do")
    if wanted == "test":
        try:
            notifying.test_channel(channel)
        except OutboundError as error:
            messages.error(request, str(error))
        else:
            messages.success(request, "The test was taken.")
    elif wanted == "remove":
        channel.delete()
    elif wanted in {"on", "off"}:
        channel.is_on = wanted == "on"
        channel.save(update_fields=["is_on"])
    return redirect("audits:connections", channel.repository.slug)


@require_POST
def delivery_replay(request: HtmxHttpRequest, pk: UUID) -> HttpResponse:
    """Try a delivery again that was given up."""
    rows = Channel.objects.select_related("repository").exclude(repository=None)
    channel = access.get_of_visible(request, rows, "audits.change_repository", deliveries=pk)
    assert channel.repository is not None
    notifying.replay(get_object_or_404(Delivery, pk=pk))
    return redirect("audits:connections", channel.repository.slug)


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

"""What machines and administrators ask the site about itself: is it alive, is it ready, its metrics."""

from collections.abc import Callable

from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseNotAllowed, JsonResponse
from django.views.decorators.cache import never_cache

from ssot_dash import health, prometheus, tokens

SCOPE = "metrics:read"
PERMISSION = "ssot_dash.view_operations"


def probes(
    get_response: Callable[[HttpRequest], HttpResponseBase],
) -> Callable[[HttpRequest], HttpResponseBase]:
    """Middleware that answers ``/healthz`` and ``/readyz`` before anything else of the site has a say.

    Load balancers ask by address, without TLS and without signing in; and what they ask must not depend on sessions,
    which are in the database.
    """
    answers = {"/healthz": healthz, "/readyz": readyz}

    def middleware(request: HttpRequest) -> HttpResponseBase:
        answer = answers.get(request.path_info)
        if answer is None:
            return get_response(request)
        if request.method not in {"GET", "HEAD"}:
            return HttpResponseNotAllowed(["GET", "HEAD"])
        return answer(request)

    return middleware


@never_cache
def healthz(request: HttpRequest) -> HttpResponse:
    """This process answers. It asks nothing else, so that it is not stopped for what restarting it would not mend."""
    return JsonResponse({"status": "ok"})


@never_cache
def readyz(request: HttpRequest) -> HttpResponse:
    """Whether each part is well: 200, or 503 when one is not.

    Strangers learn "ok" or "not ok" of each; a token of the scope ``metrics:read`` learns why.
    """
    checks = health.checks()
    told = _has_token(request)
    is_ok = all(check.is_ok for check in checks)
    body = {
        "status": _word(is_ok),
        "parts": {
            check.name: {"status": _word(check.is_ok), "message": check.words} if told else _word(check.is_ok)
            for check in checks
        },
    }
    return JsonResponse(body, status=200 if is_ok else 503)


def _word(is_ok: bool) -> str:
    return "ok" if is_ok else "not ok"


@login_not_required
@never_cache
def metrics(request: HttpRequest) -> HttpResponse:
    """Everything for Prometheus, for a token of the scope ``metrics:read`` or whoever may see operations."""
    if "Authorization" in request.headers:
        if not _has_token(request):
            message = f"Send a token that is good for {SCOPE}: Authorization: Bearer ssot_…\n"
            headers = {"WWW-Authenticate": "Bearer"}
            return HttpResponse(
                message, status=401, content_type="text/plain; charset=utf-8", headers=headers
            )
    elif not request.user.is_authenticated:
        return redirect_to_login(request.get_full_path())
    if request.method not in {"GET", "HEAD"}:
        return HttpResponseNotAllowed(["GET", "HEAD"])
    if "Authorization" not in request.headers and not request.user.has_perm(PERMISSION):
        raise PermissionDenied
    return HttpResponse(prometheus.exposition(), content_type=prometheus.CONTENT_TYPE)


def _has_token(request: HttpRequest) -> bool:
    """Whether a token for the whole site, good for metrics, comes with the request."""
    scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        return False
    try:
        token = tokens.find(secret.strip())
        return token is not None and token.repository is None and tokens.may(token, SCOPE)
    except (DatabaseError, InterfaceError):
        return False  # then nobody can tell who asks

"""The HTTP API under ``/api/v1/``: routers of the apps, tokens, errors.

An operation says which scope its callers need by ``openapi_extra={"x-scope": "audits:read"}``; one that doesn't is
refused when the site starts. A path that names a repository does so as ``{slug}``; a token for one repository reaches
no other. What belongs to none, as IDs do, is a matter of its scopes. Every error is ``{"code", "message"}``, with
``limit`` and ``received`` where a limit was passed.
"""

from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import (
    ImproperlyConfigured,
    RequestDataTooBig,
    SuspiciousOperation,
    TooManyFieldsSent,
    TooManyFilesSent,
)
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern
from ninja import NinjaAPI, Router
from ninja.errors import AuthenticationError, AuthorizationError, HttpError, ValidationError
from ninja.security import HttpBearer

from audits.api import router as audits_router
from audits.fetching import LocationError
from audits.ingesting import ReceiveError
from audits.models import Repository
from audits.reports import NoReportError
from ids.api import routers as ids_routers
from ids.minting import MintingError
from ssot_dash import __version__, tokens
from ssot_dash.bodies import BodyError, StrictParser
from ssot_dash.models import ApiToken

CODES = {
    400: "bad-request",
    401: "unauthorized",
    403: "forbidden",
    404: "not-found",
    405: "method-not-allowed",
    409: "conflict",
    413: "too-large",
    422: "invalid",
}
# Of the refusals of the ID service; of all others it is 422.
MINTING_STATUS = {
    "not-issued": 404,
    "unknown-lease": 404,
    "already-issued": 409,
    "already-released": 409,
    "not-owner": 409,
    "idempotency-key-reused": 409,
    # the registry's own state, not the request: trying later helps
    "counter-behind": 503,
    "counters-exhausted": 503,
    "lease-unavailable": 503,
    "unsafe-database": 503,
}

api = NinjaAPI(
    title="SSOT Dash",
    version=__version__,
    description="Send test reports, start audits, read what was found, issue IDs.",
    docs_url=None,
    openapi_url="/openapi.json",
    urls_namespace="api",
    parser=StrictParser(),
)


class TokenAuth(HttpBearer):
    """``Authorization: Bearer ssot_...``, good for a scope. ``request.auth`` is the token."""

    def __init__(self, scope: str) -> None:
        super().__init__()
        self.scope = scope

    def authenticate(self, request: HttpRequest, token: str) -> ApiToken | None:
        found = tokens.find(token)
        if found is None:
            return None
        match = request.resolver_match
        slug = match.kwargs.get("slug") if match is not None else None
        if slug is not None and not (found.repository is None or found.repository.slug == slug):
            raise Http404
        # What doesn't exist for the token's user is said not to, before anything is said of rights.
        repository = (
            Repository.objects.visible_to(found.user).filter(slug=slug).first() if slug is not None else None
        )
        if slug is not None and repository is None:
            raise Http404
        if not tokens.may(found, self.scope, repository):
            raise AuthorizationError(message=f"this token, or its user, may not: {self.scope}")
        request.user = found.user
        request.api_scope = self.scope  # type: ignore[attr-defined]
        if repository is not None:
            request.repository = repository  # type: ignore[attr-defined]
        return found


def _guarded(router: Router) -> Router:
    """The router with an authentication at each operation, for the scope that it names."""
    for path, view in router.path_operations.items():
        for operation in view.operations:
            scope = (operation.openapi_extra or {}).get("x-scope")
            if scope not in tokens.SCOPES:
                raise ImproperlyConfigured(f"the operation at {path} names no scope that there is: {scope!r}")
            operation.auth_param = TokenAuth(scope)
            operation._set_auth(operation.auth_param)
    return router


for prefix, routers in ids_routers.items():
    for router in routers:
        api.add_router(prefix, _guarded(router))
api.add_router("", _guarded(audits_router))


def _answer(request: HttpRequest, status: int, message: str, code: str = "", **more: Any) -> HttpResponse:
    body = {"code": code or CODES.get(status, "error"), "message": message, **more}
    return api.create_response(request, body, status=status)


@api.exception_handler(ReceiveError)
def _not_received(request: HttpRequest, error: ReceiveError) -> HttpResponse:
    return _answer(request, 413 if error.code == "too-large" else 422, str(error), error.code)


@api.exception_handler(NoReportError)
def _no_report(request: HttpRequest, error: NoReportError) -> HttpResponse:
    return _answer(request, 409, str(error))


@api.exception_handler(LocationError)
def _no_location(request: HttpRequest, error: LocationError) -> HttpResponse:
    return _answer(request, 422, str(error))


@api.exception_handler(MintingError)
def _not_minted(request: HttpRequest, error: MintingError) -> HttpResponse:
    said = {"limit": error.limit, "received": error.received, "row": error.row}
    more = {name: value for name, value in said.items() if value is not None}
    return _answer(request, MINTING_STATUS.get(error.code, 422), error.message, error.code, **more)


@api.exception_handler(HttpError)
def _http_error(request: HttpRequest, error: HttpError) -> HttpResponse:
    # django-ninja says of every body alike that it can't be parsed
    message = str(error.__cause__) if isinstance(error.__cause__, BodyError) else str(error.message)
    return _answer(request, error.status_code, message)


@api.exception_handler(AuthenticationError)
def _not_authenticated(request: HttpRequest, error: AuthenticationError) -> HttpResponse:
    return _answer(request, 401, "Send a token that is good: Authorization: Bearer ssot_…")


@api.exception_handler(Http404)
def _not_found(request: HttpRequest, error: Http404) -> HttpResponse:
    return _answer(request, 404, "There is no such thing here.")


@api.exception_handler(SuspiciousOperation)
def _suspicious(request: HttpRequest, error: SuspiciousOperation) -> HttpResponse:
    if isinstance(error, RequestDataTooBig):
        return _answer(request, 413, "The request’s body is too large.")
    if isinstance(error, TooManyFieldsSent | TooManyFilesSent):
        return _answer(request, 413, "The request has too many fields or files.")
    return _answer(request, 400, "The request can’t be read.")


@api.exception_handler(ValidationError)
def _invalid(request: HttpRequest, error: ValidationError) -> HttpResponse:
    first = error.errors[0]
    place = ".".join(
        str(part) for part in first.get("loc", ()) if part not in {"body", "query", "form", "file"}
    )
    more = {"received": first["input"]} if isinstance(first.get("input"), int | float | str) else {}
    if isinstance(more.get("received"), str):
        more["received"] = more["received"][:100]
    return _answer(request, 422, f"{place}: {first.get('msg', 'is not valid')}".strip(": "), **more)


def urls() -> Any:
    """The API's addresses. Programs bring a token instead of signing in; only the schema is for people."""
    patterns, app_name, namespace = api.urls
    for pattern in patterns:
        if isinstance(pattern, URLPattern) and pattern.name not in {"openapi-json", "api-root"}:
            pattern.callback = login_not_required(pattern.callback)
    return patterns, app_name, namespace

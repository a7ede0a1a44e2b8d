"""Single sign-on with OpenID Connect: to the provider and back. Authlib checks state, nonce, PKCE and the ID token."""

from functools import lru_cache
from typing import Any

from authlib.common.errors import AuthlibBaseError
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import login
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.models import User
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET
from joserfc.errors import JoseError

from ssot_dash import newcomers

_NEXT = "oidc-next"
SECONDS = 10  # that the provider may take for an answer


@lru_cache(maxsize=4)
def _registered(issuer: str, client_id: str, secret: str) -> Any:
    # A fifth of the time that this program takes to start, and most sites never need it.
    from authlib.integrations.django_client import OAuth  # noqa: PLC0415

    return OAuth().register(
        "provider",
        client_id=client_id,
        client_secret=secret,
        server_metadata_url=f"{issuer}/.well-known/openid-configuration",
        client_kwargs={
            "scope": "openid profile email",
            "code_challenge_method": "S256",
            "default_timeout": SECONDS,
        },
    )


def _provider() -> Any:
    if not settings.SSOT_OIDC_ISSUER:
        raise Http404("Single sign-on is off.")
    return _registered(
        settings.SSOT_OIDC_ISSUER, settings.SSOT_OIDC_CLIENT_ID, settings.SSOT_OIDC_CLIENT_SECRET
    )


@login_not_required
@never_cache
@require_GET
def begin(request: HttpRequest) -> HttpResponse:
    """Send somebody to the provider. ``next`` is where they want to go afterwards."""
    provider = _provider()
    wanted = request.GET.get("next", "")
    is_ours = url_has_allowed_host_and_scheme(wanted, {request.get_host()}, request.is_secure())
    request.session[_NEXT] = wanted if is_ours else ""
    try:
        answer: HttpResponse = provider.authorize_redirect(
            request, request.build_absolute_uri(reverse("oidc-back"))
        )
    except (OSError, AuthlibBaseError, ValueError):  # requests' errors are OSErrors
        return _sorry(request, "The sign-in provider doesn’t answer. Try again, or sign in with a password.")
    return answer


@login_not_required
@never_cache
@require_GET
def back(request: HttpRequest) -> HttpResponse:
    """Somebody comes back from the provider. Whoever is signed in already ties their account to it."""
    provider = _provider()
    wanted = str(request.session.pop(_NEXT, ""))
    try:
        claims = provider.authorize_access_token(request).get("userinfo") or {}
    except (OSError, AuthlibBaseError, JoseError, ValueError):
        return _sorry(request, "The sign-in provider’s answer is not valid, or too old. Try again.")
    subject = str(claims.get("sub", ""))[:255]
    if not subject:
        return _sorry(request, "The sign-in provider doesn’t say who you are.")
    if isinstance(request.user, User):
        if newcomers.tie(request.user, settings.SSOT_OIDC_ISSUER, subject):
            messages.success(request, f"You can sign in with {settings.SSOT_OIDC_NAME} from now on.")
        else:
            messages.error(request, "That account at the provider is tied to somebody else here.")
        return redirect("account")
    name = str(claims.get("preferred_username") or claims.get("email") or claims.get("name") or "user")
    try:
        user = newcomers.user_of(settings.SSOT_OIDC_ISSUER, subject, name, str(claims.get("email") or ""))
    except newcomers.NotInvitedError:
        return _sorry(request, "Nobody has invited you here yet: ask an administrator.")
    if not user.is_active:
        return _sorry(request, "Your account is deactivated: ask an administrator.")
    login(request, user, backend="ssot_dash.sign_in.PasswordBackend")
    return redirect(wanted or "audits:overview")


def _sorry(request: HttpRequest, words: str) -> HttpResponse:
    messages.error(request, words)
    return redirect("account" if request.user.is_authenticated else "login")

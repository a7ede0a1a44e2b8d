"""Signing in with a password: after some wrong ones, nobody may go on trying for a while.

Three counts over ``SSOT_SIGN_IN_SECONDS``: of a user name from one address, of an address with any names, of a user
name from everywhere. The last one can't lock its owner out: it leaves out addresses where they signed in before.
"""

import hashlib
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.models import User
from django.contrib.auth.views import LoginView
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from ssot_dash import activity
from ssot_dash.addresses import client_address
from ssot_dash.models import Activity, SignInFailure

# For how long an address from which somebody signed in is known as theirs.
KNOWN_DAYS = 60


class PasswordBackend(ModelBackend):
    """Django's own, behind the counts. The try is counted before the password is looked at, so that many at once
    are no way around."""

    def authenticate(
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        **kwargs: Any,
    ) -> Any:
        if request is None or username is None or password is None:
            return super().authenticate(request, username, password, **kwargs)
        address = client_address(request)
        attempt = SignInFailure.objects.create(name=_digest(username), address=address)
        if _too_many(username, address):
            attempt.delete()
            request.is_sign_in_refused = True  # type: ignore[attr-defined]
            raise PermissionDenied
        return super().authenticate(request, username, password, **kwargs)


def _digest(username: str) -> str:
    return hashlib.sha256(username.casefold().encode("utf-8", "replace")).hexdigest()


def _too_many(username: str, address: str) -> bool:
    recent = SignInFailure.objects.filter(
        at__gt=timezone.now() - timedelta(seconds=settings.SSOT_SIGN_IN_SECONDS)
    )
    of_name = recent.filter(name=_digest(username))
    if of_name.filter(address=address).count() > settings.SSOT_SIGN_IN_TRIES:
        return True
    if recent.filter(address=address).count() > settings.SSOT_SIGN_IN_TRIES_OF_ADDRESS:
        return True
    return of_name.count() > settings.SSOT_SIGN_IN_TRIES_OF_USER and not _is_known(username, address)


def _is_known(username: str, address: str) -> bool:
    since = timezone.now() - timedelta(days=KNOWN_DAYS)
    return Activity.objects.filter(user=username, verb="sign-in", address=address, at__gt=since).exists()


def succeeded(sender: object, request: HttpRequest, user: User, **_: Any) -> None:
    """Receiver of ``user_logged_in``: the tries from there are forgiven, and old ones cleared away."""
    if getattr(request, "session", None) is None:
        return
    tries = SignInFailure.objects.filter(name=_digest(user.username), address=client_address(request))
    tries.delete()
    long_ago = timezone.now() - timedelta(seconds=settings.SSOT_SIGN_IN_SECONDS)
    SignInFailure.objects.filter(at__lt=long_ago).delete()
    activity.record(request, "sign-in", user=user)


def failed(sender: object, credentials: dict[str, Any], request: HttpRequest | None = None, **_: Any) -> None:
    """Receiver of ``user_login_failed``. A name that is nobody's is not written down: it may be a password."""
    if request is None:
        return
    name = str(credentials.get("username", ""))
    user = User.objects.filter(username=name).first()
    if not getattr(request, "is_sign_in_refused", False):
        activity.record(request, "sign-in-failed", user=user, is_refused=True)
        return
    since = timezone.now() - timedelta(seconds=settings.SSOT_SIGN_IN_SECONDS)
    known = Activity.objects.filter(verb="sign-in-stopped", address=client_address(request), at__gt=since)
    if not known.filter(user=user.username if user else "").exists():  # once, not a line for each
        activity.record(request, "sign-in-stopped", user=user, is_refused=True)


def left(sender: object, request: HttpRequest, user: User | None, **_: Any) -> None:
    """Receiver of ``user_logged_out``."""
    if user is not None:
        activity.record(request, "sign-out", user=user)


class SignInForm(AuthenticationForm):
    def get_invalid_login_error(self) -> ValidationError:
        if getattr(self.request, "is_sign_in_refused", False):
            minutes = max(1, round(settings.SSOT_SIGN_IN_SECONDS / 60))
            return ValidationError(
                f"Too many wrong passwords. Try again in {minutes} minutes, or from another network.",
                code="stopped",
            )
        return super().get_invalid_login_error()


class SignInView(LoginView):
    """429 while somebody may not go on trying."""

    form_class = SignInForm
    redirect_authenticated_user = True

    def form_invalid(self, form: Any) -> HttpResponse:
        response = super().form_invalid(form)
        if getattr(self.request, "is_sign_in_refused", False):
            response.status_code = 429
            response.headers["Retry-After"] = str(settings.SSOT_SIGN_IN_SECONDS)
        return response

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(
            oidc_name=settings.SSOT_OIDC_NAME if settings.SSOT_OIDC_ISSUER else "", **kwargs
        )

"""The first sign-in: how a new site gets its administrator."""

from django.contrib.auth import get_user_model, login
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.forms import UserCreationForm
from django.contrib.auth.models import User
from django.core import signing
from django.db import connection, transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

WELCOME_SECONDS = 24 * 60 * 60
# PostgreSQL's lock number for "somebody becomes the first administrator": of two at once, one does.
WELCOME_LOCK = 0x55074E1C
_signer = signing.TimestampSigner(salt="ssot_dash.views.welcome")


def first_sign_in_path() -> str | None:
    """The path of a link that lets its reader become the administrator; None once there is one."""
    if _has_administrator():
        return None
    return reverse("welcome", args=[_signer.sign("welcome")])


@login_not_required
@never_cache
@sensitive_post_parameters()
@require_http_methods(["GET", "POST"])
def welcome(request: HttpRequest, token: str) -> HttpResponse:
    """Make the first administrator and sign in as that. 410 when the link is too old, or there is one already."""
    try:
        _signer.unsign(token, max_age=WELCOME_SECONDS)
    except signing.BadSignature:
        return render(request, "registration/welcome.html", {"gone": True}, status=410)
    form: UserCreationForm[User] = UserCreationForm(request.POST or None)
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [WELCOME_LOCK])
        if _has_administrator():
            return render(request, "registration/welcome.html", {"gone": True}, status=410)
        if request.method == "POST" and form.is_valid():
            user = form.save(commit=False)
            user.is_staff = user.is_superuser = True
            user.save()
            login(request, user)
            return redirect("audits:overview")
    return render(request, "registration/welcome.html", {"form": form}, status=422 if form.errors else 200)


def _has_administrator() -> bool:
    return get_user_model().objects.filter(is_superuser=True).exists()

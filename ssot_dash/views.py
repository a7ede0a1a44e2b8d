"""The first sign-in, tokens for programs, and the page about the API."""

from typing import Any

from django import forms
from django.contrib.auth import get_user_model, login
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.forms import UserCreationForm
from django.contrib.auth.models import User
from django.core import signing
from django.db import connection, transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from audits import access
from audits.models import Repository
from ssot_dash import tokens
from ssot_dash.api import api
from ssot_dash.models import ApiToken
from ssot_dash.people import BACKEND

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
            login(request, user, backend=BACKEND)
            return redirect("audits:overview")
    return render(request, "registration/welcome.html", {"form": form}, status=422 if form.errors else 200)


def _has_administrator() -> bool:
    return get_user_model().objects.filter(is_superuser=True).exists()


# --- Tokens -------------------------------------------------------------------------------------------------


class TokenForm(forms.Form):
    """A new token. Only what its user may do is offered."""

    name = forms.CharField(max_length=100, help_text="What uses it: “CI of the shop”.")
    scopes = forms.MultipleChoiceField(widget=forms.CheckboxSelectMultiple, label="It may")
    repository = forms.ModelChoiceField(
        queryset=Repository.objects.none(), required=False, empty_label="All repositories"
    )
    days = forms.TypedChoiceField(
        choices=[("30", "in 30 days"), ("90", "in 90 days"), ("365", "in a year"), ("", "never")],
        coerce=int,
        empty_value=None,
        required=False,
        initial="90",
        label="It ends",
    )

    def __init__(self, user: User, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        scopes = self.fields["scopes"]
        assert isinstance(scopes, forms.MultipleChoiceField)
        scopes.choices = [
            (scope, f"{words} ({scope})")
            for scope, (words, permission) in tokens.SCOPES.items()
            if not permission or access.may_somewhere(user, permission)
        ]
        repository = self.fields["repository"]
        assert isinstance(repository, forms.ModelChoiceField)
        repository.queryset = Repository.objects.visible_to(user)
        self.fields["name"].widget.attrs["class"] = "form-control"
        for name in ("repository", "days"):
            self.fields[name].widget.attrs["class"] = "form-select"


@never_cache
@require_http_methods(["GET", "POST"])
def token_list(request: HttpRequest) -> HttpResponse:
    """One's own tokens (an administrator sees all), and a form for a new one, whose secret is shown this once."""
    user = request.user
    assert isinstance(user, User)
    form = TokenForm(user, request.POST or None)
    made, secret = None, ""
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        made, secret = tokens.create(user, data["name"], data["scopes"], data["repository"], data["days"])
        form = TokenForm(user)
    rows = ApiToken.objects.select_related("user", "repository")
    if not user.is_superuser:
        rows = rows.filter(user=user)
    context = {"form": form, "tokens": rows[:500], "made": made, "secret": secret}
    return render(request, "tokens.html", context, status=422 if form.errors else 200)


@require_POST
def token_revoke(request: HttpRequest, pk: int) -> HttpResponse:
    """End a token: one's own, or any for an administrator."""
    token = get_object_or_404(ApiToken, pk=pk)
    user = request.user
    if token.user_id != user.pk and not (isinstance(user, User) and user.is_superuser):
        return render(request, "404.html", status=404)
    tokens.revoke(token)
    return redirect("token-list")


@require_GET
def api_page(request: HttpRequest) -> HttpResponse:
    """Every operation of the API, as its schema tells it."""
    schema = api.get_openapi_schema()
    operations = [
        {"method": method.upper(), "path": path, **details, "scope": details.get("x-scope", "")}
        for path, methods in schema["paths"].items()
        for method, details in methods.items()
    ]
    return render(request, "api.html", {"operations": operations, "base": request.build_absolute_uri("/")})

"""The people of the site: who they are, what role they have, inviting them; and one's own account."""

from dataclasses import dataclass

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.contrib.auth.models import User
from django.contrib.auth.tokens import default_token_generator
from django.contrib.auth.validators import UnicodeUsernameValidator
from django.contrib.auth.views import PasswordResetConfirmView
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.paginator import Paginator
from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse, reverse_lazy
from django.utils import timezone
from django.utils.encoding import force_bytes
from django.utils.http import urlencode, urlsafe_base64_encode
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from audits.models import Role
from audits.views.pages import wanted_text
from ssot_dash import roles, sessions
from ssot_dash.models import UserSession

PEOPLE_PER_PAGE = 50
MAY = "ssot_dash.manage_people"
BACKEND = "ssot_dash.sign_in.PasswordBackend"
ROLES = {
    "viewer": "reads everything that is public here, and comments",
    "editor": "also starts audits, sends test reports, makes issues, accepts violations, issues IDs",
    "admin": "also adds repositories, sees private ones, edits ID types and policies, invites people",
}


@dataclass(frozen=True, slots=True)
class Person:
    """A row of the page. ``is_fixed``: the reader may not change them."""

    user: User
    role: str
    sessions: int
    is_fixed: bool


@require_GET
@permission_required(MAY, raise_exception=True)
def people_list(request: HttpRequest) -> HttpResponse:
    return _page(request)


def _page(request: HttpRequest, *, status: int = 200, **more: object) -> HttpResponse:
    """The page, with a link that is shown this once, or what was wrong with an invitation."""
    words = wanted_text(request.GET.get("q"))
    alive = Count("sessions", filter=Q(sessions__expire_date__gt=timezone.now()))
    users = User.objects.prefetch_related("groups").annotate(alive=alive).order_by("-is_active", "username")
    if words:
        users = users.filter(Q(username__icontains=words) | Q(email__icontains=words))
    page = Paginator(users, PEOPLE_PER_PAGE).get_page(request.GET.get("page"))

    def query(number: int) -> str:
        return "?" + urlencode({"q": words, "page": str(number)} if words else {"page": str(number)})

    context = {
        "page": page,
        "people": [
            Person(user, roles.role_of(user) or "", getattr(user, "alive", 0), not _may_change(request, user))
            for user in page.object_list
        ],
        "roles": [(role.value, role.label, ROLES[role.value]) for role in Role],
        "words": words,
        "previous_query": query(page.number - 1),
        "next_query": query(page.number + 1),
        **more,
    }
    return render(request, "people.html", context, status=status)


def _may_change(request: HttpRequest, user: User) -> bool:
    """Nobody changes themselves here, and superusers are changed by superusers."""
    by = request.user
    return user.pk != by.pk and ((isinstance(by, User) and by.is_superuser) or not user.is_superuser)


def _person(request: HttpRequest, pk: int) -> User:
    user = get_object_or_404(User, pk=pk)
    if not _may_change(request, user):
        raise PermissionDenied
    request.acted_on = user.username  # type: ignore[attr-defined]
    return user


@never_cache
@require_POST
@permission_required(MAY, raise_exception=True)
def invite(request: HttpRequest) -> HttpResponse:
    """Make an account without a password, and a link by which its owner chooses one. It is shown this once."""
    name, role = wanted_text(request.POST.get("username"), 151), request.POST.get("role", "")
    try:
        UnicodeUsernameValidator()(name)
        if not name or len(name) > 150:
            raise ValidationError("Enter a user name of at most 150 characters.")
        if User.objects.filter(username__iexact=name).exists():
            raise ValidationError(f"There is somebody called “{name}” already.")
        if role not in Role.values:
            raise ValidationError("Choose a role.")
    except ValidationError as error:
        return _page(request, status=422, wrong=" ".join(error.messages), wanted=name, wanted_role=role)
    user = User.objects.create_user(name, wanted_text(request.POST.get("email"), 254))
    roles.give(user, Role(role))
    return _page(request, invited=user, link=_link(request, user))


def _link(request: HttpRequest, user: User) -> str:
    """An address at which somebody chooses a password. It works once, for PASSWORD_RESET_TIMEOUT."""
    key = urlsafe_base64_encode(force_bytes(user.pk))
    return request.build_absolute_uri(
        reverse("invitation", args=[key, default_token_generator.make_token(user)])
    )


@never_cache
@require_POST
@permission_required(MAY, raise_exception=True)
def person_link(request: HttpRequest, pk: int) -> HttpResponse:
    """Another link for somebody who lost theirs, or their password."""
    user = _person(request, pk)
    return _page(request, invited=user, link=_link(request, user))


@require_POST
@permission_required(MAY, raise_exception=True)
def person_role(request: HttpRequest, pk: int) -> HttpResponse:
    user = _person(request, pk)
    role = request.POST.get("role", "")
    if role and role not in Role.values:
        messages.error(request, "Choose a role.")
        return redirect("people")
    roles.give(user, Role(role) if role else None)
    messages.success(request, f"{user.username} is {role or 'without a role'} now.")
    return redirect("people")


@require_POST
@permission_required(MAY, raise_exception=True)
def person_active(request: HttpRequest, pk: int) -> HttpResponse:
    """Let somebody in again (``active`` is 1), or no longer: sessions and tokens end at once."""
    user = _person(request, pk)
    user.is_active = request.POST.get("active") == "1"
    user.save(update_fields=["is_active"])
    if not user.is_active:
        sessions.end_all(user)
    messages.success(request, f"{user.username} is {'active again' if user.is_active else 'deactivated'}.")
    return redirect("people")


@require_POST
@permission_required(MAY, raise_exception=True)
def person_sign_out(request: HttpRequest, pk: int) -> HttpResponse:
    user = _person(request, pk)
    ended = sessions.end_all(user)
    messages.success(
        request, f"{user.username} is signed out: {ended} session{'' if ended == 1 else 's'} ended."
    )
    return redirect("people")


class Invitation(PasswordResetConfirmView):
    """Whoever has the link chooses a password and is signed in."""

    template_name = "registration/invitation.html"
    post_reset_login = True
    post_reset_login_backend = BACKEND
    success_url = reverse_lazy("audits:overview")


# --- One's own account --------------------------------------------------------------------------------------


@never_cache
@require_GET
def account(request: HttpRequest) -> HttpResponse:
    """Where one is signed in, one's role, how one signs in."""
    assert isinstance(request.user, User)
    alive = UserSession.objects.filter(user=request.user, expire_date__gt=timezone.now()).order_by(
        "-began_at"
    )
    context = {
        "sessions": alive[:50],
        "this_session": request.session.session_key,
        "role": roles.role_of(request.user),
        "identities": request.user.identities.all(),
        "oidc_name": settings.SSOT_OIDC_NAME if settings.SSOT_OIDC_ISSUER else "",
    }
    return render(request, "account.html", context)


@require_POST
def sign_out_everywhere(request: HttpRequest) -> HttpResponse:
    """End all of one's sessions except this one."""
    assert isinstance(request.user, User)
    ended = sessions.end_all(request.user, but=request.session.session_key)
    others = (
        "No other session there was."
        if not ended
        else f"{ended} other session{'' if ended == 1 else 's'} ended."
    )
    messages.success(request, others)
    return redirect("account")

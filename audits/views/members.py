"""The members of a repository: who may do what there."""

from dataclasses import dataclass

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_GET, require_POST

from audits import access, members
from audits.models import Role
from audits.views.pages import HtmxHttpRequest, render_page, wanted_text

ROLE_WORDS = {
    Role.VIEWER: "reads everything and comments",
    Role.EDITOR: "also starts audits, sends test reports, makes and edits issues",
    Role.ADMIN: "also edits, deletes and shares the repository",
}


@dataclass(frozen=True, slots=True)
class RoleChoice:
    value: str
    label: str
    words: str


CHOICES = tuple(RoleChoice(role.value, str(role.label), words) for role, words in ROLE_WORDS.items())


@require_GET
@login_required
def member_list(request: HtmxHttpRequest, slug: str) -> HttpResponse:
    """Who is a member. Members see it; who may change it also gets the forms."""
    repository = access.get_repository(request, slug)
    context = {
        "repository": repository,
        "members": repository.memberships.select_related("user"),
        "roles": CHOICES,
    }
    return render_page(request, "audits/member_list.html", context)


@require_POST
def member_put(request: HtmxHttpRequest, slug: str) -> HttpResponse:
    """Make ``user`` (a user name) a member with a ``role``, or give a member another one."""
    repository = access.get_repository(request, slug, "audits.change_membership")
    name, role = wanted_text(request.POST.get("user"), 150), request.POST.get("role", "")
    user = User.objects.filter(username=name, is_active=True).first()
    if user is None or role not in Role.values:
        said = f"There is nobody with the user name “{name}” here." if name else "Enter a user name."
        messages.error(request, said if user is None else "Choose a role.")
        return redirect("audits:member-list", slug)
    try:
        members.put(repository, user, Role(role))
    except members.MemberError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, f"{user.username} is {role} of {repository.name} now.")
    return redirect("audits:member-list", slug)


@require_POST
def member_remove(request: HtmxHttpRequest, slug: str) -> HttpResponse:
    """End the membership of ``user``. Whoever loses sight of the repository by that is sent to the overview."""
    repository = access.get_repository(request, slug, "audits.change_membership")
    user = User.objects.filter(username=wanted_text(request.POST.get("user"), 150)).first()
    if user is not None:
        try:
            members.remove(repository, user)
        except members.MemberError as error:
            messages.error(request, str(error))
        else:
            messages.success(request, f"{user.username} is no longer a member of {repository.name}.")
            if user == request.user and repository.is_private:
                return redirect("audits:overview")
    return redirect("audits:member-list", slug)

"""The roles viewer, editor and admin as Django groups, whose permissions are made anew after each migration.

Who needs another mix makes a group of their own. Superusers stand above: they alone change superusers, look at the
tables of people and groups, and have this host run programs.
"""

from typing import Any

from django.contrib.auth.models import Group, Permission, User
from django.db import transaction

from audits.access import ROLES
from audits.models import Role

# What lets its owner run programs on this host, see docs/running-tests.md.
NOBODYS = {"add_testcommand", "change_testcommand", "delete_testcommand"}
_ABOVE_VIEWERS = {
    "view_private_repository",
    "view_testcommand",
    "view_testexecution",
    "view_activity",
    "view_operations",
}


def _has(role: Role, app: str, codename: str) -> bool:
    """Whether a role has a permission."""
    if app not in {"audits", "ids", "ssot_dash"} or codename in NOBODYS:
        return False
    if role == Role.ADMIN:
        return app != "ssot_dash" or codename in {"view_activity", "manage_people", "view_operations"}
    if codename.startswith("view_"):
        return app != "ssot_dash" and codename not in _ABOVE_VIEWERS
    if role == Role.EDITOR:
        return f"{app}.{codename}" in ROLES[Role.EDITOR] or (
            app == "ids" and codename in {"add_issuedid", "change_issuedid"}
        )
    return False


@transaction.atomic
def ensure(**_: Any) -> None:
    """Make the three groups have the permissions that they should; a receiver of ``post_migrate``."""
    known = list(
        Permission.objects.filter(content_type__app_label__in=["audits", "ids", "ssot_dash"]).values_list(
            "pk", "content_type__app_label", "codename"
        )
    )
    for role in Role:
        group, _made = Group.objects.get_or_create(name=role.value)
        wanted = {pk for pk, app, codename in known if _has(role, app, codename)}
        if set(group.permissions.values_list("pk", flat=True)) != wanted:
            group.permissions.set(wanted)


def role_of(user: User) -> Role | None:
    """The highest role that somebody has everywhere; None without any."""
    names = {group.name for group in user.groups.all()}
    return next((role for role in (Role.ADMIN, Role.EDITOR, Role.VIEWER) if role.value in names), None)


def give(user: User, role: Role | None) -> None:
    """Give somebody this role and no other. Groups that aren't roles stay. Admins may open Django's admin pages."""
    with transaction.atomic():
        user.groups.remove(*Group.objects.filter(name__in=Role.values))
        if role is not None:
            user.groups.add(Group.objects.get(name=role.value))
        user.is_staff = user.is_superuser or role == Role.ADMIN
        user.save(update_fields=["is_staff"])

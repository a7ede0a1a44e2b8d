"""The admin of the ID registry: types are edited with a reason and a history, issued IDs are only looked at."""

from collections.abc import Iterable
from typing import Any, ClassVar, cast

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils.formats import date_format
from django.utils.functional import cached_property
from django.utils.html import format_html
from django.utils.timezone import localtime
from simple_history.admin import SimpleHistoryAdmin

from ids.forms import IDTypeForm, LegacyFormatForm
from ids.models import IDType, IssuedID, LegacyFormat


class HistoryAdmin(SimpleHistoryAdmin):  # type: ignore[misc]
    """Rows with a history, each change in one transaction; an old version is brought back by who may change rows."""

    @transaction.atomic
    def history_form_view(
        self,
        request: HttpRequest,
        object_id: str,
        version_id: str,
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponseBase:
        # The library lets everybody who may look at a version go back to it.
        if request.method == "POST" and not self.has_change_permission(request):
            raise PermissionDenied
        response: HttpResponseBase = super().history_form_view(request, object_id, version_id, extra_context)
        return response


@admin.register(IDType)
class IDTypeAdmin(HistoryAdmin):
    form = IDTypeForm
    list_display = ("value", "member", "status", "owner", "issued", "last_issued")
    list_filter = ("status",)
    search_fields = ("value", "description", "owner")
    readonly_fields = ("member", "issued", "last_issued", "what_uses_it", "created_at", "updated_at")
    object_history_list_template = "ids/idtype_admin_history.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[IDType]:
        return IDType.objects.with_figures()

    def get_readonly_fields(self, request: HttpRequest, obj: IDType | None = None) -> tuple[str, ...]:
        fixed = obj is not None and obj.has_leased
        return ("value", *self.readonly_fields) if fixed else self.readonly_fields

    def get_fieldsets(self, request: HttpRequest, obj: IDType | None = None) -> list[tuple[str | None, Any]]:
        what: dict[str, Any] = {
            "fields": ["value", "description", "status", "format", "owner", "is_tracked", "retention_days"]
        }
        if obj is None:
            return [(None, what), ("Why", {"fields": ["change_reason"]})]
        what["fields"].insert(4, "keep_until")
        if obj.has_leased:
            what["description"] = (
                "IDs of this type were issued. Its value is fixed, and it can't be deleted: deprecate or retire it."
            )
        figures = ["member", "issued", "last_issued", "what_uses_it", "created_at", "updated_at"]
        why = {"fields": ["change_reason", "confirmed"]}
        return [(None, what), ("Use", {"fields": figures}), ("Why", why)]

    def get_form(
        self, request: HttpRequest, obj: IDType | None = None, change: bool = False, **kwargs: Any
    ) -> type[IDTypeForm]:
        form: type[IDTypeForm] = super().get_form(request, obj, change=change, **kwargs)
        form.user = request.user
        return form

    def has_delete_permission(self, request: HttpRequest, obj: IDType | None = None) -> bool:
        return super().has_delete_permission(request, obj) and not (obj is not None and obj.has_leased)

    def get_deleted_objects(
        self, objs: Iterable[IDType], request: HttpRequest
    ) -> tuple[list[Any], dict[str, int], set[str], list[Any]]:
        kept = [str(row) for row in objs if row.has_leased]
        deleted, counts, permissions, protected = super().get_deleted_objects(objs, request)
        return deleted, counts, permissions, [*protected, *kept]

    def save_model(self, request: HttpRequest, obj: IDType, form: IDTypeForm, change: bool) -> None:
        form.save_edit()

    @admin.display(description="what uses it")
    def what_uses_it(self, obj: IDType) -> str:
        return format_html(
            '<a href="{}">What an edit would break</a>', reverse("ids:type-edit", args=[obj.value])
        )

    @admin.display(description="issued", ordering="issued_total")
    def issued(self, obj: Any) -> int:
        return int(obj.issued_total)

    @admin.display(description="last issued", ordering="last_issued_at")
    def last_issued(self, obj: Any) -> str:
        moment = obj.last_issued_at
        return date_format(localtime(moment), "DATETIME_FORMAT") if moment else "never"


@admin.register(LegacyFormat)
class LegacyFormatAdmin(HistoryAdmin):
    form = LegacyFormatForm
    list_display = ("name", "type", "sunset")
    list_filter = ("type",)
    list_select_related = ("type",)
    search_fields = ("name", "pattern", "note")
    readonly_fields = ("created_at", "updated_at")
    object_history_list_template = "ids/idtype_admin_history.html"
    fieldsets = [
        (None, {"fields": ["name", "type", "pattern", "example", "sunset", "note"]}),
        ("Why", {"fields": ["change_reason"]}),
    ]

    def save_model(self, request: HttpRequest, obj: LegacyFormat, form: Any, change: bool) -> None:
        form.save_edit()


class BoundedPaginator(Paginator):  # type: ignore[type-arg]
    """Counts no further than it would ever show, because counting all issued IDs reads all of them."""

    MOST: ClassVar[int] = 10_000

    @cached_property
    def count(self) -> int:
        return cast(QuerySet[IssuedID], self.object_list)[: self.MOST].count()


@admin.register(IssuedID)
class IssuedIDAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Issued IDs are written by ``ids.minting`` only."""

    list_display = ("id", "type", "counter", "prefix", "state", "issued_at")
    list_filter = ("type",)
    list_select_related = ("type",)
    list_per_page = 50
    # along the index of the newest IDs of each type
    ordering = ("type_id", "-issued_at")
    sortable_by = ()
    search_fields = ("id__exact",)
    search_help_text = "A whole ID."
    show_full_result_count = False
    paginator = BoundedPaginator

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: IssuedID | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: IssuedID | None = None) -> bool:
        return False

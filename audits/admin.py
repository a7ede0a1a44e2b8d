"""The admin of the audit side: repositories are edited as on their pages, audits are only looked at."""

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest

from audits import access, tasks
from audits.forms import RepositoryForm
from audits.models import Audit, Repository, Violation


@admin.register(Repository)
class RepositoryAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    form = RepositoryForm
    list_display = (
        "name",
        "location",
        "branch",
        "schedule",
        "next_audit_at",
        "current_audit",
        "open_violations",
    )
    list_filter = ("schedule", "is_sample")
    list_select_related = ("current_audit", "policy")
    search_fields = ("name", "location")
    readonly_fields = (
        "slug",
        "is_sample",
        "policy",
        "current_audit",
        "next_audit_at",
        "created_at",
        "open_violations",
    )
    fieldsets = (
        (None, {"fields": ("name", "location", "branch", "schedule", "is_private")}),
        ("Kept by the site", {"fields": readonly_fields}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Repository]:
        # for itself in each row: to join and group would repeat the repository for each violation
        mine = Violation.objects.counting().filter(repository=OuterRef("pk")).order_by().values("repository")
        count = Coalesce(Subquery(mine.values(count=Count("*"))), 0)
        return Repository.objects.visible_to(request.user).annotate(open_count=count)

    @admin.display(ordering="open_count")
    def open_violations(self, repository: Repository) -> int:
        return int(getattr(repository, "open_count", 0))

    def get_deleted_objects(
        self, objs: QuerySet[Repository] | Sequence[Repository], request: HttpRequest
    ) -> tuple[list[str], dict[str, int], set[str], list[str]]:
        # Django would load and list every row; there can be millions.
        chosen = [repository.pk for repository in objs]
        model_counts = {
            "repositories": len(chosen),
            "audits": Audit.objects.filter(repository__in=chosen).count(),
            "violations": Violation.objects.filter(repository__in=chosen).count(),
        }
        lacking = set() if self.has_delete_permission(request) else {"repository"}
        return [str(repository) for repository in objs], model_counts, lacking, []

    def delete_model(self, request: HttpRequest, obj: Repository) -> None:
        tasks.remove(obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Repository]) -> None:
        for repository in queryset:
            tasks.remove(repository)


@admin.register(Audit)
class AuditAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = (
        "id",
        "repository",
        "state",
        "trigger",
        "commit",
        "findings_count",
        "problems_count",
        "attempts",
        "queued_at",
        "finished_at",
    )
    list_filter = ("state", "trigger")
    list_select_related = ("repository",)
    search_fields = ("repository__name", "commit_sha", "commit_subject", "error_code", "error_message")
    exclude = ("lease_token",)
    show_full_result_count = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Audit]:
        return access.visible(request.user, super().get_queryset(request))

    @admin.display(ordering="commit_time")
    def commit(self, audit: Audit) -> str:
        return audit.commit_sha[:9] or audit.rev

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

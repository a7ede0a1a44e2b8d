"""Pages and actions of the audit side."""

from django.urls import path

from audits.views import actions, audits, histories, overview, repositories, violations

app_name = "audits"
urlpatterns = [
    path("", overview.overview, name="overview"),
    path("add-repository/", repositories.repository_add, name="repository-add"),
    path("repositories/<slug:slug>/", repositories.repository_detail, name="repository-detail"),
    path("repositories/<slug:slug>/edit/", repositories.repository_edit, name="repository-edit"),
    path("repositories/<slug:slug>/delete/", actions.repository_delete, name="repository-delete"),
    path("repositories/<slug:slug>/audit/", actions.audit_now, name="audit-now"),
    path("repositories/<slug:slug>/violations/", violations.violation_list, name="violation-list"),
    path("repositories/<slug:slug>/history/", histories.history, name="history"),
    path("repositories/<slug:slug>/history/audit/", histories.audit_history, name="audit-history"),
    path("repositories/<slug:slug>/hot-spots/", histories.hot_spots, name="hot-spots"),
    path("repositories/<slug:slug>/commits/<str:sha>/", histories.commit_detail, name="commit-detail"),
    path("violations/<int:pk>/", violations.violation_detail, name="violation-detail"),
    path("audits/", audits.audit_list, name="audit-list"),
    path("audits/<int:pk>/", audits.audit_detail, name="audit-detail"),
    path("audits/<int:pk>/cancel/", actions.audit_cancel, name="audit-cancel"),
    path("audits/<int:pk>/retry/", actions.audit_retry, name="audit-retry"),
]

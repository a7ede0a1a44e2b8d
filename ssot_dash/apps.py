"""The site as a Django app. Importing this module makes the Celery application current, as ``shared_task`` needs."""

from django.apps import AppConfig, apps
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.db.models.signals import post_migrate, post_save

from ssot_dash.celery import app as celery_app

__all__ = ["SsotDashConfig", "celery_app"]


class SsotDashConfig(AppConfig):
    name = "ssot_dash"
    verbose_name = "SSOT Dash"

    def ready(self) -> None:
        from audits import removing  # noqa: PLC0415
        from ssot_dash import activity, roles, sessions, sign_in, tokens  # noqa: PLC0415 - models can be imported only now

        # The last of the site's apps, whose permissions are made last.
        post_migrate.connect(roles.ensure, sender=apps.get_app_config("audits"), dispatch_uid="roles")
        user_logged_in.connect(sessions.began, dispatch_uid="sessions")
        user_logged_in.connect(sign_in.succeeded, dispatch_uid="sign-in")
        user_login_failed.connect(sign_in.failed, dispatch_uid="sign-in-failed")
        user_logged_out.connect(sign_in.left, dispatch_uid="sign-out")
        post_save.connect(activity.admin_wrote, sender="admin.LogEntry", dispatch_uid="admin-wrote")
        removing.removed.connect(tokens.repository_removed, dispatch_uid="repository-removed")

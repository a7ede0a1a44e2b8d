"""The site's settings for a drill: what takes ten seconds in service takes two, so that a case ends while one waits."""

import os

from ssot_dash.settings import *  # noqa: F403
from ssot_dash.settings import CELERY_BEAT_SCHEDULE, CELERY_TASK_SOFT_TIME_LIMIT

TICK_SECONDS = 2
CELERY_BEAT_SCHEDULE["dispatch-what-is-due"] |= {
    "schedule": float(TICK_SECONDS),
    "options": {"expires": TICK_SECONDS},
}
# In service a minute lies between the limit that a task is told of and the one that ends it.
CELERY_TASK_TIME_LIMIT = CELERY_TASK_SOFT_TIME_LIMIT + 6

# By itself Python takes another directory when this one is full, and a drill wants to see the disk full.
FILE_UPLOAD_TEMP_DIR = os.environ.get("TMPDIR")

# Pages are rendered without a collectstatic run before.
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
WHITENOISE_AUTOREFRESH = True
WHITENOISE_USE_FINDERS = True
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # nobody has a password here

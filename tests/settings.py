"""The site's settings with what would only slow tests down taken out."""

import os

from ssot_dash.settings import *  # noqa: F403
from ssot_dash.settings import CELERY_BROKER_URL

# pytest-xdist's workers share the broker that was started for the tests, with a number of their own in it.
if (worker := os.environ.get("PYTEST_XDIST_WORKER")) and CELERY_BROKER_URL.startswith("redis+socket://"):
    CELERY_BROKER_URL = f"{CELERY_BROKER_URL}?virtual_host={1 + int(worker.removeprefix('gw'))}"

# Hashing a password slowly on purpose would be most of a page test's time.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

# Pages are rendered without a collectstatic run before.
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
WHITENOISE_AUTOREFRESH = True
WHITENOISE_USE_FINDERS = True

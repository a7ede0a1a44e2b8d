"""The site's settings with what would only slow tests down taken out."""

import os

# pytest-xdist's workers share the broker that was started for the tests, with queues each. (A database of
# their own, by the URL's virtual_host, would not do: Celery's worker forgets it on a socket, though clients don't.)
if worker := os.environ.get("PYTEST_XDIST_WORKER"):
    os.environ["SSOT_QUEUE_PREFIX"] = f"{worker}-"

from ssot_dash.settings import *  # noqa: F403 - they read the environment
from ssot_dash.settings import DATABASES

# Each worker's database is a copy of one that is migrated already (tests/conftest.py).
if template := os.environ.get("SSOT_TEST_TEMPLATE"):
    DATABASES["default"].setdefault("TEST", {})["TEMPLATE"] = template

# Hashing a password slowly on purpose would be most of a page test's time.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

# Pages are rendered without a collectstatic run before.
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
WHITENOISE_AUTOREFRESH = True
WHITENOISE_USE_FINDERS = True

# Counts of use stay in memory until a test writes them: a thread would write into the middle of other tests.
SSOT_METRICS_FLUSH_SECONDS = int(os.environ.get("SSOT_METRICS_FLUSH_SECONDS", "0"))

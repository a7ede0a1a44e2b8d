"""One settings file, driven by environment variables, safe when none is set.

``manage.py up`` sets ``DATABASE_URL`` and ``BROKER_URL`` to the embedded servers; an operator sets them to their own.
"""

import os
import secrets
from pathlib import Path

import dj_database_url
from csp.constants import NONCE, NONE, SELF
from django.core.exceptions import ImproperlyConfigured

from ssot_dash.embedded import data

BASE_DIR = Path(__file__).resolve().parent.parent


def env_bool(name: str, default: bool = False) -> bool:
    value = os.environ.get(name, "").strip().lower()
    if value in {"", "0", "false", "no", "off"}:
        return default and not value
    if value in {"1", "true", "yes", "on"}:
        return True
    raise ImproperlyConfigured(f"{name}: expected 1 or 0, got {value!r}.")


def env_int(name: str, default: int) -> int:
    value = os.environ.get(name, "").strip()
    try:
        number = int(value) if value else default
    except ValueError:
        raise ImproperlyConfigured(f"{name}: expected a whole number, got {value!r}.") from None
    if number < 0:
        raise ImproperlyConfigured(f"{name}: expected 0 or more, got {number}.")
    return number


def env_list(name: str, default: str = "") -> list[str]:
    return [item.strip() for item in os.environ.get(name, default).split(",") if item.strip()]


def env_secret(name: str, file: Path) -> str:
    """The secret from the environment, else from ``file``, made on first need and readable by its owner only."""
    if value := os.environ.get(name):
        return value
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return file.read_text().strip()
    value = secrets.token_urlsafe(50)
    with os.fdopen(handle, "w") as out:
        out.write(value)
    return value


# Everything that the site writes besides the database: secret, embedded servers, clones.
DATA_DIR = data.configured(os.environ)

DEBUG = env_bool("DEBUG")
SECRET_KEY = env_secret("SECRET_KEY", DATA_DIR / "secret_key")
ALLOWED_HOSTS = env_list("ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]")
CSRF_TRUSTED_ORIGINS = env_list("CSRF_TRUSTED_ORIGINS")

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.postgres",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "csp",
    "django_htmx",
    "simple_history",
    "template_partials.apps.SimpleAppConfig",
    "ssot_dash",
    "ids",
    "audits",
]

MIDDLEWARE = [
    "ssot_dash.logs.request_id",
    # Before everything: probes ask by address, without TLS, and whatever else is ill.
    "ssot_dash.monitoring.probes",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "ssot_dash.middleware.ContentSecurityPolicy",
    # Before anything that reads forms, which the one against forged requests does.
    "ssot_dash.middleware.refuse_large_requests",
    "ssot_dash.middleware.refuse_nul_in_addresses",
    "ssot_dash.middleware.Sessions",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "ssot_dash.middleware.SignedIn",
    # Every view needs a signed-in user unless it says otherwise with @login_not_required.
    "ssot_dash.middleware.SignInRequired",
    "ssot_dash.middleware.Messages",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "ssot_dash.middleware.htmx_sign_in",
    "simple_history.middleware.HistoryRequestMiddleware",
    "ssot_dash.activity.recorder",
]

ROOT_URLCONF = "ssot_dash.urls"
WSGI_APPLICATION = "ssot_dash.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "ssot_dash.context_processors.permissions",
                "ssot_dash.context_processors.csp_nonce",
                "ssot_dash.context_processors.version",
            ],
            "builtins": ["template_partials.templatetags.partials", "ssot_dash.templatetags.ui"],
            "loaders": [
                (
                    "template_partials.loader.Loader",
                    [
                        (
                            "django.template.loaders.cached.Loader",
                            [
                                "django.template.loaders.filesystem.Loader",
                                "django.template.loaders.app_directories.Loader",
                            ],
                        )
                    ],
                )
            ],
        },
    }
]

DATABASES = {
    "default": dj_database_url.parse(
        os.environ.get("DATABASE_URL") or "postgresql:///ssot_dash", conn_max_age=60, conn_health_checks=True
    )
}
if DATABASES["default"]["HOST"]:
    # Over a network: whoever is cut off notices within half a minute, on both sides. Else a transaction of a host that
    # is gone would hold its locks for hours, and another one's attempt would wait for them.
    DATABASES["default"]["OPTIONS"] = {
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 30_000,
        "options": "-c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3"
        " -c tcp_user_timeout=30000",
        **DATABASES["default"].get("OPTIONS", {}),
    }
# Statements of each request are planned once for a connection. Off: behind a pooler that knows no prepared ones.
SSOT_PREPARED_STATEMENTS = env_bool("SSOT_PREPARED_STATEMENTS", True)
# Long answers are read from the database bit by bit. Off: behind a pooler whose sessions change between transactions.
SSOT_SERVER_SIDE_CURSORS = env_bool("SSOT_SERVER_SIDE_CURSORS", True)
DATABASES["default"]["DISABLE_SERVER_SIDE_CURSORS"] = not SSOT_SERVER_SIDE_CURSORS
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

_VALIDATION = "django.contrib.auth.password_validation"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"{_VALIDATION}.UserAttributeSimilarityValidator"},
    {
        "NAME": f"{_VALIDATION}.MinimumLengthValidator",
        "OPTIONS": {"min_length": env_int("SSOT_PASSWORD_LENGTH", 10)},
    },
    {"NAME": f"{_VALIDATION}.CommonPasswordValidator"},
    {"NAME": f"{_VALIDATION}.NumericPasswordValidator"},
]
AUTHENTICATION_BACKENDS = [
    "ssot_dash.sign_in.PasswordBackend",
    "audits.access.RepositoryBackend",
]

# --- Who comes in, and how (docs/people.md) -------------------------------------------------------------------------
# Addresses or networks whose X-Forwarded-For and user header are believed; "unix" is a proxy on a unix socket.
SSOT_PROXIES = env_list("SSOT_PROXIES")
SSOT_OPEN_READING = env_bool("SSOT_OPEN_READING")  # whoever reaches the site may read what is public on it
SSOT_SIGN_IN_SECONDS = env_int("SSOT_SIGN_IN_SECONDS", 900)  # over which wrong passwords are counted
SSOT_SIGN_IN_TRIES = env_int("SSOT_SIGN_IN_TRIES", 5)  # of one user name from one address
SSOT_SIGN_IN_TRIES_OF_ADDRESS = env_int("SSOT_SIGN_IN_TRIES_OF_ADDRESS", 50)  # with any user names
SSOT_SIGN_IN_TRIES_OF_USER = env_int(
    "SSOT_SIGN_IN_TRIES_OF_USER", 100
)  # from addresses that are not known as theirs
SSOT_SESSION_HOURS = env_int("SSOT_SESSION_HOURS", 24 * 14)  # after which a browser has to sign in again
# Single sign-on with OpenID Connect: off without an issuer.
SSOT_OIDC_ISSUER = os.environ.get("SSOT_OIDC_ISSUER", "").rstrip("/")
SSOT_OIDC_CLIENT_ID = os.environ.get("SSOT_OIDC_CLIENT_ID", "")
SSOT_OIDC_CLIENT_SECRET = os.environ.get("SSOT_OIDC_CLIENT_SECRET", "")
SSOT_OIDC_NAME = os.environ.get("SSOT_OIDC_NAME", "single sign-on")  # on the button
# The header in which a proxy of SSOT_PROXIES says who is signed in, such as X-Remote-User. Off when empty.
SSOT_USER_HEADER = os.environ.get("SSOT_USER_HEADER", "")
# The role of people whom the provider or the proxy brings for the first time; "none": only who was invited comes in.
SSOT_NEW_PEOPLE_ROLE = os.environ.get("SSOT_NEW_PEOPLE_ROLE", "viewer")
if SSOT_USER_HEADER:
    MIDDLEWARE.insert(
        MIDDLEWARE.index("ssot_dash.middleware.SignInRequired"), "ssot_dash.middleware.UserOfProxy"
    )
    AUTHENTICATION_BACKENDS.append("ssot_dash.newcomers.ProxyBackend")
SESSION_ENGINE = "ssot_dash.sessions"
SESSION_COOKIE_AGE = SSOT_SESSION_HOURS * 3600
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "audits:overview"
LOGOUT_REDIRECT_URL = "login"

LANGUAGE_CODE = "en-gb"
TIME_ZONE = "UTC"
USE_TZ = True

STATIC_URL = "static/"
STATIC_ROOT = DATA_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}

# Behind TLS: SSOT_TLS=1 makes cookies secure, redirects to https and trusts the proxy's X-Forwarded-Proto.
TLS = env_bool("SSOT_TLS")
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = TLS
SECURE_HSTS_SECONDS = 31_536_000 if TLS else 0
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if TLS else None
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "script-src": [SELF, NONCE],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "object-src": [NONE],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
        "form-action": [SELF],
    }
}

# --- Notices: where links lead, and who sends e-mail ----------------------------------------------------------------
SSOT_BASE_URL = os.environ.get("SSOT_BASE_URL", "http://localhost:8000").rstrip("/")
# host or host:port with an internal address that notices may be sent to
SSOT_WEBHOOK_HOSTS = env_list("SSOT_WEBHOOK_HOSTS")
EMAIL_HOST = os.environ.get("EMAIL_HOST", "")  # empty: no e-mail
EMAIL_PORT = env_int("EMAIL_PORT", 587)
EMAIL_HOST_USER = os.environ.get("EMAIL_HOST_USER", "")
EMAIL_HOST_PASSWORD = os.environ.get("EMAIL_HOST_PASSWORD", "")
EMAIL_USE_TLS = env_bool("EMAIL_USE_TLS", True)
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = os.environ.get("DEFAULT_FROM_EMAIL", "ssot-dash@localhost")

# --- Celery: PostgreSQL rows are the truth, messages only carry a row id, so results are not kept -----------------
CELERY_BROKER_URL = os.environ.get("BROKER_URL") or "redis://localhost:6379/0"
# Work of different length waits in queues of its own, so that workers can be had for each (docs/operations.md).
SSOT_QUEUE_PREFIX = os.environ.get("SSOT_QUEUE_PREFIX", "")  # where several sites share one broker
_TASKS_OF_QUEUES = {
    "audits": (
        "audits.tasks.run_audit",
        "audits.tasks.answer_inquiry",
        "audits.tasks.keep_up",
        "audits.tasks.finish_removal",
    ),
    "parsing": ("audits.tasks.parse_facts",),
    "tests": (
        "audits.tasks.read_test_run",
        "audits.tasks.collect_test_runs",
        "audits.tasks.execute_tests",
    ),
    "notices": ("audits.tasks.send_notices",),
    "default": (),  # everything else: the scheduler's ticks, cleaning up
}
CELERY_TASK_QUEUES = {
    SSOT_QUEUE_PREFIX + name: {"routing_key": SSOT_QUEUE_PREFIX + name} for name in _TASKS_OF_QUEUES
}
CELERY_TASK_ROUTES = {
    task: {"queue": SSOT_QUEUE_PREFIX + name} for name, tasks in _TASKS_OF_QUEUES.items() for task in tasks
}
CELERY_TASK_DEFAULT_QUEUE = SSOT_QUEUE_PREFIX + "default"
CELERY_TASK_CREATE_MISSING_QUEUES = False  # a worker of a queue that there isn't would wait for ever
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_MAX_TASKS_PER_CHILD = 50
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = False
# soft limit < hard limit < visibility timeout, so that a task never runs beside itself
SSOT_AUDIT_SECONDS = env_int("SSOT_AUDIT_SECONDS", 840)
CELERY_TASK_SOFT_TIME_LIMIT = SSOT_AUDIT_SECONDS
CELERY_TASK_TIME_LIMIT = SSOT_AUDIT_SECONDS + 60
CELERY_BROKER_CONNECTION_TIMEOUT = 3
# Whoever clicks gets an answer though the broker is away: by default kombu tries for six seconds.
CELERY_BROKER_TRANSPORT_OPTIONS: dict[str, object] = {
    "max_retries": 1,
    "interval_start": 0,
    "interval_step": 0.2,
    "interval_max": 0.2,
}
if CELERY_BROKER_URL.startswith(("amqp", "pyamqp")):
    # RabbitMQ takes a message back when its consumer's connection ends; heartbeats notice a link that was cut.
    CELERY_BROKER_TRANSPORT_OPTIONS |= {"confirm_publish": True}
    CELERY_BROKER_HEARTBEAT = 30
else:
    CELERY_BROKER_TRANSPORT_OPTIONS |= {
        "visibility_timeout": SSOT_AUDIT_SECONDS + 360,
        "socket_connect_timeout": 3,
        "socket_keepalive": True,
        "unacked_restore_interval": 10,
        "unacked_restore_throttle": 1,
    }
CELERY_TIMEZONE = "UTC"
CELERY_WORKER_HIJACK_ROOT_LOGGER = False  # the site's own logging, below, holds for workers as well
CELERY_BEAT_SCHEDULE_FILENAME = str(DATA_DIR / "beat-schedule")
CELERY_BEAT_SCHEDULE = {
    "dispatch-what-is-due": {
        "task": "audits.tasks.dispatch_due",
        "schedule": 10.0,
        "options": {"expires": 10},  # while all workers are busy, ticks must not pile up
    },
    "purge-metrics": {
        "task": "ids.tasks.purge_metrics",
        "schedule": 1800.0,
        "options": {"expires": 1800},
    },
    "purge-idempotency-keys": {
        "task": "ids.tasks.purge_keys",
        "schedule": 3600.0,
        "options": {"expires": 3600},
    },
    "purge-old": {
        "task": "ssot_dash.tasks.purge_old",
        "schedule": 3600.0,
        "options": {"expires": 3600},
    },
}

# --- Audits: every limit of the ledger and of fetching -------------------------------------------------------------
SSOT_MAX_ATTEMPTS = env_int("SSOT_MAX_ATTEMPTS", 3)  # of one audit, when workers die
# without a sign of life, before an audit is taken back
SSOT_LEASE_SECONDS = env_int("SSOT_LEASE_SECONDS", 60)
SSOT_PULSE_SECONDS = env_int("SSOT_PULSE_SECONDS", 1)  # between two signs of life, which also show progress
SSOT_REDISPATCH_SECONDS = env_int("SSOT_REDISPATCH_SECONDS", 60)  # before a message counts as lost
SSOT_REDISPATCH_BATCH = env_int("SSOT_REDISPATCH_BATCH", 50)  # of overdue messages at a time
SSOT_PARSE_PROCESSES = env_int("SSOT_PARSE_PROCESSES", 0)  # of one audit or history; 0: one a core
SSOT_SHARE_FILES = env_int("SSOT_SHARE_FILES", 5_000)  # from so many on, other hosts help to parse them
SSOT_SHARE_HELPERS = env_int("SSOT_SHARE_HELPERS", 8)  # processes that may help one audit
SSOT_MAX_FINDINGS = env_int("SSOT_MAX_FINDINGS", 100_000)  # of one audit
SSOT_TEST_REPORT_BYTES = env_int("SSOT_TEST_REPORT_BYTES", 30 * 1024**2)  # of one report of tests
SSOT_TEST_REPORT_CASES = env_int("SSOT_TEST_REPORT_CASES", 250_000)  # in one report of tests
# Running tests of audited repositories is off: their code would run on this host (docs/running-tests.md).
SSOT_TEST_RUNNER = env_bool("SSOT_TEST_RUNNER")
SSOT_TEST_RUNNER_USER = os.environ.get("SSOT_TEST_RUNNER_USER", "nobody")  # whom the tests run as
SSOT_TEST_RUNNER_SECONDS = env_int(
    "SSOT_TEST_RUNNER_SECONDS", 700
)  # the most that a repository's tests may take
# the most that a checkout may hold
SSOT_TEST_RUNNER_BYTES = env_int("SSOT_TEST_RUNNER_BYTES", 2 * 1024**3)
# directories below which local repositories may be audited
SSOT_LOCAL_ROOTS = env_list("SSOT_LOCAL_ROOTS", "/")
# host or host:port with an internal address that may be fetched from
SSOT_GIT_HOSTS = env_list("SSOT_GIT_HOSTS")
SSOT_GIT_CA_FILE = os.environ.get("SSOT_GIT_CA_FILE", "")  # certificates to trust besides the system's
SSOT_FETCH_SECONDS = env_int("SSOT_FETCH_SECONDS", 600)
SSOT_FETCH_IDLE_SECONDS = env_int("SSOT_FETCH_IDLE_SECONDS", 60)  # while the server sends nothing
SSOT_FETCH_BYTES = env_int("SSOT_FETCH_BYTES", 2 * 1024**3)  # received, and of the largest file written
# address space of the fetching process
SSOT_FETCH_MEMORY_BYTES = env_int("SSOT_FETCH_MEMORY_BYTES", 4 * 1024**3)
SSOT_FETCH_REFS = env_int("SSOT_FETCH_REFS", 20_000)  # branches and tags

# --- Metrics: how often the counts of a process are written down, and for how long the sums are kept -----------------
SSOT_METRICS_FLUSH_SECONDS = env_int("SSOT_METRICS_FLUSH_SECONDS", 1)  # 0: only where code asks for it
SSOT_METRICS_MINUTE_DAYS = env_int("SSOT_METRICS_MINUTE_DAYS", 1)
SSOT_METRICS_HOUR_DAYS = env_int("SSOT_METRICS_HOUR_DAYS", 31)
SSOT_METRICS_DAY_DAYS = env_int("SSOT_METRICS_DAY_DAYS", 1100)
# Hours between two purges of the records of IDs whose type's retention is over. 0: nothing is deleted by itself.
SSOT_PURGE_HOURS = env_int("SSOT_PURGE_HOURS", 0)
if SSOT_PURGE_HOURS > 0:
    CELERY_BEAT_SCHEDULE["purge-ids"] = {
        "task": "ids.tasks.purge_ids",
        "schedule": SSOT_PURGE_HOURS * 3600.0,
        "options": {"expires": 3600},
    }

# --- What is deleted once it is old, in days; 0 keeps it for ever ---------------------------------------------------
SSOT_KEEP_RESULT_DAYS = env_int(
    "SSOT_KEEP_RESULT_DAYS", 0
)  # results of test runs; the runs and their counts stay
SSOT_KEEP_REPORT_DAYS = env_int("SSOT_KEEP_REPORT_DAYS", 0)  # test reports as received; their results stay
SSOT_KEEP_DELIVERY_DAYS = env_int("SSOT_KEEP_DELIVERY_DAYS", 90)  # notices that were delivered or given up

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {
        "about": {"()": "ssot_dash.logs.AboutFilter"},
        "no-probes": {"()": "ssot_dash.logs.NoProbes"},
    },
    "formatters": {
        "line": {"format": "{asctime} {levelname} {name}:{about_words} {message}", "style": "{"},
        "json": {"()": "ssot_dash.logs.JsonFormatter"},
    },
    "handlers": {
        "console": {
            "class": "logging.StreamHandler",
            "filters": ["about"],
            "formatter": "json" if os.environ.get("LOG_FORMAT") == "json" else "line",
        }
    },
    "loggers": {"django.request": {"filters": ["no-probes"]}},
    "root": {"handlers": ["console"], "level": os.environ.get("LOG_LEVEL", "INFO")},
}

"""All settings; the one place that reads the environment. ``.env.example`` describes each variable."""

from __future__ import annotations

import os
from pathlib import Path

import environ
from botocore.config import Config
from django.core.exceptions import ImproperlyConfigured

BASE_DIR = Path(__file__).resolve().parent.parent

env = environ.Env()
env.read_env(Path(os.environ.get("ENV_FILE", BASE_DIR / ".env")))

# --- Django

DEBUG: bool = env.bool("DEBUG", default=False)
SECRET_KEY: str = env("SECRET_KEY")
if not DEBUG and SECRET_KEY.startswith("development-"):
    raise ImproperlyConfigured(
        "SECRET_KEY is the one for development. Set DEBUG=on or a key of your own."
    )
ALLOWED_HOSTS: list[str] = env.list("ALLOWED_HOSTS", default=[])
CSRF_TRUSTED_ORIGINS: list[str] = env.list("CSRF_TRUSTED_ORIGINS", default=[])
BASE_URL: str = env("BASE_URL", default="http://127.0.0.1:8000").rstrip("/")
RELEASE: str = env("RELEASE", default="")

SANDBOX: bool = env.bool("SANDBOX", default=False)
if SANDBOX and not DEBUG:
    raise ImproperlyConfigured(
        "SANDBOX=on is for development: the local AWS does not run with DEBUG off."
    )

INSTALLED_APPS = [
    "unfold",
    # Without autodiscovery: urls.py does it, so that consumers do not load an admin they never show.
    "django.contrib.admin.apps.SimpleAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "notifier",
    "orders",
    "queues",
    "emails",
]
if SANDBOX:
    INSTALLED_APPS.append("sandbox")

MIDDLEWARE = [
    "notifier.health.probes",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "notifier.middleware.no_nul",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "notifier.middleware.DatabaseAway",
]
ROOT_URLCONF = "notifier.urls"
WSGI_APPLICATION = "notifier.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
    {
        "NAME": "handlebars",
        "BACKEND": "emails.handlebars.HandlebarsTemplates",
        "DIRS": [BASE_DIR / "templates" / "emails"],
        "APP_DIRS": False,
        "OPTIONS": {"strict": True, "builtins": "emails.template_helpers"},
    },
]

DATABASES = {"default": env.db("DATABASE_URL", default=f"sqlite:///{BASE_DIR / 'db.sqlite3'}")}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    # IMMEDIATE: a transaction that reads first and writes later would get "database is locked" at once,
    # whatever the timeout.
    DATABASES["default"]["OPTIONS"] = {
        "timeout": 20,
        "transaction_mode": "IMMEDIATE",
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
    }
else:
    DATABASES["default"]["CONN_MAX_AGE"] = 60
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
    # A host that is gone does not even refuse: without this a request would wait for minutes.
    DATABASES["default"].setdefault("OPTIONS", {}).setdefault("connect_timeout", 5)
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
# Unfold's log-in page does not say where to go next.
LANGUAGE_CODE = "en"
LOGIN_REDIRECT_URL = "admin:index"
TIME_ZONE: str = env("TIME_ZONE", default="UTC")
USE_TZ = True
FORMAT_MODULE_PATH = "notifier.formats"

STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}

X_FRAME_OPTIONS = "SAMEORIGIN"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = not DEBUG
SECURE_HSTS_SECONDS = 0 if DEBUG else 31_536_000
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = not DEBUG
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

# --- AWS

AWS_REGION: str = env("AWS_REGION", default="eu-west-1")
AWS_ENDPOINT_URL: str | None = env("AWS_ENDPOINT_URL", default=None)

# --- Queues: alias → name or URL. A type of event names its alias, see queues/events.py.

QUEUES: dict[str, str] = {
    "orders": env("QUEUE_ORDERS", default="notifier-orders"),
    "transactions": env("QUEUE_TRANSACTIONS", default="notifier-transactions.fifo"),
}
QUEUE_MAX_RECEIVE_COUNT: int = env.int("QUEUE_MAX_RECEIVE_COUNT", default=5)
QUEUE_VISIBILITY_SECONDS: int = env.int("QUEUE_VISIBILITY_SECONDS", default=90)
QUEUE_WAIT_SECONDS: int = env.int("QUEUE_WAIT_SECONDS", default=10)
RETRY_BASE_SECONDS: int = env.int("RETRY_BASE_SECONDS", default=5)
RETRY_MAX_SECONDS: int = env.int("RETRY_MAX_SECONDS", default=900)
OUTBOX_PUBLISH_ON_COMMIT: bool = env.bool("OUTBOX_PUBLISH_ON_COMMIT", default=True)
SWEEP_SECONDS: int = env.int("SWEEP_SECONDS", default=30)
OUTBOX_STALE_SECONDS: int = env.int("OUTBOX_STALE_SECONDS", default=600)
FIFO_POISON: str = env("FIFO_POISON", default="skip")
KEEP_DAYS: int = env.int("KEEP_DAYS", default=90)
DEAD_LETTER_COLLECT: bool = env.bool("DEAD_LETTER_COLLECT", default=True)
LAMBDA_QUEUES: list[str] = env.list("LAMBDA_QUEUES", default=[])
SQS_CLIENT: str = env("SQS_CLIENT", default="boto3")
FAILPOINTS: str = env("FAILPOINTS", default="")

# --- Email, through django-ses

EMAIL_BACKEND = "django_ses.SESBackend"
SES_FROM_EMAIL: str = env("SES_FROM_EMAIL", default="")
DEFAULT_FROM_EMAIL = SERVER_EMAIL = SES_FROM_EMAIL or "notifier@localhost"
SES_CONFIGURATION_SET: str = env("SES_CONFIGURATION_SET", default="")
SES_EVENTS_TOPIC: str = env("SES_EVENTS_TOPIC", default="")
if SES_EVENTS_TOPIC:
    QUEUES["ses-events"] = env("QUEUE_SES_EVENTS", default="notifier-ses-events")
SES_WEBHOOK_TOPICS: list[str] = env.list("SES_WEBHOOK_TOPICS", default=[])
# Who is told by email when a person is needed, and by which SNS topic.
ADMINS = [(address, address) for address in env.list("ADMINS", default=[])]
EMAIL_SUBJECT_PREFIX = "[Notifier] "
ALERTS_TOPIC: str = env("ALERTS_TOPIC", default="")
USE_SES_V2: bool = env.bool("USE_SES_V2", default=False)
SES_CLIENT: str = env("SES_CLIENT", default="boto3")
# 0: as SES says.
SES_MAX_SEND_RATE: float = env.float("SES_MAX_SEND_RATE", default=0.0)
# How long a claim on an email stands; emails.checks knows what it must be longer and shorter than.
LEASE_SECONDS: int = env.int("LEASE_SECONDS", default=60)
BREAKER_PROBE_SECONDS: int = env.int("BREAKER_PROBE_SECONDS", default=0)
IN_DOUBT: str = env("IN_DOUBT", default="park")
DOUBT_GRACE_SECONDS: int = env.int("DOUBT_GRACE_SECONDS", default=900)
DOUBT_DISTANCE_SECONDS: int = env.int("DOUBT_DISTANCE_SECONDS", default=450)
DOUBT_DRAIN_SECONDS: int = env.int("DOUBT_DRAIN_SECONDS", default=450)
JOURNAL_DIR: str = env("JOURNAL_DIR", default=str(BASE_DIR / "var" / "journal"))
AWS_SES_REGION_NAME = AWS_REGION
# django-ses does not look at AWS_ENDPOINT_URL itself.
AWS_SES_REGION_ENDPOINT_URL = AWS_ENDPOINT_URL
# Its throttle knows of its own process only.
AWS_SES_AUTO_THROTTLE = None
# One try: a retry inside the SDK would send a second email after a lost answer.
AWS_SES_CONFIG = Config(
    connect_timeout=3,
    read_timeout=env.int("SES_READ_SECONDS", default=10),
    retries={"total_max_attempts": 1},
    max_pool_connections=64,
)

# --- The local AWS

SANDBOX_VERIFIED: list[str] = env.list("SANDBOX_VERIFIED", default=[])
SANDBOX_RULES: bool = env.bool("SANDBOX_RULES", default=True)

# --- Logs

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {
            "()": "notifier.logs.MaskingFormatter",
            "format": "{asctime} {levelname:<7} {name}: {message}",
            "style": "{",
        },
    },
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": "WARNING"},
    "loggers": {
        name: {"level": env("LOG_LEVEL", default="INFO")}
        for name in ("notifier", "orders", "queues", "emails", "sandbox", "django")
    }
    # At DEBUG django-ses writes the recipients.
    | {"django_ses": {"level": "INFO"}},
}

# --- The admin's look; the functions are in notifier/navigation.py and notifier/dashboard.py

UNFOLD = {
    "SITE_TITLE": "Notifier",
    "SITE_HEADER": "Notifier",
    "SITE_SUBHEADER": "from facts to inboxes",
    "SITE_SYMBOL": "mark_email_read",
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": "notifier.navigation.favicon"}
    ],
    "SHOW_HISTORY": True,
    "SHOW_VIEW_ON_SITE": False,
    "ENVIRONMENT": "notifier.navigation.environment",
    "DASHBOARD_CALLBACK": "notifier.dashboard.index",
    "STYLES": ["notifier.navigation.stylesheet"],
    "SIDEBAR": {"navigation": "notifier.navigation.sidebar"},
    # Tailwind's indigo.
    "COLORS": {
        "primary": {
            "50": "#eef2ff",
            "100": "#e0e7ff",
            "200": "#c7d2fe",
            "300": "#a5b4fc",
            "400": "#818cf8",
            "500": "#6366f1",
            "600": "#4f46e5",
            "700": "#4338ca",
            "800": "#3730a3",
            "900": "#312e81",
            "950": "#1e1b4b",
        }
    },
}

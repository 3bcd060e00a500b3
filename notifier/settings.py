"""Define all settings; no other module reads the environment. ``.env.example`` describes each variable."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from botocore.config import Config
from django.core.exceptions import ImproperlyConfigured

from notifier.environment import Environment

BASE_DIR = Path(__file__).resolve().parent.parent

env = Environment()
env.read_env(Path(os.environ.get("ENV_FILE", BASE_DIR / ".env")))

# --- Django

DEBUG: bool = env.bool("DEBUG", default=False)
SECRET_KEY: str = env.key("SECRET_KEY", is_strict=not DEBUG)
# Earlier keys, with which what was signed is still accepted.
SECRET_KEY_FALLBACKS: list[str] = env.keys("SECRET_KEY_FALLBACKS", default=[], is_strict=not DEBUG)
ALLOWED_HOSTS: list[str] = env.list("ALLOWED_HOSTS", default=[])
CSRF_TRUSTED_ORIGINS: list[str] = env.list("CSRF_TRUSTED_ORIGINS", default=[])
BASE_URL: str = env("BASE_URL", default="http://127.0.0.1:8000").rstrip("/")
LINK_HOSTS: list[str] = env.list("LINK_HOSTS", default=[])
RELEASE: str = env("RELEASE", default="")

SANDBOX: bool = env.bool("SANDBOX", default=False)
if SANDBOX and not DEBUG:
    raise ImproperlyConfigured(
        "SANDBOX=on is for development: the local AWS does not run with DEBUG off."
    )

INSTALLED_APPS = [
    "unfold",
    # No autodiscovery here: urls.py does it, so that consumers do not load an admin they never show.
    "django.contrib.admin.apps.SimpleAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "django_otp",
    "django_otp.plugins.otp_totp",
    "django_otp_webauthn",
    "notifier",
    "orders",
    "queues",
    "emails",
]
if SANDBOX:
    INSTALLED_APPS.append("sandbox")
# Consumers and Lambda serve no page, and say so before they read this: the apps that only pages use would take a third
# of their start, and a tenth of their memory.
SERVES_PAGES = os.environ.get("SERVES_PAGES") != "off"
if not SERVES_PAGES:
    for app in ("unfold", "whitenoise.runserver_nostatic", "django_otp_webauthn"):
        INSTALLED_APPS.remove(app)

MIDDLEWARE = [
    "notifier.web.content_policy.middleware",
    "notifier.monitoring.health.probes",
    "notifier.web.request_context.follow",
    "orders.api.problems.middleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "notifier.web.middleware.no_nul",
    "notifier.web.time_zones.middleware",
    "notifier.web.languages.middleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django_otp.middleware.OTPMiddleware",
    "notifier.staff.half_logged_in.middleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "notifier.web.middleware.DatabaseAway",
]
ROOT_URLCONF = "notifier.urls" if SERVES_PAGES else "notifier.page_names"
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
        "BACKEND": "emails.rendering.handlebars.HandlebarsTemplates",
        "DIRS": [BASE_DIR / "templates" / "emails"],
        "APP_DIRS": False,
        "OPTIONS": {"strict": True, "builtins": "emails.rendering.template_helpers"},
    },
]

DATABASES = {
    "default": env.database("DATABASE_URL", default=f"sqlite:///{BASE_DIR / 'db.sqlite3'}")
}
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
    # A host that is gone does not refuse a connection, nor does it end one: without these the kernel would wait for a
    # quarter of an hour (unsent data) to two hours (an idle connection).
    DATABASES["default"]["OPTIONS"] = {
        "connect_timeout": 5,
        "keepalives": 1,
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 15_000,
    } | DATABASES["default"].get("OPTIONS", {})
    if DATABASES["default"]["ENGINE"] == "django.db.backends.postgresql":
        DATABASES["default"]["ENGINE"] = "queues.postgresql"
# How long one statement may take: in the web process, and in consumers, relays and archivers. Other commands, such as
# migrate, have no limit.
DATABASE_PAGE_SECONDS: int = env.int("DATABASE_PAGE_SECONDS", default=10)
DATABASE_WORK_SECONDS: int = env.int("DATABASE_WORK_SECONDS", default=30)
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
# Who needs a second factor in the console: off, roles, all, or names of groups.
STAFF_SECOND_FACTOR: list[str] = env.list(
    "STAFF_SECOND_FACTOR", default=["off" if DEBUG else "roles"]
)
# What the authenticator app shows above the code.
OTP_TOTP_ISSUER = f"Notifier {BASE_URL.partition('://')[2].partition(':')[0]}"
OTP_WEBAUTHN_RP_NAME = "Notifier"
OTP_WEBAUTHN_RP_ID_CALLABLE = "notifier.staff.pages.passkeys.host"
OTP_WEBAUTHN_HELPER_CLASS = "notifier.staff.pages.passkeys.Helper"
# That helper takes the origin of the request, which Django has compared with ALLOWED_HOSTS.
SILENCED_SYSTEM_CHECKS = ["otp_webauthn.E030"]
LANGUAGE_CODE = "en"
# Those of the customers' pages; the console is in English. Their texts are in orders/locale/.
LANGUAGES = [("en", "English"), ("de", "Deutsch")]
LOCALE_PATHS = [BASE_DIR / "orders" / "locale"]
LANGUAGE_COOKIE_AGE = 365 * 24 * 60 * 60
LANGUAGE_COOKIE_SAMESITE = "Lax"
LANGUAGE_COOKIE_SECURE = not DEBUG
# Unfold's log-in page does not name the page to show next.
LOGIN_REDIRECT_URL = "admin:index"
TIME_ZONE: str = env.zone("TIME_ZONE", default="UTC")
USE_TZ = True
FORMAT_MODULE_PATH = "notifier.formats"

STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
# The files of Swagger UI. Ninja's app would bring them too, but every consumer would load that app.
STATICFILES_DIRS = [
    ("ninja", Path(spec.origin).parent / "static" / "ninja")
    for spec in [find_spec("ninja")]
    if spec and spec.origin
]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}

SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = not DEBUG
SECURE_HSTS_SECONDS = 0 if DEBUG else 31_536_000
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = not DEBUG
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
# The number of proxies in front; each adds one address at the end of X-Forwarded-For, and only these are trusted.
TRUSTED_PROXIES: int = env.int("TRUSTED_PROXIES", default=0)
if TRUSTED_PROXIES < 0:
    raise ImproperlyConfigured("TRUSTED_PROXIES is a number of proxies, 0 or more.")

# --- AWS

AWS_REGION: str = env("AWS_REGION", default="eu-west-1")
AWS_ENDPOINT_URL: str | None = env("AWS_ENDPOINT_URL", default=None)

# --- Queues: alias → name or URL. Each event type names its alias, see queues/events/envelope.py.

QUEUES: dict[str, str] = {
    "orders": env("QUEUE_ORDERS", default="notifier-orders"),
    "transactions": env("QUEUE_TRANSACTIONS", default="notifier-transactions.fifo"),
}
# Alias → name or ARN of an SNS topic: events go there, and from there to the queue and to all other subscribers.
TOPICS: dict[str, str] = {
    alias: topic for alias in QUEUES if (topic := env(f"TOPIC_{alias.upper()}", default=""))
}
ARCHIVE_QUEUE: str = env("ARCHIVE_QUEUE", default="")
ARCHIVE_TYPES: list[str] = env.list("ARCHIVE_TYPES", default=[])
ARCHIVE_FOLDER: str = env("ARCHIVE_FOLDER", default=str(BASE_DIR / "var" / "archive"))
QUEUE_MAX_RECEIVE_COUNT: int = env.int("QUEUE_MAX_RECEIVE_COUNT", default=5)
QUEUE_VISIBILITY_SECONDS: int = env.int("QUEUE_VISIBILITY_SECONDS", default=90)
QUEUE_WAIT_SECONDS: int = env.int("QUEUE_WAIT_SECONDS", default=10)
RETRY_BASE_SECONDS: int = env.int("RETRY_BASE_SECONDS", default=5)
RETRY_MAX_SECONDS: int = env.int("RETRY_MAX_SECONDS", default=900)
OUTBOX_PUBLISH_ON_COMMIT: bool = env.bool("OUTBOX_PUBLISH_ON_COMMIT", default=True)
SWEEP_SECONDS: int = env.int("SWEEP_SECONDS", default=30)
OUTBOX_STALE_SECONDS: int = env.int("OUTBOX_STALE_SECONDS", default=600)
FOREIGN_ACCOUNTS: str = env("FOREIGN_ACCOUNTS", default="known")
FIFO_POISON: str = env("FIFO_POISON", default="skip")
KEEP_DAYS: int = env.int("KEEP_DAYS", default=90)
DEAD_LETTER_COLLECT: bool = env.bool("DEAD_LETTER_COLLECT", default=True)
LAMBDA_QUEUES: list[str] = env.list("LAMBDA_QUEUES", default=[])
# Lambda itself says so.
IN_LAMBDA = "AWS_LAMBDA_FUNCTION_NAME" in os.environ
SQS_CLIENT: str = env("SQS_CLIENT", default="lean")
FAILPOINTS: str = env("FAILPOINTS", default="")

# --- Email, by SES's API through django-ses, or by SES's SMTP interface through Django's own backend

EMAIL_TRANSPORT: str = env("EMAIL_TRANSPORT", default="ses")
EMAIL_BACKEND = (
    "django.core.mail.backends.smtp.EmailBackend"
    if EMAIL_TRANSPORT == "smtp"
    else "django_ses.SESBackend"
)
EMAIL_HOST: str = env("SMTP_HOST", default=f"email-smtp.{AWS_REGION}.amazonaws.com")
EMAIL_PORT: int = env.int("SMTP_PORT", default=587)
EMAIL_HOST_USER: str = env("SMTP_USER", default="")
EMAIL_HOST_PASSWORD: str = env("SMTP_PASSWORD", default="")
EMAIL_USE_TLS = True
EMAIL_TIMEOUT: int = env.int("SES_READ_SECONDS", default=10)
SES_FROM_EMAIL: str = env("SES_FROM_EMAIL", default="")
DEFAULT_FROM_EMAIL = SERVER_EMAIL = SES_FROM_EMAIL or "notifier@localhost"
SES_CONFIGURATION_SET: str = env("SES_CONFIGURATION_SET", default="")
SES_EVENTS_TOPIC: str = env("SES_EVENTS_TOPIC", default="")
if SES_EVENTS_TOPIC:
    QUEUES["ses-events"] = env("QUEUE_SES_EVENTS", default="notifier-ses-events")
SES_TRACKING: list[str] = env.list("SES_TRACKING", default=[])
SES_WEBHOOK_TOPICS: list[str] = env.list("SES_WEBHOOK_TOPICS", default=[])
# Who gets alerts by email when a person is needed, and the SNS topic that gets them too.
ADMINS = [(address, address) for address in env.list("ADMINS", default=[])]
EMAIL_SUBJECT_PREFIX = "[Notifier] "
ALERTS_TOPIC: str = env("ALERTS_TOPIC", default="")
# Bounces and complaints: which of them suppress an address, who is told, and when they stop bulk email.
SUPPRESS_ON: list[str] = env.list("SUPPRESS_ON", default=["bounce", "complaint"])
SUPPRESSION_SYNC: str = env("SUPPRESSION_SYNC", default="both")
SUPPORT_EMAIL: str = env("SUPPORT_EMAIL", default="")
TEMPLATE_SECOND_PERSON: bool = env.bool("TEMPLATE_SECOND_PERSON", default=False)
GUARD_HOURS: int = env.int("GUARD_HOURS", default=24)
GUARD_MINIMUM: int = env.int("GUARD_MINIMUM", default=100)
# Per cent of what SES accepted. AWS puts an account under review at 5 and 0.1, and may pause it at 10 and 0.5.
GUARD_BOUNCE_WARNING: float = env.float("GUARD_BOUNCE_WARNING", default=5.0)
GUARD_BOUNCE_STOP: float = env.float("GUARD_BOUNCE_STOP", default=10.0)
GUARD_COMPLAINT_WARNING: float = env.float("GUARD_COMPLAINT_WARNING", default=0.1)
GUARD_COMPLAINT_STOP: float = env.float("GUARD_COMPLAINT_STOP", default=0.5)
USE_SES_V2: bool = env.bool("USE_SES_V2", default=True)
SES_CLIENT: str = env("SES_CLIENT", default="lean")
# The server that looks up the DNS records of identities; empty: the resolver of this machine.
DNS_RESOLVER: str = env("DNS_RESOLVER", default="")
# 0: the rate that SES reports.
SES_MAX_SEND_RATE: float = env.float("SES_MAX_SEND_RATE", default=0.0)
# How long a claim on an email stands; emails.checks checks its lower and upper bound.
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
# The throttle of django-ses knows only its own process.
AWS_SES_AUTO_THROTTLE = None
# django-ses asks for these with each email, and a setting that is missing costs three times as much to look up.
AWS_SES_CONFIGURATION_SET = AWS_SES_FROM_EMAIL = AWS_SES_RETURN_PATH = None
AWS_SES_USE_BLACKLIST = False
# One try: a retry inside the SDK would send a second email after a lost answer.
AWS_SES_CONFIG = Config(
    connect_timeout=3,
    read_timeout=EMAIL_TIMEOUT,
    retries={"total_max_attempts": 1},
    max_pool_connections=256,
)

# --- The JSON API; it is on if its tokens can be checked

COGNITO_ISSUER: str = env("COGNITO_ISSUER", default="").rstrip("/")
COGNITO_CLIENT_IDS: list[str] = env.list("COGNITO_CLIENT_IDS", default=[])
COGNITO_RESOURCE_SERVER: str = env("COGNITO_RESOURCE_SERVER", default="notifier")
API_LOCAL_KEY: str = env("API_LOCAL_KEY", default="")
if API_LOCAL_KEY:
    API_LOCAL_KEY = str(BASE_DIR / API_LOCAL_KEY)
if API_LOCAL_KEY and not DEBUG:
    raise ImproperlyConfigured(
        "API_LOCAL_KEY is for development: whoever has that file makes tokens for anybody. Set COGNITO_ISSUER."
    )
API_REQUESTS_PER_MINUTE: int = env.int("API_REQUESTS_PER_MINUTE", default=600)

# --- The shop's forms, with which anybody can make us send an email to anybody; 0: no limit

FORM_POSTS_PER_MINUTE: int = env.int("FORM_POSTS_PER_MINUTE", default=10)
FORM_ORDERS_PER_HOUR: int = env.int("FORM_ORDERS_PER_HOUR", default=5)

# --- The local AWS

SANDBOX_VERIFIED: list[str] = env.list("SANDBOX_VERIFIED", default=[])
SANDBOX_RULES: bool = env.bool("SANDBOX_RULES", default=True)

# --- Logs, metrics, traces and errors

LOG_FORMAT: str = env.choice("LOG_FORMAT", of=("line", "json"), default="line")
METRICS_TOKEN: str = env("METRICS_TOKEN", default="")
EMBEDDED_METRICS: bool = env.bool("EMBEDDED_METRICS", default=False)
TRACES_EXPORTER: str = env.choice("TRACES_EXPORTER", of=("", "otlp", "console"), default="")
SENTRY_DSN: str = env("SENTRY_DSN", default="")

LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {
            "()": "notifier.monitoring.log_lines.MaskingFormatter",
            "format": "{asctime} {levelname:<7} {name}: {message}",
            "style": "{",
        },
    },
    "filters": {"no_assets": {"()": "notifier.monitoring.log_lines.NoAssets"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": LOG_FORMAT}},
    "root": {"handlers": ["console"], "level": "WARNING"},
    "loggers": {
        name: {"level": env.level("LOG_LEVEL", default="INFO")}
        for name in ("notifier", "orders", "queues", "emails", "sandbox", "django")
    }
    # At DEBUG django-ses logs the recipients.
    | {"django_ses": {"level": "INFO"}}
    # The server of `make run`: a page asks for thirty files, and nobody reads thirty lines.
    | {"django.server": {"filters": ["no_assets"]}},
}
if LOG_FORMAT == "json":
    # Set only here, so that structlog is not loaded otherwise.
    LOGGING["formatters"]["json"] = {"()": "notifier.monitoring.json_logs.formatter"}

# --- The admin's look; the functions are in notifier/overview/navigation.py and notifier/overview/overview_page.py

UNFOLD = {
    "SITE_TITLE": "Notifier",
    "SITE_HEADER": "Notifier",
    "SITE_SUBHEADER": "from facts to inboxes",
    "SITE_SYMBOL": "mark_email_read",
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": "notifier.overview.navigation.favicon"}
    ],
    "SHOW_HISTORY": True,
    "SHOW_VIEW_ON_SITE": False,
    "ENVIRONMENT": "notifier.overview.navigation.environment",
    "DASHBOARD_CALLBACK": "notifier.overview.overview_page.index",
    "STYLES": [
        "notifier.overview.navigation.stylesheet",
        "notifier.overview.navigation.lists_stylesheet",
    ],
    "SCRIPTS": [
        "notifier.overview.navigation.script",
        "notifier.web.time_zones.script",
    ],
    "LOGIN": {"form": "notifier.staff.login.LoginForm"},
    "ACCOUNT": {"navigation": "notifier.overview.navigation.account"},
    "SIDEBAR": {"navigation": "notifier.overview.navigation.sidebar"},
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

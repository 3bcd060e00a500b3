"""Each setting of .env.example is told at the start where it cannot work, with what to write instead."""

import os
import re
import runpy
import secrets
import subprocess
import sys
from pathlib import Path

import pytest
from django.core import checks
from django.core.exceptions import ImproperlyConfigured

from infra.reference_pages import settings_of
from notifier.environment import why_weak

ROOT = Path(__file__).resolve().parents[2]
NAMES = [setting.name for setting in settings_of((ROOT / ".env.example").read_text())]
KEY = "Zr8vQpLm2Xc7Tn4Kd9Wb6Yh3Jg5Fs1Aa"
BASE = {
    "ENV_FILE": "/dev/null",
    "DEBUG": "on",
    "SECRET_KEY": KEY,
    "SES_FROM_EMAIL": "shop@example.com",
    "SES_CONFIGURATION_SET": "notifier",
}
SWITCHES = ["onn", "", "2"]
WHOLE = ["ten", "1.5", "1e3", "-1"]
HUGE = "99999999999999999999"
# Values that cannot work, for each setting.
BAD = {
    "DEBUG": SWITCHES,
    "TEMPLATE_SECOND_PERSON": SWITCHES,
    "ALLOWED_HOSTS": [
        "https://shop.example.com",
        "shop.example.com:443",
        "shop.example.com/x",
        "a b",
    ],
    "CSRF_TRUSTED_ORIGINS": ["shop.example.com", "https://shop.example.com/x", "https://"],
    "BASE_URL": [
        *("shop.example.com", "https://", "https:///x", "ftp://shop.example.com", ""),
        *("https://shop.example.com/shop", "https://shop.example.com?x=1", "https://a.com#x"),
        *(
            "https://a@shop.example.com",
            "https://shop example.com",
            "https://shop.example.com:99999",
        ),
        *("https://[::1", "https://-a.com", "HTTPS//a.com", "https://a.com:port"),
    ],
    "TRUSTED_PROXIES": [*WHOLE, HUGE],
    "STAFF_SECOND_FACTOR": ["", "off,all", "roles,support", "x" * 151],
    "RELEASE": ["x" * 51, "1.0\n"],
    "DATABASE_URL": [
        "db.sqlite3",
        "mysql://u@h/n",
        "postgres://u:p@ss:w/x@h/n",
        "postgres://h",
        "",
    ],
    "DATABASE_PAGE_SECONDS": [*WHOLE, "0", HUGE],
    "DATABASE_WORK_SECONDS": [*WHOLE, "0", HUGE],
    "LINK_HOSTS": ["https://shop.example.com", "shop.example.com/x", "*.example.com", "a b"],
    "TIME_ZONE": ["Wien", "UTC+1", ""],
    "LOG_LEVEL": ["info", "LOUD", ""],
    "LOG_FORMAT": ["text", ""],
    "METRICS_TOKEN": ["two words", "schlüssel"],
    "EMBEDDED_METRICS": SWITCHES,
    "TRACES_EXPORTER": ["otpl"],
    "AWS_REGION": ["eu-west1", "Europe (Ireland)", "", "eu-west-1a"],
    "AWS_ENDPOINT_URL": ["127.0.0.1:4566", "http://", "http://a:b", "http://h?x"],
    "QUEUE_ORDERS": [
        *(
            "",
            "two words",
            "a" * 81,
            "a" * 77,
            "arn:aws:sqs:eu-west-1:123456789012:q",
            "orders.new",
        ),
        *("https://sqs.eu-west-1.amazonaws.com/123456789012/q/", "http:///q", "notifier-orders/"),
    ],
    "QUEUE_TRANSACTIONS": ["notifier-transactions.fifo/"],
    "QUEUE_SES_EVENTS": ["ses events"],
    "TOPIC_ORDERS": ["two words", "a" * 257, "arn:aws:sns:eu-west-1:1234:x", "facts.fifo"],
    "TOPIC_TRANSACTIONS": ["arn:aws:sqs:eu-west-1:123456789012:x.fifo", "facts"],
    "ARCHIVE_QUEUE": ["two words", "archive/"],
    "ARCHIVE_TYPES": ["order placed", "*.v1"],
    "ARCHIVE_FOLDER": ["", "/dev/null/archive"],
    "SQS_CLIENT": ["curl", ""],
    "LAMBDA_QUEUES": ["oders"],
    "QUEUE_MAX_RECEIVE_COUNT": [*WHOLE, "0", "1001"],
    "QUEUE_VISIBILITY_SECONDS": [*WHOLE, "0", "43201"],
    "QUEUE_WAIT_SECONDS": [*WHOLE, "21"],
    "RETRY_BASE_SECONDS": [*WHOLE, "0", "43201", "901"],
    "RETRY_MAX_SECONDS": [*WHOLE, "0", "43201"],
    "OUTBOX_PUBLISH_ON_COMMIT": SWITCHES,
    "SWEEP_SECONDS": [*WHOLE, "0", HUGE],
    "OUTBOX_STALE_SECONDS": [*WHOLE, HUGE],
    "FIFO_POISON": ["stop", ""],
    "FOREIGN_ACCOUNTS": ["some", ""],
    "KEEP_DAYS": [*WHOLE, "0", HUGE],
    "DEAD_LETTER_COLLECT": SWITCHES,
    "SES_FROM_EMAIL": [
        *("", "shop at example", "Shop, Inc. <shop@example.com>", "Shop @ Home <shop@example.com>"),
        *("a@example.com, b@example.com", "Shop <shop@example.com", "Shop"),
        *("Shop: <shop@example.com>", "Shop <>", "ü@example.com", "us: a@example.com;"),
    ],
    "SES_CONFIGURATION_SET": ["two words", "a" * 65, "set.one"],
    "SES_EVENTS_TOPIC": ["arn:aws:sns:eu-west-1:123456789012:x", "x.fifo", "two words"],
    "SES_TRACKING": ["open"],
    "SES_WEBHOOK_TOPICS": ["notifier-ses-events"],
    "ADMINS": ["ops", "Ops <ops@example.com>"],
    "ALERTS_TOPIC": ["two words", "x.fifo"],
    "SUPPRESS_ON": ["bounces"],
    "SUPPRESSION_SYNC": ["push", ""],
    "SUPPORT_EMAIL": ["support", "Help <help@example.com>"],
    "GUARD_HOURS": [*WHOLE, "0", HUGE],
    "GUARD_MINIMUM": [*WHOLE, "0", HUGE],
    "GUARD_BOUNCE_WARNING": ["five", "nan", "inf", "-1", "0", "11", "5%"],
    "GUARD_BOUNCE_STOP": ["five", "nan", "-1", "4", "101"],
    "GUARD_COMPLAINT_WARNING": ["0", "0.6"],
    "GUARD_COMPLAINT_STOP": ["0.05", "101"],
    "EMAIL_TRANSPORT": ["smpt", ""],
    "SMTP_HOST": ["", "smtp://host", "host:587", "two words"],
    "SMTP_PORT": [*WHOLE, "0", "65536"],
    "USE_SES_V2": SWITCHES,
    "SES_CLIENT": ["curl", ""],
    "DNS_RESOLVER": ["http://127.0.0.1", "host:port", "a b", "host:99999"],
    "SES_MAX_SEND_RATE": ["fast", "nan", "-1", "14/s", "1,000", HUGE],
    "SES_READ_SECONDS": [*WHOLE, "0", "60"],
    "LEASE_SECONDS": [*WHOLE, "0", "5", HUGE],
    "BREAKER_PROBE_SECONDS": [*WHOLE, HUGE],
    "IN_DOUBT": ["ignore", ""],
    "DOUBT_GRACE_SECONDS": [*WHOLE, "0", HUGE],
    "DOUBT_DISTANCE_SECONDS": [*WHOLE, HUGE],
    "DOUBT_DRAIN_SECONDS": [*WHOLE, "0", "100", HUGE],
    "JOURNAL_DIR": ["", "/dev/null/journal"],
    "COGNITO_ISSUER": ["cognito-idp.eu-west-1.amazonaws.com/x", "https://", "http://a.com/x"],
    "COGNITO_CLIENT_IDS": ["my client"],
    "COGNITO_RESOURCE_SERVER": ["", "two words"],
    "API_LOCAL_KEY": ["/dev/null/key.pem", "/dev"],
    "API_REQUESTS_PER_MINUTE": [*WHOLE, "0", HUGE],
    "FORM_POSTS_PER_MINUTE": [*WHOLE, HUGE],
    "FORM_ORDERS_PER_HOUR": [*WHOLE, HUGE],
    "SANDBOX": SWITCHES,
    "SANDBOX_VERIFIED": ["not an address"],
    "SANDBOX_RULES": SWITCHES,
    "SENTRY_DSN": [
        "sentry.example.com",
        "https://sentry.example.com/1",
        "https://key@sentry.example.com",
    ],
    "SMTP_USER": [""],
    "SMTP_PASSWORD": [""],
}
# What else must be set for the value to be looked at.
BESIDE = {
    "SMTP_USER": {"EMAIL_TRANSPORT": "smtp", "SMTP_PASSWORD": "x"},
    "SMTP_PASSWORD": {"EMAIL_TRANSPORT": "smtp", "SMTP_USER": "x"},
    "QUEUE_SES_EVENTS": {"SES_EVENTS_TOPIC": "x"},
    "ARCHIVE_QUEUE": {"TOPIC_ORDERS": "facts"},
}
# Every value works, or is told by something else.
FREE = {
    "SECRET_KEY": "test_weak_key_does_not_serve",
    "SECRET_KEY_FALLBACKS": "test_weak_key_does_not_serve",
    "AWS_ACCESS_KEY_ID": "read by the SDK; AWS alone knows it, and the doctor asks",
    "AWS_SECRET_ACCESS_KEY": "read by the SDK; AWS alone knows it, and the doctor asks",
    "FAILPOINTS": "ends the process on purpose; the doctor tells where it is left over",
}
CASES = [(name, value) for name in NAMES for value in BAD.get(name, ())]

TAGS = ["delivery", "consumer", checks.Tags.security]
# What tests have otherwise than any installation.
OURS = {"INSTALLED_APPS", "DATABASES", "LOGGING", "TEMPLATES", "STORAGES", "UNFOLD"}


@pytest.fixture
def told(monkeypatch, settings):
    """What an installation with this environment, and no other, is told at its start."""
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)

    def tell(environment):
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        try:
            read = runpy.run_path(str(ROOT / "notifier" / "settings.py"))
        except ImproperlyConfigured as exc:
            return [str(exc)]
        for name in read.keys() - OURS:
            if name.isupper():
                setattr(settings, name, read[name])
        return [
            f"{found.id} {found.msg} {found.hint}"
            for found in checks.run_checks(tags=TAGS)
            if found.level >= checks.ERROR
        ]

    return tell


def test_every_setting_is_checked_or_has_a_reason():
    assert set(NAMES) == BAD.keys() | FREE.keys()
    assert BAD.keys().isdisjoint(FREE)


def test_installation_that_sets_little_is_told_nothing(told):
    assert told(BASE) == []


@pytest.mark.parametrize(("name", "value"), CASES)
def test_setting_that_cannot_work_is_named(told, name, value):
    said = told(BASE | BESIDE.get(name, {}) | {name: value})

    assert any(name in one for one in said), said


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("BASE_URL", "https://shop.example.com/"),
        ("BASE_URL", "http://[::1]:8000"),
        ("ALLOWED_HOSTS", ".example.com, 10.0.0.1,[::1],*"),
        ("CSRF_TRUSTED_ORIGINS", "https://*.example.com, https://shop.example.com:8443"),
        ("DATABASE_URL", "postgres://user:p%40ss@127.0.0.1:5432/notifier?sslmode=require"),
        ("DATABASE_URL", "sqlite:///db.sqlite3"),
        ("QUEUE_ORDERS", "https://sqs.eu-west-1.amazonaws.com/123456789012/notifier-orders"),
        ("QUEUE_WAIT_SECONDS", "0"),
        ("QUEUE_WAIT_SECONDS", "20"),
        ("KEEP_DAYS", ""),
        ("SES_MAX_SEND_RATE", "0.5"),
        ("SES_MAX_SEND_RATE", "1e3"),
        ("OUTBOX_PUBLISH_ON_COMMIT", "Off"),
        ("AWS_REGION", "us-gov-west-1"),
        ("SES_FROM_EMAIL", '"Shop, Inc." <shop@example.com>'),
        ("SES_FROM_EMAIL", "Dr. Shop <shop@example.com>"),
        ("SES_FROM_EMAIL", "Café Müller <shop@example.com>"),
        ("ADMINS", "ops@example.com, chief@example.com"),
        ("SENTRY_DSN", "https://0123abcd@o1.ingest.sentry.io/42"),
        ("DNS_RESOLVER", "[::1]:53"),
        ("SUPPRESS_ON", ""),
        ("SMTP_PASSWORD", "$ecret,with#signs"),
    ],
)
def test_setting_that_works_is_told_nothing(told, name, value):
    assert told(BASE | {name: value}) == []


WEAK = [
    "short",
    KEY[:-1],
    "x" * 50,
    "abcd" * 16,
    "0123456789" * 5,
    "django-insecure-" + KEY,
    "development-only-a-long-key-that-no-production-accepts",
    "please-changeme-before-going-to-production",
    "<50 random characters>" + KEY,
]


@pytest.mark.parametrize("key", WEAK)
@pytest.mark.parametrize("name", ["SECRET_KEY", "SECRET_KEY_FALLBACKS"])
def test_weak_key_does_not_serve(told, name, key):
    (said,) = told(BASE | {"DEBUG": "off", name: key})

    assert name in said
    assert key not in said


@pytest.mark.parametrize("name", ["SECRET_KEY", "SECRET_KEY_FALLBACKS"])
def test_weak_key_is_good_enough_for_development(told, name):
    assert told(BASE | {name: "short"}) == []


def test_random_keys_are_strong():
    made = [secrets.token_hex(16) for _ in range(100)]
    made += [secrets.token_urlsafe(32) for _ in range(100)]

    assert [key for key in made if why_weak(key)] == []


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (["manage.py", "check"], 1),
        (["manage.py", "consume_queue"], 1),
        # Other codes would make gunicorn start workers for ever.
        (["-c", "import notifier.wsgi"], 3),
    ],
)
def test_value_that_cannot_be_read_is_a_sentence_and_no_traceback(command, code):
    done = subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env=BASE | {"PATH": os.environ["PATH"], "QUEUE_WAIT_SECONDS": "ten"},
        capture_output=True,
        text=True,
    )

    assert (done.returncode, done.stderr.strip()) == (
        code,
        "The settings cannot work: QUEUE_WAIT_SECONDS=ten cannot be read. "
        "Write a whole number, in digits.",
    )


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (["manage.py", "check"], 1),
        (["manage.py", "consume_queue"], 1),
        (["-c", "import notifier.wsgi"], 0),
    ],
)
def test_every_process_tells_at_its_start_what_cannot_work(command, code):
    done = subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env=BASE | {"PATH": os.environ["PATH"], "QUEUE_WAIT_SECONDS": "30"},
        capture_output=True,
        text=True,
    )

    assert done.returncode == code
    assert "QUEUE_WAIT_SECONDS=30 cannot work." in done.stderr
    assert "SQS waits 20 seconds at most" in done.stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_journal_that_cannot_be_written_is_told(told, tmp_path):
    tmp_path.chmod(0o500)

    (said,) = told(BASE | {"JOURNAL_DIR": str(tmp_path / "journal")})

    assert "JOURNAL_DIR" in said


def test_ids_of_checks_are_unique():
    source = "".join(
        (ROOT / app / "checks.py").read_text() for app in ("emails", "queues", "orders", "notifier")
    )
    ids = re.findall(r'id="([a-z]+\.[EW]\d+)"', source)

    assert len(ids) == len(set(ids)) > 20


def test_consumer_and_commands_do_without_hosts_of_the_web(settings):
    settings.DEBUG, settings.ALLOWED_HOSTS = False, []

    [found] = [found for found in checks.run_checks(tags=TAGS) if "ALLOWED_HOSTS" in found.msg]

    assert (found.id, found.level) == ("notifier.W001", checks.WARNING)


@pytest.mark.parametrize(
    ("base", "endpoint", "is_told"),
    [
        ("http://127.0.0.1:8000", "", True),
        ("http://localhost", "", True),
        ("https://shop.example.com", "", False),
        ("http://127.0.0.1:8000", "http://127.0.0.1:4566", False),
    ],
)
def test_links_to_the_machine_itself_are_told_in_production(settings, base, endpoint, is_told):
    settings.DEBUG, settings.BASE_URL, settings.AWS_ENDPOINT_URL = False, base, endpoint

    found = [found.id for found in checks.run_checks(tags=TAGS)]

    assert ("notifier.E002" in found) == is_told

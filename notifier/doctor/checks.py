"""Check the settings and the database for ``manage.py doctor``."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from urllib.parse import urlsplit

from django.conf import settings
from django.core import checks
from django.db import DatabaseError, connection

from notifier.alerts import concerns
from notifier.monitoring import health
from queues.checks import TAG
from queues.doctor.findings import WAITING, Finding, Verdict, doctor_check
from queues.models.live import LiveConsumer

MIGRATE = "python manage.py migrate"
MAX_CLOCK_SECONDS = 5
# What waits for a person though the set-up is in order: the concern's key, then what one and several of them do.
_WAITS = {
    "letters": ("dead letter waits", "dead letters wait"),
    "in doubt": ("email is in doubt", "emails are in doubt"),
    "late": ("event is late", "events are late"),
    "held": ("group is held", "groups are held"),
    "refused": ("event is refused by SQS", "events are refused by SQS"),
}
_LOCAL_HOSTS = {"localhost", "127.0.0.1", "::1"}


@doctor_check("Settings")
def checked() -> Iterable[Finding]:
    """Run the system checks of settings that would break a promise; in production also those of security."""
    found = checks.run_checks(tags=[TAG])
    if not settings.DEBUG:
        found += checks.run_checks(tags=[checks.Tags.security], include_deployment_checks=True)
    for message in found:
        yield Finding(
            str(message.id),
            str(message.msg).strip().partition("\n")[0],
            Verdict.ERROR if message.level >= checks.ERROR else Verdict.WARNING,
            why=f"manage.py check calls it {message.id}.",
            fix=str(message.hint or "See the Django documentation of this check."),
        )
    if not found:
        yield Finding("settings.checked", "The checks of settings find nothing.")


@doctor_check("Settings")
def contradictions() -> Iterable[Finding]:
    """Look for settings that contradict each other, though each is right by itself."""
    found = [*_events(), *_places(), *_callers(), *_leftovers()]
    yield from found
    if not found:
        yield Finding("settings.agree", "No setting contradicts another.")


def _events() -> Iterator[Finding]:
    if settings.SES_EVENTS_TOPIC and not settings.SES_CONFIGURATION_SET:
        yield Finding(
            "settings.topic_without_set",
            "SES_EVENTS_TOPIC is set and SES_CONFIGURATION_SET is not.",
            Verdict.ERROR,
            why="SES publishes events of a configuration set only: the topic stays silent.",
            fix="Set SES_CONFIGURATION_SET, then: python manage.py provision",
        )
    tells = settings.SES_EVENTS_TOPIC or settings.SES_WEBHOOK_TOPICS
    if settings.IN_DOUBT == "resend" and not tells:
        yield Finding(
            "settings.resend",
            "IN_DOUBT=resend, and SES tells nothing: an email in doubt is sent again on a guess.",
            Verdict.WARNING,
            why="Some customers get the same email twice.",
            fix="Set SES_CONFIGURATION_SET and SES_EVENTS_TOPIC, or IN_DOUBT=park.",
        )


def _places() -> Iterator[Finding]:
    if settings.DEBUG:
        return
    if settings.AWS_ENDPOINT_URL:
        yield Finding(
            "settings.endpoint",
            f"AWS_ENDPOINT_URL={settings.AWS_ENDPOINT_URL} is set, and DEBUG is off.",
            Verdict.WARNING,
            why="An endpoint is for a local AWS: nothing would ever reach a customer.",
            fix="Leave AWS_ENDPOINT_URL out; the SDK knows AWS's own addresses.",
        )
    base = urlsplit(settings.BASE_URL)
    if base.hostname in _LOCAL_HOSTS or base.scheme != "https":
        yield Finding(
            "settings.base_url",
            f"BASE_URL={settings.BASE_URL} is not the public address of this site.",
            Verdict.ERROR if base.hostname in _LOCAL_HOSTS else Verdict.WARNING,
            why="The links in emails lead there.",
            fix="Set BASE_URL to https:// and the name that customers use.",
        )


def _callers() -> Iterator[Finding]:
    if not (settings.ADMINS or settings.ALERTS_TOPIC):
        yield Finding(
            "settings.nobody_is_called",
            "ADMINS and ALERTS_TOPIC are empty.",
            Verdict.NOTE if settings.DEBUG else Verdict.WARNING,
            why="Nobody is called when a person is needed; it shows on the Overview alone.",
            fix="Set ADMINS to addresses, or ALERTS_TOPIC to an SNS topic.",
        )


def _leftovers() -> Iterator[Finding]:
    if settings.FAILPOINTS:
        yield Finding(
            "settings.failpoints",
            f"FAILPOINTS={settings.FAILPOINTS} is set.",
            Verdict.ERROR,
            why="The process kills itself at this point; it is for tests.",
            fix="Leave FAILPOINTS out.",
        )
    if not settings.DEAD_LETTER_COLLECT:
        yield Finding(
            "settings.collect_off",
            "DEAD_LETTER_COLLECT is off.",
            Verdict.NOTE,
            why="Dead letters stay in SQS, at most 14 days, and the admin does not show them.",
            fix="Somebody else must look after the dead-letter queues, or set it on.",
        )


@doctor_check("Database")
def database() -> Iterable[Finding]:
    """Check that the database answers, has this release's tables, syncs its commits, and agrees on the time."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        missing = health.missing_migrations()
    except DatabaseError as exc:
        yield Finding(
            "database.away",
            f"The database does not answer: {type(exc).__name__}.",
            Verdict.ERROR,
            why="Nothing can be recorded, and consumers wait.",
            fix="See that DATABASE_URL is right and that the server runs and takes connections.",
        )
        return
    if missing:
        yield Finding(
            "database.migrations",
            f"Migrations that are not applied: {missing}.",
            Verdict.ERROR,
            why="This release looks for tables and columns that are not there.",
            fix=MIGRATE,
        )
    else:
        yield Finding("database.migrations", "All migrations are applied.")
    yield from _sqlite() if connection.vendor == "sqlite" else _postgresql()
    if connection.vendor == "sqlite" and not missing:
        yield from _hosts()


@doctor_check("Work")
def waiting_work() -> Iterable[Finding]:
    """Report what waits for a person; it is no fault of the set-up, so each finding is a note."""
    found = [concern for concern in concerns.current() if concern.key in _WAITS]
    for concern in found:
        yield Finding(
            f"{WAITING}{concern.key.replace(' ', '_')}",
            f"{concern.number} {_WAITS[concern.key][concern.count > 1]}.",
            Verdict.NOTE,
            why="Customers may wait for these emails.",
            fix=f"{concern.advice} {settings.BASE_URL}{concern.address}",
        )
    if not found:
        yield Finding("work.nothing_waits", "Nothing waits for a person.")


def _sqlite() -> Iterator[Finding]:
    mode, synchronous = _pragma("journal_mode"), _pragma("synchronous")
    if str(mode).lower() not in ("wal", "memory"):
        yield Finding(
            "database.wal",
            f"SQLite writes in {mode} mode, not in WAL.",
            Verdict.ERROR,
            why="A reader blocks the writer: requests and consumers end with 'database is locked'.",
            fix="Put the file on a local disk that this user may write to; WAL works on no network disk.",
        )
    elif str(synchronous) not in ("2", "3"):
        yield Finding(
            "database.synchronous",
            "SQLite does not sync each commit.",
            Verdict.ERROR,
            why="Orders that were confirmed may be gone after a power failure.",
            fix="Take PRAGMA synchronous out of the connection's options, or set it to FULL.",
        )
    else:
        yield Finding("database.engine", "SQLite, in WAL mode, syncs each commit.")


def _hosts() -> Iterator[Finding]:
    hosts = set(LiveConsumer.objects.alive().values_list("host", flat=True))
    if len(hosts) > 1:
        yield Finding(
            "database.hosts",
            f"Processes on {len(hosts)} hosts use one SQLite file: {', '.join(sorted(hosts))}.",
            Verdict.ERROR,
            why="On a network disk SQLite's locks do not hold: rows may be lost.",
            fix="Set DATABASE_URL to a PostgreSQL server.",
        )


def _postgresql() -> Iterator[Finding]:
    names = ("server_version", "synchronous_commit", "fsync", "default_transaction_read_only")
    found = {name: _shown(name) for name in names}
    if found["default_transaction_read_only"] == "on":
        yield Finding(
            "database.read_only",
            "PostgreSQL takes no writes: it is a replica, or read-only.",
            Verdict.ERROR,
            why="Nothing can be recorded.",
            fix="Name the primary in DATABASE_URL.",
        )
    if found["fsync"] == "off" or found["synchronous_commit"] == "off":
        yield Finding(
            "database.synchronous",
            f"PostgreSQL runs with fsync={found['fsync']}, synchronous_commit={found['synchronous_commit']}.",
            Verdict.ERROR if found["fsync"] == "off" else Verdict.WARNING,
            why="Orders that were confirmed, and emails that were sent, may be forgotten after a power failure.",
            fix="Set both to on in postgresql.conf, or for this role by ALTER ROLE.",
        )
    else:
        yield Finding(
            "database.engine", f"PostgreSQL {found['server_version']}, syncs each commit."
        )
    yield _clock()


def _pragma(name: str) -> object:
    with connection.cursor() as cursor:
        cursor.execute(f"PRAGMA {name}")
        return cursor.fetchone()[0]


def _shown(name: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting(%s)", [name])
        return str(cursor.fetchone()[0])


def _clock() -> Finding:
    """Compare the clocks: leases and silence follow the database's clock, pages and events ours."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT EXTRACT(EPOCH FROM clock_timestamp())")
        off = float(cursor.fetchone()[0]) - time.time()
    if abs(off) <= MAX_CLOCK_SECONDS:
        return Finding("database.clock", "The clock of the database agrees with ours.")
    return Finding(
        "database.clock",
        f"The clock of the database is {abs(off):.0f} s {'ahead of' if off > 0 else 'behind'} ours.",
        Verdict.WARNING,
        why="Ages and delays are shown wrong, and events seem to be late or early.",
        fix="Start time synchronisation on both machines: timedatectl set-ntp true, or chrony.",
    )

"""Worlds that hang instead of dying: calls that are taken and never answered, while SIGTERM must still end the process.

A limit of 25 s stands for the promise, not for speed.
"""

import signal
import sqlite3
import urllib.error
import urllib.request

import pytest
from django.db import connection

from emails.models import Notification
from queues.models import OutboxEvent
from queues.threads import stopping
from tests.support import postgres
from tests.support.builders import make_order
from tests.support.processes import wait_until

pytestmark = pytest.mark.processes

PROMISED_SECONDS = 25
ENDS = (0, stopping.HUNG)
COMMANDS = [
    ("consume_queue",),
    ("consume_queue", "--until-empty"),
    ("relay_outbox",),
]
IDS = [" ".join(command) for command in COMMANDS]


class Lock:
    """Somebody who holds SQLite's only lock."""

    def __init__(self):
        self._other = sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None)

    def freeze(self):
        self._other.execute("BEGIN IMMEDIATE")

    def thaw(self):
        if self._other.in_transaction:
            self._other.execute("ROLLBACK")


@pytest.fixture
def database(fast_platform):
    """A database that can hang: a PostgreSQL of its own, or SQLite's lock."""
    if connection.vendor == "sqlite":
        lock = Lock()
        yield lock
        lock.thaw()
        return
    server = postgres.Server()
    fast_platform.environment["DATABASE_URL"] = server.url
    assert fast_platform.manage("migrate").wait() == 0
    yield server
    server.thaw()


def place(platform, count=1):
    """So many orders' events in SQS; the processes find none of them in an outbox."""
    for _ in range(count):
        make_order()
    bodies = list(OutboxEvent.objects.values_list("body", flat=True))
    OutboxEvent.objects.all().delete()
    queue = platform.queue(platform.environment["QUEUE_ORDERS"])
    entries = [{"Id": str(n), "MessageBody": body} for n, body in enumerate(bodies)]
    queue.sqs.send_message_batch(QueueUrl=queue.url, Entries=entries)


def status(address):
    try:
        return urllib.request.urlopen(address, timeout=60).status
    except urllib.error.HTTPError as exc:
        return exc.code


def assert_ends(process):
    process.send_signal(signal.SIGTERM)
    assert process.wait(seconds=PROMISED_SECONDS) in ENDS, process.output


@pytest.mark.locking
@pytest.mark.parametrize("command", [COMMANDS[0], COMMANDS[2]], ids=[IDS[0], IDS[2]])
def test_sigterm_ends_a_process_whose_database_hangs(fast_platform, database, command):
    process = fast_platform.manage(*command)
    process.wait_for("consuming" if command[0] == "consume_queue" else "relaying")
    database.freeze()

    assert_ends(process)


@pytest.mark.locking
def test_database_that_hangs_while_ses_accepts_costs_no_email_and_sends_none_twice(
    fast_platform, database
):
    fast_platform.aws.set_faults(ses_slow=1)
    place(fast_platform, count=4)
    consumer = fast_platform.consumer("orders", "--no-relay", QUEUE_VISIBILITY_SECONDS="60")
    consumer.wait_for("received event=")
    wait_until(fast_platform.aws.accepted, what="the first acceptance")
    database.freeze()

    assert_ends(consumer)

    database.thaw()
    fast_platform.aws.set_faults(ses_slow=0)
    again = fast_platform.consumer("orders", "--no-relay", QUEUE_VISIBILITY_SECONDS="60")
    queue = fast_platform.queue(fast_platform.environment["QUEUE_ORDERS"])
    wait_until(lambda: queue.count() == 0, what=f"an end of all\n{again.output}", seconds=180)
    numbers = [mail.number for mail in fast_platform.aws.accepted()]
    assert len(numbers) == len(set(numbers))


@pytest.mark.parametrize(
    "command",
    [*COMMANDS, ("consume_queue", "--processes=2")],
    ids=[*IDS, "consume_queue --processes=2"],
)
def test_sigterm_ends_a_process_whose_sqs_hangs(fast_platform, command):
    make_order()
    fast_platform.aws.set_faults(sqs_hangs=1)
    process = fast_platform.manage(*command)
    wait_until(lambda: fast_platform.aws.count("sqs_hangs"), what="a call that hangs")

    assert_ends(process)


def test_sigterm_ends_a_consumer_whose_ses_hangs_and_the_email_is_in_doubt(fast_platform):
    place(fast_platform)
    fast_platform.aws.set_faults(ses_hangs=1)
    consumer = fast_platform.consumer("orders", "--no-relay")
    wait_until(lambda: fast_platform.aws.count("ses_hangs"), what="a call that hangs")

    assert_ends(consumer)

    assert not fast_platform.aws.accepted()
    assert Notification.objects.get().state in ("sending", "in_doubt")


@pytest.mark.parametrize("command", COMMANDS, ids=IDS)
def test_sigterm_ends_a_process_whose_dns_hangs(fast_platform, tmp_path, command):
    make_order()
    asked = tmp_path / "asked"
    process = fast_platform.manage(
        *command, DJANGO_SETTINGS_MODULE="tests.faults.world.no_dns", DNS_ASKED=str(asked)
    )
    wait_until(asked.exists, what="a question to DNS")

    assert_ends(process)


@pytest.mark.locking
@pytest.mark.skipif("connection.vendor != 'postgresql'", reason="a file has no server that hangs")
def test_web_process_whose_database_hangs_is_alive_and_not_ready_and_recovers(
    fast_platform, database
):
    base = fast_platform.web(DATABASE_PAGE_SECONDS="600")
    assert status(f"{base}/readyz") == 200
    database.freeze()

    assert status(f"{base}/healthz") == 200
    assert status(f"{base}/readyz") == 503
    assert status(f"{base}/") == 503
    assert status(f"{base}/healthz") == 200

    database.thaw()
    wait_until(lambda: status(f"{base}/readyz") == 200, what="the database again")


@pytest.mark.locking
@pytest.mark.skipif("connection.vendor != 'postgresql'", reason="a file has no server that hangs")
def test_database_that_hangs_for_a_while_burns_no_receive(fast_platform, database):
    fast_platform.aws.set_faults(ses_slow=1)
    place(fast_platform, count=3)
    consumer = fast_platform.consumer("orders", "--no-relay", DATABASE_WORK_SECONDS="1")
    wait_until(fast_platform.aws.accepted, what="the first acceptance")
    database.freeze()
    consumer.wait_for("has not answered for")
    queue = fast_platform.queue(fast_platform.environment["QUEUE_ORDERS"])

    database.thaw()

    wait_until(lambda: queue.count() == 0, what=f"an end of all\n{consumer.output}", seconds=180)
    assert "receive=2" not in consumer.output
    numbers = [mail.number for mail in fast_platform.aws.accepted()]
    assert len(numbers) == len(set(numbers)) == 3

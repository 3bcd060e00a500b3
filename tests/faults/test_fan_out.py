"""Relays and archivers that are killed while events go by a topic: one mail each, and each in the archive."""

import json
import re
import signal
from collections import Counter

import pytest

from queues.models import DeadLetter, OutboxEvent
from tests.faults.test_kills import all_are_done, die, expire_leases, mails
from tests.support.builders import make_account, make_order, make_transaction
from tests.support.processes import wait_until

pytestmark = pytest.mark.processes


@pytest.fixture
def fan_out(platform, tmp_path):
    """A platform whose events go by topics to its queues and to an archive."""
    mark = platform.environment["QUEUE_ORDERS"]
    platform.environment |= {
        "TOPIC_ORDERS": f"{mark}-facts",
        "TOPIC_TRANSACTIONS": f"{mark}-facts.fifo",
        "ARCHIVE_QUEUE": f"{mark}-archive",
        "ARCHIVE_FOLDER": str(tmp_path / "archive"),
        "QUEUE_VISIBILITY_SECONDS": "2",
    }
    platform.provision()
    return platform


def archived(folder):
    """Count how often each event is in the archive; every line must be whole."""
    lines = [
        line for path in folder.glob("*.ndjson") for line in path.read_bytes().splitlines(True)
    ]
    assert all(line.endswith(b"\n") for line in lines)
    return Counter(json.loads(line)["id"] for line in lines)


def recorded():
    return {str(event_id) for event_id in OutboxEvent.objects.values_list("event_id", flat=True)}


@pytest.mark.locking
def test_relay_killed_after_it_published_to_a_topic_loses_no_email_and_sends_none_twice(
    fan_out, tmp_path
):
    account = make_account()
    make_order()
    for amount in ("1.17", "2.17"):
        make_transaction(account=account, amount=amount)
    die(fan_out, "relay_outbox", "after_publish")
    expire_leases()

    fan_out.consumer()
    wait_until(all_are_done, what="all sent")
    archiver = fan_out.manage("archive_events", "--until-empty")

    assert archiver.wait() == 0, archiver.output
    assert len(mails(fan_out)) == 3
    alerts = [found[0] for mail in mails(fan_out) if (found := re.findall(r"\d\.17", mail))]
    assert alerts == ["1.17", "2.17"]
    assert archived(tmp_path / "archive").keys() == recorded()
    assert not DeadLetter.objects.exists()


def test_archiver_killed_before_it_deleted_loses_no_event_and_leaves_no_torn_line(
    fan_out, tmp_path
):
    for _ in range(12):
        make_order()
    assert fan_out.manage("relay_outbox", "--until-empty").wait() == 0
    queue = fan_out.queue(fan_out.environment["ARCHIVE_QUEUE"])

    killed = fan_out.manage("archive_events", FAILPOINTS="after_archive:1")
    assert killed.wait() == -signal.SIGKILL, killed.output
    wait_until(lambda: queue.count("NotVisible") == 0, what="an end of its visibility timeout")
    archiver = fan_out.manage("archive_events")
    wait_until(lambda: queue.count() == 0, what=f"an empty queue\n{archiver.output}")

    assert archiver.stop() == 0
    counts = archived(tmp_path / "archive")
    assert counts.keys() == recorded()
    assert max(counts.values()) == 2
    assert "archived 12 event(s)" in archiver.output

"""Versions of templates under kill -9 and under load: SES's file of accepted emails is the judge of each text."""

import signal
import threading
import time

import pytest
from django.db import connection

from emails.models import Canary, CanaryEmail, Notification
from emails.versions import canary, in_force, publishing
from queues.models import OutboxEvent
from tests.support.builders import make_order, make_product
from tests.support.processes import wait_until

pytestmark = [pytest.mark.processes, pytest.mark.locking]

State = Notification.State
LONG_AGO = "2026-01-01T00:00Z"
NAME = "order_confirmation"
NEW = {
    "subject.hbs": "New {{order_number}}",
    "body.html.hbs": "{{#*inline 'preheader'}}x{{/inline}}"
    "{{#> layout title=order_number reason='x'}}<p>{{order_number}}</p>{{/layout}}",
    "body.txt.hbs": "{{order_number}}",
}
BROKEN = NEW | {"subject.hbs": "New {{no_such_field}}"}
PUBLISH = (
    f"from emails.versions import publishing as p; p.publish({NAME!r}, {NEW!r}, by='ada', why='')"
)
ROLL_BACK = (
    f"from emails.versions import publishing as p; p.roll_back({NAME!r}, None, by='ada', why='')"
)
GO_BACK = (
    "from emails.models import Canary; from emails.versions import canary as c; "
    "c.go_back(Canary.objects.get(), by='ada', why='')"
)
PROMISED_SECONDS = 5


@pytest.fixture
def hurried(fast_platform):
    """A platform that gives up on the dead after a second, and on SES's silence after eight more."""
    fast_platform.environment |= {
        "QUEUE_VISIBILITY_SECONDS": "1",
        "DOUBT_GRACE_SECONDS": "3",
        "DOUBT_DISTANCE_SECONDS": "0",
        "DOUBT_DRAIN_SECONDS": "8",
        "SES_MAX_SEND_RATE": "200",
    }
    return fast_platform


def die(platform, *command, point):
    """Start a process that kills itself at the point, and see it die."""
    process = platform.manage(*command, FAILPOINTS=point)
    assert process.wait() == -signal.SIGKILL, process.output


def end(platform, count):
    """Start a consumer after the death of another, and wait until it has sent all there is."""
    OutboxEvent.objects.filter(state="claimed").update(lease_until=LONG_AGO)
    Notification.objects.filter(state=State.SENDING).update(lease_until=LONG_AGO)
    consumer = platform.consumer("orders", "ses-events")
    sent = Notification.objects.filter(state=State.SENT)
    wait_until(lambda: sent.count() == count, what=f"{count} emails in\n{consumer.output}")
    assert consumer.stop() == 0


def is_new(edition):
    return edition.version.origin == "staff"


def judge(platform):
    """Each email is sent once, with the text of its one version; returns how many have the new one."""
    # The one without a notification asks SES for events, so that its silence in a doubt means something.
    mails = [mail for mail in platform.aws.accepted() if mail.nid]
    rows = Notification.objects.select_related("edition__version").in_bulk()
    assert sorted(mail.nid for mail in mails) == sorted(map(str, rows)), mails
    new = {str(pk) for pk, row in rows.items() if row.edition and is_new(row.edition)}
    assert {mail.nid for mail in mails if mail.subject.startswith("New")} == new
    return len(new)


# Where a consumer may die while a canary runs.
POINTS = ["place_taken:1", "after_claim:1", "after_ses:1", "canary_risen:1"]


@pytest.mark.parametrize("point", POINTS)
def test_consumer_killed_during_a_canary_gives_each_email_one_version_and_sends_it_once(
    hurried, point
):
    for _ in range(12):
        make_order()
    canary.start(NAME, NEW, by="ada", why="")

    die(hurried, "consume_queue", "orders", point=point)
    end(hurried, 12)

    running = Canary.objects.get()
    assert running.is_open
    assert judge(hurried) == CanaryEmail.objects.count() == running.stage - running.left


@pytest.mark.parametrize("point", ["place_taken:1", "canary_went_back:1"])
def test_consumer_killed_while_a_canary_goes_back_leaves_no_email_unsent(hurried, point):
    for _ in range(4):
        make_order()
    canary.start(NAME, BROKEN, by="ada", why="")

    die(hurried, "consume_queue", "orders", point=point)
    end(hurried, 4)

    assert judge(hurried) == 0
    assert Canary.objects.get().state == Canary.State.WENT_BACK


DECISIONS = {
    "template_published": PUBLISH,
    "template_rolled_back": ROLL_BACK,
    "canary_ended": GO_BACK,
}


@pytest.mark.parametrize("point", DECISIONS)
def test_process_killed_while_it_decides_has_decided_nothing(hurried, point):
    if point == "template_rolled_back":
        publishing.publish(NAME, NEW, by="ada", why="")
    if point == "canary_ended":
        canary.start(NAME, NEW, by="ada", why="")
    make_order()

    die(hurried, "shell", "-c", DECISIONS[point], point=f"{point}:1")
    end(hurried, 1)

    assert judge(hurried) == (point != "template_published")


def test_roll_back_under_load_reaches_four_consumers_within_five_seconds(hurried):
    publishing.publish(NAME, NEW, by="ada", why="")
    product = make_product()
    for _ in range(4):
        hurried.consumer("orders", "ses-events")
    stop, placed = threading.Event(), []

    def place():
        while not stop.wait(0.02):
            placed.append(make_order(lines=[(product, 1)]))
        connection.close()

    shop = threading.Thread(target=place)
    shop.start()
    try:
        wait_until(lambda: len(hurried.aws.accepted()) > 50, what="emails")
        publishing.roll_back(NAME, None, by="ada", why="a typo")
        promised = time.time() + PROMISED_SECONDS
        wait_until(lambda: time.time() > promised + 3, what="some more orders")
    finally:
        stop.set()
        shop.join()
    sent = Notification.objects.filter(state=State.SENT)
    wait_until(lambda: sent.count() == len(placed), what="an end of all")

    late = [mail.subject for mail in hurried.aws.accepted() if mail.time > promised]
    assert late
    assert not [subject for subject in late if subject.startswith("New")]
    assert 0 < judge(hurried) < len(placed)
    in_force.forget()

"""Processes that are killed or frozen at each point; the mailbox of the local AWS is the judge."""

import re
import signal
import sqlite3
import time
import urllib.error
import urllib.parse
import urllib.request
from http.cookiejar import CookieJar
from pathlib import Path

import pytest
from django.db import connection

from emails.models import Notification
from emails.sending import by_hand
from orders.models import Order, Transaction
from queues.dead_letters import decisions
from queues.models import DeadLetter, OutboxEvent
from tests.faults.world import deadly
from tests.support import postgres
from tests.support.builders import (
    make_account,
    make_order,
    make_product,
    make_transaction,
    shipping,
)
from tests.support.owed import placed
from tests.support.processes import wait_until

pytestmark = pytest.mark.processes

State = Notification.State
ADA = "ada@example.com"
LONG_AGO = "2026-01-01T00:00Z"

# Where a relay or a consumer may die, and how many mails SES has of what it leaves in doubt.
POINTS = {
    "after_outbox_claim": None,
    "after_publish": None,
    "after_receive": None,
    "after_claim": 0,
    "after_ses": 1,
    "after_accept": None,
    "after_handled": None,
}
ALIASES = ("orders", "transactions")


@pytest.fixture
def hurried(platform):
    """A platform that gives up on the dead after a second, and on SES's silence after three more."""
    platform.environment |= {
        "QUEUE_VISIBILITY_SECONDS": "1",
        "DOUBT_GRACE_SECONDS": "1",
        "DOUBT_DISTANCE_SECONDS": "0",
        "DOUBT_DRAIN_SECONDS": "3",
    }
    return platform


@pytest.fixture(params=["events-on", "events-off"])
def matrix(hurried, request):
    """The same, with SES's events and without: there a doubt, and its group with it, wait for a person."""
    if request.param == "events-off":
        hurried.environment |= {"SES_CONFIGURATION_SET": "", "SES_EVENTS_TOPIC": ""}
        hurried.environment["FIFO_POISON"] = "hold"
    return hurried


def has_events(platform):
    return bool(platform.environment["SES_EVENTS_TOPIC"])


def mails(platform):
    """The subjects of Ada's mails, oldest first."""
    return [mail["subject"] for mail in reversed(platform.aws.mail()) if ADA in mail["to"]]


def owed_by(alias):
    """Events on a queue, and a word of the subject of each email that they owe."""
    if alias == "orders":
        return [make_order().number]
    account = make_account()
    return [make_transaction(account=account, amount=f"{n}.17") and f"{n}.17" for n in (1, 2)]


def die(platform, command, point):
    """Start a process that kills itself at the point, and see it die."""
    process = platform.manage(command, FAILPOINTS=f"{point}:1")
    assert process.wait() == -signal.SIGKILL, process.output


def expire_leases():
    """The lease of what died ends now."""
    OutboxEvent.objects.filter(state="claimed").update(lease_until=LONG_AGO)
    Notification.objects.filter(state=State.SENDING).update(lease_until=LONG_AGO)


def all_are_done():
    unhandled = OutboxEvent.objects.exclude(state=OutboxEvent.State.HANDLED)
    return not unhandled.exists() and not Notification.objects.exclude(state=State.SENT).exists()


def let_a_person_decide(platform, *, accepted):
    """Decide each doubt as a person would: sent if the mailbox has it, sent again if not."""
    doubts = Notification.objects.filter(state=State.IN_DOUBT)
    wait_until(doubts.exists, what="a doubt")
    assert len(mails(platform)) == accepted
    assert (by_hand.mark_sent if accepted else by_hand.send_again)(doubts) == 1


@pytest.mark.locking
@pytest.mark.parametrize("alias", ALIASES)
@pytest.mark.parametrize("point", POINTS)
def test_process_killed_anywhere_loses_no_email_and_sends_none_twice(matrix, point, alias):
    words, accepted = owed_by(alias), POINTS[point]
    die(matrix, "consume_queue", point)
    expire_leases()

    consumer = matrix.consumer()
    if accepted is not None and not has_events(matrix):
        let_a_person_decide(matrix, accepted=accepted)
    wait_until(all_are_done, what=f"an end of everything in\n{consumer.output}", seconds=150)

    found = [next(word for word in words if word in subject) for subject in mails(matrix)]
    assert found == words
    assert ("silence proved" in consumer.output) is (accepted == 0 and has_events(matrix))
    assert not DeadLetter.objects.exists()


@pytest.mark.locking
@pytest.mark.parametrize(
    "point", ["after_claim:5", "after_ses:5", "after_accept:1", "after_handled:1"]
)
def test_lane_killed_with_ten_emails_in_hand_loses_none_and_sends_none_twice(hurried, point):
    orders = [make_order() for _ in range(10)]
    hurried.environment["SES_MAX_SEND_RATE"] = "1000"
    process = hurried.manage("consume_queue", "orders", FAILPOINTS=point)
    assert process.wait() == -signal.SIGKILL, process.output
    expire_leases()

    consumer = hurried.consumer()
    wait_until(all_are_done, what=f"an end of everything in\n{consumer.output}", seconds=150)

    assert sorted(mails(hurried)) == sorted(
        f"Your order {each.number} is confirmed" for each in orders
    )
    assert not DeadLetter.objects.exists()


def form(base, key=None):
    """Post the shop's form; returns the address of the answer and the key that was used."""
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
    page = browser.open(f"{base}/").read().decode()
    hidden = dict(re.findall(r'name="(csrfmiddlewaretoken|idempotency_key)" value="([^"]+)"', page))
    hidden["idempotency_key"] = key or hidden["idempotency_key"]
    [product] = re.findall(r'name="quantity-(\d+)"', page)
    fields = shipping() | hidden | {f"quantity-{product}": "2"}
    return browser, urllib.parse.urlencode(fields).encode(), hidden["idempotency_key"]


RECORDING = pytest.mark.parametrize(("point", "saved"), [("before_commit", 0), ("after_commit", 1)])


@pytest.mark.locking
@RECORDING
def test_web_process_killed_around_its_commit_ends_in_one_order_and_one_mail(matrix, point, saved):
    make_product()
    dying = matrix.web(FAILPOINTS=point)
    browser, fields, key = form(dying)
    with pytest.raises((urllib.error.URLError, ConnectionError)):
        browser.open(f"{dying}/", fields)
    assert Order.objects.count() == OutboxEvent.objects.count() == saved

    base = matrix.web()
    browser, fields, _ = form(base, key)
    browser.open(f"{base}/", fields)
    matrix.consumer()
    wait_until(all_are_done, what="the event handled")

    assert Order.objects.count() == len(mails(matrix)) == 1


@pytest.mark.locking
@RECORDING
def test_posting_killed_around_its_commit_ends_in_a_transaction_with_its_mail_or_in_none(
    matrix, point, saved
):
    posting = ("post_transaction", make_account().number, "deposit", "3.17")
    dying = {"FAILPOINTS": point, "OUTBOX_PUBLISH_ON_COMMIT": "on"}
    assert matrix.manage(*posting, **dying).wait() == -signal.SIGKILL
    assert Transaction.objects.count() == OutboxEvent.objects.count() == saved

    if not saved:
        assert matrix.manage(*posting).wait() == 0
    matrix.consumer()
    wait_until(all_are_done, what="the event handled")

    assert Transaction.objects.count() == len(mails(matrix)) == 1


@pytest.mark.locking
@pytest.mark.parametrize("alias", ALIASES)
def test_collector_killed_between_row_and_delete_leaves_one_letter(matrix, alias):
    name = matrix.environment[f"QUEUE_{alias.upper()}"]
    dead = matrix.queue(re.sub(r"(\.fifo)?$", r"-dlq\1", name, count=1))
    dead.send("rubbish", group="g" if name.endswith(".fifo") else "")
    die(matrix, "consume_queue", "after_collect")
    assert DeadLetter.objects.count() == 1
    wait_until(lambda: dead.count("NotVisible") == 0, what="an end of its visibility timeout")

    consumer = matrix.consumer()
    wait_until(lambda: dead.count() == 0, what=f"nothing left in SQS\n{consumer.output}")

    assert DeadLetter.objects.get().body == "rubbish"
    assert decisions.redrive(DeadLetter.objects.all()) == 1


def status(address):
    try:
        return urllib.request.urlopen(address, timeout=10).status
    except urllib.error.HTTPError as exc:
        return exc.code


def is_frozen(process):
    return Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


# Frozen while its sweeper writes, the process keeps SQLite's only lock: now and then the test cannot go on.
@pytest.mark.soak
@pytest.mark.parametrize(
    ("point", "last_words"),
    [("after_claim", "the lease ended before SES was called"), ("after_ses", "sent event=")],
)
def test_consumer_frozen_past_its_lease_wakes_up_and_sends_no_second_email(
    hurried, point, last_words
):
    make_order()
    # Nothing in it may write at that moment: it would keep SQLite's lock while it is frozen.
    quiet = {"SWEEP_SECONDS": "3600", "FAILPOINTS": f"{point}:1:STOP"}
    frozen = hurried.manage("consume_queue", "orders", "--no-relay", **quiet)
    wait_until(lambda: is_frozen(frozen), what="the freeze")
    expire_leases()
    hurried.consumer()
    wait_until(all_are_done, what="another consumer's end of it")

    frozen.send_signal(signal.SIGCONT)
    frozen.wait_for(last_words)

    assert len(mails(hurried)) == 1
    assert Notification.objects.get().state == State.SENT


def test_consumer_killed_in_a_batch_sends_each_email_once_after_restart(hurried):
    orders = [make_order().number for _ in range(12)]
    killed = hurried.manage("consume_queue", "--concurrency=4", FAILPOINTS="after_ses:5")
    assert killed.wait() == -signal.SIGKILL
    expire_leases()

    hurried.consumer()
    wait_until(all_are_done, what="all sent", seconds=150)

    assert sorted(subject.split()[2] for subject in mails(hurried)) == sorted(orders)


@pytest.mark.locking
def test_message_that_kills_its_consumer_becomes_a_dead_letter_and_takes_none_with_it(hurried):
    hurried.environment |= {
        "DJANGO_SETTINGS_MODULE": "tests.faults.world.deadly",
        "QUEUE_MAX_RECEIVE_COUNT": "5",
        # A message is visible again in a second here, where a minute is usual. A long poll of the dead process would
        # then use up a receive.
        "QUEUE_WAIT_SECONDS": "0",
    }
    hurried.provision()
    queue = hurried.queue(hurried.environment["QUEUE_ORDERS"])
    queue.send(deadly.BODY)
    for _ in range(9):
        queue.send(placed().to_json())

    deaths = 0
    while not DeadLetter.objects.exists():
        consumer = hurried.consumer("orders")
        wait_until(lambda: consumer.has_ended or DeadLetter.objects.exists(), what="an end")  # noqa: B023
        deaths += consumer.has_ended and consumer.wait() == -signal.SIGKILL

    wait_until(lambda: queue.count() == 0, what="nothing left in SQS")
    letter = DeadLetter.objects.get()
    assert (deaths, letter.code, letter.body) == (5, "Died", deadly.BODY)
    # An email that another lane had in hand at a death is in doubt until SES's silence proves that it was not sent.
    hurried.consumer()
    wait_until(lambda: len(mails(hurried)) >= 9, what="the nine others sent", seconds=150)
    assert len(mails(hurried)) == 9
    assert DeadLetter.objects.count() == 1


@pytest.mark.skipif("connection.vendor != 'sqlite'", reason="SQLite locks the whole file")
def test_long_lock_of_sqlite_makes_an_email_late_and_fails_nothing(platform):
    make_order()
    other = sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None)
    consumer = platform.consumer()
    other.execute("BEGIN IMMEDIATE")
    time.sleep(3)
    other.execute("ROLLBACK")
    other.close()

    wait_until(all_are_done, what="the event handled")
    assert len(mails(platform)) == 1
    assert "database is locked" not in consumer.output


def test_poison_at_the_head_of_a_group_takes_nobody_with_it(platform):
    account = make_account()
    amounts = [f"{number}.17" for number in range(1, 6)]
    for amount in amounts:
        make_transaction(account=account, amount=amount)
    queue = platform.queue(platform.environment["QUEUE_TRANSACTIONS"])
    queue.send("poison", group=OutboxEvent.objects.values_list("group", flat=True)[0])
    assert platform.manage("relay_outbox", "--until-empty").wait() == 0

    platform.consumer()
    wait_until(all_are_done, what="five alerts")

    wait_until(lambda: DeadLetter.objects.count() == 1, what="the dead letter")
    assert [re.findall(r"\d\.17", subject)[0] for subject in mails(platform)] == amounts
    assert DeadLetter.objects.get().body == "poison"


@pytest.mark.locking
@pytest.mark.skipif("connection.vendor != 'postgresql'", reason="a file has no server to lose")
def test_postgresql_that_dies_under_a_consumer_costs_no_receive_and_no_email(platform):
    server = postgres.Server()
    platform.environment["DATABASE_URL"] = server.url
    assert platform.manage("migrate").wait() == 0
    base = platform.web()
    consumer = platform.consumer("orders")
    assert status(f"{base}/readyz") == 200

    server.crash()
    consumer.wait_for("not receiving queue=orders")
    queue = platform.queue(platform.environment["QUEUE_ORDERS"])
    queue.send(placed().to_json())
    wait_until(lambda: consumer.output.count("not receiving") > 2, what="more tries")
    assert (status(f"{base}/readyz"), status(f"{base}/"), status(f"{base}/healthz")) == (
        503,
        503,
        200,
    )
    assert queue.count("NotVisible") == 0

    server.start()
    platform.aws.wait_for_mail(to=ADA)
    wait_until(lambda: queue.count() == 0, what="nothing left in SQS")
    assert re.findall(r"receive=\d", consumer.output) == ["receive=1"]
    assert status(f"{base}/readyz") == 200
    assert len(mails(platform)) == 1

"""Real processes, from a saved order to a mail in the local mailbox."""

import re
import signal
import time
import urllib.parse
import urllib.request
from http.cookiejar import CookieJar

import pytest

from emails.models import Notification
from queues.dead_letters import decisions
from queues.models import DeadLetter, HandlingFailure, OutboxEvent
from tests.support.builders import (
    make_account,
    make_order,
    make_product,
    make_transaction,
    shipping,
)
from tests.support.processes import wait_until

pytestmark = [pytest.mark.processes, pytest.mark.locking]

ADA = "ada@example.com"
State = Notification.State


def mails(platform, to=ADA):
    return [mail for mail in platform.aws.mail() if to in mail["to"]]


def handled(count):
    return OutboxEvent.objects.filter(state=OutboxEvent.State.HANDLED).count() == count


def test_order_in_the_web_form_becomes_a_mail(platform):
    product = make_product(name="Brass bell")
    base = platform.web()
    platform.consumer("--no-relay")
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
    page = browser.open(f"{base}/").read().decode()
    hidden = dict(re.findall(r'name="(csrfmiddlewaretoken|idempotency_key)" value="([^"]+)"', page))

    fields = shipping() | hidden | {f"quantity-{product.pk}": "2"}
    answer = browser.open(f"{base}/", urllib.parse.urlencode(fields).encode())

    mail = platform.aws.wait_for_mail(to=ADA)
    assert "/orders/ORD-" in answer.url
    assert "Brass bell" in mail["html"]
    assert "Brass bell" in mail["text"]
    wait_until(
        lambda: "Delivered" in browser.open(f"{answer.url}email/").read().decode(), what="delivery"
    )


def test_transactions_of_an_account_arrive_in_order(platform):
    account = make_account(balance="0")
    amounts = [f"{number}.00" for number in range(1, 8)]
    for amount in amounts:
        make_transaction(account=account, amount=amount)

    platform.consumer("--concurrency=4")
    wait_until(lambda: len(mails(platform)) == 7, what="seven alerts")

    subjects = [mail["subject"] for mail in reversed(mails(platform))]
    assert [re.findall(r"\$(\d+\.00)", subject)[0] for subject in subjects] == amounts


def test_unverified_customer_gets_the_email_after_verification_and_redrive_once(platform):
    grace = f"grace-{time.time_ns()}@example.org"
    order = make_order(customer_email=grace)
    platform.consumer()

    wait_until(lambda: DeadLetter.objects.count() == 1, what="a dead letter")
    letter = DeadLetter.objects.get()
    assert letter.subject == order.number
    assert (
        f"The following identities failed the check in region EU-WEST-1: {grace}" in letter.reason
    )
    assert HandlingFailure.objects.filter(sqs_message_id=letter.sqs_message_id).count() == 3

    platform.aws.client("ses").verify_email_identity(EmailAddress=grace)
    [pending] = [found for found in platform.aws.pending() if found["identity"] == grace]
    urllib.request.urlopen(pending["link"])
    decisions.redrive(DeadLetter.objects.all())

    wait_until(lambda: handled(2), what="the redriven event handled")
    assert len([mail for mail in mails(platform, grace) if order.number in mail["subject"]]) == 1
    assert decisions.redrive(DeadLetter.objects.all()) == 0


def test_consumer_killed_between_receive_and_send_sends_once_after_restart(platform):
    make_order()
    killed = platform.manage("consume_queue", "orders", FAILPOINTS="after_receive:1")
    assert killed.wait() == -signal.SIGKILL

    platform.consumer()

    wait_until(lambda: handled(1), what="the event handled")
    assert len(mails(platform)) == 1


def test_consumer_killed_after_its_claim_leaves_a_doubt_and_sends_nothing(platform):
    make_order()
    killed = platform.manage("consume_queue", FAILPOINTS="after_claim:1")
    assert killed.wait() == -signal.SIGKILL
    Notification.objects.update(lease_until="2026-01-01T00:00Z")

    platform.consumer()

    wait_until(lambda: Notification.objects.get().state == State.IN_DOUBT, what="a doubt")
    assert mails(platform) == []


def test_consumer_killed_after_ses_accepted_sends_no_second_email(platform):
    make_order()
    killed = platform.manage("consume_queue", FAILPOINTS="after_ses:1")
    assert killed.wait() == -signal.SIGKILL

    platform.consumer()

    # SES's own event proves what the dead process could not record.
    wait_until(lambda: Notification.objects.get().state == State.SENT, what="proof of acceptance")
    wait_until(lambda: handled(1), what="the event handled", seconds=150)
    assert len(mails(platform)) == 1


def test_relay_killed_after_publishing_causes_no_second_email(platform):
    make_order()
    killed = platform.manage("relay_outbox", FAILPOINTS="after_publish:1")
    assert killed.wait() == -signal.SIGKILL
    OutboxEvent.objects.update(lease_until="2026-01-01T00:00Z")

    platform.consumer()

    wait_until(lambda: handled(1), what="the event handled")
    assert len(mails(platform)) == 1


def test_two_consumers_send_each_email_once(platform):
    orders = [make_order() for _ in range(30)]

    for _ in range(2):
        platform.consumer("--concurrency=4")

    wait_until(lambda: handled(30), what="thirty events handled", seconds=150)
    subjects = [mail["subject"] for mail in mails(platform)]
    assert sorted(subjects) == sorted(f"Your order {order.number} is confirmed" for order in orders)


def test_consumer_finds_out_how_many_threads_the_rate_needs(platform):
    for _ in range(5):
        make_order()

    consumer = platform.consumer("--concurrency=auto", SES_MAX_SEND_RATE="1000")

    wait_until(lambda: handled(5), what="five events handled")
    consumer.wait_for("resized queue=orders at_once=")
    assert consumer.stop() == 0


def test_stopped_consumer_exits_with_nothing_in_hand(platform):
    for _ in range(25):
        make_order()
    consumer = platform.consumer("--concurrency=2")
    consumer.wait_for("sent event=")

    began = time.monotonic()
    assert consumer.stop() == 0
    assert time.monotonic() - began < 25

    assert "stopped: nothing in flight" in consumer.output
    sqs = platform.aws.client("sqs")
    url = sqs.get_queue_url(QueueName=platform.environment["QUEUE_ORDERS"])["QueueUrl"]
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert found["ApproximateNumberOfMessagesNotVisible"] == "0"
    assert not Notification.objects.filter(state=State.SENDING).exists()


def test_until_empty_ends_by_itself_when_all_is_sent(platform):
    account = make_account(balance="0")
    for _ in range(6):
        make_order()
        make_transaction(account=account)

    assert platform.manage("consume_queue", "--until-empty").wait(seconds=150) == 0

    assert len(mails(platform)) == 12


def test_rubbish_on_the_queue_becomes_dead_letters_and_stops_nobody(platform):
    make_order()
    sqs = platform.aws.client("sqs")
    url = sqs.get_queue_url(QueueName=platform.environment["QUEUE_ORDERS"])["QueueUrl"]
    bodies = ["not json", "\ud83d\ude00", "[]", "x" * 1_000_000, '{"type": "moon.fell.v1"}']
    for body in bodies:
        sqs.send_message(QueueUrl=url, MessageBody=body)

    platform.consumer()

    wait_until(lambda: DeadLetter.objects.count() == len(bodies), what="five dead letters")
    assert {letter.code for letter in DeadLetter.objects.all()} == {"BadEnvelope"}
    assert len(mails(platform)) == 1


def test_restarted_local_aws_loses_no_email(platform):
    make_order()
    platform.manage("relay_outbox", "--until-empty").wait()
    sqs = platform.aws.client("sqs")
    url = sqs.get_queue_url(QueueName=platform.environment["QUEUE_ORDERS"])["QueueUrl"]
    sqs.purge_queue(QueueUrl=url)

    platform.consumer(OUTBOX_STALE_SECONDS="0")

    platform.aws.wait_for_mail(to=ADA, seconds=150)


def test_unverified_sender_stops_receiving_and_heals_by_itself(platform):
    order = make_order()
    sender = f"sender-{time.time_ns()}@example.org"
    consumer = platform.consumer(SES_FROM_EMAIL=sender)
    consumer.wait_for("breaker configuration open")
    make_order()
    consumer.wait_for("not receiving queue=orders: breaker configuration")

    platform.aws.client("ses").verify_email_identity(EmailAddress=sender)
    platform.aws.verify(sender)

    wait_until(lambda: handled(2), what="both events handled")
    assert "breaker configuration closed" in consumer.output
    assert len([mail for mail in mails(platform) if order.number in mail["subject"]]) == 1
    assert not HandlingFailure.objects.exists()

"""An account's emails keep their order, whatever becomes of one of them."""

import json
import re

import pytest

from emails import sweeping
from emails.errors import InDoubt
from emails.models import Notification
from emails.reports import feedback
from emails.sending import by_hand, limiter, states
from orders.models import Transaction
from queues.aws import sqs
from queues.events.envelope import Event
from queues.models import HandlingFailure, OutboxEvent
from tests.support.builders import make_account, make_transaction
from tests.support.owed import claimed, notification_of

pytestmark = pytest.mark.django_db

State = Notification.State


@pytest.fixture
def doubt(aws):
    """Two alerts of one account, the first in doubt."""
    aws.verify("ada@example.com")
    limiter.refresh()
    account = make_account()
    for _ in range(2):
        make_transaction(account=account)
    event = Event.from_json(OutboxEvent.objects.order_by("id")[0].body)
    notification = notification_of(event, "transaction_alert", "ada@example.com")
    claim = claimed(notification)
    states.doubt(claim, InDoubt("lost"))
    return claim


def send_event(notification_id):
    """Send the event that SES publishes of the first attempt."""
    mail = {
        "timestamp": "2026-11-22T10:00:00Z",
        "messageId": "m-1",
        "destination": ["ada@example.com"],
        "tags": {"nid": [str(notification_id)], "att": ["1"]},
    }
    return json.dumps({"eventType": "Send", "mail": mail, "send": {}})


def references(aws):
    """Return the references that SES accepted, in its order."""
    return [re.findall(r"TXN-\d+", mail.raw_data)[0] for mail in aws.accepted]


def posted():
    return list(Transaction.objects.order_by("id").values_list("reference", flat=True))


def outbox_states():
    return list(OutboxEvent.objects.order_by("id").values_list("state", flat=True))


def test_later_email_of_the_account_waits_for_one_in_doubt(doubt, aws, consume):
    for _ in range(4):
        consume("transactions")

    assert aws.accepted == []
    assert outbox_states() == ["held", "pending"]
    assert sqs.queue("transactions").depth() == sqs.Depth(0, 0, 0)
    assert not HandlingFailure.objects.exists()


def test_email_in_doubt_after_it_was_throttled_holds_its_account(aws, consume, refuses):
    aws.verify("ada@example.com")
    limiter.refresh()
    account = make_account()
    for _ in range(2):
        make_transaction(account=account)
    refuses("ServiceUnavailable", "busy", status=503)
    refuses("Throttling", "Maximum sending rate exceeded", times=1)

    for _ in range(2):
        consume("transactions")

    assert outbox_states() == ["held", "pending"]


def test_email_in_doubt_that_was_not_accepted_is_sent_before_the_later_one(doubt, aws, consume):
    for _ in range(2):
        consume("transactions")

    by_hand.send_again(Notification.objects.filter(state=State.IN_DOUBT))
    for _ in range(3):
        consume("transactions")

    assert references(aws) == posted()
    assert outbox_states() == ["handled", "handled"]


@pytest.mark.parametrize("way", ["event of SES", "person", "sweep"])
def test_later_email_follows_once_the_doubt_ends(doubt, aws, consume, way):
    for _ in range(2):
        consume("transactions")

    pk = doubt.notification.pk
    if way == "event of SES":
        feedback.take(send_event(pk))
    elif way == "person":
        by_hand.mark_sent(Notification.objects.all())
    else:
        states.accept(pk, 1, "m-1")
        sweeping.end_holds()
    for _ in range(3):
        consume("transactions")

    assert references(aws) == posted()[1:]
    assert outbox_states() == ["handled", "handled"]


def test_sweep_leaves_a_group_held_while_its_email_is_in_doubt(doubt, consume):
    for _ in range(2):
        consume("transactions")

    assert sweeping.end_holds() == 0
    assert outbox_states() == ["held", "pending"]


def test_where_a_person_decides_nothing_waits(settings, doubt, aws, consume):
    settings.SES_EVENTS_TOPIC = ""

    consume("transactions")
    consume("transactions")

    assert len(aws.accepted) == 1
    assert Notification.objects.get(pk=doubt.notification.pk).state == State.IN_DOUBT


def test_where_dead_letters_hold_a_group_a_doubt_of_a_person_does_too(
    settings, doubt, aws, consume
):
    settings.SES_EVENTS_TOPIC = ""
    settings.FIFO_POISON = "hold"

    for _ in range(2):
        consume("transactions")

    assert aws.accepted == []
    assert outbox_states() == ["held", "pending"]

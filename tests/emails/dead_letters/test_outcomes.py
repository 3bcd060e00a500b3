from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from emails.dead_letters import outcomes
from emails.models import Notification
from queues.answers import Verdict
from queues.dead_letters import collecting
from queues.models import DeadLetter, OutboxEvent
from queues.redrives import jobs
from tests.support.builders import make_order
from tests.support.lanterns import start

pytestmark = pytest.mark.django_db


def make_notification(**fields: Any) -> Notification:
    defaults: dict[str, Any] = {
        "event_id": uuid.uuid4(),
        "template": "order_confirmation",
        "recipient": "ada@example.com",
        "context": {},
        "next_at": timezone.now(),
        "state": "sent",
        "sent_at": timezone.now() - timedelta(hours=1),
    }
    return Notification.objects.create(**defaults | fields)


def told(*notifications: Notification) -> Any:
    [outcome] = outcomes.of([notification.event_id for notification in notifications]).values()
    return outcome


@pytest.mark.parametrize(
    ("fields", "verdict"),
    [
        ({"state": "pending"}, Verdict.PENDING),
        ({"state": "sending"}, Verdict.PENDING),
        ({"state": "in_doubt"}, Verdict.PENDING),
        ({"state": "failed"}, Verdict.FAILED),
        ({"state": "cancelled"}, Verdict.UNSENT),
        ({"state": "suppressed"}, Verdict.UNSENT),
        ({}, Verdict.ACCEPTED),
        ({"delivery_status": "delayed"}, Verdict.ACCEPTED),
        ({"delivery_status": "delivered"}, Verdict.ACCEPTED),
        ({"delivery_status": "complained"}, Verdict.ACCEPTED),
        ({"delivery_status": "bounced_soft"}, Verdict.BOUNCED),
        ({"delivery_status": "bounced_hard"}, Verdict.BOUNCED),
        ({"delivery_status": "rejected"}, Verdict.BOUNCED),
    ],
)
def test_each_state_of_an_email_has_its_verdict(fields, verdict):
    assert told(make_notification(**fields)).verdict == verdict


def test_every_state_and_delivery_is_told():
    assert set(outcomes._BY_STATE) | {"sent"} == set(Notification.State)
    assert set(outcomes._BY_DELIVERY) == set(Notification.Delivery)


def test_the_worst_email_of_an_event_counts():
    event_id = uuid.uuid4()
    make_notification(event_id=event_id)
    bad = make_notification(event_id=event_id, template="other", state="failed")
    make_notification(event_id=event_id, template="third")

    assert told(bad).verdict == Verdict.FAILED


@pytest.mark.parametrize(
    ("age", "events", "waits"),
    [(timedelta(), True, True), (timedelta(), False, False), (timedelta(minutes=2), True, False)],
)
def test_a_delivery_is_waited_for_a_while_where_ses_tells_of_it(settings, age, events, waits):
    settings.QUEUES = {"orders": "o"} | ({"ses-events": "e"} if events else {})

    assert told(make_notification(sent_at=timezone.now() - age)).may_change == waits


def test_nothing_is_waited_for_after_the_delivery(settings):
    settings.QUEUES = {"ses-events": "e"}
    notification = make_notification(sent_at=timezone.now(), delivery_status="delivered")

    assert not told(notification).may_change


def test_an_event_without_an_email_is_not_told_of():
    assert outcomes.of([uuid.uuid4()]) == {}


def test_many_events_are_told_in_one_query(django_assert_num_queries):
    events = [make_notification().event_id for _ in range(20)]

    with django_assert_num_queries(1):
        assert len(outcomes.of(events)) == 20


def advance() -> None:
    while jobs.advance():
        pass


def bury_orders(count: int) -> None:
    """Orders whose messages are dead letters: their customer was not verified."""
    code, reason = "MessageRejected", "Email address is not verified: ada@example.com"
    for _ in range(count):
        make_order()
        row = OutboxEvent.objects.latest("id")
        DeadLetter.objects.create(
            queue=row.queue,
            sqs_message_id=str(uuid.uuid4()),
            event_id=row.event_id,
            type=row.type,
            subject=row.subject,
            body=row.body,
            code=code,
            reason=reason,
            fingerprint=collecting.fingerprint(code, reason),
        )
    OutboxEvent.objects.update(state="dead")


def test_a_canary_whose_recipient_is_still_not_verified_halts_at_once(consume, refuses):
    bury_orders(3)
    refuses("MessageRejected", "Email address is not verified: grace@example.com")
    redrive = start()
    advance()

    consume("orders")
    advance()

    redrive.refresh_from_db()
    assert redrive.state == "halted"
    assert redrive.why == "MessageRejected: Email address is not verified: *"
    assert DeadLetter.objects.filter(state="open").count() == 2


def test_after_the_mend_each_email_is_sent_once_and_the_record_says_so(aws, consume, settings):
    bury_orders(3)
    settings.QUEUES = {"orders": settings.QUEUES["orders"]}
    redrive = start()

    for _ in range(3):
        advance()
        consume("orders")
    advance()

    redrive.refresh_from_db()
    assert redrive.state == "done"
    assert [item.detail for item in redrive.items.all()] == ["SES accepted it."] * 3
    assert len(aws.accepted) == 3

"""Claims of notifications under real concurrency, on SQLite and on PostgreSQL."""

import itertools
import time
import uuid

import pytest
from django.db import connection

from emails.models import Attempt, Notification
from emails.sending import claims, notifying, states
from emails.sending.planning import Owed
from emails.ses import ses_api
from queues.aws import sqs
from queues.consumer import handling, retry_in_place
from queues.errors import Retry
from queues.models import OutboxEvent
from queues.models.sql import in_one_message
from queues.threads import writer
from tests.support.owed import claimed, owed, place, placed
from tests.support.threads import abreast, at_once

State = Notification.State

pytestmark = [pytest.mark.locking, pytest.mark.django_db(transaction=True)]


def test_of_many_claims_at_once_one_is_granted():
    notification = owed(place())

    granted = at_once(8, lambda: claims.claim(notification))

    assert len([claim for claim in granted if claim]) == 1
    assert Attempt.objects.count() == 1


def test_same_emails_claimed_in_opposite_orders_wait_for_each_other_in_no_circle():
    recipients = [f"ada{number}@example.com" for number in range(30)]
    events = [placed() for _ in range(20)]

    def claim(number, step):
        owing = [Owed(events[number], "order_confirmation", each) for each in recipients]
        claims.claim_owed(owing[::step])

    abreast(lambda number: claim(number, 1), lambda number: claim(number, -1), rounds=len(events))

    assert Attempt.objects.count() == len(events) * len(recipients)
    assert set(Attempt.objects.values_list("number", flat=True)) == {1}


def test_acceptances_in_opposite_orders_wait_for_each_other_in_no_circle():
    """Those of two consumers, with the marks of their events, and those that SES's events tell."""
    rounds, size = 30, 20
    sent = []
    for number in range(rounds * size):
        held = claimed(owed(place()))
        accepted = states.Acceptance(held.notification.pk, held.attempt, f"ses-{number}")
        sent.append((accepted, held.notification.event_id))

    def batch(number):
        return list(zip(*sent[number * size : (number + 1) * size], strict=True))

    def settle(number, step):
        accepted, events = batch(number)
        with in_one_message():
            states.accept_many(accepted[::step])
            handling.mark_handled(events[::step])

    def be_told(number):
        for one in batch(number)[0][::-1]:
            states.accept(one.notification_id, one.attempt, one.provider_message_id)

    abreast(
        lambda number: settle(number, 1),
        lambda number: settle(number, -1),
        be_told,
        lambda number: handling.mark_handled(batch(number)[1][::-1]),
        rounds=rounds,
    )

    assert set(Notification.objects.values_list("state", flat=True)) == {State.SENT}
    found = Attempt.objects.values_list("notification_id", "outcome", "provider_message_id")
    assert set(found) == {
        (one.notification_id, "accepted", one.provider_message_id) for one, _ in sent
    }
    assert set(OutboxEvent.objects.values_list("state", flat=True)) == {"handled"}


def test_claim_and_cancelling_at_once_have_one_winner():
    notification = owed(place())
    rows = Notification.objects.filter(pk=notification.pk)
    acts = itertools.cycle([lambda: claims.claim(notification), lambda: states.cancel(rows)])

    winners = [answer for answer in at_once(8, lambda: next(acts)()) if answer]

    assert len(winners) == 1
    is_claimed = isinstance(winners[0], claims.Claim)
    assert rows.get().state == (State.SENDING if is_claimed else State.CANCELLED)


def test_same_message_in_many_hands_becomes_one_email(aws):
    ses_api.connection()
    event = place()

    def handle():
        try:
            notifying.notify(event, template="order_confirmation", recipient="ada@example.com")
        except Retry as exc:
            return exc.code
        return "done"

    answers = at_once(6, handle)

    assert len(aws.accepted) == 1
    assert Notification.objects.get().state == State.SENT
    assert set(answers) <= {"done", "InOtherHands"}


def test_evidence_and_sender_at_once_agree(aws):
    notification = owed(place())
    held = claimed(notification)

    news = at_once(4, lambda: states.accept(notification.pk, held.attempt, "ses-1"))

    assert sorted(news) == [False, False, False, True]
    assert Notification.objects.get().provider_message_id == "ses-1"


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("MessageRejected", "Email address is not verified: somebody@example.com"),
        ("InvalidParameterValue", "Illegal address"),
        ("InternalFailure", "SES may have accepted it"),
        ("Throttling", "Maximum sending rate exceeded."),
        ("Throttling", "Daily message quota exceeded."),
    ],
)
def test_threads_that_all_fail_at_once_take_no_connections_of_their_own(aws, refuses, code, text):
    refuses(code, text)
    bodies = iter([placed(recipient=f"somebody-{n}@example.com").to_json() for n in range(4)])

    until = time.monotonic() + 1.5

    def handle():
        retry_in_place.begin(lambda: time.monotonic() > until)
        message = sqs.Received(id=str(uuid.uuid4()), receipt="r", body=next(bodies))
        handling.handle(sqs.queue("orders"), message)
        return connection.connection is None

    with writer.one_thread():
        assert at_once(4, handle) == [True] * 4

"""Claims of notifications under real concurrency, on SQLite and on PostgreSQL."""

import itertools

import pytest

from emails import sending, ses, states
from emails.models import Attempt, Notification
from queues.errors import Retry
from tests.owed import claimed, owed, place
from tests.threads import at_once

State = Notification.State

pytestmark = [pytest.mark.locking, pytest.mark.django_db(transaction=True)]


def test_of_many_claims_at_once_one_is_granted():
    notification = owed(place())

    claims = at_once(8, lambda: states.claim(notification))

    assert len([claim for claim in claims if claim]) == 1
    assert Attempt.objects.count() == 1


def test_claim_and_cancelling_at_once_have_one_winner():
    notification = owed(place())
    rows = Notification.objects.filter(pk=notification.pk)
    acts = itertools.cycle([lambda: states.claim(notification), lambda: states.cancel(rows)])

    winners = [answer for answer in at_once(8, lambda: next(acts)()) if answer]

    assert len(winners) == 1
    is_claimed = isinstance(winners[0], states.Claim)
    assert rows.get().state == (State.SENDING if is_claimed else State.CANCELLED)


def test_same_message_in_many_hands_becomes_one_email(aws):
    ses.connection()
    event = place()

    def handle():
        try:
            sending.notify(event, template="order_confirmation", recipient="ada@example.com")
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

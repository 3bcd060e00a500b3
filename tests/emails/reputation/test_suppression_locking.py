"""The suppression list, the alerts and the guard under real concurrency, on SQLite and on PostgreSQL."""

import itertools
from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from emails import sweeping
from emails.models import Notification, Suppression
from emails.models.reputation import Incident
from emails.reports import feedback, ses_events
from emails.reputation import support, suppressions
from emails.reputation.suppressions import Entry, Source
from emails.sending import guard
from queues.models import OutboxEvent
from tests.emails.reports.test_feedback import ses_event
from tests.support.rows import make_notification, make_suppression
from tests.support.threads import at_once

pytestmark = [pytest.mark.locking, pytest.mark.django_db(transaction=True)]

State = Notification.State


def bounced(notification, *, seconds=0):
    moment = (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()
    raw = ses_event(
        "Bounce", notification=notification, bounceType="Permanent", moment=moment, message_id="s"
    )
    return ses_events.parsed(raw), raw


def sent(number):
    return make_notification(recipient=f"{number}@example.com", state=State.SENT)


def test_reports_of_the_same_addresses_in_any_order_at_once_wait_for_nobody(settings):
    settings.SUPPORT_EMAIL = "help@example.com"
    emails = [sent(number) for number in range(6)]
    acts = itertools.cycle(
        [
            lambda: feedback.record([bounced(email) for email in emails]),
            lambda: feedback.record([bounced(email) for email in reversed(emails)]),
            lambda: suppressions.add(
                [Entry(email.recipient, Source.STAFF) for email in emails[::2]], reactivate=True
            ),
        ]
    )

    at_once(6, lambda: next(acts)())

    assert Suppression.objects.active().count() == 6
    assert Incident.objects.count() == 6


def test_lift_and_a_later_bounce_at_once_end_with_the_bounce():
    email = sent(1)
    make_suppression(address=email.recipient)
    acts = itertools.cycle(
        [
            lambda: suppressions.lift(Suppression.objects.all()),
            lambda: feedback.record([bounced(email, seconds=60)]),
        ]
    )

    at_once(4, lambda: next(acts)())
    feedback.record([bounced(email, seconds=60)])

    assert Suppression.objects.get().state == Suppression.State.ACTIVE


def test_what_a_lift_sends_again_is_sent_by_one_of_many(aws):
    make_notification(state=State.SUPPRESSED)
    make_suppression(
        state=Suppression.State.LIFTED, lifted_at=timezone.now(), sends_again=True, ses_task=""
    )

    counts = at_once(4, suppressions.send_lifted)

    assert sum(counts) == 1
    assert OutboxEvent.objects.count() == 1


def test_of_many_consumers_one_tells_the_support(settings):
    settings.SUPPORT_EMAIL = "help@example.com"
    feedback.record([bounced(sent(number)) for number in range(3)])

    counts = at_once(4, support.tell)

    assert sorted(counts) == [0, 0, 0, 3]
    assert OutboxEvent.objects.count() == 1


def test_what_was_kept_is_sent_again_once_by_many_at_once(aws):
    guard.stop(reason="a test")
    guard.resume()
    for _ in range(5):
        make_notification(state=State.KEPT)

    counts = at_once(4, sweeping.send_kept)

    assert sum(counts) == 5
    assert OutboxEvent.objects.count() == 5

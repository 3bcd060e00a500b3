from datetime import timedelta

import pytest
from django.core import mail
from django.db import transaction
from django.utils import timezone

from emails import figures as counted
from emails import sweeping
from emails.models import DeliveryEvent, Notification
from emails.sending import guard, planning, states
from emails.sending.notifying import notify
from notifier.alerts import alerts, concerns
from queues import outbox, registry
from queues.answers import Bucket
from queues.events import envelope
from queues.events.envelope import Event, EventData
from queues.models import OutboxEvent
from queues.models.live import Duty, Figure
from queues.redrives import preflight
from queues.upkeep import figures
from queues.upkeep.figures import TEN_MINUTES
from tests.support.builders import make_order
from tests.support.living import make_consumer
from tests.support.owed import only, owed, place, placed

pytestmark = pytest.mark.django_db

State = Notification.State
TYPE = "newsletter.issued.v1"


@pytest.fixture
def newsletter():
    """An event whose email is bulk; it borrows the template of an order."""
    data = type(
        "NewsletterIssued",
        (EventData,),
        {"__annotations__": {}, "__module__": __name__, "model_config": {"extra": "allow"}},
        type=TYPE,
        queue="orders",
        source="/newsletter",
    )

    def send(event: Event) -> None:
        notify(
            event,
            template="order_confirmation",
            recipient=event.data["customer"]["email"],
            bulk=True,
        )

    send.__module__ = "emails.handlers"
    registry.handles(TYPE)(send)
    yield data
    del registry._handlers[TYPE]
    del envelope._types[TYPE]


def issue(*, times=1):
    """Record an event in the outbox, as a producer does."""

    for number in range(times):
        event = placed(recipient=f"reader-{number}@example.com").model_copy(update={"type": TYPE})
        with transaction.atomic():
            outbox.record(event)


def happened(*, accepted=0, bounced=0, complained=0, ago=timedelta(hours=1)):
    Figure.objects.create(
        seconds=TEN_MINUTES,
        begins_at=figures.floor(timezone.now() - ago, TEN_MINUTES),
        counts={"accepted": accepted, "bounced": bounced, "complained": complained},
    )


def look():
    """Do what a consumer does a minute later."""
    Duty.objects.filter(pk="guard").delete()
    return guard.check()


@pytest.mark.parametrize(
    ("counts", "stops"),
    [
        ({"accepted": 1000, "bounced": 99}, False),
        ({"accepted": 1000, "bounced": 100}, True),
        ({"accepted": 1000, "complained": 4}, False),
        ({"accepted": 1000, "complained": 5}, True),
        # Too few to say so.
        ({"accepted": 99, "bounced": 99}, False),
        ({"accepted": 100, "complained": 2}, False),
        ({"accepted": 0, "bounced": 5}, False),
    ],
)
def test_bulk_stops_past_the_line_and_not_before(counts, stops):
    happened(**counts)

    assert look() == stops
    assert guard.is_stopped() == stops


def test_what_is_older_than_the_window_does_not_count():
    happened(accepted=1000, bounced=500, ago=timedelta(hours=25))

    assert look() == 0


def test_while_bulk_is_stopped_a_bulk_email_is_kept_and_burns_no_receive(aws, consume, newsletter):
    guard.stop(reason="a test")
    issue(times=2)

    consume()

    assert aws.accepted == []
    assert {row.state for row in Notification.objects.all()} == {State.KEPT}
    assert {row.attempts for row in Notification.objects.all()} == {0}
    assert {row.state for row in OutboxEvent.objects.all()} == {OutboxEvent.State.HANDLED}


def test_while_bulk_is_stopped_orders_are_confirmed(aws, consume, newsletter):
    guard.stop(reason="a test")
    make_order()

    consume()

    assert only().state == State.SENT


def test_what_was_kept_goes_out_once_when_a_person_resumes(aws, consume, newsletter):
    guard.stop(reason="a test")
    issue(times=3)
    consume()
    assert sweeping.send_kept() == 0

    guard.resume()
    assert sweeping.send_kept() == 3
    assert sweeping.send_kept() == 0
    consume()

    assert len(aws.accepted) == 3


def test_bulk_that_waits_for_another_try_is_kept_as_well(aws, newsletter):
    event = place().model_copy(update={"type": TYPE})
    owed(event)
    guard.stop(reason="a test")

    notify(event, template="order_confirmation", recipient="ada@example.com", bulk=True)

    assert only().state == State.KEPT


def test_bulk_goes_out_while_nothing_is_stopped(aws, consume, newsletter):
    issue()

    consume()

    assert only().state == State.SENT


def test_kept_email_can_be_cancelled(aws, consume, newsletter):
    guard.stop(reason="a test")
    issue()
    consume()

    assert states.cancel(Notification.objects.all()) == 1
    guard.resume()

    assert sweeping.send_kept() == 0


def test_after_a_resume_the_guard_counts_anew():
    happened(accepted=1000, bounced=500)
    look()
    guard.resume()

    assert look() == 0
    # Two spans later.
    with_later = guard.state()
    with_later.resumed_at = timezone.now() - timedelta(hours=2)
    with_later.save()

    assert look() == 1


def test_first_reason_of_a_stop_stays():
    assert guard.stop(reason="first", by="ada")
    assert not guard.stop(reason="second")

    assert guard.state().reason == "first"


def test_preflight_says_that_bulk_would_be_kept(account, newsletter):
    event = place().model_copy(update={"type": TYPE})
    assert planning.planned(event)[0].bulk
    assert preflight.of(event) == Bucket.SENDS

    guard.stop(reason="a test")

    assert preflight.of(event) == Bucket.KEPT


def test_stop_by_the_guard_is_told_and_shown(settings):
    settings.ADMINS = [("ops@example.com", "ops@example.com")]
    make_consumer()
    happened(accepted=1000, bounced=120)
    look()

    alerts.check()

    assert "Bulk email is stopped" in str(mail.outbox[0].body)
    assert "bounces 12.00 % (120 of 1,000 emails)" in str(mail.outbox[0].body)


def test_warning_is_told_before_anything_stops(settings):
    happened(accepted=1000, bounced=60, complained=0)

    found = {concern.title: concern.advice for concern in concerns.current()}

    assert "Bounces 6.00 % (60 of 1,000 emails)" in found["Too many bounces"]
    assert not guard.is_stopped()


def test_stop_by_a_person_alarms_nobody():
    guard.stop(reason="a test", by="ada")

    [found] = [concern for concern in concerns.current() if concern.key == "guard"]
    assert not found.is_alerted


def test_what_ses_did_not_try_is_no_bounce_and_not_spam_is_no_complaint():
    def told(kind, number, **detail):
        DeliveryEvent.objects.create(
            provider_message_id=f"ses-{number}",
            type=kind,
            happened_at=timezone.now(),
            raw={kind.lower(): detail},
        )

    told("Bounce", 1, bounceType="Permanent", bounceSubType="General")
    told("Bounce", 2, bounceType="Permanent")
    told("Bounce", 3, bounceType="Permanent", bounceSubType="OnAccountSuppressionList")
    told("Bounce", 4, bounceType="Transient", bounceSubType="General")
    told("Complaint", 5, complaintFeedbackType="abuse", complaintSubType=None)
    told("Complaint", 6)
    told("Complaint", 7, complaintFeedbackType="not-spam")
    now = timezone.now()

    counts = counted.count(now - timedelta(minutes=1), now + timedelta(minutes=1))

    assert (counts["bounced"], counts["complained"]) == (2, 2)

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


def is_just_now(moment):
    return abs(moment - timezone.now()) < timedelta(seconds=10)


def rate(count, of, **limits):
    defaults = {"warning": 5.0, "stop": 10.0}
    return guard.Rate("bounces", Notification.Delivery.BOUNCED_HARD, count, of, **defaults | limits)


@pytest.mark.parametrize(
    ("count", "of", "is_high", "is_over"),
    [
        (49, 1000, False, False),
        (50, 1000, True, False),
        (99, 1000, True, False),
        (100, 1000, True, True),
        # Too few were sent, or too few bounced, to say so.
        (99, 99, False, False),
        (100, 100, True, True),
        (2, 100, False, False),
        (3, 100, False, False),
        (0, 0, False, False),
    ],
)
def test_rate_is_high_and_over_from_its_limits_on(settings, count, of, is_high, is_over):
    settings.GUARD_MINIMUM = 100

    found = rate(count, of)

    assert (found.is_high, found.is_over) == (is_high, is_over)


def test_three_of_the_first_hundred_are_enough_to_say_something(settings):
    settings.GUARD_MINIMUM = 100

    assert rate(3, 100, stop=3.0).is_over
    assert not rate(2, 100, stop=2.0).is_over


def test_rate_of_nothing_is_nothing():
    assert (rate(0, 0).per_cent, rate(1, 3).shown) == (0.0, "33.33 %")


def test_one_consumer_looks_once_a_minute():
    happened(accepted=1000, bounced=10)

    assert guard.check() == 0
    happened(accepted=1000, bounced=900, ago=timedelta(hours=2))
    assert guard.check() == 0

    Duty.objects.update(taken_at=timezone.now() - timedelta(seconds=61))
    assert guard.check() == 1


def test_stop_says_who_and_why_and_since_when():
    assert guard.stop(reason="x" * 400, by="ada")

    row = guard.state()
    assert (row.is_stopped, row.reason, row.stopped_by) == (True, "x" * 300, "ada")
    assert is_just_now(row.stopped_at)


def test_bulk_that_was_resumed_is_resumed_once_and_can_be_stopped_again():
    assert not guard.resume()
    guard.stop(reason="a test")

    assert [guard.resume() for _ in range(2)] == [True, False]
    assert not guard.is_stopped()
    assert is_just_now(guard.state().resumed_at)
    assert guard.stop(reason="again")

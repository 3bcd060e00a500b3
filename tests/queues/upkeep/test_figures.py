from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from emails import figures as email_figures
from emails.errors import NotSent
from emails.identities import sender_status
from emails.models import Attempt, DeliveryEvent, SenderCheck
from emails.sending import states
from emails.ses import ses_api
from orders import figures as order_figures
from queues import registry
from queues.aws import sqs
from queues.models import OutboxEvent
from queues.models.live import Duty, Figure, QueueDepth
from queues.outbox import relay
from queues.upkeep import depths, duties, figures
from tests.support.builders import make_order
from tests.support.owed import claimed, owed, place
from tests.support.parcels import record
from tests.support.rows import make_dead_letter
from tests.support.threads import at_once

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def due(name):
    """Let it be taken now."""
    Duty.objects.filter(pk=name).update(taken_at=NOON)


def fill():
    due("figures")
    return figures.fill()


def sent(*, seconds=0.0, at=NOON):
    """An email that SES accepted so long after its event was recorded."""
    claim = claimed(owed(place()))
    states.accept(claim.notification.pk, 1, f"ses-{claim.notification.pk}")
    Attempt.objects.filter(notification=claim.notification).update(finished_at=at)
    OutboxEvent.objects.filter(event_id=claim.notification.event_id).update(
        recorded_at=at - timedelta(seconds=seconds)
    )
    return claim.notification


def refused(*, at=NOON):
    claim = claimed(owed(place()))
    states.put_back(claim, NotSent("no"), seconds=1)
    Attempt.objects.filter(notification=claim.notification).update(finished_at=at)
    return claim.notification


def told(kind, **raw):
    event = DeliveryEvent.objects.create(
        provider_message_id=kind + str(raw), type=kind, happened_at=NOON, raw=raw
    )
    DeliveryEvent.objects.filter(pk=event.pk).update(recorded_at=NOON)


@pytest.mark.django_db
def test_emails_of_a_minute_are_counted_by_what_became_of_them():
    sent()
    sent(at=NOON + MINUTE)
    refused()
    told("Bounce", bounce={"bounceType": "Permanent"})
    told("Bounce", bounce={"bounceType": "Transient"})
    told("Complaint")

    found = email_figures.count(NOON, NOON + MINUTE)

    counts = {name: count for name, count in found.items() if not name.startswith("latency")}
    assert counts == {
        "accepted": 1,
        "failed": 1,
        "emails_failed": 1,
        "in_doubt": 0,
        "duplicates": 0,
        "bounced": 1,
        "complained": 1,
    }


@pytest.mark.django_db
def test_email_that_ses_accepted_twice_is_counted_when_the_second_is_known():
    notification = sent()
    Attempt.objects.create(
        notification=notification,
        number=2,
        outcome="accepted",
        started_at=NOON,
        finished_at=NOON + MINUTE,
    )

    assert email_figures.count(NOON, NOON + MINUTE)["duplicates"] == 0
    assert email_figures.count(NOON + MINUTE, NOON + 2 * MINUTE)["duplicates"] == 1


@pytest.mark.django_db
def test_bounce_that_was_asked_of_the_simulator_counts_as_none():
    told("Bounce", bounce={"bounceType": "Permanent"})
    DeliveryEvent.objects.update(recipient="bounce@simulator.amazonses.com")

    assert email_figures.count(NOON, NOON + MINUTE)["bounced"] == 0


@pytest.mark.django_db
def test_latency_is_from_the_outbox_to_the_answer_of_ses():
    for seconds in (1, 1, 1, 60):
        sent(seconds=seconds)

    counts = email_figures.count(NOON, NOON + MINUTE)

    assert email_figures.percentile(counts, 0.5) == pytest.approx(1, rel=0.1)
    assert email_figures.percentile(counts, 0.95) == pytest.approx(60, rel=0.1)


def test_without_emails_there_is_no_percentile():
    assert email_figures.percentile({"accepted": 3}, 0.5) is None


@pytest.mark.django_db
def test_the_time_of_a_redriven_email_begins_with_its_event_and_stands_apart():
    sent(seconds=1)
    event_id = sent(seconds=3600).event_id
    OutboxEvent.objects.create(
        event_id=event_id, queue="orders", body="{}", available_at=NOON, recorded_at=NOON
    )
    make_dead_letter(event_id=event_id, state="redriven")

    counts = email_figures.count(NOON, NOON + MINUTE)

    redriven = email_figures.REDRIVEN
    assert email_figures.measured(counts) == email_figures.measured(counts, redriven) == 1
    assert email_figures.percentile(counts, 0.95) == pytest.approx(1, rel=0.1)
    assert email_figures.percentile(counts, 0.95, redriven) == pytest.approx(3600, rel=0.1)


@pytest.mark.django_db
def test_an_email_that_fails_again_and_again_is_one_failed_email():
    notification = refused()
    for number in (2, 3):
        Attempt.objects.create(
            notification=notification,
            number=number,
            outcome="refused",
            started_at=NOON,
            finished_at=NOON + MINUTE,
        )
    refused(at=NOON + MINUTE)

    first, second = (email_figures.count(at, at + MINUTE) for at in (NOON, NOON + MINUTE))

    assert (first["failed"], first["emails_failed"]) == (1, 1)
    assert (second["failed"], second["emails_failed"]) == (3, 1)


@pytest.mark.django_db
def test_the_latest_minute_is_counted_at_each_round_and_replaces_the_one_before(monkeypatch):
    spans = []

    def seen(begin, end):
        spans.append((begin, end))
        return {"seen": 7}

    monkeypatch.setattr(registry, "measures", [seen])

    fill()
    fill()

    [latest] = Figure.objects.filter(seconds=figures.LATEST)
    assert latest.counts == {"seen": 7}
    begin, end = spans[-1]
    assert (latest.begins_at, end - begin) == (begin, MINUTE)
    assert figures.latest() == latest


@pytest.mark.django_db
def test_orders_are_counted_by_the_time_they_were_placed():
    placed_at = make_order().placed_at

    assert order_figures.count(placed_at, placed_at + MINUTE) == {"orders": 1}
    assert order_figures.count(placed_at - MINUTE, placed_at) == {"orders": 0}


@pytest.fixture
def one_each_minute(monkeypatch):
    monkeypatch.setattr(registry, "measures", [lambda begin, end: {"seen": 1, "not": 0}])


@pytest.mark.django_db
def test_minutes_that_have_ended_are_counted_once_and_added_up(one_each_minute):
    last = figures.floor(timezone.now(), 60) - 5 * MINUTE
    Figure.objects.create(seconds=60, begins_at=last, counts={})

    counted = fill() + fill()

    minutes = figures.since(last, seconds=figures.MINUTE)
    assert counted in (3, 4)
    assert [row.begins_at for row in minutes] == [last + MINUTE * n for n in range(counted + 1)]
    for seconds in (figures.MINUTE, figures.TEN_MINUTES, figures.HOUR):
        assert figures.total(figures.since(last, seconds=seconds)) == {"seen": counted}
    assert minutes[-1].begins_at + MINUTE <= timezone.now()


@pytest.mark.django_db
def test_counting_again_what_a_process_that_died_had_counted_changes_nothing(one_each_minute):
    last = figures.floor(timezone.now(), 60) - 3 * MINUTE
    Figure.objects.create(seconds=60, begins_at=last, counts={})
    fill()
    Figure.objects.filter(seconds=60, begins_at__gt=last).delete()

    fill()

    assert figures.total(figures.since(last, seconds=60)) == figures.total(
        figures.since(last, seconds=figures.HOUR)
    )


@pytest.mark.django_db
def test_after_a_pause_a_bounded_number_of_minutes_of_the_last_day_is_counted(one_each_minute):
    Figure.objects.create(seconds=60, begins_at=timezone.now() - timedelta(days=30))

    assert fill() == figures.MOST_MINUTES

    oldest = Figure.objects.filter(seconds=60, counts__seen=1).earliest("begins_at")
    assert timezone.now() - oldest.begins_at < timedelta(days=1, minutes=2)


@pytest.mark.django_db
def test_duty_is_taken_once_until_its_time_is_over():
    assert duties.take("x", every=60)
    assert duties.take("x", every=60) is None

    duties.put_off("x", every=60, seconds=0)

    assert duties.take("x", every=60)


@pytest.mark.locking
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("is_first", [True, False])
def test_of_many_processes_one_has_the_duty(is_first):
    if not is_first:
        Duty.objects.create(name="x", taken_at=NOON)

    taken = at_once(6, lambda: duties.take("x", every=60))

    assert len([moment for moment in taken if moment]) == 1


@pytest.mark.django_db
def test_depths_are_asked_of_sqs_and_kept(aws):
    row = record()
    record(group="h")
    while relay.publish_pending():
        pass
    sqs.queue("orders").receive(limit=1, wait_seconds=0)
    sqs.dead_letter_queue("orders").send_batch([sqs.Outgoing(key="1", body="x")])
    OutboxEvent.objects.filter(pk=row.pk).update(published_at=NOON)

    assert depths.measure() == 3

    found = QueueDepth.objects.get(alias="orders")
    assert (found.visible, found.in_flight, found.dead) == (1, 1, 1)
    assert found.oldest_at == NOON
    assert depths.measure() == 0


@pytest.mark.django_db
def test_queue_that_sqs_does_not_tell_of_keeps_what_was_known(aws):
    depths.measure()
    QueueDepth.objects.update(visible=7)
    sqs.client().delete_queue(QueueUrl=sqs.queue("orders").url)
    due("depths")

    assert depths.measure() == 2

    found = QueueDepth.objects.get(alias="orders")
    assert found.visible == 7
    assert "there is no queue" in found.error


@pytest.mark.django_db
def test_sender_that_ses_does_not_verify_is_known_without_asking_again(aws, settings):
    settings.SES_FROM_EMAIL = "Shop <new@example.org>"

    assert sender_status.check() == 1

    found = sender_status.unverified()
    assert found and found.address == "new@example.org"
    assert sender_status.check() == 0


@pytest.mark.django_db
def test_verified_sender_is_no_concern(aws):
    sender_status.check()

    assert sender_status.unverified() is None
    assert SenderCheck.objects.get().is_verified


@pytest.mark.django_db
def test_sender_of_which_ses_says_nothing_stays_as_it_was(aws, monkeypatch):
    sender_status.check()
    due("sender")

    def fail(address):
        raise NotSent("no answer")

    monkeypatch.setattr(ses_api, "sender_is_verified", fail)

    assert sender_status.check() == 0

    found = SenderCheck.objects.get()
    assert (found.is_verified, found.error) == (True, "no answer")

from datetime import timedelta

import pytest
from django.utils import timezone

from emails import sweeping
from emails.models import Attempt, DeliveryEvent, Notification
from emails.sending import states
from queues.models import DeadLetter, HandlingFailure, OutboxEvent
from queues.upkeep import old_rows
from tests.support.owed import claimed, owed, place
from tests.support.parcels import record

pytestmark = pytest.mark.django_db

LONG_AGO = timezone.now() - timedelta(days=91)


def test_handled_events_go_after_their_time_and_others_stay():
    old, young, unhandled = record(), record(), record()
    OutboxEvent.objects.filter(pk__in=[old.pk, young.pk]).update(
        state="handled", handled_at=timezone.now()
    )
    OutboxEvent.objects.filter(pk=old.pk).update(handled_at=LONG_AGO)
    OutboxEvent.objects.filter(pk=unhandled.pk).update(recorded_at=LONG_AGO, published_at=LONG_AGO)

    old_rows.tidy()

    assert set(OutboxEvent.objects.values_list("pk", flat=True)) == {young.pk, unhandled.pk}


def test_open_dead_letter_and_its_history_stay_however_old():
    for state in ("open", "redriven", "discarded"):
        DeadLetter.objects.create(queue="orders", sqs_message_id=state, body="", state=state)
        HandlingFailure.objects.create(
            queue="orders", sqs_message_id=state, receive_count=1, code="X", reason="x"
        )
    DeadLetter.objects.update(collected_at=LONG_AGO)
    HandlingFailure.objects.update(failed_at=LONG_AGO)

    old_rows.tidy()

    assert [letter.state for letter in DeadLetter.objects.all()] == ["open"]
    assert [failure.sqs_message_id for failure in HandlingFailure.objects.all()] == ["open"]


def test_one_round_deletes_a_bounded_number(monkeypatch):
    monkeypatch.setattr(old_rows, "BATCH", 2)
    for _ in range(5):
        record()
    OutboxEvent.objects.update(state="handled", handled_at=LONG_AGO)

    assert [old_rows.tidy() for _ in range(4)] == [2, 2, 1, 0]


def test_attempts_go_when_their_email_is_done_and_the_notification_stays(aws):
    done, doubtful = claimed(owed(place())), claimed(owed(place()))
    states.accept(done.notification.pk, 1, "ses-1")
    DeliveryEvent.objects.create(
        provider_message_id="ses-1", type="Send", happened_at=LONG_AGO, raw={}
    )
    Attempt.objects.update(started_at=LONG_AGO)
    DeliveryEvent.objects.update(recorded_at=LONG_AGO)

    sweeping.tidy()

    assert [attempt.notification_id for attempt in Attempt.objects.all()] == [
        doubtful.notification.pk
    ]
    assert not DeliveryEvent.objects.exists()
    assert Notification.objects.count() == 2

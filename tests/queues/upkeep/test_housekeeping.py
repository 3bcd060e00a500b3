from datetime import timedelta

import pytest
from django.conf import settings
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from emails import sweeping
from emails.models import Attempt, DeliveryEvent, Notification
from emails.sending import states
from queues.dead_letters import decisions
from queues.models import DeadLetter, HandlingFailure, OutboxEvent, in_state
from queues.models.dead_letters import CLOSED_AT
from queues.upkeep import old_rows
from tests.support.dead_letters import make_dead_letter
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


@pytest.fixture
def letter():
    """A dead letter of long ago that is still open, with its failure."""
    made = make_dead_letter(place(), original_body="{}")
    HandlingFailure.objects.create(
        queue="orders", sqs_message_id=made.sqs_message_id, receive_count=1, code="X", reason="x"
    )
    DeadLetter.objects.update(collected_at=LONG_AGO)
    HandlingFailure.objects.update(failed_at=LONG_AGO)
    return made


def test_dead_letter_that_was_discarded_today_can_be_opened_again(letter):
    decisions.discard(DeadLetter.objects.all())

    old_rows.tidy()

    assert decisions.reopen(DeadLetter.objects.all()) == 1
    letter.refresh_from_db()
    assert (letter.state, letter.discarded_at) == ("open", None)
    assert HandlingFailure.objects.exists()


def test_dead_letter_that_was_redriven_today_keeps_its_history(letter):
    decisions.redrive(DeadLetter.objects.all())

    old_rows.tidy()

    assert DeadLetter.objects.get().original_body == "{}"
    assert HandlingFailure.objects.exists()
    assert OutboxEvent.objects.filter(redrive_of=letter).exists()


@pytest.mark.parametrize("column", ["discarded_at", "redriven_at"])
def test_dead_letter_goes_so_long_after_it_was_closed(letter, column):
    state = column.removesuffix("_at")
    DeadLetter.objects.update(state=state, **{column: LONG_AGO})

    old_rows.tidy()

    assert not DeadLetter.objects.exists()
    assert not HandlingFailure.objects.exists()


def test_attempts_of_an_email_whose_doubt_ended_today_stay(aws):
    claim = claimed(owed(place()))
    Attempt.objects.update(started_at=LONG_AGO)
    states.accept(claim.notification.pk, 1, "ses-1")

    sweeping.tidy()

    assert Attempt.objects.exists()


def test_closed_dead_letters_are_found_by_their_index():
    rows = DeadLetter.objects.alias(closed_at=CLOSED_AT).filter(
        in_state(DeadLetter.State.REDRIVEN, DeadLetter.State.DISCARDED), closed_at__lt=LONG_AGO
    )
    if connection.vendor == "postgresql":
        pytest.skip("it reads a table as small as a test's whole")

    assert "dead_letter_closed" in rows.explain()


def test_one_round_deletes_a_bounded_number(monkeypatch):
    monkeypatch.setattr(old_rows, "BATCH", 2)
    monkeypatch.setattr(old_rows, "MOST_BATCHES", 3)
    for _ in range(7):
        record()
    OutboxEvent.objects.update(state="handled", handled_at=LONG_AGO)

    assert [old_rows.tidy() for _ in range(3)] == [6, 1, 0]


def test_one_round_keeps_up_with_a_thousand_emails_a_second():
    assert old_rows.BATCH * old_rows.MOST_BATCHES >= 1000 * settings.SWEEP_SECONDS


def test_old_attempts_are_found_by_their_index(aws):
    with CaptureQueriesContext(connection) as queries:
        sweeping.tidy()

    asked = [query["sql"] for query in queries if 'FROM "emails_attempt"' in query["sql"]]
    assert len(asked) == 2
    if connection.vendor == "postgresql":
        pytest.skip("it reads a table as small as a test's whole")
    with connection.cursor() as cursor:
        for sql in asked:
            cursor.execute(f"EXPLAIN QUERY PLAN {sql}")
            assert any("attempt_finished" in row[-1] for row in cursor.fetchall())


def test_attempts_go_when_their_email_is_done_and_the_notification_stays(aws):
    done, doubtful = claimed(owed(place())), claimed(owed(place()))
    states.accept(done.notification.pk, 1, "ses-1")
    DeliveryEvent.objects.create(
        provider_message_id="ses-1", type="Send", happened_at=LONG_AGO, raw={}
    )
    Attempt.objects.update(started_at=LONG_AGO)
    Attempt.objects.exclude(finished_at=None).update(finished_at=LONG_AGO)
    Notification.objects.filter(state="sent").update(sent_at=LONG_AGO)
    DeliveryEvent.objects.update(recorded_at=LONG_AGO)

    sweeping.tidy()

    assert [attempt.notification_id for attempt in Attempt.objects.all()] == [
        doubtful.notification.pk
    ]
    assert not DeliveryEvent.objects.exists()
    assert Notification.objects.count() == 2


def test_attempt_of_a_process_that_died_goes_too_once_a_person_said_that_it_was_sent(aws):
    claimed(owed(place()))
    Attempt.objects.update(started_at=LONG_AGO)
    Notification.objects.update(state="sent", sent_at=LONG_AGO)

    sweeping.tidy()

    assert not Attempt.objects.exists()

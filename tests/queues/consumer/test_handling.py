"""What becomes of one message, by what its handler says."""

import json
import uuid
from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import DatabaseError, InterfaceError, OperationalError, connection
from django.db.models.functions import Now
from django.utils import timezone

from queues import backoff, registry
from queues.aws import sqs
from queues.consumer import handling
from queues.consumer.handling import Disposition
from queues.errors import GiveBack, Hold, Reject, Retry
from queues.events.envelope import Event, EventData
from queues.models import HandlingFailure, OutboxEvent
from queues.models.dead_letters import DIED
from queues.outbox import claims

pytestmark = pytest.mark.django_db

State = OutboxEvent.State


class CymbalStruck(EventData, type="cymbal.struck.v1", queue="transactions", source="/tests"):
    """Handled as ``answers`` says."""


answers: list[Exception] = []


@registry.handles("cymbal.struck.v1")
def strike(event):
    if answers:
        raise answers.pop()


@pytest.fixture(autouse=True)
def nothing_is_said():
    answers.clear()


@pytest.fixture(autouse=True)
def backoff_is_known(settings):
    settings.RETRY_BASE_SECONDS = settings.RETRY_MAX_SECONDS = 2


@pytest.fixture
def event():
    return Event.of(CymbalStruck(), subject="G-1", partition_key="g")


@pytest.fixture
def message(event):
    """The event's message, received for the second time."""
    return sqs.Received(id="m-1", receipt="r", body=event.to_json(), receive_count=2, group="g")


def is_just_now(moment):
    return abs(moment - timezone.now()) < timedelta(seconds=10)


def handle(message, *, alias="orders"):
    return handling.handle(sqs.queue(alias), message)


def row_of(event, **fields):
    defaults = {"queue": "orders", "body": event.to_json(), "available_at": timezone.now()}
    return OutboxEvent.objects.create(event_id=event.id, **defaults | fields)


def test_handled_message_is_deleted_and_names_its_event(message, event):
    assert handle(message) == Disposition(delete=True, event_id=event.id)
    assert not HandlingFailure.objects.exists()


@pytest.mark.parametrize(
    ("answer", "code", "reason", "seconds"),
    [
        (Retry("hot", code="Hot", seconds=77), "Hot", "hot", {77}),
        (Retry("hot", seconds=0), "Retry", "hot", {0}),
        (Retry("hot"), "Retry", "hot", {1, 2}),
        (Reject("cold", code="Cold"), "Cold", "cold", {0}),
        (ZeroDivisionError("first\na customer's row"), "ZeroDivisionError", "first", {1, 2}),
    ],
)
def test_failure_brings_the_message_back_and_is_recorded(
    message, event, answer, code, reason, seconds
):
    answers.append(answer)

    disposition = handle(message)

    assert disposition.hide_seconds in seconds
    assert replace(disposition, hide_seconds=0) == Disposition(delete=False)
    failure = HandlingFailure.objects.get()
    assert (failure.queue, failure.sqs_message_id, failure.receive_count) == ("orders", "m-1", 2)
    assert (failure.event_id, failure.code, failure.reason) == (event.id, code, reason)


def test_backoff_grows_with_the_receives(message, settings):
    settings.RETRY_BASE_SECONDS, settings.RETRY_MAX_SECONDS = 2, 2000

    for answer in (Retry("hot"), ZeroDivisionError("hot")):
        answers.append(answer)
        assert handle(replace(message, receive_count=9)).hide_seconds > backoff.delay(2)


def test_message_that_is_given_back_was_not_worked_on(message):
    answers.append(GiveBack("the consumer stops"))

    assert handle(message) == Disposition(delete=False, given_back=True)
    assert not HandlingFailure.objects.exists()


@pytest.mark.parametrize("error", [OperationalError("gone"), InterfaceError("closed")])
def test_outage_of_the_database_is_left_to_the_caller(message, error):
    answers.append(error)

    with pytest.raises(type(error)):
        handle(message)


def fails_with(error, *, at):
    def fail(execute, sql, *rest):
        if sql.startswith(at):
            raise error
        return execute(sql, *rest)

    return connection.execute_wrapper(fail)


def test_failure_that_cannot_be_recorded_brings_the_message_back_all_the_same(message, caplog):
    answers.append(Retry("hot", seconds=77))

    with fails_with(DatabaseError("full"), at='INSERT INTO "queues_handlingfailure"'):
        assert handle(message) == Disposition(delete=False, hide_seconds=77)

    assert "failure not recorded" in caplog.text


def test_held_message_is_deleted_and_its_event_waits(message, event):
    answers.append(Hold("not yet"))

    assert handle(message, alias="transactions") == Disposition(delete=True)

    row = OutboxEvent.objects.get()
    assert (row.event_id, row.state, row.error) == (event.id, State.HELD, "not yet")
    assert not HandlingFailure.objects.exists()


def test_message_that_cannot_be_held_comes_back_later(message):
    answers.append(Hold("not yet"))

    with fails_with(DatabaseError("full"), at='INSERT INTO "queues_outboxevent"'):
        disposition = handle(message, alias="transactions")

    assert not disposition.delete
    assert disposition.hide_seconds in {1, 2}


def test_outage_while_a_message_is_held_is_left_to_the_caller(message):
    answers.append(Hold("not yet"))

    with (
        fails_with(OperationalError("gone"), at='INSERT INTO "queues_outboxevent"'),
        pytest.raises(OperationalError),
    ):
        handle(message, alias="transactions")


def test_cause_fits_its_column_and_has_nothing_that_no_database_keeps(message):
    answers.append(Reject("a\0b", code="Long" * 50))

    handle(message)

    failure = HandlingFailure.objects.get()
    assert (failure.code, failure.reason) == (("Long" * 50)[:100], "ab")


def test_cause_takes_the_place_of_the_mark_of_its_receive_and_of_no_other(message):
    long_ago = timezone.now() - timedelta(hours=1)
    for count in (1, 2):
        HandlingFailure.objects.create(
            queue="orders", sqs_message_id="m-1", receive_count=count, code=DIED, reason="died"
        )
    HandlingFailure.objects.update(failed_at=long_ago)
    answers.append(Reject("cold", code="Cold"))

    handle(message)

    first, second = HandlingFailure.objects.order_by("receive_count")
    assert (first.code, first.failed_at) == (DIED, long_ago)
    assert (second.code, second.reason) == ("Cold", "cold")
    assert second.failed_at > long_ago


@pytest.mark.parametrize(
    ("poison", "alias", "receive", "state"),
    [
        ("hold", "transactions", "last", State.DEAD),
        ("hold", "transactions", "later than the last", State.DEAD),
        ("hold", "transactions", "before the last", State.PUBLISHED),
        ("skip", "transactions", "last", State.PUBLISHED),
        ("hold", "orders", "last", State.PUBLISHED),
    ],
)
def test_last_receive_of_a_poison_message_holds_its_group_where_settings_say_so(
    message, event, settings, poison, alias, receive, state
):
    settings.FIFO_POISON, settings.QUEUE_MAX_RECEIVE_COUNT = poison, 3
    row_of(event, queue=alias, state=State.PUBLISHED, sqs_message_id="m-1")
    answers.append(Reject("cold"))
    counts = {"before the last": 2, "last": 3, "later than the last": 4}

    handle(replace(message, receive_count=counts[receive]), alias=alias)

    assert OutboxEvent.objects.get().state == state


# --- Events that are done


def test_event_is_marked_handled_with_its_time_and_without_a_claim(event):
    held = {"claim": uuid.uuid4(), "lease_until": timezone.now()}
    row_of(event, state=State.CLAIMED, **held)
    other = row_of(event.model_copy(update={"id": uuid.uuid4()}), state=State.CLAIMED, **held)

    handling.mark_handled([event.id])

    row = OutboxEvent.objects.get(event_id=event.id)
    assert (row.state, row.claim, row.lease_until) == (State.HANDLED, None, None)
    assert is_just_now(row.handled_at)
    assert OutboxEvent.objects.get(pk=other.pk).state == State.CLAIMED


def test_event_that_was_marked_before_keeps_its_time(event):
    before = timezone.now() - timedelta(days=1)
    row_of(event, state=State.HANDLED, handled_at=before)

    handling.mark_handled([event.id])

    assert OutboxEvent.objects.get().handled_at == before


@pytest.mark.parametrize("before", [State.PUBLISHED, State.CLAIMED])
def test_redriven_message_that_is_no_event_is_marked_by_the_id_of_its_message(event, before):
    report = json.dumps({"eventType": "Subscription"})
    held = {"claim": uuid.uuid4(), "lease_until": timezone.now(), "state": before}
    fields = {"queue": "ses-events", "body": report, "available_at": timezone.now(), **held}
    rows = [
        OutboxEvent.objects.create(**fields | {"sqs_message_id": "m-1"}),
        OutboxEvent.objects.create(**fields | {"sqs_message_id": "m-2"}),
        OutboxEvent.objects.create(**fields | {"sqs_message_id": "m-1", "queue": "orders"}),
        OutboxEvent.objects.create(**fields | {"sqs_message_id": "m-1", "event_id": event.id}),
    ]
    message = sqs.Received(
        id="m-1", receipt="r", body=report, message_attributes={"event_id": sqs.NO_EVENT}
    )

    assert handle(message, alias="ses-events") == Disposition(delete=True)

    found = [OutboxEvent.objects.get(pk=row.pk) for row in rows]
    assert [row.state for row in found] == [State.HANDLED, before, before, before]
    assert (found[0].claim, found[0].lease_until) == (None, None)
    assert is_just_now(found[0].handled_at)


def test_message_that_nobody_redrove_marks_nothing():
    report = json.dumps({"eventType": "Subscription"})
    OutboxEvent.objects.create(
        queue="ses-events", body=report, available_at=timezone.now(), sqs_message_id="m-1"
    )

    handle(sqs.Received(id="m-1", receipt="r", body=report), alias="ses-events")

    assert OutboxEvent.objects.get().state == State.PENDING


def claimed(event, **fields):
    """The event's outbox row, claimed by a relay that waits for SQS's answer."""
    row = OutboxEvent.objects.create(
        event_id=event.id, queue="transactions", group="g", body=event.to_json(),
        # SQLite's clock has milliseconds, and would find Python's time to come for the rest of this one.
        available_at=Now(), **fields,
    )  # fmt: skip
    [claim] = claims.take_these("transactions", [row.pk])
    return row, claim


def test_event_that_is_handled_before_its_relay_heard_of_sqs_was_published_when_it_was_claimed(
    event,
):
    row, claim = claimed(event)
    row.refresh_from_db()
    at = row.lease_until - claims.LEASE

    handling.mark_handled([event.id])
    claims.settle(claim.claim, {row.pk: "m-1"})

    row.refresh_from_db()
    assert (row.state, row.claim, row.lease_until) == ("handled", None, None)
    assert row.published_at == at < row.handled_at


def test_time_of_publishing_that_is_known_stays(event):
    before = timezone.now() - timedelta(hours=1)
    row, _ = claimed(event, published_at=before)

    handling.mark_handled([event.id])

    row.refresh_from_db()
    assert row.published_at == before


def test_event_whose_claim_has_ended_was_published_at_no_known_time(event):
    row, _ = claimed(event)
    OutboxEvent.objects.update(state="pending", claim=None, lease_until=None)

    handling.mark_handled([event.id])

    row.refresh_from_db()
    assert (row.state, row.published_at) == ("handled", None)

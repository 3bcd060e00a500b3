"""The statements of the relay: who may publish an event, and who may say that it was published."""

import pytest

from queues.models import OutboxEvent
from queues.outbox import claims
from tests.support.parcels import ParcelWeighed, record

pytestmark = [pytest.mark.locking, pytest.mark.django_db]


def test_claim_has_what_is_sent_as_it_was_recorded():
    row = record("hello")

    [event] = claims.take_oldest("orders", most=10)

    assert (event.pk, event.body, event.type) == (row.pk, row.body, row.type)
    assert (event.event_id, event.traceparent) == (str(row.event_id), row.traceparent)
    assert event.deduplication_id == str(row.deduplication_id)
    row.refresh_from_db()
    assert (row.state, row.claim, row.tries) == ("claimed", event.claim, event.tries)


def test_event_without_an_id_is_claimed_all_the_same():
    row = record()
    OutboxEvent.objects.update(event_id=None)

    [event] = claims.take_these("orders", [row.pk])

    assert event.event_id is None


def test_oldest_are_claimed_first_and_only_once():
    pks = [record().pk for _ in range(3)]

    taken = [claims.take_oldest("orders", most=2) for _ in range(3)]

    assert [[event.pk for event in events] for events in taken] == [pks[:2], pks[2:], []]


def test_event_behind_another_of_its_group_cannot_be_claimed():
    first = record(data_type=ParcelWeighed)
    second = record(data_type=ParcelWeighed)

    assert claims.take_these("transactions", [second.pk]) == []
    [event] = claims.take_these("transactions", [first.pk, second.pk])
    assert event.pk == first.pk


def test_claim_that_has_ended_settles_nothing():
    record()
    [lost] = claims.take_oldest("orders", most=1)
    OutboxEvent.objects.update(lease_until="2020-01-01T00:00Z")
    assert claims.release_expired() == 1
    [event] = claims.take_oldest("orders", most=1)

    claims.settle(lost.claim, {lost.pk: "too late"})
    assert OutboxEvent.objects.get().state == "claimed"

    claims.settle(event.claim, {event.pk: "in time"})
    row = OutboxEvent.objects.get()
    assert (row.state, row.sqs_message_id, row.claim) == ("published", "in time", None)


def test_lease_that_has_not_ended_is_left_alone():
    record()
    claims.take_oldest("orders", most=1)

    assert claims.release_expired() == 0

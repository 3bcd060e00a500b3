"""The statements of the relay: who may publish an event, and who may say that it was published."""

from datetime import timedelta

import pytest
from django.utils import timezone

from queues.models import OutboxEvent
from queues.outbox import claims, relay
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


def soon(moment, *, seconds):
    """Whether a time is so far away, give or take what a test takes."""
    return seconds - 10 < (moment - timezone.now()).total_seconds() <= seconds + 0.01


@pytest.fixture(params=["oldest", "these"])
def take(request):
    """Claim what is due on the queue of orders, in one of the two ways."""

    def run():
        if request.param == "oldest":
            return claims.take_oldest("orders", most=10)
        return claims.take_these("orders", list(OutboxEvent.objects.values_list("pk", flat=True)))

    return run


def test_claim_lasts_for_its_lease_and_counts_a_try(take):
    record()
    OutboxEvent.objects.update(tries=4)

    [event] = take()

    row = OutboxEvent.objects.get()
    assert soon(row.lease_until, seconds=claims.LEASE.total_seconds())
    # A relay sends everything at once, and SQS's answer takes seconds.
    assert 15 <= claims.LEASE.total_seconds() <= 60
    assert (event.tries, row.tries) == (5, 5)


@pytest.mark.parametrize(
    "changes",
    [
        {"available_at": timezone.now() + timedelta(hours=1)},
        *({"state": state} for state in OutboxEvent.State if state != "pending"),
    ],
)
def test_event_that_is_not_due_or_not_pending_is_not_claimed(take, changes):
    record()
    OutboxEvent.objects.update(**changes)
    before = OutboxEvent.objects.values().get()

    assert take() == []
    assert OutboxEvent.objects.values().get() == before


def test_events_of_another_queue_are_not_claimed():
    record(data_type=ParcelWeighed)

    assert claims.take_oldest("orders", most=10) == []


def test_only_the_named_events_are_claimed():
    one, other = record(), record()

    assert [event.pk for event in claims.take_these("orders", [other.pk])] == [other.pk]
    one.refresh_from_db()
    assert one.state == "pending"


def test_settled_events_are_published_under_their_own_ids_and_the_others_stay_claimed():
    for _ in range(3):
        record()
    OutboxEvent.objects.update(error="no answer")
    first, second, third = claims.take_oldest("orders", most=3)

    claims.settle(first.claim, {first.pk: "m-1", second.pk: "m-2"})

    rows = OutboxEvent.objects.in_bulk()
    assert [rows[event.pk].sqs_message_id for event in (first, second, third)] == ["m-1", "m-2", ""]
    for event in (first, second):
        row = rows[event.pk]
        assert (row.state, row.claim, row.lease_until, row.error) == ("published", None, None, "")
        assert soon(row.published_at, seconds=0)
    assert (rows[third.pk].state, rows[third.pk].claim) == ("claimed", third.claim)
    assert rows[third.pk].published_at is None


def test_expired_claim_is_released_with_all_that_it_wrote_and_a_standing_one_is_not():
    for _ in range(2):
        record()
    expired, standing = claims.take_oldest("orders", most=2)
    OutboxEvent.objects.filter(pk=expired.pk).update(lease_until="2020-01-01T00:00Z")

    assert [claims.release_expired() for _ in range(2)] == [1, 0]

    rows = OutboxEvent.objects.in_bulk()
    row = rows[expired.pk]
    assert (row.state, row.claim, row.lease_until) == ("pending", None, None)
    assert rows[standing.pk].claim == standing.claim


def test_event_is_news_until_it_is_published_again():
    record()
    [news] = claims.take_oldest("orders", most=1)
    relay.publish_again(OutboxEvent.objects.all())
    OutboxEvent.objects.update(state="published")
    relay.publish_again(OutboxEvent.objects.all())

    [again] = claims.take_oldest("orders", most=1)

    assert (news.is_news, again.is_news) == (True, False)

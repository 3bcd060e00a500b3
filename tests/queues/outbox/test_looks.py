"""A look that does not begin at the start is fast, and nothing is missed for good."""

import pytest

from queues.models import OutboxEvent
from queues.outbox import claims, looks, relay
from queues.outbox.looks import Look
from tests.support.parcels import ParcelWeighed, record

pytestmark = [pytest.mark.locking, pytest.mark.django_db]

FAR = 10 * looks.MARGIN
QUICK_SECONDS = looks.QUICK_SECONDS


@pytest.fixture(autouse=True)
def slow_looks_are_slow(relay_looks_from_the_start, monkeypatch):
    monkeypatch.setattr(looks, "QUICK_SECONDS", QUICK_SECONDS)


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    clock = Clock()
    claims.looks["orders"] = Look(least_seconds=claims.FROM_START_SECONDS, clock=clock)
    return clock


def take():
    return [event.pk for event in claims.take_oldest("orders", most=10)]


def record_as(pk):
    """Record an event whose id was given out long ago: its transaction took so long."""
    row = record()
    OutboxEvent.objects.filter(pk=row.pk).update(id=pk)
    return pk


def test_event_that_was_recorded_long_after_later_ones_is_found_within_a_second(clock):
    latest = record_as(FAR)
    assert take() == [latest]
    late = record_as(FAR - looks.MARGIN)

    assert take() == []
    clock.now += claims.FROM_START_SECONDS
    assert take() == [late]


def test_event_that_was_recorded_a_little_after_later_ones_is_found_at_once(clock):
    latest = record_as(FAR)
    assert take() == [latest]
    late = record_as(FAR - looks.MARGIN + 1)

    assert take() == [late]


def test_event_that_is_due_again_is_found_at_once_from_the_start(clock):
    early, latest = record_as(1), record_as(FAR)
    assert take() == [early, latest]
    relay.publish_again(OutboxEvent.objects.filter(pk=early))
    OutboxEvent.objects.filter(pk=early).update(state="pending", claim=None, lease_until=None)

    assert take() == []
    assert [e.pk for e in claims.take_oldest("orders", most=10, from_start=True)] == [early]


def test_backlog_of_old_events_is_taken_in_its_order_before_later_ones(clock):
    latest = record_as(FAR)
    assert take() == [latest]
    clock.now += claims.FROM_START_SECONDS
    old = [record_as(number) for number in range(1, 4)]

    taken = [[event.pk for event in claims.take_oldest("orders", most=2)] for _ in range(3)]

    assert taken == [old[:2], old[2:], []]


def test_look_of_one_queue_does_not_move_that_of_another(clock):
    assert take() == []

    assert claims.looks["orders"] is not claims.looks["transactions"]


def test_slow_look_from_the_start_is_repeated_the_later_the_slower_it_was():
    clock = Clock()
    look = Look(least_seconds=1.0, clock=clock)

    with look.from_start():
        clock.now += 0.2
    assert not look.is_due()
    clock.now += 0.2 * looks.PART - 0.1
    assert not look.is_due()
    clock.now += 0.2

    assert look.is_due()


def test_fast_look_from_the_start_is_repeated_at_once_unless_it_must_wait():
    clock = Clock()
    eager, patient = Look(clock=clock), Look(least_seconds=1.0, clock=clock)

    for look in (eager, patient):
        with look.from_start():
            clock.now += looks.QUICK_SECONDS / 2

    assert (eager.is_due(), patient.is_due()) == (True, False)


def test_look_from_the_start_that_fails_is_repeated_at_once():
    look = Look(least_seconds=60.0, clock=Clock())

    with pytest.raises(RuntimeError), look.from_start():
        raise RuntimeError

    assert look.is_due()


def test_expired_claims_are_released_by_whoever_asks_for_a_look_from_the_start():
    record()
    claims.take_oldest("orders", most=1)
    OutboxEvent.objects.update(lease_until="2020-01-01T00:00Z")

    assert claims.release_expired(from_start=True) == 1


def test_slow_look_for_heads_that_finds_nothing_is_not_repeated_at_once_unless_asked_to(clock):
    look = claims.head_looks["transactions"] = Look(part=20, clock=clock)
    with look.from_start():
        clock.now += 1.0
    head = record(data_type=ParcelWeighed)

    assert claims.take_heads("transactions", most=10) == []
    [event] = claims.take_heads("transactions", most=10, from_start=True)
    assert event.pk == head.pk


def test_look_for_heads_is_repeated_at_once_while_it_finds_some(clock):
    class Slow(Clock):
        def __call__(self):
            self.now += 1.0
            return self.now

    claims.head_looks["transactions"] = Look(part=20, clock=Slow())
    first, second = record(data_type=ParcelWeighed), record(data_type=ParcelWeighed)

    for row in (first, second):
        [event] = claims.take_heads("transactions", most=10)
        assert event.pk == row.pk
        claims.settle(event.claim, {event.pk: "m"})


def test_look_that_stood_still_for_minutes_keeps_the_next_one_waiting_for_seconds():
    clock = Clock()
    look = Look(clock=clock)
    with look.from_start():
        clock.now += 300

    clock.now += looks.MOST_SECONDS

    assert look.is_due()

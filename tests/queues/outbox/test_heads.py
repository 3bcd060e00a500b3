"""Whose turn it is: the heads of FIFO groups, however many events and groups wait."""

import pytest
from django.db.models.functions import Now

from queues.aws import sqs
from queues.events.envelope import Event
from queues.models import OutboxEvent
from queues.outbox import fifo_heads, relay
from tests.support.parcels import ParcelWeighed, record

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def beginning(monkeypatch):
    """Let the first look of each test begin with the first group."""
    monkeypatch.setattr(fifo_heads, "_ends", {})


def store(*groups, state="pending"):
    """One event in each of these groups."""
    events = [Event.of(ParcelWeighed(), subject=group, partition_key=group) for group in groups]
    OutboxEvent.objects.bulk_create(
        OutboxEvent(
            event_id=event.id,
            queue="transactions",
            group=event.partitionkey,
            body=event.to_json(),
            state=state,
            available_at=Now(),
        )
        for event in events
    )


def published():
    rows = OutboxEvent.objects.filter(state="published").order_by("published_at", "id")
    return list(rows.values_list("group", flat=True))


def turn():
    """The groups that are looked at next, two at a time."""
    page = next(fifo_heads.pages("transactions", size=2))
    rows = OutboxEvent.objects.filter(pk__in=page).order_by("group")
    return list(rows.values_list("group", flat=True))


@pytest.fixture
def many():
    """Make as many groups as a relay looks at together."""
    return [f"a{number:03}" for number in range(relay.CLAIM_ROWS)]


def test_groups_that_wait_keep_no_other_group_waiting(aws, many):
    store(*many, *many, state="held")
    store(*many)
    record(group="z", data_type=ParcelWeighed)

    assert relay.publish_pending() == 1

    assert published() == ["z"]


def test_groups_take_turns():
    store("a", "b", "c", "c")

    assert [turn(), turn(), turn()] == [["a", "b"], ["c"], ["a", "b"]]


def test_group_before_the_last_one_that_had_its_turn_is_found_again():
    store("a", "b")
    turn()
    OutboxEvent.objects.update(state="published")
    store("a")

    assert turn() == ["a"]


def test_look_ends_when_each_group_was_seen():
    store("a", "b", "c")
    assert turn() == ["a", "b"]

    pages = list(fifo_heads.pages("transactions", size=2))

    # Those after the last turn, then all from the beginning.
    assert [len(page) for page in pages] == [1, 2, 1]


def test_dead_letter_is_no_head_unless_it_holds_its_group(aws, settings):
    store("a", state="dead")
    store("a")

    settings.FIFO_POISON = "hold"
    assert relay.publish_pending() == 0
    settings.FIFO_POISON = "skip"
    assert relay.publish_pending() == 1


def test_groups_of_a_standard_queue_are_not_looked_at(aws):
    store("a", "b")
    OutboxEvent.objects.update(queue="elsewhere")
    store("z")

    assert relay.publish_pending() == 1
    assert sqs.queue("transactions").depth().visible == 1

"""Whose turn it is: the heads of FIFO groups, however many events and groups wait."""

import pytest
from django.db.models.functions import Now

from queues import relay, sqs
from queues.events import Event
from queues.models import OutboxEvent
from tests.parcels import ParcelWeighed, record

pytestmark = pytest.mark.django_db


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


@pytest.fixture
def hundred():
    return [f"a{number:02}" for number in range(100)]


def test_groups_that_wait_keep_no_other_group_waiting(aws, hundred):
    store(*hundred, *hundred, state="held")
    store(*hundred)
    record(group="z", data_type=ParcelWeighed)

    assert relay.publish_pending() == 1

    assert published() == ["z"]


def test_groups_take_turns(aws, hundred):
    store(*hundred, *hundred, "z")

    relay.publish_pending()
    relay.publish_pending()

    assert "z" in published()


def test_group_before_the_last_one_that_had_its_turn_is_found_again(aws, hundred):
    store(*hundred)
    assert relay.publish_pending() == 100
    store("a00")

    assert relay.publish_pending() == 1


def test_dead_letter_is_no_head_unless_it_holds_its_group(aws, settings):
    store("a", state="dead")
    store("a")

    settings.FIFO_POISON = "hold"
    assert relay.publish_pending() == 0
    settings.FIFO_POISON = "skip"
    assert relay.publish_pending() == 1


def test_groups_of_a_standard_queue_are_not_looked_at(aws, hundred):
    store(*hundred)
    OutboxEvent.objects.update(queue="elsewhere")
    store("z")

    assert relay.publish_pending() == 1
    assert sqs.queue("transactions").depth().visible == 1

"""Claims under real concurrency, on SQLite and on PostgreSQL."""

import itertools
import uuid

import pytest

from queues.aws import sqs
from queues.consumer import handling
from queues.dead_letters import decisions
from queues.events.envelope import Event
from queues.models import DeadLetter, OutboxEvent
from queues.outbox import claims, relay
from tests.support.parcels import ParcelWeighed, record
from tests.support.threads import abreast, at_once

pytestmark = [pytest.mark.locking, pytest.mark.django_db(transaction=True)]


def received(alias):
    queue = sqs.queue(alias)
    found = []
    while messages := queue.receive(limit=10, wait_seconds=0):
        found += messages
        queue.delete_batch(messages)
    return [Event.from_json(message.body) for message in found]


def test_four_relays_publish_every_event_once(aws):
    for number in range(60):
        record(str(number))

    at_once(4, drain)

    notes = [event.data["note"] for event in received("orders")]
    assert sorted(notes, key=int) == [str(number) for number in range(60)]
    assert set(OutboxEvent.objects.values_list("state", "tries")) == {("published", 1)}


def test_four_relays_keep_the_order_of_every_fifo_group(aws):
    for number in range(40):
        record(str(number), group=f"g{number % 5}", data_type=ParcelWeighed)

    at_once(4, drain)

    by_group: dict[str, list[int]] = {}
    for event in received("transactions"):
        by_group.setdefault(event.partitionkey, []).append(int(event.data["note"]))
    assert by_group == {f"g{rest}": list(range(rest, 40, 5)) for rest in range(5)}


def test_four_relays_keep_the_order_of_every_fifo_group_through_lost_answers(
    aws, settings, request
):
    settings.RETRY_BASE_SECONDS = settings.RETRY_MAX_SECONDS = 1
    for number in range(40):
        record(str(number), group=f"g{number % 5}", data_type=ParcelWeighed)
    numbers = itertools.count()

    def lose(parsed, **kwargs):
        """Every third entry, from what is told; SQS has it."""
        parsed["Successful"] = [ok for ok in parsed["Successful"] if next(numbers) % 3]

    events = sqs.client().meta.events
    events.register("after-call.sqs.SendMessageBatch", lose)
    request.addfinalizer(lambda: events.unregister("after-call.sqs.SendMessageBatch", lose))

    at_once(4, drain)

    by_group: dict[str, list[int]] = {}
    for event in received("transactions"):
        by_group.setdefault(event.partitionkey, []).append(int(event.data["note"]))
    assert by_group == {f"g{rest}": list(range(rest, 40, 5)) for rest in range(5)}
    assert OutboxEvent.objects.filter(tries__gt=1).exists()


def test_letter_redriven_by_many_at_once_goes_out_once(aws):
    DeadLetter.objects.create(queue="orders", sqs_message_id="m", body="{}")

    counts = at_once(6, lambda: decisions.redrive(DeadLetter.objects.all()))

    assert sorted(counts) == [0, 0, 0, 0, 0, 1]
    assert OutboxEvent.objects.count() == 1


def test_marks_and_answers_of_sqs_in_opposite_orders_wait_for_each_other_in_no_circle():
    rounds, size = 30, 20
    for number in range(rounds * size):
        record(str(number))
    taken = [claims.take_oldest("orders", most=size) for _ in range(rounds)]
    events = [[uuid.UUID(event.event_id) for event in batch] for batch in taken]

    def be_answered(number):
        batch = taken[number]
        claims.settle(batch[0].claim, {event.pk: f"m-{event.pk}" for event in batch[::-1]})

    abreast(
        lambda number: handling.mark_handled(events[number]),
        lambda number: handling.mark_handled(events[number][::-1]),
        be_answered,
        rounds=rounds,
    )

    assert set(OutboxEvent.objects.values_list("state", flat=True)) == {"handled"}
    assert not OutboxEvent.objects.filter(published_at=None).exists()


def drain():
    while OutboxEvent.objects.filter(state__in=["pending", "claimed"]).exists():
        relay.publish_pending()

import json
import threading
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError
from django.core.management import CommandError, call_command
from django.db import transaction

from queues import outbox, registry
from queues.aws import sqs
from queues.consumer.handling import Disposition
from queues.consumer.loop import Consumer
from queues.dead_letters import collecting
from queues.errors import Reject, Retry
from queues.events.envelope import Event, EventData
from queues.models import DeadLetter, HandlingFailure, OutboxEvent


class LampLit(EventData, type="lamp.lit.v1", queue="orders", source="/tests"):
    watts: int = 5


class DoorOpened(EventData, type="door.opened.v1", queue="transactions", source="/tests"):
    name: str


class Handled(list[dict[str, Any]]):
    """The events that the handlers of these tests were given, and the errors that they raise next."""

    raises: Callable[[Event], Exception | None] | None = None


handled = Handled()


@registry.handles("lamp.lit.v1")
@registry.handles("door.opened.v1")
def remember(event):
    handled.append(event.data)
    if handled.raises and (error := handled.raises(event)):
        raise error


@pytest.fixture(autouse=True)
def nothing_handled():
    handled.clear()
    handled.raises = None


def record(data, *, group="g"):
    with transaction.atomic():
        return outbox.record(Event.of(data, subject="L-1", partition_key=group))


def put(body, *, alias="orders"):
    queue = sqs.queue(alias)
    queue.send_batch([sqs.Outgoing(key="1", body=body, group="g", deduplication_id=str(len(body)))])


def failures():
    return list(HandlingFailure.objects.values_list("receive_count", "code"))


@pytest.mark.django_db
def test_handled_message_is_deleted_and_its_event_marked_handled(consume):
    row = record(LampLit())

    assert consume() == 1

    row.refresh_from_db()
    assert row.state == OutboxEvent.State.HANDLED
    assert sqs.queue("orders").depth() == sqs.Depth(visible=0, in_flight=0, delayed=0)


@pytest.mark.django_db
def test_failed_message_stays_hidden_for_its_backoff_and_leaves_a_record(consume):
    record(LampLit())
    handled.raises = lambda event: Retry("the bulb is hot", code="Hot")

    consume()

    assert sqs.queue("orders").depth().in_flight == 1
    assert failures() == [(1, "Hot")]


@pytest.mark.django_db
def test_unexpected_error_is_retried_like_any_other(consume):
    record(LampLit())
    handled.raises = lambda event: ZeroDivisionError("oops")

    consume()

    assert sqs.queue("orders").depth().in_flight == 1
    assert failures() == [(1, "ZeroDivisionError")]


@pytest.mark.django_db
def test_message_that_cannot_heal_is_used_up_at_once(consume):
    record(LampLit())
    handled.raises = lambda event: Reject("no such lamp")

    counts = [consume() for _ in range(4)]

    assert counts == [1, 1, 1, 0]
    assert sqs.dead_letter_queue("orders").depth().visible == 1


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("not json", "BadEnvelope"),
        ("[1, 2]", "BadEnvelope"),
        ("{}", "BadEnvelope"),
        ("[" * 100_000, "BadEnvelope"),
        ("gA==\ufffd", "BadEnvelope"),
        ('{"id": "' + "x" * 200_000 + '"}', "BadEnvelope"),
        (json.dumps({"source": "/t", "type": "moon.fell.v1", "data": {}}), "UnknownType"),
        (json.dumps({"source": "/t", "type": "lamp.lit.v1", "data": {"watts": "many"}}), "BadData"),
        (json.dumps({"source": "/t", "type": "lamp.lit.v1", "data": []}), "BadEnvelope"),
    ],
)
def test_rubbish_is_rejected_by_name_and_the_next_message_is_handled(consume, body, code):
    put(body)
    record(LampLit(watts=7))

    consume()

    assert handled == [{"watts": 7}]
    assert failures() == [(1, code)]


@pytest.mark.django_db
def test_messages_of_a_fifo_group_are_handled_in_order(consume):
    for name in "abc":
        record(DoorOpened(name=name))

    while consume():
        pass

    assert [data["name"] for data in handled] == ["a", "b", "c"]


@pytest.mark.django_db
def test_fifo_group_stops_at_its_first_failure_and_other_groups_go_on(consume):
    for name in "abc":
        record(DoorOpened(name=name))
    record(DoorOpened(name="other"), group="h")
    handled.raises = lambda event: Retry("stuck") if event.data["name"] == "b" else None

    while consume():
        pass

    assert {data["name"] for data in handled} == {"a", "b", "other"}


@pytest.mark.django_db
def test_poison_message_takes_none_of_its_group_with_it(consume):
    for name in "abc":
        record(DoorOpened(name=name))
    handled.raises = lambda event: Reject("jammed") if event.data["name"] == "a" else None

    for _ in range(6):
        consume("transactions")
        collecting.collect("transactions")

    assert [data["name"] for data in handled] == ["a", "a", "a", "b", "c"]
    assert DeadLetter.objects.count() == 1


@pytest.mark.django_db
def test_max_messages_leaves_the_rest_in_the_queue(aws, consume):
    for _ in range(5):
        record(LampLit())
    consume("ses-events")

    consumer = Consumer(sqs.queues(["orders"]), concurrency=1, max_messages=3)
    counts = [consumer.poll_once(), consumer.poll_once()]

    assert counts == [3, 0]


@pytest.mark.django_db(transaction=True)
def test_stopping_consumer_gives_back_what_it_has_not_begun(aws):
    for number in range(5):
        put(f"{number:03}")
    begun, go_on = threading.Event(), threading.Event()

    def handle(queue, message):
        begun.set()
        go_on.wait(5)
        return Disposition(delete=True)

    consumer = Consumer(sqs.queues(["orders"]), concurrency=1, handle=handle)
    running = threading.Thread(target=consumer.run)
    running.start()
    assert begun.wait(5)
    consumer.stopping = True
    go_on.set()
    running.join(10)

    depth = sqs.queue("orders").depth()
    assert (depth.visible, depth.in_flight) == (4, 0)


@pytest.mark.django_db(transaction=True)
def test_consumer_that_is_resized_begins_more_and_receives_only_what_waits_for_it(aws):
    for number in range(25):
        put(f"{number:03}")
    begun, go_on = threading.Semaphore(0), threading.Event()

    def handle(queue, message):
        begun.release()
        go_on.wait(10)
        return Disposition(delete=True)

    consumer = Consumer(sqs.queues(["orders"]), concurrency=1, handle=handle)
    running = threading.Thread(target=consumer.run)
    running.start()
    assert begun.acquire(timeout=5)
    consumer.resize("orders", 3)

    assert begun.acquire(timeout=5) and begun.acquire(timeout=5)
    assert not begun.acquire(timeout=0.1)
    assert sqs.queue("orders").depth().in_flight == 10
    consumer.stopping = True
    go_on.set()
    running.join(10)


def test_unknown_queue_is_refused_with_the_names_there_are(settings):
    with pytest.raises(
        CommandError, match="unknown queue parcels; the queues are: orders, transactions"
    ):
        call_command("consume_queue", "parcels")


@pytest.mark.parametrize("option", ["--concurrency=0", "--max-messages=x", "--concurrency=-3"])
def test_options_must_be_whole_numbers_above_zero(option):
    with pytest.raises(CommandError, match="not a whole number above 0"):
        call_command("consume_queue", option)


@pytest.mark.django_db(transaction=True)
def test_visibility_is_kept_alive_while_a_handler_is_slow(aws, settings):
    settings.QUEUE_VISIBILITY_SECONDS = 1
    put("slow")
    done = threading.Event()

    def handle(queue, message):
        done.wait(1.6)
        return Disposition(delete=True)

    consumer = Consumer(sqs.queues(["orders"]), concurrency=1, handle=handle)
    running = threading.Thread(target=consumer.run)
    running.start()
    done.wait(1.3)

    assert sqs.queue("orders").receive(limit=1, wait_seconds=0) == []
    consumer.stopping = True
    running.join(10)


@pytest.mark.django_db(transaction=True)
def test_consumer_waits_and_goes_on_by_itself_when_sqs_fails(aws, caplog):
    def fail(**kwargs):
        raise EndpointConnectionError(endpoint_url="http://sqs")

    put("late")
    got = threading.Event()

    def handle(queue, message):
        got.set()
        return Disposition(delete=True)

    events = sqs.client().meta.events
    events.register_first("before-send.sqs.ReceiveMessage", fail)
    consumer = Consumer(sqs.queues(["orders"]), concurrency=1, handle=handle)
    running = threading.Thread(target=consumer.run)
    running.start()
    while "not receiving queue=orders" not in caplog.text:
        got.wait(0.05)
    events.unregister("before-send.sqs.ReceiveMessage", fail)

    assert got.wait(5)
    consumer.stopping = True
    running.join(10)
    assert "receiving again queue=orders" in caplog.text


@pytest.mark.django_db(transaction=True)
def test_receiver_that_fails_unexpectedly_stops_the_whole_consumer(aws, caplog):
    def fail(**kwargs):
        raise ZeroDivisionError("a bug")

    events = sqs.client().meta.events
    events.register_first("before-call.sqs.ReceiveMessage", fail)
    consumer = Consumer(sqs.queues(), concurrency=1)
    try:
        consumer.run()
    finally:
        events.unregister("before-call.sqs.ReceiveMessage", fail)

    assert consumer.crashed
    assert "the receiver of queue" in caplog.text

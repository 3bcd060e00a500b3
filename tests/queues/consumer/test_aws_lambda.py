import json
import os
import subprocess
import sys
import uuid
from types import SimpleNamespace

import pytest
from django.db import OperationalError, connection, transaction

from queues import outbox, registry
from queues.aws import sqs
from queues.aws_lambda import handler, sweep
from queues.consumer import lambda_batch, pausing
from queues.errors import GiveBack, QueueUnavailable, Reject, Retry
from queues.events.envelope import Event, EventData
from queues.models import HandlingFailure, OutboxEvent
from queues.outbox import relay


class ChimeStruck(EventData, type="chime.struck.v1", queue="orders", source="/tests"):
    tone: str = "a"


class StepTaken(EventData, type="step.taken.v1", queue="transactions", source="/tests"):
    number: int


raises: dict[object, Exception] = {}
handled: list[object] = []


@registry.handles("chime.struck.v1")
@registry.handles("step.taken.v1")
def remember(event):
    key = event.data.get("tone") or event.data["number"]
    if key in raises:
        raise raises[key]
    handled.append(key)


@pytest.fixture(autouse=True)
def nothing_handled():
    raises.clear()
    handled.clear()


pytestmark = pytest.mark.django_db(transaction=True)


class Context:
    """The context of an invocation that has so long left."""

    def __init__(self, seconds=60.0):
        self._seconds = seconds

    def get_remaining_time_in_millis(self):
        return int(self._seconds * 1000)


def publish(*data, group="g"):
    with transaction.atomic():
        for one in data:
            outbox.record(Event.of(one, subject="B-1", partition_key=group))
    while relay.publish_pending():
        pass


def received(alias, limit=10):
    """An event as Lambda makes it of what it receives."""
    queue = sqs.queue(alias)
    arn = queue.attributes()["QueueArn"]
    messages: list[sqs.Received] = []
    while len(messages) < limit:
        found = queue.receive(limit=1, wait_seconds=0)
        if not found:
            break
        messages += found
    return {"Records": [record(message, arn) for message in messages]}


def record(message, arn):
    return {
        "messageId": message.id,
        "receiptHandle": message.receipt,
        "body": message.body,
        "attributes": dict(message.attributes),
        "messageAttributes": {
            name: {"stringValue": value, "dataType": "String"}
            for name, value in message.message_attributes.items()
        },
        "eventSource": "aws:sqs",
        "eventSourceARN": arn,
        "awsRegion": "eu-west-1",
    }


def fifo_event(*numbers, receive_count=1):
    """A batch of one FIFO group, as SQS gives it to Lambda; moto hands out a group one by one."""
    publish(*(StepTaken(number=number) for number in numbers))
    rows = OutboxEvent.objects.filter(queue="transactions").order_by("id")
    arn = sqs.queue("transactions").attributes()["QueueArn"]
    messages = [
        sqs.Received(
            id=row.sqs_message_id or str(uuid.uuid4()),
            receipt=f"receipt-{row.pk}",
            body=row.body,
            attributes={"ApproximateReceiveCount": str(receive_count), "MessageGroupId": "g"},
            message_attributes={"event_id": str(row.event_id)},
        )
        for row in rows
    ]
    return {"Records": [record(message, arn) for message in messages]}


def failed(event, answer):
    """Return the places of the event's records that the answer names."""
    ids = [found["messageId"] for found in event["Records"]]
    return [ids.index(item["itemIdentifier"]) for item in answer["batchItemFailures"]]


def states(alias="orders"):
    rows = OutboxEvent.objects.filter(queue=alias).order_by("id")
    return list(rows.values_list("state", flat=True))


def last_receive(event, settings):
    for found in event["Records"]:
        found["attributes"]["ApproximateReceiveCount"] = str(settings.QUEUE_MAX_RECEIVE_COUNT)
    return event


def test_whole_batch_is_handled_and_nothing_is_named(aws):
    publish(ChimeStruck(tone="a"), ChimeStruck(tone="b"), ChimeStruck(tone="c"))

    answer = handler(received("orders"), Context())

    assert answer == {"batchItemFailures": []}
    assert sorted(map(str, handled)) == ["a", "b", "c"]
    assert states() == ["handled"] * 3


def test_wrapper_of_sns_is_read_as_raw_delivery(aws):
    publish(ChimeStruck())
    event = received("orders")
    [one] = event["Records"]
    one["body"] = json.dumps({"Type": "Notification", "TopicArn": "t", "Message": one["body"]})

    assert handler(event, Context()) == {"batchItemFailures": []}

    assert handled == ["a"]


def test_handled_messages_are_left_for_lambda_to_delete(aws):
    publish(ChimeStruck())

    handler(received("orders"), Context())

    assert sqs.queue("orders").depth().in_flight == 1


def test_only_what_failed_is_named_and_is_hidden_for_its_backoff(aws, settings):
    settings.RETRY_BASE_SECONDS = 100
    raises["b"] = Retry("out of tune", code="Flat")
    publish(ChimeStruck(tone="a"), ChimeStruck(tone="b"), ChimeStruck(tone="c"))
    event = received("orders")

    answer = handler(event, Context())

    assert failed(event, answer) == [1]
    assert list(HandlingFailure.objects.values_list("code", "receive_count")) == [("Flat", 1)]
    assert sqs.queue("orders").depth().visible == 0


def test_what_cannot_heal_comes_back_at_once(aws):
    raises["a"] = Reject("cracked")
    publish(ChimeStruck())
    event = received("orders")

    answer = handler(event, Context())

    assert failed(event, answer) == [0]
    assert sqs.queue("orders").depth().visible == 1


def test_after_a_failure_the_rest_of_its_group_is_named_and_not_begun(aws):
    raises[2] = Retry("stumbled")
    event = fifo_event(1, 2, 3)

    answer = handler(event, Context())

    assert failed(event, answer) == [1, 2]
    assert handled == [1]


def test_another_group_goes_on_after_a_failure(aws):
    raises[1] = Retry("stumbled")
    publish(StepTaken(number=1), group="left")
    publish(StepTaken(number=2), group="right")
    event = received("transactions")

    answer = handler(event, Context())

    assert len(answer["batchItemFailures"]) == 1
    assert handled == [2]


def test_rest_of_a_group_does_not_die_untried_with_its_last_receive(aws, settings):
    raises[1] = Reject("fell")
    event = fifo_event(1, 2, receive_count=settings.QUEUE_MAX_RECEIVE_COUNT)

    answer = handler(event, Context())

    assert failed(event, answer) == [0]
    assert states("transactions") == ["published", "pending"]


def test_redelivered_message_that_was_handled_is_done(aws):
    publish(ChimeStruck())
    event = received("orders")
    handler(event, Context())

    again = handler(event, Context())

    assert again == {"batchItemFailures": []}


def test_closed_queue_burns_no_receive(aws):
    publish(ChimeStruck(tone="a"), ChimeStruck(tone="b"))
    pausing.pause("orders", by="ada", reason="wrong prices")

    answer = handler(received("orders"), Context())

    assert answer == {"batchItemFailures": []}
    assert handled == []
    assert states() == ["pending"] * 2
    assert relay.publish_pending() == 0  # not before its time


def test_message_of_another_producer_survives_a_closed_queue(aws):
    body = Event.of(ChimeStruck(tone="z"), subject="Z", partition_key="g").to_json()
    sqs.queue("orders").send_batch([sqs.Outgoing(key="1", body=body)])
    pausing.pause("orders", by="ada", reason="wrong prices")

    handler(received("orders"), Context())

    assert OutboxEvent.objects.get().body == body


def test_what_time_did_not_suffice_for_comes_back_at_once(aws):
    publish(ChimeStruck(tone="a"), ChimeStruck(tone="b"))
    event = received("orders")

    answer = handler(event, Context(seconds=0))

    assert failed(event, answer) == [0, 1]
    assert sqs.queue("orders").depth().visible == 2
    assert not HandlingFailure.objects.exists()


def test_lack_of_time_makes_no_dead_letter(aws, settings):
    publish(ChimeStruck())
    event = last_receive(received("orders"), settings)

    answer = handler(event, Context(seconds=0))

    assert answer == {"batchItemFailures": []}
    assert states() == ["pending"]


def test_given_back_by_its_handler_makes_no_dead_letter(aws, settings):
    raises["a"] = GiveBack("stopping")
    publish(ChimeStruck())

    answer = handler(last_receive(received("orders"), settings), Context())

    assert answer == {"batchItemFailures": []}
    assert states() == ["pending"]


def test_database_that_is_away_hides_messages_ever_longer(aws, caplog):
    publish(ChimeStruck())
    event = received("orders")

    def away(execute, sql, params, many, context):
        raise OperationalError("no database")

    with connection.execute_wrapper(away):
        answer = handler(event, Context())

    assert failed(event, answer) == [0]
    assert sqs.queue("orders").depth().visible == 0
    assert [lambda_batch._outage_seconds(count) for count in (1, 2, 3, 9)] == [60, 300, 1500, 42000]


def test_queue_that_no_setting_names_is_told_with_those_that_are(aws):
    publish(ChimeStruck())
    event = received("orders")
    event["Records"][0]["eventSourceARN"] = "arn:aws:sqs:eu-west-1:123456789012:elsewhere"

    with pytest.raises(ValueError, match="elsewhere; they name notifier-orders"):
        handler(event, Context())


def test_event_of_a_schedule_is_sent_to_the_other_handler():
    with pytest.raises(ValueError, match="sweep"):
        handler({"source": "aws.events"}, Context())


@pytest.mark.parametrize(
    ("event", "named"),
    [
        ({"Records": [{"eventSource": "aws:s3", "s3": {}}]}, "aws:s3"),
        ({"Records": [{"EventSource": "aws:sns", "Sns": {"Message": "x"}}]}, "aws:sns"),
        ({"Records": [{"eventSource": "aws:kinesis", "kinesis": {"data": ""}}]}, "aws:kinesis"),
        ({"Records": [{"eventSource": "aws:dynamodb", "dynamodb": {}}]}, "aws:dynamodb"),
        ({"Records": [{"eventSource": "aws:ses", "ses": {}}]}, "aws:ses"),
        ({"Records": [{"messageId": "m"}]}, "the fields messageId"),
        ({"Records": ["x"]}, "a str"),
        ({"Records": {"eventSource": "aws:sqs"}}, "the fields Records"),
        ({"Records": None}, "the fields Records"),
        ({"source": "aws.events", "detail-type": "Scheduled Event", "detail": {}}, "aws.events"),
        ({"version": "2.0", "requestContext": {"http": {}}, "body": ""}, "a function URL"),
        ({"httpMethod": "POST", "body": "{}"}, "API Gateway"),
        ({"key1": "value1", "key2": "value2"}, "the fields key1, key2"),
        ({}, "a test"),
        ([], "a list"),
        (None, "a NoneType"),
    ],
)
def test_event_of_another_source_is_an_error_that_names_it(aws, event, named):
    with pytest.raises(ValueError, match=rf"from .*{named}.* not from .*(?i:sqs)"):
        handler(event, Context())


def test_of_a_mixed_event_nothing_is_handled(aws):
    publish(ChimeStruck(tone="a"))
    event = received("orders")
    event["Records"].append({"eventSource": "aws:s3", "s3": {}})

    with pytest.raises(ValueError, match="from aws:s3"):
        handler(event, Context())

    assert handled == []


@pytest.mark.parametrize("name", ["messageId", "receiptHandle", "body", "eventSourceARN"])
@pytest.mark.parametrize("value", [None, 7])
def test_record_without_what_sqs_always_gives_is_an_error_that_says_so(aws, name, value):
    publish(ChimeStruck(tone="a"))
    event = received("orders")
    event["Records"][0][name] = value

    with pytest.raises(ValueError, match=f"without {name}"):
        handler(event, Context())


def test_event_without_records_is_no_work(aws):
    assert handler({"Records": []}, Context()) == {"batchItemFailures": []}


def test_record_without_attributes_is_handled(aws):
    publish(ChimeStruck(tone="a"))
    event = received("orders")
    event["Records"][0] |= {"attributes": None, "messageAttributes": None}

    assert handler(event, Context()) == {"batchItemFailures": []}
    assert handled == ["a"]


def test_sweep_publishes_and_collects(aws):
    with transaction.atomic():
        outbox.record(Event.of(ChimeStruck(), subject="B", partition_key="g"))
    dead = Event.of(ChimeStruck(), subject="B", partition_key="g").to_json()
    sqs.dead_letter_queue("orders").send_batch([sqs.Outgoing(key="1", body=dead)])

    counts = sweep({}, Context())

    assert (counts["published"], counts["collected"]) == (1, 1)
    assert sqs.queue("orders").depth().visible == 1


def test_sweep_goes_on_past_what_aws_refuses_and_tells_it(settings, monkeypatch):
    settings.AWS_ENDPOINT_URL = "http://127.0.0.1:9"
    swept = SimpleNamespace(count=0)

    def count():
        swept.count += 1
        return 0

    monkeypatch.setattr(registry, "sweeps", [*registry.sweeps, count])
    with pytest.raises(QueueUnavailable):
        sweep({}, Context())

    assert swept.count == 1


def test_lambda_can_import_it_first():
    environment = os.environ | {"DJANGO_SETTINGS_MODULE": "tests.settings"}

    done = subprocess.run(
        [sys.executable, "-c", "import queues.aws_lambda"], env=environment, stderr=subprocess.PIPE
    )

    assert done.returncode == 0, done.stderr.decode()

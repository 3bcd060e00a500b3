"""Answers that SQS and SNS never give: from a proxy, an emulator, a network's sign-in page.

The shapes are those of the SQS API reference, "ReceiveMessage", "SendMessageBatch" and "DeleteMessageBatch".
"""

import hashlib
import threading

import pytest

from queues.aws import clients, sns, sqs
from queues.aws.sqs import Outgoing, Received
from queues.consumer.loop import Consumer
from queues.dead_letters import collecting
from queues.errors import QueueUnavailable
from queues.models import DeadLetter, OutboxEvent
from queues.outbox import relay
from tests.support.aws.scripted_server import ScriptedServer, said, written
from tests.support.parcels import record

BODY = '{"id": "1"}'
GOOD = {"MessageId": "message-1", "ReceiptHandle": "receipt-1", "Body": BODY}


def without(*names):
    return {name: value for name, value in GOOD.items() if name not in names}


UNREADABLE_MESSAGES = {
    "no-id": without("MessageId"),
    "no-receipt": without("ReceiptHandle"),
    "no-body": without("Body"),
    "only-an-id": without("ReceiptHandle", "Body"),
    "empty-receipt": GOOD | {"ReceiptHandle": ""},
    "body-is-null": GOOD | {"Body": None},
    "count-is-no-number": GOOD | {"Attributes": {"ApproximateReceiveCount": "many"}},
    "wrong-md5": GOOD | {"MD5OfBody": "0" * 32},
}
# botocore itself makes text of these, or leaves them out.
UNREADABLE_WHEN_LEAN = {
    "text": "message",
    "null": None,
    "body-is-number": GOOD | {"Body": 5},
    "receipt-is-list": GOOD | {"ReceiptHandle": ["receipt-1"]},
    "attributes-are-list": GOOD | {"Attributes": ["many"]},
    "attribute-is-number": GOOD | {"Attributes": {"ApproximateReceiveCount": 2}},
}
NO_JSON = {
    "web-page": b"<html><body>Sign in</body></html>",
    "torn": b'{"Messages":[{"MessageId":"message-1"}',
    "list": b"[]",
    "text": b'"Messages"',
    "bytes": b"\xff\xfe\x00",
}


@pytest.fixture
def server():
    server = ScriptedServer()
    yield server
    server.stop()


@pytest.fixture(params=["boto3", "lean"])
def client(request):
    return request.param


@pytest.fixture
def strange(settings, server, client):
    """Settings that name queues at the scripted server, called by each of the two clients."""
    settings.AWS_ENDPOINT_URL, settings.SQS_CLIENT = server.url, client
    base = "https://sqs.eu-west-1.amazonaws.com/123456789012"
    settings.QUEUES = {"orders": f"{base}/strange-orders"}
    clients.forget_clients()
    yield server
    clients.forget_clients()


@pytest.fixture
def queue(strange):
    """A queue that has answered nothing yet."""
    return sqs.Queue("orders", "https://sqs.eu-west-1.amazonaws.com/123456789012/notifier-orders")


def receive(queue, *, limit=10, wait_seconds=0):
    return queue.receive(limit=limit, wait_seconds=wait_seconds)


def received(receipt="receipt-1"):
    return Received(id="message-1", receipt=receipt, body="{}")


def assert_unreadable(call):
    with pytest.raises(QueueUnavailable) as caught:
        call()
    assert clients.is_not_aws(caught.value.code)


@pytest.mark.parametrize("content", NO_JSON.values(), ids=NO_JSON)
def test_answer_that_is_no_json_object_is_an_outage_for_every_call(server, queue, content):
    server.answer = said(200, content)

    for call in (
        lambda: receive(queue),
        lambda: queue.send_batch([Outgoing(key="a", body="1")]),
        lambda: queue.delete_batch([received()]),
        lambda: queue.hide(received(), seconds=1),
        lambda: queue.hide_batch([received()], seconds=1),
        queue.attributes,
    ):
        assert_unreadable(call)


@pytest.mark.parametrize("message", UNREADABLE_MESSAGES.values(), ids=UNREADABLE_MESSAGES)
def test_message_that_cannot_be_read_is_skipped_and_the_others_are_received(
    server, queue, caplog, message
):
    server.answer = said(200, {"Messages": [message, GOOD]})

    assert [one.id for one in receive(queue)] == ["message-1"]
    assert "unreadable message queue=orders place=1 of=2" in caplog.text


@pytest.mark.parametrize("message", UNREADABLE_MESSAGES.values(), ids=UNREADABLE_MESSAGES)
def test_answer_without_one_readable_message_is_an_outage(server, queue, message):
    server.answer = said(200, {"Messages": [message]})

    assert_unreadable(lambda: receive(queue))


@pytest.mark.parametrize("client", ["lean"], indirect=True)
@pytest.mark.parametrize("message", UNREADABLE_WHEN_LEAN.values(), ids=UNREADABLE_WHEN_LEAN)
def test_message_of_wrong_types_is_skipped_too(server, queue, message):
    server.answer = said(200, {"Messages": [message, GOOD]})

    assert [one.id for one in receive(queue)] == ["message-1"]


def test_body_with_its_right_digest_is_received(server, queue):
    digest = hashlib.md5(BODY.encode()).hexdigest()  # noqa: S324  # SQS's choice
    server.answer = said(200, {"Messages": [GOOD | {"MD5OfBody": digest}]})

    assert [one.body for one in receive(queue)] == [BODY]


def test_more_messages_than_were_asked_for_are_an_outage(server, queue):
    server.answer = said(200, {"Messages": [GOOD, GOOD]})

    assert_unreadable(lambda: receive(queue, limit=1))


def test_second_empty_answer_that_comes_at_once_is_an_outage_until_messages_come(server, queue):
    server.answer = said(200, {})
    assert receive(queue, wait_seconds=5) == []
    for _ in range(3):
        assert_unreadable(lambda: receive(queue, wait_seconds=5))
    # A short poll may be empty at once.
    assert receive(queue) == []

    server.answer = said(200, {"Messages": [GOOD]})
    assert len(receive(queue, wait_seconds=5)) == 1
    server.answer = said(200, {})
    assert receive(queue, wait_seconds=5) == []


STRANGE_RESULTS = {
    "an-entry-that-was-not-sent": {"Successful": [{"Id": "7", "MessageId": "m"}]},
    "an-id-that-is-no-number": {"Successful": [{"Id": "first", "MessageId": "m"}]},
    "an-entry-twice": {
        "Successful": [{"Id": "0", "MessageId": "m"}],
        "Failed": [{"Id": "0", "Code": "InternalError", "SenderFault": False}],
    },
    "no-entry-id": {"Successful": [{"MessageId": "m"}]},
}


@pytest.mark.parametrize("answer", STRANGE_RESULTS.values(), ids=STRANGE_RESULTS)
def test_answer_to_a_batch_about_other_entries_decides_nothing(server, queue, answer):
    server.answer = said(200, answer)

    assert_unreadable(lambda: queue.send_batch([Outgoing(key="a", body="1")]))
    assert_unreadable(lambda: queue.delete_batch([received()]))
    assert_unreadable(lambda: queue.hide_batch([received()], seconds=1))


def test_sent_entry_without_a_message_id_is_not_taken_as_sent(server, queue):
    server.answer = said(200, {"Successful": [{"Id": "0"}], "Failed": []})

    assert_unreadable(lambda: queue.send_batch([Outgoing(key="a", body="1")]))


def test_entry_that_no_answer_names_is_neither_sent_nor_deleted(server, queue):
    server.answer = said(200, {})

    assert queue.send_batch([Outgoing(key="a", body="1")]) == ({}, {})
    assert queue.delete_batch([received()]) == [received()]


@pytest.mark.parametrize("client", ["lean"], indirect=True)
@pytest.mark.parametrize("fault", ["false", 1, None, "true"])
def test_only_a_plain_true_refuses_an_event_for_good(server, queue, fault):
    failed = {"Id": "0", "Code": "InternalError", "SenderFault": fault}
    server.answer = said(200, {"Failed": [failed]})

    _, failures = queue.send_batch([Outgoing(key="a", body="1")])

    assert failures["a"].refused is False


@pytest.mark.django_db
@pytest.mark.parametrize("answer", STRANGE_RESULTS.values(), ids=STRANGE_RESULTS)
def test_relay_keeps_an_event_whose_answer_is_strange_and_waits(strange, answer):
    row = record()
    strange.answer = said(200, answer)

    assert relay.publish_pending() == 0
    assert relay.publish_pending() == 0

    row.refresh_from_db()
    assert (row.state, row.claim) == (OutboxEvent.State.PENDING, None)
    assert len(strange.requests) == 1


@pytest.mark.django_db
def test_collector_keeps_what_it_can_read_and_ends_with_an_outage(strange, settings):
    rest = [{"Messages": [UNREADABLE_MESSAGES["no-body"], GOOD]}, {"Messages": [{}]}]
    url = {"QueueUrl": f"{strange.url}/123456789012/strange-orders-dlq"}
    deleted = {"Successful": [{"Id": "0"}]}

    def answer(connection):
        request = strange.requests[-1].lower()
        if b"amazonsqs.receivemessage" in request:
            said(200, rest.pop(0))(connection)
        else:
            said(200, deleted if b"deletemessagebatch" in request else url)(connection)

    strange.answer = answer

    assert_unreadable(lambda: collecting.collect("orders"))
    assert DeadLetter.objects.get().body == BODY


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "answer",
    [
        said(200, b"<html>"),
        said(200, {"Messages": [{"MessageId": "x"}]}),
        said(200, {"Messages": ["x"]}),
        said(200, {"Messages": [GOOD | {"Attributes": {"ApproximateReceiveCount": "x"}}]}),
        said(200, {"Messages": [GOOD] * 11}),
        said(200, {}),
        written(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n}{"),
    ],
    ids=["web-page", "no-fields", "texts", "no-count", "too-many", "empty", "reversed"],
)
def test_consumer_survives_a_strange_answer_and_waits_before_it_asks_again(
    strange, settings, caplog, answer
):
    settings.QUEUE_WAIT_SECONDS = 5
    strange.answer = answer
    consumer = Consumer(sqs.queues(), concurrency=1)
    running = threading.Thread(target=consumer.run)

    running.start()
    while "not receiving queue=orders, next try in 1 s" not in caplog.text:
        running.join(0.05)
    asked = len(strange.requests)
    running.join(0.3)

    assert running.is_alive()
    assert len(strange.requests) == asked <= 2
    assert "orders" in consumer.troubles
    consumer.stopping = True
    running.join(10)
    assert not consumer.crashed


@pytest.mark.parametrize("client", ["boto3"], indirect=True)
def test_topic_decides_nothing_by_a_strange_answer_either(strange, settings):
    settings.TOPICS = {"orders": "arn:aws:sns:eu-west-1:123456789012:notifier-orders"}
    topic = sns.topic("orders")
    assert topic
    for content in (b"<html>", b"", b"{}"):
        strange.answer = said(200, content)

        with pytest.raises(QueueUnavailable):
            topic.send_batch([Outgoing(key="a", body="1")])

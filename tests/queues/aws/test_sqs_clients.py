import json

import pytest

from queues.aws import clients, sqs
from queues.aws.sqs import Outgoing, Received
from queues.errors import QueueMissing, QueueUnavailable, ReceiptExpired
from tests.support.aws.scripted_server import ScriptedServer, cut, said, written

URL = "https://sqs.eu-west-1.amazonaws.com/123456789012/notifier-orders"
MESSAGE = {
    "MessageId": "message-1",
    "ReceiptHandle": "receipt-1",
    "Body": '{"id": "1"}',
    "Attributes": {"ApproximateReceiveCount": "2", "MessageGroupId": "account-1"},
    "MessageAttributes": {"event_id": {"DataType": "String", "StringValue": "event-1"}},
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
def queue(settings, server, client):
    """A queue at the scripted server, called by each of the two clients."""
    settings.AWS_ENDPOINT_URL, settings.SQS_CLIENT = server.url, client
    clients.forget_clients()
    yield sqs.Queue("orders", URL)
    clients.forget_clients()


def refused(status, code, text, query_code=""):
    headers = {"x_amzn_query_error": f"{query_code};Sender"} if query_code else {}
    return said(status, {"__type": f"com.amazonaws.sqs#{code}", "message": text}, **headers)


def in_turn(*answers):
    left = list(answers)
    return lambda connection: left.pop(0)(connection)


def parts(request):
    head, _, body = request.partition(b"\r\n\r\n")
    return head.decode().lower(), json.loads(body)


def received(receipt="receipt-1"):
    return Received(id="message-1", receipt=receipt, body="{}")


def test_received_message_is_read_whole(server, queue):
    server.answer = said(200, {"Messages": [MESSAGE]})

    [message] = queue.receive(limit=10, wait_seconds=0)

    assert (message.id, message.receipt, message.body) == ("message-1", "receipt-1", '{"id": "1"}')
    assert (message.receive_count, message.group) == (2, "account-1")
    assert message.event_id == "event-1"


@pytest.mark.parametrize("answer", [{}, {"Messages": []}])
def test_empty_receive_is_no_message(server, queue, answer):
    server.answer = said(200, answer)

    assert queue.receive(limit=10, wait_seconds=0) == []


@pytest.mark.parametrize(
    "answer",
    [
        written(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\n{  \r\n1\r\n}\r\n0\r\n\r\n"
        ),
        cut(b"HTTP/1.1 200 OK\r\n\r\n{}"),
        cut(b"HTTP/1.0 200 OK\nContent-Length: 2\n\n{}"),
    ],
)
def test_answer_may_tell_its_length_in_other_ways(server, queue, answer):
    server.answer = in_turn(answer, said(200, {"Messages": [MESSAGE]}))

    assert queue.receive(limit=1, wait_seconds=0) == []
    assert len(queue.receive(limit=1, wait_seconds=0)) == 1


def test_request_names_its_operation_and_is_signed_for_sqs(server, queue):
    server.answer = said(200, {})

    queue.receive(limit=3, wait_seconds=7)

    head, parameters = parts(server.requests[0])
    assert head.startswith("post / http/1.1")
    assert "x-amz-target: amazonsqs.receivemessage" in head
    assert "content-type: application/x-amz-json-1.0" in head
    assert "/eu-west-1/sqs/aws4_request" in head
    assert parameters["QueueUrl"] == URL
    assert (parameters["MaxNumberOfMessages"], parameters["WaitTimeSeconds"]) == (3, 7)


def test_batch_says_what_was_sent_and_what_was_not(server, queue):
    failed = {"Id": "1", "Code": "InternalError", "Message": "sorry", "SenderFault": False}
    sent = {"Id": "0", "MessageId": "message-1", "MD5OfMessageBody": "0" * 32}
    server.answer = said(200, {"Successful": [sent], "Failed": [failed]})

    taken, missing = queue.send_batch([Outgoing(key="a", body="1"), Outgoing(key="b", body="2")])

    assert taken == {"a": "message-1"}
    assert (missing["b"].reason, missing["b"].refused) == ("InternalError: sorry", False)


def test_delete_says_what_was_not_deleted(server, queue):
    failed = {"Id": "1", "Code": "InternalError", "SenderFault": False}
    server.answer = said(200, {"Successful": [{"Id": "0"}], "Failed": [failed]})
    first, second = received("receipt-1"), received("receipt-2")

    assert queue.delete_batch([first, second]) == [second]


def test_call_that_answers_nothing_is_done(server, queue):
    server.answer = said(200, b"")

    queue.hide(received(), seconds=5)

    assert parts(server.requests[0])[1]["VisibilityTimeout"] == 5


def test_missing_queue_says_what_to_run(server, queue):
    server.answer = refused(
        400, "QueueDoesNotExist", "No", query_code="AWS.SimpleQueueService.NonExistentQueue"
    )

    with pytest.raises(QueueMissing, match="manage.py provision"):
        queue.receive(limit=1, wait_seconds=0)

    assert len(server.requests) == 1


def test_expired_receipt_is_told_apart(server, queue):
    server.answer = refused(
        400, "ReceiptHandleIsInvalid", "The receipt handle has expired", "ReceiptHandleIsInvalid"
    )

    with pytest.raises(ReceiptExpired):
        queue.hide(received(), seconds=0)


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (refused(403, "AccessDenied", "No"), "AccessDenied"),
        (said(403, b"<html>Forbidden</html>"), "403"),
    ],
)
def test_refusal_names_its_code_and_is_not_repeated(server, queue, answer, code):
    server.answer = answer

    with pytest.raises(QueueUnavailable) as caught:
        queue.receive(limit=1, wait_seconds=0)

    assert caught.value.code == code
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "trouble",
    [
        refused(500, "InternalError", "Sorry"),
        said(503, b"<html>Service Unavailable</html>"),
        refused(400, "ThrottlingException", "Slow down"),
        cut(),
    ],
)
def test_trouble_that_may_be_over_at_once_is_asked_again(server, queue, trouble):
    server.answer = in_turn(trouble, said(200, {"Messages": [MESSAGE]}))

    assert len(queue.receive(limit=1, wait_seconds=0)) == 1
    assert len(server.requests) == 2


def test_trouble_that_stays_is_unavailable(server, queue):
    server.answer = refused(500, "InternalError", "Sorry")

    with pytest.raises(QueueUnavailable):
        queue.receive(limit=1, wait_seconds=0)

    assert len(server.requests) == 3


def test_hurried_batch_is_tried_once(server, queue):
    server.answer = cut()

    with pytest.raises(QueueUnavailable):
        queue.send_batch([Outgoing(key="a", body="1")], hurried=True)

    assert len(server.requests) == 1


@pytest.mark.parametrize("content", [b"<html>", b"[]", b"\xff\xfe"])
def test_answer_that_cannot_be_read_is_unavailable(server, settings, content):
    settings.AWS_ENDPOINT_URL, settings.SQS_CLIENT = server.url, "lean"
    clients.forget_clients()
    server.answer = said(200, content)

    with pytest.raises(QueueUnavailable):
        sqs.Queue("orders", URL).receive(limit=1, wait_seconds=0)

    clients.forget_clients()


def test_behind_a_proxy_boto3_calls(settings, monkeypatch, caplog):
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    settings.AWS_ENDPOINT_URL, settings.SQS_CLIENT = "https://sqs.example", "lean"
    clients.forget_clients()

    with pytest.raises(QueueUnavailable) as caught:
        sqs.Queue("orders", URL).send_batch([Outgoing(key="a", body="1")], hurried=True)

    clients.forget_clients()
    assert caught.value.code == "ProxyConnectionError"
    assert "service=SQS why=a proxy is set" in caplog.text


@pytest.mark.processes
@pytest.mark.parametrize("name", ["lean-standard", "lean-fifo.fifo"])
def test_local_aws_sends_receives_hides_and_deletes_by_each_client(
    local_aws, settings, client, name
):
    settings.AWS_ENDPOINT_URL, settings.SQS_CLIENT = local_aws.endpoint, client
    clients.forget_clients()
    queue = sqs.Queue("orders", f"{client}-{name}")
    queue.create({"FifoQueue": "true"} if queue.is_fifo else {})
    message = Outgoing(
        key="a", body='{"a": "é"}', group="g", deduplication_id="d", attributes={"event_id": "e"}
    )

    sent, _ = queue.send_batch([message])
    [first] = queue.receive(limit=10, wait_seconds=1)
    queue.hide(first, seconds=0)
    [again] = queue.receive(limit=10, wait_seconds=1)
    queue.hide_batch([again], seconds=30)
    left = queue.delete_batch([again])

    clients.forget_clients()
    assert sent == {"a": first.id}
    assert (again.body, again.group, again.event_id) == ('{"a": "é"}', "g", "e")
    assert again.receive_count == 2
    assert (left, queue.depth().in_flight) == ([], 0)

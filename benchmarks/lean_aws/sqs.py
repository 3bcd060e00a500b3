"""The actions of SQS's JSON protocol that our consumer and its peers call."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable

from benchmarks.lean_aws.state import Aws, HandOut, Json, Queue, Waiter

ARN = "arn:aws:sqs:us-east-1:000000000000:"


def call(aws: Aws, action: str, request: Json) -> tuple[int, Json]:
    """Status and answer of every action but ReceiveMessage."""
    if action == "CreateQueue":
        aws.queues.setdefault(request["QueueName"], Queue())
    if action == "ListQueues":
        return 200, {"QueueUrls": [_url(aws, name) for name in aws.queues]}
    name = _name(request)
    if name not in aws.queues:
        return 400, {"__type": "com.amazonaws.sqs#QueueDoesNotExist", "message": "No such queue."}
    if action in ("CreateQueue", "GetQueueUrl"):
        return 200, {"QueueUrl": _url(aws, name)}
    if action == "GetQueueAttributes":
        return 200, {"Attributes": _attributes(name, aws.queues[name])}
    if action not in _ACTIONS:
        return 400, {"__type": "com.amazonaws.sqs#InvalidAction", "message": action}
    return 200, _ACTIONS[action](aws, aws.queues[name], request)


def receive(aws: Aws, request: Json, hand_out: HandOut) -> Waiter | None:
    """Hand out what is there, or wait as long as the request says."""
    queue = aws.queues[_name(request)]
    aws.is_polled = True
    limit = int(request.get("MaxNumberOfMessages") or 1)
    seconds = float(request.get("WaitTimeSeconds") or 0)
    messages = queue.take(limit)
    if messages or not seconds:
        hand_out(messages)
        return None
    return Waiter(queue, limit, seconds, hand_out)


def _send(aws: Aws, queue: Queue, request: Json) -> Json:
    aws.sent += 1
    body = request["MessageBody"]
    number = queue.put(body, request.get("MessageAttributes") or {})
    digest = hashlib.md5(body.encode(), usedforsecurity=False).hexdigest()
    return {"MessageId": number, "MD5OfMessageBody": digest}


def _delete(aws: Aws, queue: Queue, request: Json) -> Json:
    aws.count_delete(queue, request["ReceiptHandle"])
    return {}


def _hide(aws: Aws, queue: Queue, request: Json) -> Json:
    """Back at once, or never within a run: nobody measures how long a message is hidden."""
    seconds = float(request["VisibilityTimeout"])
    if seconds < 60:
        loop = asyncio.get_running_loop()
        loop.call_later(seconds, queue.put_back, request["ReceiptHandle"])
    return {}


def _batch(act: Callable[[Aws, Queue, Json], Json]) -> Callable[[Aws, Queue, Json], Json]:
    def each(aws: Aws, queue: Queue, request: Json) -> Json:
        entries = request["Entries"]
        return {"Successful": [{"Id": entry["Id"], **act(aws, queue, entry)} for entry in entries]}

    return each


def _attributes(name: str, queue: Queue) -> Json:
    return queue.attributes | {
        "QueueArn": ARN + name,
        "ApproximateNumberOfMessages": str(len(queue.ready)),
        "ApproximateNumberOfMessagesNotVisible": str(len(queue.in_flight)),
        "ApproximateNumberOfMessagesDelayed": "0",
    }


def _name(request: Json) -> str:
    return str(request.get("QueueUrl") or request.get("QueueName")).rsplit("/", 1)[-1]


def _url(aws: Aws, name: str) -> str:
    return f"{aws.endpoint}/000000000000/{name}"


_ACTIONS = {
    "SendMessage": _send,
    "SendMessageBatch": _batch(_send),
    "DeleteMessage": _delete,
    "DeleteMessageBatch": _batch(_delete),
    "ChangeMessageVisibility": _hide,
    "ChangeMessageVisibilityBatch": _batch(_hide),
}

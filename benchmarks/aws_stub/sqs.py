"""The actions of SQS's JSON protocol that Notifier calls, with their faults."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from benchmarks.aws_stub.errors import AwsError, Cut
from benchmarks.aws_stub.faults import Faults
from benchmarks.aws_stub.queues import Message, Queue

ARN = "arn:aws:sqs:eu-west-1:000000000000:"
DOUBLED_WITHIN_SECONDS = 2.0
# The characters that XML 1.0 does not have: SQS API reference, SendMessage.
_REFUSED = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
# How often a long poll looks whether its caller is still there.
LOOK_SECONDS = 1.0
HANG_SECONDS = 0.2

Answer = dict[str, Any]
IsGone = Callable[[], bool]


class Sqs:
    """The queues of one account."""

    def __init__(self, faults: Faults) -> None:
        self.queues: dict[str, Queue] = {}
        self.base = ""
        self._faults = faults
        self._actions: dict[str, Callable[[Answer], Answer]] = {
            "CreateQueue": self._create_queue,
            "GetQueueUrl": self._get_queue_url,
            "GetQueueAttributes": self._get_queue_attributes,
            "SetQueueAttributes": self._set_queue_attributes,
            "SendMessageBatch": self._send_message_batch,
            "DeleteMessageBatch": self._delete_message_batch,
            "ChangeMessageVisibility": self._change_message_visibility,
            "ChangeMessageVisibilityBatch": self._change_message_visibility_batch,
        }

    async def call(self, action: str, request: Answer, is_gone: IsGone) -> Answer:
        """Raises AwsError or Cut. ``is_gone`` tells whether the caller has hung up."""
        if self._faults.happens("sqs_down"):
            raise Cut
        if self._faults.happens("sqs_hangs"):
            while self._faults.rates["sqs_hangs"] and not is_gone():
                await asyncio.sleep(HANG_SECONDS)
            raise Cut
        if self._faults.happens("sqs_error"):
            raise AwsError("InternalFailure", "We encountered an internal error.", status=500)
        if action == "ReceiveMessage":
            return await self._receive_message(request, is_gone)
        if action not in self._actions:
            raise AwsError("InvalidAction", f"The action {action} is not valid for this endpoint.")
        return self._actions[action](request)

    def _queue(self, request: Answer) -> Queue:
        name = str(request.get("QueueUrl") or request.get("QueueName")).rsplit("/", 1)[-1]
        if name not in self.queues:
            raise AwsError("QueueDoesNotExist", "The specified queue does not exist.")
        return self.queues[name]

    def _create_queue(self, request: Answer) -> Answer:
        name = request["QueueName"]
        self.queues.setdefault(name, Queue(name, request.get("Attributes") or {}))
        return self._get_queue_url(request)

    def _get_queue_url(self, request: Answer) -> Answer:
        return {"QueueUrl": f"{self.base}/000000000000/{self._queue(request).name}"}

    def _get_queue_attributes(self, request: Answer) -> Answer:
        queue = self._queue(request)
        visible, hidden = queue.depth
        numbers = {
            "QueueArn": ARN + queue.name,
            "ApproximateNumberOfMessages": str(visible),
            "ApproximateNumberOfMessagesNotVisible": str(hidden),
            "ApproximateNumberOfMessagesDelayed": "0",
        }
        return {"Attributes": queue.attributes | numbers}

    def _set_queue_attributes(self, request: Answer) -> Answer:
        self._queue(request).attributes.update(request["Attributes"])
        return {}

    def _send_message_batch(self, request: Answer) -> Answer:
        queue = self._queue(request)
        answer: Answer = {"Successful": [], "Failed": []}
        for entry in request["Entries"]:
            if self._faults.happens("entry_failed"):
                answer["Failed"].append(
                    {"Id": entry["Id"], "SenderFault": False, "Code": "InternalError"}
                )
                continue
            if _REFUSED.search(entry["MessageBody"]):
                answer["Failed"].append(
                    {"Id": entry["Id"], "SenderFault": True, "Code": "InvalidMessageContents"}
                )
                continue
            copies = 3 if not queue.is_fifo and self._faults.happens("message_tripled") else 1
            for _ in range(copies):
                message = queue.put(
                    _sent(entry),
                    lose=not queue.is_fifo and self._faults.happens("message_lost"),
                )
            answer["Successful"].append({"Id": entry["Id"], "MessageId": message.id})
        if self._faults.happens("send_cut"):
            raise Cut
        return answer

    async def _receive_message(self, request: Answer, is_gone: IsGone) -> Answer:
        queue = self._queue(request)
        until = time.monotonic() + float(request.get("WaitTimeSeconds") or 0)
        while not is_gone():
            if self._faults.rates["sqs_down"]:
                raise Cut
            if self._faults.rates["sqs_hangs"]:
                await asyncio.sleep(HANG_SECONDS)
                continue
            queue.arrival.clear()
            if messages := self._take(queue, request):
                return {"Messages": [_received(message) for message in messages]}
            now = time.monotonic()
            if now >= until:
                break
            # The caller may hang up meanwhile, and a message come back by time.
            wake_at = min(until, now + LOOK_SECONDS, queue.next_at)
            with suppress(TimeoutError):
                await asyncio.wait_for(queue.arrival.wait(), wake_at - now)
        return {}

    def _take(self, queue: Queue, request: Answer) -> list[Message]:
        visibility = float(request.get("VisibilityTimeout", queue.attributes["VisibilityTimeout"]))
        limit = int(request.get("MaxNumberOfMessages") or 1)
        messages, dead = queue.take(limit, visibility=visibility)
        for message in dead:
            message.receives = 0
            self.queues[queue.redrive[0]].put(message)
        for message in messages:
            if not queue.is_fifo and self._faults.happens("message_doubled"):
                queue.double(message, delay=self._faults.seconds(0, DOUBLED_WITHIN_SECONDS))
        return messages

    def _delete_message_batch(self, request: Answer) -> Answer:
        queue = self._queue(request)
        return _each(request, lambda entry: self._delete(queue, entry["ReceiptHandle"]))

    def _delete(self, queue: Queue, receipt: str) -> None:
        if not self._faults.happens("delete_lost"):
            queue.delete(receipt)

    def _change_message_visibility(self, request: Answer) -> Answer:
        seconds = float(request["VisibilityTimeout"])
        self._queue(request).hide(request["ReceiptHandle"], seconds=seconds)
        return {}

    def _change_message_visibility_batch(self, request: Answer) -> Answer:
        queue = self._queue(request)
        return _each(
            request,
            lambda entry: queue.hide(
                entry["ReceiptHandle"], seconds=float(entry["VisibilityTimeout"])
            ),
        )


def _sent(entry: Answer) -> Message:
    return Message(
        body=entry["MessageBody"],
        group=entry.get("MessageGroupId", ""),
        deduplication_id=entry.get("MessageDeduplicationId", ""),
        attributes=entry.get("MessageAttributes") or {},
    )


def _each(request: Answer, act: Callable[[Answer], None]) -> Answer:
    answer: Answer = {"Successful": [], "Failed": []}
    for entry in request["Entries"]:
        try:
            act(entry)
        except AwsError as exc:
            answer["Failed"].append(
                {"Id": entry["Id"], "SenderFault": True, "Code": exc.code, "Message": str(exc)}
            )
        else:
            answer["Successful"].append({"Id": entry["Id"]})
    return answer


def _received(message: Message) -> Answer:
    attributes = {
        "ApproximateReceiveCount": str(message.receives),
        "ApproximateFirstReceiveTimestamp": str(int(message.first_received_at * 1000)),
        "SentTimestamp": str(int(message.sent_at * 1000)),
        "SequenceNumber": f"{message.sequence:020}",
    }
    if message.group:
        attributes["MessageGroupId"] = message.group
    return {
        "MessageId": message.id,
        "ReceiptHandle": message.receipt,
        "Body": message.body,
        "Attributes": attributes,
        "MessageAttributes": message.attributes,
    }

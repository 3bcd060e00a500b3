"""SQS as a client of boto3 shows it, in memory and on a clock of ours, with faults on demand.

One of two models of SQS. This one runs in the test's own process on a clock that the test moves, so that a seed repeats
a run exactly, redeliveries and old receipts included. The other, ``benchmarks/aws_stub/queues.py``, runs in real time
behind HTTP, for real processes.

Source: SQS developer guide. A standard queue hands out in any order, now and then twice; a FIFO queue nothing of a
group while an earlier message of it is in flight, and it drops a repeated deduplication id for five minutes.
"""

from __future__ import annotations

import itertools
import random
from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError

from tests.faults.world.clock import Clock

DEDUPLICATION_SECONDS = 300
# Nothing that takes a call happens in the same moment as the next.
CALL_SECONDS = 0.005
# Messages of a standard queue that were deleted and may come once more.
REMEMBERED = 20

_EXPIRED = "Value for parameter ReceiptHandle is invalid. Reason: The receipt handle has expired."


@dataclass(eq=False)
class Message:
    """A stored message; ``receipt`` is that of the last receive."""

    id: str
    body: str
    group: str
    attributes: dict[str, Any]
    sent_at: float
    visible_at: float
    receives: int = 0
    receipt: str = ""

    @property
    def event_id(self) -> str:
        """The event's id as the relay labels it; empty for SES's events."""
        return str(self.attributes.get("event_id", {}).get("StringValue", ""))


@dataclass(eq=False)
class Queue:
    """``messages`` are in the order in which they were sent."""

    name: str
    max_receives: int = 0
    messages: list[Message] = field(default_factory=list)
    seen: dict[str, tuple[float, str]] = field(default_factory=dict)
    deleted: deque[Message] = field(default_factory=lambda: deque(maxlen=REMEMBERED))

    @property
    def is_fifo(self) -> bool:
        """True if the name ends in ``.fifo``."""
        return self.name.endswith(".fifo")


class Sqs:
    """The client. ``fault`` befalls the next call: ``unavailable``, ``lost`` (done, not answered) or ``partial``."""

    def __init__(self, clock: Clock, rng: random.Random, *, max_receives: int) -> None:
        self.fault = ""
        self.receives: Counter[str] = Counter()
        self.on_dead: Callable[[Message], None] = lambda message: None
        self.around: Callable[[str], None] = lambda place: None
        # Before anything is handed out.
        self.arrive: Callable[[], None] = lambda: None
        self._clock = clock
        self._random = rng
        self._max_receives = max_receives
        self._queues: dict[str, Queue] = {}
        self._numbers = itertools.count(1)

    def queue(self, name: str) -> Queue:
        """The queue of this name; made when it is asked for."""
        if name not in self._queues:
            limit = 0 if "-dlq" in name else self._max_receives
            self._queues[name] = Queue(name, limit)
        return self._queues[name]

    @property
    def queues(self) -> list[Queue]:
        """Return the queues that were ever asked for."""
        return list(self._queues.values())

    def put(self, queue: Queue, body: str, *, delay: float = 0.0, **fields: Any) -> str:
        """Store a message, unless FIFO knows it; returns its id."""
        key, now = fields.pop("deduplication_id", ""), self._clock.time()
        if queue.is_fifo and key:
            since, known = queue.seen.get(key, (0.0, ""))
            if now - since < DEDUPLICATION_SECONDS:
                return known
        message = Message(
            id=f"m{next(self._numbers)}",
            body=body,
            group=fields.get("group", ""),
            attributes=fields.get("attributes", {}),
            sent_at=now,
            visible_at=now + delay,
        )
        queue.seen[key] = (now, message.id)
        queue.messages.append(message)
        return message.id

    def double(self, queue: Queue, number: int) -> None:
        """Hand a message of a standard queue out once more, be it waiting, in flight or deleted."""
        known = [*queue.messages, *queue.deleted]
        if known and not queue.is_fifo:
            copy = replace(known[number % len(known)], visible_at=self._clock.time(), receipt="")
            queue.messages.append(copy)

    # What boto3's client has.

    def get_queue_url(self, *, QueueName: str) -> dict[str, Any]:  # noqa: N803
        return {"QueueUrl": f"https://sqs/1/{QueueName}"}

    def send_message_batch(self, *, QueueUrl: str, Entries: list[Any]) -> dict[str, Any]:  # noqa: N803
        queue = self._of(QueueUrl)

        def send(entry: Any) -> dict[str, Any]:
            message_id = self.put(
                queue,
                entry["MessageBody"],
                group=entry.get("MessageGroupId", ""),
                attributes=entry["MessageAttributes"],
                deduplication_id=entry.get("MessageDeduplicationId", ""),
            )
            return {"Id": entry["Id"], "MessageId": message_id}

        return self.batch("SendMessageBatch", Entries, send)

    def receive_message(
        self,
        *,
        QueueUrl: str,  # noqa: N803
        MaxNumberOfMessages: int,  # noqa: N803
        VisibilityTimeout: int,  # noqa: N803
        **options: Any,
    ) -> dict[str, Any]:
        queue = self._of(QueueUrl)

        def receive() -> list[Any]:
            self.arrive()
            self._bury(queue)
            taken = self.receivable(queue)[:MaxNumberOfMessages]
            return [self._hand_out(message, VisibilityTimeout) for message in taken]

        return {"Messages": self._call("ReceiveMessage", receive)}

    def delete_message_batch(self, *, QueueUrl: str, Entries: list[Any]) -> dict[str, Any]:  # noqa: N803
        queue = self._of(QueueUrl)

        def delete(entry: Any) -> dict[str, Any]:
            if message := self._held(queue, entry["ReceiptHandle"]):
                queue.messages.remove(message)
                queue.deleted.append(message)
            return {"Id": entry["Id"]}

        return self.batch("DeleteMessageBatch", Entries, delete)

    def change_message_visibility(
        self,
        *,
        QueueUrl: str,  # noqa: N803
        ReceiptHandle: str,  # noqa: N803
        VisibilityTimeout: int,  # noqa: N803
    ) -> dict[str, Any]:
        def hide() -> dict[str, Any]:
            message = self._held(self._of(QueueUrl), ReceiptHandle)
            if message and message.visible_at <= self._clock.time():
                raise _refusal("MessageNotInflight", "The receipt is of a message not in flight")
            if message:
                message.visible_at = self._clock.time() + VisibilityTimeout
            return {}

        answer: dict[str, Any] = self._call("ChangeMessageVisibility", hide)
        return answer

    def get_queue_attributes(self, *, QueueUrl: str, **options: Any) -> dict[str, Any]:  # noqa: N803
        queue = self._of(QueueUrl)

        def count() -> dict[str, Any]:
            visible = sum(m.visible_at <= self._clock.time() for m in queue.messages)
            numbers = {
                "ApproximateNumberOfMessages": str(visible),
                "ApproximateNumberOfMessagesNotVisible": str(len(queue.messages) - visible),
            }
            return {"Attributes": numbers}

        answer: dict[str, Any] = self._call("GetQueueAttributes", count)
        return answer

    # How it works inside.

    def receivable(self, queue: Queue) -> list[Message]:
        """Return the messages that may be handed out now, in that order."""
        now = self._clock.time()
        visible = [message for message in queue.messages if message.visible_at <= now]
        if not queue.is_fifo:
            return self._random.sample(visible, len(visible))
        blocked = {message.group for message in queue.messages if message.visible_at > now}
        return [message for message in visible if message.group not in blocked]

    def _bury(self, queue: Queue) -> None:
        """SQS moves what has used up its receives when it would hand it out again."""
        for message in self.receivable(queue):
            if queue.max_receives and message.receives >= queue.max_receives:
                queue.messages.remove(message)
                dead = self.queue(_dead_letter_name(queue.name))
                dead.messages.append(replace(message, receipt=""))
                self.on_dead(message)

    def _hand_out(self, message: Message, visibility: int) -> dict[str, Any]:
        message.receives += 1
        message.receipt = f"{message.id}#{next(self._numbers)}"
        message.visible_at = self._clock.time() + visibility
        self.receives[message.event_id] += 1
        return {
            "MessageId": message.id,
            "ReceiptHandle": message.receipt,
            "Body": message.body,
            "Attributes": {
                "ApproximateReceiveCount": str(message.receives),
                "SentTimestamp": str(int(message.sent_at * 1000)),
                **({"MessageGroupId": message.group} if message.group else {}),
            },
            "MessageAttributes": message.attributes,
        }

    def _held(self, queue: Queue, receipt: str) -> Message | None:
        """The message of a receipt; an old receipt of a standard queue may or may not be good."""
        for message in queue.messages:
            if message.receipt == receipt:
                if queue.is_fifo and message.visible_at <= self._clock.time():
                    raise _refusal("InvalidParameterValue", _EXPIRED)
                return message
        known = [m for m in queue.messages if receipt.startswith(f"{m.id}#")]
        if known and queue.is_fifo:
            raise _refusal("InvalidParameterValue", _EXPIRED)
        return known[0] if known and self._random.random() < 0.5 else None

    def _of(self, url: str) -> Queue:
        return self.queue(url.rsplit("/", 1)[-1])

    def _call(self, operation: str, act: Callable[[], Any]) -> Any:
        fault, self.fault = self.fault, ""
        self._clock.advance(CALL_SECONDS)
        self.around(f"before {operation}")
        if fault == "unavailable":
            raise EndpointConnectionError(endpoint_url="https://sqs")
        answer = act()
        self.around(f"after {operation}")
        if fault == "lost":
            raise ReadTimeoutError(endpoint_url="https://sqs")
        return answer

    def batch(
        self, operation: str, entries: Iterable[Any], act: Callable[[Any], dict[str, Any]]
    ) -> dict[str, Any]:
        """The answer to a call with several entries; ``act`` does what one of them asks for."""
        partial = self.fault == "partial"

        def each() -> dict[str, Any]:
            answer: dict[str, Any] = {"Successful": [], "Failed": []}
            for entry in entries:
                try:
                    if partial and self._random.random() < 0.5:
                        raise _refusal("InternalError", "try again")
                    answer["Successful"].append(act(entry))
                except ClientError as exc:
                    code = exc.response["Error"]["Code"]
                    answer["Failed"].append({"Id": entry["Id"], "Code": code, "SenderFault": False})
            return answer

        answer: dict[str, Any] = self._call(operation, each)
        return answer


def _refusal(code: str, text: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": text}}, "Sqs")


def _dead_letter_name(name: str) -> str:
    return f"{name.removesuffix('.fifo')}-dlq{'.fifo' if name.endswith('.fifo') else ''}"

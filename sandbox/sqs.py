"""moto's SQS, corrected where order, deduplication and prompt delivery depend on it."""

from __future__ import annotations

import copy
import itertools
import json
import re
import time
from threading import Condition, RLock
from typing import Any, NamedTuple

from moto.core.utils import unix_time_millis
from moto.sqs import urls
from moto.sqs.exceptions import ReceiptHandleIsInvalid, SQSException
from moto.sqs.models import Message, Queue, SQSBackend, _filter_message_attributes

DEDUPLICATION_MILLISECONDS = 5 * 60 * 1000
# The characters that XML 1.0 does not have.
_REFUSED = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

# One lock for all queues: a receive moves messages to another queue, and two locks could deadlock.
_lock = RLock()
_sequence = itertools.count(18_849_496_460_467_696_128)


class ReceiptHandleExpired(ReceiptHandleIsInvalid):  # type: ignore[misc]  # moto is untyped here
    """Another consumer holds the message of a FIFO queue by now."""

    def __init__(self, receipt_handle: str) -> None:
        SQSException.__init__(
            self,
            "InvalidParameterValue",
            f"Value {receipt_handle} for parameter ReceiptHandle is invalid. "
            "Reason: The receipt handle has expired.",
        )


class Sent(NamedTuple):
    """The answer that a repeat of a deduplication id gets."""

    message_id: str
    sequence_number: str
    timestamp: int


class WholeQueue(Queue):  # type: ignore[misc]  # moto is untyped here
    """A queue that keeps all attributes that it was given, and tells them."""

    def _set_attributes(self, attributes: dict[str, Any], now: float | None = None) -> None:
        """moto's own forgets the policy with every other change."""
        policy = attributes.get("Policy", getattr(self, "policy", None))
        super()._set_attributes(attributes, now)
        self.policy = policy

    @property
    def attributes(self) -> dict[str, Any]:
        """Return the attributes, with the one that moto leaves out."""
        allowed = getattr(self, "redrive_allow_policy", None)
        if isinstance(allowed, dict):
            allowed = json.dumps(allowed)
        told: dict[str, Any] = super().attributes
        return told | ({"RedriveAllowPolicy": allowed} if allowed else {})


class SandboxQueue(WholeQueue):
    """A queue whose receive is atomic, whose long polls sleep, and which remembers what was sent."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._messages_lock = Condition(_lock)
        self._messages: list[Message] = []
        self._sent: dict[tuple[str | None, str], Sent] = {}

    @property
    def approximate_number_of_messages(self) -> int:
        """Count the messages that are neither hidden nor delayed."""
        now = unix_time_millis()
        return sum(not _is_hidden(message, now) for message in self._messages)

    @property
    def approximate_number_of_messages_not_visible(self) -> int:
        """Count the messages in flight."""
        now = unix_time_millis()
        return sum(message.visible_at >= now for message in self._messages)

    @property
    def approximate_number_of_messages_delayed(self) -> int:
        """Sent with a delay that is not over."""
        now = unix_time_millis()
        return sum(message.delayed_until > now for message in self._messages)

    def add_message(self, message: Message) -> None:
        """Append the message, unless its deduplication id was sent within 5 minutes."""
        with self._messages_lock:
            if self.fifo_queue:
                if self._is_repeat(message):
                    return
                message.sequence_number = str(next(_sequence))
                self._remember(message)
            self._messages.append(message)
            self._messages_lock.notify_all()

    def bury(self, message: Message) -> None:
        """Take a used-up message from another queue; on FIFO it gets a new deduplication id, as in AWS."""
        if self.fifo_queue:
            message.deduplication_id = message.id
        self._messages.append(message)
        self._messages_lock.notify_all()

    def receive(self, count: int, *, wait_seconds: float, visibility_seconds: int) -> list[Message]:
        """Copies of up to ``count`` messages; sleeps until one comes or ``wait_seconds`` are over."""
        deadline = time.monotonic() + wait_seconds
        with self._messages_lock:
            while True:
                received = self._take(count, visibility_seconds=visibility_seconds)
                remaining = deadline - time.monotonic()
                if received or remaining <= 0:
                    return received
                self._messages_lock.wait(min(remaining, self._seconds_to_next_visible()))

    def delete_message(self, receipt_handle: str) -> None:
        """Delete; a FIFO group that waited behind the message may go on."""
        with self._messages_lock:
            self.check_holder(receipt_handle)
            super().delete_message(receipt_handle)
            self._messages_lock.notify_all()

    def check_holder(self, receipt_handle: str) -> None:
        """Raise ReceiptHandleExpired where an older receipt handle would touch a message of a FIFO queue."""
        if self.fifo_queue and any(
            message.receipt_handle != receipt_handle and message.had_receipt_handle(receipt_handle)
            for message in self._messages
        ):
            raise ReceiptHandleExpired(receipt_handle)

    def wake(self) -> None:
        """Let the waiting receives look again."""
        with self._messages_lock:
            self._messages_lock.notify_all()

    def _take(self, count: int, *, visibility_seconds: int) -> list[Message]:
        now = unix_time_millis()
        oldest = now - self.message_retention_period * 1000
        self._messages = [each for each in self._messages if each.sent_timestamp > oldest]
        # A group in flight gives nothing more, so that its order holds.
        blocked = {
            each.group_id for each in self._messages if self.fifo_queue and _is_hidden(each, now)
        }
        received: list[Message] = []
        dead: list[Message] = []
        for message in self._messages:
            if len(received) == count:
                break
            if _is_hidden(message, now) or message.group_id in blocked:
                continue
            if self._is_used_up(message):
                dead.append(message)
                continue
            message.mark_received(visibility_timeout=visibility_seconds)
            received.append(copy.copy(message))
        for message in dead:
            self._messages.remove(message)
            self.dead_letter_queue.bury(message)
        return received

    def _is_used_up(self, message: Message) -> bool:
        return bool(
            self.dead_letter_queue is not None
            and self.redrive_policy
            and message.approximate_receive_count >= self.redrive_policy["maxReceiveCount"]
        )

    def _seconds_to_next_visible(self) -> float:
        now = unix_time_millis()
        times = (max(each.visible_at, each.delayed_until) for each in self._messages)
        return min((each - now for each in times if each >= now), default=3_600_000) / 1000 + 0.001

    def _deduplication_key(self, message: Message) -> tuple[str | None, str]:
        group = message.group_id if self.deduplication_scope == "messageGroup" else None
        return group, message.deduplication_id

    def _is_repeat(self, message: Message) -> bool:
        """True for a repeat, which SQS answers as it answered the first."""
        sent = self._sent.get(self._deduplication_key(message))
        if sent is None or sent.timestamp <= message.sent_timestamp - DEDUPLICATION_MILLISECONDS:
            return False
        message.id, message.sequence_number = sent.message_id, sent.sequence_number
        return True

    def _remember(self, message: Message) -> None:
        oldest = message.sent_timestamp - DEDUPLICATION_MILLISECONDS
        forgotten = itertools.takewhile(
            lambda item: item[1].timestamp <= oldest, self._sent.items()
        )
        for key, _ in list(forgotten):
            del self._sent[key]
        self._sent[self._deduplication_key(message)] = Sent(
            message.id, message.sequence_number, message.sent_timestamp
        )


class InvalidMessageContents(SQSException):  # type: ignore[misc]  # moto is untyped here
    """The body has a character that XML 1.0 does not have: SQS API reference, SendMessage."""

    def __init__(self, char: str) -> None:
        super().__init__(
            "InvalidMessageContents",
            f"Invalid binary character '#x{ord(char):X}' was found in the message body, the set of allowed "
            "characters is #x9 | #xA | #xD | [#x20-#xD7FF] | [#xE000-#xFFFD] | [#x10000-#x10FFFF]",
        )


def refuse_characters(body: str) -> None:
    """Raise InvalidMessageContents as SQS does."""
    if match := _REFUSED.search(body):
        raise InvalidMessageContents(match[0])


class SandboxSQS(SQSBackend):  # type: ignore[misc]  # moto is untyped here
    """The SQS of one region."""

    _url_module = urls

    def send_message(
        self, queue_name: str, message_body: str, *args: Any, **kwargs: Any
    ) -> Message:
        """Send it, unless SQS would refuse its characters."""
        refuse_characters(message_body)
        return super().send_message(queue_name, message_body, *args, **kwargs)

    def send_message_batch(
        self, queue_name: str, entries: dict[str, dict[str, Any]]
    ) -> tuple[list[Message], list[dict[str, Any]]]:
        """Send the entries, except those whose characters SQS would refuse: they fail one by one."""
        good, failed = dict(entries), []
        for key, entry in entries.items():
            try:
                refuse_characters(entry["MessageBody"])
            except InvalidMessageContents as exc:
                del good[key]
                failed.append(
                    {
                        "Id": entry["Id"],
                        "SenderFault": True,
                        "Code": exc.code,
                        "Message": exc.message,
                    }
                )
        sent, others = super().send_message_batch(queue_name, good)
        return sent, [*failed, *others]

    def receive_message(
        self,
        queue_name: str,
        count: int,
        wait_seconds_timeout: int,
        visibility_timeout: int,
        message_attribute_names: list[str] | None = None,
    ) -> list[Message]:
        """Return what ``SandboxQueue.receive`` gives, with the message attributes that were asked for."""
        queue: SandboxQueue = self.get_queue(queue_name)
        received = queue.receive(
            count, wait_seconds=wait_seconds_timeout, visibility_seconds=visibility_timeout
        )
        for message in received:
            _filter_message_attributes(message, message_attribute_names or [])
        return received

    def change_message_visibility(
        self, queue_name: str, receipt_handle: str, visibility_timeout: int
    ) -> None:
        """Hide the message for so long from now; 0 gives it back at once."""
        queue = self.get_queue(queue_name)
        with _lock:
            queue.check_holder(receipt_handle)
            super().change_message_visibility(queue_name, receipt_handle, visibility_timeout)
            queue.wake()

    def purge_queue(self, queue_name: str) -> None:
        """Throw all messages away."""
        with _lock:
            super().purge_queue(queue_name)


def _is_hidden(message: Message, now: float) -> bool:
    return bool(message.visible_at >= now or message.delayed_until > now)

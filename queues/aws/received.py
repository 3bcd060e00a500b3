"""Read what SQS answers to ReceiveMessage, and notice what SQS never answers.

Source: SQS API reference, "ReceiveMessage" and "Message".
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from queues.aws import wrappers
from queues.aws.clients import ODD, Unreadable, described

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Received:
    """A message that is ours until its visibility timeout; ``receipt`` is valid for this receive only."""

    id: str
    receipt: str
    body: str
    receive_count: int = 1
    group: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)
    message_attributes: Mapping[str, str] = field(default_factory=dict)

    @property
    def event_id(self) -> str:
        """The sender's ``event_id`` attribute; "-" if the sender gave none, NO_EVENT for our own non-events."""
        return self.message_attributes.get("event_id", "-")


def read(answer: Mapping[str, Any], *, limit: int, queue: str) -> list[Received]:
    """Return the messages of an answer without those that cannot be read; raises Unreadable if none can.

    A message that is left out comes back by its visibility timeout, and SQS's redrive policy makes it a dead letter.
    """
    given = answer.get("Messages") or []
    if not isinstance(given, list):
        raise Unreadable("the messages are no list")
    if len(given) > limit:
        # Nobody began them, so they come back and lose one receive.
        raise Unreadable(f"{len(given)} messages came, {limit} were asked for")
    messages = []
    for number, one in enumerate(given, start=1):
        try:
            messages.append(_message(one))
        except ODD as exc:
            logger.error(
                "unreadable message queue=%s place=%d of=%d: %s",
                queue,
                number,
                len(given),
                described(exc)[1],
            )
    if given and not messages:
        raise Unreadable(f"none of {len(given)} messages can be read")
    return messages


def text(value: object, name: str) -> str:
    """Return a value that must be text and not empty; raises Unreadable."""
    if not isinstance(value, str) or not value:
        raise Unreadable(f"{name} is no text")
    return value


def _message(message: Mapping[str, Any]) -> Received:
    if not isinstance(message, Mapping):
        raise Unreadable("it is no object")
    attributes = _attributes(message.get("Attributes"))
    body, labels = wrappers.unwrapped(_body(message), message.get("MessageAttributes") or {})
    return Received(
        id=text(message["MessageId"], "MessageId"),
        receipt=text(message["ReceiptHandle"], "ReceiptHandle"),
        body=body,
        receive_count=_count(attributes.get("ApproximateReceiveCount", "1")),
        group=attributes.get("MessageGroupId", ""),
        attributes=attributes,
        message_attributes=labels,
    )


def _body(message: Mapping[str, Any]) -> str:
    """Return the body; botocore does not compare it with its MD5 digest, so this does."""
    body = message["Body"]
    if not isinstance(body, str):
        raise Unreadable("Body is no text")
    digest = message.get("MD5OfBody")
    if digest:
        content = body.encode(errors="surrogatepass")
        if hashlib.md5(content, usedforsecurity=False).hexdigest() != digest:
            raise Unreadable("Body is not what its MD5 digest says")
    return body


def _attributes(given: object) -> dict[str, str]:
    found = {} if given is None else given
    if not isinstance(found, Mapping) or not all(isinstance(one, str) for one in found.values()):
        raise Unreadable("Attributes are no texts by name")
    return dict(found)


def _count(given: str) -> int:
    if not (given.isascii() and given.isdecimal()):
        raise Unreadable("ApproximateReceiveCount is no number")
    return int(given)

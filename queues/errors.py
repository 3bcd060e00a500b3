"""The errors of an event on its way, each named for what the caller should do.

QueueError
├── Retry           raised by handlers: try again after a while; the cause may heal
├── GiveBack        raised by handlers: the consumer stops; not a failure
├── Hold            raised by handlers: later events of its FIFO group must wait for this one
├── Reject          raised by handlers: waiting cannot heal it; the message becomes a dead letter
│   ├── BadEnvelope     the body is not an event envelope
│   ├── UnknownType     no handler takes this type or version of event
│   └── BadData         the data does not fit the type's model
├── Uncorrectable   the consequences of an event cannot be undone; says why, and the event stays as it is
├── EventTooLarge   the event cannot be recorded; refuse the request that caused it
├── QueueClosed     a gate says why nothing may be received now; wait
├── QueueUnavailable    a call to AWS failed; nothing is lost, try later
│   └── QueueMissing        the queue or topic does not exist; run ``manage.py provision``
└── ReceiptExpired  the message was deleted or received again; ignore it
"""

from __future__ import annotations


class QueueError(Exception):
    """The base of all errors of this app."""


class Retry(QueueError):
    """Handling failed for a reason that may heal: the message comes back with backoff.

    ``seconds`` overrides the backoff. ``code`` names the cause for grouping, for example an AWS error code.
    """

    def __init__(self, reason: str, *, code: str = "", seconds: int | None = None) -> None:
        super().__init__(reason)
        self.code = code or type(self).__name__
        self.seconds = seconds


class GiveBack(QueueError):
    """The consumer stops before it worked on this message: another consumer gets it at once."""


class Hold(QueueError):
    """The event is not finished, and nothing of its FIFO group may be handled before it is; only for FIFO queues.

    The consumer deletes the message; ``fifo_groups.end_holds`` publishes the event again.
    """


class Reject(QueueError):
    """Handling failed for good: the message comes back at once until SQS makes it a dead letter."""

    def __init__(self, reason: str, *, code: str = "") -> None:
        super().__init__(reason)
        self.code = code or type(self).__name__


class BadEnvelope(Reject):
    """The body is not JSON, or not a CloudEvents 1.0 envelope."""


class UnknownType(Reject):
    """No handler is registered for this type; upgrade the consumer, then redrive."""


class BadData(Reject):
    """The data does not fit the model of its type; the text says which field and why."""


class Uncorrectable(QueueError):
    """The data of an event can no longer be corrected; the text is for the person who tried."""


class EventTooLarge(QueueError):
    """The envelope is larger than ``envelope.MAX_BYTES``; the transaction that records it must not commit."""


class QueueClosed(QueueError):
    """Messages could not be handled now, so they stay in the queue and lose no receive."""


class QueueUnavailable(QueueError):
    """AWS rejected the call or did not answer; the call may be repeated."""

    def __init__(self, reason: str, *, code: str = "") -> None:
        super().__init__(reason)
        self.code = code


class QueueMissing(QueueUnavailable):
    """The queue or topic does not exist in this region and account."""


class ReceiptExpired(QueueError):
    """The receipt handle is no longer valid: the message was deleted or received again."""

"""What can go wrong while an event travels, named for what the caller should do.

QueueError
├── Retry           raised by handlers: try again after a while; the cause may heal
├── GiveBack        raised by handlers: the consumer stops; not a failure
├── Hold            raised by handlers: what comes after it in its FIFO group waits for it
├── Reject          raised by handlers: waiting cannot heal it; the message becomes a dead letter
│   ├── BadEnvelope     the body is no event envelope
│   ├── UnknownType     nobody handles this type or version of event
│   └── BadData         the data does not fit the type's model
├── Uncorrectable   what an event led to cannot be taken back; says why, and the event stays as it is
├── EventTooLarge   the event cannot be recorded; refuse what caused it
├── QueueClosed     an upper app says why nothing may be received now; wait
├── QueueUnavailable    AWS did not do it; nothing is lost, try later
│   └── QueueMissing        the queue or topic does not exist; run ``manage.py provision``
└── ReceiptExpired  the message is in other hands by now; ignore it
"""

from __future__ import annotations


class QueueError(Exception):
    """The base of all errors of this app."""


class Retry(QueueError):
    """Handling failed for a reason that may heal: the message comes back with backoff.

    ``seconds`` overrides the backoff. ``code`` names the cause for grouping (an AWS error code, say).
    """

    def __init__(self, reason: str, *, code: str = "", seconds: int | None = None) -> None:
        super().__init__(reason)
        self.code = code or type(self).__name__
        self.seconds = seconds


class GiveBack(QueueError):
    """The consumer stops before this message was worked on: another takes it at once."""


class Hold(QueueError):
    """Only for FIFO queues: not finished, and nothing of its group may be handled before it is.

    Its message is deleted; ``groups.end_holds`` publishes the event again.
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
    """The data does not fit the model of its type; says which field and why."""


class Uncorrectable(QueueError):
    """The data of an event cannot be corrected any more; the text is for the person who tried."""


class EventTooLarge(QueueError):
    """The envelope is over ``events.MAX_BYTES``; the transaction that records it must not commit."""


class QueueClosed(QueueError):
    """What would be received could not be worked on: it stays in the queue, and burns no receive."""


class QueueUnavailable(QueueError):
    """SQS refused or did not answer. Whatever was asked may be asked again."""

    def __init__(self, reason: str, *, code: str = "") -> None:
        super().__init__(reason)
        self.code = code


class QueueMissing(QueueUnavailable):
    """There is no such queue, or topic, in this region and account."""


class ReceiptExpired(QueueError):
    """The receipt handle is no longer valid: the message was deleted or received again."""

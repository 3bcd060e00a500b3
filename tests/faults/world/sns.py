"""SNS as a client of boto3 shows it: topics that hand each event to the queue of their alias and to an archive.

Sources: SNS developer guide, "Message delivery details for FIFO topics", "Message deduplication for FIFO topics". A
copy is on its way for a while; those of a FIFO topic arrive in the order in which they were published, and a repeated
deduplication id is dropped for five minutes. Those of a standard topic overtake each other and may come twice.
"""

from __future__ import annotations

import itertools
import random
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any

from tests.faults.world.clock import Clock
from tests.faults.world.sqs import DEDUPLICATION_SECONDS, Queue, Sqs

# How long a copy is on its way; mostly it is there at once.
DELAYS = (0.0, 0.0, 0.0, 2.0, 40.0)
DOUBLED = 0.05


@dataclass(eq=False)
class Copy:
    """A copy that a topic has taken and its queue has not got yet."""

    due: float
    body: str
    fields: dict[str, Any]


@dataclass(eq=False)
class Topic:
    """``queue`` gets its copies; ``seen`` are deduplication ids with the time and the id of their message."""

    queue: Queue
    waiting: deque[Copy] = field(default_factory=deque)
    seen: dict[str, tuple[float, str]] = field(default_factory=dict)


class Sns:
    """The client. Faults and interruptions are those of ``sqs``. ``archived`` counts what the archive got, by event."""

    def __init__(self, clock: Clock, rng: random.Random, sqs: Sqs) -> None:
        self.archived: Counter[str] = Counter()
        self._clock = clock
        self._random = rng
        self._sqs = sqs
        self._topics: dict[str, Topic] = {}
        self._numbers = itertools.count(1)

    def topic(self, queue: Queue) -> str:
        """The ARN of a topic that delivers to this queue."""
        arn = f"arn:aws:sns:eu-west-1:1:facts-of-{queue.name}"
        self._topics[arn] = Topic(queue)
        return arn

    @property
    def is_quiet(self) -> bool:
        """True if nothing is on its way."""
        return not any(topic.waiting for topic in self._topics.values())

    def deliver(self) -> None:
        """Deliver what has been on its way for long enough."""
        for topic in self._topics.values():
            for copy in _arriving(topic, self._clock.time()):
                self._sqs.put(topic.queue, copy.body, **copy.fields)

    def publish_batch(
        self,
        *,
        TopicArn: str,  # noqa: N803
        PublishBatchRequestEntries: list[Any],  # noqa: N803
    ) -> dict[str, Any]:
        """Publish a batch, as boto3's client does."""
        topic = self._topics[TopicArn]
        return self._sqs.batch(
            "PublishBatch",
            PublishBatchRequestEntries,
            lambda entry: {"Id": entry["Id"], "MessageId": self._publish(topic, entry)},
        )

    def _publish(self, topic: Topic, entry: Any) -> str:
        key, now = entry.get("MessageDeduplicationId", ""), self._clock.time()
        since, known = topic.seen.get(key, (0.0, ""))
        if topic.queue.is_fifo and known and now - since < DEDUPLICATION_SECONDS:
            return known
        message_id = f"s{next(self._numbers)}"
        topic.seen[key] = (now, message_id)
        self.archived[entry["MessageAttributes"]["event_id"]["StringValue"]] += 1
        is_doubled = not topic.queue.is_fifo and self._random.random() < DOUBLED
        for _ in range(1 + is_doubled):
            topic.waiting.append(self._copy(entry))
        return message_id

    def _copy(self, entry: Any) -> Copy:
        fields = {
            "group": entry.get("MessageGroupId", ""),
            "attributes": entry["MessageAttributes"],
            "deduplication_id": entry.get("MessageDeduplicationId", ""),
        }
        due = self._clock.time() + self._random.choice(DELAYS)
        return Copy(due, entry["Message"], fields)


def _arriving(topic: Topic, now: float) -> list[Copy]:
    """Return the copies that arrive now; on FIFO none that stands behind one that is not due."""
    if topic.queue.is_fifo:
        due = list(itertools.takewhile(lambda copy: copy.due <= now, topic.waiting))
    else:
        due = [copy for copy in topic.waiting if copy.due <= now]
    for copy in due:
        topic.waiting.remove(copy)
    return due

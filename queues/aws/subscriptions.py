"""Make topics and subscribe queues to them, or bring them in line: the queue of each alias, and the archive.

Sources: SNS developer guide, "Subscribing an Amazon SQS queue", "Subscription filter policies". A filter policy may
take effect only a quarter of an hour later.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from django.conf import settings

from queues.aws import account, sns, sqs
from queues.aws.policies import grant, topics_may_send
from queues.aws.sns import Topic
from queues.aws.sqs import Queue
from queues.events import envelope

Say = Callable[[str], None]

# The Sid of our statement in a queue's policy; statements of others stay.
STATEMENT = "NotifierTopics"


def provision(say: Say) -> None:
    """Provision every topic that settings name; raises QueueUnavailable."""
    topics = [topic for alias in settings.TOPICS if (topic := sns.topic(alias))]
    for topic in topics:
        say(f"made topic {topic.name}" if topic.create() else f"topic {topic.name} exists")
    # Rights come before subscriptions: events published in between would be lost.
    for topic in topics:
        queue = sqs.queue(topic.alias)
        grant(queue, topics_may_send(STATEMENT, [topic.arn]), say)
        subscribe(topic, queue, filter_of(topic.alias), say)
    if (archive := sqs.archive_queue()) and topics:
        grant(archive, topics_may_send(STATEMENT, [topic.arn for topic in topics]), say)
        for topic in topics:
            subscribe(topic, archive, filter_of_archive(), say)


def subscribe(topic: Topic, queue: Queue, policy: Mapping[str, Any], say: Say) -> None:
    """Subscribe the queue with raw delivery and this filter policy; an empty policy lets everything through.

    Only its owner can subscribe a queue of another account.
    """
    if account.is_foreign(queue.place):
        say(f"left queue {queue.name} alone: let its owner subscribe it to {topic.arn}")
        return
    wanted = {"RawMessageDelivery": "true", "FilterPolicy": json.dumps(policy)}
    queue_arn = queue.attributes()["QueueArn"]
    arn = topic.subscription(queue_arn)
    if arn is None:
        topic.subscribe(queue_arn, {name: value for name, value in wanted.items() if value != "{}"})
        say(f"subscribed queue {queue.name} to topic {topic.name}")
        return
    found = topic.subscription_attributes(arn)
    changes = [name for name in wanted if not _same(found.get(name), wanted[name])]
    for name in changes:
        topic.set_subscription_attribute(arn, name, wanted[name])
    if changes:
        say(f"fixed subscription of {queue.name} to {topic.name}: {', '.join(changes)}")
    else:
        say(f"subscription of {queue.name} to {topic.name} is as it should be")


def filter_of(alias: str) -> dict[str, Any]:
    """Return the filter policy of an alias's queue: everything but types known to belong to another queue.

    A type that nobody knows must become a dead letter, and so must a message that names no type.
    """
    foreign = sorted(
        name for name, model in envelope.data_types().items() if model.event_queue != alias
    )
    # The order matters: some emulators look no further if the attribute is missing.
    return {"event_type": [{"exists": False}, {"anything-but": foreign}]} if foreign else {}


def filter_of_archive() -> dict[str, Any]:
    """Return the filter policy of the archive: the types in ARCHIVE_TYPES, or everything if that is empty.

    ``order.*`` stands for all types that begin with ``order.``.
    """
    wanted = [
        {"prefix": name[:-1]} if name.endswith("*") else name for name in settings.ARCHIVE_TYPES
    ]
    return {"event_type": wanted} if wanted else {}


def _same(found: str | None, wanted: str) -> bool:
    """Compare an attribute as found and as wanted; SNS leaves out an empty policy."""
    if not wanted.startswith("{"):
        return (found or "").lower() == wanted
    return bool(json.loads(found or "{}") == json.loads(wanted))

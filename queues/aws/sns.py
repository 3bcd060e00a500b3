"""Amazon SNS: publish events to topics, so that any number of queues gets each of them.

Sources: SNS API reference, "PublishBatch"; SNS developer guide, "Fanout to Amazon SQS queues", "Message filtering".
A batch holds at most ten entries and 256 KiB, as one of SQS does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from django.conf import settings

from queues.aws import clients, names, sqs
from queues.aws.sqs import Outgoing, Unsent
from queues.errors import QueueMissing

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient


class Topic:
    """An SNS topic. Every method raises QueueUnavailable, or QueueMissing if the topic does not exist."""

    def __init__(self, alias: str, name_or_arn: str) -> None:
        self.alias = alias
        self.name = names.read(name_or_arn).name
        self._is_given = name_or_arn.startswith("arn:")
        self._arn = name_or_arn if self._is_given else ""

    def __repr__(self) -> str:
        return f"<Topic {self.alias} {self.name}>"

    @property
    def is_fifo(self) -> bool:
        """True for a FIFO topic; SNS, too, knows it by the name's ending."""
        return self.name.endswith(".fifo")

    @property
    def arn(self) -> str:
        """The topic's ARN; for a name, in the region and account of the queue, which a relay has the right to read."""
        if not self._arn:
            attributes = sqs.queue(self.alias).attributes()
            with clients.translated(self.name, kind="topic"):
                partition, _, region, account = attributes["QueueArn"].split(":")[1:5]
            self._arn = f"arn:{partition}:sns:{region}:{account}:{self.name}"
        return self._arn

    def send_batch(
        self, messages: Sequence[Outgoing], *, hurried: bool = False
    ) -> tuple[dict[str, str], dict[str, Unsent]]:
        """Publish up to ten messages; returns ids and failures by key, as ``Queue.send_batch`` does.

        The ids are SNS's and begin with ``sns:``, because SQS gives each copy an id of its own.
        """
        entries = [self._entry(number, message) for number, message in enumerate(messages)]
        arn = self.arn
        with clients.translated(self.name, kind="topic"):
            answer = client(hurried=hurried).publish_batch(
                TopicArn=arn, PublishBatchRequestEntries=entries
            )
            sent, failed = sqs.by_key(messages, answer)
        return {key: f"sns:{message_id}" for key, message_id in sent.items()}, failed

    def create(self) -> bool:
        """Make the topic; False if it exists. A topic given by its ARN is somebody else's: it must exist already."""
        try:
            self.attributes()
        except QueueMissing:
            if self._is_given:
                raise
        else:
            return False
        fifo = {"FifoTopic": "true"} if self.is_fifo else {}
        with clients.translated(self.name, kind="topic"):
            self._arn = client().create_topic(Name=self.name, Attributes=fifo)["TopicArn"]
        return True

    def attributes(self) -> dict[str, str]:
        """Return all attributes of the topic."""
        arn = self.arn
        with clients.translated(self.name, kind="topic"):
            return dict(client().get_topic_attributes(TopicArn=arn)["Attributes"])

    def subscription(self, queue_arn: str) -> str | None:
        """Return the ARN of this queue's subscription; None if it has none."""
        pages = client().get_paginator("list_subscriptions_by_topic").paginate(TopicArn=self.arn)
        with clients.translated(self.name, kind="topic"):
            found = (each for page in pages for each in page["Subscriptions"])
            return next(
                (each["SubscriptionArn"] for each in found if each["Endpoint"] == queue_arn), None
            )

    def subscribe(self, queue_arn: str, attributes: Mapping[str, str]) -> None:
        """Subscribe this queue, so that SNS delivers to it from now on."""
        with clients.translated(self.name, kind="topic"):
            client().subscribe(
                TopicArn=self.arn, Protocol="sqs", Endpoint=queue_arn, Attributes=dict(attributes)
            )

    def subscription_attributes(self, arn: str) -> dict[str, str]:
        """Return all attributes of a subscription."""
        with clients.translated(self.name, kind="topic"):
            found = client().get_subscription_attributes(SubscriptionArn=arn)["Attributes"]
        return dict(found)

    def set_subscription_attribute(self, arn: str, name: str, value: str) -> None:
        """Set one attribute of a subscription; SNS takes them one by one."""
        with clients.translated(self.name, kind="topic"):
            client().set_subscription_attributes(
                SubscriptionArn=arn, AttributeName=name, AttributeValue=value
            )

    def _entry(self, number: int, message: Outgoing) -> Any:
        entry: dict[str, Any] = {
            "Id": str(number),
            "Message": message.body,
            "MessageAttributes": sqs.attributes_of(message),
        }
        # Also on a standard topic: SNS passes it on to standard queues, where it makes the queue fair.
        if message.group:
            entry["MessageGroupId"] = message.group
        if self.is_fifo:
            entry["MessageDeduplicationId"] = message.deduplication_id
        return entry


def topic(alias: str) -> Topic | None:
    """Return the topic that settings name for this alias; None if its events go straight to the queue."""
    name = settings.TOPICS.get(alias)
    return _topic(alias, name) if name else None


def client(*, hurried: bool = False) -> SNSClient:
    """Return the SNS client that all threads of this process share."""
    with clients.making:
        return _client(settings.AWS_REGION, settings.AWS_ENDPOINT_URL, hurried)


@clients.remembered
def _topic(alias: str, name_or_arn: str) -> Topic:
    return Topic(alias, name_or_arn)


@clients.remembered
def _client(region: str, endpoint: str | None, hurried: bool) -> SNSClient:
    # Retries are safe: a message that is published twice is still one event.
    return clients.session().client(
        "sns",
        region_name=region,
        endpoint_url=endpoint,
        config=clients.config(hurried=hurried),
    )

"""Read from AWS where SES sends its events now: configuration set → topic → queue. The doctor asks this border module.

Sources: SES API reference, version 2010-12-01, DescribeConfigurationSet; SNS API reference.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.config import Config
from django.conf import settings

from emails.ses import fields, ses_api
from queues.aws import names
from queues.aws.clients import translated


@dataclass(frozen=True)
class Destination:
    """One event destination of the configuration set; ``topic`` is the ARN of an SNS topic, or empty."""

    name: str
    is_enabled: bool
    event_types: frozenset[str]
    topic: str


@dataclass(frozen=True)
class Subscription:
    """One subscription of a topic; SNS delivers nothing to it and gives it no ARN until it is confirmed."""

    protocol: str
    endpoint: str
    is_confirmed: bool
    arn: str


@translated("SES", kind="configuration set")
def destinations() -> Sequence[Destination]:
    """Return the event destinations of SES_CONFIGURATION_SET.

    Raises QueueUnavailable; its code is SES's own if there is no such set.
    """
    answer: Any = ses_api.api().describe_configuration_set(
        ConfigurationSetName=settings.SES_CONFIGURATION_SET,
        ConfigurationSetAttributeNames=["eventDestinations"],
    )
    return [
        Destination(
            name=fields.text(found, "Name"),
            is_enabled=bool(found.get("Enabled")),
            event_types=frozenset(map(str.lower, fields.items(found, "MatchingEventTypes"))),
            topic=fields.text(found.get("SNSDestination") or {}, "TopicARN", ""),
        )
        for found in fields.items(answer, "EventDestinations")
    ]


@translated("SNS", kind="topic")
def subscriptions(topic: str) -> Sequence[Subscription]:
    """Return the subscriptions of the topic with this ARN.

    Raises QueueUnavailable; its code is SNS's own if there is no such topic.
    """
    found: list[Subscription] = []
    client = _sns(names.read(topic).region)
    start: dict[str, str] = {}
    while True:
        answer = client.list_subscriptions_by_topic(TopicArn=topic, **start)
        found += [
            Subscription(each["Protocol"], each["Endpoint"], arn.count(":") > 4, arn)
            for each in answer["Subscriptions"]
            for arn in [each["SubscriptionArn"]]
        ]
        if not answer.get("NextToken"):
            return found
        start = {"NextToken": answer["NextToken"]}


@translated("SNS", kind="subscription")
def subscription_attributes(arn: str) -> Mapping[str, str]:
    """Return the attributes of a subscription, such as ``RawMessageDelivery``, ``FilterPolicy``.

    Raises QueueUnavailable.
    """
    answer = _sns(names.read(arn).region).get_subscription_attributes(SubscriptionArn=arn)
    return dict(answer["Attributes"])


@translated("SNS", kind="topic")
def topic_policy(topic: str) -> Mapping[str, Any]:
    """Return the policy of the topic with this ARN: who may do what with it; raises QueueUnavailable."""
    answer = _sns(names.read(topic).region).get_topic_attributes(TopicArn=topic)
    return dict(json.loads(answer["Attributes"].get("Policy") or "{}"))


def _sns(region: str) -> Any:
    config = Config(connect_timeout=3, read_timeout=5, retries={"total_max_attempts": 2})
    return boto3.session.Session().client(
        "sns", region_name=region, endpoint_url=settings.AWS_ENDPOINT_URL, config=config
    )

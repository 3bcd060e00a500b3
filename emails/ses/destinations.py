"""Read from AWS where SES sends its events now: configuration set → topic → queue. The doctor asks this border module.

Sources: SES API reference, version 2010-12-01, DescribeConfigurationSet; SNS API reference.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError
from django.conf import settings

from emails.ses import error_codes, ses_api
from queues.aws import names
from queues.aws.clients import STUMBLES
from queues.errors import QueueUnavailable


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


def destinations() -> Sequence[Destination]:
    """Return the event destinations of SES_CONFIGURATION_SET.

    Raises QueueUnavailable; its code is SES's own if there is no such set.
    """
    answer = _ask(
        ses_api.api().describe_configuration_set,
        ConfigurationSetName=settings.SES_CONFIGURATION_SET,
        ConfigurationSetAttributeNames=["eventDestinations"],
    )
    return [
        Destination(
            name=found["Name"],
            is_enabled=found.get("Enabled", False),
            event_types=frozenset(map(str.lower, found.get("MatchingEventTypes", []))),
            topic=found.get("SNSDestination", {}).get("TopicARN", ""),
        )
        for found in answer.get("EventDestinations", [])
    ]


def subscriptions(topic: str) -> Sequence[Subscription]:
    """Return the subscriptions of the topic with this ARN.

    Raises QueueUnavailable; its code is SNS's own if there is no such topic.
    """
    found: list[Subscription] = []
    client = _sns(names.read(topic).region)
    start: dict[str, str] = {}
    while True:
        answer = _ask(client.list_subscriptions_by_topic, TopicArn=topic, **start)
        found += [
            Subscription(each["Protocol"], each["Endpoint"], arn.count(":") > 4, arn)
            for each in answer["Subscriptions"]
            for arn in [each["SubscriptionArn"]]
        ]
        if not answer.get("NextToken"):
            return found
        start = {"NextToken": answer["NextToken"]}


def subscription_attributes(arn: str) -> Mapping[str, str]:
    """Return the attributes of a subscription, such as ``RawMessageDelivery``, ``FilterPolicy``.

    Raises QueueUnavailable.
    """
    answer = _ask(_sns(names.read(arn).region).get_subscription_attributes, SubscriptionArn=arn)
    return dict(answer["Attributes"])


def topic_policy(topic: str) -> Mapping[str, Any]:
    """Return the policy of the topic with this ARN: who may do what with it; raises QueueUnavailable."""
    answer = _ask(_sns(names.read(topic).region).get_topic_attributes, TopicArn=topic)
    return dict(json.loads(answer["Attributes"].get("Policy") or "{}"))


def _sns(region: str) -> Any:
    config = Config(connect_timeout=3, read_timeout=5, retries={"total_max_attempts": 2})
    return boto3.session.Session().client(
        "sns", region_name=region, endpoint_url=settings.AWS_ENDPOINT_URL, config=config
    )


def _ask(call: Callable[..., Any], **parameters: Any) -> Any:
    try:
        return call(**parameters)
    except (ClientError, BotoCoreError, ResponseParserError, *STUMBLES) as exc:
        code, text = error_codes.describe(exc)
        raise QueueUnavailable(f"{code}: {text}", code=code) from exc

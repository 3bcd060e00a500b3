"""Amazon SNS, for alerts alone: where this app meets botocore.

Source: SNS API reference. A subject is ASCII, begins with a letter, a digit or punctuation, and has fewer than a
hundred characters.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError
from django.conf import settings

from queues.aws.provisioning import Say
from queues.errors import QueueUnavailable
from queues.registry import provisioners

SUBJECT_LENGTH = 99


def publish(subject: str, text: str) -> None:
    """To the topic of ALERTS_TOPIC. Raises QueueUnavailable; a repeat is a second alert."""
    ascii_subject = subject.encode("ascii", "replace").decode()[:SUBJECT_LENGTH]
    try:
        client().publish(TopicArn=_topic(), Subject=ascii_subject, Message=text)
    except (ClientError, BotoCoreError, ResponseParserError) as exc:
        raise QueueUnavailable(f"topic {settings.ALERTS_TOPIC}: {exc}") from exc


@provisioners
def provision(say: Say) -> None:
    """The topic, where settings give its name and not its ARN. Raises QueueUnavailable."""
    if not settings.ALERTS_TOPIC:
        return
    try:
        _topic()
    except (ClientError, BotoCoreError, ResponseParserError) as exc:
        raise QueueUnavailable(f"topic {settings.ALERTS_TOPIC}: {exc}") from exc
    say(f"topic {settings.ALERTS_TOPIC} is there; whom alerts should reach subscribes to it")


def client() -> Any:
    """The one client of this process."""
    return _client(settings.AWS_REGION, settings.AWS_ENDPOINT_URL)


def _topic() -> str:
    """Making a topic that is there gives its ARN."""
    name = settings.ALERTS_TOPIC
    if name.startswith("arn:"):
        return name
    arn: str = client().create_topic(Name=name)["TopicArn"]
    return arn


@cache
def _client(region: str, endpoint: str | None) -> Any:
    config = Config(connect_timeout=3, read_timeout=5, retries={"total_max_attempts": 2})
    return boto3.session.Session().client(
        "sns", region_name=region, endpoint_url=endpoint, config=config
    )

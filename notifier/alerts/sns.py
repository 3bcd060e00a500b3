"""Publish alerts to Amazon SNS; the only module of this app that imports botocore.

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
# What headlines have besides ASCII.
_IN_ASCII = str.maketrans({"–": "-", "…": "...", "€": "EUR ", "£": "GBP "})


def publish(subject: str, text: str) -> None:
    """Publish to the topic of ALERTS_TOPIC. Raises QueueUnavailable; calling it again sends a second alert."""
    ascii_subject = (
        subject.translate(_IN_ASCII).encode("ascii", "replace").decode()[:SUBJECT_LENGTH]
    )
    try:
        client().publish(TopicArn=_topic(), Subject=ascii_subject, Message=text)
    except (ClientError, BotoCoreError, ResponseParserError) as exc:
        raise QueueUnavailable(f"topic {settings.ALERTS_TOPIC}: {exc}") from exc


@provisioners
def provision(say: Say) -> None:
    """Create the topic of ALERTS_TOPIC if the setting is a name, not an ARN. Raises QueueUnavailable."""
    if not settings.ALERTS_TOPIC:
        return
    try:
        _topic()
    except (ClientError, BotoCoreError, ResponseParserError) as exc:
        raise QueueUnavailable(f"topic {settings.ALERTS_TOPIC}: {exc}") from exc
    say(f"topic {settings.ALERTS_TOPIC} exists; subscribe everybody who should get alerts")


def client() -> Any:
    """Return the one SNS client of this process."""
    return _client(settings.AWS_REGION, settings.AWS_ENDPOINT_URL)


def _topic() -> str:
    """Return the topic's ARN; ``CreateTopic`` returns it also for a topic that exists."""
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

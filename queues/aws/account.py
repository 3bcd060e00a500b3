"""Ask AWS who we are and what time it is; only ``manage.py doctor`` asks.

Source: AWS STS API reference, GetCallerIdentity; it needs no right.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import boto3
from botocore.config import Config
from django.conf import settings

from queues.aws.clients import translated
from queues.aws.names import AwsName
from queues.errors import QueueUnavailable

# Where the SDK found the credentials, in words.
_SOURCES = {
    "env": "the environment",
    "shared-credentials-file": "the SDK's credentials file",
    "config-file": "the SDK's config file",
    "iam-role": "the instance's role",
    "container-role": "the container's role",
    "assume-role": "an assumed role",
    "assume-role-with-web-identity": "a web identity",
    "sso": "single sign-on",
}


@dataclass(frozen=True)
class Caller:
    """AWS's answer. ``seconds_ahead``: how far our clock is ahead of AWS's; None where AWS did not say."""

    account: str
    arn: str
    seconds_ahead: float | None


def credentials_source() -> str:
    """Say where the SDK finds credentials; empty where it finds none. Raises QueueUnavailable."""
    with translated("the SDK", kind="credentials"):
        found: Any = boto3.session.Session().get_credentials()
    return _SOURCES.get(found.method, str(found.method)) if found else ""


def caller() -> Caller:
    """Ask AWS who we are; raises QueueUnavailable."""
    config = Config(connect_timeout=3, read_timeout=5, retries={"total_max_attempts": 1})
    with translated("STS", kind="service"):
        answer: Any = (
            boto3.session.Session()
            .client(
                "sts",
                region_name=settings.AWS_REGION,
                endpoint_url=settings.AWS_ENDPOINT_URL,
                config=config,
            )
            .get_caller_identity()
        )
        account, arn = answer["Account"], answer["Arn"]
    headers = answer["ResponseMetadata"].get("HTTPHeaders", {})
    return Caller(account, arn, _seconds_ahead(headers.get("date", "")))


def is_foreign(place: AwsName) -> bool:
    """True for a queue whose URL names another account than ours; False where STS does not tell which ours is."""
    if not place.account:
        return False
    try:
        return caller().account != place.account
    except QueueUnavailable:
        return False


def known_regions() -> list[str]:
    """Return the regions that have SQS, as far as the SDK knows."""
    session = boto3.session.Session()
    return [
        region
        for partition in session.get_available_partitions()
        for region in session.get_available_regions("sqs", partition_name=partition)
    ]


def _seconds_ahead(date: str) -> float | None:
    try:
        theirs = parsedate_to_datetime(date)
    except ValueError:
        return None
    if theirs.tzinfo is None:
        theirs = theirs.replace(tzinfo=UTC)
    return (datetime.now(UTC) - theirs).total_seconds()

"""System checks: times and settings that would break a promise."""

from __future__ import annotations

import re
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register

from emails import states
from queues.checks import TAG

_ARN = re.compile(r"arn:(aws|aws-cn|aws-us-gov):sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]{1,256}")


@register(TAG)
def one_try(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """A retry inside the SDK sends a second email after a lost answer."""
    retries = getattr(settings.AWS_SES_CONFIG, "retries", None) or {}
    if retries.get("total_max_attempts") == 1:
        return []
    return [
        Error(
            "AWS_SES_CONFIG lets the SDK repeat a call to SES.",
            hint='Use Config(retries={"total_max_attempts": 1}).',
            id="emails.E001",
        )
    ]


@register(TAG)
def lease_within_visibility(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Another consumer gets the message while the first still has the right to send."""
    if settings.LEASE_SECONDS < settings.QUEUE_VISIBILITY_SECONDS or settings.DEBUG:
        return []
    return [
        Error(
            f"QUEUE_VISIBILITY_SECONDS must be above {settings.LEASE_SECONDS}.",
            hint="A claim must end before its message comes back.",
            id="emails.E002",
        )
    ]


@register(TAG)
def call_within_lease(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Another consumer would take a call for abandoned that may still be accepted."""
    longest = states.longest_call_seconds()
    if longest < settings.LEASE_SECONDS:
        return []
    return [
        Error(
            f"A call to SES may take {longest} s, longer than LEASE_SECONDS.",
            hint="Lower SES_READ_SECONDS or raise LEASE_SECONDS.",
            id="emails.E006",
        )
    ]


@register(TAG)
def drain_outlasts_visibility(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """An event in the hands of a dead consumer comes back after the visibility timeout."""
    if settings.DOUBT_DRAIN_SECONDS >= 3 * settings.QUEUE_VISIBILITY_SECONDS:
        return []
    return [
        Error(
            "DOUBT_DRAIN_SECONDS must be at least three times QUEUE_VISIBILITY_SECONDS.",
            hint="Silence proves nothing while an event may still be hidden.",
            id="emails.E003",
        )
    ]


@register(TAG)
def in_doubt_is_known(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """A misspelt setting must not mean something."""
    if settings.IN_DOUBT in ("park", "resend"):
        return []
    return [
        Error(
            f"IN_DOUBT={settings.IN_DOUBT} is unknown.",
            hint="Use park or resend.",
            id="emails.E004",
        )
    ]


@register(TAG)
def sender_is_set(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """SES refuses an email without a sender."""
    if settings.SES_FROM_EMAIL:
        return []
    return [
        Error("SES_FROM_EMAIL is empty.", hint="Set it to a verified sender.", id="emails.E005")
    ]


@register(TAG)
def webhook_topics_are_arns(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Their regions say whose certificates are believed."""
    wrong = [topic for topic in settings.SES_WEBHOOK_TOPICS if not _ARN.fullmatch(topic)]
    return [
        Error(
            f"SES_WEBHOOK_TOPICS: {topic} is not the ARN of an SNS topic.",
            hint="Use arn:aws:sns:<region>:<account>:<name>, several with commas between them.",
            id="emails.E008",
        )
        for topic in wrong
    ]


@register(TAG)
def tracking_is_known(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """A misspelt word would track nothing, and nobody would know."""
    unknown = sorted(set(settings.SES_TRACKING) - {"opens", "clicks"})
    if not unknown:
        return []
    return [
        Error(
            f"SES_TRACKING: {', '.join(unknown)} is unknown.",
            hint="Use opens, clicks or both with a comma between them; nothing is tracked unless set.",
            id="emails.E011",
        )
    ]


@register(TAG)
def client_is_known(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """The lean client speaks version 2 alone; django-ses would ask it for version 1."""
    if settings.SES_CLIENT == "boto3" or (settings.SES_CLIENT == "lean" and settings.USE_SES_V2):
        return []
    return [
        Error(
            f"SES_CLIENT={settings.SES_CLIENT} is unknown, or needs USE_SES_V2=on.",
            hint="Use boto3, or lean together with USE_SES_V2=on.",
            id="emails.E007",
        )
    ]

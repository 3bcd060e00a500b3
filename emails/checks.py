"""System checks: times and settings that would break a promise."""

from __future__ import annotations

import re
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register
from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from emails.sending import claims
from queues.checks import TAG
from queues.upkeep.figures import KEEP_DAYS

# SES developer guide, "Connecting to an Amazon SES SMTP endpoint": its TLS wrapper.
_TLS_PORTS = (465, 2465)
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
    longest = claims.longest_call_seconds()
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


@register(TAG)
def suppression_is_known(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """A misspelt setting must not let an address through, nor tell SES what it should not."""
    found: list[CheckMessage] = []
    if unknown := set(settings.SUPPRESS_ON) - {"bounce", "complaint"}:
        found.append(
            Error(
                f"SUPPRESS_ON={','.join(sorted(unknown))} is unknown.",
                hint="Use bounce, complaint, both with a comma between them, or nothing.",
                id="emails.E020",
            )
        )
    if settings.SUPPRESSION_SYNC not in ("both", "pull", "off"):
        found.append(
            Error(
                f"SUPPRESSION_SYNC={settings.SUPPRESSION_SYNC} is unknown.",
                hint="Use both, pull or off.",
                id="emails.E021",
            )
        )
    return found


@register(TAG)
def support_is_an_address(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Nobody would be told of what bounces."""
    if not settings.SUPPORT_EMAIL:
        return []
    try:
        validate_email(settings.SUPPORT_EMAIL)
    except ValidationError:
        return [
            Error(
                "SUPPORT_EMAIL is no email address.",
                hint="Give one address, without a name.",
                id="emails.E022",
            )
        ]
    return []


@register(TAG)
def guard_lines_are_in_order(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """A warning comes before the stop, and a window has figures: they are kept for eight days."""
    lines = {
        "GUARD_BOUNCE": (settings.GUARD_BOUNCE_WARNING, settings.GUARD_BOUNCE_STOP),
        "GUARD_COMPLAINT": (settings.GUARD_COMPLAINT_WARNING, settings.GUARD_COMPLAINT_STOP),
    }
    found: list[CheckMessage] = [
        Error(
            f"{name}_WARNING must be above 0 and not above {name}_STOP.",
            hint="Both are per cent of the emails that SES accepted.",
            id="emails.E023",
        )
        for name, (warning, stop) in lines.items()
        if not 0 < warning <= stop
    ]
    if not 1 <= settings.GUARD_HOURS <= 24 * (KEEP_DAYS - 1):
        found.append(
            Error(
                f"GUARD_HOURS must be from 1 to {24 * (KEEP_DAYS - 1)}.",
                hint="Figures are kept for eight days.",
                id="emails.E024",
            )
        )
    return found


@register(TAG)
def transport_is_known(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """A misspelt setting must not mean something."""
    if settings.EMAIL_TRANSPORT in ("ses", "smtp"):
        return []
    return [
        Error(
            f"EMAIL_TRANSPORT={settings.EMAIL_TRANSPORT} is unknown.",
            hint="Use ses (its API) or smtp.",
            id="emails.E011",
        )
    ]


@register(TAG)
def smtp_can_log_in(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Without a name or a password Django does not log in, and SES takes no email."""
    if settings.EMAIL_TRANSPORT != "smtp":
        return []
    found: list[CheckMessage] = []
    if not (settings.EMAIL_HOST_USER and settings.EMAIL_HOST_PASSWORD):
        found.append(
            Error(
                "EMAIL_TRANSPORT=smtp needs SMTP_USER and SMTP_PASSWORD.",
                hint="Make SMTP credentials in the SES console; they are not the keys of AWS.",
                id="emails.E012",
            )
        )
    if settings.EMAIL_PORT in _TLS_PORTS:
        found.append(
            Error(
                f"SMTP_PORT={settings.EMAIL_PORT} expects TLS from the first byte.",
                hint="Use 587 or 2587: there STARTTLS comes before the password.",
                id="emails.E013",
            )
        )
    return found

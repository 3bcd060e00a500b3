"""System checks of Django: settings of the emails that would break a promise."""

from __future__ import annotations

import re
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register

from emails.sending import claims
from queues import setting_rules
from queues.aws import names
from queues.checks import TAG, WORK_TAG, error_if
from queues.setting_rules import (
    Rule,
    is_address,
    is_folder,
    is_host,
    is_host_and_port,
    is_mailbox,
    is_writable,
    number,
    unless_empty,
)
from queues.upkeep.figures import KEEP_DAYS

# The ports where SES expects TLS from the first byte: SES developer guide, "Connecting to an Amazon SES SMTP endpoint".
_TLS_PORTS = (465, 2465)
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_DOUBT = "SQS keeps SES's reports for 14 days at most"
_PER_CENT = "it is per cent of the emails that SES accepted"
RULES = {
    "SES_FROM_EMAIL": Rule(
        unless_empty(is_mailbox),
        "Write one address, alone or as in Notifier Shop <shop@example.com>. Put quotes around a name with a comma, "
        'an @ or another special character: "Shop, Inc." <shop@example.com>. In .env, single quotes go around it all.',
    ),
    # SES API reference, version 2, CreateConfigurationSet.
    "SES_CONFIGURATION_SET": Rule(
        unless_empty(lambda text: _NAME.fullmatch(text) is not None),
        "Write the name of a configuration set: letters, digits, - and _, 64 at most.",
    ),
    # SES developer guide, "Set up an Amazon SNS event destination": FIFO topics are not supported.
    "SES_EVENTS_TOPIC": Rule(
        unless_empty(
            lambda text: names.is_topic(text) and not text.endswith(".fifo") and ":" not in text
        ),
        "Write the name of a standard topic, not its ARN: letters, digits, - and _.",
    ),
    "GUARD_MINIMUM": number(1, 1_000_000_000, "fewer emails than one say nothing"),
    "GUARD_BOUNCE_STOP": number(0, 100, _PER_CENT),
    "GUARD_COMPLAINT_STOP": number(0, 100, _PER_CENT),
    "SMTP_HOST": Rule(is_host, "Write the name of a host alone, without a port.", "EMAIL_HOST"),
    "SMTP_PORT": number(1, 65_535, "TCP has no other ports", attribute="EMAIL_PORT"),
    "DNS_RESOLVER": Rule(unless_empty(is_host_and_port), "Write a host, or host:port."),
    "SES_MAX_SEND_RATE": number(0, 1_000_000, "0 stands for the rate that SES reports"),
    "SES_READ_SECONDS": number(1, 3600, "SES needs some time", attribute="EMAIL_TIMEOUT"),
    "LEASE_SECONDS": number(1, 43_200, "SQS hides a message for twelve hours at most"),
    "BREAKER_PROBE_SECONDS": number(0, 86_400, "0 stands for what suits the cause"),
    "DOUBT_GRACE_SECONDS": number(1, 1_209_600, _DOUBT),
    "DOUBT_DISTANCE_SECONDS": number(0, 1_209_600, _DOUBT),
    "DOUBT_DRAIN_SECONDS": number(1, 1_209_600, _DOUBT),
    "JOURNAL_DIR": Rule(is_folder, "Write the path of a folder, none that leads over a file."),
}


@register(TAG)
def values(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Check each setting by itself: a value that cannot work is told before it fails."""
    return setting_rules.check("emails", RULES)


@register(WORK_TAG)
def journal_can_be_written(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """A consumer notes there what SES accepted while the database is away; else such an email is in doubt."""
    return error_if(
        not is_writable(settings.JOURNAL_DIR),
        f"JOURNAL_DIR={settings.JOURNAL_DIR} cannot be written by the user of this process.",
        hint="Give the folder to the user of the consumers, or write the path of another one.",
        id="emails.E016",
    )


@register(TAG)
def grace_outlasts_lease(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Silence proves nothing while the attempt itself may still be going on."""
    is_shorter = settings.DOUBT_GRACE_SECONDS <= settings.LEASE_SECONDS
    return error_if(
        is_shorter and not settings.DEBUG,
        f"DOUBT_GRACE_SECONDS must be above {settings.LEASE_SECONDS}.",
        hint="While a claim on an email lasts (LEASE_SECONDS), SES may still accept it.",
        id="emails.E015",
    )


@register(TAG)
def one_try(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """The SDK must not retry: when an answer is lost, a retry sends a second email."""
    retries = getattr(settings.AWS_SES_CONFIG, "retries", None) or {}
    return error_if(
        retries.get("total_max_attempts") != 1,
        "AWS_SES_CONFIG lets the SDK repeat a call to SES.",
        hint='Use Config(retries={"total_max_attempts": 1}).',
        id="emails.E001",
    )


@register(TAG)
def lease_within_visibility(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """A claim must end first, or another consumer gets the message while the first one may still send."""
    is_longer = settings.LEASE_SECONDS >= settings.QUEUE_VISIBILITY_SECONDS
    return error_if(
        is_longer and not settings.DEBUG,
        f"QUEUE_VISIBILITY_SECONDS must be above {settings.LEASE_SECONDS}.",
        hint="A claim must end before its message comes back.",
        id="emails.E002",
    )


@register(TAG)
def call_within_lease(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """A call must end within its lease, or another consumer takes it for abandoned while SES may still accept it."""
    longest = claims.longest_call_seconds()
    return error_if(
        longest >= settings.LEASE_SECONDS,
        f"A call to SES may take {longest} s, longer than LEASE_SECONDS.",
        hint="Lower SES_READ_SECONDS or raise LEASE_SECONDS.",
        id="emails.E006",
    )


@register(TAG)
def drain_outlasts_visibility(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """The wait must be long: an event that a dead consumer received comes back after the visibility timeout."""
    return error_if(
        settings.DOUBT_DRAIN_SECONDS < 3 * settings.QUEUE_VISIBILITY_SECONDS,
        "DOUBT_DRAIN_SECONDS must be at least three times QUEUE_VISIBILITY_SECONDS.",
        hint="Silence proves nothing while an event may still be hidden.",
        id="emails.E003",
    )


@register(TAG)
def in_doubt_is_known(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """A misspelt setting must have no effect."""
    return error_if(
        settings.IN_DOUBT not in ("park", "resend"),
        f"IN_DOUBT={settings.IN_DOUBT} is unknown.",
        hint="Use park or resend.",
        id="emails.E004",
    )


@register(TAG)
def sender_is_set(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """SES rejects an email without a sender."""
    return error_if(
        not settings.SES_FROM_EMAIL,
        "SES_FROM_EMAIL is empty.",
        hint="Set it to a verified sender.",
        id="emails.E005",
    )


@register(TAG)
def webhook_topics_are_arns(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """The region in the ARN says whose certificates we trust."""
    wrong = [topic for topic in settings.SES_WEBHOOK_TOPICS if not names.is_topic_arn(topic)]
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
    """A misspelt word would track nothing, and nobody would notice."""
    unknown = sorted(set(settings.SES_TRACKING) - {"opens", "clicks"})
    return error_if(
        bool(unknown),
        f"SES_TRACKING: {', '.join(unknown)} is unknown.",
        hint="Use opens, clicks or both with a comma between them; nothing is tracked unless set.",
        id="emails.E014",
    )


@register(TAG)
def client_is_known(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """A misspelt setting must have no effect."""
    return error_if(
        settings.SES_CLIENT not in ("lean", "boto3"),
        f"SES_CLIENT={settings.SES_CLIENT} is unknown.",
        hint="Use lean or boto3.",
        id="emails.E007",
    )


@register(TAG)
def suppression_is_known(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """A misspelt setting must not let an address through, nor tell SES what SES must not know."""
    unknown = sorted(set(settings.SUPPRESS_ON) - {"bounce", "complaint"})
    return error_if(
        bool(unknown),
        f"SUPPRESS_ON={','.join(unknown)} is unknown.",
        hint="Use bounce, complaint, both with a comma between them, or nothing.",
        id="emails.E020",
    ) + error_if(
        settings.SUPPRESSION_SYNC not in ("both", "pull", "off"),
        f"SUPPRESSION_SYNC={settings.SUPPRESSION_SYNC} is unknown.",
        hint="Use both, pull or off.",
        id="emails.E021",
    )


@register(TAG)
def support_is_an_address(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """A wrong address would mean that nobody learns of what bounces."""
    return error_if(
        bool(settings.SUPPORT_EMAIL) and not is_address(settings.SUPPORT_EMAIL),
        "SUPPORT_EMAIL is no email address.",
        hint="Give one address, without a name.",
        id="emails.E022",
    )


@register(TAG)
def guard_lines_are_in_order(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """A warning must come before the stop, and a window needs figures, which are kept for eight days."""
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
    return found + error_if(
        not 1 <= settings.GUARD_HOURS <= 24 * (KEEP_DAYS - 1),
        f"GUARD_HOURS must be from 1 to {24 * (KEEP_DAYS - 1)}.",
        hint="Figures are kept for eight days.",
        id="emails.E024",
    )


@register(TAG)
def transport_is_known(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """A misspelt setting must have no effect."""
    return error_if(
        settings.EMAIL_TRANSPORT not in ("ses", "smtp"),
        f"EMAIL_TRANSPORT={settings.EMAIL_TRANSPORT} is unknown.",
        hint="Use ses (its API) or smtp.",
        id="emails.E011",
    )


@register(TAG)
def smtp_can_log_in(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Django logs in only with a name and a password; otherwise SES accepts no email."""
    if settings.EMAIL_TRANSPORT != "smtp":
        return []
    return error_if(
        not (settings.EMAIL_HOST_USER and settings.EMAIL_HOST_PASSWORD),
        "EMAIL_TRANSPORT=smtp needs SMTP_USER and SMTP_PASSWORD.",
        hint="Make SMTP credentials in the SES console; they are not the keys of AWS.",
        id="emails.E012",
    ) + error_if(
        settings.EMAIL_PORT in _TLS_PORTS,
        f"SMTP_PORT={settings.EMAIL_PORT} expects TLS from the first byte.",
        hint="Use 587 or 2587: there STARTTLS comes before the password.",
        id="emails.E013",
    )

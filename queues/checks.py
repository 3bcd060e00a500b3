"""System checks of Django: settings of the queues that cannot work together."""

from __future__ import annotations

import re
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register

from queues import setting_rules
from queues.aws import names
from queues.events import links
from queues.setting_rules import Rule, each, is_folder, is_http, number, unless_empty

TAG = "delivery"
# What only a consumer needs.
WORK_TAG = "consumer"

_QUEUE_HINT = (
    "Write the queue's name (letters, digits, - and _, 80 at most, .fifo at the end counted) or its URL, "
    "which ends with the name; no ARN, and no slash at the end."
)
_HIDE_SECONDS = "SQS hides a message for twelve hours at most"
_KEEP_SECONDS = "SQS keeps a message for 14 days at most"
_TYPE = re.compile(r"[A-Za-z0-9_.-]*[A-Za-z0-9_*]")
RULES = {
    "AWS_REGION": Rule(
        # Emulators have regions of their own.
        lambda text: bool(settings.AWS_ENDPOINT_URL and text) or names.is_region(text),
        "Write the code of a region, as in eu-west-1.",
    ),
    "AWS_ENDPOINT_URL": Rule(
        unless_empty(is_http),
        "Write http:// or https://, the host and the port; leave it out for AWS itself.",
    ),
    "ARCHIVE_QUEUE": Rule(unless_empty(names.is_queue), _QUEUE_HINT),
    "ARCHIVE_TYPES": each(
        lambda text: _TYPE.fullmatch(text) is not None,
        "Write types of events, or how they begin and a *: order.placed.v1,customer.*",
    ),
    "ARCHIVE_FOLDER": Rule(is_folder, "Write the path of a folder, none that leads over a file."),
    "LINK_HOSTS": each(
        lambda text: links.is_host(text) is not None,
        "Write the host alone, or with a port to allow that port only: shop.example.com,127.0.0.1:8001.",
    ),
    # SQS API reference, SetQueueAttributes, ReceiveMessage and ChangeMessageVisibility.
    "QUEUE_VISIBILITY_SECONDS": number(1, 43_200, _HIDE_SECONDS),
    "QUEUE_WAIT_SECONDS": number(0, 20, "SQS waits 20 seconds at most"),
    "RETRY_BASE_SECONDS": number(1, 43_200, _HIDE_SECONDS),
    "RETRY_MAX_SECONDS": number(1, 43_200, _HIDE_SECONDS),
    "SWEEP_SECONDS": number(1, 3600, "what was abandoned waits as long"),
    "OUTBOX_STALE_SECONDS": number(0, 1_209_600, _KEEP_SECONDS),
    "KEEP_DAYS": number(
        1, 36_500, "what is done is kept for so many days, a hundred years at most"
    ),
}
_QUEUE = Rule(names.is_queue, _QUEUE_HINT)
_DEAD_LETTER_QUEUE = Rule(
    lambda text: not names.is_queue(text) or len(_name(text)) <= 76,
    "Write a name of 76 characters at most, .fifo counted: its dead-letter queue has four more, and SQS takes 80.",
)
_TOPIC = Rule(names.is_topic, "Write the topic's name, or its ARN.")


def error_if(wrong: bool, message: str, *, hint: str, id: str) -> list[CheckMessage]:
    """Return what a check returns: one error where something is wrong, else nothing."""
    return [Error(message, hint=hint, id=id)] if wrong else []


@register(TAG)
def values(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Check each setting by itself: a value that cannot work is told before it fails."""
    return [
        *setting_rules.check("queues", RULES),
        *setting_rules.check_named("queues", "QUEUE", settings.QUEUES, _QUEUE),
        *setting_rules.check_named("queues", "TOPIC", settings.TOPICS, _TOPIC),
    ]


@register(TAG)
def retries_grow(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """The first wait of a failed message must not be longer than the longest."""
    return error_if(
        settings.RETRY_BASE_SECONDS > settings.RETRY_MAX_SECONDS,
        "RETRY_BASE_SECONDS is above RETRY_MAX_SECONDS.",
        hint="A failed message waits for the first, then twice as long each time, up to the second.",
        id="queues.E014",
    )


@register(TAG)
def dead_letter_names(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """The name of a dead-letter queue is four characters longer, and SQS takes 80."""
    return setting_rules.check_named("queues", "QUEUE", settings.QUEUES, _DEAD_LETTER_QUEUE)


@register(TAG)
def queue_names(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Two aliases must not share a queue: each would take the other's messages."""
    found = [names.read(text) for text in settings.QUEUES.values()]
    twice = sorted({one.name for one in found if sum(map(one.is_at, found)) > 1})
    return [
        Error(
            f"More than one alias names the queue {name}.",
            hint="Give every QUEUE_<ALIAS> a queue of its own.",
            id="queues.E001",
        )
        for name in twice
    ]


@register(TAG)
def lambda_queues(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """A misspelt alias would make staff miss a consumer that need not exist, because Lambda reads the queue."""
    unknown = sorted(set(settings.LAMBDA_QUEUES) - set(settings.QUEUES))
    return [
        Error(
            f"LAMBDA_QUEUES names {alias}, which is no queue.",
            hint=f"Use some of {', '.join(settings.QUEUES)}.",
            id="queues.E008",
        )
        for alias in unknown
    ]


@register(TAG)
def fifo_poison(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """A misspelt setting must have no effect; ``hold`` needs the dead letters in the database."""
    holds = settings.FIFO_POISON == "hold" and settings.DEAD_LETTER_COLLECT
    return error_if(
        settings.FIFO_POISON != "skip" and not holds,
        f"FIFO_POISON={settings.FIFO_POISON} cannot work.",
        hint="Use skip, or hold with DEAD_LETTER_COLLECT=on.",
        id="queues.E003",
    )


@register(TAG)
def receive_count(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """SQS accepts a maximum receive count of 1 to 1,000."""
    return error_if(
        not 1 <= settings.QUEUE_MAX_RECEIVE_COUNT <= 1000,
        "QUEUE_MAX_RECEIVE_COUNT must be between 1 and 1000.",
        hint="SQS moves a message to its dead-letter queue after so many receives.",
        id="queues.E002",
    )


@register(TAG)
def client_is_known(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """A misspelt setting must have no effect."""
    return error_if(
        settings.SQS_CLIENT not in ("boto3", "lean"),
        f"SQS_CLIENT={settings.SQS_CLIENT} is unknown.",
        hint="Use lean or boto3.",
        id="queues.E004",
    )


@register(TAG)
def topics_fit_queues(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """A FIFO queue needs a FIFO topic, which keeps its order; a standard topic cannot deliver to it at all."""
    return [
        Error(
            f"TOPIC_{alias.upper()}={topic} and the queue {settings.QUEUES[alias]} are not of one kind.",
            hint="Let both names end in .fifo, or neither.",
            id="queues.E011",
        )
        for alias, topic in settings.TOPICS.items()
        if topic.endswith(".fifo") != settings.QUEUES[alias].endswith(".fifo")
    ]


@register(TAG)
def archive_queue(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """The archive queue gets a copy of what topics of both kinds deliver, and no consumer reads it."""
    name = _name(settings.ARCHIVE_QUEUE)
    if not name:
        return []
    taken = set(map(_name, settings.QUEUES.values()))
    return error_if(
        name.endswith(".fifo") or name in taken,
        f"ARCHIVE_QUEUE={name} must be a standard queue of its own.",
        hint="Use a name that no QUEUE_<ALIAS> has and that does not end in .fifo.",
        id="queues.E012",
    ) or error_if(
        not settings.TOPICS,
        "ARCHIVE_QUEUE is set, but no event goes through a topic.",
        hint="Set TOPIC_<ALIAS> for the events that the archive is to get, or leave ARCHIVE_QUEUE out.",
        id="queues.E013",
    )


def _name(text: str) -> str:
    return names.read(text).name

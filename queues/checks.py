"""System checks of Django: settings of the queues that cannot work together."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register

from queues.events import links

TAG = "delivery"


def error_if(wrong: bool, message: str, *, hint: str, id: str) -> list[CheckMessage]:
    """Return what a check returns: one error where something is wrong, else nothing."""
    return [Error(message, hint=hint, id=id)] if wrong else []


@register(TAG)
def queue_names(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Two aliases must not share a queue: each would take the other's messages."""
    names = [name.rsplit("/", 1)[-1] for name in settings.QUEUES.values()]
    twice = sorted({name for name in names if names.count(name) > 1})
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
def link_hosts(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """An entry with a scheme, a path or a wildcard would allow nothing."""
    return [
        Error(
            f"LINK_HOSTS has {entry!r}, which is no host.",
            hint="Write the host alone, with a port where it is not the default: shop.example.com,127.0.0.1:8001.",
            id="queues.E014",
        )
        for entry in settings.LINK_HOSTS
        if not links.is_host(entry)
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
        hint="Use boto3 or lean.",
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
    name = settings.ARCHIVE_QUEUE.rsplit("/", 1)[-1]
    if not name:
        return []
    taken = {each.rsplit("/", 1)[-1] for each in settings.QUEUES.values()}
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

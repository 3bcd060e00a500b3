"""System checks: settings that cannot work together."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register

TAG = "delivery"


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
    """A misspelt alias would let somebody miss a consumer that there need not be."""
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
    """A misspelt setting must not mean something; a group is held by dead letters that are in the database."""
    if settings.FIFO_POISON == "skip" or (
        settings.FIFO_POISON == "hold" and settings.DEAD_LETTER_COLLECT
    ):
        return []
    return [
        Error(
            f"FIFO_POISON={settings.FIFO_POISON} cannot work.",
            hint="Use skip, or hold with DEAD_LETTER_COLLECT=on.",
            id="queues.E003",
        )
    ]


@register(TAG)
def receive_count(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """SQS takes 1 to 1,000."""
    if 1 <= settings.QUEUE_MAX_RECEIVE_COUNT <= 1000:
        return []
    return [
        Error(
            "QUEUE_MAX_RECEIVE_COUNT must be between 1 and 1000.",
            hint="SQS moves a message to its dead-letter queue after so many receives.",
            id="queues.E002",
        )
    ]


@register(TAG)
def client_is_known(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """A misspelt setting must not mean something."""
    if settings.SQS_CLIENT in ("boto3", "lean"):
        return []
    return [
        Error(
            f"SQS_CLIENT={settings.SQS_CLIENT} is unknown.",
            hint="Use boto3 or lean.",
            id="queues.E004",
        )
    ]
